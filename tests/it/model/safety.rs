//! What must hold whatever the rules are: by a command, nobody gains what its actor does not
//! have, and the actor gains nothing at all.

use super::reference::{ALLOW, Member, Rights, State, Uuid};

/// What a member may do, everywhere: their rank, and the rights that they have server-wide
/// (place 0) and in each channel.
pub struct Power {
    pub rank: usize,
    pub rights: Vec<(Uuid, Rights)>,
}

impl State {
    pub fn power(&self, member: &Member) -> Power {
        let mut rights = vec![(0, self.server_wide(member))];
        for channel in &self.channels {
            rights.push((channel.uuid, self.in_channel(member, channel)));
        }
        Power { rank: self.rank(member), rights }
    }

    /// Compares the powers of all members before and after somebody's command, and says what
    /// was won by it that may not be won. Asks nothing of the rules above.
    pub fn find_unjust_gain(&self, actor: usize, after: &State) -> Option<String> {
        let own = self.power(&self.members[actor]);
        let held = own.rights[0].1;
        for (place, member) in self.members.iter().enumerate() {
            let (before, then) = (self.power(member), after.power(&after.members[place]));
            let is_low_actor = place == actor && own.rank != 0;
            if is_low_actor && then.rank < before.rank {
                return Some(format!("they rose from {} to {}", before.rank, then.rank));
            }
            for (channel, rights) in then.rights {
                let Some((_, had)) = before.rights.iter().find(|(uuid, _)| *uuid == channel) else {
                    continue;
                };
                for permission in 0..10 {
                    let gained = had[permission] != ALLOW && rights[permission] == ALLOW;
                    if gained && (is_low_actor || held[permission] != ALLOW) {
                        let whom = after.members[place].uuid;
                        return Some(format!("{whom} gained {permission} in {channel}"));
                    }
                }
            }
        }
        None
    }
}
