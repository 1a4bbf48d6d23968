//! Looking at a database before anything touches it: whose it is, and whether it is whole.
//!
//! SQLite writes also for those who only read: it makes side files, and who closes last folds the
//! journal in. So this looks through a second name of the file, in a folder of its own, beside
//! copies of the journals. A database that is refused keeps every byte, and so do its side files.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::files::beside;
use crate::log;
use crate::store::schema::{
    APPLICATION_ID, BUSY_TIMEOUT, INIT, OpenError, VERSION, refuse_foreign_log,
};
use crate::store::seen::find_seen;

/// Looks at most, while others are writing; and how long the next one waits.
const LOOKS_MAX: u32 = 5;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// SQLite's steps between two looks at the clock: milliseconds.
const CHECK_STEPS: i32 = 10_000;
/// A database is one page at least, and that is the smallest.
const DATABASE_BYTES_MIN: u64 = 512;
/// Faults that are told of; a damaged database can have thousands.
const FAULTS_MAX: usize = 5;
/// The newest version of older servers' databases.
const OLDER_VERSION_MAX: i64 = 5;
/// What older servers' databases have had from the first on.
const OLDER_COLUMNS: [(&str, &[&str]); 3] = [
    ("users", &["uuid", "name", "pfp", "password"]),
    ("channels", &["uuid", "name"]),
    ("messages", &["uuid", "content", "author_uuid", "channel_uuid", "date"]),
];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// A database of ours with this schema, up to the newest.
    Ours(i64),
    /// A database of an older server, as its `version` table says; 0 without one.
    Older(i64),
}

