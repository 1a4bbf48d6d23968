//! The roster: who is connected as whom, and who is told what. Owned by one thread.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::access::Access;
use crate::backlog::Sent;
use crate::broadcaster::deferred::{DEFERRED_BYTES_MIN, Deferred};
use crate::broadcaster::round::{Client, Encoded, Round, Scratch};
use crate::broadcaster::{Listener, Notice};
use crate::connection::Connection;
use crate::error::Disconnect;
use crate::id::{ByConnection, ChannelId, ConnectionId, MemberId, now_s};
use crate::log;
use crate::protocol::event::{Audience, encode_channels, encode_groups, encode_online};
use crate::protocol::{Event, Permission, Topic, User};
use crate::queue::Receiver;
use crate::store::{Change, Whose};
use crate::under_way::Answer;

/// How soon a client that did not take everything is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// `online` events are at least this far apart, for each so many members that the last one listed:
/// about 4 KiB a second to each client, however many come and go. So while many come at once, the
/// lists become rarer as they grow, and all of them together are a few times the last.
const ONLINE_INTERVAL: Duration = Duration::from_millis(250);
const ONLINE_INTERVAL_MEMBERS: usize = 64;
/// But no further than this.
const ONLINE_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// How long a client that is sent away has for its farewell.
const ENDING_TIMEOUT: Duration = Duration::from_secs(2);

/// What the broadcaster's thread owns.
pub(super) struct Roster {
    access: Arc<Access>,
    clients: ByConnection<Client>,
    /// Who may read a channel, computed when it is first needed. *Invariant:* empty after
    /// every change of `clients` and `access`.
    readers: HashMap<ChannelId, Vec<ConnectionId>>,
    /// How many connections each member has, for those that have any.
    online: BTreeMap<MemberId, usize>,
    /// Whether `online` may differ from what was announced.
    online_changed: bool,
    /// What the last `online` event said, and when.
    announced: (Vec<MemberId>, Instant),
    /// Those who have not taken everything.
    behind: HashSet<ConnectionId>,
    retried: Instant,
    /// Those who were sent away, with the time when they are cut off.
    ending: VecDeque<(Instant, Arc<Connection>)>,
    deferred: Deferred,
    round: Round,
}

impl Roster {
    pub(super) fn new(access: Arc<Access>) -> Self {
        let long_ago = Instant::now().checked_sub(ONLINE_INTERVAL).unwrap_or_else(Instant::now);
        Self {
            access,
            clients: ByConnection::default(),
            readers: HashMap::new(),
            online: BTreeMap::new(),
            online_changed: false,
            announced: (Vec::new(), long_ago),
            behind: HashSet::new(),
            retried: long_ago,
            ending: VecDeque::new(),
            deferred: Deferred::default(),
            round: Round::default(),
        }
    }

    /// One round: take what waits, write to each client what concerns it, once.
    pub(super) fn run(&mut self, notices: &Receiver<Notice>) {
        loop {
            let first = match self.next_wake() {
                None => notices.recv(),
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
                notice = if self.round.is_full() { None } else { notices.try_recv().ok() };
            }
            self.announce_online();
            self.deliver();
            self.retry();
            self.cut_off();
        }
    }

