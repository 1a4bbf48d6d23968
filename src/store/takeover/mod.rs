//! Taking over the database of an older server: a copy is set aside, then the newest schema takes
//! the place of the older tables and is filled from the copy, in one transaction on the file itself.
//!
//! SQLite's own locks and journal keep it whole that way: killed at any moment, the next start
//! finds the older database as it was, or the new one. A new file renamed over the old one would
//! not do: an older server that still has the old one open would go on in it, unseen, and a
//! journal that it left behind would be taken for the new one's.
//!
//! # What does not fit
//! Nothing that a member could see is left out, unless it would break their clients: names are
//! mended, unreadable pictures dropped, and what gone authors said is kept under a name of their
//! own. How many there were is logged.

mod community;
mod mending;
mod rows;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::log;
use crate::store::look::{Found, identify};
use crate::store::schema::{BUSY_TIMEOUT, INIT, OpenError};
use crate::store::takeover::rows::{Counts, Older};

/// Pages kept in memory meanwhile: uuids are in no order, so that each new one goes elsewhere in their
/// index.
const CACHE_KIB: i64 = 64 << 10;
/// Compared at a time, when a copy may be there already.
const COMPARED_BYTES: usize = 1 << 16;

/// Names in one line of the log.
const NAMES_MAX: i64 = 50;

/// Takes over what `file` holds. `locked` is that file, open for as long as the process holds the
/// server's lock.
pub(super) fn run(file: &Path, locked: &File, version: i64) -> Result<(), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Takes in what a server that crashed left in a journal. Fails while another is at work.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Theirs may name tables that are gone.
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if identify(&transaction)? != Found::Older(version) {
        return Err(OpenError::InUse);
    }
    let failed = |error: io::Error| OpenError::Copy(error.to_string());
    let copy = set_aside(file, locked).map_err(failed)?;
    let older = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    drop_tables(&transaction)?;
    transaction.execute_batch(INIT)?;
    let mut rows = Older::new(&older, &transaction);
    rows.take_over()?;
    let Older { taken, mended, .. } = rows;
    transaction.commit()?;
    // It holds password hashes. Somebody else's file is theirs to open and close.
    locked.set_permissions(Permissions::from_mode(0o600)).ok();

    let list = |counts: Counts| {
        let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        counts.join(", ")
    };
    let which = if version == 0 { "0 (the oldest)".to_owned() } else { version.to_string() };
    log::line(format_args!(
        "taken over from an older server's database, version {which}: {}; a copy of it is {}",
        list(taken),
        copy.display()
    ));
    if !mended.is_empty() {
        log::line(format_args!("in taking over: {}", list(mended)));
    }
    let open = list_without_password(&connection)?;
    if !open.is_empty() {
        log::line(format_args!(
            "without a password, which whoever logs in first sets: {}; `aster-server passwd NAME` \
             sets it before",
            open.join(", ")
        ));
    }
    // Pages that the older server had freed still hold what they held. No harm where there is no
    // room for that.
    connection.execute_batch("VACUUM").ok();
    Ok(())
}

/// Members whose first login sets their password, as far as a line holds them.
fn list_without_password(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT iif(EXISTS (SELECT 1 FROM member_groups WHERE member_uuid = uuid),
               name || ' (in a group)', name) FROM members WHERE password = '' LIMIT ?1";
    connection.prepare(sql)?.query_map([NAMES_MAX], |row| row.get(0))?.collect()
}

/// Everything but SQLite's own.
fn drop_tables(connection: &Connection) -> rusqlite::Result<()> {
    let names: Vec<(String, String)> = connection
        .prepare(
            "SELECT type, name FROM sqlite_schema
             WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             ORDER BY rootpage",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (kind, name) in names {
        connection
            .execute_batch(&format!("DROP {kind} IF EXISTS \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}

/// A copy beside the file, byte by byte and on disk, for its owner only: `aster.db.older`, or with
/// a number behind it where that is something else. One that is the same, of a takeover that was
/// interrupted, is as good.
///
/// *Order:* the transaction is open, so nobody writes. The copy is read through the descriptor
/// that is open anyway: closing another one would give up SQLite's locks.
fn set_aside(file: &Path, locked: &File) -> io::Result<PathBuf> {
    let named = |end: String| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let draft = named(".older.new".to_owned());
    let mut number = 0;
    let copy = loop {
        let copy =
            named(if number == 0 { ".older".to_owned() } else { format!(".older.{number}") });
        if !copy.exists() {
            break copy;
        }
        if is_same(locked, &File::open(&copy)?)? {
            return Ok(copy);
        }
        number += 1;
    };
    // Left behind by a start that was killed.
    fs::remove_file(&draft).ok();
    let mut options = OpenOptions::new();
    let written =
        options.write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut draft| {
            let mut source = locked;
            source.rewind()?;
            io::copy(&mut source, &mut draft)?;
            draft.sync_all()
        });
    if let Err(error) = written.and_then(|()| fs::rename(&draft, &copy)) {
        fs::remove_file(&draft).ok();
        return Err(error);
    }
    let folder = copy.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(copy)
}

fn is_same(mut one: &File, mut other: &File) -> io::Result<bool> {
    let mut left = one.metadata()?.len();
    if left != other.metadata()?.len() {
        return Ok(false);
    }
    one.rewind()?;
    let (mut ours, mut theirs) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    while left > 0 {
        let next = usize::try_from(left).unwrap_or(COMPARED_BYTES).min(COMPARED_BYTES);
        ours.truncate(next);
        theirs.truncate(next);
        one.read_exact(&mut ours)?;
        other.read_exact(&mut theirs)?;
        if ours != theirs {
            return Ok(false);
        }
        left -= next as u64;
    }
    Ok(true)
}
