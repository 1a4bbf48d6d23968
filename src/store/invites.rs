//! Invites: what lets strangers register where the configuration wants one.

use rusqlite::{OptionalExtension, params};

use crate::error::Refusal;
use crate::id::now_s;
use crate::protocol::InviteCode;
use crate::store::{Reader, WriteTx};

/// One that is open, as it is printed.
#[derive(Debug)]
pub(crate) struct Invite {
    /// What who is invited gives.
    pub code: String,
    /// Registrations that are left.
    pub uses: u32,
    /// Its end in Unix seconds; `None`: for ever.
    pub until: Option<i64>,
}

impl Reader<'_> {
    /// Whether somebody may register with this code.
    pub(crate) fn has_invite(&self, code: &InviteCode) -> Result<bool, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM invites WHERE code = ?1 AND (until IS NULL OR until > ?2)",
        )?;
        let found = statement.query_row(params![code.as_str(), now_s()], |_| Ok(()));
        Ok(found.optional()?.is_some())
    }

    /// The invites that are open, oldest first.
    pub(crate) fn list_invites(&self) -> Result<Vec<Invite>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT code, uses, until FROM invites WHERE until IS NULL OR until > ?1
             ORDER BY date, code",
        )?;
        let invites = statement.query_map([now_s()], |row| {
            Ok(Invite { code: row.get(0)?, uses: row.get(1)?, until: row.get(2)? })
        })?;
        Ok(invites.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// A new invite. Those whose end has come are forgotten.
    pub(crate) fn insert_invite(
        &mut self,
        code: &InviteCode,
        uses: u32,
        until: Option<i64>,
    ) -> Result<(), Refusal> {
        let now = now_s();
        self.connection.prepare_cached("DELETE FROM invites WHERE until <= ?1")?.execute([now])?;
        self.connection
            .prepare_cached(
                "INSERT INTO invites (code, uses, until, date) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![code.as_str(), uses, until, now])?;
        Ok(())
    }

    /// Takes a registration from an invite; with its last one it is gone. False if it is not open.
    pub(crate) fn use_invite(&mut self, code: &InviteCode) -> Result<bool, Refusal> {
        if !self.has_invite(code)? {
            return Ok(false);
        }
        self.connection
            .prepare_cached("UPDATE invites SET uses = uses - 1 WHERE code = ?1")?
            .execute([code.as_str()])?;
        self.connection
            .prepare_cached("DELETE FROM invites WHERE code = ?1 AND uses <= 0")?
            .execute([code.as_str()])?;
        Ok(true)
    }

    /// Withdraws an invite. False if there is none.
    pub(crate) fn delete_invite(&mut self, code: &InviteCode) -> Result<bool, Refusal> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM invites WHERE code = ?1")?
            .execute([code.as_str()])?;
        Ok(deleted == 1)
    }
}
