//! Who may change what others may do (protocol section 4, "Rank", and section 10).
//!
//! Two kinds of rule stand in front of every change. The commands check what the request
//! says: the ranks of those it names, the permissions it grants. `may_become` checks what comes
//! of it, whatever the request was, so that no sequence of commands gets around the first.

use std::collections::HashSet;

use crate::access::comparison::Comparison;
use crate::access::{Access, Kind};
use crate::id::{GroupId, MemberId};
use crate::protocol::{Overrides, Permission, PermissionSet, Permissions, Subject};

/// Members' permissions in channels that one request may make us look through: a second's work.
/// Only a server with thousands of combinations of groups and hundreds of channels comes near.
const RESOLUTIONS_MAX: usize = 1_000_000;

/// The position of a member's first group; a smaller number is a higher rank. Whoever has no
/// group is below all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u64);

impl Rank {
    /// That of the owner.
    pub(crate) const TOP: Self = Self(0);
    const NONE: Self = Self(u64::MAX);

    /// That of whoever is in the group at this position.
    pub(crate) fn at(position: u64) -> Self {
        Self(position)
    }

    /// Whether it is strictly higher.
    pub(crate) fn is_above(self, other: Self) -> bool {
        self < other
    }
}

impl Access {
    /// The member's rank.
    pub(crate) fn rank(&self, member: MemberId) -> Rank {
        self.rank_of(self.groups_of(member))
    }

    fn rank_of(&self, groups: &[GroupId]) -> Rank {
        let first = groups.first().and_then(|group| self.find_group(*group));
        first.map_or(Rank::NONE, |group| Rank(group.position))
    }

    /// What may be granted: a permission that one has in a channel only is not among it.
    pub(crate) fn may_grant(&self, actor: MemberId, permissions: PermissionSet) -> bool {
        permissions.is_within(self.permissions(actor).allowed())
    }

    /// Whether the member has the permission server-wide and a rank strictly above the other.
    pub(crate) fn may_act_on(&self, actor: MemberId, by: Permission, rank: Rank) -> bool {
        self.allows(actor, by) && self.rank(actor).is_above(rank)
    }

    /// All that a group gives to those who are given it: server-wide, and in any channel.
    pub(crate) fn gift_of(&self, group: GroupId) -> PermissionSet {
        let everywhere = self.find_group(group).map(|group| group.permissions.allowed());
        let subject = Subject::Group(group);
        let here = self.channels.iter().map(|channel| channel.permissions.find(subject).allowed());
        here.chain(everywhere).fold(PermissionSet::default(), PermissionSet::union)
    }

    /// Whether this may become `after` by a request of `actor`: nobody gains a permission,
    /// anywhere, that the actor does not have server-wide; and the actor gains none at all,
    /// unless there is nobody above who could have meant it so.
    ///
    /// What takes over `RESOLUTIONS_MAX` to tell is refused: the writer has others to serve.
    pub(crate) fn may_become(&self, after: &Self, actor: MemberId) -> bool {
        let (has, is_top) = (self.permissions(actor).allowed(), self.rank(actor) == Rank::TOP);
        if has == PermissionSet::ALL && is_top {
            return true;
        }
        let comparison = Comparison::new(self, after);
        let own_gain = comparison.gain(comparison.pair_of(actor));
        if !own_gain.is_empty() && !is_top {
            return false;
        }
        let pairs = comparison.pairs();
        let cost: usize = pairs.iter().map(|pair| comparison.cost(*pair)).sum();
        cost <= RESOLUTIONS_MAX
            && pairs.into_iter().all(|pair| comparison.gain(pair).is_within(has))
    }

    /// Whether overrides in the place of others grant something to a member in person who is not
    /// below the actor, and so might keep what only a peer, or they themself, ever gave them.
    pub(crate) fn gives_to_peers(&self, actor: MemberId, old: &Overrides, new: &Overrides) -> bool {
        let rank = self.rank(actor);
        let gains = |(subject, said): (Subject, Permissions)| {
            subject.member().is_some_and(|member| {
                let granted = old.find(subject).granted_by(said);
                !granted.is_empty() && !rank.is_above(self.rank(member))
            })
        };
        // What is said of no more counts as well.
        let gone = old.iter().map(|(subject, _)| (subject, new.find(subject)));
        rank != Rank::TOP && new.iter().chain(gone).any(gains)
    }

