//! Opening the database: whose it is, its first making, the connection's settings.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::files::beside;
use crate::id::{draw_uuid, now_ms};
use crate::log;
use crate::store::head::Head;
use crate::store::look::{Found, identify, look};
use crate::store::seen::{self, Seen, find_seen};
use crate::store::{Location, migrations, takeover};

pub(super) const INIT: &str = include_str!("../../init.sql");
/// `PRAGMA application_id` of our databases, as in `init.sql`.
pub(super) const APPLICATION_ID: u32 = 0x4173_7472;
/// `PRAGMA user_version` of the newest schema, as in `init.sql`.
pub(super) const VERSION: i64 = 4;
/// How long a statement waits for another process (the owner's command line).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What is said when it was in vain.
pub(super) const BUSY: &str = "another program holds the database; try again";
/// How long a server waits for the lock, and how often it looks.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// How long a database is looked through before a server starts on it, and before an errand, which
/// is not to keep a server from the lock.
const SERVER_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
const ERRAND_CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// More than there are distinct statements, so that each is compiled once per connection.
const STATEMENTS_CACHED: usize = 128;

/// Why a database cannot be opened.
pub(super) enum OpenError {
    Sqlite(rusqlite::Error),
    Io(std::io::Error),
    /// Another server has it.
    InUse,
    /// Another program has it, for longer than one waits.
    Busy,
    /// A file of something else.
    Foreign,
    /// SQLite finds it broken, in these words.
    Damaged(String),
    /// A database of a newer server.
    Newer(i64),
    /// A database of an older server, of a version that it never had.
    UnknownOlder(i64),
    /// A database of an older server of ours, which is running.
    InUseByOlder(i64),
    /// A database of an older server, which the next start takes over.
    NotTakenOver,
    /// A copy that was put back beside the log of what was there before.
    ForeignLog,
    /// The copy that is set aside before a migration could not be made.
    Copy(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(formatter),
            Self::Io(error) => error.fmt(formatter),
            Self::InUse => formatter.write_str("another server is using it"),
            Self::Busy => formatter.write_str(BUSY),
            Self::Foreign => formatter.write_str(
                "not a database of this server, and left as it is; if it was one, restore a backup",
            ),
            Self::Damaged(problem) => write!(
                formatter,
                "damaged, and left as it is; restore a backup, or see what `aster-server check` \
                 says ({problem})"
            ),
            Self::UnknownOlder(version) => {
                write!(
                    formatter,
                    "no older server's version {version} is known; it is left as it is"
                )
            }
            Self::Newer(version) => {
                write!(
                    formatter,
                    "schema {version} is newer than this program's {VERSION}; it is left as it is, \
                     start a newer program"
                )
            }
            Self::InUseByOlder(version) => {
                write!(formatter, "a server with schema {version} is using it; restart that one")
            }
            Self::NotTakenOver => formatter.write_str(
                "an older server's; the next start takes it over, and sets a copy aside",
            ),
            Self::ForeignLog => formatter.write_str(
                "a backup that was put back; remove the files ending in -wal and -shm beside it",
            ),
            Self::Copy(problem) => write!(formatter, "no copy could be set aside: {problem}"),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}

/// The lock that keeps a second server from the same file, for as long as it is held: the two
/// would not tell each other's clients anything.
///
/// *Invariant:* dropped after every connection of this process to the file. Closing any
/// descriptor of a file gives up the locks that SQLite has on it.
pub(super) struct ServerLock {
    handle: File,
    /// Its name without links, beside which SQLite keeps its own files.
    file: PathBuf,
    /// Whether what is there was looked through, or made, by whoever holds the lock.
    is_seen: bool,
    /// As of which `data_version` of the writing connection nothing was left of what was deleted.
    pub(super) wiped_at: Option<i64>,
}

impl ServerLock {
    /// Leaves a note for the next start that all is well, and whether nothing is left of what was
    /// deleted.
    ///
    /// *Order:* once every connection of this process is closed.
    pub(super) fn note_seen(&self, is_wiped: bool) {
        if self.is_seen {
            // Without it the next start looks, no more.
            seen::note(&self.file, &self.handle, Seen { is_wiped }).ok();
        }
    }
}

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
    let handle = options.open(path).map_err(OpenError::Io)?;
    let file = path.canonicalize().map_err(OpenError::Io)?;
    match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(ServerLock { handle, file, is_seen: false, wiped_at: None })),
        Err(Errno::WOULDBLOCK) => Err(OpenError::InUse),
        Err(error) => Err(OpenError::Io(error.into())),
    }
}

/// The writing connection for a server, with the newest schema in place.
///
/// *Order:* for whoever holds the lock only.
pub(super) fn open(
    location: &Location,
    mut lock: Option<&mut ServerLock>,
) -> Result<Connection, OpenError> {
    if let (Location::File(file), Some(lock)) = (location, &mut lock) {
        lock.is_seen = look_over(file, lock, SERVER_CHECK_TIMEOUT)?;
    }
    let connection = bring_up(location)?;
    if let Some(lock) = lock {
        // Order: first the version, then the file. What others write is seen in one or the other.
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        lock.wiped_at = find_seen(&lock.file).filter(|seen| seen.is_wiped).map(|_| version);
        // Order: before anything is written; where the note is right, nothing was.
        seen::forget(&lock.file).map_err(OpenError::Io)?;
    }
    Ok(connection)
}

