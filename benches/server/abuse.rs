//! What those who mean no good cost the others.

use std::io::Write;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::clients::{Blocking, Clients, PASSWORD, read_answer};
use crate::database::make_community;
use crate::dialect::login_request;
use crate::histogram::Histogram;
use crate::report::{Report, Row};
use crate::rounds::{Round, Side, middle, middle_ratio};
use crate::server::{Rules, Server};
use crate::{Bench, Outcome, machine};

/// Clients that listen; those who never read among them, or beside them.
const LISTENERS: usize = 100;
const STALLED: usize = 20;
const DEAF: usize = 100;
const SENDERS: [usize; 2] = [1, 8];
/// What the stalled may cost the others.
const COST_MAX: f64 = 0.05;
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

/// Holds a server of whose clients some never read beside one where all do.
pub(crate) fn measure_stalled(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let [listeners, stalled] = [LISTENERS, STALLED].map(|count| count / bench.plan.divisor);
    let case = format!("{stalled} of {listeners} never read, beside none");
    let counts = (listeners, listeners - stalled, stalled);
    let sides = measure_sides(bench, report, ("stalled receivers", &case), counts)?;
    sides.into_iter().try_for_each(|side| side.server.stop())
}

/// Holds a server with clients that never read beside one without; then fills their bounds.
pub(crate) fn measure_deaf(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let [listeners, deaf] = [LISTENERS, DEAF].map(|count| count / bench.plan.divisor);
    let case = format!("{deaf} that never read beside {listeners}, and without");
    let [none, mut some] =
        measure_sides(bench, report, ("deaf", &case), (listeners, listeners, deaf))?;
    let before_kib = some.server.resident_kib()?;
    let outcome = fill_bounds(&mut some, deaf);
    let closed = some.server.explain(outcome)?;
    let peak_kib = some.server.peak_kib()? - before_kib;
    report.add(Row {
        measure: "deaf",
        case: format!("{deaf} that never read, until all are closed"),
        figures: vec![
            ("s of 8 sending", closed.as_secs_f64()),
            ("KiB at the peak", peak_kib),
            ("of the bound for each", peak_kib / BOUND_KIB / deaf as f64),
        ],
        limit: None,
        ratio: None,
        goal: None,
    });
    none.server.stop()?;
    some.server.stop()
}

/// A round of this and a round of that, so that both have the same machine. How many listen on the
/// first server, how many on the second, how many never read there. The servers.
fn measure_sides(
    bench: &Bench,
    report: &mut Report,
    (measure, case): (&'static str, &str),
    (listeners, others, deaf): (usize, usize, usize),
) -> Outcome<[Side; 2]> {
    let most = SENDERS[1];
    let start =
        |count: usize| Side::start(bench, make_community(bench, count + most, 0)?, count + most);
    let [mut none, mut some] = [start(listeners)?, start(others)?];
    for senders in SENDERS {
        for _ in 0..bench.plan.rounds {
            none.measure(senders, 1, bench.plan.round)?;
            let outcome = measure_beside_deaf(&mut some, senders, deaf, bench.plan.round);
            some.server.explain(outcome)?;
        }
        let sends_s = |round: &Round| round.sends_s;
        // What each of the others is sent: as much as is said.
        let ratio = middle_ratio(&some.rounds, &none.rounds, (sends_s, sends_s));
        report.add(Row {
            measure,
            case: format!("{case}; {senders} of {most} more send"),
            figures: vec![
                ("messages/s to each of the others", middle(&some.rounds, sends_s)),
                ("p50 ms", middle(&some.rounds, |it| it.p50_ms)),
                ("p99 ms", middle(&some.rounds, |it| it.p99_ms)),
                ("p99 ms beside none", middle(&none.rounds, |it| it.p99_ms)),
                ("server CPU µs/send", middle(&some.rounds, |it| it.cpu_us_of_send)),
                ("beside none", middle(&none.rounds, |it| it.cpu_us_of_send)),
            ],
            limit: Some(("beside none".to_owned(), middle(&none.rounds, sends_s))),
            ratio: Some(ratio),
            goal: (measure == "stalled receivers")
                .then(|| ("cost the others under 5%".to_owned(), ratio > 1.0 - COST_MAX)),
        });
        none.rounds.clear();
        some.rounds.clear();
    }
    Ok([none, some])
}

fn measure_beside_deaf(
    side: &mut Side,
    senders: usize,
    deaf: usize,
    duration: Duration,
) -> Outcome<()> {
    side.clients.renew_deaf(deaf)?;
    side.clients.start(senders, 1)?;
    // Until whatever the system holds for those who do not read is full.
    side.clients.run_for(duration / 2)?;
    side.clients.finish()?;
    side.measure(senders, 1, duration)
}

/// Sends until all who do not read are closed; how long that took.
fn fill_bounds(side: &mut Side, deaf: usize) -> Outcome<Duration> {
    side.clients.renew_deaf(deaf)?;
    let closed_before = side.server.count_logged(CLOSED)?;
    let begun = Instant::now();
    side.clients.start(8, 1)?;
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
pub(crate) fn measure_storm(bench: &Bench, report: &mut Report) -> Outcome<()> {
    // Neither has a core of its own here: that is what a storm is about.
    let cores = [bench.server_core, bench.own_core];
    machine::pin(&cores)?;
    let server = Server::start(&bench.folder, 1, &cores, Rules::None)?;
    server.explain(measure_pings(&server, LOGINS / bench.plan.divisor, report))?;
    server.stop()?;
    Ok(machine::pin(&[bench.own_core])?)
}

fn measure_pings(server: &Server, logins: usize, report: &mut Report) -> Outcome<()> {
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
    report.add(Row {
        measure: "storm",
        case: format!("pings amid {logins} logins at once, every other with a wrong password"),
        figures: vec![
            ("p50 ms", amid.percentile_ms(50)),
            ("p99 ms", amid.percentile_ms(99)),
            ("most ms", amid.most_ms()),
            ("p50 ms alone", alone.percentile_ms(50)),
            ("p99 ms alone", alone.percentile_ms(99)),
            ("s until all were answered", took.as_secs_f64()),
            ("KiB more at the peak", server.peak_kib()? - before_kib),
        ],
        limit: None,
        ratio: None,
        goal: None,
    });
    Ok(())
}

fn log_in(connection: &mut Blocking, password: &str) -> Outcome<()> {
    Ok(connection.write_all(login_request(0, password).as_bytes())?)
}

fn ping(connection: &mut Blocking) -> Outcome<()> {
    connection.write_all(b"{\"command\":\"ping\"}\n")?;
    read_answer(connection, "ping").map(drop)
}

/// How long each ping took.
fn ping_until(connection: &mut Blocking, is_over: impl Fn() -> bool) -> Outcome<Histogram> {
    let mut latencies = Histogram::default();
    while !is_over() {
        let begun = Instant::now();
        ping(connection)?;
        latencies.add(begun.elapsed());
        sleep(PING_PAUSE);
    }
    Ok(latencies)
}
