//! What was counted, and what everybody hears.
//!
//! *Order:* the first client to have a message holds it against what its sender has to say
//! next; every other must then have the same bytes in the same place. So a message lost,
//! doubled, changed or out of order, at any client, ends the bench with an error. Senders who do
//! not hear themselves are an exception: whether others' messages came before or after their own
//! they cannot know, so they hold each against what its sender has to say next.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::time::Instant;

use crate::Outcome;
use crate::clients::message_text;
use crate::dialect::{Dialect, Line};
use crate::histogram::Histogram;

/// What was counted since the first client, and what all clients hear, in one order.
#[derive(Default)]
pub(crate) struct Tally {
    /// Messages that arrived at a client, the senders' own copies included.
    pub(crate) deliveries: u64,
    /// Records of TLS that ended a message at a client.
    pub(crate) records: u64,
    /// From each send to its answer, until somebody clears them.
    pub(crate) answered: Histogram,
    /// From each send to each delivery, until somebody clears them.
    pub(crate) delivered: Histogram,
    /// Bytes of the last request and its line end, before TLS.
    pub(crate) request_bytes: usize,
    /// Bytes of the last event and its line end, before TLS.
    pub(crate) event_bytes: usize,
    /// Sends that were answered.
    pub(crate) acknowledged: u64,
    /// Clients that have come in.
    pub(super) logins: usize,
    /// Sends in all.
    pub(super) sent: u64,
    /// How many of those everybody has had who is to have them.
    pub(super) heard_by_all: u64,
    /// Messages that senders who do not hear themselves are to have yet.
    pub(super) owed_to_senders: u64,
    /// Who is to have each message, those senders apart.
    pub(super) listeners: usize,
    /// When each sender said what nobody has had yet.
    pub(super) said: Vec<VecDeque<Instant>>,
    /// Of each client, the number of the message of theirs that must come next.
    next_numbers: Vec<u32>,
    /// Events that not everyone has had.
    open: VecDeque<Open>,
    /// Over the texts of all messages.
    hasher: DefaultHasher,
}

/// An event that not everyone has had.
struct Open {
    /// As the first to have it did.
    event: Vec<u8>,
    /// How many clients are to have it.
    missing: usize,
    /// By whom nobody knows when it was not a client.
    sent_at: Option<Instant>,
}

/// What one client has had.
pub(super) struct Hearing {
    /// The beginning of a line.
    inbox: Vec<u8>,
    /// How many messages it has had, or were said before it came.
    heard: u64,
    /// When the requests were sent whose answers have not come.
    pub(super) unanswered: VecDeque<Instant>,
    /// Of each sender, the number of the message that must come next: only of a sender who does
    /// not hear itself.
    next_numbers: Option<Vec<u32>>,
}

impl Hearing {
    /// Of one more client.
    pub(super) fn new(tally: &mut Tally) -> Self {
        tally.next_numbers.push(0);
        tally.said.push(VecDeque::new());
        tally.listeners += 1;
        let heard = tally.heard_by_all;
        Self { inbox: Vec::new(), heard, unanswered: VecDeque::new(), next_numbers: None }
    }

    /// Of one who has had everything, and who sends without hearing itself or does not.
    pub(super) fn renew(&mut self, is_deaf_to_itself: bool, tally: &Tally) {
        self.heard = tally.heard_by_all;
        self.next_numbers = is_deaf_to_itself.then(|| tally.next_numbers.clone());
    }

    /// Enters what a record held.
    pub(super) fn take(
        &mut self,
        dialect: Dialect,
        record: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Outcome<()> {
        let before = tally.deliveries;
        if self.inbox.is_empty() {
            let taken = self.take_lines(dialect, record, now, tally)?;
            self.inbox.extend_from_slice(&record[taken..]);
        } else {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(record);
            let taken = self.take_lines(dialect, &inbox, now, tally)?;
            inbox.drain(..taken);
            self.inbox = inbox;
        }
        tally.records += u64::from(tally.deliveries > before);
        Ok(())
    }

    /// Enters all whole lines; how many bytes they are.
    fn take_lines(
        &mut self,
        dialect: Dialect,
        bytes: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Outcome<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            if self.next_numbers.is_none()
                && let Some(event_bytes) = tally.enter_delivery(self.heard, rest, now)
            {
                self.heard += 1;
                taken += event_bytes;
                continue;
            }
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
            let line = &rest[..=end];
            match (dialect.read(line)?, &mut self.next_numbers) {
                (Line::Message(text), None) => {
                    tally.enter_message(self.heard, text, line)?;
                    continue; // It is delivered the next time round.
                }
                (Line::Message(text), Some(next_numbers)) => {
                    check_next(text, next_numbers)?;
                    tally.deliveries += 1;
                    tally.owed_to_senders -= 1;
                }
                (Line::Answer, _) => {
                    let sent_at = self.unanswered.pop_front().ok_or("an answer to nothing")?;
                    tally.answered.add(now.saturating_duration_since(sent_at));
                    tally.acknowledged += 1;
                }
                (Line::Login, _) => tally.logins += 1,
                (Line::Other, _) => {}
            }
            taken += line.len();
        }
        Ok(taken)
    }
}

impl Tally {
    /// The texts of all messages that were delivered, in their order, as one number.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// Enters that one more client had the message in this place, if `bytes` begin with its
    /// event. The event's length.
    fn enter_delivery(&mut self, place: u64, bytes: &[u8], now: Instant) -> Option<usize> {
        let open = self.open.get_mut((place - self.heard_by_all) as usize)?;
        let event_bytes = bytes.starts_with(&open.event).then_some(open.event.len())?;
        open.missing -= 1;
        if let Some(sent_at) = open.sent_at {
            self.delivered.add(now.saturating_duration_since(sent_at));
        }
        self.deliveries += 1;
        while self.open.front().is_some_and(|open| open.missing == 0) {
            self.open.pop_front();
            self.heard_by_all += 1;
        }
        Some(event_bytes)
    }

    /// Enters an event that nobody has had. It must be what its sender has to say next.
    fn enter_message(&mut self, place: u64, text: &str, event: &[u8]) -> Outcome<()> {
        if place != self.heard_by_all + self.open.len() as u64 {
            return Err(wrong(text).into());
        }
        let sender = check_next(text, &mut self.next_numbers)?;
        let sent_at = self.said[sender].pop_front();
        self.event_bytes = event.len();
        self.hasher.write(text.as_bytes());
        let missing = self.listeners;
        self.open.push_back(Open { event: event.to_vec(), missing, sent_at });
        Ok(())
    }
}

/// Fails if this is not what its sender has to say next. Who that is.
fn check_next(text: &str, next_numbers: &mut [u32]) -> Outcome<usize> {
    let sender: usize = text.split(' ').next().unwrap_or_default().parse()?;
    let number = next_numbers.get_mut(sender).ok_or_else(|| wrong(text))?;
    if text != message_text(sender, *number) {
        return Err(wrong(text).into());
    }
    *number += 1;
    Ok(sender)
}

fn wrong(text: &str) -> String {
    format!("lost, doubled, changed or out of order: {text}")
}
