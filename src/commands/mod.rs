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
mod session;
mod sessions;
mod sync;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answers::Length;
use crate::config::Limits;
use crate::error::{Refusal, Status};
use crate::id::MemberId;
use crate::log;
use crate::pieces::Pieces;
use crate::protocol::packet::{UNKNOWN, encode_refusal, encode_response, parse_envelope};
use crate::store::WriteTx;

pub(crate) use session::{Services, Session};

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
    row!("send", Members, ahead messages::send),
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
    /// No response yet where the request is under way: see `Session::write_ahead`.
    run: fn(&mut Session<'_>, &Call<'_>) -> Result<Option<Pieces>, Refusal>,
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
            run: |session, call| call.carry_out(session, $handler).map(Some),
        }
    };
    ($name:literal, $who:ident, ahead $handler:path) => {
        Row {
            name: $name,
            who: Who::$who,
            reads: |text, limits| reads(text, limits, $handler),
            run: |session, call| call.carry_out_ahead(session, $handler).map(|()| None),
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

/// Carries out one request and returns its one response; `None` where that is told when the request,
/// which is under way, is done.
pub(crate) fn answer(session: &mut Session<'_>, text: &str) -> Option<Pieces> {
    let Some(envelope) = parse_envelope(text) else { return Some(encode_unknown().into()) };
    let command = envelope.command.as_ref();
    let Ok(label) = envelope.label() else {
        return Some(encode_refusal(command, None, Status::BadRequest).into());
    };
    let outcome = match COMMANDS.iter().find(|row| row.name == command) {
        None => Err(Refusal::BadRequest),
        Some(row) => {
            session.hear_of(row.name);
            session.note_use();
            (row.run)(session, &Call { row, text, label })
        }
    };
    outcome.unwrap_or_else(|refusal| Some(refuse(command, label, &refusal).into()))
}

/// The response to what is refused; our own faults are logged.
fn refuse(command: &str, label: Option<&str>, refusal: &Refusal) -> String {
    if let Refusal::Internal(cause) = refusal {
        log::fault(format_args!("{command} failed: {cause}"));
    }
    encode_refusal(command, label, refusal.status())
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
    fn admit<R: Request>(&self, session: &Session<'_>) -> Result<R, Refusal> {
        let limits = &session.services.config.limits;
        let request = parse_fields(self.text, limits).ok_or(Refusal::BadRequest)?;
        match (self.row.who, &session.login) {
            (Who::Strangers, Some(_)) => Err(Refusal::MethodNotAllowed),
            (Who::Members, None) => Err(Refusal::Unauthorised),
            (Who::Anyone, _) | (Who::Strangers, None) | (Who::Members, Some(_)) => Ok(request),
        }
    }

    fn carry_out<R: Request, T: Serialize>(
        &self,
        session: &mut Session<'_>,
        handler: fn(&mut Session<'_>, R) -> Result<T, Refusal>,
    ) -> Result<Pieces, Refusal> {
        let request = self.admit(session)?;
        // Order: requests are carried out as they came.
        session.finish_under_way();
        let response = handler(session, request)?;
        Ok(encode_response(self.row.name, self.label, response))
    }

    /// As `carry_out`, but for a handler that says what is to be written and does not wait for it.
    fn carry_out_ahead<R: Request, T: Serialize + Send + 'static, W>(
        &self,
        session: &mut Session<'_>,
        handler: fn(&mut Session<'_>, R) -> Result<W, Refusal>,
    ) -> Result<(), Refusal>
    where
        W: FnOnce(&mut WriteTx<'_>, MemberId) -> Result<T, Refusal> + Send + 'static,
    {
        let request = self.admit(session)?;
        let work = handler(session, request)?;
        session.write_ahead(self.row.name, self.label, work)
    }
}

/// Whoever is not allowed is refused.
fn allow(is_allowed: bool) -> Result<(), Refusal> {
    if is_allowed { Ok(()) } else { Err(Refusal::Forbidden) }
}
