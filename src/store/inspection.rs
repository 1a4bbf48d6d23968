//! Looking a database over without changing it, whether or not a server runs on it.
//!
//! # Limits
//! What is read is one transaction, which holds up no writer. But the log of a running server
//! (`aster.db-wal`) is not begun anew while it lasts: for a gigabyte that is some seconds.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::store::look::{Found, identify};
use crate::store::schema::{BUSY_TIMEOUT, OpenError, VERSION};

/// Faults that are told of; a damaged database can have thousands.
const FAULTS_MAX: usize = 5;

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
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    // A server has it open, or had when it was killed.
    let is_open = || Path::new(&log).exists();
    let was_open = is_open();
    let outcome = inspect_as(file, was_open);
    // A server that started meanwhile changed what was taken for unchanging.
    let is_outdated = outcome.is_err() && !was_open && is_open();
    let outcome = if is_outdated { inspect_as(file, true) } else { outcome };
    outcome.map_err(|error| match error {
        OpenError::Damaged(faults) => {
            let faults = faults.replace('\n', " ");
            format!("damaged: {faults}; leave it as it is, and restore a backup")
        }
        other => other.to_string(),
    })
}

/// Where nobody has it open it is read as what cannot change: else SQLite would make a log for
/// it, and leave it behind, belonging to whoever looks.
fn inspect_as(file: &Path, is_open: bool) -> Result<Option<Inspection>, OpenError> {
    // In a URI all but these could mean something.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    let path = file.as_os_str().as_encoded_bytes().iter().map(|byte| match is_plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let how = if is_open { "mode=ro" } else { "immutable=1" };
    let uri = format!("file:{}?{how}", path.collect::<String>());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let _transaction = connection.unchecked_transaction()?;
    let found = identify(&connection)?;
    if found == Found::Empty {
        return Ok(None);
    }
    let is_ours = matches!(found, Found::Ours(_));
    let faults = list_faults(&connection, is_ours)?;
    if !faults.is_empty() {
        return Err(OpenError::Damaged(faults.join("; ")));
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
    let newest = "SELECT date FROM messages ORDER BY rowid DESC LIMIT 1";
    let backup = "SELECT value FROM settings WHERE name = 'last_backup'";
    let members =
        if is_ours { "SELECT count(*) FROM members" } else { "SELECT count(*) FROM users" };
    Ok(Some(Inspection {
        is_older: found != Found::Ours(VERSION),
        members: number(members)?,
        messages: number("SELECT count(*) FROM messages")?,
        newest_message: number(newest).optional()?,
        last_backup: if is_ours { number(backup).optional()? } else { None },
    }))
}

/// Older servers' columns hold whatever they were given, and their keys name tables that are gone;
/// that breaks nothing.
fn list_faults(connection: &Connection, is_ours: bool) -> rusqlite::Result<Vec<String>> {
    let list = |sql: &str| {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let is_fault =
            |text: &String| text != "ok" && (is_ours || !text.starts_with("NULL value in "));
        rows.filter(|row| row.as_ref().map_or(true, is_fault)).take(FAULTS_MAX).collect()
    };
    let faults: Vec<String> = list("PRAGMA integrity_check")?;
    if !faults.is_empty() || !is_ours {
        return Ok(faults);
    }
    list(
        "SELECT format('rows of %s that refer to %s that are not there: %d', [table], parent,
             count(*)) FROM pragma_foreign_key_check GROUP BY [table], parent",
    )
}
