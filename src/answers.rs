//! Large answers: made a few at a time, and bounded in sum while they wait for clients that read
//! slowly, so that no number of clients that ask and do not read fills the memory.
//!
//! # Limits
//! What waits is at most `WAITING_BYTES_MAX` and what is being made, and a member's part of it
//! `MEMBER_BYTES_MAX` and one answer. Past it no large answer is begun until somebody has read, or
//! has taken nothing for `STALLED_TIMEOUT` and is cut off. Nobody is, however slow, while there
//! is room.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::id::MemberId;
use crate::log;

/// Bytes of answers that wait for clients, of all of them together.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Bytes of answers that wait for one member's clients, past which the member's next large answer
/// is not begun: nobody uses up the room of all.
const MEMBER_BYTES_MAX: usize = 16 << 20;
/// Large answers that are made at a time. Each takes its size twice, in plain text and encrypted.
const MADE_AT_ONCE_MAX: usize = 2;
/// How long a client may take nothing while others have no room.
const STALLED_TIMEOUT: Duration = Duration::from_secs(5);
/// How often those who wait for room look for who has stalled.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Shared by all clients' threads.
#[derive(Default)]
pub(crate) struct LargeAnswers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    being_made: usize,
    /// By their sockets, which are open while they are in here.
    waiting: HashMap<RawFd, Waiting>,
}

struct Waiting {
    member: Option<MemberId>,
    socket: Arc<TcpStream>,
    bytes: usize,
    /// When the client last took something.
    moved: Instant,
}

impl LargeAnswers {
    /// Waits for its turn, and until there is room. The answer may be made until what is returned
    /// is dropped; then it is on its way, and what is left of it waits.
    pub(crate) fn begin(&self, member: MemberId) -> Making<'_> {
        let mut state = self.lock();
        while !state.has_room(member) || state.being_made >= MADE_AT_ONCE_MAX {
            let waited = self.changed.wait_timeout(state, LOOK_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.being_made += 1;
        Making(self)
    }

    /// What waits of an answer to this client from here on, until what is returned is dropped.
    pub(crate) fn wait<'a>(
        &'a self,
        member: Option<MemberId>,
        socket: &'a Arc<TcpStream>,
        bytes: usize,
    ) -> Wait<'a> {
        let (moved, shared) = (Instant::now(), Arc::clone(socket));
        let waiting = Waiting { member, socket: shared, bytes, moved };
        self.lock().waiting.insert(socket.as_raw_fd(), waiting);
        Wait { answers: self, socket }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether another answer may wait, for this member. Where it may not, ends those in its way
    /// who take nothing, as many as it needs.
    fn has_room(&mut self, member: MemberId) -> bool {
        loop {
            let is_own = |waiting: &Waiting| waiting.member == Some(member);
            let own = self.waiting.values().filter(|waiting| is_own(waiting));
            let is_own_full = own.map(|waiting| waiting.bytes).sum::<usize>() > MEMBER_BYTES_MAX;
            let bytes: usize = self.waiting.values().map(|waiting| waiting.bytes).sum();
            if !is_own_full && bytes <= WAITING_BYTES_MAX {
                return true;
            }
            let in_the_way = self.waiting.iter().filter(|(_, it)| !is_own_full || is_own(it));
            let slowest = in_the_way.min_by_key(|(_, waiting)| waiting.moved);
            let stalled = slowest.filter(|(_, it)| it.moved.elapsed() >= STALLED_TIMEOUT);
            let Some((&socket, waiting)) = stalled else { return false };
            log::line("closed a client that did not read its answer");
            waiting.socket.shutdown(Shutdown::Both).ok();
            self.waiting.remove(&socket);
        }
    }
}

/// The turn to make a large answer.
pub(crate) struct Making<'a>(&'a LargeAnswers);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.lock().being_made -= 1;
        self.0.changed.notify_all();
    }
}

/// An answer that waits.
pub(crate) struct Wait<'a> {
    answers: &'a LargeAnswers,
    socket: &'a Arc<TcpStream>,
}

impl Wait<'_> {
    /// The client took something: so much is left.
    pub(crate) fn move_on(&self, bytes: usize) {
        if let Some(waiting) = self.answers.lock().waiting.get_mut(&self.socket.as_raw_fd()) {
            (waiting.bytes, waiting.moved) = (bytes, Instant::now());
        }
        self.answers.changed.notify_all();
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.answers.lock().waiting.remove(&self.socket.as_raw_fd());
        self.answers.changed.notify_all();
    }
}
