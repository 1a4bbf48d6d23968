//! Logins: many right passwords at once, beside argon2 alone, and what they cost others.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Blocking, PASSWORD, read_answer};
use crate::database::{Hasher, make_community, set_passwords};
use crate::dialect::login_request;
use crate::report::{Report, Row};
use crate::rounds::{Side, measure_round, middle, middle_ratio};
use crate::{Bench, Outcome, machine};

/// Logins at once.
const LOGINS: usize = 200;
/// Others, to whom one says something now and then.
const RECEIVERS: usize = 20;
const INTERVAL: Duration = Duration::from_millis(20);

/// By themselves, and amid messages.
pub(crate) fn measure_logins(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let (logins, count) = (LOGINS / bench.plan.divisor, RECEIVERS + 1);
    let folder = make_community(bench, count.max(logins), 0)?;
    set_passwords(&rusqlite::Connection::open(folder.join("bench.db"))?)?;
    let mut side = Side::start(bench, folder, count)?;
    let (mut logins_s, mut hashes_s) = (Vec::new(), Vec::new());
    let (mut alone, mut amid) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.rounds {
        hashes_s.push(measure_hashes(bench)?);
        let outcome = (|| {
            let took = log_in(&mut side, logins, |side, is_over| side.clients.run_until(is_over))?;
            logins_s.push(logins as f64 / took.as_secs_f64());
            side.clients.start(1, 0)?;
            let end = Instant::now() + bench.plan.round;
            alone.push(measure_round(
                &mut side.clients,
                || side.server.cpu_s(),
                |clients| clients.run_paced(INTERVAL, || Instant::now() >= end),
            )?);
            log_in(&mut side, logins, |side, is_over| {
                amid.push(measure_round(
                    &mut side.clients,
                    || side.server.cpu_s(),
                    |clients| clients.run_paced(INTERVAL, is_over),
                )?);
                Ok(())
            })?;
            side.clients.finish()
        })();
        side.server.explain(outcome)?;
    }
    report.add(Row {
        measure: "logins",
        case: format!("{logins} right passwords at once"),
        figures: vec![
            ("logins/s", middle(&logins_s, |it| *it)),
            ("p99 ms of others' messages amid them", middle(&amid, |it| it.p99_ms)),
            ("p50 ms", middle(&amid, |it| it.p50_ms)),
            ("p99 ms without", middle(&alone, |it| it.p99_ms)),
            ("p50 ms without", middle(&alone, |it| it.p50_ms)),
        ],
        limit: Some(("argon2 alone, hashes/s".to_owned(), middle(&hashes_s, |it| *it))),
        ratio: Some(middle_ratio(&logins_s, &hashes_s, (|it| *it, |it| *it))),
        goal: None,
    });
    side.server.stop()
}

/// Logs in with so many connections at once, while something else goes on; how long it took.
fn log_in(
    side: &mut Side,
    logins: usize,
    meanwhile: impl FnOnce(&mut Side, &dyn Fn() -> bool) -> Outcome<()>,
) -> Outcome<Duration> {
    let mut connections = Vec::new();
    for _ in 0..logins {
        let mut connection = side.clients.open()?;
        connection.write_all(b"{\"command\":\"ping\"}\n")?;
        read_answer(&mut connection, "ping")?;
        connections.push(connection);
    }
    let begun = Instant::now();
    for (index, connection) in connections.iter_mut().enumerate() {
        connection.write_all(login_request(index, PASSWORD).as_bytes())?;
    }
    thread::scope(|scope| {
        let answers = scope.spawn(|| read_answers(&mut connections));
        let outcome = meanwhile(side, &|| answers.is_finished());
        let answered = answers.join().unwrap_or_default();
        outcome?;
        answered.map(|at| at - begun).ok_or_else(|| "a login was not answered by 200".into())
    })
}

/// When the last was answered, if all were.
fn read_answers(connections: &mut [Blocking]) -> Option<Instant> {
    for connection in connections {
        let answer = read_answer(connection, "login").ok()?;
        answer.contains(r#""status":200"#).then_some(())?;
    }
    Some(Instant::now())
}

/// How many hashes a second argon2 makes by itself, on the server's core.
fn measure_hashes(bench: &Bench) -> Outcome<f64> {
    machine::pin(&[bench.server_core])?;
    let (mut hasher, mut hash) = (Hasher::new()?, [0; 32]);
    // The first brings in the memory.
    hasher.hash(PASSWORD, &mut hash)?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < bench.plan.round {
        hasher.hash(PASSWORD, &mut hash)?;
        count += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    machine::pin(&[bench.own_core])?;
    Ok(f64::from(count) / seconds)
}
