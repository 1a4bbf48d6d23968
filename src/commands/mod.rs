//! The table of commands, the gate in front of it, and the session they work on.
//!
//! Adding a command takes a row here and a function in its family's file. Handlers see
//! checked types, never JSON.

mod accounts;
mod channels;
mod groups;
mod messages;
mod moderation;
mod reading;
mod server;
mod sessions;
mod sync;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answers::{LargeAnswers, Length, Making};
use crate::broadcaster::{Broadcaster, Listener, Presence};
use crate::commands::sessions::Proof;
use crate::config::{Config, Limits};
use crate::connection::Connection;
use crate::error::{Refusal, Status};
use crate::id::{ConnectionId, MemberId, SessionId, now_s};
use crate::log;
use crate::password::PasswordHasher;
use crate::pieces::Pieces;
use crate::protocol::Topic;
use crate::protocol::event::Topics;
use crate::protocol::packet::{UNKNOWN, encode_refusal, encode_response, parse_envelope};
use crate::stopping::Stopping;
use crate::store::{PasswordHash, Reader, Store, WriteTx};
use crate::throttle::{AddressKey, LoginThrottle};
use crate::wire::Framing;
use crate::wire::assets::Assets;

/// A session is as good as gone after 180 days: a day more or less is nothing to it.
const USE_NOTED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every command: its name, who may call it, what carries it out (protocol section 4).
static COMMANDS: &[Row] = &[
    row!("register", Strangers, accounts::register),
    row!("login", Strangers, accounts::login),
    row!("nick", Members, accounts::nick),
    row!("pfp", Members, accounts::pfp),
    row!("change_password", Members, accounts::change_password),
    row!("leave", Anyone, accounts::leave),
    row!("create_session", Members, sessions::create_session),
    row!("list_sessions", Members, sessions::list_sessions),
    row!("delete_session", Members, sessions::delete_session),
    row!("get_user", Members, accounts::get_user),
    row!("get_metadata", Members, accounts::get_metadata),
    row!("online", Members, accounts::online),
    row!("send", Members, messages::send),
    row!("history", Members, messages::history),
    row!("edit", Members, messages::edit),
    row!("delete", Members, messages::delete),
    row!("ping", Anyone, server::ping),
    row!("get_name", Anyone, server::get_name),
    row!("get_icon", Anyone, server::get_icon),
    row!("list_emoji", Anyone, server::list_emoji),
    row!("get_emoji", Anyone, server::get_emoji),
    row!("list_channels", Members, server::list_channels),
    row!("list_groups", Members, server::list_groups),
    row!("set_name", Members, server::set_name),
    row!("set_icon", Members, server::set_icon),
    row!("create_emoji", Members, server::create_emoji),
    row!("delete_emoji", Members, server::delete_emoji),
    row!("mark_as_read", Members, reading::mark_as_read),
    row!("get_last_reads", Members, reading::get_last_reads),
    row!("get_num_unread", Members, reading::get_num_unread),
    row!("create_channel", Members, channels::create_channel),
    row!("update_channel", Members, channels::update_channel),
    row!("delete_channel", Members, channels::delete_channel),
    row!("create_group", Members, groups::create_group),
    row!("update_group", Members, groups::update_group),
    row!("delete_group", Members, groups::delete_group),
    row!("update_user_groups", Members, groups::update_user_groups),
    row!("get_base_permissions", Members, groups::get_base_permissions),
    row!("set_base_permissions", Members, groups::set_base_permissions),
    row!("get_permissions", Members, groups::get_permissions),
    row!("kick", Members, moderation::kick),
    row!("ban", Members, moderation::ban),
    row!("unban", Members, moderation::unban),
    row!("list_bans", Members, moderation::list_bans),
    row!("list_audit", Members, moderation::list_audit),
    row!("sync_set", Members, sync::sync_set),
    row!("sync_get", Members, sync::sync_get),
    row!("sync_set_servers", Members, sync::sync_set_servers),
    row!("sync_get_servers", Members, sync::sync_get_servers),
];

