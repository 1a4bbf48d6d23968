//! Who may do what: an immutable snapshot of base, groups, memberships and channels, and
//! what they come to (protocol section 4, "What they come to"). Pure.

use std::collections::HashMap;

use crate::id::{ChannelId, GroupId, MemberId};
use crate::protocol::permissions::Setting;
use crate::protocol::{Channel, Group, Permission, Permissions, Subject};

/// The snapshot. Shared behind an `Arc`; never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// What holds for everybody.
    pub base: Permissions,
    /// By position: the highest rank first.
    pub groups: Vec<Group>,
    /// By position.
    pub channels: Vec<Channel>,
    /// The groups of each member that has any, highest rank first.
    pub memberships: HashMap<MemberId, Vec<GroupId>>,
}

impl Access {
    /// The member's groups, highest rank first.
    pub(crate) fn groups_of(&self, member: MemberId) -> &[GroupId] {
        self.memberships.get(&member).map_or(&[], Vec::as_slice)
    }

    /// The channel, if the member may know that it exists.
    pub(crate) fn find_channel(
        &self,
        member: MemberId,
        channel: ChannelId,
    ) -> Option<ChannelAccess<'_>> {
        let channel = self.channels.iter().find(|candidate| candidate.uuid == channel)?;
        self.view(member, channel)
    }

    /// The channels that the member may view, by position. Positions are dense in each
    /// member's view: a gap would tell of a channel that they may not know.
    pub(crate) fn list_channels(&self, member: MemberId) -> Vec<Channel> {
        let viewed = self.channels.iter().filter_map(|channel| self.view(member, channel));
        let numbered = (0..).zip(viewed);
        numbered.map(|(position, access)| Channel { position, ..access.channel.clone() }).collect()
    }

    fn view<'a>(&self, member: MemberId, channel: &'a Channel) -> Option<ChannelAccess<'a>> {
        let access = ChannelAccess { channel, permissions: self.permissions_in(member, channel) };
        access.allows(Permission::ViewChannel).then_some(access)
    }

    /// Base, then the groups from the lowest rank to the highest, then the channel's
    /// overrides for those in the same order, last the one for the member.
    fn permissions_in(&self, member: MemberId, channel: &Channel) -> Permissions {
        let groups = self.groups_of(member);
        let everywhere = self.groups.iter().rev().filter(|group| groups.contains(&group.uuid));
        let here = groups.iter().rev().map(|group| Subject::Group(*group));
        let here = here.chain([Subject::Member(member)]);
        let here = here.filter_map(|subject| channel.permissions.get(&subject).copied());
        everywhere.map(|group| group.permissions).chain(here).fold(self.base, Permissions::overlay)
    }
}

/// A channel that a member may view, and what else they may do in it.
#[derive(Debug)]
pub(crate) struct ChannelAccess<'a> {
    /// The channel.
    pub channel: &'a Channel,
    permissions: Permissions,
}

impl ChannelAccess<'_> {
    /// Whether the member may do this here. What nobody decided is denied.
    pub(crate) fn allows(&self, permission: Permission) -> bool {
        self.permissions.setting(permission) == Setting::Allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: TryFrom<u64>>(raw: u64) -> T {
        T::try_from(raw).ok().unwrap()
    }

    fn set(permission: Permission, value: u32) -> Permissions {
        let bits = (value << (2 * permission as u32)).to_le_bytes();
        Permissions::try_from(&bits[..3]).unwrap()
    }

    /// Two groups, the first of the higher rank; one member in both; one channel.
    fn access(base: u32, high: u32, low: u32, overrides: &[(Subject, u32)]) -> Access {
        let permission = Permission::SendMessages;
        let group = |raw, position, value| Group {
            uuid: id(raw),
            name: "g".to_owned(),
            colour: 0,
            position,
            permissions: set(permission, value),
        };
        let overrides =
            overrides.iter().map(|(subject, value)| (*subject, set(permission, *value)));
        Access {
            base: set(permission, base).overlay(set(Permission::ViewChannel, 1)),
            groups: vec![group(10, 0, high), group(11, 1, low)],
            channels: vec![Channel {
                uuid: id(20),
                name: "c".to_owned(),
                position: 0,
                permissions: overrides.collect(),
            }],
            memberships: HashMap::from([(id(1), vec![id(10), id(11)])]),
        }
    }

    fn may_send(access: &Access, member: u64) -> bool {
        access.find_channel(id(member), id(20)).unwrap().allows(Permission::SendMessages)
    }

    #[test]
    fn the_higher_rank_wins_the_channel_wins_over_it_and_the_member_over_all() {
        let (high, low, me) =
            (Subject::Group(id(10)), Subject::Group(id(11)), Subject::Member(id(1)));
        assert!(!may_send(&access(0, 0, 0, &[]), 1), "what nobody decides is denied");
        assert!(may_send(&access(1, 0, 0, &[]), 1));
        assert!(!may_send(&access(1, 0, 2, &[]), 1));
        assert!(may_send(&access(1, 1, 2, &[]), 1));
        assert!(!may_send(&access(1, 1, 1, &[(low, 2)]), 1));
        assert!(may_send(&access(1, 1, 1, &[(low, 2), (high, 1)]), 1));
        assert!(!may_send(&access(1, 1, 1, &[(low, 1), (high, 1), (me, 2)]), 1));
        assert!(may_send(&access(1, 2, 2, &[(high, 2), (low, 2)]), 2), "not in any of them");
    }

    #[test]
    fn a_channel_that_may_not_be_viewed_is_not_there() {
        let mut access = access(1, 1, 1, &[]);
        access.channels[0].permissions =
            [(Subject::Group(id(11)), set(Permission::ViewChannel, 2))].into();
        assert!(access.find_channel(id(1), id(20)).is_none());
        assert!(access.list_channels(id(1)).is_empty());
        assert_eq!(access.list_channels(id(2)).len(), 1);
        let open = Channel { uuid: id(22), position: 1, ..access.channels[0].clone() };
        access.channels.push(Channel { permissions: [].into(), ..open });
        assert_eq!(access.list_channels(id(1))[0].position, 0, "no gap");
        assert!(access.find_channel(id(2), id(21)).is_none());
    }
}
