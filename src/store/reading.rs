//! How far members have read. What is unread is counted in one range of one index.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::Refusal;
use crate::id::{ChannelId, MemberId, MessageId};
use crate::store::{Reader, WriteTx};

/// How far a member has read one channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadMark {
    /// Where.
    pub channel: ChannelId,
    /// The date of the message marked, Unix seconds, UTC.
    pub date: i64,
    /// The place in the order of messages.
    seq: i64,
}

/// What others than ?3 said in channel ?1 after place ?2.
const UNREAD: &str = "SELECT count(*) FROM messages
    WHERE channel_uuid = ?1 AND seq > ?2 AND author_uuid <> ?3";

impl Reader<'_> {
    /// The member's marks, by channel.
    pub(crate) fn list_read_marks(&self, member: MemberId) -> Result<Vec<ReadMark>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT channel_uuid, date, seq FROM read_marks WHERE member_uuid = ?1",
        )?;
        let marks = statement.query_map([member], read_mark)?;
        Ok(marks.collect::<Result<_, _>>()?)
    }

    /// The member's mark in one channel.
    pub(crate) fn find_read_mark(
        &self,
        member: MemberId,
        channel: ChannelId,
    ) -> Result<Option<ReadMark>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT channel_uuid, date, seq FROM read_marks
             WHERE member_uuid = ?1 AND channel_uuid = ?2",
        )?;
        Ok(statement.query_row(params![member, channel], read_mark).optional()?)
    }

    /// How many messages others said after the mark.
    pub(crate) fn count_unread(&self, member: MemberId, mark: ReadMark) -> Result<u64, Refusal> {
        let mut statement = self.connection.prepare_cached(UNREAD)?;
        Ok(statement.query_row(params![mark.channel, mark.seq, member], |row| row.get(0))?)
    }
}

fn read_mark(row: &Row<'_>) -> rusqlite::Result<ReadMark> {
    Ok(ReadMark { channel: row.get(0)?, date: row.get(1)?, seq: row.get(2)? })
}

impl WriteTx<'_> {
    /// Marks a message, which must be there, and with it all before it as read.
    pub(crate) fn update_read_mark(
        &mut self,
        member: MemberId,
        message: MessageId,
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached(
                "INSERT INTO read_marks (member_uuid, channel_uuid, seq, date)
                 SELECT ?1, channel_uuid, seq, date FROM messages WHERE uuid = ?2
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, date = excluded.date",
            )?
            .execute(params![member, message])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_messages_are_counted_in_one_range_of_one_index() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../init.sql")).unwrap();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {UNREAD}")).unwrap();
        let steps = plan.query_map([1, 1, 1], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let range =
            "SEARCH messages USING COVERING INDEX messages_by_channel (channel_uuid=? AND seq>?)";
        assert_eq!(steps, [range]);
    }
}
