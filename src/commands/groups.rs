//! Groups, who is in them, and what everybody may do (protocol section 4, "Channels, groups,
//! permissions", and "Rank").

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::Rank;
use crate::commands::{NoFields, Request, Session, allow};
use crate::error::Refusal;
use crate::id::{ChannelId, GroupId, MemberId};
use crate::protocol::packet::Nothing;
use crate::protocol::{Colour, Group, Permission, Permissions, ServerName};
use crate::store::{AuditSubject, WriteTx};

/// Groups at most: bounds what each change of who may do what costs.
const GROUPS_MAX: usize = 500;

#[derive(Deserialize)]
pub(super) struct CreateGroup {
    name: ServerName,
    permissions: Permissions,
    colour: Colour,
    position: u64,
}
impl Request for CreateGroup {}

#[derive(Serialize)]
pub(super) struct NewGroup {
    uuid: GroupId,
}

/// A new group, below one's own rank.
pub(super) fn create_group(
    session: &mut Session<'_>,
    request: CreateGroup,
) -> Result<NewGroup, Refusal> {
    let CreateGroup { name, permissions, colour, position } = request;
    session.govern(move |tx, actor| {
        let access = tx.access();
        allow(access.may_act_on(actor, Permission::ModifyGroups, Rank::at(position)))?;
        allow(access.may_grant(actor, permissions.allowed()))?;
        let count = access.groups().len();
        if position > count as u64 || count >= GROUPS_MAX {
            return Err(Refusal::BadRequest);
        }
        let uuid = tx.insert_group(&name, colour, position, permissions)?;
        let subject = AuditSubject::new(uuid.raw(), name.as_str());
        let details = format!("at position {position}: {permissions}");
        tx.record(Some(actor), "create_group", subject, &details)?;
        Ok(NewGroup { uuid })
    })
}

#[derive(Deserialize)]
pub(super) struct UpdateGroup {
    uuid: GroupId,
    name: Option<ServerName>,
    permissions: Option<Permissions>,
    colour: Option<Colour>,
    position: Option<u64>,
}
impl Request for UpdateGroup {}