    /// Whether overrides in the place of others would take a permission in their channel from a
    /// group or another member of the actor's rank or a higher one.
    pub(crate) fn takes_from_peers(
        &self,
        actor: MemberId,
        old: &Overrides,
        new: &Overrides,
    ) -> bool {
        let rank = self.rank(actor);
        let loses = |kind: Kind<'_>| {
            let before = self.resolve(kind, Some(old)).allowed();
            !before.is_within(self.resolve(kind, Some(new)).allowed())
        };
        let mut kinds = HashSet::new();
        if rank == Rank::NONE {
            kinds.insert(Kind { groups: &[], member: None });
        }
        for group in self.groups.iter().take_while(|group| Rank(group.position) <= rank) {
            kinds.insert(Kind { groups: std::slice::from_ref(&group.uuid), member: None });
        }
        let named = old.iter().chain(new.iter());
        let named: HashSet<MemberId> = named.filter_map(|(subject, _)| subject.member()).collect();
        for member in self.memberships.keys().chain(&named).filter(|member| **member != actor) {
            let kind = self.kind_of(*member);
            if self.rank_of(kind.groups) <= rank {
                kinds.insert(Kind { member: kind.member.filter(|it| named.contains(it)), ..kind });
            }
        }
        kinds.into_iter().any(loses)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::protocol::permissions::Setting;
    use crate::protocol::{Channel, Group};

    const SEND: Permission = Permission::SendMessages;
    const BAN: Permission = Permission::BanUsers;

    fn id<T: TryFrom<u64>>(raw: u64) -> T {
        T::try_from(raw).ok().unwrap()
    }

    fn say(said: &[(Permission, Setting)]) -> Permissions {
        let bits = said.iter().map(|(permission, setting)| {
            let value = if *setting == Setting::Allow { 1_u32 } else { 2 };
            value << (2 * *permission as u32)
        });
        Permissions::try_from(&bits.sum::<u32>().to_le_bytes()[..3]).unwrap()
    }

    /// The base allows view and send. Groups 10, 11, ... by rank; channel 50; members 1, 2, ...
    fn access(
        groups: &[Permissions],
        memberships: &[(u64, &[u64])],
        overrides: &[(Subject, Permissions)],
    ) -> Access {
        let base = say(&[(Permission::ViewChannel, Setting::Allow), (SEND, Setting::Allow)]);
        let group = |(position, permissions): (u64, &Permissions)| Group {
            uuid: id(10 + position),
            name: "g".to_owned(),
            colour: 0.try_into().unwrap(),
            position,
            permissions: *permissions,
        };
        let memberships = memberships.iter().map(|(member, groups)| {
            (id(*member), groups.iter().copied().map(id).collect::<Vec<_>>())
        });
        Access::new(
            0,
            base,
            (0..).zip(groups).map(group).collect(),
            vec![channel(overrides)],
            memberships.collect(),
            HashMap::new(),
        )
    }

    fn channel(overrides: &[(Subject, Permissions)]) -> Channel {
        let permissions = overrides.iter().copied().collect();
        Channel { uuid: id(50), name: "c".to_owned(), position: 0, permissions }
    }

    #[test]
    fn rank_is_that_of_the_first_group_and_without_one_below_all() {
        let access = access(&[say(&[]); 3], &[(1, &[11, 12])], &[]);
        assert_eq!(access.rank(id(1)), Rank::at(1));
        assert!(access.rank(id(1)).is_above(access.rank(id(2))));
        assert!(!access.rank(id(1)).is_above(Rank::at(1)), "strictly");
        assert!(Rank::at(1_000_000).is_above(access.rank(id(2))));
    }

    #[test]
    fn a_move_that_uncovers_what_one_has_not_is_refused() {
        let (allow, deny) = (say(&[(BAN, Setting::Allow)]), say(&[(BAN, Setting::Deny)]));
        let before = access(&[say(&[]), deny, allow], &[(1, &[10]), (2, &[11, 12])], &[]);
        let mut groups = before.groups.clone();
        groups.swap(1, 2);
        (groups[1].position, groups[2].position) = (1, 2);
        let members = HashMap::from([(id(1), vec![id(10)]), (id(2), vec![id(12), id(11)])]);
        let channels = before.channels.clone();
        let moved = Access::new(0, before.base, groups, channels, members, HashMap::new());
        assert!(!before.may_become(&moved, id(1)), "bob may ban, and whoever moved may not");
        assert!(moved.may_become(&before, id(1)), "the other way it only takes");
        let comparison = Comparison::new(&before, &moved);
        assert!(comparison.gain(comparison.pair_of(id(2))).contains(BAN));
        assert!(comparison.gain(comparison.pair_of(id(1))).is_empty());
    }

