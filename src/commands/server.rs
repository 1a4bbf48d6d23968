//! The server's face and its lists (protocol section 4, "Server").

use serde::{Deserialize, Serialize};

use crate::commands::{Answer, NoFields, Request, Session, allow};
use crate::error::Refusal;
use crate::id::EmojiId;
use crate::protocol::packet::Nothing;
use crate::protocol::{Channel, Emoji, EmojiName, Group, Permission, Picture, ServerName};
use crate::store::AuditSubject;

/// Emoji at most: bounds the list of them.
const EMOJI_MAX: usize = 2000;

/// Nothing but an answer.
pub(super) fn ping(_: &mut Session<'_>, _: NoFields) -> Result<Nothing, Refusal> {
    Ok(Nothing {})
}

/// The server's name.
pub(super) fn get_name(session: &mut Session<'_>, _: NoFields) -> Result<Answer<String>, Refusal> {
    Ok(Answer { data: session.services.store.read(|db| db.server_name())? })
}

/// The server's icon.
pub(super) fn get_icon(session: &mut Session<'_>, _: NoFields) -> Result<Answer<String>, Refusal> {
    Ok(Answer { data: session.services.store.read(|db| db.server_icon())? })
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
    Ok(Answer { data: session.read(|db, member| Ok(db.access().list_channels(member)))? })
}

/// All groups, the highest rank first.
pub(super) fn list_groups(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<Group>>, Refusal> {
    Ok(Answer { data: session.read(|db, _| Ok(db.access().groups().to_vec()))? })
}

#[derive(Deserialize)]
pub(super) struct SetName {
    name: ServerName,
}
impl Request for SetName {}

/// Another name for the server; its current one changes nothing.
pub(super) fn set_name(session: &mut Session<'_>, request: SetName) -> Result<Nothing, Refusal> {
    session.act(move |tx, actor| {
        allow(tx.access().allows(actor, Permission::ModifyIconName))?;
        if tx.server_name()? != request.name.as_str() {
            tx.update_server_name(&request.name)?;
            tx.record(Some(actor), "set_name", AuditSubject::server(), request.name.as_str())?;
        }
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct SetIcon {
    data: Picture,
}
impl Request for SetIcon {}

/// Another icon for the server; its current one changes nothing.
pub(super) fn set_icon(session: &mut Session<'_>, request: SetIcon) -> Result<Nothing, Refusal> {
    session.act(move |tx, actor| {
        allow(tx.access().allows(actor, Permission::ModifyIconName))?;
        if tx.server_icon()? != request.data.as_base64() {
            tx.update_server_icon(request.data)?;
            tx.record(Some(actor), "set_icon", AuditSubject::server(), "")?;
        }
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct CreateEmoji {
    name: EmojiName,
    data: Picture,
}
impl Request for CreateEmoji {}

#[derive(Serialize)]
pub(super) struct NewEmoji {
    uuid: EmojiId,
}

/// A new emoji.
pub(super) fn create_emoji(
    session: &mut Session<'_>,
    request: CreateEmoji,
) -> Result<NewEmoji, Refusal> {
    session.act(move |tx, actor| {
        allow(tx.access().allows(actor, Permission::ModifyIconName))?;
        if tx.list_emoji()?.len() >= EMOJI_MAX {
            return Err(Refusal::BadRequest);
        }
        let uuid = tx.insert_emoji(&request.name, request.data)?;
        let subject = AuditSubject::new(uuid.raw(), request.name.as_str());
        tx.record(Some(actor), "create_emoji", subject, "")?;
        Ok(NewEmoji { uuid })
    })
}

#[derive(Deserialize)]
pub(super) struct DeleteEmoji {
    uuid: EmojiId,
}
impl Request for DeleteEmoji {}

/// No longer an emoji.
pub(super) fn delete_emoji(
    session: &mut Session<'_>,
    request: DeleteEmoji,
) -> Result<Nothing, Refusal> {
    session.act(move |tx, actor| {
        let emoji = tx.find_emoji(request.uuid)?.ok_or(Refusal::NotFound)?;
        allow(tx.access().allows(actor, Permission::ModifyIconName))?;
        tx.delete_emoji(emoji.uuid)?;
        let subject = AuditSubject::new(emoji.uuid.raw(), emoji.name);
        tx.record(Some(actor), "delete_emoji", subject, "")?;
        Ok(Nothing {})
    })
}
