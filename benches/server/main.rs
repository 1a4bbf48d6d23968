//! The bench: one program that holds all clients, against a server in a process of its own,
//! over TLS on loopback.
//!
//! `make bench`, or `cargo bench --bench server -- [--quick] [ROW]...`: all rows, or those
//! whose names begin as told (`'fan-out to 100'`, `memory`). `--quick` shows within seconds
//! that the bench itself works; its figures mean nothing.
//!
//! Each row gives the medians of several rounds of steady load, and then waits until every
//! client has every message. A row's senders are sent their own messages too, and these
//! count as deliveries.

mod clients;
mod machine;
mod server;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clients::{CONTENT_BYTES, Clients};
use machine::Cores;
use server::{Server, cpu_time};

/// What goes wrong ends the bench, in words.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// A row: its name, senders, clients that only listen, and each sender's window (requests
/// that it sends ahead of their answers).
const LOADS: [(&str, usize, usize, usize); 9] = [
    ("sends, 1 sender", 1, 0, 1),
    ("sends, 8 senders", 8, 0, 1),
    ("sends, 64 senders", 64, 0, 1),
    ("fan-out to 100", 1, 100, 1),
    ("fan-out to 100, window 32", 1, 100, 32),
    ("fan-out to 100, 8 senders", 8, 100, 1),
    ("fan-out to 100, 64 senders", 64, 100, 1),
    ("fan-out to 500", 1, 500, 1),
    ("fan-out to 500, window 32", 1, 500, 32),
];

/// The row of idle connections.
const MEMORY: &str = "memory";

/// The columns of figures and their decimals. Shares of CPU are of one core.
const COLUMNS: [(&str, usize); 7] = [
    ("sends/s", 0),
    ("p50 ms", 2),
    ("p99 ms", 2),
    ("deliveries/s", 0),
    ("server CPU µs/delivery", 2),
    ("server CPU %", 0),
    ("generator CPU %", 0),
];

/// How long and how large.
struct Plan {
    rounds: usize,
    round: Duration,
    /// What all numbers of receivers are divided by.
    divisor: usize,
    idle_connections: usize,
}

const FULL: Plan =
    Plan { rounds: 5, round: Duration::from_millis(1500), divisor: 1, idle_connections: 1000 };
const QUICK: Plan =
    Plan { rounds: 3, round: Duration::from_millis(100), divisor: 10, idle_connections: 50 };

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
    let names = || LOADS.map(|load| load.0).into_iter().chain([MEMORY]);
    let mut plan = &FULL;
    let mut rows = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => {} // What cargo adds.
            "--quick" => plan = &QUICK,
            row if names().any(|name| name.starts_with(row)) => rows.push(argument),
            _ => return Err(format!("{argument}: rows are {:?}", Vec::from_iter(names())).into()),
        }
    }
    let wanted = |name: &str| rows.is_empty() || rows.iter().any(|row| name.starts_with(row));

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let cores = Cores::find()?;
    machine::allow_many_files()?;
    println!("Machine: {}.", machine::describe(folder)?);
    println!("{cores}. Medians of {} rounds of {:?}.\n", plan.rounds, plan.round);

    let mut loads = LOADS.map(|(name, senders, receivers, window)| {
        (name, senders, senders + receivers / plan.divisor, window)
    });
    loads.sort_by_key(|load| load.2); // Clients are only ever added.
    if loads.iter().any(|load| wanted(load.0)) {
        let server = Server::start(folder, loads[loads.len() - 1].2, &cores)?;
        let loads = loads.iter().filter(|load| wanted(load.0));
        server.watch(measure_loads(&server, loads, plan))?;
        server.stop()?;
    }
    if wanted(MEMORY) {
        let server = Server::start(folder, plan.idle_connections, &cores)?;
        server.watch(measure_memory(&server, plan.idle_connections))?;
        server.stop()?;
    }
    Ok(())
}

