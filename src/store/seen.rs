//! A note beside the database (`aster.db-seen`): it was looked through, a server closed it in order,
//! and this is what the file was then. While it still is, nobody wrote to it, and a start need not
//! look it through again.
//!
//! # Order
//! Written when the last connection is closed and all is on disk; gone, from the disk too, before a
//! server opens the next one. So a crash leaves no note. Errands leave it as it is: where they
//! write, the file is another.
//!
//! # Not done here
//! What a disk loses by itself is not seen in the file's times. `aster-server check` and every backup
//! read all of it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files::{beside, remove, write_new};
use crate::store::schema::VERSION;

/// How the note's name ends, behind the database's.
pub(crate) const SEEN_ENDING: &str = "-seen";

fn note_of(database: &Path) -> PathBuf {
    beside(database, SEEN_ENDING)
}

/// What a file is, and for which program: another one may look for more.
fn describe(file: &Metadata) -> String {
    let (program, inode, bytes) = (env!("CARGO_PKG_VERSION"), file.ino(), file.len());
    let (seconds, nanoseconds) = (file.mtime(), file.mtime_nsec());
    format!(
        "{program} schema {VERSION} inode {inode} bytes {bytes} at {seconds}.{nanoseconds:09}\n"
    )
}

/// Whether there is a note, and it is right.
pub(super) fn is_seen(database: &Path) -> bool {
    let is_alone = ["-wal", "-journal"]
        .iter()
        .all(|end| fs::metadata(beside(database, end)).map_or(0, |side| side.len()) == 0);
    let note = fs::read(note_of(database));
    let found = fs::metadata(database).map(|file| describe(&file).into_bytes());
    is_alone && matches!((note, found), (Ok(note), Ok(found)) if note == found)
}

/// Removes the note, if there is one.
pub(super) fn forget(database: &Path) -> io::Result<()> {
    remove(&note_of(database))
}

/// Leaves a note, unless somebody still has the database open. `file` is that database.
pub(super) fn note(database: &Path, file: &File) -> io::Result<()> {
    // SQLite removes it with the last connection.
    if beside(database, "-wal").exists() {
        return Ok(());
    }
    file.sync_all()?;
    write_new(&note_of(database), describe(&file.metadata()?).as_bytes(), 0o600)
}
