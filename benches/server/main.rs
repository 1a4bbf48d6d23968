//! The bench: one program that holds all clients, against a server in a process of its own,
//! over TLS on loopback.
//!
//! `make bench`, or `cargo bench --bench server -- [--quick] [ROW]...`: all rows, or those
//! whose names begin as told (`'fan-out to 100'`, `memory`). `--quick` shows within seconds
//! that the bench itself works; its figures mean nothing.
//!
//! Each row gives the medians of several rounds of steady load, and then waits until every
//! client has every message. There is one channel: senders are sent what all say, too, and
//! these count as deliveries.

mod abuse;
mod clients;
mod machine;
mod server;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clients::Clients;
use server::{GROUPS, Rules, Server};

/// What goes wrong ends the bench, in words.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// A row: its name, senders, clients that only listen, and each sender's window (requests
/// that it sends ahead of their answers). Clients are only ever added, so they ascend.
const LOADS: [(&str, usize, usize, usize); 9] = [
    ("sends, 1 sender", 1, 0, 1),
    ("sends, 8 senders", 8, 0, 1),
    ("sends, 64 senders", 64, 0, 1),
    ("fan-out to 100", 1, 100, 1),
    ("fan-out to 100, window 32", 1, 100, 32),
    ("fan-out to 100, 64 senders", 64, 100, 1),
    ("fan-out to 500", 1, 500, 1),
    ("fan-out to 500, window 32", 1, 500, 32),
    ("fan-out to 500, 64 senders", 64, 500, 1),
];

/// The columns of figures and their decimals. Shares of CPU are of one core; where others take
/// more than a few percent, the row is worth little.
const COLUMNS: [(&str, usize); 8] = [
    ("sends/s", 0),
    ("p50 ms", 2),
    ("p99 ms", 2),
    ("deliveries/s", 0),
    ("server CPU µs/delivery", 2),
    ("server CPU %", 0),
    ("generator CPU %", 0),
    ("others' CPU %", 0),
];

/// How long and how large. The number of receivers is divided by `divisor`.
struct Plan {
    rounds: usize,
    round: Duration,
    divisor: usize,
    idle_connections: usize,
}

const FULL: Plan =
    Plan { rounds: 7, round: Duration::from_millis(1500), divisor: 1, idle_connections: 1000 };
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
    let (flags, rows): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let plan = if flags.iter().any(|flag| flag == "--quick") { &QUICK } else { &FULL };
    let is_wanted = |name: &str| rows.is_empty() || rows.iter().any(|row| name.starts_with(row));

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("{}.", machine::describe()?);
    machine::allow_many_files()?;
    let (server_core, own_core) = machine::choose_cores()?;
    println!("Server on core {server_core} only, load generator on core {own_core}.");
    // There, since a core far from the disk's interrupts may commit a third less.
    machine::pin(&[server_core])?;
    let commits = (0..plan.rounds).map(|_| server::measure_commits(folder, plan.round / 3));
    let commits = median(commits.collect::<Outcome<_>>()?);
    machine::pin(&[own_core])?;
    println!("SQLite alone commits {commits:.0} messages/s there, each by itself.");
    println!("Medians of {} rounds of {:?}.\n", plan.rounds, plan.round);

    let loads = || LOADS.iter().filter(|load| is_wanted(load.0));
    if let Some(members) = loads().map(|load| load.1 + load.2).max() {
        let server = Server::start(folder, members, &[server_core], Rules::None)?;
        server.explain(measure_loads(&server, loads(), plan))?;
        server.stop()?;
    }
    if is_wanted("rules") {
        measure_rules(folder, server_core, plan)?;
    }
    if is_wanted("deaf") {
        abuse::measure_deaf(folder, server_core, plan)?;
    }
    if is_wanted("storm") {
        abuse::measure_storm(folder, &[server_core, own_core], plan)?;
        machine::pin(&[own_core])?;
    }
    if is_wanted("memory") {
        let server = Server::start(folder, plan.idle_connections, &[server_core], Rules::None)?;
        server.explain(measure_memory(&server, plan.idle_connections))?;
        server.stop()?;
    }
    Ok(())
}

fn measure_loads<'a>(
    server: &Server,
    loads: impl Iterator<Item = &'a (&'static str, usize, usize, usize)>,
    plan: &Plan,
) -> Outcome<()> {
    print_head();
    let mut clients = Clients::new(server)?;
    for &(name, senders, receivers, window) in loads {
        let count = clients.grow_to(senders + receivers / plan.divisor)?;
        clients.start(senders, window);
        let rounds = measure_rounds(server, &mut clients, plan)
            .map_err(|error| format!("{name}: {error}"))?;
        print_row(&format!("{name}{}", if clients.tally.held { " *" } else { "" }), count, &rounds);
    }
    let (request, event) = (clients.tally.request_bytes, clients.tally.event_bytes);
    println!("\nBefore TLS a request has {request} bytes, an event {event}.");
    println!("A *: the senders paused at times, for the load generator was the slower side.\n");
    match server.hash_stored_messages()? == clients.hash_heard_messages() {
        true => Ok(()),
        false => Err("what is stored is not what was delivered, or in another order".into()),
    }
}

fn print_head() {
    println!("| load | clients | {} |", COLUMNS.map(|(name, _)| name).join(" | "));
    println!("|---|--:{}|", "|--:".repeat(COLUMNS.len()));
}

fn print_row(name: &str, count: usize, rounds: &[Figures]) {
    print_figures(name, count, rounds, COLUMNS.map(|(_, decimals)| decimals));
}

