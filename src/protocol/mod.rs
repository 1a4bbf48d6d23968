//! What goes over the wire, as types: packets, names, pictures, permissions. No I/O.

pub mod event;
pub mod names;
pub mod overrides;
pub mod packet;
pub mod permissions;
pub mod picture;
pub mod types;

pub use event::{Event, Topic};
pub use names::{
    BanReason, EmojiName, InviteCode, MemberName, MessageText, Nonce, Password, ServerName,
    SessionName, SessionToken,
};
pub use overrides::{Overrides, Subject};
pub use permissions::{Permission, PermissionSet, Permissions};
pub use picture::Picture;
pub use types::{
    AuditLine, Ban, Channel, Colour, Emoji, Group, LastingLogin, Message, SyncIdentity, SyncServer,
    User,
};
