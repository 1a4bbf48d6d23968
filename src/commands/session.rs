//! What a client's session knows and can do: the services of the server, in the member's name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::answers::{LargeAnswers, Length, Making};
use crate::broadcaster::{Broadcaster, Listener, Presence};
use crate::commands::sessions::{self, Proof};
use crate::commands::{allow, refuse};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Refusal;
use crate::id::{ConnectionId, MemberId, SessionId, now_s};
use crate::password::PasswordHasher;
use crate::protocol::Topic;
use crate::protocol::event::Topics;
use crate::protocol::packet::encode_short_response;
use crate::stopping::Stopping;
use crate::store::{PasswordHash, Reader, Store, WriteTx};
use crate::throttle::{AddressKey, LoginThrottle};
use crate::under_way::{Answer, UnderWay};
use crate::wire::Framing;
use crate::wire::assets::Assets;

/// A session is as good as gone after 180 days: a day more or less is nothing to it.
const USE_NOTED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Requests of a client that are under way at once.
const UNDER_WAY_MAX: usize = 32;

/// What every client's thread may use.
pub(crate) struct Services {
    /// What the server was told to be.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Who is told what.
    pub broadcaster: Broadcaster,
    /// Hashes passwords, a few at a time.
    pub hasher: PasswordHasher,
    /// Slows those who guess passwords.
    pub logins: LoginThrottle,
    /// Large answers that are made or wait.
    pub answers: LargeAnswers,
    /// The web client.
    pub assets: Assets,
    /// Whether the server stops.
    pub stopping: Stopping,
}

/// What the server knows of a client, before and after its login. Owned by its thread.
pub(crate) struct Session<'s> {
    pub(super) services: &'s Services,
    pub(super) id: ConnectionId,
    pub(super) connection: Arc<Connection>,
    framing: Framing,
    pub(super) address: AddressKey,
    pub(super) login: Option<Login>,
    /// What this connection asked for, and so may be told of unasked.
    topics: Topics,
    under_way: UnderWay,
    /// The turn to make a large answer, from before it is read until it is on its way.
    pub(super) large_answer: Option<Making<'s>>,
    pub(super) leaving: bool,
}

pub(super) struct Login {
    member: MemberId,
    pub(super) proof: Proof,
    /// When the use of that session was last noted.
    noted: Instant,
    /// Dropping it leaves the roster.
    _presence: Presence,
}

impl<'s> Session<'s> {
    /// Of a client that has not logged in.
    pub(crate) fn new(
        services: &'s Services,
        id: ConnectionId,
        connection: Arc<Connection>,
        framing: Framing,
        address: AddressKey,
    ) -> Self {
        Self {
            services,
            id,
            connection,
            framing,
            address,
            login: None,
            topics: Topics::default(),
            under_way: UnderWay::new(),
            large_answer: None,
            leaving: false,
        }
    }

