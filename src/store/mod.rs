//! The database: one writer thread that commits in groups, readers that never wait for it.
//!
//! SQL stands in this folder and in `init.sql` only, beside the function that uses it. The
//! verbs are methods of `Reader` and `WriteTx`, a file for each family of tables.

mod access;
mod accounts;
mod backup;
mod channels;
mod groups;
mod head;
mod inspection;
mod invites;
mod jobs;
mod look;
mod messages;
mod migrations;
mod moderation;
mod readers;
mod reading;
mod schema;
mod seen;
mod server;
mod sessions;
mod sync;
mod takeover;
mod traces;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode};

use crate::access::Access;
use crate::config::Config;
use crate::error::{Refusal, StartupError};
use crate::id::{
    ChannelId, ConnectionId, EmojiId, GroupId, MemberId, MessageId, RemoteId, SessionId,
};
use crate::log;
use crate::protocol::{Event, Picture};
use crate::under_way::Answer;

pub(crate) use accounts::{Login, PasswordHash};
pub(crate) use backup::{Counts, Source};
pub(crate) use head::Head;
pub(crate) use inspection::{Inspection, inspect};
pub(crate) use messages::{NewMessage, Page};
pub(crate) use moderation::AuditSubject;
pub(crate) use readers::Reader;
pub(crate) use seen::SEEN_ENDING;
pub(crate) use writer::WriteTx;

use readers::Readers;
use schema::OpenError;
use writer::Writer;

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// In this file, made if it is not there.
    File(PathBuf),
    /// In memory; gone with the process.
    Memory,
}

impl Location {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            // One database in memory for all connections of this process.
            Self::Memory => Path::new("file:/aster?vfs=memdb"),
        }
    }

    fn failed(&self, error: OpenError) -> StartupError {
        match self {
            Self::File(path) => StartupError::new(path.display(), error),
            Self::Memory => StartupError::new("database in memory", error),
        }
    }
}

/// What a commit did that others are to know.
pub(crate) enum Change {
    /// To the client that asked for it.
    Answer(Answer),
    /// Something to tell those whom it concerns.
    Event(Event),
    /// Who may do what, from here on.
    Access(Arc<Access>),
    /// These connections end here.
    Disconnect(Whose),
}

/// Whose connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// All of a member.
    Member(MemberId),
    /// Those that belong to a session.
    Session(SessionId),
    /// All of a member but this one.
    Others(MemberId, ConnectionId),
}

/// What the configuration says, where the database says nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    /// The server's name.
    pub name: String,
    /// The server's icon, base64 of a PNG.
    pub icon: String,
    /// The picture of members who have none; made of their uuids where there is no such picture.
    pub pfp: Option<Picture>,
}

impl Defaults {
    /// As the configuration has them.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            name: config.name.as_str().to_owned(),
            icon: config.icon.as_base64().to_owned(),
            pfp: config.default_pfp.clone(),
        }
    }
}

/// What every statement may need besides the database.
#[derive(Debug)]
struct Shared {
    /// As last committed by this process. Locked for the time of a clone only.
    access: RwLock<Arc<Access>>,
    defaults: Defaults,
}

impl Shared {
    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace_access(&self, access: Arc<Access>) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = access;
    }
}

/// The database, for all threads.
pub(crate) struct Store {
    shared: Arc<Shared>,
    readers: Readers,
    writer: Writer,
    /// Last, since fields are dropped in their order.
    lock: Option<schema::ServerLock>,
}

impl Store {
    /// Opens the database for a server, making it if it is not there, and starts the writer
    /// thread. `publish` is called on that thread with the changes of each commit, in order.
    ///
    /// Fails on a database that is not ours, newer, damaged or unreachable, or that another
    /// server uses.
    pub(crate) fn open(
        location: &Location,
        defaults: Defaults,
        publish: impl Fn(Vec<Change>) + Send + 'static,
    ) -> Result<Self, StartupError> {
        Self::open_locked(location, defaults, publish).map_err(|error| location.failed(error))
    }

    /// Opens the database for the owner's command line, whether or not a server uses it; one
    /// that does notices what is written. Fails as `open` does, but for that.
    pub(crate) fn open_beside(
        location: &Location,
        defaults: Defaults,
    ) -> Result<Self, StartupError> {
        let open = || {
            schema::prepare(location)?;
            Self::open_with(location, schema::open_newest(location)?, defaults, drop, None)
        };
        open().map_err(|error| location.failed(error))
    }

    fn open_locked(
        location: &Location,
        defaults: Defaults,
        publish: impl Fn(Vec<Change>) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let mut lock = schema::lock(location)?;
        let mut connection = schema::open(location, lock.as_mut())?;
        accounts::draw_missing_pfps(&mut connection)?;
        Self::open_with(location, connection, defaults, publish, lock)
    }

    fn open_with(
        location: &Location,
        connection: Connection,
        defaults: Defaults,
        publish: impl Fn(Vec<Change>) + Send + 'static,
        lock: Option<schema::ServerLock>,
    ) -> Result<Self, OpenError> {
        let access = RwLock::new(Arc::new(access::load_access(&connection)?));
        let shared = Arc::new(Shared { access, defaults });
        let readers = Readers::open(location)?;
        let wiped_at = lock.as_ref().and_then(|lock| lock.wiped_at);
        let writer = Writer::start(connection, Arc::clone(&shared), publish, wiped_at)
            .map_err(OpenError::Io)?;
        Ok(Self { shared, readers, writer, lock })
    }

    /// The newest snapshot of who may do what.
    pub(crate) fn access(&self) -> Arc<Access> {
        self.shared.access()
    }

    /// Lends a reading connection to `work`. Waits while all are lent, never for the writer.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.readers.lend(|connection| work(&Reader::begin(connection, &self.shared)?))?
    }

    /// Has `work` run by the writer thread, in one transaction with whatever else is
    /// waiting, and returns its outcome once that is on disk. A refusal undoes what `work`
    /// did, and only that.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.writer.run(work)
    }

    /// As `write`, without waiting: what `answer` makes of the outcome is told with the changes of
    /// the commit. Fails, and does nothing, when the database is closed.
    pub(crate) fn write_later<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send + 'static,
        answer: impl FnOnce(Result<T, Refusal>) -> Answer + Send + 'static,
    ) -> Result<(), Refusal> {
        self.writer.run_later(work, answer)
    }

    /// Finishes what is waiting and closes the database. Later calls are refused.
    pub(crate) fn close(&self) {
        if self.writer.has_stopped() {
            return;
        }
        self.readers.close();
        match (self.writer.stop(), &self.lock) {
            (Ok(is_wiped), Some(lock)) => lock.note_seen(is_wiped),
            (Ok(_), None) => {}
            (Err(reason), _) => {
                log::line(format_args!("{reason}; what was not answered is not done"));
            }
        }
    }
}

/// Also when the server could not start after all.
impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => {
                return Self::internal(format_args!("database: {}", schema::BUSY));
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => seen::doubt(),
            _ => {}
        }
        Self::internal(format_args!("database: {error}"))
    }
}

macro_rules! sql_ids {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                // Lossless: at most 53 bits.
                Ok(ToSqlOutput::from(self.raw() as i64))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let raw = u64::column_result(value)?;
                Self::try_from(raw).map_err(|problem| FromSqlError::Other(problem.into()))
            }
        }
    )*};
}

sql_ids!(MemberId, ChannelId, MessageId, GroupId, EmojiId, RemoteId, SessionId);
