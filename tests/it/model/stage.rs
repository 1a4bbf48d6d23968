//! A server with its members at their connections, and beside it the reference, which is held
//! against what every one of them sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{mem, thread};

use serde_json::{Value, json};

use super::chance::Chance;
use super::generator::{Drawer, MEMBERS, Mood, Scene, TOP, Whom, draw_actor};
use super::orders::{Order, spoil};
use super::reference::{ALLOW, Channel, Group, Member, Overrides, State, Subject, Uuid};
use super::rules::Refused;
use super::views::Seat;
use crate::support::client::{Client, Framing};
use crate::support::pictures;
use crate::support::record::Record;
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// How many members, from the first on, have asked for the groups.
const ASKERS: usize = 2;
/// How many deleted things are remembered.
const GONE_MAX: usize = 8;

pub struct Stage {
    server: Server,
    seats: Vec<Seat>,
    state: State,
    gone: Vec<Uuid>,
    /// What was said since the sequence began.
    said: Vec<String>,
    pub tally: Tally,
}

/// How often each command of a sequence had each status, and each refusal each reason.
#[derive(Default)]
pub struct Tally {
    pub statuses: BTreeMap<(&'static str, u16), usize>,
    pub rules: BTreeMap<(u16, &'static str), usize>,
    pub packets: usize,
}

impl Stage {
    /// The members log in at a server whose database holds them and the group of the top rank.
    pub fn set_up() -> Self {
        let folder = Folder::prepared_in_memory();
        let mut world = World::open(&folder);
        let top = world.owners();
        MEMBERS.iter().for_each(|name| _ = world.member(name));
        MEMBERS[..TOP].iter().for_each(|owner| world.join(owner, top));
        let uuid = |name: &str| world.names[name].as_i64().unwrap();
        let members = MEMBERS.iter().enumerate().map(|(place, name)| Member {
            uuid: uuid(name),
            groups: if place < TOP { vec![top] } else { vec![] },
        });
        let state = State {
            base: [2, 2, 2, 2, 2, 1, 1, 2, 1, 1],
            groups: vec![Group {
                uuid: top,
                name: "owners".to_owned(),
                colour: u32::try_from(top).unwrap(),
                rights: [ALLOW; 10],
            }],
            channels: vec![Channel {
                uuid: uuid("general"),
                name: "general".to_owned(),
                overrides: vec![],
            }],
            members: members.collect(),
        };
        drop(world);
        // Members without a picture are told of most often; one drawn for each would be slow.
        folder.write("pfp.png", pictures::png(2, 2, 0));
        let server = Server::start_in(folder, json!({"default_pfp": "pfp.png"}));
        let seats = MEMBERS.iter().enumerate().map(|(place, name)| {
            let record = Arc::new(Record::default());
            let mut client = Client::connect(server.address, name, Framing::Lines, &record);
            client.enter("login");
            Seat::new(client, place, place < ASKERS)
        });
        let seats = seats.collect();
        let (gone, said, tally) = Default::default();
        Self { server, seats, state, gone, said, tally }
    }

    /// One sequence: the owner sets a scene, and members say so many commands. `Err` tells what
    /// was wrong about the last of it.
    pub fn play(&mut self, mood: Mood, seed: u64, length: usize) -> Result<(), String> {
        self.said = vec![format!("{mood:?}: ASTER_MODEL_SEED={seed}")];
        self.gone.clear();
        // How many choices it takes to get there depends on the sequence before: they are apart.
        let (mut on_the_way, chance) = (Chance::new(!seed), &mut Chance::new(seed));
        self.set_scene(&Scene::draw(mood, chance), &mut on_the_way)?;
        self.said.push(describe(&self.state));
        (0..length).try_for_each(|_| self.step(mood, chance))?;
        self.look(0, true)?;
        self.look(chance.between(1, MEMBERS.len() - 1), true)?;
        self.seats.iter_mut().try_for_each(Seat::settle)
    }

    /// Everybody leaves; what came that was not to come is an error.
    pub fn close(mut self) -> Result<Tally, String> {
        for seat in &mut self.seats {
            seat.client.leave()?;
            seat.take_events()?;
        }
        assert_eq!(self.server.stop("TERM"), Some(0));
        Ok(mem::take(&mut self.tally))
    }

    /// Looks at the server as the member at this place.
    fn look(&mut self, place: usize, all: bool) -> Result<(), String> {
        self.tally.packets += self.seats[place].look(&self.state, &self.gone, all)?;
        Ok(())
    }

    fn expect_events(&mut self, before: &State) {
        self.seats.iter_mut().for_each(|seat| seat.expect(before, &self.state));
    }

    fn step(&mut self, mood: Mood, chance: &mut Chance) -> Result<(), String> {
        let actor = draw_actor(&self.state, mood, chance);
        let (state, gone) = (&self.state, &self.gone);
        let order = Drawer { state, actor, mood, gone, chance }.draw();
        let mut request = order.encode(chance);
        let order = if chance.percent(3) {
            spoil(&mut request, chance);
            None
        } else {
            Some(order)
        };
        self.said.push(format!("{}> {request}", MEMBERS[actor]));
        let command = request["command"].as_str().unwrap().to_owned();
        let response = self.seats[actor].client.ask(request);
        self.said.push(format!("{}< {response}", MEMBERS[actor]));
        self.tally.packets += 1;
        self.take_answer(actor, order.as_ref(), &command, &response)?;
        let status = response["status"].as_u64().unwrap();
        // Looked at often enough to find what is wrong near where it went wrong.
        if status == 200 || chance.percent(25) {
            let place = if chance.percent(40) { actor } else { chance.below(MEMBERS.len()) };
            self.look(place, false)?;
        }
        self.seats.iter_mut().try_for_each(Seat::take_events)
    }

    /// Holds a response against the reference, and carries out there what the server did.
    fn take_answer(
        &mut self,
        actor: usize,
        order: Option<&Order>,
        command: &str,
        response: &Value,
    ) -> Result<(), String> {
        let verdict = match order {
            Some(order) => self.state.judge(actor, order),
            None => Err(Refused(400, "malformed")),
        };
        let right = verdict.map_or_else(|Refused(status, _)| status, |()| 200);
        let mut wanted = json!({"command": command, "status": right});
        let mut gain = None;
        // What cannot be carried out is wrong enough as it is.
        if let (true, 200 | 403, Some(order)) = (response["status"] == 200, right, order) {
            let created = response["uuid"].as_i64().unwrap_or_default();
            if order.creates() {
                wanted["uuid"] = created.into();
            }
            let before = self.state.clone();
            self.state.carry_out(actor, order, created);
            self.expect_events(&before);
            self.remember_gone(&before);
            gain = before.find_unjust_gain(actor, &self.state);
        }
        let name = order.map_or("malformed", Order::command);
        *self.tally.statuses.entry((name, right)).or_default() += 1;
        if let Err(Refused(status, rule)) = verdict {
            *self.tally.rules.entry((status, rule)).or_default() += 1;
        }
        match gain {
            Some(gain) => Err(format!("unjust: {gain}; the reference says: {verdict:?}")),
            None if *response == wanted => Ok(()),
            None => Err(format!("the reference says: {wanted} {verdict:?}")),
        }
    }

    fn remember_gone(&mut self, before: &State) {
        let old = before.channels.iter().map(|channel| channel.uuid);
        let old = old.chain(before.groups.iter().map(|group| group.uuid));
        self.gone.extend(old.filter(|uuid| {
            self.state.find_channel(*uuid).is_none() && self.state.find_group(*uuid).is_none()
        }));
        let surplus = self.gone.len().saturating_sub(GONE_MAX);
        self.gone.drain(..surplus);
    }
}

/// Setting a scene.
impl Stage {
    /// Brings the server by commands of the owner into the state that the scene describes,
    /// whatever state it is in.
    fn set_scene(&mut self, scene: &Scene, chance: &mut Chance) -> Result<(), String> {
        let mut orders = vec![];
        let (groups, channels) = (&self.state.groups[1..], &self.state.channels);
        for group in groups.iter().skip(scene.groups.len()) {
            orders.push(Order::DeleteGroup { group: group.uuid });
        }
        for (place, rights) in scene.groups.iter().enumerate().skip(groups.len()) {
            let (name, colour, position) = (format!("group{place}"), 0, place + 1);
            orders.push(Order::CreateGroup { name, rights: *rights, colour, position });
        }
        for channel in channels.iter().skip(scene.channels.len()) {
            orders.push(Order::DeleteChannel { channel: channel.uuid });
        }
        for _ in channels.len()..scene.channels.len() {
            let (name, position, overrides) = ("new".to_owned(), None, vec![]);
            orders.push(Order::CreateChannel { name, position, overrides });
        }
        self.command(orders, chance)?;

        let group = |place: usize| self.state.groups[place + 1].uuid;
        let subject = |whom: &Whom| match *whom {
            Whom::Everyone => Subject::Everyone,
            Whom::Member(place) => Subject::Member(self.state.members[place].uuid),
            Whom::Group(place) => Subject::Group(group(place)),
        };
        let mut orders = vec![Order::SetBase { rights: scene.base }];
        for (place, rights) in scene.groups.iter().enumerate() {
            let (name, colour) = (Some(format!("group{place}")), Some(place as u32));
            let (group, rights) = (group(place), Some(*rights));
            orders.push(Order::UpdateGroup { group, name, rights, colour, position: None });
        }
        for (place, map) in scene.channels.iter().enumerate() {
            let overrides: Overrides =
                map.iter().map(|(whom, rights)| (subject(whom), *rights)).collect();
            let (name, overrides) = (Some(format!("channel{place}")), Some(overrides));
            let channel = self.state.channels[place].uuid;
            orders.push(Order::UpdateChannel { channel, name, position: None, overrides });
        }
        for (place, memberships) in scene.memberships.iter().enumerate() {
            let member = self.state.members[place + TOP].uuid;
            let groups = memberships.iter().map(|place| group(*place)).collect();
            orders.push(Order::UpdateUserGroups { member, groups });
        }
        self.command(orders, chance)
    }

    /// Commands of the owner, all sent at once, which must succeed.
    fn command(&mut self, orders: Vec<Order>, chance: &mut Chance) -> Result<(), String> {
        let requests: Vec<Value> = orders.iter().map(|order| order.encode(chance)).collect();
        let labels = self.seats[0].client.send_all(requests.clone());
        self.tally.packets += orders.len();
        for ((order, request), label) in orders.iter().zip(requests).zip(labels) {
            self.said.push(format!("{}> {request}", MEMBERS[0]));
            let response = self.seats[0].client.answer(&label);
            let created = response["uuid"].as_i64().unwrap_or_default();
            self.said.push(format!("{}< {response}", MEMBERS[0]));
            if response["status"] != 200 {
                return Err("the owner may set a scene".to_owned());
            }
            let before = self.state.clone();
            self.state.carry_out(0, order, created);
            self.expect_events(&before);
        }
        Ok(())
    }
}

/// A failing test tells what was said.
impl Drop for Stage {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.said.join("\n"));
        }
    }
}

/// A state for a person.
fn describe(state: &State) -> String {
    let mut lines = vec![format!("the scene: base {:?}", state.base)];
    for group in &state.groups {
        lines.push(format!("    group {} {:?}", group.uuid, group.rights));
    }
    for channel in &state.channels {
        lines.push(format!("    channel {} {:?}", channel.uuid, channel.overrides));
    }
    for (name, member) in MEMBERS.iter().zip(&state.members) {
        lines.push(format!("    {name} {} in {:?}", member.uuid, state.groups_of(member)));
    }
    lines.join("\n")
}
