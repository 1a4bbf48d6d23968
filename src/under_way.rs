//! Requests of one client that are under way at once, as it sent them ahead of the answers: those
//! that came together share a commit, and the answer to each goes with the events of that commit.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

use crate::id::ConnectionId;

/// The requests under way of one client. Owned by its thread.
pub(crate) struct UnderWay(Arc<State>);

struct State {
    count: AtomicUsize,
    owner: Thread,
    /// Answers that could not be told.
    untold: Mutex<Vec<u8>>,
}

impl UnderWay {
    /// None yet, of the client whose thread this is.
    pub(crate) fn new() -> Self {
        let (count, untold) = (AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(State { count, owner: thread::current(), untold }))
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn begin(&self) -> Ticket {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Ticket(Arc::clone(&self.0))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::SeqCst)
    }

    /// The client's thread. Waits until there are none; the answers that nobody could tell.
    pub(crate) fn finish(&self) -> Vec<u8> {
        while self.count() > 0 {
            thread::park();
        }
        mem::take(&mut *self.0.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request that is under way.
pub(crate) struct Ticket(Arc<State>);

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.owner.unpark();
        }
    }
}

/// The answer to a request that was under way.
pub(crate) struct Answer {
    /// To whom.
    pub id: ConnectionId,
    /// The packet, framed.
    pub packet: Vec<u8>,
    /// Given back when it was told.
    pub ticket: Ticket,
}

impl Answer {
    /// Leaves it to the client's thread.
    pub(crate) fn give_back(self) {
        let untold = &self.ticket.0.untold;
        untold.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&self.packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_for_all_and_has_what_nobody_could_tell() {
        let under_way = UnderWay::new();
        let tickets: Vec<_> = (0..3).map(|_| under_way.begin()).collect();
        assert_eq!(under_way.count(), 3);
        thread::scope(|scope| {
            scope.spawn(move || {
                for (number, ticket) in tickets.into_iter().enumerate() {
                    thread::sleep(std::time::Duration::from_millis(5));
                    let answer = Answer { id: ConnectionId(1), packet: vec![number as u8], ticket };
                    answer.give_back();
                }
            });
            assert_eq!(under_way.finish(), [0, 1, 2]);
        });
        assert!(under_way.finish().is_empty());
    }
}
