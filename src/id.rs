//! The uuids of the protocol: integers of 53 bits, each kind a type of its own, and the
//! generator of new ones.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The largest uuid: what JavaScript's numbers hold exactly (protocol section 3).
pub(crate) const UUID_MAX: u64 = (1 << 53) - 1;

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64")]
        pub struct $name(u64);

        impl $name {
            /// The uuid as a number, 1 ..= 2^53-1.
            pub fn raw(self) -> u64 {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = &'static str;

            /// Fails outside 1 ..= 2^53-1.
            fn try_from(raw: u64) -> Result<Self, Self::Error> {
                if (1..=UUID_MAX).contains(&raw) { Ok(Self(raw)) } else { Err("no uuid") }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )*};
}

id_types! {
    /// The uuid of a member.
    MemberId;
    /// The uuid of a channel.
    ChannelId;
    /// The uuid of a message.
    MessageId;
    /// The uuid of a group.
    GroupId;
    /// The uuid of an emoji.
    EmojiId;
    /// The uuid that some other server gave to a member of ours (protocol, sync).
    RemoteId;
}

/// Gives uuids that grow with time: 41 bits of milliseconds, then 12 bits of count.
///
/// Owned by the writer thread. *Invariant:* strictly increasing within a process; across a
/// clock set back the database's own uniqueness is what counts (`WriteTx::fresh_id`).
#[derive(Debug, Default)]
pub(crate) struct IdGenerator {
    last: u64,
}

/// 2020-01-01, so that 41 bits last until 2089.
const EPOCH_MS: u64 = 1_577_836_800_000;
const COUNT_BITS: u32 = 12;

impl IdGenerator {
    /// The next one, for a clock that stands at `now_ms` milliseconds since 1970.
    pub(crate) fn next(&mut self, now_ms: u64) -> u64 {
        let by_clock = (now_ms.saturating_sub(EPOCH_MS) << COUNT_BITS) & UUID_MAX;
        self.last = by_clock.max(self.last + 1).min(UUID_MAX);
        self.last
    }
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_stands_still_or_goes_back() {
        let mut ids = IdGenerator::default();
        let mut last = 0;
        for now_ms in [EPOCH_MS + 5, EPOCH_MS + 5, EPOCH_MS + 9, EPOCH_MS, 0, EPOCH_MS + 10] {
            let id = ids.next(now_ms);
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }

    #[test]
    fn ids_of_today_are_far_below_the_bound() {
        assert!(IdGenerator::default().next(now_ms()) < UUID_MAX / 2);
    }

    #[test]
    fn a_uuid_outside_53_bits_is_none() {
        assert!(MemberId::try_from(0).is_err());
        assert!(MemberId::try_from(UUID_MAX).is_ok());
        assert!(MemberId::try_from(UUID_MAX + 1).is_err());
    }
}