    #[test]
    fn nobody_gains_by_their_own_request() {
        let muted = say(&[(SEND, Setting::Deny)]);
        let before = access(&[say(&[]), muted], &[(1, &[11])], &[]);
        assert!(!before.may_become(&access(&[say(&[]), muted], &[], &[]), id(1)), "leaving");
        let silenced = [(Subject::Member(id(1)), muted)];
        let before = access(&[say(&[]); 2], &[(1, &[11])], &silenced);
        let after = access(&[say(&[]); 2], &[(1, &[11])], &[]);
        assert!(before.may_grant(id(1), SEND_ALONE), "server-wide they have it");
        assert!(!before.may_become(&after, id(1)), "but in the channel somebody took it");
        let top = access(&[say(&[]); 2], &[(1, &[10])], &silenced);
        assert!(
            top.may_become(&access(&[say(&[]); 2], &[(1, &[10])], &[]), id(1)),
            "but at the top"
        );
    }

    const SEND_ALONE: PermissionSet = PermissionSet::of(SEND);

    #[test]
    fn what_a_group_gives_is_what_it_allows_anywhere() {
        let here = [(Subject::Group(id(11)), say(&[(BAN, Setting::Allow)]))];
        let access = access(&[say(&[]), say(&[(SEND, Setting::Allow)])], &[], &here);
        assert_eq!(access.gift_of(id(11)), PermissionSet::of(BAN).union(SEND_ALONE));
        assert!(access.gift_of(id(10)).is_empty());
    }

    #[test]
    fn nobody_gives_to_themselves_or_their_peers_in_person() {
        let allow = say(&[(SEND, Setting::Allow)]);
        let members: &[(u64, &[u64])] = &[(1, &[11]), (2, &[10]), (3, &[11]), (4, &[12])];
        let access = access(&[say(&[]); 3], members, &[]);
        let gives = |subject, actor: u64| {
            let overrides = [(subject, allow)].into_iter().collect();
            access.gives_to_peers(id(actor), &Overrides::default(), &overrides)
        };
        for member in [1, 2, 3] {
            assert!(gives(Subject::Member(id(member)), 1), "{member}");
        }
        assert!(!gives(Subject::Member(id(4)), 1) && !gives(Subject::Member(id(9)), 1));
        assert!(!gives(Subject::Group(id(11)), 1), "who leaves the group loses it");
        assert!(!gives(Subject::Member(id(2)), 2), "nobody is above the top");
        let denied = say(&[(SEND, Setting::Deny)]);
        let lifted = [(Subject::Member(id(3)), denied)].into_iter().collect();
        assert!(access.gives_to_peers(id(1), &lifted, &Overrides::default()));
    }

    #[test]
    fn a_channel_takes_nothing_from_those_who_are_not_below() {
        let deny = say(&[(SEND, Setting::Deny)]);
        let members: &[(u64, &[u64])] = &[(1, &[11]), (2, &[10]), (3, &[11]), (4, &[12])];
        let access = access(&[say(&[]); 3], members, &[]);
        let takes = |subject, actor: u64| {
            let overrides = [(subject, deny)].into_iter().collect();
            access.takes_from_peers(id(actor), &Overrides::default(), &overrides)
        };
        assert!(takes(Subject::Group(id(10)), 1) && takes(Subject::Group(id(11)), 1));
        assert!(!takes(Subject::Group(id(12)), 1), "below");
        assert!(takes(Subject::Member(id(2)), 1) && takes(Subject::Member(id(3)), 1));
        assert!(!takes(Subject::Member(id(4)), 1) && !takes(Subject::Member(id(9)), 1));
        assert!(!takes(Subject::Member(id(1)), 1), "oneself");
        assert!(takes(Subject::Everyone, 1), "also those above");
        assert!(takes(Subject::Member(id(8)), 9), "without a group all are peers");
        let allowed =
            [(Subject::Group(id(10)), say(&[(BAN, Setting::Allow)]))].into_iter().collect();
        assert!(access.takes_from_peers(id(1), &allowed, &Overrides::default()));
    }
}
