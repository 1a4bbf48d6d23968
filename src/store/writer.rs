//! The one thread that writes. It takes all requests that are waiting, runs each in its own
//! savepoint, commits once for all of them, tells the broadcaster, then answers them.
//!
//! # Order
//! Commit, then tell, then answer: nobody hears of what could be rolled back, and nobody is
//! answered 200 before it is on disk.
//!
//! # Limits
//! The queue holds `QUEUE_JOBS_MAX`; whoever finds it full waits, which slows that client.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use rusqlite::{Connection, OptionalExtension};

use crate::error::Refusal;
use crate::id::{IdGenerator, now_ms};
use crate::protocol::Event;
use crate::store::{Reader, Shared};
use crate::thread::spawn_essential;

/// Jobs that share one commit at most: bounds how long the first of them waits.
const BATCH_JOBS_MAX: usize = 256;
/// Jobs that wait at most.
const QUEUE_JOBS_MAX: usize = 1024;
/// How long a stop waits for what is queued.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The handle to the writer thread.
pub(super) struct Writer {
    queue: Sender<Order>,
    /// Closed when the thread has ended, and the connection with it.
    ended: Receiver<()>,
}

enum Order {
    Run(Box<dyn Job>),
    Stop,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        publish: impl Fn(Vec<Event>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, orders) = bounded(QUEUE_JOBS_MAX);
        let (ends, ended) = bounded(0);
        let ids = IdGenerator::default();
        let mut state = State { connection, shared, ids, publish };
        spawn_essential("writer", move || {
            state.run(&orders);
            drop(state);
            drop(ends);
        })?;
        Ok(Self { queue, ended })
    }

    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = bounded(1);
        let job = Box::new(Work { work: Some(work), outcome: None, answer });
        let stopped = || Refusal::internal("the database is closed");
        self.queue.send(Order::Run(job)).map_err(|_| stopped())?;
        answered.recv().map_err(|_| stopped())?
    }

    /// Finishes what is queued, then closes the connection. False when that took too long,
    /// because another process holds the database: what was not answered is not done.
    pub(super) fn stop(&self) -> bool {
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.queue.send_deadline(Order::Stop, deadline).ok();
        self.ended.recv_deadline(deadline) == Err(RecvTimeoutError::Disconnected)
    }

    /// Whether the thread has ended.
    pub(super) fn has_stopped(&self) -> bool {
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }
}

/// One request's turn within the shared transaction.
///
/// It reads like a `Reader`, sees what those before it changed, and collects the events that
/// are told once it is committed.
pub(crate) struct WriteTx<'c> {
    reader: Reader<'c>,
    ids: &'c mut IdGenerator,
    events: Vec<Event>,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl WriteTx<'_> {
    /// Told to others after the commit, in the order of publishing.
    pub(crate) fn publish(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A uuid that is not in use. `exists` is a statement that finds a row by ?1.
    pub(super) fn fresh_id<T: TryFrom<u64>>(&mut self, exists: &str) -> Result<T, Refusal> {
        loop {
            let raw = self.ids.next(now_ms());
            let mut statement = self.connection.prepare_cached(exists)?;
            if statement.query_row([raw as i64], |_| Ok(())).optional()?.is_none() {
                return T::try_from(raw).map_err(|_| Refusal::internal("out of uuids"));
            }
        }
    }
}

trait Job: Send {
    /// Does the work. Whether it may stay.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Tells the outcome, or `fault` in place of a success that was not committed.
    fn answer(self: Box<Self>, fault: Option<&Refusal>);
}

struct Work<F, T> {
    work: Option<F>,
    outcome: Option<Result<T, Refusal>>,
    answer: Sender<Result<T, Refusal>>,
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work(tx));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, fault: Option<&Refusal>) {
        let outcome = match (self.outcome, fault) {
            (Some(Err(refusal)), _) => Err(refusal),
            (_, Some(fault)) => Err(fault.clone()),
            (Some(outcome), None) => outcome,
            (None, None) => Err(Refusal::internal("the writer passed a request over")),
        };
        // Whoever asked may have hung up.
        self.answer.send(outcome).ok();
    }
}

/// What the writer thread owns.
struct State<P> {
    connection: Connection,
    shared: Arc<Shared>,
    ids: IdGenerator,
    publish: P,
}

impl<P: Fn(Vec<Event>)> State<P> {
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut jobs = Vec::new();
        while let Ok(Order::Run(job)) = orders.recv() {
            jobs.push(job);
            let mut stop = false;
            while jobs.len() < BATCH_JOBS_MAX && !stop {
                match orders.try_recv() {
                    Ok(Order::Run(job)) => jobs.push(job),
                    Ok(Order::Stop) => stop = true,
                    Err(_) => break,
                }
            }
            self.commit_together(&mut jobs);
            if stop {
                break;
            }
        }
    }

    /// Runs, commits, tells, answers.
    fn commit_together(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        let fault = match self.transact(jobs) {
            Ok(events) => {
                if !events.is_empty() {
                    (self.publish)(events);
                }
                None
            }
            Err(fault) => {
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK").ok();
                }
                Some(fault)
            }
        };
        for job in jobs.drain(..) {
            job.answer(fault.as_ref());
        }
    }

    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Event>, Refusal> {
        let mut events = Vec::new();
        self.execute("BEGIN IMMEDIATE")?;
        for job in jobs {
            self.execute("SAVEPOINT job")?;
            let reader = Reader::new(&self.connection, &self.shared);
            let mut tx = WriteTx { reader, ids: &mut self.ids, events: Vec::new() };
            if job.run(&mut tx) {
                events.append(&mut tx.events);
            } else if self.connection.is_autocommit() {
                // A full disk or a failed write makes SQLite give up the whole transaction.
                return Err(Refusal::internal("a write failed in the same commit"));
            } else {
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        self.execute("COMMIT")?;
        Ok(events)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
