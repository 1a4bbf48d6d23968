//! The one thread that writes. It takes all requests that are waiting, runs each so that it can be
//! undone by itself, commits once for all of them, tells the broadcaster, then answers them.
//!
//! # Order
//! Commit, then tell, then answer: nobody hears of what could be rolled back, and nobody is
//! answered 200 before it is on disk. Where the client's thread does not wait (`Writer::run_later`),
//! the answer is told with the changes of its commit.
//!
//! # Faults
//! A commit that fails is undone, and answered 500 to all that were in it. Where it was its sync
//! that failed, it may be in the write-ahead log all the same: the next commit is written over it,
//! but a crash before that brings it back (protocol section 4, `nonce`).
//!
//! # Limits
//! The queue holds `QUEUE_JOBS_MAX`; whoever finds it full waits, which slows that client.
//!
//! # Other processes
//! The owner's command line writes too. SQLite tells that somebody did (`data_version`); the
//! writer looks before each commit of its own, and twice a second while it has nothing to do.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use rusqlite::{Connection, OptionalExtension};

use crate::access::Access;
use crate::error::Refusal;
use crate::id::{draw_uuid, now_ms};
use crate::log;
use crate::protocol::Event;
use crate::queue::{Receiver, Sender, bounded};
use crate::store::access::{access_version, load_access};
use crate::store::jobs::{Job, Order, Work, gather};
use crate::store::traces::Traces;
use crate::store::{Change, Reader, Shared, Whose};
use crate::thread::spawn_essential;
use crate::under_way::Answer;

/// Jobs that wait at most.
const QUEUE_JOBS_MAX: usize = 1024;
/// How long a stop waits for what is queued.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// How often an idle writer looks whether another process wrote.
const NOTICE_INTERVAL: Duration = Duration::from_millis(500);

/// The handle to the writer thread.
pub(super) struct Writer {
    queue: Sender<Order>,
    /// Whether nothing was left of what was deleted: once, when the connection is closed. Closed
    /// when the thread has ended.
    ended: Receiver<bool>,
    /// Whether it waits for another program that holds the database.
    is_waiting: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        publish: impl Fn(Vec<Change>) + Send + 'static,
        wiped_at: Option<i64>,
    ) -> std::io::Result<Self> {
        let (queue, orders) = bounded(QUEUE_JOBS_MAX);
        let (ends, ended) = bounded(1);
        let (access, noticed) = (shared.access(), Noticed::default());
        let is_waiting = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&is_waiting);
        let traces = Traces::watch(&connection, wiped_at.is_some());
        let mut state =
            State { connection, shared, publish, access, noticed, wiped_at, traces, waits };
        spawn_essential("writer", move || {
            state.run(&orders);
            let is_wiped = state.is_wiped();
            drop(state);
            // Whoever waited may have given up.
            ends.send(is_wiped).ok();
        })?;
        Ok(Self { queue, ended, is_waiting })
    }

    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = bounded(1);
        let reply = move |outcome| {
            // Whoever asked may have hung up.
            answer.send(outcome).ok();
            None
        };
        self.order(Work::new(work, reply, true))?;
        answered.recv().map_err(|_| stopped())?
    }

    pub(super) fn run_later<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send + 'static,
        answer: impl FnOnce(Result<T, Refusal>) -> Answer + Send + 'static,
    ) -> Result<(), Refusal> {
        let reply = move |outcome| Some(answer(outcome));
        self.order(Work::new(work, reply, false))
    }

    fn order(&self, job: Box<dyn Job>) -> Result<(), Refusal> {
        self.queue.send(Order::Run(job)).map_err(|_| stopped())
    }

    /// Finishes what is queued, then closes the connection. Whether nothing was left of what was
    /// deleted. Fails when that takes too long, and says why: what was not answered is not done.
    pub(super) fn stop(&self) -> Result<bool, &'static str> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.queue.send_deadline(Order::Stop, deadline).ok();
        match self.ended.recv_deadline(deadline) {
            Ok(is_wiped) => Ok(is_wiped),
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            _ if self.is_waiting.load(Ordering::Relaxed) => {
                Err("another program holds the database")
            }
            _ => Err("a request was still at work in the database"),
        }
    }

    /// Whether the thread has ended.
    pub(super) fn has_stopped(&self) -> bool {
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }
}

