//! The database: one writer thread that commits in groups, readers that never wait for it.
//!
//! SQL stands in this folder and in `init.sql` only, beside the function that uses it. The
//! verbs are methods of `Reader` and `WriteTx`, a file for each family of tables.

mod accounts;
mod messages;
mod readers;
mod schema;
mod server;
mod sync;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::access::Access;
use crate::error::{Refusal, StartupError};
use crate::id::{ChannelId, EmojiId, GroupId, MemberId, MessageId, RemoteId};
use crate::log;
use crate::protocol::{Event, Picture};

pub(crate) use accounts::{Login, PasswordHash};
pub(crate) use messages::{NewMessage, Page};
pub(crate) use readers::Reader;
pub(crate) use writer::WriteTx;

use readers::Readers;
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
}

/// What every statement may need besides the database.
#[derive(Debug)]
struct Shared {
    access: Arc<Access>,
    /// The picture of members who have none.
    default_pfp: String,
}

/// The database, for all threads.
pub(crate) struct Store {
    shared: Arc<Shared>,
    readers: Readers,
    writer: Writer,
    /// Last, since fields are dropped in their order.
    _lock: Option<schema::ServerLock>,
}

impl Store {
    /// Opens the database, making it if it is not there, and starts the writer thread.
    /// `publish` is called on that thread with the events of each commit, in commit order.
    ///
    /// Fails on a database that is not ours, newer, damaged or unreachable.
    pub(crate) fn open(
        location: &Location,
        default_pfp: Picture,
        publish: impl Fn(Vec<Event>) + Send + 'static,
    ) -> Result<Self, StartupError> {
        let shown = match location {
            Location::File(path) => path.display().to_string(),
            Location::Memory => "database in memory".to_owned(),
        };
        let failed = |error: &dyn std::fmt::Display| StartupError::new(&shown, error);
        let lock = schema::lock(location).map_err(|error| failed(&error))?;
        let connection = schema::open(location).map_err(|error| failed(&error))?;
        let access = server::load_access(&connection).map_err(|error| failed(&error))?;
        let shared =
            Arc::new(Shared { access: Arc::new(access), default_pfp: default_pfp.into_base64() });
        let readers = Readers::open(location).map_err(|error| failed(&error))?;
        let writer = Writer::start(connection, Arc::clone(&shared), publish)
            .map_err(|error| failed(&error))?;
        Ok(Self { shared, readers, writer, _lock: lock })
    }

    /// The snapshot of who may do what.
    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.shared.access
    }

    /// Lends a reading connection to `work`. Waits while all are lent, never for the writer.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.readers.lend(|connection| work(&Reader::new(connection, &self.shared)))?
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

    /// Finishes what is waiting and closes the database. Later calls are refused.
    pub(crate) fn close(&self) {
        if self.writer.has_stopped() {
            return;
        }
        self.readers.close();
        if !self.writer.stop() {
            log::line("another program holds the database; it is left as it was last committed");
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

sql_ids!(MemberId, ChannelId, MessageId, GroupId, EmojiId, RemoteId);