struct Row {
    name: &'static str,
    who: Who,
    /// Whether a text has the fields of this command's request.
    reads: fn(&str, &Limits) -> bool,
    run: fn(&mut Session<'_>, &Call<'_>) -> Result<Pieces, Refusal>,
}

/// Who may call a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// With or without a login.
    Anyone,
    /// Those who are not logged in; others get 405.
    Strangers,
    /// Those who are logged in; others get 401.
    Members,
}

macro_rules! row {
    ($name:literal, $who:ident, $handler:path) => {
        Row {
            name: $name,
            who: Who::$who,
            reads: |text, limits| reads(text, limits, $handler),
            run: |session, call| call.carry_out(session, $handler),
        }
    };
}
use row;

/// The fields of a request, checked as far as that needs no database.
trait Request: DeserializeOwned {
    /// Whether the values are within their bounds, where serde's types do not say it.
    fn is_within(&self, _limits: &Limits) -> bool {
        true
    }
}

fn parse_fields<R: Request>(text: &str, limits: &Limits) -> Option<R> {
    serde_json::from_str(text).ok().filter(|request: &R| request.is_within(limits))
}

/// Whether a text has the fields that this handler takes.
fn reads<R: Request, T>(
    text: &str,
    limits: &Limits,
    _: fn(&mut Session<'_>, R) -> Result<T, Refusal>,
) -> bool {
    parse_fields::<R>(text, limits).is_some()
}

/// The fields of a request that has none.
#[derive(Deserialize)]
struct NoFields {}
impl Request for NoFields {}

/// The fields of a response that is one list or value.
#[derive(Serialize)]
struct Answer<T> {
    data: T,
}

/// The names of all commands, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|row| row.name)
}

/// The name of the command that a text asks for, if all that can be checked without a session
/// is right: the request would not be refused with 400 for its shape.
pub fn recognise(text: &str, limits: &Limits) -> Option<&'static str> {
    let envelope = parse_envelope(text)?;
    envelope.label().ok()?;
    let row = COMMANDS.iter().find(|row| row.name == envelope.command)?;
    (row.reads)(text, limits).then_some(row.name)
}

/// Carries out one request and returns its one response.
pub(crate) fn answer(session: &mut Session<'_>, text: &str) -> Pieces {
    let Some(envelope) = parse_envelope(text) else { return encode_unknown().into() };
    let command = envelope.command.as_ref();
    let Ok(label) = envelope.label() else {
        return encode_refusal(command, None, Status::BadRequest).into();
    };
    let outcome = match COMMANDS.iter().find(|row| row.name == command) {
        None => Err(Refusal::BadRequest),
        Some(row) => {
            session.hear_of(row.name);
            session.note_use();
            (row.run)(session, &Call { row, text, label })
        }
    };
    outcome.unwrap_or_else(|refusal| {
        if let Refusal::Internal(cause) = &refusal {
            log::fault(format_args!("{command} failed: {cause}"));
        }
        encode_refusal(command, label, refusal.status()).into()
    })
}

/// The response to what is no request at all.
pub(crate) fn encode_unknown() -> String {
    encode_refusal(UNKNOWN, None, Status::BadRequest)
}

/// One request on its way to its handler.
struct Call<'a> {
    row: &'a Row,
    text: &'a str,
    label: Option<&'a str>,
}

impl Call<'_> {
    /// Order: the shape (400), the state (405, 401), then whatever the handler finds
    /// (protocol section 2).
    fn carry_out<R: Request, T: Serialize>(
        &self,
        session: &mut Session<'_>,
        handler: fn(&mut Session<'_>, R) -> Result<T, Refusal>,
    ) -> Result<Pieces, Refusal> {
        let limits = &session.services.config.limits;
        let request = parse_fields(self.text, limits).ok_or(Refusal::BadRequest)?;
        match (self.row.who, &session.login) {
            (Who::Strangers, Some(_)) => return Err(Refusal::MethodNotAllowed),
            (Who::Members, None) => return Err(Refusal::Unauthorised),
            (Who::Anyone, _) | (Who::Strangers, None) | (Who::Members, Some(_)) => {}
        }
        let response = handler(session, request)?;
        Ok(encode_response(self.row.name, self.label, response))
    }
}

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
    services: &'s Services,
    id: ConnectionId,
    connection: Arc<Connection>,
    framing: Framing,
    address: AddressKey,
    login: Option<Login>,
    /// What this connection asked for, and so may be told of unasked.
    topics: Topics,
    /// The turn to make a large answer, from before it is read until it is on its way.
    large_answer: Option<Making<'s>>,
    leaving: bool,
}

