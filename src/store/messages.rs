//! Messages. Their order is that of `seq`, which is that of the commits.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::Refusal;
use crate::id::{ChannelId, MemberId, MessageId, now_s};
use crate::protocol::{Message, MessageText, Nonce};
use crate::store::writer::draw_id;
use crate::store::{Reader, WriteTx};

/// How long a nonce makes a retry safe, in seconds.
const NONCE_LIFETIME_S: i64 = 24 * 60 * 60;

/// What a member wants to say.
#[derive(Debug)]
pub(crate) struct NewMessage {
    /// By whom.
    pub author: MemberId,
    /// Where.
    pub channel: ChannelId,
    /// What.
    pub content: MessageText,
    /// What it answers.
    pub reply: Option<MessageId>,
}

/// A part of a channel's history, at most 500 messages long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Page {
    /// The newest.
    Newest,
    /// The newest of those that are older than this one.
    Before(MessageId),
    /// The oldest of those that are newer than this one.
    After(MessageId),
}

/// The newest ?3 messages of channel ?1 before place ?2, and the oldest after it.
const OLDER: &str = "SELECT uuid, content, author_uuid, channel_uuid, date, edited, reply_uuid
    FROM messages WHERE channel_uuid = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
const NEWER: &str = "SELECT uuid, content, author_uuid, channel_uuid, date, edited, reply_uuid
    FROM messages WHERE channel_uuid = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

/// From the columns of `OLDER` and `NEWER`.
fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        uuid: row.get(0)?,
        content: row.get(1)?,
        author_uuid: row.get(2)?,
        channel_uuid: row.get(3)?,
        date: row.get(4)?,
        edited: row.get(5)?,
        reply: row.get(6)?,
    })
}

impl Reader<'_> {
    /// Where a message stands in the order, if it is in this channel.
    pub(crate) fn find_seq(
        &self,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<Option<i64>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq FROM messages WHERE uuid = ?1 AND channel_uuid = ?2")?;
        Ok(statement.query_row(params![message, channel], |row| row.get(0)).optional()?)
    }

    /// Up to `num` messages of the channel, oldest first: one range of one index.
    /// `NotFound` when the page's message is not in this channel.
    pub(crate) fn list_messages(
        &self,
        channel: ChannelId,
        page: Page,
        num: u32,
    ) -> Result<Vec<Message>, Refusal> {
        let seq_of = |message| self.find_seq(channel, message)?.ok_or(Refusal::NotFound);
        let (bound, sql) = match page {
            Page::Newest => (i64::MAX, OLDER),
            Page::Before(message) => (seq_of(message)?, OLDER),
            Page::After(message) => (seq_of(message)?, NEWER),
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![channel, bound, num], message)?;
        let mut messages = rows.collect::<Result<Vec<_>, _>>()?;
        match page {
            Page::Newest | Page::Before(_) => messages.reverse(),
            Page::After(_) => {}
        }
        Ok(messages)
    }

    /// A message's author and channel.
    pub(crate) fn find_message(
        &self,
        message: MessageId,
    ) -> Result<Option<(MemberId, ChannelId)>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT author_uuid, channel_uuid FROM messages WHERE uuid = ?1")?;
        let found = statement.query_row([message], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?)
    }

    /// The message that this member sent with this nonce within a day.
    pub(crate) fn find_nonce(
        &self,
        member: MemberId,
        nonce: &Nonce,
    ) -> Result<Option<MessageId>, Refusal> {
        let mut statement = self.connection.prepare_cached(
            "SELECT message_uuid FROM nonces
             WHERE member_uuid = ?1 AND nonce = ?2 AND date > ?3",
        )?;
        let oldest = now_s() - NONCE_LIFETIME_S;
        let found = statement
            .query_row(params![member, nonce.as_str(), oldest], |row| row.get(0))
            .optional()?;
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Stores a message, as the last of its channel. One statement, but for a uuid that is taken.
    pub(crate) fn insert_message(&mut self, new: NewMessage) -> Result<Message, Refusal> {
        let mut message = Message {
            uuid: draw_id()?,
            content: new.content.into_string(),
            author_uuid: new.author,
            channel_uuid: new.channel,
            date: now_s(),
            edited: false,
            reply: new.reply,
        };
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO messages (uuid, channel_uuid, author_uuid, content, date, reply_uuid)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (uuid) DO NOTHING",
        )?;
        let mut insert = |message: &Message| {
            insert.execute(params![
                message.uuid,
                message.channel_uuid,
                message.author_uuid,
                message.content,
                message.date,
                message.reply,
            ])
        };
        while insert(&message)? == 0 {
            message.uuid = draw_id()?;
        }
        Ok(message)
    }

    /// Remembers what a nonce stands for, and forgets those of over a day ago.
    pub(crate) fn insert_nonce(
        &mut self,
        member: MemberId,
        nonce: &Nonce,
        message: MessageId,
    ) -> Result<(), Refusal> {
        let now = now_s();
        self.connection
            .prepare_cached("DELETE FROM nonces WHERE date <= ?1")?
            .execute([now - NONCE_LIFETIME_S])?;
        self.connection
            .prepare_cached(
                "INSERT INTO nonces (member_uuid, nonce, message_uuid, date)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![member, nonce.as_str(), message, now])?;
        Ok(())
    }

    /// Another text for a message.
    pub(crate) fn update_message(
        &mut self,
        message: MessageId,
        content: &MessageText,
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE messages SET content = ?2, edited = 1 WHERE uuid = ?1")?
            .execute(params![message, content.as_str()])?;
        Ok(())
    }

    /// Removes a message. Replies to it keep its uuid.
    pub(crate) fn delete_message(&mut self, message: MessageId) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("DELETE FROM messages WHERE uuid = ?1")?
            .execute([message])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_one_range_of_one_index() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../init.sql")).unwrap();
        for sql in [OLDER, NEWER] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map([1, 1, 1], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert_eq!(steps.len(), 1, "{steps:?}");
            let range = "SEARCH messages USING INDEX messages_by_channel (channel_uuid=? AND seq";
            assert!(steps[0].starts_with(range), "{steps:?}");
        }
    }
}
