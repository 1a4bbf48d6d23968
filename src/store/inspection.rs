//! Looking a database over without changing it, whether or not a server runs on it.
//!
//! # Limits
//! What is read is one transaction, which holds up no writer. But the log of a running server
//! (`aster.db-wal`) is not begun anew while it lasts: for a gigabyte that is some seconds.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::store::Location;
use crate::store::look::{Found, View, identify, list_faults};
use crate::store::schema::{self, BUSY_TIMEOUT, OpenError, VERSION};
use crate::store::seen;

/// What a whole database holds. Dates in Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// Whether the next start will bring an older schema up to date.
    pub is_older: bool,
    /// Accounts.
    pub members: i64,
    /// Messages, of all channels.
    pub messages: i64,
    /// When the newest message was sent, by the clock of then.
    pub newest_message: Option<i64>,
    /// When the last backup was made.
    pub last_backup: Option<i64>,
}

/// Looks the database over: whose it is, whether it is whole, what it holds. `None` where there is
/// none yet. Fails, in words, where it is not ours, not whole, or cannot be read.
pub(crate) fn inspect(file: &Path) -> Result<Option<Inspection>, String> {
    // The system's reasons are plainer than SQLite's.
    match File::open(file).and_then(|file| file.metadata()) {
        Ok(found) if !found.is_file() => return Err("not a file".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    // One that starts meanwhile makes another of what was seen.
    let outcome = inspect_as(file).or_else(|error| match is_in_use(file) {
        Ok(true) => inspect_as(file),
        Ok(false) | Err(_) => Err(error),
    });
    outcome.map_err(|error| match error {
        OpenError::Damaged(faults) => {
            // The next start is to see for itself.
            file.canonicalize().and_then(|file| seen::forget(&file)).ok();
            let faults = faults.replace('\n', " ");
            format!("damaged: {faults}; leave it as it is, and restore a backup")
        }
        other => other.to_string(),
    })
}

/// A server that runs is no more in the way than one more reader. Where there is none SQLite would
/// change something, or miss what a crash left half done.
fn inspect_as(file: &Path) -> Result<Option<Inspection>, OpenError> {
    if !is_in_use(file)? {
        return View::open(file)?.map(|view| inspect_connection(&view.connection)).transpose();
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    inspect_connection(&connection).map(Some)
}

fn inspect_connection(connection: &Connection) -> Result<Inspection, OpenError> {
    let _transaction = connection.unchecked_transaction()?;
    let found = identify(connection)?;
    let faults = list_faults(connection, found)?;
    if !faults.is_empty() {
        return Err(OpenError::Damaged(faults.join("; ")));
    }
    if found == Found::Empty {
        return Ok(Inspection::default());
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
    let newest = "SELECT date FROM messages ORDER BY rowid DESC LIMIT 1";
    let backup = "SELECT value FROM settings WHERE name = 'last_backup'";
    let is_ours = matches!(found, Found::Ours(_));
    let members =
        if is_ours { "SELECT count(*) FROM members" } else { "SELECT count(*) FROM users" };
    Ok(Inspection {
        is_older: found != Found::Ours(VERSION),
        members: number(members)?,
        messages: number("SELECT count(*) FROM messages")?,
        newest_message: number(newest).optional()?,
        last_backup: if is_ours { number(backup).optional()? } else { None },
    })
}

fn is_in_use(file: &Path) -> Result<bool, OpenError> {
    schema::is_in_use(&Location::File(file.to_owned()))
}
