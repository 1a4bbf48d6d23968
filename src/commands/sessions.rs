//! Sessions: logins that last, by a token in place of the password (protocol section 4,
//! "Accounts"; an extension).

use serde::{Deserialize, Serialize};

use crate::commands::{Answer, NoFields, Request, Session, allow};
use crate::error::Refusal;
use crate::id::{MemberId, SessionId, now_s};
use crate::log;
use crate::protocol::packet::Nothing;
use crate::protocol::{LastingLogin, SessionName, SessionToken};
use crate::store::{self, PasswordHash, Reader, Whose};

/// What a login stands on: with it, it falls.
#[derive(Clone)]
pub(super) enum Proof {
    /// The password as it was then.
    Password(PasswordHash),
    /// A session that lasts.
    Session(SessionId),
}

impl Proof {
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Password(_) => None,
            Self::Session(session) => Some(*session),
        }
    }

    pub(super) fn stands(&self, db: &Reader<'_>, member: MemberId) -> Result<bool, Refusal> {
        match self {
            Self::Password(hash) => {
                let credentials = db.find_credentials(&store::Login::Member(member))?;
                Ok(credentials.is_some_and(|it| it.password == *hash))
            }
            Self::Session(session) => db.has_session(*session),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CreateSession {
    name: Option<SessionName>,
}
impl Request for CreateSession {}

#[derive(Serialize)]
pub(super) struct Created {
    session: SessionId,
    token: SessionToken,
}

/// A session that this connection belongs to from here on.
pub(super) fn create_session(
    session: &mut Session<'_>,
    request: CreateSession,
) -> Result<Created, Refusal> {
    let current = session.lasting();
    let (uuid, token) = session.write_lasting(move |tx, member| {
        tx.insert_session(member, request.name.as_ref(), current)
    })?;
    session.join_session(uuid);
    // Order: from here on its end ends this connection; one that came before is seen.
    allow(session.read(|db, _| db.has_session(uuid))?)?;
    Ok(Created { session: uuid, token })
}

/// Whose token it is; from here on logged in.
pub(super) fn login_by_token(
    session: &mut Session<'_>,
    token: &SessionToken,
    is_named: impl Fn(&Reader<'_>, MemberId) -> Result<bool, Refusal>,
) -> Result<MemberId, Refusal> {
    let store = &session.services.store;
    let found = store.read(|db| match db.find_session(token)? {
        Some(found) if is_named(db, found.member)? => Ok(found),
        Some(_) | None => Err(Refusal::Forbidden),
    })?;
    allow(!store.access().is_banned(found.member, now_s()))?;
    session.log_in(found.member, Proof::Session(found.uuid));
    // Order: from here on its end ends this connection; one that came before is seen.
    if !store.read(|db| db.has_session(found.uuid))? {
        session.log_out();
        return Err(Refusal::Forbidden);
    }
    if found.is_stale {
        note_use(session, found.uuid);
    }
    Ok(found.member)
}

/// A full disk keeps nobody out; the next time tries again.
pub(super) fn note_use(session: &Session<'_>, uuid: SessionId) {
    let noted = session.write(move |tx, _| tx.update_last_used(uuid));
    if let Err(Refusal::Internal(cause)) = noted {
        log::fault(format_args!("the last use of a session is not noted: {cause}"));
    }
}

/// One's own sessions.
pub(super) fn list_sessions(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<LastingLogin>>, Refusal> {
    let current = session.lasting();
    Ok(Answer { data: session.read(|db, member| db.list_sessions(member, current))? })
}

#[derive(Deserialize)]
pub(super) struct DeleteSession {
    session: SessionId,
}
impl Request for DeleteSession {}

/// Ends one of one's own sessions, and its connections: this one after the answer.
pub(super) fn delete_session(
    session: &mut Session<'_>,
    request: DeleteSession,
) -> Result<Nothing, Refusal> {
    let uuid = request.session;
    session.leaving = session.lasting() == Some(uuid);
    let outcome = session.act(move |tx, member| {
        if !tx.delete_session(member, uuid)? {
            return Err(Refusal::NotFound);
        }
        tx.disconnect(Whose::Session(uuid));
        Ok(Nothing {})
    });
    session.leaving &= outcome.is_ok();
    outcome
}
