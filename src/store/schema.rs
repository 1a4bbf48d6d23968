//! Opening the database: whose it is, its first making, the connection's settings.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::id::{draw_uuid, now_ms};
use crate::store::{Location, migrations};

const INIT: &str = include_str!("../../init.sql");
/// `PRAGMA application_id` of our databases, as in `init.sql`.
const APPLICATION_ID: i64 = 0x4173_7472;
/// `PRAGMA user_version` of the newest schema, as in `init.sql`.
pub(super) const VERSION: i64 = 2;
/// How long a statement waits for another process (the owner's command line).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server waits for the lock, and how often it looks.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// More than there are distinct statements, so that each is compiled once per connection.
const STATEMENTS_CACHED: usize = 128;

/// Why a database cannot be opened.
pub(super) enum OpenError {
    Sqlite(rusqlite::Error),
    Io(std::io::Error),
    /// Another server has it.
    InUse,
    /// A database of something else, or of an older server.
    Foreign,
    /// A database of a newer server.
    Newer(i64),
    /// A database of an older server of ours, which is running.
    InUseByOlder(i64),
    /// The copy that is set aside before a migration could not be made.
    Copy(String),
    /// What SQLite's own check found.
    Damaged(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(formatter),
            Self::Io(error) => error.fmt(formatter),
            Self::InUse => formatter.write_str("another server is using it"),
            Self::Foreign => formatter.write_str("not a database of this server"),
            Self::Newer(version) => {
                write!(formatter, "schema {version} is newer than this program's {VERSION}")
            }
            Self::InUseByOlder(version) => {
                write!(formatter, "a server with schema {version} is using it; restart that one")
            }
            Self::Damaged(faults) => write!(formatter, "damaged: {faults}"),
            Self::Copy(problem) => write!(formatter, "no copy could be set aside: {problem}"),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The lock that keeps a second server from the same file, for as long as it is held: the two
/// would not tell each other's clients anything.
///
/// *Invariant:* dropped after every connection of this process to the file. Closing any
/// descriptor of a file gives up the locks that SQLite has on it.
pub(super) struct ServerLock(#[expect(dead_code, reason = "held, never used")] File);

/// Takes the lock, making the file if it is not there. Nothing to lock in memory. Waits a
/// moment for an errand that has it because the schema is not in place yet.
pub(super) fn lock(location: &Location) -> Result<Option<ServerLock>, OpenError> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match try_lock(location) {
            Err(OpenError::InUse) if Instant::now() < deadline => thread::sleep(LOCK_INTERVAL),
            outcome => return outcome,
        }
    }
}

fn try_lock(location: &Location) -> Result<Option<ServerLock>, OpenError> {
    let Location::File(path) = location else { return Ok(None) };
    // It holds password hashes: for its owner only. SQLite's side files follow it.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(OpenError::Io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(ServerLock(file))),
        Err(Errno::WOULDBLOCK) => Err(OpenError::InUse),
        Err(error) => Err(OpenError::Io(error.into())),
    }
}

/// The writing connection, with the newest schema in place.
///
/// *Order:* for whoever holds the lock only.
pub(super) fn open(location: &Location) -> Result<Connection, OpenError> {
    let mut connection = connect_writer(location)?;
    match check(&connection)? {
        Found::Empty => {
            configure(&connection)?;
            create(&mut connection)?;
        }
        Found::Ours(VERSION) => configure(&connection)?,
        Found::Ours(version) => {
            configure(&connection)?;
            migrations::run(&mut connection, location, version)?;
        }
    }
    Ok(connection)
}

/// For an errand beside a server: sees to it that the newest schema is in place, as a server would
/// at its start, unless one that is starting does. Takes the lock only where that is to be done.
pub(super) fn prepare(location: &Location) -> Result<(), OpenError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let is_there = matches!(location, Location::File(path) if path.exists());
        // Order: connections are closed before the lock is taken, and before it is given back.
        if is_there && matches!(check(&connect_writer(location)?)?, Found::Ours(VERSION)) {
            return Ok(());
        }
        match try_lock(location) {
            Ok(lock) => {
                drop(open(location)?);
                drop(lock);
                return Ok(());
            }
            Err(OpenError::InUse) if Instant::now() < deadline => thread::sleep(LOCK_INTERVAL),
            // Whoever has it runs on an older schema: `open_newest` says so.
            Err(OpenError::InUse) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The writing connection, where the newest schema is in place already.
pub(super) fn open_newest(location: &Location) -> Result<Connection, OpenError> {
    let connection = connect_writer(location)?;
    match check(&connection)? {
        Found::Ours(VERSION) => configure(&connection)?,
        Found::Ours(version) => return Err(OpenError::InUseByOlder(version)),
        Found::Empty => return Err(OpenError::Foreign),
    }
    Ok(connection)
}

fn connect_writer(location: &Location) -> rusqlite::Result<Connection> {
    connect(location, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// *Order:* the journal's mode is set only on a database that is ours or new.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// One more connection, which cannot write.
pub(super) fn open_reader(location: &Location) -> rusqlite::Result<Connection> {
    let connection = connect(
        location,
        match location {
            Location::File(_) => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            // A read-only connection to memory would be to nothing.
            Location::Memory => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        },
    )?;
    connection.pragma_update(None, "query_only", true)?;
    // Opens what SQLite would open at the first use, when no descriptor may be left.
    connection.query_row("SELECT count(*) FROM channels", [], |_| Ok(()))?;
    Ok(connection)
}

fn connect(location: &Location, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = match location {
        Location::File(_) => flags,
        Location::Memory => flags | OpenFlags::SQLITE_OPEN_URI,
    };
    let connection = Connection::open_with_flags(location.path(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(connection)
}

/// What a file holds.
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// A database of ours with this schema, up to the newest.
    Ours(i64),
}

/// Fails on a database that is not ours, or newer; changes nothing.
pub(super) fn check(connection: &Connection) -> Result<Found, OpenError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application_id, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application_id, version) {
        (APPLICATION_ID, 1..=VERSION) => Ok(Found::Ours(version)),
        (APPLICATION_ID, newer) if newer > VERSION => Err(OpenError::Newer(newer)),
        (0, 0) if tables == 0 => Ok(Found::Empty),
        _ => Err(OpenError::Foreign),
    }
}

/// The newest schema and the first channel, together or not at all (protocol section 6).
fn create(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(INIT)?;
    let uuid =
        draw_uuid(now_ms()).map_err(|problem| OpenError::Io(std::io::Error::other(problem)))?;
    transaction.execute(
        "INSERT INTO channels (uuid, name, position) VALUES (?1, 'general', 0)",
        params![uuid as i64],
    )?;
    Ok(transaction.commit()?)
}
