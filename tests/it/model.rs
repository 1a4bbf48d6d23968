//! Random commands on channels, groups and permissions by members of all ranks: every status,
//! every view and every event must be those of a plain reference, and nobody may rise.
//!
//! `ASTER_MODEL_SEED=n` replays the sequence that a failure names; `ASTER_MODEL_SEQUENCES=n`
//! plays more than the usual ones.

pub mod chance;
mod effects;
mod examples;
mod generator;
mod orders;
mod reference;
mod rules;
mod safety;
mod stage;
mod views;

use std::env;
use std::panic::resume_unwind;
use std::thread;

use generator::Mood;
use stage::{Stage, Tally};

/// Of each mood.
const SEQUENCES: u64 = 1000;
const COMMANDS: usize = 12;
/// From how many answers on their mixture is looked at.
const ANSWERS_TO_JUDGE: usize = 5000;
/// Servers at a time, for each mood.
const SERVERS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")))
}

/// Plays all sequences of a mood, shared among the servers. Panics with the first that fails.
fn play(mood: Mood) -> Tally {
    let count = number("ASTER_MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let seeds = match number("ASTER_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    };
    let servers = SERVERS.min(seeds.end - seeds.start);
    let play_share = |share: u64| {
        let mut stage = Stage::set_up();
        for seed in seeds.clone().skip(share as usize).step_by(servers as usize) {
            let outcome = stage.play(mood, seed, COMMANDS);
            outcome
                .unwrap_or_else(|problem| panic!("{mood:?}: ASTER_MODEL_SEED={seed}\n{problem}"));
        }
        stage.close().unwrap_or_else(|problem| panic!("{mood:?}, at the end: {problem}"))
    };
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let shares: Vec<_> =
            (0..servers).map(|share| scope.spawn(move || play_share(share))).collect();
        let tallies = shares.into_iter().map(|share| share.join());
        tallies.map(|tally| tally.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        sum.packets += tally.packets;
        for (key, count) in tally.statuses {
            *sum.statuses.entry(key).or_default() += count;
        }
        for (key, count) in tally.rules {
            *sum.rules.entry(key).or_default() += count;
        }
    }
    println!("{mood:?}: seeds {seeds:?}, {} requests", sum.packets);
    sum.statuses.iter().for_each(|(key, count)| println!("  {key:?}: {count}"));
    sum.rules.iter().for_each(|(key, count)| println!("  {key:?}: {count}"));
    sum
}

/// The share of a status among all answers, in percent.
fn share(tally: &Tally, status: u16) -> usize {
    let all: usize = tally.statuses.values().sum();
    let those = tally.statuses.iter().filter(|((_, other), _)| *other == status);
    100 * those.map(|(_, count)| count).sum::<usize>() / all
}

/// Fails if the commands were not such that much could have gone wrong.
fn expect_shares(tally: &Tally, least: &[(u16, usize)]) {
    // A few sequences need not be a good mixture.
    if tally.statuses.values().sum::<usize>() >= ANSWERS_TO_JUDGE {
        for (status, percent) in least {
            assert!(share(tally, *status) >= *percent, "too few answers are {status}");
        }
    }
}

#[test]
fn whatever_members_command_the_server_does_as_the_reference() {
    expect_shares(&play(Mood::Mixed), &[(200, 33), (400, 3), (403, 20), (404, 3)]);
}

#[test]
fn nobody_rises_by_what_they_and_their_accomplices_command() {
    expect_shares(&play(Mood::Attack), &[(200, 33), (400, 3), (403, 20), (404, 3)]);
}
