//! Senders at full speed, `kill -9` at a random moment, a new start, and everything compared
//! with what the senders were answered; again and again.
//!
//! usage: torture [CYCLES [SEED]], by `make torture`.
//!
//! After each kill the database's own check has to pass, on a copy, so that the server has to
//! recover by itself. After each start the senders ask again for what was not answered, with the
//! same nonces; then every message that was answered 200 must be in history once, in its
//! sender's order, and nothing else may be.
//!
//! *Not shown here:* that a commit survives a loss of power. A killed process leaves what it wrote
//! to the kernel; `tests/durability.py` looks for the fsync.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on has failed, and nothing here is an interface"
)]

#[path = "../it/model/chance.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod chance;
mod life;
mod sender;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod support;

use std::env;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chance::Chance;
use life::{Life, Tally};

/// Cycles in one database at most: all of it is checked after each, which is not to become the
/// larger part of the work.
const CYCLES_IN_A_LIFE: u32 = 20;

fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let cycles = u32::try_from(numbers.next().unwrap_or(20)).expect("so many cycles never end");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock before 1970");
    let seed = numbers.next().unwrap_or_else(|| u64::from(now.subsec_nanos()));
    println!("torture: {cycles} cycles; the seed is {seed}");

    let (begun, mut chance, mut tally) = (Instant::now(), Chance::new(seed), Tally::default());
    let mut left = cycles;
    while left > 0 {
        let count = left.min(CYCLES_IN_A_LIFE);
        let mut life = Life::begin(&mut chance);
        for _ in 0..count {
            life.cycle(&mut chance, &mut tally);
        }
        life.end();
        left -= count;
        println!("torture: {} cycles done; {}", cycles - left, tally.messages_line());
    }
    println!("torture: {}", tally.others_line());
    println!("torture: ok, all of it is there once and in order, in {:.0?}", begun.elapsed());
}
