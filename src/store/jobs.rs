//! What the writer is to do, and what of it goes into one commit.

use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;

use crate::error::Refusal;
use crate::queue::Receiver;
use crate::store::WriteTx;
use crate::under_way::Answer;

/// Jobs that share one commit at most: bounds how long the first of them waits.
const BATCH_JOBS_MAX: usize = 256;
/// How long a commit waits for as many jobs as the last one had: who was answered together says more
/// together, and a sync costs more than the wait. Who is alone, or was the last time, waits for nobody.
const GATHER_TIMEOUT: Duration = Duration::from_micros(300);

/// What the writer's queue holds.
pub(super) enum Order {
    Run(Box<dyn Job>),
    Stop,
}

/// One request's work, and whom to tell its outcome.
pub(super) trait Job: Send {
    /// Does the work. Whether it may stay.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Whether somebody waits for the outcome, and so is answered after all others were told.
    fn is_awaited(&self) -> bool;

    /// Tells the outcome, or `fault` in place of a success that was not committed. The answer, where
    /// nobody waits for it.
    fn answer(self: Box<Self>, fault: Option<&Refusal>) -> Option<Answer>;
}

/// A job of a closure each for the work and the reply.
pub(super) struct Work<F, T, R> {
    work: Option<F>,
    outcome: Option<Result<T, Refusal>>,
    reply: R,
    is_awaited: bool,
}

impl<F, T, R> Work<F, T, R> {
    pub(super) fn new(work: F, reply: R, is_awaited: bool) -> Box<Self> {
        Box::new(Self { work: Some(work), outcome: None, reply, is_awaited })
    }
}

impl<F, T, R> Job for Work<F, T, R>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, Refusal> + Send,
    T: Send,
    R: FnOnce(Result<T, Refusal>) -> Option<Answer> + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        self.outcome = self.work.take().map(|work| {
            let outcome = work(tx)?;
            tx.settle()?;
            Ok(outcome)
        });
        matches!(self.outcome, Some(Ok(_)))
    }

    fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    fn answer(self: Box<Self>, fault: Option<&Refusal>) -> Option<Answer> {
        let outcome = match (self.outcome, fault) {
            (Some(Err(refusal)), _) => Err(refusal),
            (_, Some(fault)) => Err(fault.clone()),
            (Some(outcome), None) => outcome,
            (None, None) => Err(Refusal::internal("the writer passed a request over")),
        };
        (self.reply)(outcome)
    }
}

/// Adds the jobs that wait; while there are fewer than the last commit had `together`, also those that
/// come within a moment. Whether the writer is to stop.
pub(super) fn gather(
    orders: &Receiver<Order>,
    jobs: &mut Vec<Box<dyn Job>>,
    together: usize,
) -> bool {
    let mut deadline = None;
    while jobs.len() < BATCH_JOBS_MAX {
        let order = match orders.try_recv() {
            Err(TryRecvError::Empty) if jobs.len() < together => {
                let until = *deadline.get_or_insert_with(|| Instant::now() + GATHER_TIMEOUT);
                orders.recv_deadline(until).ok()
            }
            order => order.ok(),
        };
        match order {
            Some(Order::Run(job)) => jobs.push(job),
            Some(Order::Stop) => return true,
            None => break,
        }
    }
    false
}