    /// Whether the client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.login.is_some()
    }

    /// As whom the client has logged in.
    pub(crate) fn logged_in(&self) -> Option<MemberId> {
        self.login.as_ref().map(|login| login.member)
    }

    /// Whether the client said that it leaves.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Who is logged in.
    pub(super) fn member(&self) -> Result<MemberId, Refusal> {
        self.logged_in().ok_or(Refusal::Unauthorised)
    }

    /// Reads in the member's name: `Forbidden` if they were banned meanwhile. See `Store::read`.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Reader<'_>, MemberId) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let member = self.member()?;
        self.services.store.read(|db| {
            allow(!db.access().is_banned(member, now_s()))?;
            work(db, member)
        })
    }

    /// Waits for the turn to make an answer that may be large. Before anything is read for it.
    pub(super) fn begin_large_answer(&mut self, length: Length) -> Result<(), Refusal> {
        let (member, socket) = (self.member()?, self.connection.socket());
        self.large_answer = self.services.answers.begin(member, socket, length);
        self.large_answer.as_ref().map(|_| ()).ok_or(Refusal::HungUp)
    }

    /// The answer is on its way: the turn is the caller's to give back.
    pub(crate) fn end_large_answer(&mut self) -> Option<Making<'s>> {
        self.large_answer.take()
    }

    /// Writes in the member's name: `Forbidden` if they were banned meanwhile. See `Store::write`.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let member = self.member()?;
        self.services.store.write(move |tx| {
            allow(!tx.access().is_banned(member, now_s()))?;
            work(tx, member)
        })
    }

    /// Writes in the member's name without waiting for it: those requests of the client that have
    /// come by now can share a commit. The response is told with what others are told of it.
    pub(super) fn write_ahead<T: Serialize + Send + 'static>(
        &mut self,
        command: &'static str,
        label: Option<&str>,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(), Refusal> {
        let member = self.member()?;
        if self.under_way.count() >= UNDER_WAY_MAX {
            self.finish_under_way();
        }
        let (id, framing, ticket) = (self.id, self.framing, self.under_way.begin());
        let label = label.map(str::to_owned);
        let work = move |tx: &mut WriteTx<'_>| {
            allow(!tx.access().is_banned(member, now_s()))?;
            work(tx, member)
        };
        self.services.store.write_later(work, move |outcome| {
            let packet = match outcome {
                Ok(response) => encode_short_response(command, label.as_deref(), response),
                Err(refusal) => refuse(command, label.as_deref(), &refusal),
            };
            Answer { id, packet: framing.frame(packet), ticket }
        })
    }

    /// Waits until no request of the client is under way: each of them has its answer.
    pub(crate) fn finish_under_way(&mut self) {
        let untold = self.under_way.finish();
        if !untold.is_empty() {
            // Should that fail, so does the next read.
            self.connection.answer(&untold.into()).ok();
        }
    }

    /// Writes what outlives the connection, in the member's name: `Forbidden` if what it logged in by
    /// was ended meanwhile. It may be at work still when it is told to hang up.
    pub(super) fn write_lasting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let login = self.login.as_ref().ok_or(Refusal::Unauthorised)?;
        let proof = login.proof.clone();
        self.write(move |tx, member| {
            allow(proof.stands(tx, member)?)?;
            work(tx, member)
        })
    }

    /// Writes what others see at once, in the member's name, and waits until they were told: a
    /// client of today looks for the channel it made as soon as it has the response.
    pub(super) fn act<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let outcome = self.write(work)?;
        self.services.broadcaster.catch_up();
        Ok(outcome)
    }

    /// Acts on who may do what, in the member's name. Whatever `work` checked itself, what comes
    /// of it must be theirs to give: see `Access::may_become`.
    pub(super) fn govern<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.act(move |tx, actor| {
            let outcome = work(tx, actor)?;
            let before = tx.settle()?;
            allow(before.is_none_or(|before| before.may_become(tx.access(), actor)))?;
            Ok(outcome)
        })
    }

    /// From its first request for a topic on, the connection is told when that changes.
    pub(super) fn hear_of(&mut self, command: &str) {
        let Some(topic) = Topic::of(command) else { return };
        if self.topics.insert(topic) && self.is_logged_in() {
            self.services.broadcaster.add_topic(self.id, topic);
        }
    }

    /// From here on the connection is told what concerns this member.
    pub(super) fn log_in(&mut self, member: MemberId, proof: Proof) {
        let connection = Arc::clone(&self.connection);
        let (framing, topics) = (self.framing, self.topics);
        let session = proof.session();
        let listener = Listener { connection, framing, member, session, topics };
        let presence = self.services.broadcaster.join(self.id, listener);
        self.login = Some(Login { member, proof, noted: Instant::now(), _presence: presence });
    }

    /// The session that this connection belongs to, if it is one that lasts.
    pub(super) fn lasting(&self) -> Option<SessionId> {
        self.login.as_ref().and_then(|login| login.proof.session())
    }

    /// From here on the connection belongs to this session, and ends with it.
    pub(super) fn join_session(&mut self, session: SessionId) {
        if let Some(login) = &mut self.login {
            login.proof = Proof::Session(session);
            self.services.broadcaster.begin_session(self.id, session);
        }
    }

    /// The password that this connection logged in by is another one now, of its own doing.
    pub(super) fn keep_password(&mut self, hash: PasswordHash) {
        if let Some(Login { proof: proof @ Proof::Password(_), .. }) = &mut self.login {
            *proof = Proof::Password(hash);
        }
    }

    /// A session is used as long as a connection of it says something: notes it once a day.
    pub(super) fn note_use(&mut self) {
        let Some(Login { proof: Proof::Session(session), noted, .. }) = &mut self.login else {
            return;
        };
        if noted.elapsed() < USE_NOTED_EVERY {
            return;
        }
        let session = *session;
        *noted = Instant::now();
        sessions::note_use(self, session);
    }

    /// Undoes a login that turned out to be none.
    pub(super) fn log_out(&mut self) {
        self.login = None;
    }
}
