//! The table of commands, the gate in front of it, and the session they work on.
//!
//! Adding a command takes a row here and a function in its family's file. Handlers see
//! checked types, never JSON.

mod accounts;
mod messages;
mod server;
mod sync;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::broadcaster::{Broadcaster, ConnectionId, Listener, Presence};
use crate::config::{Config, Limits};
use crate::connection::Connection;
use crate::error::{Refusal, Status};
use crate::id::MemberId;
use crate::log;
use crate::password::PasswordHasher;
use crate::protocol::packet::{UNKNOWN, encode_refusal, encode_response, parse_envelope};
use crate::stopping::Stopping;
use crate::store::Store;
use crate::throttle::{AddressKey, LoginThrottle};
use crate::wire::Framing;

/// Every command: its name, who may call it, what carries it out (protocol section 4).
static COMMANDS: &[Row] = &[
    row!("register", Strangers, accounts::register),
    row!("login", Strangers, accounts::login),
    row!("nick", Members, accounts::nick),
    row!("pfp", Members, accounts::pfp),
    row!("change_password", Members, accounts::change_password),
    row!("leave", Anyone, accounts::leave),
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
    row!("sync_set", Members, sync::sync_set),
    row!("sync_get", Members, sync::sync_get),
    row!("sync_set_servers", Members, sync::sync_set_servers),
    row!("sync_get_servers", Members, sync::sync_get_servers),
];

struct Row {
    name: &'static str,
    who: Who,
    run: fn(&mut Session<'_>, &Call<'_>) -> Result<String, Refusal>,
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
        Row { name: $name, who: Who::$who, run: |session, call| call.carry_out(session, $handler) }
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

/// Carries out one request and returns its one response.
pub(crate) fn answer(session: &mut Session<'_>, text: &str) -> String {
    let Some(envelope) = parse_envelope(text) else { return encode_unknown() };
    let command = envelope.command.as_ref();
    let Ok(label) = envelope.label() else {
        return encode_refusal(command, None, Status::BadRequest);
    };
    let outcome = match COMMANDS.iter().find(|row| row.name == command) {
        None => Err(Refusal::BadRequest),
        Some(row) => (row.run)(session, &Call { row, text, label }),
    };
    outcome.unwrap_or_else(|refusal| {
        if let Refusal::Internal(cause) = &refusal {
            log::line(format_args!("{command} failed: {cause}"));
        }
        encode_refusal(command, label, refusal.status())
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
    ) -> Result<String, Refusal> {
        let request: R = serde_json::from_str(self.text).map_err(|_| Refusal::BadRequest)?;
        if !request.is_within(&session.services.config.limits) {
            return Err(Refusal::BadRequest);
        }
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
    leaving: bool,
}

struct Login {
    member: MemberId,
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
        Self { services, id, connection, framing, address, login: None, leaving: false }
    }

    /// Whether the client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.login.is_some()
    }

    /// Whether the client said that it leaves.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Who is logged in.
    fn member(&self) -> Result<MemberId, Refusal> {
        self.login.as_ref().map(|login| login.member).ok_or(Refusal::Unauthorised)
    }

    /// From here on the connection is told what concerns this member.
    fn log_in(&mut self, member: MemberId) {
        let connection = Arc::clone(&self.connection);
        let listener = Listener { connection, framing: self.framing, member };
        let presence = self.services.broadcaster.join(self.id, listener);
        self.login = Some(Login { member, _presence: presence });
    }
}
