//! Accounts (protocol section 4, "Accounts").

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::answers::Encoded;
use crate::commands::sessions::{Proof, login_by_token};
use crate::commands::{Answer, Length, NoFields, Request, Session, allow};
use crate::config::{Limits, Registration};
use crate::error::Refusal;
use crate::id::{MemberId, now_s};
use crate::protocol::packet::Nothing;
use crate::protocol::{InviteCode, MemberName, Password, Picture, SessionToken, User};
use crate::store::{self, AuditSubject, Reader};

#[derive(Deserialize)]
pub(super) struct Register {
    uname: MemberName,
    passwd: Password,
    invite: Option<InviteCode>,
}
impl Request for Register {}

#[derive(Serialize)]
pub(super) struct LoggedIn {
    uuid: MemberId,
}

/// Makes an account and logs in.
///
/// *Order:* who may not register learns nothing of who did, also not by how long it takes.
pub(super) fn register(session: &mut Session<'_>, request: Register) -> Result<LoggedIn, Refusal> {
    let Register { uname, passwd, invite } = request;
    let services = session.services;
    slow_down(session);
    let invite = match (services.config.registration, invite) {
        (Registration::Open, _) => None,
        (Registration::Invite, Some(code)) => Some(code),
        (Registration::Invite, None) | (Registration::Closed, _) => return Err(Refusal::Forbidden),
    };
    // Looked at before the hash is made for nothing; what counts is the look within the write.
    services.store.read(|db| {
        if let Some(code) = &invite {
            allow(db.has_invite(code)?)?;
        }
        require_free(db, &uname)
    })?;
    let hash = services.hasher.hash(&passwd)?;
    let proof = Proof::Password(hash.clone());
    let uuid = services.store.write(move |tx| {
        if let Some(code) = &invite {
            allow(tx.use_invite(code)?)?;
        }
        require_free(tx, &uname)?;
        let uuid = tx.insert_member(&uname, &hash)?;
        if let Some(code) = &invite {
            let subject = AuditSubject::new(uuid.raw(), uname.as_str());
            tx.record(Some(uuid), "register", subject, &format!("invite {}", code.hint()))?;
        }
        tx.publish_member(uuid)?;
        Ok(uuid)
    })?;
    session.log_in(uuid, proof);
    Ok(LoggedIn { uuid })
}

fn require_free(db: &Reader<'_>, name: &MemberName) -> Result<(), Refusal> {
    match db.find_member(name)? {
        None => Ok(()),
        Some(_) => Err(Refusal::Conflict),
    }
}

#[derive(Deserialize)]
pub(super) struct Login {
    passwd: Option<Password>,
    token: Option<SessionToken>,
    uname: Option<String>,
    uuid: Option<MemberId>,
}
impl Request for Login {
    fn is_within(&self, _: &Limits) -> bool {
        match (&self.passwd, &self.token) {
            (Some(_), None) => self.uname.is_some() || self.uuid.is_some(),
            (None, Some(_)) => true,
            (Some(_), Some(_)) | (None, None) => false,
        }
    }
}

/// Logs in by name or uuid, where the name wins, or by a session's token.
pub(super) fn login(session: &mut Session<'_>, request: Login) -> Result<LoggedIn, Refusal> {
    let Login { passwd, token, uname, uuid } = request;
    let login = match (uname, uuid) {
        (Some(name), _) => Some(store::Login::Name(name.trim().to_owned())),
        (None, uuid) => uuid.map(store::Login::Member),
    };
    let outcome = match (passwd, token, &login) {
        (Some(password), None, Some(login)) => check_password(session, login, &password),
        (None, Some(token), login) => login_by_token(session, &token, |db, member| match login {
            None => Ok(true),
            Some(login) => Ok(db.find_credentials(login)?.is_some_and(|it| it.member == member)),
        })
        .map(|uuid| LoggedIn { uuid }),
        _ => return Err(Refusal::BadRequest),
    };
    outcome.inspect_err(|_| slow_down(session))
}

fn check_password(
    session: &mut Session<'_>,
    login: &store::Login,
    password: &Password,
) -> Result<LoggedIn, Refusal> {
    let services = session.services;
    let find = || services.store.read(|db| db.find_credentials(login))?.ok_or(Refusal::NotFound);
    let mut credentials = find()?;
    let member = credentials.member;
    if credentials.password.is_unset() {
        let hash = services.hasher.hash(password)?;
        credentials.password = hash.clone();
        services.store.write(move |tx| {
            allow(!tx.access().is_banned(member, now_s()))?;
            allow(tx.insert_first_password(member, &hash)?)
        })?;
    } else {
        allow(services.hasher.verify(password, &credentials.password)?)?;
        allow(!services.store.access().is_banned(member, now_s()))?;
    }
    session.log_in(member, Proof::Password(credentials.password.clone()));
    // Order: from here on a new password ends this connection; one that came before is seen.
    if find()?.password != credentials.password {
        session.log_out();
        return Err(Refusal::Forbidden);
    }
    Ok(LoggedIn { uuid: member })
}

/// Delays the answer to an address that fails or registers too often.
///
/// *Invariant:* the client keeps its place the while, also once it has hung up. An address has few
/// places: that bounds how often it tries. One that left early would try again at once.
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
    let name = request.nick;
    session.write(move |tx, member| match tx.find_member(&name)? {
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
    session.write(move |tx, member| {
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

/// Another password for oneself. All other sessions end, and all other connections.
pub(super) fn change_password(
    session: &mut Session<'_>,
    request: ChangePassword,
) -> Result<Nothing, Refusal> {
    let hash = session.services.hasher.hash(&request.new_password)?;
    let (lasting, id, kept) = (session.lasting(), session.id, hash.clone());
    session.write_lasting(move |tx, member| {
        tx.update_password(member, &hash)?;
        tx.end_other_sessions(member, lasting, id)
    })?;
    session.keep_password(kept);
    session.services.broadcaster.catch_up();
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
    let user = session.read(|db, _| db.find_user(request.uuid))?;
    user.map(|data| Answer { data }).ok_or(Refusal::NotFound)
}

/// All members. Many ask at once after a restart: the list is made once for all of them.
pub(super) fn get_metadata(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Encoded>, Refusal> {
    session.begin_large_answer(Length::Long)?;
    let making = session.large_answer.as_ref();
    let data = session.read(|db, _| {
        let version = db.users_version()?;
        if let Some(kept) = making.and_then(|making| making.find_kept(version)) {
            return Ok(kept);
        }
        let users = db.list_users()?;
        let encoded = users.iter().map(to_raw_value).collect::<Result<Vec<_>, _>>();
        let encoded = Arc::new(encoded.map_err(Refusal::internal)?);
        if let Some(making) = making {
            making.keep(version, &encoded);
        }
        Ok(encoded)
    })?;
    Ok(Answer { data })
}

/// Members with at least one connection.
pub(super) fn online(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<MemberId>>, Refusal> {
    Ok(Answer { data: session.services.broadcaster.list_online()? })
}
