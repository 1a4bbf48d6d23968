//! A note beside the database (`aster.db-seen`): it was looked through, a server closed it in order,
//! and this is what the file was then. While it still is, nobody wrote to it, and a start need not
//! look it through again.
//!
//! # Order
//! Written when the last connection is closed and all is on disk; gone, from the disk too, before a
//! server writes. So a crash leaves no note. Errands leave it as it is: where they write, the file is
//! another.
//!
//! # Not done here
//! What a disk loses by itself is not seen in the file's times. `aster-server check` and every backup
//! read all of it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::files::{beside, remove, write_new};
use crate::store::schema::VERSION;

/// How the note's name ends, behind the database's.
pub(crate) const SEEN_ENDING: &str = "-seen";

/// Whether SQLite has told this process of damage.
static IS_DAMAGED: AtomicBool = AtomicBool::new(false);

/// SQLite found damage in a database: none that this process has open is vouched for any more.
pub(super) fn doubt() {
    IS_DAMAGED.store(true, Ordering::Relaxed);
}

fn note_of(database: &Path) -> PathBuf {
    beside(database, SEEN_ENDING)
}

/// What a right note says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether nothing is left of what was deleted: see `Traces`.
    pub(super) is_wiped: bool,
}

/// What a file is, and for which program: another one may look for more.
fn describe(file: &Metadata, Seen { is_wiped }: Seen) -> String {
    let (program, inode, bytes) = (env!("CARGO_PKG_VERSION"), file.ino(), file.len());
    let (seconds, nanoseconds) = (file.mtime(), file.mtime_nsec());
    format!(
        "{program} schema {VERSION} inode {inode} bytes {bytes} at {seconds}.{nanoseconds:09} \
         wiped {is_wiped}\n"
    )
}

/// What the note says. `None` where there is none, or it is of another file or program.
pub(super) fn find_seen(database: &Path) -> Option<Seen> {
    let is_alone = ["-wal", "-journal"]
        .iter()
        .all(|end| fs::metadata(beside(database, end)).map_or(0, |side| side.len()) == 0);
    let note = fs::read(note_of(database)).ok()?;
    let file = fs::metadata(database).ok()?;
    let mut all = [true, false].into_iter().map(|is_wiped| Seen { is_wiped });
    all.find(|seen| is_alone && note == describe(&file, *seen).as_bytes())
}

/// Removes the note, if there is one.
pub(super) fn forget(database: &Path) -> io::Result<()> {
    let note = note_of(database);
    remove(&note).map_err(|error| io::Error::other(format!("{}: {error}", note.display())))
}

/// Leaves a note, unless somebody still has the database open, or damage was met in it. `file` is that database.
pub(super) fn note(database: &Path, file: &File, seen: Seen) -> io::Result<()> {
    // SQLite removes its log with the last connection.
    if IS_DAMAGED.load(Ordering::Relaxed) || beside(database, "-wal").exists() {
        return Ok(());
    }
    file.sync_all()?;
    write_new(&note_of(database), describe(&file.metadata()?, seen).as_bytes(), 0o600)
}
