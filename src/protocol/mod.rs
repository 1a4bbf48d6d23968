//! What goes over the wire, as types: packets, names, pictures, permissions. No I/O.

pub mod event;
pub mod names;
pub mod packet;
pub mod permissions;
pub mod picture;
pub mod types;

pub use event::Event;
pub use names::{MemberName, MessageText, Nonce, Password, ServerName};
pub use permissions::{Permission, Permissions, Subject};
pub use picture::Picture;
pub use types::{Channel, Emoji, Group, Message, SyncIdentity, SyncServer, User};
