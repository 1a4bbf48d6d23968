//! Large answers: made a few at a time, and bounded in sum while they wait for clients that read
//! slowly, so that no number of clients that ask and do not read fills the memory.
//!
//! # Limits
//! What waits is at most `WAITING_BYTES_MAX` and what is being made, and a member's part of it
//! `MEMBER_BYTES_MAX` and one answer. Past it no large answer is begun until somebody has read, or
//! has taken nothing for `STALLED_TIMEOUT` and is cut off. Nobody is, however slow, while there
//! is room. Short answers are bounded by the member's part only.
//!
//! The list of members is made once for those who wait for it together, and kept no longer than
//! anybody waits or is served: one list at a time, of one version of it.
//!
//! # Order
//! Members of whom nothing waits come before those who have something to read; among themselves
//! both come as they asked. Who is past its own part holds up nobody.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::value::RawValue;

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
/// How often those who wait look for who has stalled, and whether their own client is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Shared by all clients' threads.
#[derive(Default)]
pub(crate) struct LargeAnswers {
    state: Mutex<State>,
}

/// A list whose items are encoded already.
pub(crate) type Encoded = Arc<Vec<Box<RawValue>>>;

#[derive(Default)]
struct State {
    /// In the order in which they asked.
    queue: Vec<Asker>,
    being_made: Vec<Asker>,
    /// By their sockets, which are open while they are in here.
    waiting: HashMap<RawFd, Waiting>,
    /// The list of members as of a version, while others may want it, too.
    kept: Option<((i64, i64), Encoded)>,
}

/// Whose answer is to be made. One connection asks for one thing at a time.
struct Asker {
    socket: RawFd,
    member: MemberId,
    length: Length,
    /// Woken alone when it may begin: a thousand may wait.
    thread: Thread,
}

/// What an answer needs before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Room in the member's part.
    Short,
    /// Room in the whole too, and a turn.
    Long,
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
    /// is dropped; then it is on its way, and what is left of it waits. `None` if the client hung
    /// up meanwhile, or the server on it.
    pub(crate) fn begin(
        &self,
        member: MemberId,
        client: &TcpStream,
        length: Length,
    ) -> Option<Making<'_>> {
        let socket = client.as_raw_fd();
        let mut state = self.lock();
        state.queue.push(Asker { socket, member, length, thread: thread::current() });
        self.let_begin(&mut state);
        while !state.being_made.iter().any(|asker| asker.socket == socket) {
            drop(state);
            thread::park_timeout(LOOK_INTERVAL);
            state = self.lock();
            // One looks for all.
            if state.queue.first().is_some_and(|first| first.socket == socket) {
                self.let_begin(&mut state);
            }
            if has_hung_up(client) {
                state.queue.retain(|asker| asker.socket != socket);
                break;
            }
        }
        let has_begun = state.being_made.iter().any(|asker| asker.socket == socket);
        has_begun.then(|| Making { answers: self, socket })
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

    /// Lets those begin for whom there is room now. Where there is none, ends those in the way who
    /// take nothing, as many as it needs.
    fn let_begin(&self, state: &mut State) {
        while !state.queue.is_empty() && (state.begin_next() || state.end_stalled()) {}
        if state.queue.is_empty() && state.being_made.is_empty() {
            state.kept = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether somebody could begin.
    fn begin_next(&mut self) -> bool {
        let (all_bytes, member_bytes) = self.count();
        let own_bytes = |asker: &Asker| member_bytes.get(&Some(asker.member)).copied().unwrap_or(0);
        let long_count = self.being_made.iter().filter(|it| it.length == Length::Long).count();
        let has_turn = long_count < MADE_AT_ONCE_MAX && all_bytes <= WAITING_BYTES_MAX;
        let may_begin = |asker: &Asker| {
            (asker.length == Length::Short || has_turn)
                && own_bytes(asker) <= MEMBER_BYTES_MAX
                // What is made is not counted yet.
                && !self.being_made.iter().any(|made| made.member == asker.member)
        };
        let ready = self.queue.iter().enumerate().filter(|(_, asker)| may_begin(asker));
        // Of those that are alike, the first.
        let next = ready.min_by_key(|(_, asker)| own_bytes(asker) > 0).map(|(place, _)| place);
        let Some(place) = next else { return false };
        let asker = self.queue.remove(place);
        asker.thread.unpark();
        self.being_made.push(asker);
        true
    }

    /// Whether somebody was in the way of one who asks, took nothing, and is cut off.
    fn end_stalled(&mut self) -> bool {
        let (all_bytes, member_bytes) = self.count();
        let is_in_the_way = |waiting: &Waiting| {
            self.queue.iter().any(|asker| match member_bytes.get(&Some(asker.member)) {
                Some(&bytes) if bytes > MEMBER_BYTES_MAX => waiting.member == Some(asker.member),
                _ => asker.length == Length::Long && all_bytes > WAITING_BYTES_MAX,
            })
        };
        let stalled = self.waiting.iter().filter(|(_, it)| it.moved.elapsed() >= STALLED_TIMEOUT);
        let in_the_way = stalled.filter(|(_, waiting)| is_in_the_way(waiting));
        let slowest = in_the_way.min_by_key(|(_, waiting)| waiting.moved);
        let Some((&socket, waiting)) = slowest else { return false };
        log::line("closed a client that did not read its answer");
        waiting.socket.shutdown(Shutdown::Both).ok();
        self.waiting.remove(&socket).is_some()
    }

    /// The bytes that wait, of all and of each member.
    fn count(&self) -> (usize, HashMap<Option<MemberId>, usize>) {
        let mut member_bytes = HashMap::new();
        for waiting in self.waiting.values() {
            *member_bytes.entry(waiting.member).or_default() += waiting.bytes;
        }
        (member_bytes.values().sum(), member_bytes)
    }
}

/// Whether the client sends nothing more, is gone, or was hung up on.
fn has_hung_up(client: &TcpStream) -> bool {
    // Failures are looked for unasked.
    poll(&mut [PollFd::new(client, PollFlags::RDHUP)], Some(&Timespec::default())) == Ok(1)
}

/// The turn to make an answer.
pub(crate) struct Making<'a> {
    answers: &'a LargeAnswers,
    socket: RawFd,
}

impl Making<'_> {
    /// What somebody has kept of this version.
    pub(crate) fn find_kept(&self, version: (i64, i64)) -> Option<Encoded> {
        let state = self.answers.lock();
        let kept = state.kept.as_ref().filter(|(kept, _)| *kept == version);
        kept.map(|(_, list)| Arc::clone(list))
    }

    /// For those who wait for the same.
    pub(crate) fn keep(&self, version: (i64, i64), list: &Encoded) {
        self.answers.lock().kept = Some((version, Arc::clone(list)));
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut state = self.answers.lock();
        state.being_made.retain(|asker| asker.socket != self.socket);
        self.answers.let_begin(&mut state);
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
        let mut state = self.answers.lock();
        if let Some(waiting) = state.waiting.get_mut(&self.socket.as_raw_fd()) {
            (waiting.bytes, waiting.moved) = (bytes, Instant::now());
        }
        self.answers.let_begin(&mut state);
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.answers.lock();
        state.waiting.remove(&self.socket.as_raw_fd());
        self.answers.let_begin(&mut state);
    }
}
