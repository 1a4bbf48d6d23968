//! Who owns the server, and passwords that were forgotten.

use crate::admin::prompt::ask_password;
use crate::admin::{Failure, find_member, parse_name};
use crate::error::Refusal;
use crate::id::{GroupId, now_s};
use crate::log;
use crate::protocol::{Colour, Permissions, ServerName};
use crate::store::{AuditSubject, Store, WriteTx};

/// Amber.
const OWNERS_COLOUR: u32 = 0xf0_a0_30;

pub(super) fn make_owner(store: &Store, name: &str) -> Result<(), Failure> {
    let name = parse_name(name)?;
    let password = match store.read(|db| db.find_member(&name))? {
        Some(_) => None,
        None => Some(ask_password(&format!("new password for {}", name.as_str()))?),
    };
    let shown = name.as_str().to_owned();
    let is_new = store.write(move |tx| {
        let member = match (tx.find_member(&name)?, &password) {
            (Some(member), _) => member,
            (None, Some(password)) => tx.insert_member(&name, password)?,
            (None, None) => return Err(Refusal::NotFound),
        };
        let group = match find_owners(tx) {
            Some(group) => group,
            None => {
                let name = ServerName::try_from("owners".to_owned()).map_err(Refusal::internal)?;
                let colour = Colour::try_from(OWNERS_COLOUR).map_err(Refusal::internal)?;
                tx.insert_group(&name, colour, 0, Permissions::ALLOW_ALL)?
            }
        };
        if tx.access().groups_of(member).contains(&group) {
            return Ok(false);
        }
        tx.insert_membership(member, group)?;
        let subject = AuditSubject::new(member.raw(), name.as_str());
        if tx.access().is_banned(member, now_s()) {
            // No request could lift it from here on.
            tx.delete_ban(member)?;
            tx.record(None, "unban", subject.clone(), "")?;
        }
        tx.record(None, "owner", subject, "")?;
        Ok(true)
    })?;
    log::answer(format_args!("{shown} is {} owner", if is_new { "now an" } else { "already an" }));
    Ok(())
}

pub(super) fn unmake_owner(store: &Store, name: &str) -> Result<(), Failure> {
    let (name, member) = find_member(store, name)?;
    let subject = AuditSubject::new(member.raw(), name.as_str());
    let is_done = store.write(move |tx| {
        let owners = find_owners(tx);
        let group = owners.filter(|group| tx.access().groups_of(member).contains(group));
        let Some(group) = group else { return Ok(false) };
        tx.delete_membership(member, group)?;
        tx.record(None, "owner --remove", subject, "")?;
        Ok(true)
    })?;
    match is_done {
        true => log::answer(format_args!("{} is no longer an owner", name.as_str())),
        false => return Err(Failure::Refused(format!("{} is no owner", name.as_str()))),
    }
    Ok(())
}

/// The group at position 0, if it has every permission (protocol section 4, "Rank").
fn find_owners(tx: &WriteTx<'_>) -> Option<GroupId> {
    let top = tx.access().groups().first()?;
    (top.permissions == Permissions::ALLOW_ALL).then_some(top.uuid)
}

pub(super) fn set_password(store: &Store, name: &str) -> Result<(), Failure> {
    let (name, member) = find_member(store, name)?;
    let password = ask_password(&format!("new password for {}", name.as_str()))?;
    let subject = AuditSubject::new(member.raw(), name.as_str());
    store.write(move |tx| {
        tx.update_password(member, &password)?;
        tx.delete_sessions(member, None)?;
        // A running server ends the member's connections when it sees this line.
        tx.record(None, "passwd", subject, "")
    })?;
    log::answer(format_args!("{} has a new password", name.as_str()));
    Ok(())
}