fn stopped() -> Refusal {
    Refusal::internal("the database is closed")
}

/// One request's turn within the shared transaction.
///
/// It reads like a `Reader`, sees what those before it changed, and collects what others are
/// to know once it is committed.
pub(crate) struct WriteTx<'c> {
    pub(super) reader: Reader<'c>,
    /// In the order in which they are told.
    pub(super) changes: Vec<Change>,
    /// Whether the database says something else about who may do what than the snapshot:
    /// see `settle`.
    pub(super) is_stale: bool,
    undo: Undo,
}

/// How what a job wrote is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// With the transaction, in which it is alone.
    All,
    /// By itself: it is one statement at most, and one that fails has done nothing.
    Statement,
    /// Back to its savepoint.
    Savepoint,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl WriteTx<'_> {
    /// Before the first write of a job that nobody waits for (`Writer::run_later`), if it is to be
    /// more than one statement. Those that somebody waits for may be.
    pub(crate) fn write_several(&mut self) -> Result<(), Refusal> {
        if self.undo == Undo::Statement {
            self.connection.prepare_cached("SAVEPOINT job")?.execute([])?;
            self.undo = Undo::Savepoint;
        }
        Ok(())
    }

    /// Told to others after the commit, in the order of publishing.
    pub(crate) fn publish(&mut self, event: Event) {
        self.changes.push(Change::Event(event));
    }

    /// A uuid that is not in use. `exists` is a statement that finds a row by ?1.
    pub(super) fn fresh_id<T: TryFrom<u64>>(&mut self, exists: &str) -> Result<T, Refusal> {
        loop {
            let raw = draw_uuid(now_ms()).map_err(Refusal::internal)?;
            let mut statement = self.connection.prepare_cached(exists)?;
            if statement.query_row([raw as i64], |_| Ok(())).optional()?.is_none() {
                return id_of(raw);
            }
        }
    }
}

/// A uuid that may be in use.
pub(super) fn draw_id<T: TryFrom<u64>>() -> Result<T, Refusal> {
    id_of(draw_uuid(now_ms()).map_err(Refusal::internal)?)
}

fn id_of<T: TryFrom<u64>>(raw: u64) -> Result<T, Refusal> {
    T::try_from(raw).map_err(|_| Refusal::internal("out of uuids"))
}

/// What the writer thread owns.
struct State<P> {
    connection: Connection,
    shared: Arc<Shared>,
    publish: P,
    /// Who may do what, as of this thread's last commit and what it did since.
    access: Arc<Access>,
    noticed: Noticed,
    /// See `ServerLock`.
    wiped_at: Option<i64>,
    traces: Traces,
    /// See `Writer::is_waiting`.
    waits: Arc<AtomicBool>,
}

/// How far this thread knows what other processes wrote.
#[derive(Debug, Clone, Copy, Default)]
struct Noticed {
    /// As SQLite counts; `None` before the first look.
    data_version: Option<i64>,
    /// The newest line of the audit record.
    audit_seq: i64,
}

