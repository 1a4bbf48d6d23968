//! Channels and what they override (protocol section 4, "Channels, groups, permissions").
//!
//! Positions are those among the channels that the member sees. What depends on channels that
//! they may not see is looked at after their right to change channels.

use serde::{Deserialize, Serialize};

use crate::access::Place;
use crate::commands::{Request, Session, allow};
use crate::error::Refusal;
use crate::id::{ChannelId, MemberId};
use crate::protocol::packet::Nothing;
use crate::protocol::{Channel, Overrides, Permission, ServerName, Subject};
use crate::store::{AuditSubject, Reader, WriteTx};

/// Channels at most: bounds what each list of channels carries, and what each change costs.
const CHANNELS_MAX: usize = 2000;
/// Overrides of all channels together at most: lists of channels stay well below the bytes that
/// may wait for a client.
const OVERRIDES_MAX: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct CreateChannel {
    name: ServerName,
    position: Option<u64>,
    permissions: Option<Overrides>,
}
impl Request for CreateChannel {}

#[derive(Serialize)]
pub(super) struct NewChannel {
    uuid: ChannelId,
}

/// A new channel; without a position the last.
pub(super) fn create_channel(
    session: &mut Session<'_>,
    request: CreateChannel,
) -> Result<NewChannel, Refusal> {
    let CreateChannel { name, position, permissions } = request;
    let overrides = permissions.unwrap_or_default();
    session.govern(move |tx, actor| {
        find_subjects(tx, &overrides)?;
        let access = tx.access();
        allow(access.allows(actor, Permission::ModifyChannels))?;
        check_overrides(tx, actor, &Overrides::default(), &overrides)?;
        let place = match position {
            _ if access.count_channels() >= CHANNELS_MAX => None,
            Some(position) => access.find_place(actor, position, None),
            None => Some(Place::Last),
        };
        let place = place.ok_or(Refusal::BadRequest)?;
        let uuid = tx.insert_channel(&name, place)?;
        tx.update_overrides(uuid, &overrides)?;
        let subject = AuditSubject::new(uuid.raw(), name.as_str());
        tx.record(Some(actor), "create_channel", subject, &describe(tx, &overrides)?)?;
        Ok(NewChannel { uuid })
    })
}

#[derive(Deserialize)]
pub(super) struct UpdateChannel {
    uuid: ChannelId,
    name: Option<ServerName>,
    position: Option<u64>,
    permissions: Option<Overrides>,
}
impl Request for UpdateChannel {}

/// Another name, place or other overrides for a channel; the overrides as a whole.
pub(super) fn update_channel(
    session: &mut Session<'_>,
    request: UpdateChannel,
) -> Result<Nothing, Refusal> {
    let UpdateChannel { uuid, name, position, permissions } = request;
    session.govern(move |tx, actor| {
        let channel = find_channel(tx, actor, uuid, permissions.as_ref())?;
        let permissions = permissions.filter(|overrides| *overrides != channel.permissions);
        if let Some(overrides) = &permissions {
            check_overrides(tx, actor, &channel.permissions, overrides)?;
        }
        let seen = tx.access().list_channels(actor);
        let current = seen.iter().find(|each| each.uuid == uuid).map(|each| each.position);
        let mut details = Vec::new();
        if let Some(position) = position.filter(|position| Some(*position) != current) {
            let place = tx.access().find_place(actor, position, Some(uuid));
            tx.move_channel(uuid, place.ok_or(Refusal::BadRequest)?)?;
            details.push(format!("to position {position}"));
        }
        if let Some(name) = name.filter(|name| name.as_str() != channel.name) {
            tx.update_channel_name(uuid, &name)?;
            details.push(format!("called {}", name.as_str()));
        }
        if let Some(overrides) = permissions {
            tx.update_overrides(uuid, &overrides)?;
            details.push(describe(tx, &overrides)?);
        }
        if !details.is_empty() {
            let subject = AuditSubject::new(uuid.raw(), channel.name);
            tx.record(Some(actor), "update_channel", subject, &details.join("; "))?;
        }
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct DeleteChannel {
    channel: ChannelId,
}
impl Request for DeleteChannel {}

/// No longer a channel, and nothing left of what was in it. Not the last one that one sees:
/// whether there are others must not show.
pub(super) fn delete_channel(
    session: &mut Session<'_>,
    request: DeleteChannel,
) -> Result<Nothing, Refusal> {
    session.govern(move |tx, actor| {
        let channel = find_channel(tx, actor, request.channel, None)?;
        if tx.access().list_channels(actor).len() == 1 {
            return Err(Refusal::BadRequest);
        }
        tx.delete_channel(channel.uuid)?;
        let subject = AuditSubject::new(channel.uuid.raw(), channel.name);
        tx.record(Some(actor), "delete_channel", subject, "")?;
        Ok(Nothing {})
    })
}

/// The channel, if the member sees it and may change it, and those whom new overrides of it
/// are about are there.
fn find_channel(
    tx: &WriteTx<'_>,
    actor: MemberId,
    channel: ChannelId,
    overrides: Option<&Overrides>,
) -> Result<Channel, Refusal> {
    let access = tx.access().find_channel(actor, channel).ok_or(Refusal::NotFound)?;
    overrides.map_or(Ok(()), |overrides| find_subjects(tx, overrides))?;
    allow(access.allows(Permission::ModifyChannels))?;
    Ok(access.channel.clone())
}

/// `NotFound` when one of those whom the overrides are about is not there.
fn find_subjects(db: &Reader<'_>, overrides: &Overrides) -> Result<(), Refusal> {
    for (subject, _) in overrides.iter() {
        let is_there = match subject {
            Subject::Everyone => true,
            Subject::Member(member) => db.find_name(member)?.is_some(),
            Subject::Group(group) => db.access().find_group(group).is_some(),
        };
        if !is_there {
            return Err(Refusal::NotFound);
        }
    }
    Ok(())
}

/// `Forbidden` when overrides in the place of others would grant what is not the member's to
/// grant, give to or take from those who are not below; `BadRequest` when they are too many.
fn check_overrides(
    tx: &WriteTx<'_>,
    actor: MemberId,
    old: &Overrides,
    new: &Overrides,
) -> Result<(), Refusal> {
    let access = tx.access();
    allow(access.may_grant(actor, old.granted_by(new)))?;
    allow(!access.gives_to_peers(actor, old, new))?;
    allow(!access.takes_from_peers(actor, old, new))?;
    let added = new.count().saturating_sub(old.count());
    if added > 0 && access.count_overrides() + added > OVERRIDES_MAX {
        return Err(Refusal::BadRequest);
    }
    Ok(())
}

/// The overrides in words, for the record.
fn describe(db: &Reader<'_>, overrides: &Overrides) -> Result<String, Refusal> {
    let mut words = Vec::new();
    for (subject, permissions) in overrides.iter() {
        let name = match subject {
            Subject::Everyone => "everyone".to_owned(),
            Subject::Member(member) => db.find_name(member)?.unwrap_or_default(),
            Subject::Group(group) => {
                let group = db.access().find_group(group).map(|group| group.name.as_str());
                format!("group {}", group.unwrap_or_default())
            }
        };
        words.push(format!("{name}: {permissions}"));
    }
    Ok(if words.is_empty() { "no overrides".to_owned() } else { words.join("; ") })
}
