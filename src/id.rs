//! The uuids of the protocol: integers of 53 bits, each kind a type of its own, and the
//! generator of new ones.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
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
    /// The uuid of a session: a login that lasts.
    SessionId;
    /// The uuid that some other server gave to a member of ours (protocol, sync).
    RemoteId;
}

/// Tells connections apart for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub u64);

/// Hashes what this server counted itself, which nobody can choose: one multiplication (Knuth).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountHasher(u64);

impl Hasher for CountHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map for each connection's own.
pub(crate) type ByConnection<T> = HashMap<ConnectionId, T, BuildHasherDefault<CountHasher>>;

/// 2020-01-01, so that 41 bits last until 2089.
const EPOCH_MS: u64 = 1_577_836_800_000;
const RANDOM_BITS: u32 = 12;

/// A new uuid: 41 bits of milliseconds, so that neighbours in time are neighbours in the
/// database, then 12 bits by lot, so that a uuid does not tell its holder how many others were
/// given: something may be said in a channel that they may not know of.
///
/// Not unique by itself: see `WriteTx::fresh_id`. Fails when the system has no randomness.
pub(crate) fn draw_uuid(now_ms: u64) -> Result<u64, &'static str> {
    let mut lot = [0; 2];
    SystemRandom::new().fill(&mut lot).map_err(|_| "no randomness")?;
    let by_clock = now_ms.saturating_sub(EPOCH_MS) << RANDOM_BITS;
    let by_lot = u64::from(u16::from_be_bytes(lot)) & ((1 << RANDOM_BITS) - 1);
    Ok(((by_clock | by_lot) & UUID_MAX).max(1))
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970, UTC.
pub(crate) fn now_s() -> i64 {
    i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_their_time_and_tell_nothing_of_others() {
        let drawn: Vec<u64> = (0..100).map(|_| draw_uuid(EPOCH_MS + 7).unwrap()).collect();
        assert!(drawn.iter().all(|uuid| uuid >> RANDOM_BITS == 7));
        let steps = drawn.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
        assert!(steps < 5, "{drawn:?}");
        assert!(draw_uuid(now_ms()).unwrap() < UUID_MAX / 2, "today is far below the bound");
        assert!((1..4096).contains(&draw_uuid(0).unwrap()));
    }

    #[test]
    fn a_uuid_outside_53_bits_is_none() {
        assert!(MemberId::try_from(0).is_err());
        assert!(MemberId::try_from(UUID_MAX).is_ok());
        assert!(MemberId::try_from(UUID_MAX + 1).is_err());
    }
}
