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

mod deferred;
mod roster;
mod round;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::access::Access;
use crate::connection::Connection;
use crate::error::Refusal;
use crate::id::{ConnectionId, MemberId, SessionId};
use crate::protocol::Topic;
use crate::protocol::event::Topics;
use crate::queue::{Receiver, Sender, bounded};
use crate::store::Change;
use crate::thread::spawn_essential;
use crate::wire::Framing;

use roster::Roster;

/// Notices that wait at most.
const QUEUE_NOTICES_MAX: usize = 1024;

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
    /// Answered when all that was published before has been written.
    Told {
        done: Sender<()>,
    },
    ListOnline {
        answer: Sender<Vec<MemberId>>,
    },
    /// From here on told of this, too.
    Asked {
        id: ConnectionId,
        topic: Topic,
    },
    /// From here on part of this session.
    Began {
        id: ConnectionId,
        session: SessionId,
    },
    Committed(Vec<Change>),
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
    /// By which session; none after a login by password.
    pub session: Option<SessionId>,
    /// What it asked for itself.
    pub topics: Topics,
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
    pub(crate) fn publish(&self, changes: Vec<Change>) {
        self.queue.send(Notice::Committed(changes)).ok();
    }

    /// A client's thread, before it looks at what it then answers: a change after that look
    /// is told.
    pub(crate) fn add_topic(&self, id: ConnectionId, topic: Topic) {
        self.queue.send(Notice::Asked { id, topic }).ok();
    }

    /// A client's thread, before it looks whether the session still stands: should it end after
    /// that look, so does the connection.
    pub(crate) fn begin_session(&self, id: ConnectionId, session: SessionId) {
        self.queue.send(Notice::Began { id, session }).ok();
    }

    /// A client's thread, at login. From the return on, every event that is published
    /// reaches the connection, until what is returned is dropped.
    pub(crate) fn join(&self, id: ConnectionId, listener: Listener) -> Presence {
        self.queue.send(Notice::Joined { id, listener }).ok();
        Presence { id, queue: self.queue.clone() }
    }

    /// A client's thread. Waits until all that was published before has been written.
    pub(crate) fn catch_up(&self) {
        let (done, is_done) = bounded(1);
        if self.queue.send(Notice::Told { done }).is_ok() {
            is_done.recv().ok();
        }
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
