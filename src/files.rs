//! Files that are made whole or not at all, and go for good.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The name of a file that stands beside another: its own name and an ending.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes a file that is not there yet: whole and on disk, or not at all. `mode` is its
/// permissions. Fails with `AlreadyExists` rather than write over one that is there.
pub(crate) fn write_new(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if file.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut draft = file.as_os_str().to_owned();
    // Of this process alone: another may be at its first start, too.
    draft.push(format!(".{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    let mut handle = options.write(true).create_new(true).mode(mode).open(&draft)?;
    let written = handle.write_all(bytes).and_then(|()| handle.sync_all());
    let outcome = written.and_then(|()| fs::rename(&draft, file));
    match &outcome {
        Ok(()) => sync_name(file),
        Err(_) => drop(fs::remove_file(&draft)),
    }
    outcome
}

/// Removes a file, from the disk too. One that is not there is fine.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Ok(()) => sync_name(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// A name is on disk once its folder is. Some file systems have no such call, and need none.
fn sync_name(file: &Path) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).ok();
}
