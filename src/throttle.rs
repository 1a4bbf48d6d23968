//! Token buckets: what a connection or an address may do before it is slowed
//! (protocol section 8). Nothing is refused; the answer, or the next read, comes later.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a failed login is delayed.
const DELAY_MAX: Duration = Duration::from_secs(10);
/// Addresses remembered at most; past it, those that owe nothing are forgotten first.
const ADDRESSES_MAX: usize = 10_000;

/// An address as limits count it: IPv6 by /64, IPv4 mapped into IPv6 as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AddressKey(IpAddr);

impl AddressKey {
    /// Of a peer's address.
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => Self(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }

    /// Whether it is this machine itself.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

/// Up to `burst` at once, refilled at a rate. It can be overdrawn: the debt is the delay.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    tokens_max: f64,
    tokens_per_second: f64,
    refilled: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(burst: u32, tokens_per_second: f64, now: Instant) -> Self {
        let tokens_max = f64::from(burst);
        Self { tokens: tokens_max, tokens_max, tokens_per_second, refilled: now }
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.tokens_per_second).min(self.tokens_max);
        self.refilled = now;
    }

    /// Takes one token; how long until the bucket has it to give.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens / self.tokens_per_second).max(0.0))
    }
}

/// Failed logins and registrations by address. Shared by all clients' threads.
#[derive(Debug)]
pub(crate) struct LoginThrottle {
    burst: u32,
    per_second: f64,
    limit_loopback: bool,
    addresses: Mutex<HashMap<AddressKey, Bucket>>,
}

impl LoginThrottle {
    /// `burst` at once, then `per_minute`.
    pub(crate) fn new(burst: u32, per_minute: u32, limit_loopback: bool) -> Self {
        let per_second = f64::from(per_minute) / 60.0;
        Self { burst, per_second, limit_loopback, addresses: Mutex::default() }
    }

    /// Counts one, and says how long its answer is to wait: each time longer, to 10 s at most.
    pub(crate) fn take(&self, address: AddressKey, now: Instant) -> Duration {
        if address.is_loopback() && !self.limit_loopback {
            return Duration::ZERO;
        }
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&address) {
            addresses.retain(|_, bucket| {
                bucket.refill(now);
                bucket.tokens < bucket.tokens_max
            });
            if addresses.len() >= ADDRESSES_MAX {
                // So many strangers at once: all that are not remembered wait.
                return DELAY_MAX;
            }
        }
        let new = || Bucket::new(self.burst, self.per_second, now);
        let bucket = addresses.entry(address).or_insert_with(new);
        bucket.take(now);
        // A second for each that is owed. The debt is bounded, so that patience clears it.
        bucket.tokens = bucket.tokens.max(-DELAY_MAX.as_secs_f64());
        Duration::from_secs_f64(-bucket.tokens.min(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 2.0, start);
        let delays: Vec<u128> = (0..5).map(|_| bucket.take(start).as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 500, 1000]);
        assert_eq!(bucket.take(start + Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn failed_logins_wait_longer_each_time_up_to_ten_seconds() {
        let throttle = LoginThrottle::new(2, 5, false);
        let (start, address) = (Instant::now(), AddressKey::new([192, 0, 2, 1].into()));
        let delays: Vec<u64> = (0..14).map(|_| throttle.take(address, start).as_secs()).collect();
        assert_eq!(delays, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
        let other = AddressKey::new([192, 0, 2, 2].into());
        assert_eq!(throttle.take(other, start), Duration::ZERO);
    }

    #[test]
    fn loopback_is_free_and_ipv6_counts_by_its_network() {
        let key = |text: &str| AddressKey::new(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert!(key("::1").is_loopback() && key("127.0.0.9").is_loopback());
        let throttle = LoginThrottle::new(1, 1, false);
        assert!((0..9).all(|_| throttle.take(key("::1"), Instant::now()).is_zero()));
    }
}
