//! The roster and the fan-out: who is connected as whom, and who is told what.
//!
//! # Threads
//! One thread owns the roster. It never waits on disk, on a client, or on a lock held across
//! either; therefore its queue always drains, and the writer may block on it.
//!
//! # Order
//! Commits, logins and farewells go through the one queue. A connection gets every event
//! that is published after it joined, in commit order, and when its farewell is acknowledged
//! it has been written all that was published before.
//!
//! # Limits
//! The queue holds `QUEUE_NOTICES_MAX`; whoever finds it full waits. What waits for a client
//! is bounded by its connection, and a client past that is closed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::access::Access;
use crate::connection::{Connection, Sent};
use crate::error::{Disconnect, Refusal};
use crate::id::{ChannelId, MemberId};
use crate::log;
use crate::protocol::event::{Audience, encode_online};
use crate::protocol::{Event, Permission};
use crate::thread::spawn_essential;
use crate::wire::Framing;

/// Notices that wait at most.
const QUEUE_NOTICES_MAX: usize = 1024;
/// Encoded events that share one write for each client at most; far below a client's bound.
const ROUND_BYTES_MAX: usize = 256 * 1024;
/// How soon a client that did not take everything is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// `online` events are at least this far apart, however many members come at once.
const ONLINE_INTERVAL: Duration = Duration::from_millis(250);

/// Tells connections apart for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub u64);

enum Notice {
    Joined {
        id: ConnectionId,
        listener: Listener,
    },
    /// Answered when all that was published before has been written.
    Left {
        id: ConnectionId,
        done: Sender<()>,
    },
    ListOnline {
        answer: Sender<Vec<MemberId>>,
    },
    Committed(Vec<Event>),
    Stop,
}

/// A logged-in connection.
pub(crate) struct Listener {
    /// What is written to.
    pub connection: Arc<Connection>,
    /// How packets are framed on it.
    pub framing: Framing,
    /// Who is logged in.
    pub member: MemberId,
}

/// The way to the broadcaster's thread, for all others.
#[derive(Clone)]
pub(crate) struct Broadcaster {
    queue: Sender<Notice>,
}

impl Broadcaster {
    /// The handle, and what `run` needs: the database, which publishes, is opened in between.
    pub(crate) fn new() -> (Self, Notices) {
        let (queue, notices) = bounded(QUEUE_NOTICES_MAX);
        (Self { queue }, Notices(notices))
    }

    /// The writer. Tells those whom they concern, in this order.
    pub(crate) fn publish(&self, events: Vec<Event>) {
        self.queue.send(Notice::Committed(events)).ok();
    }

    /// A client's thread, at login. From the return on, every event that is published
    /// reaches the connection, until what is returned is dropped.
    pub(crate) fn join(&self, id: ConnectionId, listener: Listener) -> Presence {
        self.queue.send(Notice::Joined { id, listener }).ok();
        Presence { id, queue: self.queue.clone() }
    }

    /// A client's thread. Members with at least one connection, each once, by uuid.
    pub(crate) fn list_online(&self) -> Result<Vec<MemberId>, Refusal> {
        let (answer, answered) = bounded(1);
        let asked = self.queue.send(Notice::ListOnline { answer });
        asked.map_err(|_| Refusal::internal("the broadcaster has stopped"))?;
        answered.recv().map_err(Refusal::internal)
    }

    /// Lets the thread finish what is queued and end.
    pub(crate) fn stop(&self) {
        self.queue.send(Notice::Stop).ok();
    }
}

/// A connection's place in the roster. Dropping it leaves, and waits until everything that
/// was published before has been written to the connection.
pub(crate) struct Presence {
    id: ConnectionId,
    queue: Sender<Notice>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let (done, is_done) = bounded(1);
        if self.queue.send(Notice::Left { id: self.id, done }).is_ok() {
            is_done.recv().ok();
        }
    }
}

/// The receiving end of the queue, for `run`.
pub(crate) struct Notices(Receiver<Notice>);

/// Starts the broadcaster's thread. Fails when the system has no thread to give.
pub(crate) fn run(notices: Notices, access: Arc<Access>) -> io::Result<JoinHandle<()>> {
    spawn_essential("broadcaster", move || Roster::new(access).run(&notices.0))
}

