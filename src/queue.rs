//! A bounded queue to one thread: a crossbeam channel whose receiver sleeps as soon as there is
//! nothing. A channel's own spins and yields first, and on a small machine that takes the core from
//! whoever is about to send.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, SendError, SendTimeoutError, TryRecvError};

/// A queue that holds `items_max` at most; at least 1.
pub(crate) fn bounded<T>(items_max: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(items_max.max(1));
    let sleeper = Arc::new(OnceLock::new());
    let alarm = Alarm(Arc::clone(&sleeper));
    (Sender { channel: sender, alarm }, Receiver { channel: receiver, sleeper })
}

/// The sending end.
pub(crate) struct Sender<T> {
    channel: crossbeam_channel::Sender<T>,
    /// Last, since fields are dropped in their order: the receiver is to see that this one is gone.
    alarm: Alarm,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), alarm: self.alarm.clone() }
    }
}

impl<T> Sender<T> {
    /// Waits while the queue is full. Fails when the receiver is gone.
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        self.channel.send(item)?;
        self.alarm.ring();
        Ok(())
    }

    /// As `send`, but no longer than until then.
    pub(crate) fn send_deadline(
        &self,
        item: T,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<T>> {
        self.channel.send_deadline(item, deadline)?;
        self.alarm.ring();
        Ok(())
    }
}

/// Wakes the receiving thread, at the latest when it is dropped.
#[derive(Clone)]
struct Alarm(Arc<OnceLock<Thread>>);

impl Alarm {
    fn ring(&self) {
        // Order: what was sent is seen by a receiver that was not seen here.
        fence(Ordering::SeqCst);
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.ring();
    }
}

/// The receiving end. *Invariant:* only ever waits on one and the same thread.
pub(crate) struct Receiver<T> {
    channel: crossbeam_channel::Receiver<T>,
    /// The thread that waits, from its first wait on.
    sleeper: Arc<OnceLock<Thread>>,
}

impl<T> Receiver<T> {
    /// Waits for the next. Fails when there is none and all senders are gone.
    pub(crate) fn recv(&self) -> Result<T, RecvTimeoutError> {
        self.wait(None)
    }

    /// As `recv`, but no longer than until then.
    pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.wait(Some(deadline))
    }

    /// As `recv`, but no longer than this.
    pub(crate) fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// The next, if it is there.
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        self.sleeper.get_or_init(thread::current);
        // Order: whoever did not see this thread to wake is seen to have sent.
        fence(Ordering::SeqCst);
        loop {
            match self.channel.try_recv() {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return Err(RecvTimeoutError::Timeout),
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_many_send_arrives_once_and_in_order() {
        let (sender, receiver) = bounded(3);
        thread::scope(|scope| {
            for thread in 0..4 {
                let sender = sender.clone();
                scope.spawn(move || {
                    (0..5000).for_each(|number| sender.send((thread, number)).unwrap());
                });
            }
            drop(sender);
            let mut next = [0; 4];
            while let Ok((thread, number)) = receiver.recv_timeout(LONG) {
                let next: &mut i32 = &mut next[thread];
                assert_eq!(number, *next);
                *next += 1;
            }
            assert_eq!(next, [5000; 4]);
        });
    }

    #[test]
    fn who_waits_is_woken_by_the_last_sender_that_goes_and_by_its_deadline() {
        let (sender, receiver) = bounded::<()>(1);
        let soon = Duration::from_millis(5);
        assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(soon);
                drop(sender);
            });
            assert_eq!(receiver.recv(), Err(RecvTimeoutError::Disconnected));
        });
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_is_gone() {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        assert!(sender.send_deadline(2, Instant::now()).is_err());
        drop(receiver);
        assert!(sender.send(3).is_err());
    }
}