/// The medians of some rounds, each with so many decimals.
fn print_figures(name: &str, count: usize, rounds: &[Figures], decimals: [usize; COLUMNS.len()]) {
    print!("| {name} | {count} |");
    for (column, decimals) in decimals.into_iter().enumerate() {
        let figure = median(rounds.iter().map(|round| round[column]).collect());
        print!(" {figure:.decimals$} |");
    }
    println!();
}

/// A server under measurement and its clients.
struct Side {
    what: &'static str,
    server: Server,
    clients: Clients,
    rounds: Vec<Figures>,
}

impl Side {
    fn start(
        what: &'static str,
        rules: Rules,
        folder: &Path,
        core: usize,
        count: usize,
    ) -> Outcome<Self> {
        let server = Server::start(folder, count, &[core], rules)?;
        let mut clients = server.explain(Clients::new(&server))?;
        server.explain(clients.grow_to(count))?;
        Ok(Self { what, server, clients, rounds: Vec::new() })
    }

    fn measure(&mut self, senders: usize, plan: &Plan) -> Outcome<()> {
        self.clients.start(senders, 1);
        self.clients.run_for(plan.round / 6)?;
        self.rounds.push(measure_round(&self.server, &mut self.clients, plan.round)?);
        self.clients.finish()
    }
}

/// Holds a server with many groups and overrides beside one that has none, a round of this and a
/// round of that, so that both have the same machine.
fn measure_rules(folder: &Path, core: usize, plan: &Plan) -> Outcome<()> {
    let count = 108 / plan.divisor;
    println!(
        "{GROUPS} groups, and overrides for each in every one of {} channels, beside none.\n",
        GROUPS + 1
    );
    let mut none = Side::start("no rules", Rules::None, folder, core, count)?;
    let mut many = Side::start("many rules", Rules::Many, folder, core, count)?;
    print_head();
    for senders in [1, 8] {
        for _ in 0..plan.rounds {
            for side in [&mut none, &mut many] {
                let outcome = side.measure(senders, plan);
                side.server.explain(outcome)?;
            }
        }
        let pairs: Vec<Figures> = many
            .rounds
            .iter()
            .zip(&none.rounds)
            .map(|(many, none)| std::array::from_fn(|column| many[column] / none[column]))
            .collect();
        for side in [&mut none, &mut many] {
            print_row(&format!("{senders} of {count} send, {}", side.what), count, &side.rounds);
            side.rounds.clear();
        }
        print_figures("the second by the first", count, &pairs, [3; COLUMNS.len()]);
    }
    println!();
    none.server.stop()?;
    many.server.stop()
}

/// What one round comes to, as [`COLUMNS`] has it.
type Figures = [f64; COLUMNS.len()];

fn measure_rounds(server: &Server, clients: &mut Clients, plan: &Plan) -> Outcome<Vec<Figures>> {
    clients.run_for(plan.round / 3)?;
    let rounds = (0..plan.rounds).map(|_| measure_round(server, clients, plan.round));
    let rounds = rounds.collect::<Outcome<_>>()?;
    clients.finish()?;
    Ok(rounds)
}

fn measure_round(server: &Server, clients: &mut Clients, duration: Duration) -> Outcome<Figures> {
    let cpu_s = || -> Outcome<_> {
        Ok([server.cpu_s()?, machine::cpu_s("self")?, machine::cpu_s_of_all()?])
    };
    let (cpu_start_s, start) = (cpu_s()?, Instant::now());
    let (delivered, sent) = (clients.tally.deliveries, clients.tally.acknowledged);
    clients.tally.latencies_ms.clear();
    clients.run_for(duration)?;
    let (seconds, cpu_end_s) = (start.elapsed().as_secs_f64(), cpu_s()?);
    let [server_s, own_s, all_s] = [0, 1, 2].map(|who| cpu_end_s[who] - cpu_start_s[who]);
    let deliveries = (clients.tally.deliveries - delivered) as f64;

    // One for each send that was answered, or for each delivery.
    let latencies = &mut clients.tally.latencies_ms;
    latencies.sort_unstable_by(f64::total_cmp);
    let percentile = |percent| latencies.get(latencies.len() * percent / 100);
    Ok([
        (clients.tally.acknowledged - sent) as f64 / seconds,
        percentile(50).copied().unwrap_or(f64::NAN),
        percentile(99).copied().unwrap_or(f64::NAN),
        deliveries / seconds,
        server_s * 1e6 / deliveries,
        server_s / seconds * 100.0,
        own_s / seconds * 100.0,
        (all_s - server_s - own_s).max(0.0) / seconds * 100.0,
    ])
}

fn measure_memory(server: &Server, count: usize) -> Outcome<()> {
    let mut clients = Clients::new(server)?;
    let alone_kib = server.resident_kib()?;
    // The first login brings in the memory to hash in, which is no matter of connections.
    clients.grow_to(1)?;
    clients.run_for(Duration::from_secs(1))?;
    let with_one_kib = server.resident_kib()?;
    clients.grow_to(count)?;
    clients.run_for(Duration::from_secs(2))?;
    let with_all_kib = server.resident_kib()?;
    println!("| resident memory | KiB |\n|---|--:|\n| without clients | {alone_kib} |");
    println!("| with one, and what its password was hashed in | {with_one_kib} |");
    println!("| with {count} idle clients logged in | {with_all_kib} |");
    println!("| for each of these | {:.1} |", (with_all_kib - with_one_kib) / (count - 1) as f64);
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
