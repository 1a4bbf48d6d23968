//! Permissions: ten questions, each allowed, denied or left to what lies below
//! (protocol section 3, and "What they come to" in section 4).

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::id::{GroupId, MemberId};

/// One thing that a member may or may not do; the number is its place on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Permission {
    /// Say something in a channel.
    SendMessages = 5,
    /// Hear and read what is said in a channel.
    ReadMessages = 6,
    /// Delete what others said.
    ManageMessages = 7,
    /// Know that a channel exists.
    ViewChannel = 9,
}

/// What is said about one permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Whatever lies below decides.
    Default,
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
}

/// Two bits for each permission, lowest first, ten of them in three bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>")]
pub struct Permissions([u8; 3]);

/// The bits that mean something: the last byte has two unused places.
const USED: [u8; 3] = [0xff, 0xff, 0x0f];

impl Permissions {
    /// The base of a new server: send, read, join voice and view are allowed, the rest is
    /// denied (protocol section 4, "What they come to").
    pub const NEW_SERVER_BASE: Self = Self([0b10_10_10_10, 0b10_01_01_10, 0b00_00_01_01]);

    /// What is said about `permission`.
    pub fn setting(self, permission: Permission) -> Setting {
        let [a, b, c] = self.0.map(u32::from);
        match (a | b << 8 | c << 16) >> (2 * permission as u32) & 0b11 {
            1 => Setting::Allow,
            2 => Setting::Deny,
            _ => Setting::Default,
        }
    }

    /// Lays `over` on top: allow and deny replace, default leaves.
    #[must_use]
    pub fn overlay(self, over: Self) -> Self {
        let mut bytes = self.0;
        for (below, over) in bytes.iter_mut().zip(over.0) {
            // Both bits of every place at which `over` says something.
            let said = (over | over >> 1) & 0x55;
            let mask = said | said << 1;
            *below = *below & !mask | over;
        }
        Self(bytes)
    }

    /// As it is stored and sent.
    pub fn bytes(self) -> [u8; 3] {
        self.0
    }
}

impl TryFrom<&[u8]> for Permissions {
    type Error = &'static str;

    /// A shorter list is padded with defaults. Fails on more than three bytes and on the
    /// value 3.
    fn try_from(list: &[u8]) -> Result<Self, Self::Error> {
        let mut bytes = [0; 3];
        bytes.get_mut(..list.len()).ok_or("over three bytes of permissions")?.copy_from_slice(list);
        for (byte, used) in bytes.iter_mut().zip(USED) {
            if *byte & *byte >> 1 & 0x55 != 0 {
                return Err("a permission of value 3");
            }
            *byte &= used;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<Vec<u8>> for Permissions {
    type Error = &'static str;

    fn try_from(list: Vec<u8>) -> Result<Self, Self::Error> {
        Self::try_from(list.as_slice())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(formatter, "Permissions({a:08b} {b:08b} {c:08b})")
    }
}

/// Whom an override of a channel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One member.
    Member(MemberId),
    /// The members of a group.
    Group(GroupId),
}

/// `user:<uuid>` or `group:<uuid>`, the keys of `Channel.permissions`.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Member(member) => serializer.collect_str(&format_args!("user:{member}")),
            Self::Group(group) => serializer.collect_str(&format_args!("group:{group}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_a_new_server_is_as_the_protocol_says() {
        let base = Permissions::NEW_SERVER_BASE;
        assert_eq!(base.setting(Permission::SendMessages), Setting::Allow);
        assert_eq!(base.setting(Permission::ReadMessages), Setting::Allow);
        assert_eq!(base.setting(Permission::ViewChannel), Setting::Allow);
        assert_eq!(base.setting(Permission::ManageMessages), Setting::Deny);
    }

    #[test]
    fn laying_over_replaces_what_is_said_and_leaves_the_rest() {
        let below = Permissions([0b01_10_00_01, 0b01_01_01_01, 0]);
        let over = Permissions([0b00_01_10_10, 0b10_00_00_00, 0b01]);
        assert_eq!(below.overlay(over), Permissions([0b01_01_10_10, 0b10_01_01_01, 0b01]));
    }

    #[test]
    fn lists_are_padded_and_the_value_3_is_refused() {
        assert_eq!(Permissions::try_from(vec![1]), Ok(Permissions([1, 0, 0])));
        assert_eq!(Permissions::try_from(vec![]), Ok(Permissions::default()));
        assert_eq!(Permissions::try_from(vec![0, 0, 0b0101_0000]), Ok(Permissions::default()));
        assert!(Permissions::try_from(vec![0b11]).is_err());
        assert!(Permissions::try_from(vec![0, 0, 0, 0]).is_err());
    }
}
