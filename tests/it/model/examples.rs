//! The reference itself, held against sentences of the contract worked out by hand.

use super::orders::Order;
use super::reference::{
    ALLOW, Channel, DEFAULT, DENY, Group, MODIFY_CHANNELS, MODIFY_GROUPS, MODIFY_USER_GROUPS,
    Member, READ_MESSAGES, Rights, SEND_MESSAGES, State, Subject, Uuid, VIEW_CHANNEL, bytes,
};
use super::rules::Refused;

const TOP: Uuid = 10;
const HIGH: Uuid = 11;
const LOW: Uuid = 12;
const CHANNEL: Uuid = 20;
const HIDDEN: Uuid = 21;
const LAST: Uuid = 22;

/// The members' places: of the top group, of both others, of the low one, of none.
const OWNER: usize = 0;
const BOTH: usize = 1;
const ONE: usize = 2;
const NONE: usize = 3;

fn set(pairs: &[(usize, u8)]) -> Rights {
    let mut rights = [DEFAULT; 10];
    pairs.iter().for_each(|(permission, right)| rights[*permission] = *right);
    rights
}

fn group(uuid: Uuid, rights: Rights) -> Group {
    Group { uuid, name: String::new(), colour: 0, rights }
}

fn channel(uuid: Uuid, overrides: &[(Subject, Rights)]) -> Channel {
    Channel { uuid, name: String::new(), overrides: overrides.to_vec() }
}

fn member(uuid: Uuid, groups: &[Uuid]) -> Member {
    Member { uuid, groups: groups.to_vec() }
}

/// A new server's base; three groups; two channels that all see, and one between them that
/// only the top group sees.
fn state(high: &[(usize, u8)], low: &[(usize, u8)]) -> State {
    State {
        base: [DENY, DENY, DENY, DENY, DENY, ALLOW, ALLOW, DENY, ALLOW, ALLOW],
        groups: vec![group(TOP, [ALLOW; 10]), group(HIGH, set(high)), group(LOW, set(low))],
        channels: vec![
            channel(CHANNEL, &[]),
            channel(HIDDEN, &[(Subject::Everyone, set(&[(VIEW_CHANNEL, DENY)]))]),
            channel(LAST, &[]),
        ],
        members: vec![
            member(1, &[TOP]),
            member(2, &[LOW, HIGH]),
            member(3, &[LOW]),
            member(4, &[]),
        ],
    }
}

fn may_send(state: &State, member: usize) -> bool {
    state.in_channel(&state.members[member], &state.channels[0])[SEND_MESSAGES] == ALLOW
}

fn status(state: &State, actor: usize, order: &Order) -> u16 {
    state.judge(actor, order).map_or_else(|Refused(status, _)| status, |()| 200)
}

fn overrides(channel: Uuid, map: &[(Subject, Rights)]) -> Order {
    let overrides = Some(map.to_vec());
    Order::UpdateChannel { channel, name: None, position: None, overrides }
}

fn move_channel(channel: Uuid, to: usize) -> Order {
    Order::UpdateChannel { channel, name: None, position: Some(to), overrides: None }
}

fn update_group(group: Uuid, rights: Option<Rights>, position: Option<usize>) -> Order {
    Order::UpdateGroup { group, name: None, rights, colour: None, position }
}

fn regroup(member: Uuid, groups: &[Uuid]) -> Order {
    Order::UpdateUserGroups { member, groups: groups.to_vec() }
}

#[test]
fn layers_lie_in_the_contracts_order() {
    let send = |right| set(&[(SEND_MESSAGES, right)]);
    let mut state = state(&[], &[]);
    assert!(may_send(&state, BOTH), "the base allows");
    let mut says = |subject, right| {
        state.channels[0].overrides.push((subject, send(right)));
        may_send(&state, BOTH)
    };
    assert!(!says(Subject::Everyone, DENY), "the base here is over the base");
    assert!(says(Subject::Group(LOW), ALLOW), "a group's override is over the base here");
    assert!(!says(Subject::Group(HIGH), DENY), "that of a higher group over that of a lower");
    assert!(says(Subject::Member(2), ALLOW), "the member's over all");
    state.channels[0].overrides.truncate(1);
    state.groups[2].rights = send(ALLOW);
    assert!(may_send(&state, BOTH), "a group is over the base here");
    state.groups[1].rights = send(DENY);
    assert!(!may_send(&state, BOTH), "a higher group over a lower");
    assert!(may_send(&state, ONE), "for its members alone");
    state.channels[0].overrides.push((Subject::Group(LOW), send(ALLOW)));
    assert!(may_send(&state, BOTH), "any override over every group");
    assert!(!may_send(&state, NONE), "and it says nothing of others");
}

