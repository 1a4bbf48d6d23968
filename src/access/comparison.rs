//! What a change of who may do what gives to whom: two snapshots, held against each other.

use std::collections::HashSet;

use crate::access::{Access, Kind};
use crate::id::{GroupId, MemberId};
use crate::protocol::{Channel, Overrides, PermissionSet};

/// A snapshot and what it is to become.
pub(super) struct Comparison<'a> {
    before: &'a Access,
    after: &'a Access,
    /// The overrides of each channel that is there before and after.
    channels: Vec<(&'a Overrides, &'a Overrides)>,
    /// Of these, the ones that say something else after.
    changed: Vec<(&'a Overrides, &'a Overrides)>,
    /// Groups that say something else after, or are gone.
    groups: HashSet<GroupId>,
}

/// One kind of member, before and after.
pub(super) type Pair<'a> = (Kind<'a>, Kind<'a>);

impl<'a> Comparison<'a> {
    pub(super) fn new(before: &'a Access, after: &'a Access) -> Self {
        let survives = |channel: &'a Channel| {
            let now = after.channels.get(*after.channel_places.get(&channel.uuid)?)?;
            Some((&channel.permissions, &now.permissions))
        };
        let channels: Vec<_> = before.channels.iter().filter_map(survives).collect();
        let changed = channels.iter().copied().filter(|(old, new)| old != new).collect();
        let says = |group| after.find_group(group).map(|group| group.permissions);
        let groups = before.groups.iter();
        let groups = groups.filter(|group| says(group.uuid) != Some(group.permissions));
        let groups = groups.map(|group| group.uuid).collect();
        Self { before, after, channels, changed, groups }
    }

    /// The member, with others of whom the same is said where there are such.
    pub(super) fn pair_of(&self, member: MemberId) -> Pair<'a> {
        let (mut old, mut new) = (self.before.kind_of(member), self.after.kind_of(member));
        if !self.before.is_individual(member) && !self.after.is_individual(member) {
            (old.member, new.member) = (None, None);
        }
        (old, new)
    }

    /// Every kind of member there is: those with no group, each combination of groups, and
    /// those about whom a channel says something one by one.
    pub(super) fn pairs(&self) -> HashSet<Pair<'a>> {
        let nobody = Kind { groups: &[], member: None };
        let members = self.before.memberships.keys().chain(self.after.memberships.keys());
        let members = members.chain(&self.before.individuals).chain(&self.after.individuals);
        members.map(|member| self.pair_of(*member)).chain([(nobody, nobody)]).collect()
    }

    /// The channels in which something may have changed for a kind of member.
    fn channels_for(&self, (old, new): Pair<'_>) -> &[(&'a Overrides, &'a Overrides)] {
        let is_same = self.before.base == self.after.base
            && old.groups == new.groups
            && old.groups.iter().all(|group| !self.groups.contains(group));
        if is_same { &self.changed } else { &self.channels }
    }

    /// How many resolutions `gain` takes.
    pub(super) fn cost(&self, pair: Pair<'_>) -> usize {
        self.channels_for(pair).len()
    }

    /// What one kind of member gains: server-wide, and in channels that are there before and
    /// after.
    pub(super) fn gain(&self, pair: Pair<'_>) -> PermissionSet {
        let (old, new) = pair;
        let gain = |(before, after): (Option<&Overrides>, Option<&Overrides>)| {
            let allowed = self.after.resolve(new, after).allowed();
            allowed.without(self.before.resolve(old, before).allowed())
        };
        let here = self.channels_for(pair).iter().map(|(old, new)| (Some(*old), Some(*new)));
        here.chain([(None, None)]).map(gain).fold(PermissionSet::default(), PermissionSet::union)
    }
}
