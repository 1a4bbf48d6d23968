//! What those who mean no good cost the others.

use std::io::Write;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::clients::{Blocking, Clients, PASSWORD, login_request, read_answer};
use crate::server::{Rules, Server};
use crate::{COLUMNS, Figures, Outcome, Plan, Side, machine, print_figures, print_head, print_row};

/// Clients that never read.
const DEAF: usize = 100;
/// What may wait for one of them, by default.
const BOUND_KIB: f64 = 4096.0;
/// What is logged when one of them is closed.
const CLOSED: &str = "closed a client that did not read its events";
/// How long they may take to be past their bounds.
const FILL_TIMEOUT: Duration = Duration::from_secs(60);

/// Logins at once.
const LOGINS: usize = 200;
/// How long one who pings pauses between an answer and the next.
const PING_PAUSE: Duration = Duration::from_millis(2);

/// Holds a server with clients that never read beside one without, a round of this and a round
/// of that, so that both have the same machine; then fills their bounds.
pub(crate) fn measure_deaf(folder: &Path, core: usize, plan: &Plan) -> Outcome<()> {
    let (count, deaf) = (108 / plan.divisor, DEAF / plan.divisor);
    println!("{deaf} clients that never read, beside none. From each send to each delivery:\n");
    let mut none = Side::start("nobody is deaf", Rules::None, folder, core, count)?;
    let mut some = Side::start("some are deaf", Rules::None, folder, core, count)?;
    let before_kib = some.server.resident_kib()?;
    print_head();
    for senders in [1, 8] {
        for _ in 0..plan.rounds {
            for side in [&mut none, &mut some] {
                let outcome = measure_side(side, senders, deaf, plan);
                side.server.explain(outcome)?;
            }
        }
        let pairs: Vec<Figures> = some
            .rounds
            .iter()
            .zip(&none.rounds)
            .map(|(some, none)| std::array::from_fn(|column| some[column] / none[column]))
            .collect();
        for side in [&mut none, &mut some] {
            print_row(&format!("{senders} of {count} send, {}", side.what), count, &side.rounds);
            side.rounds.clear();
        }
        print_figures("the second by the first", count, &pairs, [3; COLUMNS.len()]);
    }
    let outcome = fill_bounds(&mut some, deaf);
    let closed = some.server.explain(outcome)?;
    let peak_kib = some.server.peak_kib()? - before_kib;
    println!("\nAll {deaf} were closed within {closed:.1?} of 8 sending. The most memory that the");
    println!(
        "server took for them, in all of this: {peak_kib:.0} KiB, {:.2} bounds for each.\n",
        peak_kib / BOUND_KIB / deaf as f64
    );
    none.server.stop()?;
    some.server.stop()
}

fn measure_side(side: &mut Side, senders: usize, deaf: usize, plan: &Plan) -> Outcome<()> {
    side.clients.tally.times_deliveries = true;
    if side.what == "some are deaf" {
        side.clients.renew_deaf(deaf)?;
    }
    side.clients.start(senders, 1);
    // Until whatever the system holds for those who do not read is full.
    side.clients.run_for(plan.round / 2)?;
    side.measure(senders, plan)
}

/// Sends until all who do not read are closed; how long that took.
fn fill_bounds(side: &mut Side, deaf: usize) -> Outcome<Duration> {
    side.clients.renew_deaf(deaf)?;
    let closed_before = side.server.count_logged(CLOSED)?;
    let begun = Instant::now();
    side.clients.start(8, 1);
    while side.server.count_logged(CLOSED)? < closed_before + deaf {
        if begun.elapsed() > FILL_TIMEOUT {
            return Err("those who do not read are not closed".into());
        }
        side.clients.run_for(Duration::from_millis(100))?;
    }
    side.clients.finish()?;
    Ok(begun.elapsed())
}

/// Lets one ping alone, and then amid logins of which every other has a wrong password.
pub(crate) fn measure_storm(folder: &Path, cores: &[usize], plan: &Plan) -> Outcome<()> {
    // Neither has a core of its own here: that is what a storm is about.
    machine::pin(cores)?;
    let server = Server::start(folder, 1, cores, Rules::None)?;
    server.explain(measure_pings(&server, LOGINS / plan.divisor))?;
    server.stop()
}

fn measure_pings(server: &Server, logins: usize) -> Outcome<()> {
    let clients = Clients::new(server)?;
    let open = || -> Outcome<Blocking> {
        let mut connection = clients.open()?;
        ping(&mut connection)?;
        Ok(connection)
    };
    let mut pinger = open()?;
    let mut first = open()?;
    log_in(&mut first, PASSWORD)?;
    read_answer(&mut first, "login")?;
    let mut stormers = (0..logins).map(|_| open()).collect::<Outcome<Vec<_>>>()?;
    let before_kib = server.resident_kib()?;

    let until = Instant::now() + Duration::from_secs(1);
    let alone = ping_until(&mut pinger, || Instant::now() >= until)?;
    let begun = Instant::now();
    for (number, stormer) in stormers.iter_mut().enumerate() {
        log_in(stormer, [PASSWORD, "wrong"][number % 2])?;
    }
    let amid = thread::scope(|scope| {
        let answers = scope.spawn(|| {
            let answers = stormers.iter_mut().map(|it| read_answer(it, "login").is_ok());
            answers.filter(|came| *came).count()
        });
        let amid = ping_until(&mut pinger, || answers.is_finished());
        match answers.join() {
            Ok(count) if count == logins => amid,
            _ => Err("a login was not answered".into()),
        }
    })?;
    let took = begun.elapsed();
    println!("{logins} logins at once, every other with a wrong password, took {took:.1?}.\n");
    println!("| pings | count | p50 ms | p99 ms | most ms |\n|---|--:|--:|--:|--:|");
    for (what, sorted) in [("alone", alone), ("amid the logins", amid)] {
        let at = |percent| sorted.get((sorted.len() - 1) * percent / 100).copied();
        let [p50, p99, most] = [50, 99, 100].map(|percent| at(percent).unwrap_or(f64::NAN));
        println!("| {what} | {} | {p50:.2} | {p99:.2} | {most:.2} |", sorted.len());
    }
    let peak_kib = server.peak_kib()? - before_kib;
    println!("\nThey took {peak_kib:.0} KiB more memory at most.\n");
    Ok(())
}

fn log_in(connection: &mut Blocking, password: &str) -> Outcome<()> {
    Ok(connection.write_all(login_request(0, password).as_bytes())?)
}

fn ping(connection: &mut Blocking) -> Outcome<()> {
    connection.write_all(b"{\"command\":\"ping\"}\n")?;
    read_answer(connection, "ping").map(drop)
}

/// How long each ping took, in order of that.
fn ping_until(connection: &mut Blocking, is_over: impl Fn() -> bool) -> Outcome<Vec<f64>> {
    let mut latencies_ms = Vec::new();
    while !is_over() {
        let begun = Instant::now();
        ping(connection)?;
        latencies_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        sleep(PING_PAUSE);
    }
    latencies_ms.sort_unstable_by(f64::total_cmp);
    Ok(latencies_ms)
}
