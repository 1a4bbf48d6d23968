//! Random states to start from, and random commands: most of them such as members with those
//! rights would try, some out of bounds, some about things that are not there.

use super::chance::Chance;
use super::orders::Order;
use super::reference::{
    ALLOW, DEFAULT, DENY, JOIN_VOICE, MODIFY_CHANNELS, MODIFY_GROUPS, MODIFY_USER_GROUPS,
    Overrides, READ_MESSAGES, Rights, SEND_MESSAGES, State, Subject, Uuid, VIEW_CHANNEL,
};
use super::rules::Refused;

/// Who acts, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Everybody does everything.
    Mixed,
    /// Those without the top rank try to rise, with what rights they have, for themselves and
    /// for accomplices.
    Attack,
}

/// The members of every state: two of the top rank, of whom the first sets the scene, and
/// others.
pub const MEMBERS: [&str; 5] = ["owner", "twin", "ann", "ben", "cid"];
/// How many of them are of the top rank.
pub const TOP: usize = 2;

const NAMES: [&str; 5] = ["tea", "pot", "a name of thirty-two bytes it is", "\u{8336}", "same"];
const GROUPS_MAX: usize = 7;
const CHANNELS_MAX: usize = 5;

/// What the owner makes of a server before a sequence begins. Groups are those below the top
/// one, by position; members, groups and channels are meant by their places.
pub struct Scene {
    pub base: Rights,
    pub groups: Vec<Rights>,
    pub channels: Vec<Vec<(Whom, Rights)>>,
    /// Of the members below the top.
    pub memberships: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Everyone,
    Member(usize),
    Group(usize),
}

impl Scene {
    pub fn draw(mood: Mood, chance: &mut Chance) -> Self {
        let groups: Vec<Rights> =
            (0..chance.between(2, 5)).map(|_| draw_group_rights(mood, chance)).collect();
        let draw_overrides = |chance: &mut Chance| {
            let mut map: Vec<(Whom, Rights)> = vec![];
            for _ in 0..chance.below(4) {
                let whom = match chance.below(5) {
                    0 => Whom::Everyone,
                    1 | 2 => Whom::Member(TOP + chance.below(MEMBERS.len() - TOP)),
                    _ => Whom::Group(chance.below(groups.len())),
                };
                if map.iter().all(|(other, _)| *other != whom) {
                    let often = chance.pick(&[8, 15]);
                    map.push((whom, draw_rights(often, often, chance)));
                }
            }
            map
        };
        let channels = (0..chance.between(1, 4)).map(|_| draw_overrides(chance)).collect();
        let memberships = (TOP..MEMBERS.len()).map(|_| {
            let often = chance.pick(&[0, 30, 45, 45, 60]);
            (0..groups.len()).filter(|_| chance.percent(often)).collect()
        });
        let memberships = memberships.collect();
        Self { base: draw_base(chance), groups, channels, memberships }
    }
}

fn draw_rights(allow: usize, deny: usize, chance: &mut Chance) -> Rights {
    let weights = [(allow, ALLOW), (deny, DENY), (100 - allow - deny, DEFAULT)];
    let mut rights = [DEFAULT; 10];
    rights.iter_mut().for_each(|right| *right = chance.weighed(&weights));
    rights
}

/// Attackers have some of the rights to change rights, and others would be denied to them.
fn draw_group_rights(mood: Mood, chance: &mut Chance) -> Rights {
    let mut rights = match mood {
        Mood::Mixed => draw_rights(35, 15, chance),
        Mood::Attack => draw_rights(25, 25, chance),
    };
    let weights = [(50, ALLOW), (10, DENY), (40, DEFAULT)];
    for permission in [MODIFY_CHANNELS, MODIFY_GROUPS, MODIFY_USER_GROUPS] {
        rights[permission] = chance.weighed(&weights);
    }
    rights
}

fn draw_base(chance: &mut Chance) -> Rights {
    let mut rights = draw_rights(20, 25, chance);
    for permission in [SEND_MESSAGES, READ_MESSAGES, JOIN_VOICE, VIEW_CHANNEL] {
        rights[permission] = chance.weighed(&[(80, ALLOW), (10, DENY), (10, DEFAULT)]);
    }
    rights
}

/// Who acts next; an attacker mostly one who may change something.
pub fn draw_actor(state: &State, mood: Mood, chance: &mut Chance) -> usize {
    if mood == Mood::Mixed {
        return chance.weighed(&[(15, 0), (10, 1), (25, 2), (25, 3), (25, 4)]);
    }
    let actor = chance.between(TOP, MEMBERS.len() - 1);
    let rights = state.server_wide(&state.members[actor]);
    let powers = [MODIFY_CHANNELS, MODIFY_GROUPS, MODIFY_USER_GROUPS];
    if powers.iter().any(|permission| rights[*permission] == ALLOW) {
        return actor;
    }
    chance.between(TOP, MEMBERS.len() - 1)
}

/// Whoever draws a command: what they know, and who they are.
pub struct Drawer<'a> {
    pub state: &'a State,
    pub actor: usize,
    pub mood: Mood,
    /// Uuids of things that were deleted.
    pub gone: &'a [Uuid],
    pub chance: &'a mut Chance,
}

