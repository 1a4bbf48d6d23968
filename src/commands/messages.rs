//! Messages (protocol section 4, "Messages").

use serde::{Deserialize, Serialize};

use crate::commands::{Answer, Length, Request, Session, allow};
use crate::config::Limits;
use crate::error::Refusal;
use crate::id::{ChannelId, MemberId, MessageId};
use crate::protocol::packet::Nothing;
use crate::protocol::{Event, Message, MessageText, Nonce, Permission};
use crate::store::{AuditSubject, NewMessage, Page, WriteTx};

/// Messages in one answer to `history` at most; asking for more is asking for this many.
const HISTORY_MESSAGES_MAX: u32 = 500;
/// Messages in an answer up to which it waits for nobody but its own member's clients.
const HISTORY_SHORT_MAX: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Send {
    content: MessageText,
    channel: ChannelId,
    reply: Option<MessageId>,
    nonce: Option<Nonce>,
}
impl Request for Send {
    fn is_within(&self, limits: &Limits) -> bool {
        self.content.as_str().len() <= limits.message_bytes_max
    }
}

#[derive(Serialize)]
pub(super) struct Said {
    message: MessageId,
}

/// Says something in a channel; answered once it is on disk.
pub(super) fn send(
    _: &mut Session<'_>,
    request: Send,
) -> Result<impl FnOnce(&mut WriteTx<'_>, MemberId) -> Result<Said, Refusal> + use<>, Refusal> {
    let Send { content, channel, reply, nonce } = request;
    Ok(move |tx: &mut WriteTx<'_>, author| {
        say(tx, NewMessage { author, channel, content, reply }, nonce.as_ref())
    })
}

fn say(tx: &mut WriteTx<'_>, new: NewMessage, nonce: Option<&Nonce>) -> Result<Said, Refusal> {
    let author = new.author;
    if let Some(nonce) = nonce {
        if let Some(message) = tx.find_nonce(author, nonce)? {
            return Ok(Said { message });
        }
    }
    let access = tx.access().find_channel(author, new.channel).ok_or(Refusal::NotFound)?;
    if let Some(reply) = new.reply {
        tx.find_seq(new.channel, reply)?.ok_or(Refusal::NotFound)?;
    }
    allow(access.allows(Permission::SendMessages))?;
    if nonce.is_some() {
        tx.write_several()?;
    }
    let message = tx.insert_message(new)?;
    let said = Said { message: message.uuid };
    if let Some(nonce) = nonce {
        tx.insert_nonce(author, nonce, message.uuid)?;
    }
    tx.publish(Event::Content(message));
    Ok(said)
}

#[derive(Deserialize)]
pub(super) struct History {
    num: u32,
    channel: ChannelId,
    before_message: Option<MessageId>,
    after_message: Option<MessageId>,
}
impl Request for History {
    fn is_within(&self, _: &Limits) -> bool {
        self.before_message.is_none() || self.after_message.is_none()
    }
}

/// A part of what was said in a channel, oldest first.
pub(super) fn history(
    session: &mut Session<'_>,
    request: History,
) -> Result<Answer<Vec<Message>>, Refusal> {
    let page = match (request.before_message, request.after_message) {
        (Some(message), _) => Page::Before(message),
        (None, Some(message)) => Page::After(message),
        (None, None) => Page::Newest,
    };
    let num = request.num.min(HISTORY_MESSAGES_MAX);
    let length = if num > HISTORY_SHORT_MAX { Length::Long } else { Length::Short };
    session.begin_large_answer(length)?;
    let data = session.read(|db, member| {
        let access = db.access().find_channel(member, request.channel).ok_or(Refusal::NotFound)?;
        // Order: a message that is not there (404) before a permission that is missing (403).
        let messages = db.list_messages(request.channel, page, num)?;
        allow(access.allows(Permission::ReadMessages))?;
        Ok(messages)
    })?;
    Ok(Answer { data })
}

#[derive(Deserialize)]
pub(super) struct Edit {
    message: MessageId,
    new_content: MessageText,
}
impl Request for Edit {
    fn is_within(&self, limits: &Limits) -> bool {
        self.new_content.as_str().len() <= limits.message_bytes_max
    }
}

/// Another text for what one said oneself.
pub(super) fn edit(session: &mut Session<'_>, request: Edit) -> Result<Nothing, Refusal> {
    let Edit { message, new_content } = request;
    session.write(move |tx, member| {
        let found = find_message(tx, member, message)?;
        allow(found.author == member)?;
        tx.update_message(message, &new_content)?;
        let new_content = new_content.into_string();
        tx.publish(Event::MessageEdited { channel: found.channel, message, new_content });
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct Delete {
    message: MessageId,
}
impl Request for Delete {}

/// Removes what one said oneself, or what others said where one may manage messages.
pub(super) fn delete(session: &mut Session<'_>, request: Delete) -> Result<Nothing, Refusal> {
    let message = request.message;
    session.write(move |tx, member| {
        let found = find_message(tx, member, message)?;
        if found.author != member {
            allow(found.may_manage)?;
            let author = tx.find_name(found.author)?.unwrap_or_default();
            let details = format!("message {message} of {author}");
            let channel = AuditSubject::new(found.channel.raw(), found.channel_name);
            tx.record(Some(member), "delete", channel, &details)?;
        }
        tx.delete_message(message)?;
        tx.publish(Event::MessageDeleted { channel: found.channel, message });
        Ok(Nothing {})
    })
}

/// A message in a channel that the member may see.
struct Found {
    author: MemberId,
    channel: ChannelId,
    channel_name: String,
    may_manage: bool,
}

/// `NotFound` also for a message of a channel that the member may not see.
fn find_message(tx: &WriteTx<'_>, member: MemberId, message: MessageId) -> Result<Found, Refusal> {
    let (author, channel) = tx.find_message(message)?.ok_or(Refusal::NotFound)?;
    let access = tx.access().find_channel(member, channel).ok_or(Refusal::NotFound)?;
    let channel_name = access.channel.name.clone();
    let may_manage = access.allows(Permission::ManageMessages);
    Ok(Found { author, channel, channel_name, may_manage })
}
