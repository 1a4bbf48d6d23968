//! Accounts (protocol section 4, "Accounts").

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::commands::{Answer, NoFields, Request, Session};
use crate::config::Limits;
use crate::error::Refusal;
use crate::id::MemberId;
use crate::protocol::packet::Nothing;
use crate::protocol::{MemberName, Password, Picture, User};
use crate::store;

#[derive(Deserialize)]
pub(super) struct Register {
    uname: MemberName,
    passwd: Password,
}
impl Request for Register {}

#[derive(Serialize)]
pub(super) struct LoggedIn {
    uuid: MemberId,
}

/// Makes an account and logs in.
pub(super) fn register(session: &mut Session<'_>, request: Register) -> Result<LoggedIn, Refusal> {
    let Register { uname, passwd } = request;
    let services = session.services;
    slow_down(session);
    // Looked at before the hash is made for nothing; what counts is the look within the write.
    if services.store.read(|db| db.find_member(&uname))?.is_some() {
        return Err(Refusal::Conflict);
    }
    let hash = services.hasher.hash(&passwd)?;
    let uuid = services.store.write(move |tx| {
        if tx.find_member(&uname)?.is_some() {
            return Err(Refusal::Conflict);
        }
        let uuid = tx.insert_member(&uname, &hash)?;
        tx.publish_member(uuid)?;
        Ok(uuid)
    })?;
    session.log_in(uuid);
    Ok(LoggedIn { uuid })
}

#[derive(Deserialize)]
pub(super) struct Login {
    passwd: Password,
    uname: Option<String>,
    uuid: Option<MemberId>,
}
impl Request for Login {
    fn is_within(&self, _: &Limits) -> bool {
        self.uname.is_some() || self.uuid.is_some()
    }
}

/// Logs in by name or uuid; the name wins.
pub(super) fn login(session: &mut Session<'_>, request: Login) -> Result<LoggedIn, Refusal> {
    let Login { passwd, uname, uuid } = request;
    let login = match (uname, uuid) {
        (Some(name), _) => store::Login::Name(name.trim().to_owned()),
        (None, Some(uuid)) => store::Login::Member(uuid),
        (None, None) => return Err(Refusal::BadRequest),
    };
    let outcome = check_password(session, &login, &passwd);
    match outcome {
        Ok(member) => {
            session.log_in(member);
            Ok(LoggedIn { uuid: member })
        }
        Err(refusal) => {
            slow_down(session);
            Err(refusal)
        }
    }
}

fn check_password(
    session: &Session<'_>,
    login: &store::Login,
    password: &Password,
) -> Result<MemberId, Refusal> {
    let services = session.services;
    let credentials = services.store.read(|db| db.find_credentials(login))?;
    let credentials = credentials.ok_or(Refusal::NotFound)?;
    let member = credentials.member;
    if credentials.password.is_unset() {
        let hash = services.hasher.hash(password)?;
        let is_first = services.store.write(move |tx| tx.insert_first_password(member, &hash))?;
        return if is_first { Ok(member) } else { Err(Refusal::Forbidden) };
    }
    match services.hasher.verify(password, &credentials.password)? {
        true => Ok(member),
        false => Err(Refusal::Forbidden),
    }
}

/// Delays the answer to an address that fails or registers too often.
fn slow_down(session: &Session<'_>) {
    let delay = session.services.logins.take(session.address, Instant::now());
    session.services.stopping.pause(delay);
}

#[derive(Deserialize)]
pub(super) struct Nick {
    nick: MemberName,
}
impl Request for Nick {}

/// Another name for oneself; one's own current name changes nothing.
pub(super) fn nick(session: &mut Session<'_>, request: Nick) -> Result<Nothing, Refusal> {
    let (member, name) = (session.member()?, request.nick);
    session.services.store.write(move |tx| match tx.find_member(&name)? {
        Some(holder) if holder == member => Ok(Nothing {}),
        Some(_) => Err(Refusal::Conflict),
        None => {
            tx.update_name(member, &name)?;
            tx.publish_member(member)?;
            Ok(Nothing {})
        }
    })
}

#[derive(Deserialize)]
pub(super) struct Pfp {
    data: Picture,
}
impl Request for Pfp {}

/// Another picture for oneself.
pub(super) fn pfp(session: &mut Session<'_>, request: Pfp) -> Result<Nothing, Refusal> {
    let member = session.member()?;
    session.services.store.write(move |tx| {
        tx.update_pfp(member, request.data)?;
        tx.publish_member(member)?;
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct ChangePassword {
    new_password: Password,
}
impl Request for ChangePassword {}

/// Another password for oneself.
pub(super) fn change_password(
    session: &mut Session<'_>,
    request: ChangePassword,
) -> Result<Nothing, Refusal> {
    let member = session.member()?;
    let hash = session.services.hasher.hash(&request.new_password)?;
    session.services.store.write(move |tx| tx.update_password(member, &hash))?;
    Ok(Nothing {})
}

/// Answered, then the connection is closed.
pub(super) fn leave(session: &mut Session<'_>, _: NoFields) -> Result<Nothing, Refusal> {
    session.leaving = true;
    Ok(Nothing {})
}

#[derive(Deserialize)]
pub(super) struct GetUser {
    uuid: MemberId,
}
impl Request for GetUser {}

/// One member.
pub(super) fn get_user(
    session: &mut Session<'_>,
    request: GetUser,
) -> Result<Answer<User>, Refusal> {
    let user = session.services.store.read(|db| db.find_user(request.uuid))?;
    user.map(|data| Answer { data }).ok_or(Refusal::NotFound)
}

/// All members.
pub(super) fn get_metadata(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<User>>, Refusal> {
    Ok(Answer { data: session.services.store.read(|db| db.list_users())? })
}

/// Members with at least one connection.
pub(super) fn online(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<MemberId>>, Refusal> {
    Ok(Answer { data: session.services.broadcaster.list_online()? })
}
