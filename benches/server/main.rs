//! The bench: one program that holds all clients, against a server in a process of its own,
//! over TLS on loopback.
//!
//! `make bench`, or `cargo bench --bench server -- [--quick] [ROW]...`: all rows, or those
//! whose names begin as told (`'fan-out 100'`, `memory`). `--quick` shows within a minute
//! that the bench itself works; its figures mean nothing. `--peers`, or `make bench-peers`: the
//! rows that have a like on ngircd, beside it.
//!
//! Each row gives the medians of several rounds of steady load, after each of which every client
//! has every message. There is one channel: senders are sent what all say, too, and these count as
//! deliveries. What a row stands beside takes turns with it, a round of this and a round of that,
//! and the ratio is the median over these pairs.
//!
//! The generator's share is that of the time in which it had something to do. Where that is near
//! 100 %, the row says little of the server; and little, too, where others take CPU.

mod abuse;
mod bare;
mod clients;
mod commits;
mod crowd;
mod database;
mod dialect;
mod durable;
mod fanout;
mod growth;
mod histogram;
mod history;
mod logins;
mod machine;
mod memory;
mod ngircd;
mod peers;
mod reconnect;
mod report;
mod rest;
mod rounds;
mod rules;
mod server;
mod start;
mod stream;
mod tally;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use report::Report;

/// What goes wrong ends the bench, in words.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long and how large. The number of receivers is divided by `divisor`.
struct Plan {
    rounds: usize,
    round: Duration,
    divisor: usize,
}

const FULL: Plan = Plan { rounds: 5, round: Duration::from_millis(1500), divisor: 1 };
const QUICK: Plan = Plan { rounds: 3, round: Duration::from_millis(100), divisor: 10 };

/// Where it all happens.
struct Bench {
    folder: PathBuf,
    server_core: usize,
    own_core: usize,
    plan: &'static Plan,
    /// Beginnings of the names of rows; without any, all are wanted.
    wanted: Vec<String>,
}

impl Bench {
    /// Whether somebody asked for rows of this name, or for some of those that begin with it.
    fn is_wanted(&self, name: &str) -> bool {
        let is_meant =
            |wanted: &String| name.starts_with(wanted.as_str()) || wanted.starts_with(name);
        self.wanted.is_empty() || self.wanted.iter().any(is_meant)
    }
}

type Measure = fn(&Bench, &mut Report) -> Outcome<()>;

/// Beginnings of rows' names, and what measures them.
const MEASURES: [(&str, Measure); 15] = [
    ("fan-out", fanout::measure_fanout),
    ("stalled receivers", abuse::measure_stalled),
    ("durable sends", durable::measure_durable),
    ("latency at rest", rest::measure_rest),
    ("memory", memory::measure_memory),
    ("logins", logins::measure_logins),
    ("reconnect", reconnect::measure_reconnect),
    ("reconnect", reconnect::measure_reconnect_by_password),
    ("history", history::measure_history),
    ("growth", growth::measure_growth),
    ("start", start::measure_start),
    ("binary", start::measure_binary),
    ("rules", rules::measure_rules),
    ("deaf", abuse::measure_deaf),
    ("storm", abuse::measure_storm),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let (flags, wanted): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let plan = if flags.iter().any(|flag| flag == "--quick") { &QUICK } else { &FULL };
    println!("{}.", machine::describe()?);
    machine::allow_many_files()?;
    let (server_core, own_core) = machine::choose_cores()?;
    machine::pin(&[own_core])?;
    println!(
        "Server and bare loops on core {server_core} only, load generator on core {own_core}."
    );
    println!("Medians of {} rounds of {:?}.\n", plan.rounds, plan.round);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let bench = Bench { folder, server_core, own_core, plan, wanted };
    let mut report = Report::default();
    let are_peers = flags.iter().any(|flag| flag == "--peers");
    if are_peers {
        peers::measure_peers(&bench, &mut report)?;
        return report.write(&bench.folder.join("../bench-peers.json"));
    }
    for (name, measure) in MEASURES {
        if bench.is_wanted(name) {
            measure(&bench, &mut report)?;
        }
    }
    database::remove_histories(&bench)?;
    // Beside what was built, where `make` looks for nothing else.
    report.write(&bench.folder.join("../bench.json"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
