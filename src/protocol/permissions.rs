//! Permissions: ten questions, each allowed, denied or left to what lies below
//! (protocol section 3, and "What they come to" in section 4).

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a member may or may not do; the number is its place on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Permission {
    /// Make, change, move and delete channels, and say who may do what in them.
    ModifyChannels = 0,
    /// Change the server's name and icon, and its emoji.
    ModifyIconName = 1,
    /// Make, change, move and delete groups of lower rank.
    ModifyGroups = 2,
    /// Give groups of lower rank to members of lower rank, and take them.
    ModifyUserGroups = 3,
    /// Kick and ban members of lower rank.
    BanUsers = 4,
    /// Say something in a channel.
    SendMessages = 5,
    /// Hear and read what is said in a channel.
    ReadMessages = 6,
    /// Delete what others said.
    ManageMessages = 7,
    /// For clients; this server has no voice.
    JoinVoice = 8,
    /// Know that a channel exists.
    ViewChannel = 9,
}

impl Permission {
    /// All ten, by their place on the wire.
    pub const ALL: [Self; 10] = [
        Self::ModifyChannels,
        Self::ModifyIconName,
        Self::ModifyGroups,
        Self::ModifyUserGroups,
        Self::BanUsers,
        Self::SendMessages,
        Self::ReadMessages,
        Self::ManageMessages,
        Self::JoinVoice,
        Self::ViewChannel,
    ];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::ModifyChannels => "modify_channels",
            Self::ModifyIconName => "modify_icon_name",
            Self::ModifyGroups => "modify_groups",
            Self::ModifyUserGroups => "modify_user_groups",
            Self::BanUsers => "ban_users",
            Self::SendMessages => "send_messages",
            Self::ReadMessages => "read_messages",
            Self::ManageMessages => "manage_messages",
            Self::JoinVoice => "join_voice",
            Self::ViewChannel => "view_channel",
        }
    }
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

impl Setting {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Some of the permissions. A bit for each, at the place of its lower bit on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// Every permission.
    pub const ALL: Self = Self(0x5_5555);

    /// This one alone.
    pub const fn of(permission: Permission) -> Self {
        Self(1 << (2 * permission as u32))
    }

    /// Whether `permission` is among them.
    pub fn contains(self, permission: Permission) -> bool {
        Self::of(permission).is_within(self)
    }

    /// Whether there is none that `other` has not.
    pub fn is_within(self, other: Self) -> bool {
        self.without(other).is_empty()
    }

    /// Whether there is none at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
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
    /// Everything is allowed: the owner's group.
    pub const ALLOW_ALL: Self = Self([0x55, 0x55, 0x05]);

    fn bits(self) -> u32 {
        let [a, b, c] = self.0.map(u32::from);
        a | b << 8 | c << 16
    }

    /// What is said about `permission`.
    pub fn setting(self, permission: Permission) -> Setting {
        match self.bits() >> (2 * permission as u32) & 0b11 {
            1 => Setting::Allow,
            2 => Setting::Deny,
            _ => Setting::Default,
        }
    }

    /// What is allowed.
    pub fn allowed(self) -> PermissionSet {
        PermissionSet(self.bits() & PermissionSet::ALL.0)
    }

    /// What is denied.
    pub fn denied(self) -> PermissionSet {
        PermissionSet(self.bits() >> 1 & PermissionSet::ALL.0)
    }

    /// What `new` grants in the place of this: what it allows anew, and the denials that it
    /// lifts (protocol section 10).
    pub fn granted_by(self, new: Self) -> PermissionSet {
        let allowed = new.allowed().without(self.allowed());
        allowed.union(self.denied().without(new.denied()))
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

    /// As it stands at the end: what nobody decided is denied.
    #[must_use]
    pub fn settled(self) -> Self {
        let allowed = self.allowed().0;
        let [a, b, c, _] = (allowed | (PermissionSet::ALL.0 & !allowed) << 1).to_le_bytes();
        Self([a, b, c])
    }

    /// As it is stored and sent.
    pub fn bytes(self) -> [u8; 3] {
        self.0
    }
}

/// What is said, in words: `read_messages allow, ban_users deny`; `nothing` where nothing is.
impl fmt::Display for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for permission in Permission::ALL {
            match self.setting(permission) {
                Setting::Default => continue,
                setting => write!(formatter, "{comma}{} {}", permission.name(), setting.name())?,
            }
            comma = ", ";
        }
        if comma.is_empty() { formatter.write_str("nothing") } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_a_new_server_is_as_the_protocol_says() {
        let base = Permissions::NEW_SERVER_BASE;
        let allowed = Permission::ALL.into_iter().filter(|each| base.allowed().contains(*each));
        let allowed: Vec<_> = allowed.map(Permission::name).collect();
        assert_eq!(allowed, ["send_messages", "read_messages", "join_voice", "view_channel"]);
        assert_eq!(base.settled(), base, "the rest is denied");
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

    #[test]
    fn granting_is_allowing_anew_and_lifting_a_denial() {
        // Four places: 0 default, 1 allow, 2 deny.
        let granted = |old, new| Permissions([old, 0, 0]).granted_by(Permissions([new, 0, 0])).0;
        assert_eq!(granted(0b00_00_00, 0b10_01_00), 0b00_01_00, "a denial is no grant");
        assert_eq!(granted(0b10_10_10, 0b10_01_00), 0b00_01_01, "lifted, to allow or to default");
        assert_eq!(granted(0b01_01_01, 0b10_01_00), 0, "an allowance taken or kept");
    }

    #[test]
    fn what_nobody_decided_is_denied_and_words_say_what_is_said() {
        let some = Permissions([0b01, 0b10, 0]);
        assert_eq!(some.settled(), Permissions([0b10_10_10_01, 0b10_10_10_10, 0b10_10]));
        assert_eq!(some.to_string(), "modify_channels allow, ban_users deny");
        assert_eq!(Permissions::default().to_string(), "nothing");
        assert_eq!(Permissions::ALLOW_ALL.allowed(), PermissionSet::ALL);
    }
}
