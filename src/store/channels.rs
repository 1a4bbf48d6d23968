//! Channels and what they override. *Invariant:* positions are dense from 0.

use rusqlite::params;

use crate::access::Place;
use crate::error::Refusal;
use crate::id::ChannelId;
use crate::protocol::{Overrides, ServerName, Subject};
use crate::store::WriteTx;

impl WriteTx<'_> {
    /// A new channel, at a place among those there are.
    pub(crate) fn insert_channel(
        &mut self,
        name: &ServerName,
        place: Place,
    ) -> Result<ChannelId, Refusal> {
        let uuid: ChannelId = self.fresh_id("SELECT 1 FROM channels WHERE uuid = ?1")?;
        let position = self.make_room(place)?;
        self.alter(
            "INSERT INTO channels (uuid, name, position) VALUES (?1, ?2, ?3)",
            params![uuid, name.as_str(), position],
        )?;
        Ok(uuid)
    }

    /// Another name for a channel.
    pub(crate) fn update_channel_name(
        &mut self,
        channel: ChannelId,
        name: &ServerName,
    ) -> Result<(), Refusal> {
        self.alter("UPDATE channels SET name = ?2 WHERE uuid = ?1", params![channel, name.as_str()])
    }

    /// Another place for a channel; the others close up and make room.
    pub(crate) fn move_channel(&mut self, channel: ChannelId, place: Place) -> Result<(), Refusal> {
        self.close_up(channel)?;
        // Out of the way, while the others make room.
        self.alter("UPDATE channels SET position = -1 WHERE uuid = ?1", [channel])?;
        let position = self.make_room(place)?;
        self.alter("UPDATE channels SET position = ?2 WHERE uuid = ?1", params![channel, position])
    }

    /// Removes a channel and all that is in it: messages, marks, overrides.
    pub(crate) fn delete_channel(&mut self, channel: ChannelId) -> Result<(), Refusal> {
        self.close_up(channel)?;
        self.alter("DELETE FROM channels WHERE uuid = ?1", [channel])
    }

    /// Replaces all that a channel overrides. Its subjects must be there.
    pub(crate) fn update_overrides(
        &mut self,
        channel: ChannelId,
        overrides: &Overrides,
    ) -> Result<(), Refusal> {
        self.alter("DELETE FROM channel_overrides WHERE channel_uuid = ?1", [channel])?;
        for (subject, permissions) in overrides.iter() {
            let (member, group) = match subject {
                Subject::Everyone => (None, None),
                Subject::Member(member) => (Some(member), None),
                Subject::Group(group) => (None, Some(group)),
            };
            self.alter(
                "INSERT INTO channel_overrides (channel_uuid, member_uuid, group_uuid, permissions)
             VALUES (?1, ?2, ?3, ?4)",
                params![channel, member, group, permissions],
            )?;
        }
        Ok(())
    }

    /// Moves those behind a place out of it; its number.
    fn make_room(&mut self, place: Place) -> Result<u64, Refusal> {
        let position = match place {
            Place::Before(position) => position,
            Place::Last => self
                .connection
                .prepare_cached("SELECT count(*) FROM channels WHERE position >= 0")?
                .query_row([], |row| row.get(0))?,
        };
        self.alter(
            "UPDATE channels SET position = position + 1 WHERE position >= ?1",
            [position as i64],
        )?;
        Ok(position)
    }

    /// Moves those behind a channel up, as if it were gone.
    fn close_up(&mut self, channel: ChannelId) -> Result<(), Refusal> {
        self.alter(
            "UPDATE channels SET position = position - 1
             WHERE position > (SELECT position FROM channels WHERE uuid = ?1)",
            [channel],
        )
    }
}
