//! The backup: a copy beside the file it is to become, checked, then put in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::admin::Failure;
use crate::config::Config;
use crate::date::counted;
use crate::error::Refusal;
use crate::files::beside;
use crate::id::now_s;
use crate::log;
use crate::store::{Counts, Head, SEEN_ENDING, Source};

/// What SQLite keeps beside a database.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Backs the database up to `file`, in place of an older backup but of nothing else.
pub(super) fn back_up(config: &Config, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let refused = |problem: &str| Failure::Refused(format!("{shown}: {problem}"));
    let failed = |error: io::Error| refused(&error.to_string());
    let file = resolve(file).map_err(failed)?;
    let draft = beside(&file, ".draft");
    let database = &config.database_file;
    let in_use = SIDE_FILES.iter().chain(&[SEEN_ENDING]).map(|ending| beside(database, ending));
    let in_use =
        in_use.chain([&config.certificate_chain, &config.private_key, database].map(Clone::clone));
    for used in in_use {
        if is_same(&used, &file) || is_same(&used, &draft) {
            return Err(refused("the server itself uses this file"));
        }
    }
    // SQLite would lay what stands in them over the backup.
    let sides = SIDE_FILES.iter().map(|ending| beside(&file, ending));
    if let Some(side) = sides.into_iter().find(|side| side.exists()) {
        let problem = format!("remove {} first; it is of another database", side.display());
        return Err(refused(&problem));
    }
    if file.exists() && !Head::read(&file).map_err(failed)?.is_ours() {
        return Err(refused("there is something else; it is left as it is"));
    }

    let source = Source::open(database)?;
    let handle = create_draft(&draft).map_err(failed)?;
    let copied = source.copy_into(&draft, &handle).and_then(|counts| {
        let size = handle.metadata().map_err(Refusal::internal)?.len();
        fs::rename(&draft, &file).map_err(Refusal::internal)?;
        Ok((counts, size))
    });
    let (counts, size) = copied.map_err(|refusal| {
        fs::remove_file(&draft).ok();
        refused(&format!("no backup was made: {}", Failure::from(refusal)))
    })?;
    let folder = file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all());
    folder.map_err(failed)?;
    let Counts { members, channels, messages } = counts;
    log::answer(format_args!(
        "{shown}: whole and checked: {}, {}, {}, {size} bytes",
        counted(members, "member"),
        counted(channels, "channel"),
        counted(messages, "message"),
    ));
    source.note_backup(now_s()).map_err(|refusal| {
        refused(&format!(
            "is whole, but the database could not note it: {}",
            Failure::from(refusal)
        ))
    })
}

/// Where a file is or will be, links followed.
fn resolve(file: &Path) -> io::Result<PathBuf> {
    let is_folder = file.as_os_str().as_encoded_bytes().ends_with(b"/");
    match (fs::canonicalize(file), file.file_name()) {
        // Neither there nor a link to nowhere.
        (Err(error), Some(name))
            if error.kind() == ErrorKind::NotFound
                && !is_folder
                && file.symlink_metadata().is_err() =>
        {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(fs::canonicalize(folder.unwrap_or(Path::new(".")))?.join(name))
        }
        (outcome, _) => outcome,
    }
}

/// Whether two names are of one file, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |file: &Path| fs::metadata(file).ok().map(|file| (file.dev(), file.ino()));
    resolve(one).is_ok_and(|one| one == *other)
        || identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// The draft, new, for its owner only, and this process's own while the handle is open.
fn create_draft(draft: &Path) -> io::Result<File> {
    remove_leftover(draft)?;
    let mut options = OpenOptions::new();
    let handle = match options.read(true).write(true).create_new(true).mode(0o600).open(draft) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(is_at_work()),
        outcome => outcome?,
    };
    lock(&handle, draft)?;
    Ok(handle)
}

/// Removes what a backup left behind that was killed.
fn remove_leftover(draft: &Path) -> io::Result<()> {
    // Whatever stands there, it is not followed and not waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    match options.read(true).custom_flags(flags.bits() as i32).open(draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => {
            let leftover = outcome?;
            lock(&leftover, draft)?;
            fs::remove_file(draft)
        }
    }
}

/// *Invariant:* only who has the lock on what the name stands for renames or removes it.
fn lock(handle: &File, draft: &Path) -> io::Result<()> {
    match flock(handle, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Err(is_at_work()),
        outcome => outcome?,
    }
    let named = fs::symlink_metadata(draft).ok().map(|named| named.ino());
    if named == Some(handle.metadata()?.ino()) { Ok(()) } else { Err(is_at_work()) }
}

fn is_at_work() -> io::Error {
    io::Error::other("another backup to it is at work")
}