fn measure_loads<'a>(
    server: &Server,
    loads: impl Iterator<Item = &'a (&'static str, usize, usize, usize)>,
    plan: &Plan,
) -> Outcome<()> {
    println!("| load | clients | {} |", COLUMNS.map(|(name, _)| name).join(" | "));
    println!("|---|--:{}|", "|--:".repeat(COLUMNS.len()));
    let mut clients = Clients::new(server.address)?;
    let mut held = false;
    for &(name, senders, count, window) in loads {
        clients.grow_to(count)?;
        clients.start(senders, window);
        clients.run_for(plan.round / 3)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.rounds {
            rounds.push(measure_round(server, &mut clients, plan.round)?);
        }
        clients.finish().map_err(|error| format!("{name}: {error}"))?;
        held |= clients.tally.held;
        print!("| {name}{} | {count} |", if clients.tally.held { " *" } else { "" });
        for (column, (_, decimals)) in COLUMNS.iter().enumerate() {
            rounds.sort_unstable_by(|one, other| one[column].total_cmp(&other[column]));
            print!(" {} |", grouped(rounds[plan.rounds / 2][column], *decimals));
        }
        println!();
    }
    let (request, event) = (clients.tally.request_bytes, clients.tally.event_bytes);
    print!("\nText of {CONTENT_BYTES} bytes; a request is {request}, an event {event} before TLS.");
    println!("{}\n", if held { " *: paused at times for the load generator." } else { "" });
    Ok(())
}

fn measure_round(
    server: &Server,
    clients: &mut Clients,
    duration: Duration,
) -> Outcome<[f64; COLUMNS.len()]> {
    let (server_time, own_time, start) = (server.cpu_time()?, cpu_time("self")?, Instant::now());
    let (acknowledged, delivered) = (clients.tally.acknowledged, clients.tally.deliveries);
    clients.tally.latencies_us.clear();
    clients.run_for(duration)?;
    let seconds = start.elapsed().as_secs_f64();
    let sends = (clients.tally.acknowledged - acknowledged) as f64;
    let deliveries = (clients.tally.deliveries - delivered) as f64;
    let own_s = (cpu_time("self")? - own_time).as_secs_f64();
    let server_s = (server.cpu_time()? - server_time).as_secs_f64();

    let latencies = &mut clients.tally.latencies_us;
    latencies.sort_unstable();
    let last = latencies.len().checked_sub(1).ok_or("no send was answered in a whole round")?;
    let percentile_ms = |percent| f64::from(latencies[last * percent / 100]) / 1e3;
    Ok([
        sends / seconds,
        percentile_ms(50),
        percentile_ms(99),
        deliveries / seconds,
        server_s * 1e6 / deliveries,
        server_s / seconds * 100.0,
        own_s / seconds * 100.0,
    ])
}

fn measure_memory(server: &Server, count: usize) -> Outcome<()> {
    let mut clients = Clients::new(server.address)?;
    let alone = server.resident_kib()?;
    // The first login brings in the memory to hash in, which is no matter of connections.
    clients.grow_to(1)?;
    clients.run_for(Duration::from_secs(1))?;
    let with_one = server.resident_kib()?;
    clients.grow_to(count)?;
    clients.run_for(Duration::from_secs(2))?;
    let with_all = server.resident_kib()?;
    println!("| resident memory | KiB |\n|---|--:|");
    println!("| the process without clients | {} |", grouped(alone, 0));
    println!(
        "| with one, and the memory that its password was hashed in | {} |",
        grouped(with_one, 0)
    );
    println!("| with {count} idle clients logged in | {} |", grouped(with_all, 0));
    println!("| for each of these | {} |", grouped((with_all - with_one) / (count - 1) as f64, 1));
    Ok(())
}

/// A number with commas between thousands.
fn grouped(number: f64, decimals: usize) -> String {
    let mut text = format!("{number:.decimals$}");
    let mut at = text.find('.').unwrap_or(text.len());
    while at > 3 {
        at -= 3;
        text.insert(at, ',');
    }
    text
}
