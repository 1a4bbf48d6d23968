//! What members see of a state, asked for and told by events, held against the reference.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::reference::{ALLOW, Member, Rights, State, Uuid, VIEW_CHANNEL, bytes};
use crate::support::client::Client;

/// A member at a connection, and the events that must come there.
pub struct Seat {
    pub client: Client,
    /// Their place in the state's list.
    place: usize,
    /// Whether they have asked for the groups, and so are told of their changes.
    asked: bool,
    channels: VecDeque<Value>,
    groups: VecDeque<Value>,
    metadata: VecDeque<BTreeMap<Uuid, Vec<Uuid>>>,
}

/// A request, and what its response must have; or its status.
type Question = (Value, Result<Value, u16>);

impl Seat {
    /// For a client that is logged in.
    pub fn new(mut client: Client, place: usize, asked: bool) -> Self {
        if asked {
            client.must(json!({"command": "list_groups"}));
        }
        let (channels, groups, metadata) = Default::default();
        Self { client, place, asked, channels, groups, metadata }
    }

    /// Asks for what changes most, or for all that a member may know. Gives the count of
    /// requests.
    pub fn look(&mut self, state: &State, gone: &[Uuid], all: bool) -> Result<usize, String> {
        let mut questions = ask_for_channels(state, &state.members[self.place]);
        if all {
            // Once a channel or a group, it is no channel.
            let gone = gone.iter().take(1);
            questions.extend(gone.map(|uuid| (ask_for_permissions(*uuid), Err(404))));
            let base = json!({"permissions": bytes(&state.base)});
            questions.push((json!({"command": "get_base_permissions"}), Ok(base)));
            if self.asked {
                let groups = json!({"data": state.list_groups()});
                questions.push((json!({"command": "list_groups"}), Ok(groups)));
            }
        }
        let count = questions.len();
        let requests = questions.iter().map(|(request, _)| request.clone()).collect();
        let labels = self.client.send_all(requests);
        for ((request, answer), label) in questions.into_iter().zip(labels) {
            let response = self.client.answer(&label);
            let status = *answer.as_ref().err().unwrap_or(&200);
            let mut wanted = answer.unwrap_or_else(|_| json!({}));
            wanted["command"] = request["command"].clone();
            wanted["status"] = status.into();
            if response != wanted {
                let name = &self.client.name;
                return Err(format!("{name}> {request}\n{name}< {response}\n    not {wanted}"));
            }
        }
        Ok(count)
    }

    /// Notes which events a change causes here (protocol section 5).
    pub fn expect(&mut self, before: &State, after: &State) {
        let (member, then) = (&before.members[self.place], &after.members[self.place]);
        // The cheap question first.
        if before.seen_by(member) != after.seen_by(then) {
            let channels = after.list_channels(then);
            if before.list_channels(member) != channels {
                self.channels.push_back(channels);
            }
        }
        if self.asked && before.groups != after.groups {
            self.groups.push_back(after.list_groups());
        }
        let mut moved = BTreeMap::new();
        for (old, new) in before.members.iter().zip(&after.members) {
            if before.groups_of(old) != after.groups_of(new) {
                moved.insert(new.uuid, after.groups_of(new));
            }
        }
        if !moved.is_empty() {
            self.metadata.push_back(moved);
        }
    }

    /// Waits for all events that must come.
    pub fn settle(&mut self) -> Result<(), String> {
        self.take_events()?;
        while !(self.channels.is_empty() && self.groups.is_empty() && self.metadata.is_empty()) {
            let event = self.client.next_event().map_err(|problem| {
                let next = (&self.channels, &self.groups, &self.metadata);
                format!("{problem}; still to come: {next:?}")
            })?;
            self.take_event(&event)?;
        }
        // What is recorded of a connection is of no use to a reader, and much.
        self.client.record.forget();
        self.client.onlines.clear();
        Ok(())
    }

    /// Holds the events that have arrived against those that must come.
    pub fn take_events(&mut self) -> Result<(), String> {
        while let Some(event) = self.client.events.pop_front() {
            self.take_event(&event)?;
        }
        Ok(())
    }

    fn take_event(&mut self, event: &Value) -> Result<(), String> {
        let data = &event["data"];
        let wanted = match event["command"].as_str() {
            Some("list_channels") => self.channels.pop_front(),
            Some("list_groups") => self.groups.pop_front(),
            Some("get_metadata") => {
                let wanted = self.metadata.pop_front();
                if wanted.is_some() && read_groups(data) == wanted {
                    return Ok(());
                }
                wanted.map(|groups| json!(groups))
            }
            _ => None,
        };
        if wanted.as_ref() == Some(data) {
            return Ok(());
        }
        let (name, wanted) = (&self.client.name, wanted.map_or("none".into(), |it| it.to_string()));
        Err(format!("{name}! {event}\n    (perhaps late); next of that name: {wanted}"))
    }
}

/// Which channels there are for a member, and what they may do in them and elsewhere.
fn ask_for_channels(state: &State, member: &Member) -> Vec<Question> {
    let permissions = |rights: Rights| json!({"permissions": bytes(&rights)});
    let list = json!({"data": state.list_channels(member)});
    let mut questions = vec![
        (json!({"command": "list_channels"}), Ok(list)),
        (json!({"command": "get_permissions"}), Ok(permissions(state.server_wide(member)))),
    ];
    for channel in &state.channels {
        let rights = state.in_channel(member, channel);
        let sees = rights[VIEW_CHANNEL] == ALLOW;
        let answer = if sees { Ok(permissions(rights)) } else { Err(404) };
        questions.push((ask_for_permissions(channel.uuid), answer));
    }
    questions
}

fn ask_for_permissions(channel: Uuid) -> Value {
    json!({"command": "get_permissions", "channel": channel})
}

/// The groups of each User of a list, if the list is well formed and names each once.
fn read_groups(data: &Value) -> Option<BTreeMap<Uuid, Vec<Uuid>>> {
    let mut map = BTreeMap::new();
    for user in data.as_array()? {
        let groups: Option<Vec<Uuid>> =
            user["groups"].as_array()?.iter().map(Value::as_i64).collect();
        let groups = groups?;
        if user["group_uuid"].as_i64()? != groups.first().copied().unwrap_or_default() {
            return None;
        }
        if map.insert(user["uuid"].as_i64()?, groups).is_some() {
            return None;
        }
    }
    Some(map)
}
