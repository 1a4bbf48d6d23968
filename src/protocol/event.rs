//! Events: what connections are told without asking (protocol section 5).

use std::borrow::Borrow;

use serde::Serialize;

use crate::id::{ChannelId, EmojiId, MemberId, MessageId};
use crate::protocol::packet::encode_event;
use crate::protocol::picture::Picture;
use crate::protocol::types::{Channel, Group, Message, User};

/// Something that was committed and concerns others.
#[derive(Debug)]
pub enum Event {
    /// A message was said.
    Content(Message),
    /// A message has another text.
    MessageEdited {
        /// Where it stands: decides who is told.
        channel: ChannelId,
        /// Which.
        message: MessageId,
        /// Its text from now on.
        new_content: String,
    },
    /// A message is gone.
    MessageDeleted {
        /// Where it stood: decides who is told.
        channel: ChannelId,
        /// Which.
        message: MessageId,
    },
    /// Members registered, or changed name, picture or groups.
    MembersChanged(Vec<User>),
    /// The server has another name.
    NameChanged(String),
    /// The server has another icon.
    IconChanged(Picture),
    /// There are other emoji: name and uuid of each.
    EmojiChanged(Vec<(String, EmojiId)>),
}

/// What a connection is told of only once it asked for it itself: a client in use stops on a
/// packet whose `command` it does not know (protocol section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    /// `list_groups`.
    Groups = 1,
    /// `get_name`.
    Name = 2,
    /// `get_icon`.
    Icon = 4,
    /// `list_emoji`.
    Emoji = 8,
}

impl Topic {
    /// The topic that a command asks for.
    pub fn of(command: &str) -> Option<Self> {
        match command {
            "list_groups" => Some(Self::Groups),
            "get_name" => Some(Self::Name),
            "get_icon" => Some(Self::Icon),
            "list_emoji" => Some(Self::Emoji),
            _ => None,
        }
    }
}

/// The topics that a connection asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Topics(u8);

impl Topics {
    /// Adds one; whether it is new.
    pub fn insert(&mut self, topic: Topic) -> bool {
        let is_new = !self.contains(topic);
        self.0 |= topic as u8;
        is_new
    }

    /// Whether it is among them.
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & topic as u8 != 0
    }
}

/// Whom an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Connections whose member may read the channel.
    ReadersOf(ChannelId),
    /// All logged-in connections.
    Everyone,
    /// Those that asked for it themselves.
    AskersFor(Topic),
}

impl Event {
    /// Whom it concerns.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Content(message) => Audience::ReadersOf(message.channel_uuid),
            Self::MessageEdited { channel, .. } | Self::MessageDeleted { channel, .. } => {
                Audience::ReadersOf(*channel)
            }
            Self::MembersChanged(_) => Audience::Everyone,
            Self::NameChanged(_) => Audience::AskersFor(Topic::Name),
            Self::IconChanged(_) => Audience::AskersFor(Topic::Icon),
            Self::EmojiChanged(_) => Audience::AskersFor(Topic::Emoji),
        }
    }

    /// The packet.
    pub fn encode(&self) -> String {
        #[derive(Serialize)]
        struct Edited<'a> {
            message: MessageId,
            new_content: &'a str,
        }
        #[derive(Serialize)]
        struct Deleted {
            message: MessageId,
        }
        match self {
            Self::Content(message) => encode_event("content", message),
            Self::MessageEdited { message, new_content, .. } => {
                encode_event("message_edited", Edited { message: *message, new_content })
            }
            Self::MessageDeleted { message, .. } => {
                encode_event("message_deleted", Deleted { message: *message })
            }
            Self::MembersChanged(users) => encode_members(users),
            Self::NameChanged(name) => encode_data("get_name", name),
            Self::IconChanged(icon) => encode_data("get_icon", icon),
            Self::EmojiChanged(emoji) => encode_data("list_emoji", emoji),
        }
    }
}

fn encode_data(command: &str, data: impl Serialize) -> String {
    #[derive(Serialize)]
    struct Packet<T> {
        data: T,
    }
    encode_event(command, Packet { data })
}

/// The packet that tells how members look.
pub fn encode_members(users: &[impl Serialize + Borrow<User>]) -> String {
    encode_data("get_metadata", users)
}

/// The packet that tells who is connected.
pub fn encode_online(members: &[MemberId]) -> String {
    encode_data("online", members)
}

/// The packet that tells which channels a member may view.
pub fn encode_channels(channels: &[Channel]) -> String {
    encode_data("list_channels", channels)
}

/// The packet that tells which groups there are.
pub fn encode_groups(groups: &[Group]) -> String {
    encode_data("list_groups", groups)
}