struct Login {
    member: MemberId,
    proof: Proof,
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
    fn member(&self) -> Result<MemberId, Refusal> {
        self.logged_in().ok_or(Refusal::Unauthorised)
    }

    /// Reads in the member's name: `Forbidden` if they were banned meanwhile. See `Store::read`.
    fn read<T>(
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
    fn begin_large_answer(&mut self, length: Length) -> Result<(), Refusal> {
        let (member, socket) = (self.member()?, self.connection.socket());
        self.large_answer = self.services.answers.begin(member, socket, length);
        self.large_answer.as_ref().map(|_| ()).ok_or(Refusal::HungUp)
    }

    /// The answer is on its way: the turn is the caller's to give back.
    pub(crate) fn end_large_answer(&mut self) -> Option<Making<'s>> {
        self.large_answer.take()
    }

    /// Writes in the member's name: `Forbidden` if they were banned meanwhile. See `Store::write`.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let member = self.member()?;
        self.services.store.write(move |tx| {
            allow(!tx.access().is_banned(member, now_s()))?;
            work(tx, member)
        })
    }

    /// Writes what outlives the connection, in the member's name: `Forbidden` if what it logged in by
    /// was ended meanwhile. It may be at work still when it is told to hang up.
    fn write_lasting<T: Send + 'static>(
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
    fn act<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let outcome = self.write(work)?;
        self.services.broadcaster.catch_up();
        Ok(outcome)
    }

    /// Acts on who may do what, in the member's name. Whatever `work` checked itself, what comes
    /// of it must be theirs to give: see `Access::may_become`.
    fn govern<T: Send + 'static>(
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
    fn hear_of(&mut self, command: &str) {
        let Some(topic) = Topic::of(command) else { return };
        if self.topics.insert(topic) && self.is_logged_in() {
            self.services.broadcaster.add_topic(self.id, topic);
        }
    }

    /// From here on the connection is told what concerns this member.
    fn log_in(&mut self, member: MemberId, proof: Proof) {
        let connection = Arc::clone(&self.connection);
        let (framing, topics) = (self.framing, self.topics);
        let session = proof.session();
        let listener = Listener { connection, framing, member, session, topics };
        let presence = self.services.broadcaster.join(self.id, listener);
        self.login = Some(Login { member, proof, noted: Instant::now(), _presence: presence });
    }

    /// The session that this connection belongs to, if it is one that lasts.
    fn lasting(&self) -> Option<SessionId> {
        self.login.as_ref().and_then(|login| login.proof.session())
    }

    /// From here on the connection belongs to this session, and ends with it.
    fn join_session(&mut self, session: SessionId) {
        if let Some(login) = &mut self.login {
            login.proof = Proof::Session(session);
            self.services.broadcaster.begin_session(self.id, session);
        }
    }

    /// The password that this connection logged in by is another one now, of its own doing.
    fn keep_password(&mut self, hash: PasswordHash) {
        if let Some(Login { proof: proof @ Proof::Password(_), .. }) = &mut self.login {
            *proof = Proof::Password(hash);
        }
    }

    /// A session is used as long as a connection of it says something: notes it once a day.
    fn note_use(&mut self) {
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
    fn log_out(&mut self) {
        self.login = None;
    }
}

/// Whoever is not allowed is refused.
fn allow(is_allowed: bool) -> Result<(), Refusal> {
    if is_allowed { Ok(()) } else { Err(Refusal::Forbidden) }
}