/// Looks at what is there, and takes it over where it is an older server's. Whether there was room to.
///
/// *Order:* nothing may be touched before.
fn look_over(file: &Path, lock: &ServerLock, timeout: Duration) -> Result<bool, OpenError> {
    match look(file, timeout) {
        Ok(Found::Older(version)) => takeover::run(file, &lock.handle, version)?,
        Ok(Found::Empty | Found::Ours(_)) => {}
        // A server that a full disk or a power cut ended is to read again, at least.
        Err(OpenError::Io(error)) if is_full(&error) && is_ours(file) => {
            log::line("no room to look the database over before it is opened");
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// The writing connection, the newest schema put in place.
fn bring_up(location: &Location) -> Result<Connection, OpenError> {
    let mut connection = connect_writer(location)?;
    match identify(&connection)? {
        Found::Empty => {
            configure(&connection)?;
            create(&mut connection)?;
        }
        Found::Ours(VERSION) => configure(&connection)?,
        Found::Ours(version) => {
            configure(&connection)?;
            migrations::run(&mut connection, location, version)?;
        }
        Found::Older(_) => return Err(OpenError::Foreign),
    }
    Ok(connection)
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// *Order:* before this process has a connection to the file.
fn is_ours(file: &Path) -> bool {
    Head::read(file).is_ok_and(|head| head.is_ours())
}

/// For an errand beside a server: sees to it that the newest schema is in place, as a server would
/// at its start, unless there is one, or one that is starting does.
pub(super) fn prepare(location: &Location) -> Result<(), OpenError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match try_lock(location) {
            Ok(lock) => {
                if let (Location::File(file), Some(lock)) = (location, &lock) {
                    look_over(file, lock, ERRAND_CHECK_TIMEOUT)?;
                }
                // Order: the connection is closed before the lock is given back.
                drop(bring_up(location)?);
                drop(lock);
                return Ok(());
            }
            Err(OpenError::InUse) => {}
            Err(error) => return Err(error),
        }
        // Order: a connection is closed before the lock is tried again.
        let found = identify(&connect_writer(location)?);
        // Whoever has it runs on an older schema, or does not get ready: `open_newest` says so.
        if matches!(found, Ok(Found::Ours(VERSION))) || Instant::now() > deadline {
            return Ok(());
        }
        thread::sleep(LOCK_INTERVAL);
    }
}

/// The writing connection, whatever schema of ours it has.
pub(super) fn open_any(location: &Location) -> Result<Connection, OpenError> {
    if let (Location::File(file), false) = (location, is_in_use(location)?) {
        // Order: nothing may be touched before it was looked at, whatever is done to it then.
        look(file, ERRAND_CHECK_TIMEOUT)?;
    }
    let connection = connect_writer(location)?;
    match identify(&connection)? {
        Found::Ours(_) => Ok(connection),
        Found::Older(_) => Err(OpenError::NotTakenOver),
        Found::Empty => Err(OpenError::Foreign),
    }
}

/// Whether a server has it, or an errand that brings the schema up to date.
///
/// *Order:* before this process has a connection to the file.
pub(super) fn is_in_use(location: &Location) -> Result<bool, OpenError> {
    let Location::File(path) = location else { return Ok(false) };
    let file = File::open(path).map_err(OpenError::Io)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Ok(true),
        outcome => outcome.map(|()| false).map_err(|error| OpenError::Io(error.into())),
    }
}

/// A connection to a file that nobody else knows of.
pub(super) fn open_file(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(&Location::File(file.to_owned()), flags)
}

/// The writing connection, where the newest schema is in place already.
pub(super) fn open_newest(location: &Location) -> Result<Connection, OpenError> {
    let connection = connect_writer(location)?;
    match identify(&connection)? {
        Found::Ours(VERSION) => configure(&connection)?,
        Found::Ours(version) => return Err(OpenError::InUseByOlder(version)),
        Found::Empty | Found::Older(_) => return Err(OpenError::InUse),
    }
    Ok(connection)
}

fn connect_writer(location: &Location) -> Result<Connection, OpenError> {
    if let Location::File(file) = location {
        refuse_foreign_log(file)?;
    }
    Ok(connect(location, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// SQLite lays a log (`-wal`) over whatever file it finds beside it. Our databases say of themselves
/// that they have one before there is any, and our backups that they have none: with one it is
/// that of another, and would destroy what was put back.
///
/// *Order:* before this process has a connection to the file.
pub(super) fn refuse_foreign_log(file: &Path) -> Result<(), OpenError> {
    if !fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let head = Head::read(file).map_err(OpenError::Io)?;
    match head.is_ours() && head.is_alone() {
        true => Err(OpenError::ForeignLog),
        false => Ok(()),
    }
}

/// *Order:* the journal's mode is set only on a database that is ours or new.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten; `Traces` sees to the journal.
    connection.pragma_update(None, "secure_delete", true)?;
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

/// The newest schema and the first channel, together or not at all (protocol section 6).
fn create(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(INIT)?;
    insert_first_channel(&transaction)?;
    Ok(transaction.commit()?)
}

/// The channel that is always there (protocol section 6).
pub(super) fn insert_first_channel(connection: &Connection) -> Result<(), OpenError> {
    let drawn = draw_uuid(now_ms());
    let uuid = drawn.map_err(|problem| OpenError::Io(std::io::Error::other(problem)))?;
    connection.execute(
        "INSERT INTO channels (uuid, name, position) VALUES (?1, 'general', 0)",
        params![uuid as i64],
    )?;
    Ok(())
}