impl<P: Fn(Vec<Change>)> State<P> {
    fn run(&mut self, orders: &Receiver<Order>) {
        let (mut jobs, mut together) = (Vec::new(), 0);
        // The first look, so that later ones have something to compare with.
        self.commit_together(&mut jobs);
        loop {
            match orders.recv_timeout(self.traces.interval(NOTICE_INTERVAL)) {
                Ok(Order::Run(job)) => jobs.push(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.wipe_traces(true);
                    match self.data_version() {
                        Ok(version) if Some(version) != self.noticed.data_version => {}
                        // Should looking fail, whoever writes next is told.
                        Ok(_) | Err(_) => continue,
                    }
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let stop = gather(orders, &mut jobs, together);
            together = jobs.len();
            self.commit_together(&mut jobs);
            if stop {
                return;
            }
            self.wipe_traces(false);
        }
    }

    /// Whether nothing is left of what was deleted, by others either.
    fn is_wiped(&self) -> bool {
        let is_noticed = |version| Some(version) == self.noticed.data_version;
        self.traces.are_wiped() && self.data_version().is_ok_and(is_noticed)
    }

    fn wipe_traces(&mut self, is_resting: bool) {
        if let Err(error) = self.traces.wipe(&self.connection, is_resting) {
            log::line(format_args!("database: its journal cannot be emptied: {error}"));
            self.traces.put_off();
        }
    }

    /// Runs, commits, tells, answers.
    fn commit_together(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        let (told, fault) = match self.transact(jobs) {
            Ok(changes) => {
                // Order: before those who asked are answered.
                self.shared.replace_access(Arc::clone(&self.access));
                (changes, None)
            }
            Err(fault) => {
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK").ok();
                }
                self.access = self.shared.access();
                (Vec::new(), Some(fault))
            }
        };
        // Order: those that nobody waits for go with the changes, first of all, so that whoever
        // sent them can say more while the others are told.
        let (awaited, others): (Vec<_>, Vec<_>) = jobs.drain(..).partition(|job| job.is_awaited());
        let answers = others.into_iter().filter_map(|job| job.answer(fault.as_ref()));
        let changes: Vec<_> = answers.map(Change::Answer).chain(told).collect();
        if !changes.is_empty() {
            (self.publish)(changes);
        }
        for job in awaited {
            job.answer(fault.as_ref());
        }
    }

    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Change>, Refusal> {
        let mut changes = Vec::new();
        if jobs.is_empty() {
            // Looks only: nobody has to let go of the database for that.
            self.execute("BEGIN")?;
        } else {
            self.waits.store(true, Ordering::Relaxed);
            let begun = self.execute("BEGIN IMMEDIATE");
            self.waits.store(false, Ordering::Relaxed);
            begun?;
        }
        let noticed = self.notice(&mut changes)?;
        let is_alone = jobs.len() == 1;
        for job in jobs {
            let written_rows = self.connection.total_changes();
            let (done, undo) = {
                let access = Arc::clone(&self.access);
                let reader = Reader::within(&self.connection, &self.shared, access);
                let undo = if is_alone { Undo::All } else { Undo::Statement };
                let mut tx = WriteTx { reader, changes: Vec::new(), is_stale: false, undo };
                if job.is_awaited() {
                    tx.write_several()?;
                }
                let done =
                    job.run(&mut tx).then(|| (Arc::clone(tx.access()), mem::take(&mut tx.changes)));
                (done, tx.undo)
            };
            if let Some((access, mut done)) = done {
                self.access = access;
                changes.append(&mut done);
            } else if self.connection.is_autocommit() {
                // A full disk or a failed write makes SQLite give up the whole transaction.
                return Err(Refusal::internal("a write failed in the same commit"));
            } else {
                match undo {
                    Undo::All => {
                        self.execute("ROLLBACK")?;
                        self.execute("BEGIN")?;
                    }
                    Undo::Savepoint => self.execute("ROLLBACK TO job")?,
                    Undo::Statement if self.connection.total_changes() == written_rows => {}
                    Undo::Statement => {
                        return Err(Refusal::internal("half a request was written"));
                    }
                }
            }
            if undo == Undo::Savepoint {
                self.execute("RELEASE job")?;
            }
        }
        self.execute("COMMIT")?;
        let known = self.noticed.data_version.or(self.wiped_at);
        self.traces.note_commit(noticed.data_version != known);
        self.noticed = noticed;
        Ok(changes)
    }

    /// Adds what other processes changed since the last look. How far that look went.
    fn notice(&mut self, changes: &mut Vec<Change>) -> Result<Noticed, Refusal> {
        let data_version = Some(self.data_version()?);
        if self.noticed.data_version == data_version {
            return Ok(self.noticed);
        }
        let is_first = self.noticed.data_version.is_none();
        if access_version(&self.connection)? != self.access.version {
            let access = Arc::new(load_access(&self.connection)?);
            let before = mem::replace(&mut self.access, Arc::clone(&access));
            let reader = Reader::within(&self.connection, &self.shared, access);
            changes.extend(reader.list_changes(&before)?);
        }
        let reader = Reader::within(&self.connection, &self.shared, Arc::clone(&self.access));
        if !is_first {
            let members = reader.list_new_passwords(self.noticed.audit_seq)?;
            changes.extend(
                members.into_iter().map(|member| Change::Disconnect(Whose::Member(member))),
            );
        }
        Ok(Noticed { data_version, audit_seq: reader.last_audit_seq()? })
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
