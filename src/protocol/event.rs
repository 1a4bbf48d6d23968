//! Events: what connections are told without asking (protocol section 5).

use serde::Serialize;

use crate::id::{ChannelId, MemberId, MessageId};
use crate::protocol::packet::encode_event;
use crate::protocol::types::{Message, User};

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
    /// A member registered, or changed name, picture or groups.
    MemberChanged(User),
}

/// Whom an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Connections whose member may read the channel.
    ReadersOf(ChannelId),
    /// All logged-in connections.
    Everyone,
}

impl Event {
    /// Whom it concerns.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Content(message) => Audience::ReadersOf(message.channel_uuid),
            Self::MessageEdited { channel, .. } | Self::MessageDeleted { channel, .. } => {
                Audience::ReadersOf(*channel)
            }
            Self::MemberChanged(_) => Audience::Everyone,
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
        #[derive(Serialize)]
        struct Members<'a> {
            data: [&'a User; 1],
        }
        match self {
            Self::Content(message) => encode_event("content", message),
            Self::MessageEdited { message, new_content, .. } => {
                encode_event("message_edited", Edited { message: *message, new_content })
            }
            Self::MessageDeleted { message, .. } => {
                encode_event("message_deleted", Deleted { message: *message })
            }
            Self::MemberChanged(user) => encode_event("get_metadata", Members { data: [user] }),
        }
    }
}

/// The packet that tells who is connected.
pub fn encode_online(members: &[MemberId]) -> String {
    #[derive(Serialize)]
    struct Online<'a> {
        data: &'a [MemberId],
    }
    encode_event("online", Online { data: members })
}
