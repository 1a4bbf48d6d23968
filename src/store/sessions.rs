//! Sessions: logins that last. Of a token only its SHA-256 is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{OptionalExtension, params};

use crate::error::Refusal;
use crate::id::{ConnectionId, MemberId, SessionId, now_s};
use crate::protocol::{LastingLogin, SessionName, SessionToken};
use crate::store::{Reader, Whose, WriteTx};

/// Sessions of a member at most; one more ends the one that was unused for longest.
const SESSIONS_MAX: i64 = 100;
/// Seconds after which a session that nobody used is as good as gone.
const UNUSED_S_MAX: i64 = 180 * 24 * 3600;
/// How far off `last_used` may be, so that a storm of logins writes next to nothing.
const LAST_USED_S_OFF: i64 = 60;
const TOKEN_BYTES: usize = 32;

/// What a token stands for.
#[derive(Debug)]
pub(crate) struct FoundSession {
    /// Which session.
    pub uuid: SessionId,
    /// Whose.
    pub member: MemberId,
    /// Whether the time of its last use is to be brought up to date.
    pub is_stale: bool,
}

impl Reader<'_> {
    /// The session of a token, if it still stands.
    pub(crate) fn find_session(
        &self,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uuid, member_uuid, last_used FROM sessions
             WHERE token_hash = ?1 AND last_used > ?2",
        )?;
        let now = now_s();
        let found = statement.query_row(params![hash(token), now - UNUSED_S_MAX], |row| {
            let last_used: i64 = row.get(2)?;
            let is_stale = (now - last_used).abs() > LAST_USED_S_OFF;
            Ok(FoundSession { uuid: row.get(0)?, member: row.get(1)?, is_stale })
        });
        Ok(found.optional()?)
    }

    /// Whether a session was not ended.
    pub(crate) fn has_session(&self, session: SessionId) -> Result<bool, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM sessions WHERE uuid = ?1")?;
        Ok(statement.query_row([session], |_| Ok(())).optional()?.is_some())
    }

    /// A member's sessions, the one used last first. `current` is that of who asks.
    pub(crate) fn list_sessions(
        &self,
        member: MemberId,
        current: Option<SessionId>,
    ) -> Result<Vec<LastingLogin>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uuid, name, created, last_used FROM sessions
             WHERE member_uuid = ?1 AND last_used > ?2 ORDER BY last_used DESC, uuid DESC",
        )?;
        let sessions = statement.query_map(params![member, now_s() - UNUSED_S_MAX], |row| {
            let uuid = row.get(0)?;
            Ok(LastingLogin {
                uuid,
                name: row.get(1)?,
                created: row.get(2)?,
                last_used: row.get(3)?,
                current: current == Some(uuid),
            })
        })?;
        Ok(sessions.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// A new session and what it is logged in by, which is told this once. `current`, of who asks,
    /// makes no room for it.
    pub(crate) fn insert_session(
        &mut self,
        member: MemberId,
        name: Option<&SessionName>,
        current: Option<SessionId>,
    ) -> Result<(SessionId, SessionToken), Refusal> {
        self.drop_old_sessions(member, current)?;
        let mut secret = [0; TOKEN_BYTES];
        SystemRandom::new().fill(&mut secret).map_err(|_| Refusal::internal("no randomness"))?;
        let token = SessionToken::try_from(URL_SAFE_NO_PAD.encode(secret));
        let token = token.map_err(Refusal::internal)?;
        let uuid: SessionId = self.fresh_id("SELECT 1 FROM sessions WHERE uuid = ?1")?;
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (uuid, member_uuid, token_hash, name, created, last_used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
            )?
            .execute(params![
                uuid,
                member,
                hash(&token),
                name.and_then(SessionName::as_str),
                now_s()
            ])?;
        Ok((uuid, token))
    }

    /// Ends what nobody used for long, and what is one too many.
    fn drop_old_sessions(
        &mut self,
        member: MemberId,
        current: Option<SessionId>,
    ) -> Result<(), Refusal> {
        let mut statement = self.reader.connection.prepare_cached(
            "DELETE FROM sessions
             WHERE member_uuid = ?1 AND uuid IS NOT ?4 AND (last_used <= ?2 OR uuid IN
                (SELECT uuid FROM sessions WHERE member_uuid = ?1
                 ORDER BY uuid IS ?4 DESC, last_used DESC, uuid DESC LIMIT -1 OFFSET ?3))
             RETURNING uuid",
        )?;
        let bounds = params![member, now_s() - UNUSED_S_MAX, SESSIONS_MAX - 1, current];
        let ended = statement.query_map(bounds, |row| row.get(0))?;
        let ended = ended.collect::<Result<Vec<SessionId>, _>>()?;
        drop(statement);
        ended.into_iter().for_each(|session| self.disconnect(Whose::Session(session)));
        Ok(())
    }

    /// Somebody logged in by it, or goes on.
    pub(crate) fn update_last_used(&mut self, session: SessionId) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE sessions SET last_used = ?2 WHERE uuid = ?1")?
            .execute(params![session, now_s()])?;
        Ok(())
    }

    /// Ends a session of this member. False if there is none.
    pub(crate) fn delete_session(
        &mut self,
        member: MemberId,
        session: SessionId,
    ) -> Result<bool, Refusal> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM sessions WHERE uuid = ?1 AND member_uuid = ?2")?
            .execute(params![session, member])?;
        Ok(deleted == 1)
    }

    /// Ends all sessions of a member, but this one, and all connections but that one.
    pub(crate) fn end_other_sessions(
        &mut self,
        member: MemberId,
        session: Option<SessionId>,
        connection: ConnectionId,
    ) -> Result<(), Refusal> {
        self.delete_sessions(member, session)?;
        self.disconnect(Whose::Others(member, connection));
        Ok(())
    }

    /// Ends all sessions of a member, but this one.
    pub(crate) fn delete_sessions(
        &mut self,
        member: MemberId,
        but: Option<SessionId>,
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE member_uuid = ?1 AND uuid IS NOT ?2")?
            .execute(params![member, but])?;
        Ok(())
    }
}

/// SHA-256. The token has all the randomness that a hash could want.
fn hash(token: &SessionToken) -> Vec<u8> {
    digest(&SHA256, token.as_str().as_bytes()).as_ref().to_vec()
}
