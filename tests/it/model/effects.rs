//! What a command does to the state, once it may.

use super::orders::Order;
use super::reference::{Channel, Group, State, Subject, Uuid};

impl State {
    /// `created` is the uuid of what it makes.
    pub fn carry_out(&mut self, actor: usize, order: &Order, created: Uuid) {
        match order.clone() {
            Order::CreateChannel { name, position, overrides } => {
                let at = self.real_position(actor, position, None);
                self.channels.insert(at, Channel { uuid: created, name, overrides });
            }
            Order::UpdateChannel { channel, name, position, overrides } => {
                // Where it goes is told by what the actor sees before the change.
                let to = position.filter(|position| {
                    let seen = self.seen_by(&self.members[actor]);
                    seen.get(*position).is_none_or(|there| there.uuid != channel)
                });
                let to =
                    to.map(|position| self.real_position(actor, Some(position), Some(channel)));
                let from = self.find_channel(channel).unwrap();
                let old = self.channels.remove(from);
                let new = Channel {
                    uuid: channel,
                    name: name.unwrap_or(old.name),
                    overrides: overrides.unwrap_or(old.overrides),
                };
                self.channels.insert(to.unwrap_or(from), new);
            }
            Order::DeleteChannel { channel } => self.channels.retain(|other| other.uuid != channel),
            Order::CreateGroup { name, rights, colour, position } => {
                let at = position.min(self.groups.len());
                self.groups.insert(at, Group { uuid: created, name, colour, rights });
            }
            Order::UpdateGroup { group, name, rights, colour, position } => {
                let from = self.find_group(group).unwrap();
                let old = self.groups.remove(from);
                let new = Group {
                    uuid: group,
                    name: name.unwrap_or(old.name),
                    colour: colour.unwrap_or(old.colour),
                    rights: rights.unwrap_or(old.rights),
                };
                let to = position.unwrap_or(from).min(self.groups.len());
                self.groups.insert(to, new);
            }
            Order::DeleteGroup { group } => {
                self.groups.retain(|other| other.uuid != group);
                for member in &mut self.members {
                    member.groups.retain(|uuid| *uuid != group);
                }
                for channel in &mut self.channels {
                    channel.overrides.retain(|(subject, _)| *subject != Subject::Group(group));
                }
            }
            Order::UpdateUserGroups { member, groups } => {
                let place = self.find_member(member).unwrap();
                self.members[place].groups = vec![];
                for uuid in groups {
                    if !self.members[place].groups.contains(&uuid) {
                        self.members[place].groups.push(uuid);
                    }
                }
            }
            Order::SetBase { rights } => self.base = rights,
        }
    }

    /// Where among all channels, without the one that moves, something comes to stand that the
    /// actor wants at a position among those that they see: before the one that is there, or
    /// after all.
    fn real_position(&self, actor: usize, position: Option<usize>, moving: Option<Uuid>) -> usize {
        let others: Vec<&Channel> =
            self.channels.iter().filter(|channel| Some(channel.uuid) != moving).collect();
        let me = &self.members[actor];
        let mut seen = 0;
        for (place, channel) in others.iter().enumerate() {
            if self.sees(me, channel) {
                if Some(seen) == position {
                    return place;
                }
                seen += 1;
            }
        }
        others.len()
    }
}
