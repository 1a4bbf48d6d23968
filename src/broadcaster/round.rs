//! One round: the events that share one write for each client, and what waits for each.

use std::collections::BTreeSet;
use std::mem;

use crate::backlog::Sent;
use crate::broadcaster::Listener;
use crate::error::Disconnect;
use crate::id::{ConnectionId, MemberId};
use crate::under_way::{Answer, Ticket};
use crate::wire::Framing;

/// Encoded events that share one write for each client at most; far below a client's bound.
const ROUND_BYTES_MAX: usize = 256 * 1024;

/// The events of a round, each encoded once for each framing.
#[derive(Default)]
pub(super) struct Round {
    events: Vec<Encoded>,
    bytes: usize,
    /// Those for whom an answer is pending.
    pub answered: Vec<ConnectionId>,
    /// Those for whom an event is pending.
    pub touched: Vec<ConnectionId>,
}

impl Round {
    /// Adds an event; its place.
    pub(super) fn push(&mut self, event: Encoded) -> usize {
        self.bytes += event.bytes();
        self.events.push(event);
        self.events.len() - 1
    }

    /// Whether it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= ROUND_BYTES_MAX
    }

    /// An event of the round for this client, which is `id`.
    pub(super) fn address(&mut self, id: ConnectionId, client: &mut Client, place: usize) {
        if client.pending.is_empty() {
            self.touched.push(id);
        }
        client.pending.push(place);
    }

    /// An answer for this client, which is written with what is pending for it.
    pub(super) fn answer(&mut self, client: &mut Client, answer: Answer) {
        if client.tickets.is_empty() {
            self.answered.push(answer.id);
        }
        self.bytes += answer.packet.len();
        client.answers.extend_from_slice(&answer.packet);
        client.tickets.push(answer.ticket);
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        self.answered.clear();
        self.touched.clear();
        self.events.clear();
        self.bytes = 0;
    }
}

/// A logged-in connection and what it is still to be told.
pub(super) struct Client {
    pub listener: Listener,
    /// Places in the round of what is to be written. *Invariant:* ascending.
    pending: Vec<usize>,
    /// Answers that are to be written, framed.
    answers: Vec<u8>,
    /// Their requests are under way until then.
    tickets: Vec<Ticket>,
    /// Of whom it is still to be told, when it has taken what came before: see `Deferred`.
    pub waiting: BTreeSet<MemberId>,
}

impl Client {
    pub(super) fn new(listener: Listener) -> Self {
        Self {
            listener,
            pending: Vec::new(),
            answers: Vec::new(),
            tickets: Vec::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// One write of all that is pending.
    pub(super) fn write(
        &mut self,
        round: &Round,
        scratch: &mut Scratch,
    ) -> Result<Sent, Disconnect> {
        if self.pending.is_empty() && self.tickets.is_empty() {
            return Ok(Sent::All);
        }
        // Given back at the end, and their memory with them: few clients send at a time.
        let (answers, tickets) = (mem::take(&mut self.answers), mem::take(&mut self.tickets));
        let sent = if self.pending.is_empty() {
            self.listener.connection.tell(&answers, &[])
        } else {
            scratch.join(&self.pending, self.listener.framing, &round.events);
            self.pending.clear();
            self.listener.connection.tell(&answers, &scratch.bytes)
        };
        drop(tickets);
        sent
    }
}

/// An event as both framings have it.
pub(super) struct Encoded {
    lines: Vec<u8>,
    websocket: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(packet: &str) -> Self {
        let (mut lines, mut websocket) = (Vec::new(), Vec::new());
        Framing::Lines.encode(packet, &mut lines);
        Framing::WebSocket.encode(packet, &mut websocket);
        Self { lines, websocket }
    }

    /// Its size as a line.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len()
    }

    fn framed(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Lines => &self.lines,
            Framing::WebSocket => &self.websocket,
        }
    }
}

/// What one write holds. Most clients get the same as the one before them, so it is kept.
#[derive(Default)]
pub(super) struct Scratch {
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
