//! Who may do what: an immutable snapshot of base, groups, memberships, channels and bans, and
//! what they come to (protocol section 4, "What they come to"). Pure.

mod comparison;
mod explain;
mod rules;

use std::collections::{HashMap, HashSet};

use crate::id::{ChannelId, GroupId, MemberId};
use crate::protocol::{Channel, Group, Overrides, Permission, Permissions, Subject};

pub(crate) use explain::{Decision, Layer};
pub(crate) use rules::Rank;

/// The snapshot. Shared behind an `Arc`; never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// Grows with every change, in the database and so here. Tells snapshots apart.
    pub version: i64,
    /// What holds for everybody.
    pub base: Permissions,
    /// By position: the highest rank first.
    groups: Vec<Group>,
    /// By position.
    channels: Vec<Channel>,
    /// The groups of each member that has any, highest rank first.
    memberships: HashMap<MemberId, Vec<GroupId>>,
    /// Who is banned, and until when (Unix seconds) if not for ever.
    bans: HashMap<MemberId, Option<i64>>,
    group_places: HashMap<GroupId, usize>,
    channel_places: HashMap<ChannelId, usize>,
    /// Members about whom some channel says something.
    individuals: HashSet<MemberId>,
}

impl Access {
    /// Groups and channels come by position, and each member's groups the highest first.
    pub(crate) fn new(
        version: i64,
        base: Permissions,
        groups: Vec<Group>,
        channels: Vec<Channel>,
        memberships: HashMap<MemberId, Vec<GroupId>>,
        bans: HashMap<MemberId, Option<i64>>,
    ) -> Self {
        let group_places = groups.iter().map(|group| group.uuid).zip(0..).collect();
        let channel_places = channels.iter().map(|channel| channel.uuid).zip(0..).collect();
        let subjects = channels.iter().flat_map(|channel| channel.permissions.iter());
        let individuals = subjects.filter_map(|(subject, _)| subject.member()).collect();
        Self {
            version,
            base,
            groups,
            channels,
            memberships,
            bans,
            group_places,
            channel_places,
            individuals,
        }
    }

    /// All groups, the highest rank first.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many channels there are, seen or not.
    pub(crate) fn count_channels(&self) -> usize {
        self.channels.len()
    }

    /// How many overrides all channels have together.
    pub(crate) fn count_overrides(&self) -> usize {
        self.channels.iter().map(|channel| channel.permissions.count()).sum()
    }

    /// The group.
    pub(crate) fn find_group(&self, group: GroupId) -> Option<&Group> {
        self.groups.get(*self.group_places.get(&group)?)
    }

    /// The member's groups, highest rank first.
    pub(crate) fn groups_of(&self, member: MemberId) -> &[GroupId] {
        self.memberships.get(&member).map_or(&[], Vec::as_slice)
    }

    /// The members of whom `other` says that they are in other groups, or in another order.
    pub(crate) fn regrouped(&self, other: &Self) -> Vec<MemberId> {
        let members = self.memberships.keys().chain(other.memberships.keys());
        let changed =
            members.filter(|member| self.groups_of(**member) != other.groups_of(**member));
        let mut changed: Vec<_> = changed.copied().collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Whether the member is kept out at this time, in Unix seconds.
    pub(crate) fn is_banned(&self, member: MemberId, now_s: i64) -> bool {
        self.bans.get(&member).is_some_and(|until| until.is_none_or(|until| until > now_s))
    }

    /// Whether some channel says something about this very member.
    pub(crate) fn is_individual(&self, member: MemberId) -> bool {
        self.individuals.contains(&member)
    }

    /// What the member may do server-wide.
    pub(crate) fn permissions(&self, member: MemberId) -> Permissions {
        self.resolve(self.kind_of(member), None)
    }

    /// Whether the member may do this server-wide. What nobody decided is denied.
    pub(crate) fn allows(&self, member: MemberId, permission: Permission) -> bool {
        self.permissions(member).allowed().contains(permission)
    }

    /// The channel, if the member may know that it exists.
    pub(crate) fn find_channel(
        &self,
        member: MemberId,
        channel: ChannelId,
    ) -> Option<ChannelAccess<'_>> {
        self.view(member, self.channels.get(*self.channel_places.get(&channel)?)?)
    }

