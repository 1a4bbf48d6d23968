//! The commands on channels, groups and permissions, as values and as requests.

use serde_json::{Value, json};

use super::chance::Chance;
use super::reference::{Overrides, Rights, Uuid, bytes};

/// A well-formed command. What may be left out in an update is left as it is.
#[derive(Debug, Clone)]
pub enum Order {
    CreateChannel {
        name: String,
        position: Option<usize>,
        overrides: Overrides,
    },
    UpdateChannel {
        channel: Uuid,
        name: Option<String>,
        position: Option<usize>,
        overrides: Option<Overrides>,
    },
    DeleteChannel {
        channel: Uuid,
    },
    CreateGroup {
        name: String,
        rights: Rights,
        colour: u32,
        position: usize,
    },
    UpdateGroup {
        group: Uuid,
        name: Option<String>,
        rights: Option<Rights>,
        colour: Option<u32>,
        position: Option<usize>,
    },
    DeleteGroup {
        group: Uuid,
    },
    UpdateUserGroups {
        member: Uuid,
        groups: Vec<Uuid>,
    },
    SetBase {
        rights: Rights,
    },
}

impl Order {
    pub fn command(&self) -> &'static str {
        match self {
            Self::CreateChannel { .. } => "create_channel",
            Self::UpdateChannel { .. } => "update_channel",
            Self::DeleteChannel { .. } => "delete_channel",
            Self::CreateGroup { .. } => "create_group",
            Self::UpdateGroup { .. } => "update_group",
            Self::DeleteGroup { .. } => "delete_group",
            Self::UpdateUserGroups { .. } => "update_user_groups",
            Self::SetBase { .. } => "set_base_permissions",
        }
    }

    /// Whether the response names something new.
    pub fn creates(&self) -> bool {
        matches!(self, Self::CreateChannel { .. } | Self::CreateGroup { .. })
    }

    /// As a request, in one of the ways to write it: what is left out may be null, a name may
    /// have white space around it, and permissions may be short of defaults at their end.
    pub fn encode(&self, chance: &mut Chance) -> Value {
        let mut fields = match self {
            Self::CreateChannel { name, position, overrides } => json!({
                "name": name, "position": position, "permissions": encode_map(overrides, chance),
            }),
            Self::UpdateChannel { channel, name, position, overrides } => json!({
                "uuid": channel, "name": name, "position": position,
                "permissions": overrides.as_ref().map(|map| encode_map(map, chance)),
            }),
            Self::DeleteChannel { channel } => json!({"channel": channel}),
            Self::CreateGroup { name, rights, colour, position } => json!({
                "name": name, "permissions": encode_rights(rights, chance), "colour": colour,
                "position": position,
            }),
            Self::UpdateGroup { group, name, rights, colour, position } => json!({
                "uuid": group, "name": name, "colour": colour, "position": position,
                "permissions": rights.map(|rights| encode_rights(&rights, chance)),
            }),
            Self::DeleteGroup { group } => json!({"uuid": group}),
            Self::UpdateUserGroups { member, groups } => json!({"user": member, "groups": groups}),
            Self::SetBase { rights } => json!({"permissions": encode_rights(rights, chance)}),
        };
        if chance.percent(80) {
            fields.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        if let (true, Some(Value::String(name))) = (chance.percent(5), fields.get_mut("name")) {
            *name = format!(" {name}\t ");
        }
        if matches!(self, Self::CreateChannel { overrides, .. } if overrides.is_empty())
            && chance.percent(50)
        {
            fields.as_object_mut().unwrap().remove("permissions");
        }
        fields["command"] = self.command().into();
        fields
    }
}

fn encode_rights(rights: &Rights, chance: &mut Chance) -> Value {
    let mut list = bytes(rights).to_vec();
    while list.last() == Some(&0) && chance.percent(30) {
        list.pop();
    }
    json!(list)
}

fn encode_map(overrides: &Overrides, chance: &mut Chance) -> Value {
    let pairs = overrides.iter();
    let map: serde_json::Map<String, Value> =
        pairs.map(|(subject, rights)| (subject.key(), encode_rights(rights, chance))).collect();
    map.into()
}

/// Makes a request a bad one: one field is missing, of a wrong type, or out of its bounds.
pub fn spoil(request: &mut Value, chance: &mut Chance) {
    let fields = request.as_object_mut().unwrap();
    let names: Vec<String> = fields.keys().filter(|name| *name != "command").cloned().collect();
    let name = chance.pick(&names);
    let is_update = fields["command"].as_str().unwrap().starts_with("update_");
    let is_map = fields["command"].as_str().unwrap().ends_with("_channel");
    let optional = match name.as_str() {
        "uuid" | "channel" | "user" | "groups" => false,
        _ => is_map || is_update,
    };
    if !optional && chance.percent(20) {
        fields.remove(&name);
        return;
    }
    let long = "\u{e9}".repeat(17);
    let uuids = [json!(0), json!(-5), json!(1_u64 << 53), json!("7"), json!(1.5)];
    let values = match name.as_str() {
        "name" => vec![json!(""), json!(" \t"), json!(long), json!("a\u{7}b"), json!(5)],
        "position" => vec![json!(-1), json!(0.5), json!("0"), json!(true), json!([0])],
        "colour" => vec![json!(0x100_0000), json!(-1), json!("red")],
        "uuid" | "channel" | "user" => uuids.to_vec(),
        "groups" => uuids.map(|uuid| json!([uuid])).into_iter().chain([json!(7)]).collect(),
        "permissions" if is_map => vec![
            json!([]),
            json!({"user": []}),
            json!({"user:x": []}),
            json!({"user:0": []}),
            json!({"user:-1": []}),
            json!({"role:5": []}),
            json!({"group:9007199254740992": []}),
            json!({"group:": []}),
            json!({"group:0": [3]}),
            json!({"group:0": 1}),
            // One subject twice, however the second is read.
            json!({"group:7": [], "group:07": []}),
            json!({"user:7": [], "user:07": []}),
        ],
        "permissions" => vec![
            json!([3]),
            json!([0, 0b1100]),
            json!([0, 0, 0, 0]),
            json!([256]),
            json!([-1]),
            json!(["1"]),
            json!(5),
            json!({}),
        ],
        other => panic!("no bad value for {other}"),
    };
    fields.insert(name, chance.pick(&values));
}