/// What the broadcaster's thread owns.
struct Roster {
    access: Arc<Access>,
    clients: HashMap<ConnectionId, Client>,
    /// Who may read a channel, computed when it is first needed. *Invariant:* empty after
    /// every change of `clients` and `access`.
    readers: HashMap<ChannelId, Vec<ConnectionId>>,
    /// How many connections each member has, for those that have any.
    online: BTreeMap<MemberId, usize>,
    /// Whether `online` may differ from what was announced.
    online_changed: bool,
    /// What the last `online` event said, and when.
    announced: (Vec<MemberId>, Instant),
    /// Those for whom something is pending in this round.
    touched: Vec<ConnectionId>,
    /// Those of whom the kernel did not take everything.
    behind: HashSet<ConnectionId>,
    retried: Instant,
    /// The events of this round, each encoded once for each framing.
    round: Vec<Encoded>,
    round_bytes: usize,
}

struct Client {
    listener: Listener,
    /// Places in the round of what is to be written. *Invariant:* ascending.
    pending: Vec<usize>,
}

impl Client {
    /// Something more for this client, which is `id`.
    fn touch(&mut self, id: ConnectionId, place: usize, touched: &mut Vec<ConnectionId>) {
        if self.pending.is_empty() {
            touched.push(id);
        }
        self.pending.push(place);
    }
}

struct Encoded {
    lines: Vec<u8>,
    websocket: Vec<u8>,
}

impl Encoded {
    fn new(packet: &str) -> Self {
        let (mut lines, mut websocket) = (Vec::new(), Vec::new());
        Framing::Lines.encode(packet, &mut lines);
        Framing::WebSocket.encode(packet, &mut websocket);
        Self { lines, websocket }
    }

    fn framed(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Lines => &self.lines,
            Framing::WebSocket => &self.websocket,
        }
    }
}

impl Roster {
    fn new(access: Arc<Access>) -> Self {
        let long_ago = Instant::now().checked_sub(ONLINE_INTERVAL).unwrap_or_else(Instant::now);
        Self {
            access,
            clients: HashMap::new(),
            readers: HashMap::new(),
            online: BTreeMap::new(),
            online_changed: false,
            announced: (Vec::new(), long_ago),
            touched: Vec::new(),
            behind: HashSet::new(),
            retried: long_ago,
            round: Vec::new(),
            round_bytes: 0,
        }
    }

    /// One round: take what waits, write to each client what concerns it, once.
    fn run(&mut self, notices: &Receiver<Notice>) {
        loop {
            let first = match self.next_wake() {
                None => notices.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(time) => notices.recv_deadline(time),
            };
            let mut notice = match first {
                Ok(notice) => Some(notice),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(taken) = notice {
                if let Notice::Stop = taken {
                    self.deliver();
                    return;
                }
                self.take(taken);
                let is_full = self.round_bytes >= ROUND_BYTES_MAX;
                notice = if is_full { None } else { notices.try_recv().ok() };
            }
            self.announce_online();
            self.deliver();
            self.retry();
        }
    }

    /// When there is something to do even if nobody says anything.
    fn next_wake(&self) -> Option<Instant> {
        let retry = (!self.behind.is_empty()).then(|| self.retried + RETRY_INTERVAL);
        let announce = self.online_changed.then(|| self.announced.1 + ONLINE_INTERVAL);
        retry.into_iter().chain(announce).min()
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Committed(events) => events.iter().for_each(|event| self.enqueue(event)),
            Notice::Joined { id, listener } => self.join(id, listener),
            Notice::Left { id, done } => {
                self.write(id, &mut Scratch::default());
                self.leave(id);
                done.send(()).ok();
            }
            Notice::ListOnline { answer } => {
                answer.send(self.online.keys().copied().collect()).ok();
            }
            Notice::Stop => {}
        }
    }

    fn join(&mut self, id: ConnectionId, listener: Listener) {
        let connections = self.online.entry(listener.member).or_default();
        *connections += 1;
        self.online_changed |= *connections == 1;
        self.clients.insert(id, Client { listener, pending: Vec::new() });
        self.readers.clear();
    }

    fn leave(&mut self, id: ConnectionId) {
        let Some(client) = self.clients.remove(&id) else { return };
        self.readers.clear();
        self.behind.remove(&id);
        let member = client.listener.member;
        if let Some(connections) = self.online.get_mut(&member) {
            *connections -= 1;
            if *connections == 0 {
                self.online.remove(&member);
                self.online_changed = true;
            }
        }
    }