#[test]
fn what_nobody_decides_is_denied_and_three_bytes_say_so() {
    let mut state = state(&[], &[]);
    assert_eq!(bytes(&state.server_wide(&state.members[NONE])), [0xaa, 0x96, 0x05]);
    state.base = [DEFAULT; 10];
    assert_eq!(bytes(&state.server_wide(&state.members[NONE])), [0xaa, 0xaa, 0x0a]);
    assert_eq!(bytes(&state.server_wide(&state.members[OWNER])), [0x55, 0x55, 0x05]);
}

#[test]
fn positions_are_those_that_the_actor_sees() {
    let all = [(MODIFY_CHANNELS, ALLOW)];
    let fresh = state(&all, &[]);
    let order = |state: &State| -> Vec<Uuid> {
        state.channels.iter().map(|channel| channel.uuid).collect()
    };
    let after = |actor: usize, command: &Order| {
        let mut state = fresh.clone();
        assert_eq!(status(&state, actor, command), 200);
        state.carry_out(actor, command, 30);
        order(&state)
    };
    assert_eq!(after(OWNER, &move_channel(CHANNEL, 1)), [HIDDEN, CHANNEL, LAST]);
    assert_eq!(after(BOTH, &move_channel(CHANNEL, 1)), [HIDDEN, LAST, CHANNEL]);
    assert_eq!(after(BOTH, &move_channel(CHANNEL, 0)), [CHANNEL, HIDDEN, LAST]);
    assert_eq!(after(BOTH, &move_channel(LAST, 0)), [LAST, CHANNEL, HIDDEN]);
    assert_eq!(status(&fresh, BOTH, &move_channel(CHANNEL, 2)), 400);
    assert_eq!(status(&fresh, NONE, &move_channel(CHANNEL, 2)), 403);
    assert_eq!(status(&fresh, BOTH, &move_channel(HIDDEN, 0)), 404);
    assert_eq!(status(&fresh, OWNER, &move_channel(CHANNEL, 2)), 200);
    let create = |position| {
        let name = String::new();
        Order::CreateChannel { name, position, overrides: vec![] }
    };
    assert_eq!(after(BOTH, &create(Some(1))), [CHANNEL, HIDDEN, 30, LAST]);
    assert_eq!(after(BOTH, &create(Some(2))), [CHANNEL, HIDDEN, LAST, 30]);
    assert_eq!(after(BOTH, &create(None)), [CHANNEL, HIDDEN, LAST, 30]);
    assert_eq!(status(&fresh, BOTH, &create(Some(3))), 400);
}

#[test]
fn a_place_at_or_above_ones_own_is_refused_before_one_past_the_end() {
    let state = state(&[(MODIFY_GROUPS, ALLOW)], &[]);
    let create = |position| {
        let name = String::new();
        Order::CreateGroup { name, rights: set(&[]), colour: 0, position }
    };
    let statuses = |actor, place: fn(usize) -> Option<usize>| {
        let all = (0..5).map(|position| match place(position) {
            Some(to) => status(&state, actor, &update_group(LOW, None, Some(to))),
            None => status(&state, actor, &create(position)),
        });
        all.collect::<Vec<u16>>()
    };
    assert_eq!(statuses(BOTH, |_| None), [403, 403, 200, 200, 400]);
    assert_eq!(statuses(OWNER, |_| None), [403, 200, 200, 200, 400]);
    assert_eq!(statuses(BOTH, Some), [403, 403, 200, 400, 400]);
    assert_eq!(statuses(ONE, |_| None), [403; 5]);
    assert_eq!(status(&state, OWNER, &update_group(TOP, None, None)), 403);
    assert_eq!(status(&state, OWNER, &Order::DeleteGroup { group: TOP }), 403);
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    let rights = [(MODIFY_GROUPS, ALLOW), (MODIFY_USER_GROUPS, ALLOW), (READ_MESSAGES, DENY)];
    let state = state(&rights, &[(READ_MESSAGES, DENY)]);
    let change = |pairs| status(&state, BOTH, &update_group(LOW, Some(set(pairs)), None));
    assert_eq!(change(&[(READ_MESSAGES, DENY), (SEND_MESSAGES, ALLOW)]), 200);
    assert_eq!(change(&[(READ_MESSAGES, ALLOW)]), 403);
    assert_eq!(change(&[]), 403, "lifting a deny is granting");
    assert_eq!(status(&state, BOTH, &Order::DeleteGroup { group: LOW }), 403, "so it is here");
    assert_eq!(status(&state, BOTH, &regroup(3, &[])), 403, "and here");
    assert_eq!(status(&state, BOTH, &regroup(4, &[LOW])), 200);
    assert_eq!(status(&state, BOTH, &regroup(4, &[HIGH])), 403);
    assert_eq!(status(&state, BOTH, &regroup(99, &[])), 404);
    let mut given = state.clone();
    given.channels[1].overrides.push((Subject::Group(LOW), set(&[(READ_MESSAGES, ALLOW)])));
    assert_eq!(status(&given, BOTH, &regroup(4, &[LOW])), 403, "it allows that in a channel");
}