/// Another name, other permissions, another colour or rank for a group below one's own.
pub(super) fn update_group(
    session: &mut Session<'_>,
    request: UpdateGroup,
) -> Result<Nothing, Refusal> {
    session.govern(move |tx, actor| {
        let UpdateGroup { uuid, name, permissions, colour, position } = request;
        let group = find_group(tx, actor, uuid)?;
        let access = tx.access();
        let granted = permissions.map(|new| group.permissions.granted_by(new)).unwrap_or_default();
        allow(access.may_grant(actor, granted))?;
        let mut details = Vec::new();
        if let Some(position) = position.filter(|position| *position != group.position) {
            allow(access.rank(actor).is_above(Rank::at(position)))?;
            if position >= access.groups().len() as u64 {
                return Err(Refusal::BadRequest);
            }
            tx.move_group(uuid, group.position, position)?;
            details.push(format!("to position {position}"));
        }
        let name = name.filter(|name| name.as_str() != group.name);
        details.extend(name.iter().map(|name| format!("called {}", name.as_str())));
        let permissions = permissions.filter(|permissions| *permissions != group.permissions);
        details.extend(permissions.iter().map(Permissions::to_string));
        let colour = colour.filter(|colour| *colour != group.colour);
        details.extend(colour.iter().map(|colour| format!("colour {:06x}", colour.raw())));
        if !details.is_empty() {
            tx.update_group(uuid, name.as_ref(), colour, permissions)?;
            let subject = AuditSubject::new(uuid.raw(), group.name);
            tx.record(Some(actor), "update_group", subject, &details.join("; "))?;
        }
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct DeleteGroup {
    uuid: GroupId,
}
impl Request for DeleteGroup {}

/// No longer a group; members and channels lose it.
pub(super) fn delete_group(
    session: &mut Session<'_>,
    request: DeleteGroup,
) -> Result<Nothing, Refusal> {
    session.govern(move |tx, actor| {
        let group = find_group(tx, actor, request.uuid)?;
        tx.delete_group(group.uuid)?;
        let subject = AuditSubject::new(group.uuid.raw(), group.name);
        tx.record(Some(actor), "delete_group", subject, "")?;
        Ok(Nothing {})
    })
}

/// The group, if the member may act on it.
fn find_group(tx: &WriteTx<'_>, actor: MemberId, group: GroupId) -> Result<Group, Refusal> {
    let access = tx.access();
    let group = access.find_group(group).ok_or(Refusal::NotFound)?;
    allow(access.may_act_on(actor, Permission::ModifyGroups, Rank::at(group.position)))?;
    Ok(group.clone())
}

#[derive(Deserialize)]
pub(super) struct UpdateUserGroups {
    user: MemberId,
    groups: BTreeSet<GroupId>,
}
impl Request for UpdateUserGroups {}

/// A member's groups, as a whole.
pub(super) fn update_user_groups(
    session: &mut Session<'_>,
    request: UpdateUserGroups,
) -> Result<Nothing, Refusal> {
    session.govern(move |tx, actor| {
        let UpdateUserGroups { user, groups } = request;
        let name = tx.find_name(user)?.ok_or(Refusal::NotFound)?;
        let access = tx.access();
        let find = |group: &GroupId| access.find_group(*group).ok_or(Refusal::NotFound);
        let before: BTreeSet<GroupId> = access.groups_of(user).iter().copied().collect();
        let given = groups.difference(&before).map(find).collect::<Result<Vec<_>, _>>()?;
        let taken = before.difference(&groups).map(find).collect::<Result<Vec<_>, _>>()?;
        if user == actor {
            // One may always take oneself down, but only the command line unmakes an owner.
            allow(given.is_empty() && taken.iter().all(|group| group.position > 0))?;
        } else {
            allow(access.may_act_on(actor, Permission::ModifyUserGroups, access.rank(user)))?;
            let rank = access.rank(actor);
            let mut all = given.iter().chain(&taken);
            allow(all.all(|group| rank.is_above(Rank::at(group.position))))?;
            let gifts = given.iter().map(|group| access.gift_of(group.uuid));
            for gift in gifts {
                allow(access.may_grant(actor, gift))?;
            }
        }
        let given: Vec<Group> = given.into_iter().cloned().collect();
        let taken: Vec<Group> = taken.into_iter().cloned().collect();
        let mut details = Vec::new();
        for group in &given {
            tx.insert_membership(user, group.uuid)?;
            details.push(format!("+{}", group.name));
        }
        for group in &taken {
            tx.delete_membership(user, group.uuid)?;
            details.push(format!("-{}", group.name));
        }
        if !details.is_empty() {
            let subject = AuditSubject::new(user.raw(), name);
            tx.record(Some(actor), "update_user_groups", subject, &details.join(" "))?;
        }
        Ok(Nothing {})
    })
}

#[derive(Serialize)]
pub(super) struct Held {
    permissions: Permissions,
}

/// What holds for everybody.
pub(super) fn get_base_permissions(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Held, Refusal> {
    Ok(Held { permissions: session.read(|db, _| Ok(db.access().base))? })
}

#[derive(Deserialize)]
pub(super) struct SetBasePermissions {
    permissions: Permissions,
}
impl Request for SetBasePermissions {}

/// What holds for everybody, from here on.
pub(super) fn set_base_permissions(
    session: &mut Session<'_>,
    request: SetBasePermissions,
) -> Result<Nothing, Refusal> {
    let permissions = request.permissions;
    session.govern(move |tx, actor| {
        let access = tx.access();
        allow(access.allows(actor, Permission::ModifyGroups))?;
        allow(access.rank(actor) == Rank::TOP)?;
        allow(access.may_grant(actor, access.base.granted_by(permissions)))?;
        if permissions != access.base {
            tx.update_base_permissions(permissions)?;
            let details = permissions.to_string();
            tx.record(Some(actor), "set_base_permissions", AuditSubject::server(), &details)?;
        }
        Ok(Nothing {})
    })
}

#[derive(Deserialize)]
pub(super) struct GetPermissions {
    channel: Option<ChannelId>,
}
impl Request for GetPermissions {}

/// What one may do oneself, server-wide or in a channel: allow or deny only.
pub(super) fn get_permissions(
    session: &mut Session<'_>,
    request: GetPermissions,
) -> Result<Held, Refusal> {
    let permissions = session.read(|db, member| match request.channel {
        None => Ok(db.access().permissions(member)),
        Some(channel) => {
            let channel = db.access().find_channel(member, channel);
            channel.map(|channel| channel.permissions).ok_or(Refusal::NotFound)
        }
    })?;
    Ok(Held { permissions: permissions.settled() })
}