    /// When there is something to do even if nobody says anything.
    fn next_wake(&self) -> Option<Instant> {
        let retry = (!self.behind.is_empty()).then(|| self.retried + RETRY_INTERVAL);
        let announce = self.online_changed.then(|| self.next_announcement());
        let cut_off = self.ending.front().map(|(deadline, _)| *deadline);
        retry.into_iter().chain(announce).chain(cut_off).min()
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Committed(changes) => {
                changes.into_iter().for_each(|change| self.follow(change))
            }
            Notice::Asked { id, topic } => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.listener.topics.insert(topic);
                }
            }
            Notice::Began { id, session } => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.listener.session = Some(session);
                }
            }
            Notice::Joined { id, listener } => self.join(id, listener),
            Notice::Left { id, done } => {
                self.write(id, &mut Scratch::default());
                self.leave(id);
                done.send(()).ok();
            }
            Notice::Told { done } => {
                self.deliver();
                done.send(()).ok();
            }
            Notice::ListOnline { answer } => {
                answer.send(self.online.keys().copied().collect()).ok();
            }
            Notice::Stop => {}
        }
    }

    fn join(&mut self, id: ConnectionId, listener: Listener) {
        if self.access.is_banned(listener.member, now_s()) {
            // They were banned after their password was looked at.
            self.send_away(listener.connection);
            return;
        }
        let connections = self.online.entry(listener.member).or_default();
        *connections += 1;
        self.online_changed |= *connections == 1;
        self.clients.insert(id, Client::new(listener));
        self.readers.clear();
    }

    fn leave(&mut self, id: ConnectionId) {
        let Some(mut client) = self.clients.remove(&id) else { return };
        self.deferred.forget(&mut client);
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

    fn follow(&mut self, change: Change) {
        match change {
            Change::Answer(answer) => self.answer(answer),
            Change::Event(event) => self.enqueue(&event),
            Change::Access(access) => self.change_access(access),
            Change::Disconnect(whose) => self.disconnect(whose),
        }
        if self.round.is_full() {
            self.deliver();
        }
    }

    /// To who asked; to their own thread, if they are no longer told anything.
    fn answer(&mut self, answer: Answer) {
        match self.clients.get_mut(&answer.id) {
            Some(client) => self.round.answer(client, answer),
            None => answer.give_back(),
        }
    }

    /// From here on others may read a channel. Tells each connection which channels its member
    /// may view, if that is another list than before, and those who asked of the groups.
    fn change_access(&mut self, access: Arc<Access>) {
        let before = mem::replace(&mut self.access, access);
        let access = Arc::clone(&self.access);
        self.readers.clear();
        // Most members are in the same groups as many others, and see what those see.
        let mut places = HashMap::new();
        let members: Vec<_> =
            self.clients.iter().map(|(id, client)| (*id, client.listener.member)).collect();
        for (id, member) in members {
            let is_individual = access.is_individual(member) || before.is_individual(member);
            let groups = (before.groups_of(member), access.groups_of(member));
            let place =
                *places.entry((groups, is_individual.then_some(member))).or_insert_with(|| {
                    let is_other = access.shows_otherwise(&before, member);
                    let list = || encode_channels(&access.list_channels(member));
                    is_other.then(|| self.round.push(Encoded::new(&list())))
                });
            if let (Some(place), Some(client)) = (place, self.clients.get_mut(&id)) {
                self.round.address(id, client, place);
            }
        }
        if access.groups() != before.groups() {
            self.enqueue_for_askers(Topic::Groups, Encoded::new(&encode_groups(access.groups())));
        }
    }

    /// Ends these connections, after what was told so far.
    fn disconnect(&mut self, whose: Whose) {
        let is_theirs = |(id, client): &(&ConnectionId, &Client)| match whose {
            Whose::Member(member) => client.listener.member == member,
            Whose::Session(session) => client.listener.session == Some(session),
            Whose::Others(member, but) => client.listener.member == member && **id != but,
        };
        let theirs: Vec<_> = self.clients.iter().filter(is_theirs).map(|(id, _)| *id).collect();
        for id in theirs {
            self.write(id, &mut Scratch::default());
            if let Some(client) = self.clients.get(&id) {
                let connection = Arc::clone(&client.listener.connection);
                self.leave(id);
                self.send_away(connection);
            }
        }
    }

    /// Lets a client's thread say farewell, for a moment.
    fn send_away(&mut self, connection: Arc<Connection>) {
        connection.hang_up();
        self.ending.push_back((Instant::now() + ENDING_TIMEOUT, connection));
    }

    /// Cuts off those who were sent away and have not gone.
    fn cut_off(&mut self) {
        let now = Instant::now();
        while self.ending.front().is_some_and(|(deadline, _)| *deadline <= now) {
            if let Some((_, connection)) = self.ending.pop_front() {
                connection.abort();
            }
        }
    }

    /// Puts an event into the round, for those whom it concerns.
    fn enqueue(&mut self, event: &Event) {
        let encoded = Encoded::new(&event.encode());
        if let Event::MembersChanged(users) = event {
            return self.enqueue_members(users, encoded);
        }
        match event.audience() {
            Audience::Everyone => self.enqueue_for_everyone(encoded),
            Audience::AskersFor(topic) => self.enqueue_for_askers(topic, encoded),
            Audience::ReadersOf(channel) => {
                let place = self.round.push(encoded);
                let readers = self
                    .readers
                    .entry(channel)
                    .or_insert_with(|| readers_of(channel, &self.access, &self.clients));
                for id in readers {
                    if let Some(client) = self.clients.get_mut(id) {
                        self.round.address(*id, client, place);
                    }
                }
            }
        }
    }

    /// Tells everyone how members look, at once or as each client reads; but never what is older
    /// than what they were told.
    fn enqueue_members(&mut self, users: &[User], encoded: Encoded) {
        let is_bulk = users.len() > 1 && encoded.bytes() > DEFERRED_BYTES_MIN;
        users.iter().for_each(|user| self.deferred.renew(user));
        let place = self.round.push(encoded);
        for (id, client) in &mut self.clients {
            if is_bulk || users.iter().any(|user| client.waiting.contains(&user.uuid)) {
                users.iter().for_each(|user| self.deferred.add(client, user));
                self.behind.insert(*id);
            } else {
                self.round.address(*id, client, place);
            }
        }
    }

    fn enqueue_for_everyone(&mut self, encoded: Encoded) {
        let place = self.round.push(encoded);
        for (id, client) in &mut self.clients {
            self.round.address(*id, client, place);
        }
    }

    fn enqueue_for_askers(&mut self, topic: Topic, encoded: Encoded) {
        let place = self.round.push(encoded);
        let askers = self.clients.iter_mut().filter(|(_, it)| it.listener.topics.contains(topic));
        for (id, client) in askers {
            self.round.address(*id, client, place);
        }
    }

    /// When the next `online` event may come.
    fn next_announcement(&self) -> Instant {
        let (members, announced) = &self.announced;
        *announced + online_interval(members.len())
    }

    /// Tells who is connected, if that is due and another set than was told last.
    fn announce_online(&mut self) {
        if !self.online_changed || Instant::now() < self.next_announcement() {
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
        let ids = (mem::take(&mut self.round.answered), mem::take(&mut self.round.touched));
        // Order: those who are answered come first. They can say more while others are told.
        for id in ids.0.iter().chain(&ids.1) {
            self.write(*id, &mut scratch);
        }
        (self.round.answered, self.round.touched) = ids;
        self.round.clear();
    }

    /// One write of all that is pending for one client.
    fn write(&mut self, id: ConnectionId, scratch: &mut Scratch) {
        if let Some(client) = self.clients.get_mut(&id) {
            let outcome = client.write(&self.round, scratch);
            self.settle(id, outcome);
        }
    }

    /// Tries those again that did not take everything, if that is due.
    fn retry(&mut self) {
        if self.behind.is_empty() || self.retried.elapsed() < RETRY_INTERVAL {
            return;
        }
        self.retried = Instant::now();
        for id in mem::take(&mut self.behind) {
            if let Some(client) = self.clients.get_mut(&id) {
                let outcome = self.deferred.flush(client);
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

/// How long an `online` event stands that lists so many members.
fn online_interval(members: usize) -> Duration {
    let times = u32::try_from(members / ONLINE_INTERVAL_MEMBERS).unwrap_or(u32::MAX);
    ONLINE_INTERVAL.saturating_mul(times).clamp(ONLINE_INTERVAL, ONLINE_INTERVAL_MAX)
}

/// The connections whose member may read the channel.
fn readers_of(
    channel: ChannelId,
    access: &Access,
    clients: &ByConnection<Client>,
) -> Vec<ConnectionId> {
    let may_read = |client: &Client| {
        let access = access.find_channel(client.listener.member, channel);
        access.is_some_and(|access| access.allows(Permission::ReadMessages))
    };
    clients.iter().filter(|(_, client)| may_read(client)).map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of `online` events to a client that is there while `members` come, evenly, within
    /// `duration`, by the size of the last of these events.
    fn cost_of_a_crowd(members: u32, duration: Duration) -> f64 {
        let (mut bytes, mut time, mut last) = (0, Duration::ZERO, 0);
        while last < members as usize {
            let come = time.as_secs_f64() / duration.as_secs_f64();
            last = ((f64::from(members) * come) as usize).min(members as usize);
            bytes += last;
            time += online_interval(last);
        }
        bytes as f64 / last as f64
    }

    #[test]
    fn a_crowd_that_comes_costs_a_client_a_few_lists() {
        for (members, seconds) in [(100, 1), (1000, 1), (1000, 3), (1000, 12), (4000, 12)] {
            let cost = cost_of_a_crowd(members, Duration::from_secs(seconds));
            assert!(cost < 5.0, "{members} within {seconds} s: {cost} lists");
        }
        assert_eq!(online_interval(0), ONLINE_INTERVAL);
        assert_eq!(online_interval(usize::MAX), ONLINE_INTERVAL_MAX);
    }
}
