//! News of many members, which goes to each client only as it reads: with all their pictures it
//! could fill a client's bound at once.
//!
//! *Limits:* what waits is how each member looks now, once for all clients, whatever happened to
//! them how often: no more than `get_metadata` would answer.

use std::collections::HashMap;

use crate::backlog::Sent;
use crate::broadcaster::round::Client;
use crate::error::Disconnect;
use crate::id::MemberId;
use crate::protocol::User;
use crate::protocol::event::encode_members;

/// News of several members together that are larger than this wait.
pub(super) const DEFERRED_BYTES_MIN: usize = 16 * 1024;
/// Pictures in one event that waited, after which it is full.
const EVENT_BYTES: usize = 64 * 1024;

/// How the members look of whom some client is still to be told.
#[derive(Default)]
pub(super) struct Deferred {
    users: HashMap<MemberId, (User, usize)>,
}

impl Deferred {
    /// How a member looks from here on, for those who wait for news of them.
    pub(super) fn renew(&mut self, user: &User) {
        if let Some((known, _)) = self.users.get_mut(&user.uuid) {
            known.clone_from(user);
        }
    }

    /// One more client is to be told of this member.
    pub(super) fn add(&mut self, client: &mut Client, user: &User) {
        if client.waiting.insert(user.uuid) {
            self.users.entry(user.uuid).or_insert_with(|| (user.clone(), 0)).1 += 1;
        }
    }

    /// A client is told nothing of this any more.
    pub(super) fn forget(&mut self, client: &mut Client) {
        while self.take(client).is_some() {}
    }

    /// The next member that a client is to be told of.
    fn take(&mut self, client: &mut Client) -> Option<User> {
        let member = client.waiting.pop_first()?;
        let (user, count) = self.users.get_mut(&member)?;
        *count -= 1;
        match count {
            0 => self.users.remove(&member).map(|(user, _)| user),
            _ => Some(user.clone()),
        }
    }

    /// Tries again what the kernel did not take, then tells the client what waits, until that
    /// waits in the kernel's place.
    pub(super) fn flush(&mut self, client: &mut Client) -> Result<Sent, Disconnect> {
        let mut sent = client.listener.connection.flush()?;
        while sent == Sent::All && !client.waiting.is_empty() {
            let (mut users, mut bytes) = (Vec::new(), 0);
            while bytes < EVENT_BYTES {
                let Some(user) = self.take(client) else { break };
                bytes += user.pfp.len();
                users.push(user);
            }
            let packet = client.listener.framing.frame(encode_members(&users));
            sent = client.listener.connection.tell(&[], &packet)?;
        }
        Ok(sent)
    }
}