    /// The channels that the member may view, by position. Positions are dense in each
    /// member's view: a gap would tell of a channel that they may not know.
    pub(crate) fn list_channels(&self, member: MemberId) -> Vec<Channel> {
        let numbered = (0..).zip(self.viewed(member));
        numbered.map(|(position, channel)| Channel { position, ..channel.clone() }).collect()
    }

    /// Whether the member's list of channels would be another one in `other`.
    pub(crate) fn shows_otherwise(&self, other: &Self, member: MemberId) -> bool {
        /// All of a channel that shows, but for its position among all.
        fn shown(channel: &Channel) -> (ChannelId, &str, &Overrides) {
            (channel.uuid, &channel.name, &channel.permissions)
        }
        !self.viewed(member).map(shown).eq(other.viewed(member).map(shown))
    }

    fn viewed(&self, member: MemberId) -> impl Iterator<Item = &Channel> {
        self.channels.iter().filter(move |channel| self.view(member, channel).is_some())
    }

    /// Where among all channels a place stands that the member names by what they see.
    /// `moved` is left out of the count, as it has no place until it gets this one.
    pub(crate) fn find_place(
        &self,
        member: MemberId,
        position: u64,
        moved: Option<ChannelId>,
    ) -> Option<Place> {
        let others = self.channels.iter().filter(|channel| Some(channel.uuid) != moved);
        let seen = (0..).zip(others).filter(|(_, channel)| self.view(member, channel).is_some());
        let seen: Vec<u64> = seen.map(|(place, _)| place).collect();
        match seen.get(usize::try_from(position).ok()?) {
            Some(place) => Some(Place::Before(*place)),
            None => (position == seen.len() as u64).then_some(Place::Last),
        }
    }

    fn view<'a>(&self, member: MemberId, channel: &'a Channel) -> Option<ChannelAccess<'a>> {
        let permissions = self.resolve(self.kind_of(member), Some(&channel.permissions));
        let access = ChannelAccess { channel, permissions };
        access.allows(Permission::ViewChannel).then_some(access)
    }

    fn kind_of(&self, member: MemberId) -> Kind<'_> {
        Kind { groups: self.groups_of(member), member: Some(member) }
    }

    /// What all layers come to. What nobody decided is left at default, which denies.
    fn resolve(&self, kind: Kind<'_>, here: Option<&Overrides>) -> Permissions {
        let layers = self.layers(kind, here);
        layers.fold(Permissions::default(), |below, (_, over)| below.overlay(over))
    }

    /// All that is said, the weakest first: the base, what stands in for it in the channel, the
    /// groups from the lowest rank to the highest, the channel's overrides for those in the
    /// same order, last its override for the member.
    fn layers<'a>(
        &'a self,
        kind: Kind<'a>,
        here: Option<&'a Overrides>,
    ) -> impl Iterator<Item = (Layer<'a>, Permissions)> {
        let say = move |subject| here.map(|overrides| overrides.find(subject)).unwrap_or_default();
        let groups = || kind.groups.iter().rev().filter_map(|group| self.find_group(*group));
        let base = [(Layer::Base, self.base), (Layer::Everyone, say(Subject::Everyone))];
        let everywhere = groups().map(|group| (Layer::Group(group), group.permissions));
        let overrides =
            groups().map(move |group| (Layer::GroupHere(group), say(Subject::Group(group.uuid))));
        let member = kind.member.map(|member| (Layer::MemberHere, say(Subject::Member(member))));
        base.into_iter().chain(everywhere).chain(overrides).chain(member)
    }
}

