//! Who may change what: protocol sections 3, 4 ("Rank") and 10, again without a look at the
//! server.

use super::orders::Order;
use super::reference::{
    ALLOW, Channel, DEFAULT, DENY, MODIFY_CHANNELS, MODIFY_GROUPS, MODIFY_USER_GROUPS, Member,
    NO_RANK, Overrides, Rights, State, Subject, Uuid, find_override,
};

/// A status other than 200, and the rule that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub u16, pub &'static str);

type Verdict = Result<(), Refused>;

fn refuse_if(refused: bool, status: u16, rule: &'static str) -> Verdict {
    if refused { Err(Refused(status, rule)) } else { Ok(()) }
}

/// What the server must say to a well-formed command: 404 for what is named, then 403, then
/// 400 for what depends on the state.
impl State {
    pub fn judge(&self, actor: usize, order: &Order) -> Verdict {
        let me = &self.members[actor];
        self.judge_names(me, order)?;
        self.judge_rights(me, order)?;
        // What cannot be carried out leads to no state in which somebody gains.
        self.judge_state(me, order)?;
        let mut after = self.clone();
        after.carry_out(actor, order, 0);
        self.judge_gains(actor, &after)
    }

    fn judge_names(&self, me: &Member, order: &Order) -> Verdict {
        let (mut channels, mut groups, mut members) = (vec![], vec![], vec![]);
        let mut map: &[(Subject, Rights)] = &[];
        match order {
            Order::CreateChannel { overrides, .. } => map = overrides,
            Order::UpdateChannel { channel, overrides, .. } => {
                channels.push(*channel);
                map = overrides.as_deref().unwrap_or_default();
            }
            Order::DeleteChannel { channel } => channels.push(*channel),
            Order::UpdateGroup { group, .. } | Order::DeleteGroup { group } => groups.push(*group),
            Order::UpdateUserGroups { member, groups: given } => {
                members.push(*member);
                groups.extend(given);
            }
            Order::CreateGroup { .. } | Order::SetBase { .. } => {}
        }
        for (subject, _) in map {
            match subject {
                Subject::Member(uuid) => members.push(*uuid),
                Subject::Group(uuid) => groups.push(*uuid),
                Subject::Everyone => {}
            }
        }
        let seen = self.seen_by(me);
        let hidden = |uuid: &Uuid| !seen.iter().any(|channel| channel.uuid == *uuid);
        refuse_if(channels.iter().any(hidden), 404, "a channel that they do not see")?;
        refuse_if(groups.iter().any(|uuid| self.find_group(*uuid).is_none()), 404, "no group")?;
        refuse_if(members.iter().any(|uuid| self.find_member(*uuid).is_none()), 404, "no member")
    }

    fn judge_rights(&self, me: &Member, order: &Order) -> Verdict {
        match order {
            Order::CreateChannel { name, overrides, .. } => {
                refuse_if(!self.holds(me, MODIFY_CHANNELS), 403, "modify_channels")?;
                let bare = Channel { uuid: 0, name: name.clone(), overrides: vec![] };
                self.judge_overrides(me, &bare, overrides)
            }
            Order::UpdateChannel { channel, overrides, .. } => {
                self.judge_channel(me, *channel)?;
                let channel = &self.channels[self.find_channel(*channel).unwrap()];
                match overrides {
                    Some(overrides) => self.judge_overrides(me, channel, overrides),
                    None => Ok(()),
                }
            }
            Order::DeleteChannel { channel } => self.judge_channel(me, *channel),
            Order::CreateGroup { rights, position, .. } => {
                refuse_if(!self.holds(me, MODIFY_GROUPS), 403, "modify_groups")?;
                refuse_if(!self.is_below(me, *position), 403, "a place not below them")?;
                self.judge_grant(me, [DEFAULT; 10], *rights)
            }
            Order::UpdateGroup { group, rights, position, .. } => {
                self.judge_group(me, *group)?;
                let to = position.is_some_and(|position| !self.is_below(me, position));
                refuse_if(to, 403, "a place not below them")?;
                let old = self.groups[self.find_group(*group).unwrap()].rights;
                self.judge_grant(me, old, rights.unwrap_or(old))
            }
            Order::DeleteGroup { group } => self.judge_group(me, *group),
            Order::UpdateUserGroups { member, groups } if *member == me.uuid => {
                self.judge_own_groups(me, groups)
            }
            Order::UpdateUserGroups { member, groups } => {
                self.judge_others_groups(me, *member, groups)
            }
            Order::SetBase { rights } => {
                refuse_if(!self.holds(me, MODIFY_GROUPS), 403, "modify_groups")?;
                refuse_if(self.rank(me) != 0, 403, "the base is for the top rank")?;
                self.judge_grant(me, self.base, *rights)
            }
        }
    }

    /// Whether a place among the groups is strictly below the member's own.
    fn is_below(&self, me: &Member, position: usize) -> bool {
        position > self.rank(me)
    }

    fn judge_channel(&self, me: &Member, channel: Uuid) -> Verdict {
        let channel = &self.channels[self.find_channel(channel).unwrap()];
        let may = self.in_channel(me, channel)[MODIFY_CHANNELS] == ALLOW;
        refuse_if(!may, 403, "modify_channels here")
    }

    fn judge_group(&self, me: &Member, group: Uuid) -> Verdict {
        refuse_if(!self.holds(me, MODIFY_GROUPS), 403, "modify_groups")?;
        let position = self.find_group(group).unwrap();
        refuse_if(!self.is_below(me, position), 403, "a group not below them")
    }

