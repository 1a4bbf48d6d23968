//! The types of protocol section 3. Fields carry their names on the wire.

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{ChannelId, EmojiId, GroupId, MemberId, MessageId, RemoteId, SessionId};
use crate::protocol::overrides::Overrides;
use crate::protocol::permissions::Permissions;

/// A member, as others see them. There is no password in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Who.
    pub uuid: MemberId,
    /// Their name.
    pub name: String,
    /// Their picture, base64 of a PNG.
    pub pfp: String,
    /// The first of `groups`, or 0: one client needs this one, another the other.
    pub group_uuid: u64,
    /// Their groups, highest rank first.
    pub groups: Vec<GroupId>,
}

/// A named place for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// Which.
    pub uuid: ChannelId,
    /// Its name, at most 32 bytes.
    pub name: String,
    /// Its place in the list, dense from 0.
    pub position: u64,
    /// What it overrides, and for whom.
    pub permissions: Overrides,
}

/// Something a member said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Which.
    pub uuid: MessageId,
    /// What was said, verbatim.
    pub content: String,
    /// By whom.
    pub author_uuid: MemberId,
    /// Where.
    pub channel_uuid: ChannelId,
    /// When, Unix seconds, UTC.
    pub date: i64,
    /// Whether it was changed since.
    pub edited: bool,
    /// What it answers; kept when that is deleted.
    pub reply: Option<MessageId>,
}

/// Members who share permissions and a colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Which.
    pub uuid: GroupId,
    /// Its name, at most 32 bytes.
    pub name: String,
    /// What its members are shown in.
    pub colour: Colour,
    /// Its rank, dense from 0, the highest.
    pub position: u64,
    /// What it allows and denies everywhere.
    pub permissions: Permissions,
}

/// 0xRRGGBB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Colour(u32);

impl TryFrom<u32> for Colour {
    type Error = &'static str;

    /// Fails above 0xFFFFFF.
    fn try_from(raw: u32) -> Result<Self, Self::Error> {
        if raw <= 0xff_ffff { Ok(Self(raw)) } else { Err("no colour") }
    }
}

impl Colour {
    /// The number.
    pub fn raw(self) -> u32 {
        self.0
    }
}

/// That a member is kept out, as `list_bans` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ban {
    /// Who.
    pub user: MemberId,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// When it ends, Unix seconds, UTC; never if that was not said.
    pub until: Option<i64>,
    /// Who banned them.
    pub by: Option<MemberId>,
    /// When, Unix seconds, UTC.
    pub date: i64,
}

/// One line of the record of who did what (an extension).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Its place: later ones are larger.
    pub seq: i64,
    /// When, Unix seconds, UTC.
    pub date: i64,
    /// Who; none: the owner's command line.
    pub actor: Option<MemberId>,
    /// By the name that they had then.
    pub actor_name: String,
    /// What: the name of a command, or an errand's.
    pub action: String,
    /// The uuid of the member, group, channel or emoji; none: the server.
    pub subject: Option<u64>,
    /// By the name that it had then.
    pub subject_name: String,
    /// More of it; may be empty.
    pub details: String,
}

/// A login that lasts, as its member sees it (an extension).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastingLogin {
    /// Which.
    pub uuid: SessionId,
    /// What its client called it.
    pub name: Option<String>,
    /// When it began, Unix seconds, UTC.
    pub created: i64,
    /// When somebody last logged in by it, Unix seconds, UTC; a minute off at most.
    pub last_used: i64,
    /// Whether the connection that asks belongs to it.
    pub current: bool,
}

/// A small picture with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Emoji {
    /// Which.
    pub uuid: EmojiId,
    /// Its name.
    pub name: String,
    /// Base64 of a PNG.
    pub data: String,
}

/// What a member is called everywhere, kept for their clients (protocol, sync).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncIdentity {
    /// Whose it is.
    pub user_uuid: MemberId,
    /// The name that clients use on new servers.
    pub uname: String,
    /// The picture that clients use on new servers.
    pub pfp: String,
}

/// One entry of a member's list of servers, kept for their clients (protocol, sync).
///
/// `idx` is not here: it is the place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncServer {
    /// The member's uuid on that server, if it is known.
    pub uuid: Option<RemoteId>,
    /// The member's name on that server.
    pub uname: String,
    /// The server's host name or address.
    pub ip: String,
    /// The server's port, 1 ..= 65535.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// The server's picture.
    pub pfp: Option<String>,
    /// The server's name.
    pub name: Option<String>,
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let port = std::num::NonZeroU16::deserialize(deserializer)?;
    Ok(port.get())
}
