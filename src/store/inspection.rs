//! Looking a database over without changing it, whether or not a server runs on it.
//!
//! # Limits
//! What is read is one transaction, which holds up no writer. But the log of a running server
//! (`aster.db-wal`) is not begun anew while it lasts: for a gigabyte that is some seconds.

use std::fmt::Write;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::store::schema::{self, BUSY_TIMEOUT, Found, OpenError, VERSION};

/// Problems of one kind that are told of; a damaged database can have thousands.
const PROBLEMS_MAX: usize = 5;

/// What was found. Dates in Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// What is wrong, in words.
    pub problems: Vec<String>,
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
/// none yet. Fails, in words, where it cannot be read at all.
pub(crate) fn inspect(file: &Path) -> Result<Option<Inspection>, String> {
    // The system's reasons are plainer than SQLite's.
    match File::open(file).and_then(|file| file.metadata()) {
        Ok(found) if !found.is_file() => return Err("not a file".to_owned()),
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let is_open = has_log(file);
    let outcome = inspect_as(file, is_open);
    let is_well = matches!(&outcome, Ok(Some(found)) if found.problems.is_empty());
    // A server that started meanwhile changed what was taken for unchanging.
    if is_well || is_open || !has_log(file) { outcome } else { inspect_as(file, true) }
}

/// Whether a server has it open, or had when it was killed.
fn has_log(file: &Path) -> bool {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log).exists()
}

/// Where nobody has it open it is read as what cannot change: else SQLite would make a log for
/// it, and leave it behind, belonging to whoever looks.
fn inspect_as(file: &Path, is_open: bool) -> Result<Option<Inspection>, String> {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => write!(uri, "%{byte:02X}").map_err(|error| error.to_string())?,
        }
    }
    uri.push_str(if is_open { "?mode=ro" } else { "?immutable=1" });
    let look = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(&uri, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let _transaction = connection.unchecked_transaction()?;
        let found = schema::check(&connection)?;
        let Found::Ours(version) = found else { return Ok(None) };
        let mut inspection = Inspection { is_older: version < VERSION, ..Inspection::default() };
        inspection.problems = list_problems(&connection)?;
        if inspection.problems.is_empty() {
            inspection.read(&connection)?;
        }
        Ok(Some(inspection))
    };
    match look() {
        Err(OpenError::Sqlite(error)) if is_damage(&error) => {
            let problems = vec![error.to_string()];
            Ok(Some(Inspection { problems, ..Inspection::default() }))
        }
        outcome => outcome.map_err(|error| error.to_string()),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn list_problems(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = rows.collect::<Result<Vec<_>, _>>()?;
    problems.retain(|problem| problem != "ok");
    if problems.is_empty() {
        let mut statement = connection.prepare(
            "SELECT format('rows of %s that refer to %s that are not there: %d', [table], parent, count(*))
             FROM pragma_foreign_key_check GROUP BY [table], parent",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        problems = rows.collect::<Result<_, _>>()?;
    }
    problems.truncate(PROBLEMS_MAX);
    Ok(problems)
}

impl Inspection {
    fn read(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        self.members = number("SELECT count(*) FROM members")?;
        self.messages = number("SELECT count(*) FROM messages")?;
        self.newest_message =
            number("SELECT date FROM messages ORDER BY seq DESC LIMIT 1").optional()?;
        self.last_backup =
            number("SELECT value FROM settings WHERE name = 'last_backup'").optional()?;
        Ok(())
    }
}