    fn judge_own_groups(&self, me: &Member, groups: &[Uuid]) -> Verdict {
        let adds = groups.iter().any(|uuid| !me.groups.contains(uuid));
        refuse_if(adds, 403, "a group given to oneself")?;
        let mut taken = me.groups.iter().filter(|uuid| !groups.contains(uuid));
        refuse_if(taken.any(|uuid| self.find_group(*uuid) == Some(0)), 403, "out of the top group")
    }

    fn judge_others_groups(&self, me: &Member, member: Uuid, groups: &[Uuid]) -> Verdict {
        refuse_if(!self.holds(me, MODIFY_USER_GROUPS), 403, "modify_user_groups")?;
        let them = &self.members[self.find_member(member).unwrap()];
        refuse_if(!self.is_below(me, self.rank(them)), 403, "a member not below them")?;
        for (position, group) in self.groups.iter().enumerate() {
            let (had, has) = (them.groups.contains(&group.uuid), groups.contains(&group.uuid));
            let touched_above = had != has && !self.is_below(me, position);
            refuse_if(touched_above, 403, "a group not below them, given or taken")?;
            if has && !had {
                let subject = Subject::Group(group.uuid);
                self.judge_grant(me, [DEFAULT; 10], group.rights)?;
                for channel in &self.channels {
                    let gift = find_override(channel, subject);
                    let verdict = self.judge_grant(me, [DEFAULT; 10], gift);
                    refuse_if(verdict.is_err(), 403, "a gift in a channel")?;
                }
            }
        }
        Ok(())
    }

    /// Nobody grants what they do not have; lifting a deny is granting.
    fn judge_grant(&self, me: &Member, old: Rights, new: Rights) -> Verdict {
        for permission in 0..10 {
            if grants(old[permission], new[permission]) {
                refuse_if(!self.holds(me, permission), 403, "granting what they do not have")?;
            }
        }
        Ok(())
    }

    fn judge_overrides(&self, me: &Member, channel: &Channel, overrides: &Overrides) -> Verdict {
        let after = Channel { overrides: overrides.clone(), ..channel.clone() };
        for (subject, _) in channel.overrides.iter().chain(overrides) {
            let (old, new) = (find_override(channel, *subject), find_override(&after, *subject));
            self.judge_grant(me, old, new)?;
            if let Subject::Member(member) = subject {
                let them = &self.members[self.find_member(*member).unwrap()];
                let gives = (0..10).any(|permission| grants(old[permission], new[permission]));
                let is_peer = self.rank(me) > 0 && !self.is_below(me, self.rank(them));
                refuse_if(gives && is_peer, 403, "a gift to oneself or a peer")?;
            }
        }
        let rank = self.rank(me);
        let mut protected: Vec<Member> = vec![];
        for (position, group) in self.groups.iter().enumerate() {
            if position <= rank {
                protected.push(Member { uuid: 0, groups: vec![group.uuid] });
            }
        }
        for other in &self.members {
            if other.uuid != me.uuid && self.rank(other) <= rank {
                protected.push(other.clone());
            }
        }
        if rank == NO_RANK {
            // Whoever registers next is of their rank.
            protected.push(Member { uuid: 0, groups: vec![] });
        }
        for member in &protected {
            let (had, has) = (self.in_channel(member, channel), self.in_channel(member, &after));
            let loses = (0..10).any(|place| had[place] == ALLOW && has[place] != ALLOW);
            refuse_if(loses, 403, "taking from an equal or higher rank")?;
        }
        Ok(())
    }

    /// Nobody gains by a command what its actor does not have; unless of the top rank, the
    /// actor gains nothing.
    fn judge_gains(&self, actor: usize, after: &State) -> Verdict {
        let me = &self.members[actor];
        let mut people: Vec<(Member, Member)> =
            self.members.iter().cloned().zip(after.members.iter().cloned()).collect();
        let nobody = Member { uuid: 0, groups: vec![] };
        people.push((nobody.clone(), nobody));
        // Of a group that is deleted, nobody can be a member.
        for group in self.groups.iter().filter(|group| after.find_group(group.uuid).is_some()) {
            let single = Member { uuid: 0, groups: vec![group.uuid] };
            people.push((single.clone(), single));
        }
        for (member, then) in &people {
            let mut places = vec![(self.server_wide(member), after.server_wide(then))];
            for channel in &self.channels {
                if let Some(place) = after.find_channel(channel.uuid) {
                    let same = &after.channels[place];
                    places.push((self.in_channel(member, channel), after.in_channel(then, same)));
                }
            }
            for (had, has) in places {
                for permission in
                    (0..10).filter(|place| had[*place] != ALLOW && has[*place] == ALLOW)
                {
                    refuse_if(!self.holds(me, permission), 403, "a gain that they do not have")?;
                    let own = member.uuid == me.uuid && self.rank(me) != 0;
                    refuse_if(own, 403, "a gain of one's own")?;
                }
            }
        }
        Ok(())
    }

    fn judge_state(&self, me: &Member, order: &Order) -> Verdict {
        let channels = self.seen_by(me).len();
        let (position, end) = match order {
            Order::CreateChannel { position, .. } => (*position, channels + 1),
            Order::UpdateChannel { position, .. } => (*position, channels),
            Order::CreateGroup { position, .. } => (Some(*position), self.groups.len() + 1),
            Order::UpdateGroup { position, .. } => (*position, self.groups.len()),
            Order::DeleteChannel { .. } => {
                return refuse_if(channels == 1, 400, "the last channel that they see");
            }
            Order::DeleteGroup { .. } | Order::UpdateUserGroups { .. } | Order::SetBase { .. } => {
                return Ok(());
            }
        };
        refuse_if(position.is_some_and(|position| position >= end), 400, "past the end")
    }
}

/// Whether a setting in the place of another grants: lifting a deny is granting.
fn grants(old: u8, new: u8) -> bool {
    (new == ALLOW && old != ALLOW) || (old == DENY && new != DENY)
}
