//! A few reading connections, lent out by a channel. In WAL mode none waits for the writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, Transaction};

use crate::access::Access;
use crate::error::Refusal;
use crate::store::access::{access_version, load_access};
use crate::store::{Location, Shared, schema};

/// How long closing waits for connections that are still lent.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The database at one point of the order of commits, for the time of one request.
pub(crate) struct Reader<'c> {
    pub(super) connection: &'c Connection,
    pub(super) shared: &'c Shared,
    pub(super) access: Arc<Access>,
    /// Dropping it ends the transaction. `None` within the writer's own.
    _transaction: Option<Transaction<'c>>,
}

impl<'c> Reader<'c> {
    /// Within a transaction of its own: all that it reads, and the snapshot of who may do
    /// what, are of one and the same commit.
    pub(super) fn begin(connection: &'c Connection, shared: &'c Shared) -> Result<Self, Refusal> {
        let transaction = connection.unchecked_transaction()?;
        // Order: this first read fixes the commit. One that this process has not been told of
        // yet, or that another process made, is looked up in the database.
        let version = access_version(connection)?;
        let newest = shared.access();
        let access = match newest.version == version {
            true => newest,
            false => Arc::new(load_access(connection)?),
        };
        Ok(Self { connection, shared, access, _transaction: Some(transaction) })
    }

    /// Within the writer's transaction, with its snapshot.
    pub(super) fn within(
        connection: &'c Connection,
        shared: &'c Shared,
        access: Arc<Access>,
    ) -> Self {
        Self { connection, shared, access, _transaction: None }
    }

    /// Who may do what, as of what is read here.
    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }
}

/// The connections at rest. Taking one out is the permission to read.
pub(super) struct Readers {
    lend: Receiver<Connection>,
    give_back: Sender<Connection>,
    count: usize,
}

impl Readers {
    pub(super) fn open(location: &Location) -> rusqlite::Result<Self> {
        // Reading is mostly processor time: a few more than there are cores.
        let count = std::thread::available_parallelism().map_or(1, usize::from) + 2;
        let (give_back, lend) = bounded(count);
        for _ in 0..count {
            let connection = schema::open_reader(location)?;
            give_back.try_send(connection).map_err(|_| rusqlite::Error::InvalidQuery)?;
        }
        Ok(Self { lend, give_back, count })
    }

    /// Any thread. Waits while all are lent.
    pub(super) fn lend<T>(&self, work: impl FnOnce(&Connection) -> T) -> Result<T, Refusal> {
        let connection = self.lend.recv().map_err(Refusal::internal)?;
        let lent = Lent { connection: Some(connection), give_back: &self.give_back };
        let connection = lent.connection.as_ref().ok_or_else(|| Refusal::internal("no reader"))?;
        Ok(work(connection))
    }

    /// Closes the connections, so that the writer's is the last one. Called once, on stop,
    /// when the clients are gone; one that is lent for longer than the timeout stays open.
    pub(super) fn close(&self) {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        for _ in 0..self.count {
            drop(self.lend.recv_deadline(deadline));
        }
    }
}

/// Gives the connection back, also when the work panics.
struct Lent<'r> {
    connection: Option<Connection>,
    give_back: &'r Sender<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.give_back.try_send(connection).ok();
        }
    }
}
