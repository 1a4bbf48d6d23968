//! Who is kept out, and the record of who did what.

use rusqlite::{Row, params};

use crate::error::Refusal;
use crate::id::{MemberId, now_s};
use crate::protocol::{AuditLine, Ban};
use crate::store::{Change, Reader, Whose, WriteTx};

/// What a line of the record is about, with its name as it is now; without a uuid the server.
#[derive(Debug, Clone)]
pub(crate) struct AuditSubject {
    /// Of the member, group, channel or emoji.
    pub uuid: Option<u64>,
    /// Its name.
    pub name: String,
}

impl AuditSubject {
    /// A thing that has a uuid.
    pub(crate) fn new(uuid: u64, name: impl Into<String>) -> Self {
        Self { uuid: Some(uuid), name: name.into() }
    }

    /// The server itself.
    pub(crate) fn server() -> Self {
        Self { uuid: None, name: "the server".to_owned() }
    }
}

/// One line of the record, as it is printed.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    /// When, UTC: `2026-11-25 14:20:31`.
    pub date: String,
    /// Who, by the name they had then.
    pub actor: String,
    /// What: the name of a command.
    pub action: String,
    /// To whom or to what, by the name it had then.
    pub subject: String,
    /// More of it; may be empty.
    pub details: String,
}

impl Reader<'_> {
    /// The bans in force, oldest first.
    pub(crate) fn list_bans(&self) -> Result<Vec<Ban>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT member_uuid, reason, until, by_uuid, date FROM bans
             WHERE until IS NULL OR until > ?1 ORDER BY date, member_uuid",
        )?;
        let ban = |row: &Row<'_>| {
            Ok(Ban {
                user: row.get(0)?,
                reason: row.get(1)?,
                until: row.get(2)?,
                by: row.get(3)?,
                date: row.get(4)?,
            })
        };
        let bans = statement.query_map([now_s()], ban)?;
        Ok(bans.collect::<Result<_, _>>()?)
    }

    /// The record, oldest first.
    pub(crate) fn list_audit_entries(&self) -> Result<Vec<AuditEntry>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT datetime(date, 'unixepoch'), actor_name, action, subject_name, details
             FROM audit ORDER BY seq",
        )?;
        let entries = statement.query_map([], |row| {
            Ok(AuditEntry {
                date: row.get(0)?,
                actor: row.get(1)?,
                action: row.get(2)?,
                subject: row.get(3)?,
                details: row.get(4)?,
            })
        })?;
        Ok(entries.collect::<Result<_, _>>()?)
    }

    /// At most `num` lines of the record before a place in it, newest first, of those that `shown`
    /// lets through: it is given the action and the subject.
    pub(crate) fn list_audit(
        &self,
        before: Option<i64>,
        num: usize,
        shown: impl Fn(&str, Option<u64>) -> bool,
    ) -> Result<Vec<AuditLine>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, date, actor_uuid, actor_name, action, subject_uuid, subject_name, details
             FROM audit WHERE seq < ?1 ORDER BY seq DESC",
        )?;
        let lines = statement.query_map([before.unwrap_or(i64::MAX)], |row| {
            Ok(AuditLine {
                seq: row.get(0)?,
                date: row.get(1)?,
                actor: row.get(2)?,
                actor_name: row.get(3)?,
                action: row.get(4)?,
                subject: row.get(5)?,
                subject_name: row.get(6)?,
                details: row.get(7)?,
            })
        })?;
        let is_shown = |line: &rusqlite::Result<AuditLine>| {
            line.as_ref().map_or(true, |line| shown(&line.action, line.subject))
        };
        Ok(lines.filter(is_shown).take(num).collect::<Result<_, _>>()?)
    }

    /// A time in Unix seconds as people read it, UTC: `2026-11-25 14:20:31`; as it is when it is
    /// past all calendars.
    pub(crate) fn date_text(&self, date: i64) -> Result<String, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT coalesce(datetime(?1, 'unixepoch'), format('%d', ?1))")?;
        Ok(statement.query_row([date], |row| row.get(0))?)
    }

    /// The place of the newest line of the record.
    pub(super) fn last_audit_seq(&self) -> Result<i64, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM audit")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// The members whose passwords the command line set after a place in the record.
    pub(super) fn list_new_passwords(&self, after_seq: i64) -> Result<Vec<MemberId>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT subject_uuid FROM audit
             WHERE seq > ?1 AND actor_uuid IS NULL AND action = 'passwd'",
        )?;
        let members = statement.query_map([after_seq], |row| row.get(0))?;
        Ok(members.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Keeps a member out, in place of whatever ban there was.
    pub(crate) fn insert_ban(&mut self, ban: &Ban) -> Result<(), Refusal> {
        self.alter(
            "INSERT OR REPLACE INTO bans (member_uuid, reason, until, by_uuid, date)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![ban.user, ban.reason, ban.until, ban.by, ban.date],
        )
    }

    /// Lets a member in again.
    pub(crate) fn delete_ban(&mut self, member: MemberId) -> Result<(), Refusal> {
        self.alter("DELETE FROM bans WHERE member_uuid = ?1", [member])
    }

    /// Ends these connections, once this is committed.
    pub(crate) fn disconnect(&mut self, whose: Whose) {
        self.changes.push(Change::Disconnect(whose));
    }

    /// Adds a line to the record: who (nobody: the owner's command line), what, to whom.
    pub(crate) fn record(
        &mut self,
        actor: Option<MemberId>,
        action: &str,
        subject: AuditSubject,
        details: &str,
    ) -> Result<(), Refusal> {
        let actor_name = match actor {
            Some(actor) => self.find_name(actor)?.unwrap_or_default(),
            None => "command line".to_owned(),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO audit (date, actor_uuid, actor_name, action, subject_uuid,
                 subject_name, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                now_s(),
                actor,
                actor_name,
                action,
                subject.uuid.map(|uuid| uuid as i64),
                subject.name,
                details,
            ])?;
        Ok(())
    }
}
