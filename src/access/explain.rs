//! Why a member may do something in a channel, or may not.

use crate::access::Access;
use crate::id::{ChannelId, MemberId};
use crate::protocol::permissions::Setting;
use crate::protocol::{Group, Permission, Permissions};

/// Something that says what is allowed and denied, from the weakest to the strongest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layer<'a> {
    /// The server's base.
    Base,
    /// What stands in for the base in the channel.
    Everyone,
    /// A group of the member, server-wide.
    Group(&'a Group),
    /// The channel, for a group of the member.
    GroupHere(&'a Group),
    /// The channel, for the member.
    MemberHere,
}

/// What one permission comes to.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    /// Which.
    pub permission: Permission,
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// The strongest layer that says something; `None` where none does, which denies.
    pub decided_by: Option<Layer<'a>>,
}

impl Access {
    /// What every permission comes to for the member in the channel, seen or not, and what
    /// decided it. Nothing where there is no such channel.
    pub(crate) fn explain(&self, member: MemberId, channel: ChannelId) -> Vec<Decision<'_>> {
        let place = self.channel_places.get(&channel);
        let Some(channel) = place.and_then(|place| self.channels.get(*place)) else {
            return Vec::new();
        };
        let layers = || self.layers(self.kind_of(member), Some(&channel.permissions));
        let decide = |permission| {
            let says =
                |(_, said): &(Layer<'_>, Permissions)| said.setting(permission) != Setting::Default;
            let last = layers().filter(says).last();
            Decision {
                permission,
                is_allowed: last.is_some_and(|(_, said)| said.allowed().contains(permission)),
                decided_by: last.map(|(layer, _)| layer),
            }
        };
        Permission::ALL.into_iter().map(decide).collect()
    }

    /// The channels of that name, seen or not, by position; names may repeat.
    pub(crate) fn channels_called(&self, name: &str) -> Vec<ChannelId> {
        let channels = self.channels.iter().filter(|channel| channel.name == name);
        channels.map(|channel| channel.uuid).collect()
    }
}