#[derive(Clone, Copy)]
enum Kind {
    CreateChannel,
    UpdateChannel,
    DeleteChannel,
    CreateGroup,
    UpdateGroup,
    DeleteGroup,
    UpdateUserGroups,
    SetBase,
}

use Kind::{
    CreateChannel, CreateGroup, DeleteChannel, DeleteGroup, SetBase, UpdateChannel, UpdateGroup,
    UpdateUserGroups,
};

impl Drawer<'_> {
    /// A command; more often than by mere chance one that succeeds, or fails for a reason that
    /// is not plain to see.
    pub fn draw(&mut self) -> Order {
        let mut drawn = Order::DeleteGroup { group: self.draw_unknown() };
        for _ in 0..8 {
            let order = self.draw_any();
            let worth = match self.state.judge(self.actor, &order) {
                // Who sets the scene must go on seeing it.
                Ok(()) if self.actor == 0 && self.blinds(&order) => continue,
                Ok(()) => 100,
                Err(Refused(400, _)) => 60,
                Err(Refused(404, _)) => 20,
                Err(Refused(_, rule)) if rule.starts_with("modify_") => 5,
                Err(Refused(_, rule)) if rule.starts_with("a gain") => 100,
                Err(Refused(_, rule)) if rule.starts_with("a gift") => 100,
                Err(Refused(_, rule)) if rule.starts_with("taking") => 100,
                Err(Refused(..)) => 20,
            };
            drawn = order;
            if self.chance.percent(worth) {
                break;
            }
        }
        drawn
    }

    /// Whether a command takes a channel out of its own actor's hands.
    fn blinds(&self, order: &Order) -> bool {
        let mut after = self.state.clone();
        after.carry_out(self.actor, order, 0);
        let me = &after.members[self.actor];
        let mut rights = after.channels.iter().map(|channel| after.in_channel(me, channel));
        rights.any(|rights| rights[VIEW_CHANNEL] != ALLOW || rights[MODIFY_CHANNELS] != ALLOW)
    }

    fn draw_any(&mut self) -> Order {
        let kinds = match self.mood {
            Mood::Mixed => [
                (10, CreateChannel),
                (24, UpdateChannel),
                (6, DeleteChannel),
                (10, CreateGroup),
                (19, UpdateGroup),
                (7, DeleteGroup),
                (18, UpdateUserGroups),
                (6, SetBase),
            ],
            Mood::Attack => [
                (5, CreateChannel),
                (24, UpdateChannel),
                (2, DeleteChannel),
                (10, CreateGroup),
                (23, UpdateGroup),
                (8, DeleteGroup),
                (27, UpdateUserGroups),
                (1, SetBase),
            ],
        };
        match self.chance.weighed(&kinds) {
            CreateChannel if self.state.channels.len() >= CHANNELS_MAX => self.delete_channel(),
            CreateChannel => Order::CreateChannel {
                name: self.draw_name(),
                position: self.sometimes(60, |me| me.draw_place(me.state.channels.len() + 1)),
                overrides: self.sometimes(60, Self::draw_overrides).unwrap_or_default(),
            },
            UpdateChannel => self.update_channel(),
            DeleteChannel => self.delete_channel(),
            CreateGroup if self.state.groups.len() >= GROUPS_MAX => self.delete_group(),
            CreateGroup => Order::CreateGroup {
                name: self.draw_name(),
                rights: self.draw_change([DEFAULT; 10], 5),
                colour: self.draw_colour(),
                position: self.draw_place(self.state.groups.len() + 1),
            },
            UpdateGroup => self.update_group(),
            DeleteGroup => self.delete_group(),
            UpdateUserGroups => self.update_user_groups(),
            SetBase => Order::SetBase { rights: self.draw_change(self.state.base, 3) },
        }
    }

    fn update_channel(&mut self) -> Order {
        let channel = self.draw_channel();
        let there = self.state.channels.iter().find(|other| other.uuid == channel);
        let old = there.map_or(vec![], |there| there.overrides.clone());
        Order::UpdateChannel {
            channel,
            name: self.sometimes(15, Self::draw_name),
            position: self.sometimes(30, |me| me.draw_place(me.state.channels.len())),
            overrides: self.sometimes(75, |me| me.change_overrides(old)),
        }
    }

    fn delete_channel(&mut self) -> Order {
        Order::DeleteChannel { channel: self.draw_channel() }
    }

    fn update_group(&mut self) -> Order {
        let group = self.draw_group();
        let place = self.state.find_group(group);
        let old = place.map_or([DEFAULT; 10], |place| self.state.groups[place].rights);
        Order::UpdateGroup {
            group,
            name: self.sometimes(10, Self::draw_name),
            rights: self.sometimes(60, |me| me.draw_change(old, 3)),
            colour: self.sometimes(10, Self::draw_colour),
            position: self.sometimes(50, |me| me.draw_place(me.state.groups.len())),
        }
    }

    fn delete_group(&mut self) -> Order {
        Order::DeleteGroup { group: self.draw_group() }
    }

    /// Mostly one group is given or taken.
    fn update_user_groups(&mut self) -> Order {
        let place = if self.chance.percent(25) {
            self.actor
        } else {
            self.chance.below(self.state.members.len())
        };
        let member = &self.state.members[place];
        let mut groups = member.groups.clone();
        for _ in 0..self.chance.weighed(&[(5, 0), (75, 1), (20, 2)]) {
            let takes_own = place == self.actor && self.chance.percent(80);
            let group = match groups.is_empty() || !takes_own {
                true if self.chance.percent(40) => self.draw_group_with_overrides(),
                true => self.draw_group(),
                false => self.chance.pick(&groups),
            };
            match groups.iter().position(|other| *other == group) {
                Some(place) => drop(groups.remove(place)),
                None => groups.push(group),
            }
        }
        if self.chance.percent(5) {
            groups.extend(groups.first().copied());
        }
        let stranger = self.chance.percent(3);
        Order::UpdateUserGroups {
            member: if stranger { self.draw_unknown() } else { member.uuid },
            groups,
        }
    }

    /// Another map than the old one, mostly by one entry.
    fn change_overrides(&mut self, mut map: Overrides) -> Overrides {
        if self.chance.percent(15) {
            return self.draw_overrides();
        }
        let place = self.chance.below(map.len() + 1);
        match map.get(place).copied() {
            Some(_) if self.chance.percent(30) => drop(map.remove(place)),
            Some((_, old)) => map[place].1 = self.draw_change(old, 2),
            None => self.add_override(&mut map),
        }
        map
    }

    fn draw_overrides(&mut self) -> Overrides {
        let mut map = vec![];
        for _ in 0..self.chance.below(4) {
            self.add_override(&mut map);
        }
        map
    }

    fn add_override(&mut self, map: &mut Overrides) {
        let subject = match self.chance.below(6) {
            0 => Subject::Everyone,
            1 | 2 if self.chance.percent(95) => {
                let place = self.chance.below(self.state.members.len());
                Subject::Member(self.state.members[place].uuid)
            }
            1 | 2 => Subject::Member(self.draw_unknown()),
            _ => Subject::Group(self.draw_group()),
        };
        if map.iter().all(|(other, _)| *other != subject) {
            map.push((subject, self.draw_change([DEFAULT; 10], 3)));
        }
    }

    /// Other rights than the old ones, by a few permissions, mostly such as the actor has.
    fn draw_change(&mut self, old: Rights, count_max: usize) -> Rights {
        let held = self.state.server_wide(&self.state.members[self.actor]);
        let places: Vec<usize> = (0..10).filter(|place| held[*place] == ALLOW).collect();
        let bold = places.is_empty() || self.chance.percent(20);
        let mut rights = old;
        for _ in 0..self.chance.between(1, count_max) {
            let place = if bold { self.chance.below(10) } else { self.chance.pick(&places) };
            rights[place] = self.chance.pick(&[DEFAULT, ALLOW, ALLOW, DENY]);
        }
        rights
    }

    fn draw_channel(&mut self) -> Uuid {
        let all: Vec<Uuid> = self.state.channels.iter().map(|channel| channel.uuid).collect();
        if self.chance.percent(95) { self.chance.pick(&all) } else { self.draw_unknown() }
    }

    /// Mostly one below the actor, if there is one.
    fn draw_group(&mut self) -> Uuid {
        let rank = self.state.rank(&self.state.members[self.actor]);
        let all: Vec<Uuid> = self.state.groups.iter().map(|group| group.uuid).collect();
        let below = all.get(rank.saturating_add(1)..).unwrap_or_default();
        match self.chance.below(100) {
            0..3 => self.draw_unknown(),
            3..65 if !below.is_empty() => self.chance.pick(below),
            _ => self.chance.pick(&all),
        }
    }

    /// One of which some channel says something, if there is one.
    fn draw_group_with_overrides(&mut self) -> Uuid {
        let all = self.state.channels.iter().flat_map(|channel| &channel.overrides);
        let groups = all.filter_map(|(subject, _)| match subject {
            Subject::Group(uuid) => Some(*uuid),
            Subject::Member(_) | Subject::Everyone => None,
        });
        let groups: Vec<Uuid> = groups.collect();
        if groups.is_empty() { self.draw_group() } else { self.chance.pick(&groups) }
    }

    /// Up to one past the end.
    fn draw_place(&mut self, end: usize) -> usize {
        if self.chance.percent(80) { self.chance.below(end) } else { end + self.chance.below(2) }
    }

    fn draw_unknown(&mut self) -> Uuid {
        match self.gone {
            [] => 4242,
            gone => self.chance.pick(gone),
        }
    }

    fn draw_name(&mut self) -> String {
        self.chance.pick(&NAMES).to_owned()
    }

    fn draw_colour(&mut self) -> u32 {
        self.chance.pick(&[0, 0xff_ffff, 0x12_3456])
    }

    fn sometimes<T>(&mut self, often: usize, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance.percent(often) { Some(draw(self)) } else { None }
    }
}