/// Whose permissions are asked for: a member, or whoever is in just these groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind<'a> {
    /// Highest rank first.
    groups: &'a [GroupId],
    member: Option<MemberId>,
}

/// A place for a channel among all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Directly before the one that is there, counted without the one that is moved.
    Before(u64),
    /// After all.
    Last,
}

/// A channel that a member may view, and what else they may do in it.
#[derive(Debug)]
pub(crate) struct ChannelAccess<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// What everything comes to here.
    pub permissions: Permissions,
}

impl ChannelAccess<'_> {
    /// Whether the member may do this here. What nobody decided is denied.
    pub(crate) fn allows(&self, permission: Permission) -> bool {
        self.permissions.allowed().contains(permission)
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
            colour: 0.try_into().unwrap(),
            position,
            permissions: set(permission, value),
        };
        let overrides =
            overrides.iter().map(|(subject, value)| (*subject, set(permission, *value)));
        let base = set(permission, base).overlay(set(Permission::ViewChannel, 1));
        with_channels(
            base,
            vec![group(10, 0, high), group(11, 1, low)],
            vec![channel(20, 0, overrides.collect())],
        )
    }

    fn with_channels(base: Permissions, groups: Vec<Group>, channels: Vec<Channel>) -> Access {
        let memberships = HashMap::from([(id(1), groups.iter().map(|each| each.uuid).collect())]);
        Access::new(0, base, groups, channels, memberships, HashMap::new())
    }

    fn channel(raw: u64, position: u64, permissions: Overrides) -> Channel {
        Channel { uuid: id(raw), name: "c".to_owned(), position, permissions }
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
    fn what_a_channel_says_of_everyone_stands_in_for_the_base() {
        let everyone = Subject::Everyone;
        assert!(!may_send(&access(1, 0, 0, &[(everyone, 2)]), 1));
        assert!(may_send(&access(2, 0, 0, &[(everyone, 1)]), 2));
        assert!(may_send(&access(1, 0, 1, &[(everyone, 2)]), 1), "any group wins over it");
        assert!(!may_send(&access(1, 0, 2, &[(everyone, 1)]), 1));
    }

    #[test]
    fn a_channel_that_may_not_be_viewed_is_not_there_and_leaves_no_gap() {
        let hidden = [(Subject::Group(id(11)), set(Permission::ViewChannel, 2))].into_iter();
        let channels =
            vec![channel(20, 0, hidden.collect()), channel(22, 1, [].into_iter().collect())];
        let groups = access(1, 1, 1, &[]).groups;
        let access = with_channels(set(Permission::ViewChannel, 1), groups, channels);
        assert!(access.find_channel(id(1), id(20)).is_none());
        assert!(access.find_channel(id(2), id(21)).is_none());
        let positions = |member| {
            let seen = access.list_channels(id(member)).into_iter();
            seen.map(|each| (each.uuid.raw(), each.position)).collect::<Vec<_>>()
        };
        assert_eq!(positions(1), [(22, 0)]);
        assert_eq!(positions(2), [(20, 0), (22, 1)]);
        assert_eq!(access.find_place(id(1), 0, None), Some(Place::Before(1)));
        assert_eq!(access.find_place(id(1), 1, None), Some(Place::Last));
        assert_eq!(access.find_place(id(1), 2, None), None);
        assert_eq!(access.find_place(id(1), 0, Some(id(22))), Some(Place::Last));
    }

    #[test]
    fn a_ban_holds_until_its_end() {
        let bans = HashMap::from([(id(1), Some(100)), (id(2), None)]);
        let access = Access::new(0, Permissions::default(), vec![], vec![], HashMap::new(), bans);
        assert!(access.is_banned(id(1), 99) && !access.is_banned(id(1), 100));
        assert!(access.is_banned(id(2), i64::MAX) && !access.is_banned(id(3), 0));
    }
}
