//! How far members have read (protocol section 4, "Reading").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::commands::{NoFields, Request, Session, allow};
use crate::error::Refusal;
use crate::id::{ChannelId, MessageId};
use crate::protocol::Permission;
use crate::protocol::packet::Nothing;

#[derive(Deserialize)]
pub(super) struct MarkAsRead {
    message: MessageId,
}
impl Request for MarkAsRead {}

/// One has read a channel up to here; also backwards.
pub(super) fn mark_as_read(
    session: &mut Session<'_>,
    request: MarkAsRead,
) -> Result<Nothing, Refusal> {
    session.write(move |tx, member| {
        let (_, channel) = tx.find_message(request.message)?.ok_or(Refusal::NotFound)?;
        let access = tx.access().find_channel(member, channel).ok_or(Refusal::NotFound)?;
        allow(access.allows(Permission::ReadMessages))?;
        tx.update_read_mark(member, request.message)?;
        Ok(Nothing {})
    })
}

#[derive(Serialize)]
pub(super) struct LastReads {
    /// Date of the message marked, and how many messages are unread.
    last_reads: BTreeMap<ChannelId, (i64, u64)>,
}

/// One's marks in channels that one may read.
pub(super) fn get_last_reads(session: &mut Session<'_>, _: NoFields) -> Result<LastReads, Refusal> {
    let last_reads = session.read(|db, member| {
        let mut last_reads = BTreeMap::new();
        for mark in db.list_read_marks(member)? {
            let access = db.access().find_channel(member, mark.channel);
            if access.is_some_and(|access| access.allows(Permission::ReadMessages)) {
                last_reads.insert(mark.channel, (mark.date, db.count_unread(member, mark)?));
            }
        }
        Ok(last_reads)
    })?;
    Ok(LastReads { last_reads })
}

#[derive(Deserialize)]
pub(super) struct GetNumUnread {
    channel: ChannelId,
}
impl Request for GetNumUnread {}

#[derive(Serialize)]
pub(super) struct NumUnread {
    num: u64,
}

/// How many messages of others there are in a channel after one's mark; none without a mark.
pub(super) fn get_num_unread(
    session: &mut Session<'_>,
    request: GetNumUnread,
) -> Result<NumUnread, Refusal> {
    let num = session.read(|db, member| {
        let access = db.access().find_channel(member, request.channel).ok_or(Refusal::NotFound)?;
        allow(access.allows(Permission::ReadMessages))?;
        let mark = db.find_read_mark(member, request.channel)?;
        mark.map_or(Ok(0), |mark| db.count_unread(member, mark))
    })?;
    Ok(NumUnread { num })
}
