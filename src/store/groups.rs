//! Groups and who is in them. *Invariant:* positions are dense from 0, the highest rank.

use rusqlite::params;

use crate::error::Refusal;
use crate::id::{GroupId, MemberId};
use crate::protocol::{Colour, Permissions, ServerName};
use crate::store::WriteTx;

impl WriteTx<'_> {
    /// A new group; those at its position and behind it move down.
    pub(crate) fn insert_group(
        &mut self,
        name: &ServerName,
        colour: Colour,
        position: u64,
        permissions: Permissions,
    ) -> Result<GroupId, Refusal> {
        let uuid: GroupId = self.fresh_id("SELECT 1 FROM groups WHERE uuid = ?1")?;
        self.alter(
            "UPDATE groups SET position = position + 1 WHERE position >= ?1",
            [position as i64],
        )?;
        self.alter(
            "INSERT INTO groups (uuid, name, colour, position, permissions)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![uuid, name.as_str(), colour.raw(), position as i64, permissions],
        )?;
        Ok(uuid)
    }

    /// Another name, colour or other permissions for a group, where they are given.
    pub(crate) fn update_group(
        &mut self,
        group: GroupId,
        name: Option<&ServerName>,
        colour: Option<Colour>,
        permissions: Option<Permissions>,
    ) -> Result<(), Refusal> {
        self.alter(
            "UPDATE groups SET name = coalesce(?2, name), colour = coalesce(?3, colour),
             permissions = coalesce(?4, permissions) WHERE uuid = ?1",
            params![group, name.map(ServerName::as_str), colour.map(Colour::raw), permissions],
        )
    }

    /// Another position for a group, below the number of groups.
    pub(crate) fn move_group(&mut self, group: GroupId, from: u64, to: u64) -> Result<(), Refusal> {
        // Those between the two places move towards the one that is left.
        self.alter(
            "UPDATE groups SET position = CASE
                 WHEN uuid = ?1 THEN ?3
                 WHEN position > ?2 AND position <= ?3 THEN position - 1
                 WHEN position < ?2 AND position >= ?3 THEN position + 1
                 ELSE position END",
            params![group, from as i64, to as i64],
        )
    }

    /// Removes a group, also from members and overrides.
    pub(crate) fn delete_group(&mut self, group: GroupId) -> Result<(), Refusal> {
        self.alter(
            "UPDATE groups SET position = position - 1
             WHERE position > (SELECT position FROM groups WHERE uuid = ?1)",
            [group],
        )?;
        self.alter("DELETE FROM groups WHERE uuid = ?1", [group])
    }

    /// Gives a group to a member who is not in it.
    pub(crate) fn insert_membership(
        &mut self,
        member: MemberId,
        group: GroupId,
    ) -> Result<(), Refusal> {
        self.alter(
            "INSERT INTO member_groups (member_uuid, group_uuid) VALUES (?1, ?2)",
            params![member, group],
        )
    }

    /// Takes a group from a member.
    pub(crate) fn delete_membership(
        &mut self,
        member: MemberId,
        group: GroupId,
    ) -> Result<(), Refusal> {
        self.alter(
            "DELETE FROM member_groups WHERE member_uuid = ?1 AND group_uuid = ?2",
            params![member, group],
        )
    }
}