#[test]
fn a_move_that_uncovers_an_allow_is_a_gain() {
    let high = [(MODIFY_GROUPS, ALLOW), (READ_MESSAGES, DENY)];
    let mut state = state(&high, &[(READ_MESSAGES, ALLOW)]);
    state.groups.push(group(13, set(&[(READ_MESSAGES, DENY)])));
    state.groups.swap(2, 3);
    state.members[ONE].groups.push(13);
    assert_eq!(status(&state, BOTH, &update_group(13, None, Some(3))), 403);
    assert_eq!(status(&state, OWNER, &update_group(13, None, Some(3))), 200);
    assert_eq!(status(&state, BOTH, &update_group(LOW, None, Some(3))), 200);
}

#[test]
fn one_takes_oneself_down_but_never_up() {
    let mut state = state(&[], &[(SEND_MESSAGES, DENY)]);
    assert_eq!(status(&state, BOTH, &regroup(2, &[LOW])), 200);
    assert_eq!(status(&state, BOTH, &regroup(2, &[LOW, HIGH, HIGH])), 200);
    assert_eq!(status(&state, BOTH, &regroup(2, &[HIGH])), 403, "out of a group that denies");
    assert_eq!(status(&state, ONE, &regroup(3, &[LOW, HIGH])), 403);
    assert_eq!(status(&state, OWNER, &regroup(1, &[])), 403, "out of the top group");
    state.groups[2].rights = set(&[]);
    assert_eq!(status(&state, BOTH, &regroup(2, &[HIGH])), 200);
}

#[test]
fn nothing_is_taken_from_equal_or_higher_ranks_and_nothing_gained() {
    let mut state = state(&[], &[(MODIFY_CHANNELS, ALLOW)]);
    let deny = set(&[(READ_MESSAGES, DENY)]);
    let map = |map: &[(Subject, Rights)]| overrides(CHANNEL, map);
    assert_eq!(status(&state, ONE, &map(&[(Subject::Member(4), deny)])), 200);
    assert_eq!(status(&state, ONE, &map(&[(Subject::Member(3), deny)])), 200, "from oneself");
    for subject in [Subject::Member(2), Subject::Group(LOW), Subject::Group(HIGH)] {
        assert_eq!(status(&state, ONE, &map(&[(subject, deny)])), 403);
    }
    let create = Order::CreateChannel {
        name: String::new(),
        position: Some(9),
        overrides: vec![(Subject::Member(2), deny)],
    };
    assert_eq!(status(&state, ONE, &create), 403, "before the place is looked at");
    let covered = [(Subject::Everyone, deny)];
    assert_eq!(status(&state, ONE, &map(&covered)), 403, "the groups above have it by the base");
    state.channels[0].overrides = vec![(Subject::Member(3), deny)];
    assert_eq!(status(&state, ONE, &map(&[])), 403, "what one has elsewhere is not had here");
    assert_eq!(status(&state, OWNER, &map(&[])), 200);
    state.channels[0].overrides = vec![(Subject::Member(3), set(&[(MODIFY_CHANNELS, DENY)]))];
    assert_eq!(status(&state, ONE, &map(&[])), 403, "an override counts in its channel");
    assert_eq!(status(&state, ONE, &Order::DeleteChannel { channel: CHANNEL }), 403);
    assert_eq!(status(&state, ONE, &Order::DeleteChannel { channel: LAST }), 200);
}

#[test]
fn the_last_channel_that_one_sees_stays() {
    let mut state = state(&[], &[(MODIFY_CHANNELS, ALLOW)]);
    state.channels.truncate(2);
    let delete = Order::DeleteChannel { channel: CHANNEL };
    assert_eq!(status(&state, ONE, &delete), 400);
    assert_eq!(status(&state, NONE, &delete), 403);
    assert_eq!(status(&state, OWNER, &delete), 200);
}

#[test]
fn the_base_is_for_the_top_rank() {
    let state = state(&[(MODIFY_GROUPS, ALLOW)], &[]);
    let order = Order::SetBase { rights: state.base };
    assert_eq!(status(&state, BOTH, &order), 403);
    assert_eq!(status(&state, OWNER, &order), 200);
}

#[test]
fn a_gain_is_unjust_unless_the_actor_has_it_and_is_another() {
    let state = state(&[], &[(SEND_MESSAGES, DENY)]);
    let mut after = state.clone();
    after.members[ONE].groups.clear();
    assert!(state.find_unjust_gain(BOTH, &after).is_some(), "they have it not themselves");
    assert!(state.find_unjust_gain(NONE, &after).is_none());
    assert!(state.find_unjust_gain(ONE, &after).is_some(), "won for oneself");
    after = state.clone();
    after.groups.swap(1, 2);
    assert!(state.find_unjust_gain(ONE, &after).is_some(), "a rise");
    assert!(state.find_unjust_gain(NONE, &after).is_none());
}
