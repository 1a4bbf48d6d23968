//! The server's face and its lists (protocol section 4, "Server").

use serde::{Deserialize, Serialize};

use crate::commands::{Answer, NoFields, Request, Session};
use crate::error::Refusal;
use crate::id::EmojiId;
use crate::protocol::packet::Nothing;
use crate::protocol::{Channel, Emoji, Group};

/// Nothing but an answer.
pub(super) fn ping(_: &mut Session<'_>, _: NoFields) -> Result<Nothing, Refusal> {
    Ok(Nothing {})
}

/// The server's name.
pub(super) fn get_name(session: &mut Session<'_>, _: NoFields) -> Result<Answer<String>, Refusal> {
    Ok(Answer { data: session.services.config.name.as_str().to_owned() })
}

/// The server's icon.
pub(super) fn get_icon(session: &mut Session<'_>, _: NoFields) -> Result<Answer<String>, Refusal> {
    Ok(Answer { data: session.services.config.icon.clone().into_base64() })
}

/// Name and uuid of every emoji.
pub(super) fn list_emoji(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<(String, EmojiId)>>, Refusal> {
    Ok(Answer { data: session.services.store.read(|db| db.list_emoji())? })
}

#[derive(Deserialize)]
pub(super) struct GetEmoji {
    uuid: EmojiId,
}
impl Request for GetEmoji {}

#[derive(Serialize)]
pub(super) struct OneEmoji {
    data: Emoji,
    /// One client looks for it in place of the status.
    code: u8,
}

/// One emoji with its picture.
pub(super) fn get_emoji(session: &mut Session<'_>, request: GetEmoji) -> Result<OneEmoji, Refusal> {
    let emoji = session.services.store.read(|db| db.find_emoji(request.uuid))?;
    emoji.map(|data| OneEmoji { data, code: 0 }).ok_or(Refusal::NotFound)
}

/// The channels that the member may view.
pub(super) fn list_channels(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<Channel>>, Refusal> {
    let member = session.member()?;
    Ok(Answer { data: session.services.store.access().list_channels(member) })
}

/// All groups, the highest rank first.
pub(super) fn list_groups(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<Group>>, Refusal> {
    Ok(Answer { data: session.services.store.access().groups.clone() })
}
