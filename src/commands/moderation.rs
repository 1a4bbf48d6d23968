//! Kicks and bans (protocol section 4, "Channels, groups, permissions").

use serde::Deserialize;

use crate::access::Rank;
use crate::commands::{Answer, Length, NoFields, Request, Session, allow};
use crate::config::Limits;
use crate::error::Refusal;
use crate::id::{ChannelId, MemberId, now_s};
use crate::protocol::packet::Nothing;
use crate::protocol::{AuditLine, Ban, BanReason, Permission};
use crate::store::{AuditSubject, Whose, WriteTx};

#[derive(Deserialize)]
pub(super) struct OneUser {
    user: MemberId,
}
impl Request for OneUser {}

/// Closes a member's connections. They may come again.
pub(super) fn kick(session: &mut Session<'_>, request: OneUser) -> Result<Nothing, Refusal> {
    session.act(move |tx, actor| {
        let subject = find_user(tx, actor, request.user)?;
        tx.disconnect(Whose::Member(request.user));
        tx.record(Some(actor), "kick", subject, "")?;
        Ok(Nothing {})
    })
}

/// What JavaScript's numbers hold exactly.
const UNTIL_MAX: i64 = (1 << 53) - 1;

#[derive(Deserialize)]
pub(super) struct NewBan {
    user: MemberId,
    reason: Option<BanReason>,
    until: Option<i64>,
}
impl Request for NewBan {
    fn is_within(&self, _: &Limits) -> bool {
        self.until.is_none_or(|until| until > now_s() && until <= UNTIL_MAX)
    }
}

/// Closes a member's connections, and lets them in no more until it ends; in place of what ban
/// there was.
pub(super) fn ban(session: &mut Session<'_>, request: NewBan) -> Result<Nothing, Refusal> {
    let NewBan { user, reason, until } = request;
    session.act(move |tx, actor| {
        let subject = find_user(tx, actor, user)?;
        let reason = reason.map(|reason| reason.as_str().to_owned());
        let end = until.map(|until| tx.date_text(until)).transpose()?;
        let mut details = vec![end.map_or("for ever".to_owned(), |end| format!("until {end}"))];
        details.extend(reason.as_ref().map(|reason| format!("because {reason:?}")));
        tx.insert_ban(&Ban { user, reason, until, by: Some(actor), date: now_s() })?;
        tx.record(Some(actor), "ban", subject, &details.join(", "))?;
        // Order: whoever tells others knows of the ban before it ends what connections there are.
        tx.settle()?;
        tx.disconnect(Whose::Member(user));
        Ok(Nothing {})
    })
}

/// Lets a member in again.
pub(super) fn unban(session: &mut Session<'_>, request: OneUser) -> Result<Nothing, Refusal> {
    session.act(move |tx, actor| {
        let name = tx.find_name(request.user)?.ok_or(Refusal::NotFound)?;
        // Order: whether there is a ban is for those only who may know of it.
        allow(tx.access().allows(actor, Permission::BanUsers))?;
        if !tx.access().is_banned(request.user, now_s()) {
            return Err(Refusal::NotFound);
        }
        allow(may_act_on(tx, actor, request.user))?;
        tx.delete_ban(request.user)?;
        tx.record(Some(actor), "unban", AuditSubject::new(request.user.raw(), name), "")?;
        Ok(Nothing {})
    })
}

/// The bans in force.
pub(super) fn list_bans(
    session: &mut Session<'_>,
    _: NoFields,
) -> Result<Answer<Vec<Ban>>, Refusal> {
    let data = session.read(|db, member| {
        allow(db.access().allows(member, Permission::BanUsers))?;
        db.list_bans()
    })?;
    Ok(Answer { data })
}

/// Lines of the record in one answer at most.
const AUDIT_LINES_MAX: u32 = 500;
/// What is recorded of a channel, by its uuid.
const OF_CHANNELS: &[&str] = &["create_channel", "update_channel", "delete_channel", "delete"];

#[derive(Deserialize)]
pub(super) struct ListAudit {
    num: u32,
    before: Option<i64>,
}
impl Request for ListAudit {}

/// Who did what to whom, the newest first. Of channels that they may not view, only the top rank
/// hears.
pub(super) fn list_audit(
    session: &mut Session<'_>,
    request: ListAudit,
) -> Result<Answer<Vec<AuditLine>>, Refusal> {
    session.begin_large_answer(Length::Long)?;
    let num = request.num.min(AUDIT_LINES_MAX) as usize;
    let data = session.read(|db, member| {
        let access = db.access();
        allow(access.allows(member, Permission::BanUsers))?;
        let is_top = access.rank(member) == Rank::TOP;
        let is_viewed = |channel: Option<u64>| {
            let channel = channel.and_then(|raw| ChannelId::try_from(raw).ok());
            channel.is_some_and(|channel| access.find_channel(member, channel).is_some())
        };
        db.list_audit(request.before, num, |action, subject| {
            // What is told of an open invite is half its code.
            let is_of_all = !OF_CHANNELS.contains(&action) && !action.starts_with("invite");
            is_top || is_of_all || is_viewed(subject)
        })
    })?;
    Ok(Answer { data })
}

/// The member, if one may keep them out.
fn find_user(tx: &WriteTx<'_>, actor: MemberId, user: MemberId) -> Result<AuditSubject, Refusal> {
    let name = tx.find_name(user)?.ok_or(Refusal::NotFound)?;
    allow(may_act_on(tx, actor, user))?;
    Ok(AuditSubject::new(user.raw(), name))
}

fn may_act_on(tx: &WriteTx<'_>, actor: MemberId, user: MemberId) -> bool {
    tx.access().may_act_on(actor, Permission::BanUsers, tx.access().rank(user))
}