/// What the file holds. Fails on a database that is not ours, newer or damaged; changes nothing.
/// Whether it is whole is looked at for so long; what takes longer is taken for whole, and so is
/// what a server closed in order.
pub(super) fn look(file: &Path, timeout: Duration) -> Result<Found, OpenError> {
    let file = file.canonicalize().map_err(OpenError::Io)?;
    if find_seen(&file).is_some() {
        return Ok(Found::Ours(VERSION));
    }
    for _ in 1..LOOKS_MAX {
        let before = stamps(&file);
        let outcome = look_once(&file, timeout);
        // Whoever writes meanwhile can make anything of what is seen here.
        if outcome.is_ok() || before == stamps(&file) {
            return outcome;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    look_once(&file, timeout)
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// By what one can tell that somebody wrote to the database.
fn stamps(file: &Path) -> [Option<(u64, SystemTime)>; 3] {
    ["", "-wal", "-journal"].map(|end| {
        let metadata = fs::metadata(beside(file, end)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

fn look_once(file: &Path, timeout: Duration) -> Result<Found, OpenError> {
    let Some(view) = View::open(file)? else { return Ok(Found::Empty) };
    let found = identify(&view.connection)?;
    check_whole(&view.connection, found, timeout)?;
    Ok(found)
}

/// A connection that reads a database of which nobody else has a connection, through another name.
pub(super) struct View {
    pub(super) connection: Connection,
    /// Last, since fields are dropped in their order.
    _folder: Folder,
}

impl View {
    /// `None` where there is nothing in it yet.
    pub(super) fn open(file: &Path) -> Result<Option<Self>, OpenError> {
        let (wal, journal) = (beside(file, "-wal"), beside(file, "-journal"));
        match bytes(file) {
            0 if bytes(&wal) == 0 => return Ok(None),
            0 => return Err(OpenError::Damaged("it is empty, but its -wal is not".to_owned())),
            // SQLite would take it for empty.
            1..DATABASE_BYTES_MIN => return Err(OpenError::Foreign),
            DATABASE_BYTES_MIN.. => {}
        }
        refuse_foreign_log(file)?;
        let folder = Folder::make(beside(file, ".look")).map_err(OpenError::Io)?;
        let shown = folder.shown();
        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        if bytes(&journal) > 0 {
            // What a crash left half done has to be undone before anything can be told.
            fs::copy(&journal, beside(&shown, "-journal")).map_err(OpenError::Io)?;
            fs::copy(file, &shown).map_err(OpenError::Io)?;
            flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        } else if fs::hard_link(file, &shown).is_err() {
            // Not every file system can.
            fs::copy(file, &shown).map_err(OpenError::Io)?;
        }
        if bytes(&wal) > 0 {
            fs::copy(&wal, beside(&shown, "-wal")).map_err(OpenError::Io)?;
        }
        let connection =
            Connection::open_with_flags(&shown, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Some(Self { connection, _folder: folder }))
    }
}

/// What a database is. Fails on one that is not ours, or newer; changes nothing.
pub(super) fn identify(connection: &Connection) -> Result<Found, OpenError> {
    // In one statement, so that it is of one commit: somebody may be making it just now.
    let all = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
               FROM pragma_application_id, pragma_user_version";
    let (application_id, version, tables) = connection.query_row(all, [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let application_id = u32::try_from(application_id).unwrap_or(u32::MAX);
    match (application_id, version) {
        (APPLICATION_ID, 1..=VERSION) => Ok(Found::Ours(version)),
        (APPLICATION_ID, newer) if newer > VERSION => Err(OpenError::Newer(newer)),
        (0, 0) if tables == 0 => Ok(Found::Empty),
        (0, 0) => identify_older(connection),
        _ => Err(OpenError::Foreign),
    }
}

fn identify_older(connection: &Connection) -> Result<Found, OpenError> {
    for (table, needed) in OLDER_COLUMNS {
        let columns = list_columns(connection, table)?;
        if !needed.iter().all(|column| columns.iter().any(|there| there == column)) {
            return Err(OpenError::Foreign);
        }
    }
    if list_columns(connection, "version")?.is_empty() {
        return Ok(Found::Older(0));
    }
    let newest = "SELECT CAST(coalesce(max(version), 0) AS INTEGER) FROM version";
    match connection.query_row(newest, [], |row| row.get(0))? {
        version @ 0..=OLDER_VERSION_MAX => Ok(Found::Older(version)),
        version => Err(OpenError::UnknownOlder(version)),
    }
}

/// The names of a table's columns; none where there is no such table.
pub(super) fn list_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// Fails where the database is found broken within that time.
fn check_whole(connection: &Connection, found: Found, timeout: Duration) -> Result<(), OpenError> {
    let deadline = Instant::now() + timeout;
    connection.progress_handler(CHECK_STEPS, Some(move || Instant::now() > deadline));
    match list_faults(connection, found) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            let seconds = timeout.as_secs();
            log::line(format_args!("the database was checked for {seconds} s, and not to its end"));
            Ok(())
        }
        faults => match faults?.into_iter().next_back() {
            Some(fault) => Err(OpenError::Damaged(fault)),
            None => Ok(()),
        },
    }
}

/// What is broken in a database: in SQLite's words, or rows, tables and columns that are not there.
/// The first few faults.
pub(super) fn list_faults(connection: &Connection, found: Found) -> rusqlite::Result<Vec<String>> {
    let list = |sql: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        // Older servers' columns hold whatever they were given; that breaks nothing.
        let is_fault = |text: &String| text != "ok" && !text.starts_with("NULL value in ");
        rows.filter(|row| row.as_ref().map_or(true, is_fault)).take(FAULTS_MAX).collect()
    };
    let mut faults = list("PRAGMA integrity_check")?;
    // Nor do older servers' keys, that name tables which are gone.
    let Found::Ours(version) = found else { return Ok(faults) };
    if faults.is_empty() && version == VERSION {
        let newest = Connection::open_in_memory()?;
        newest.execute_batch(INIT)?;
        for (table, columns) in list_tables(&newest)? {
            let there = list_columns(connection, &table)?;
            let missing = columns.iter().filter(|column| !there.contains(column));
            faults.extend(missing.map(|column| format!("there is no {table}.{column}")));
        }
    }
    if faults.is_empty() {
        faults = list(
            "SELECT format('rows of %s that refer to %s that are not there: %d', [table], parent,
                 count(*)) FROM pragma_foreign_key_check GROUP BY [table], parent",
        )?;
    }
    Ok(faults)
}

/// All tables with their columns.
fn list_tables(connection: &Connection) -> rusqlite::Result<Vec<(String, Vec<String>)>> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    names
        .map(|name| name.and_then(|name| Ok((name.clone(), list_columns(connection, &name)?))))
        .collect()
}

/// A folder to look in, gone when this is dropped. Whoever looks holds the server's lock, so there
/// is one at a time.
struct Folder(PathBuf);

impl Folder {
    /// In place of one that a killed process left behind.
    fn make(path: PathBuf) -> io::Result<Self> {
        let folder = Self(path);
        folder.remove();
        let made = DirBuilder::new().mode(0o700).create(&folder.0);
        made.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", folder.0.display()))
        })?;
        Ok(folder)
    }

    fn shown(&self) -> PathBuf {
        self.0.join("db")
    }

    /// With what was put there, and nothing else.
    fn remove(&self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            fs::remove_file(beside(&self.shown(), end)).ok();
        }
        fs::remove_dir(&self.0).ok();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_ends_with_its_time() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x NOT NULL);
                 WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 50000)
                 INSERT INTO t SELECT iif(n < 50000, CAST(n AS TEXT), n) FROM n;
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x TEXT NOT NULL) STRICT';
                 PRAGMA writable_schema = RESET;",
            )
            .unwrap();
        // The last row is wrong for a strict column of text: seen, where there is time.
        assert!(matches!(
            check_whole(&connection, Found::Older(0), Duration::from_secs(60)),
            Err(OpenError::Damaged(_))
        ));
        assert!(check_whole(&connection, Found::Older(0), Duration::ZERO).is_ok());
    }
}
