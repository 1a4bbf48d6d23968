//! What channels, groups and permissions come to, written down a second time: as the contract
//! words it, without a thought for speed, and without a look at the server.

use serde_json::{Value, json};

/// The permissions by their places on the wire (protocol section 3).
pub const MODIFY_CHANNELS: usize = 0;
pub const MODIFY_GROUPS: usize = 2;
pub const MODIFY_USER_GROUPS: usize = 3;
pub const SEND_MESSAGES: usize = 5;
pub const READ_MESSAGES: usize = 6;
pub const JOIN_VOICE: usize = 8;
pub const VIEW_CHANNEL: usize = 9;

pub const DEFAULT: u8 = 0;
pub const ALLOW: u8 = 1;
pub const DENY: u8 = 2;

/// What is said about each of the ten.
pub type Rights = [u8; 10];
pub type Uuid = i64;

/// A rank below every group's.
pub const NO_RANK: usize = usize::MAX;

/// Whom an override of a channel is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Member(Uuid),
    Group(Uuid),
    /// `group:0`: what the base is in this channel.
    Everyone,
}

pub type Overrides = Vec<(Subject, Rights)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub uuid: Uuid,
    pub name: String,
    pub colour: u32,
    pub rights: Rights,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub uuid: Uuid,
    pub name: String,
    pub overrides: Overrides,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// 0 for one that is only imagined.
    pub uuid: Uuid,
    /// In no particular order.
    pub groups: Vec<Uuid>,
}

/// All that decides who may do what. Groups and channels stand by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub base: Rights,
    pub groups: Vec<Group>,
    pub channels: Vec<Channel>,
    pub members: Vec<Member>,
}

/// Protocol section 4, "What they come to".
impl State {
    /// What holds for the member outside of channels: allow or deny.
    pub fn server_wide(&self, member: &Member) -> Rights {
        let mut rights = self.base;
        self.lay_groups_over(&mut rights, member);
        settled(rights)
    }

    /// What holds for the member in the channel: allow or deny.
    pub fn in_channel(&self, member: &Member, channel: &Channel) -> Rights {
        let mut rights = self.base;
        lay_over(&mut rights, find_override(channel, Subject::Everyone));
        self.lay_groups_over(&mut rights, member);
        for group in self.groups.iter().rev() {
            if member.groups.contains(&group.uuid) {
                lay_over(&mut rights, find_override(channel, Subject::Group(group.uuid)));
            }
        }
        lay_over(&mut rights, find_override(channel, Subject::Member(member.uuid)));
        settled(rights)
    }

    fn lay_groups_over(&self, rights: &mut Rights, member: &Member) {
        for group in self.groups.iter().rev() {
            if member.groups.contains(&group.uuid) {
                lay_over(rights, group.rights);
            }
        }
    }

    /// The smallest position among the member's groups.
    pub fn rank(&self, member: &Member) -> usize {
        let place = self.groups.iter().position(|group| member.groups.contains(&group.uuid));
        place.unwrap_or(NO_RANK)
    }

    pub fn holds(&self, member: &Member, permission: usize) -> bool {
        self.server_wide(member)[permission] == ALLOW
    }

    pub fn sees(&self, member: &Member, channel: &Channel) -> bool {
        self.in_channel(member, channel)[VIEW_CHANNEL] == ALLOW
    }

    /// The channels that the member may view, by position.
    pub fn seen_by(&self, member: &Member) -> Vec<&Channel> {
        self.channels.iter().filter(|channel| self.sees(member, channel)).collect()
    }

    pub fn find_group(&self, uuid: Uuid) -> Option<usize> {
        self.groups.iter().position(|group| group.uuid == uuid)
    }

    pub fn find_channel(&self, uuid: Uuid) -> Option<usize> {
        self.channels.iter().position(|channel| channel.uuid == uuid)
    }

    pub fn find_member(&self, uuid: Uuid) -> Option<usize> {
        self.members.iter().position(|member| member.uuid == uuid)
    }
}

/// The state as responses have it.
impl State {
    /// `data` of `list_channels` for the member.
    pub fn list_channels(&self, member: &Member) -> Value {
        let seen = self.seen_by(member).into_iter().enumerate();
        let list = seen.map(|(position, channel)| {
            let overrides = channel.overrides.iter();
            let permissions: serde_json::Map<String, Value> =
                overrides.map(|(subject, rights)| (subject.key(), json!(bytes(rights)))).collect();
            json!({"uuid": channel.uuid, "name": channel.name, "position": position,
                "permissions": permissions})
        });
        list.collect()
    }

    /// `data` of `list_groups`.
    pub fn list_groups(&self) -> Value {
        let list = self.groups.iter().enumerate().map(|(position, group)| {
            json!({"uuid": group.uuid, "name": group.name, "colour": group.colour,
                "position": position, "permissions": bytes(&group.rights)})
        });
        list.collect()
    }

    /// `groups` of a User: highest rank first.
    pub fn groups_of(&self, member: &Member) -> Vec<Uuid> {
        let all = self.groups.iter().map(|group| group.uuid);
        all.filter(|uuid| member.groups.contains(uuid)).collect()
    }
}

impl Subject {
    /// As a key of `Channel.permissions`.
    pub fn key(self) -> String {
        match self {
            Self::Member(uuid) => format!("user:{uuid}"),
            Self::Group(uuid) => format!("group:{uuid}"),
            Self::Everyone => "group:0".to_owned(),
        }
    }
}

/// Allow and deny replace, default leaves.
fn lay_over(rights: &mut Rights, over: Rights) {
    for permission in 0..rights.len() {
        if over[permission] != DEFAULT {
            rights[permission] = over[permission];
        }
    }
}

/// What is still default at the end is deny.
fn settled(mut rights: Rights) -> Rights {
    for right in &mut rights {
        if *right == DEFAULT {
            *right = DENY;
        }
    }
    rights
}

/// What a channel says of a subject; nothing if it does not mention it.
pub fn find_override(channel: &Channel, subject: Subject) -> Rights {
    let found = channel.overrides.iter().find(|(other, _)| *other == subject);
    found.map_or([DEFAULT; 10], |(_, rights)| *rights)
}

/// Two bits each, lowest first, in three bytes.
pub fn bytes(rights: &Rights) -> [u8; 3] {
    let mut bytes = [0; 3];
    for (place, right) in rights.iter().enumerate() {
        bytes[place / 4] |= right << (place % 4 * 2);
    }
    bytes
}