    /// Puts an event into the round, for those whom it concerns.
    fn enqueue(&mut self, event: &Event) {
        let encoded = Encoded::new(&event.encode());
        match event.audience() {
            Audience::Everyone => self.enqueue_for_everyone(encoded),
            Audience::ReadersOf(channel) => {
                let place = self.push(encoded);
                let readers = self
                    .readers
                    .entry(channel)
                    .or_insert_with(|| readers_of(channel, &self.access, &self.clients));
                for id in readers {
                    if let Some(client) = self.clients.get_mut(id) {
                        client.touch(*id, place, &mut self.touched);
                    }
                }
            }
        }
    }

    fn enqueue_for_everyone(&mut self, encoded: Encoded) {
        let place = self.push(encoded);
        for (id, client) in &mut self.clients {
            client.touch(*id, place, &mut self.touched);
        }
    }

    fn push(&mut self, encoded: Encoded) -> usize {
        self.round_bytes += encoded.lines.len();
        self.round.push(encoded);
        self.round.len() - 1
    }

    /// Tells who is connected, if that is due and another set than was told last.
    fn announce_online(&mut self) {
        if !self.online_changed || self.announced.1.elapsed() < ONLINE_INTERVAL {
            return;
        }
        self.online_changed = false;
        if !self.online.keys().eq(&self.announced.0) {
            self.announced = (self.online.keys().copied().collect(), Instant::now());
            self.enqueue_for_everyone(Encoded::new(&encode_online(&self.announced.0)));
        }
    }

    /// Writes to each client what concerns it, and ends the round.
    fn deliver(&mut self) {
        let mut scratch = Scratch::default();
        let mut touched = mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.write(id, &mut scratch);
        }
        self.touched = touched;
        self.round.clear();
        self.round_bytes = 0;
    }

    /// One write of all that is pending for one client.
    fn write(&mut self, id: ConnectionId, scratch: &mut Scratch) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.pending.is_empty() {
            return;
        }
        scratch.join(&client.pending, client.listener.framing, &self.round);
        client.pending.clear();
        let outcome = client.listener.connection.tell(&scratch.bytes);
        self.settle(id, outcome);
    }

    /// Tries those again that did not take everything, if that is due.
    fn retry(&mut self) {
        if self.behind.is_empty() || self.retried.elapsed() < RETRY_INTERVAL {
            return;
        }
        self.retried = Instant::now();
        for id in mem::take(&mut self.behind) {
            if let Some(client) = self.clients.get(&id) {
                let outcome = client.listener.connection.flush();
                self.settle(id, outcome);
            }
        }
    }

    /// A client that failed, or is past its bound, is closed and no longer here.
    fn settle(&mut self, id: ConnectionId, outcome: Result<Sent, Disconnect>) {
        match outcome {
            Ok(Sent::All) => {}
            Ok(Sent::Waiting) => drop(self.behind.insert(id)),
            Err(problem) => {
                if let Disconnect::Closed = problem {
                    log::line("closed a client that did not read its events");
                }
                if let Some(client) = self.clients.get(&id) {
                    client.listener.connection.abort();
                }
                self.leave(id);
            }
        }
    }
}

/// The connections whose member may read the channel.
fn readers_of(
    channel: ChannelId,
    access: &Access,
    clients: &HashMap<ConnectionId, Client>,
) -> Vec<ConnectionId> {
    let may_read = |client: &Client| {
        let access = access.find_channel(client.listener.member, channel);
        access.is_some_and(|access| access.allows(Permission::ReadMessages))
    };
    clients.iter().filter(|(_, client)| may_read(client)).map(|(id, _)| *id).collect()
}

/// What one write holds. Most clients get the same as the one before them, so it is kept.
#[derive(Default)]
struct Scratch {
    places: Vec<usize>,
    framing: Option<Framing>,
    bytes: Vec<u8>,
}

impl Scratch {
    fn join(&mut self, places: &[usize], framing: Framing, round: &[Encoded]) {
        if self.framing == Some(framing) && self.places == places {
            return;
        }
        self.framing = Some(framing);
        self.places.clear();
        self.places.extend_from_slice(places);
        self.bytes.clear();
        for encoded in places.iter().filter_map(|place| round.get(*place)) {
            self.bytes.extend_from_slice(encoded.framed(framing));
        }
    }
}
