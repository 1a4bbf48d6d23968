//! What members' clients share across devices (protocol section 4, "Sync").

use rusqlite::{OptionalExtension, params};

use crate::error::Refusal;
use crate::id::MemberId;
use crate::protocol::{SyncIdentity, SyncServer};
use crate::store::{Reader, WriteTx};

impl Reader<'_> {
    /// What the member's clients call them everywhere, if they ever said.
    pub(crate) fn find_sync_identity(
        &self,
        member: MemberId,
    ) -> Result<Option<SyncIdentity>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT uname, pfp FROM sync_identities WHERE member_uuid = ?1")?;
        let found = statement.query_row([member], |row| {
            Ok(SyncIdentity { user_uuid: member, uname: row.get(0)?, pfp: row.get(1)? })
        });
        Ok(found.optional()?)
    }

    /// The member's servers, by their place in the list.
    pub(crate) fn list_sync_servers(&self, member: MemberId) -> Result<Vec<SyncServer>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uuid, uname, ip, port, pfp, name FROM sync_servers
             WHERE member_uuid = ?1 ORDER BY idx",
        )?;
        let rows = statement.query_map([member], |row| {
            Ok(SyncServer {
                uuid: row.get(0)?,
                uname: row.get(1)?,
                ip: row.get(2)?,
                port: row.get(3)?,
                pfp: row.get(4)?,
                name: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Replaces what the member's clients call them everywhere.
    pub(crate) fn update_sync_identity(&mut self, identity: &SyncIdentity) -> Result<(), Refusal> {
        self.connection
            .prepare_cached(
                "INSERT INTO sync_identities (member_uuid, uname, pfp) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET uname = excluded.uname, pfp = excluded.pfp",
            )?
            .execute(params![identity.user_uuid, identity.uname, identity.pfp])?;
        Ok(())
    }

    /// Replaces the member's list of servers as a whole.
    pub(crate) fn update_sync_servers(
        &mut self,
        member: MemberId,
        servers: &[SyncServer],
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("DELETE FROM sync_servers WHERE member_uuid = ?1")?
            .execute([member])?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO sync_servers (member_uuid, idx, uuid, uname, ip, port, pfp, name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (idx, server) in servers.iter().enumerate() {
            insert.execute(params![
                member,
                idx as i64,
                server.uuid,
                server.uname,
                server.ip,
                server.port,
                server.pfp,
                server.name,
            ])?;
        }
        Ok(())
    }
}
