//! Beside another server: the same clients, texts and cores, a round of this and a round of that,
//! so that both have the same machine. That one keeps nothing; here all is on disk first.

use crate::clients::Clients;
use crate::database::make_community;
use crate::dialect::Dialect;
use crate::fanout::{LOADS, RECEIVERS, is_wanted, name};
use crate::ngircd::Ngircd;
use crate::report::{Report, Row};
use crate::rounds::{Round, Side, measure_load, middle, middle_ratio};
use crate::{Bench, Outcome, rest};

/// Connections that do nothing.
const IDLE: usize = 1000;

const MANY_MIN: f64 = 1.5;
const ONE_MIN: f64 = 1.0;

/// This server, the other, and the clients of that.
struct Pair {
    side: Side,
    ngircd: Ngircd,
    clients: Clients,
    rounds: Vec<Round>,
}

impl Pair {
    fn start(bench: &Bench, members: usize) -> Outcome<Self> {
        let side = Side::start(bench, make_community(bench, members, 0)?, 0)?;
        let ngircd = Ngircd::start(bench, &side.server)?;
        let certificate = side.server.certificate_file();
        let clients = Clients::of(ngircd.address, &certificate, Dialect::Irc)?;
        Ok(Self { side, ngircd, clients, rounds: Vec::new() })
    }

    fn grow_to(&mut self, count: usize) -> Outcome<()> {
        let ours = self.side.clients.grow_to(count);
        self.side.server.explain(ours)?;
        let theirs = self.clients.grow_to(count);
        self.ngircd.explain(theirs)?;
        Ok(())
    }

    fn clear(&mut self) {
        self.side.rounds.clear();
        self.rounds.clear();
    }

    fn stop(self) -> Outcome<()> {
        drop(self.clients);
        self.side.server.stop()?;
        self.ngircd.stop()
    }
}

/// Fan-out, latency at rest, memory.
pub(crate) fn measure_peers(bench: &Bench, report: &mut Report) -> Outcome<()> {
    Ngircd::require()?;
    measure_fanout(bench, report)?;
    if bench.is_wanted("latency at rest") {
        measure_rest(bench, report)?;
    }
    if bench.is_wanted("memory") {
        measure_memory(bench, report)?;
    }
    Ok(())
}

fn measure_fanout(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let most = RECEIVERS[RECEIVERS.len() - 1] / bench.plan.divisor + LOADS[LOADS.len() - 1].0;
    let mut pair = Pair::start(bench, most)?;
    for receivers in RECEIVERS {
        for (senders, window) in LOADS {
            if !is_wanted(bench, receivers, (senders, window)) {
                continue;
            }
            pair.grow_to(receivers / bench.plan.divisor + senders)?;
            pair.clear();
            for _ in 0..bench.plan.rounds {
                pair.side.measure(senders, window, bench.plan.round)?;
                let round =
                    measure_load(&mut pair.clients, senders, window, bench.plan.round, || {
                        pair.ngircd.cpu_s()
                    });
                pair.rounds.push(pair.ngircd.explain(round)?);
            }
            let ratio = middle_ratio(
                &pair.side.rounds,
                &pair.rounds,
                (|it| it.deliveries_s, |it| it.deliveries_s),
            );
            let goal = match (receivers, senders, window) {
                (500, 8, _) => Some(("at least 1.5 times ngircd", MANY_MIN)),
                (_, 1, _) => Some(("no fewer than ngircd", ONE_MIN)),
                _ => None,
            };
            report.add(Row {
                measure: "beside ngircd",
                case: format!("fan-out, {}", name(receivers, (senders, window))),
                figures: figures_of(&pair, "deliveries/s", |it| it.deliveries_s),
                limit: Some((
                    "ngircd, deliveries/s".to_owned(),
                    middle(&pair.rounds, |it| it.deliveries_s),
                )),
                ratio: Some(ratio),
                goal: goal.map(|(words, least)| (words.to_owned(), ratio >= least)),
            });
        }
    }
    pair.stop()
}

/// This server's first, then what stands beside it.
fn figures_of(
    pair: &Pair,
    first: &'static str,
    figure: impl Fn(&Round) -> f64,
) -> Vec<(&'static str, f64)> {
    let (ours, theirs) = (&pair.side.rounds, &pair.rounds);
    vec![
        (first, middle(ours, figure)),
        ("CPU µs/delivery", middle(ours, |it| it.cpu_us)),
        ("ngircd's", middle(theirs, |it| it.cpu_us)),
        ("p50 ms", middle(ours, |it| it.p50_ms)),
        ("ngircd's p50 ms", middle(theirs, |it| it.p50_ms)),
        ("p99 ms", middle(ours, |it| it.p99_ms)),
        ("ngircd's p99 ms", middle(theirs, |it| it.p99_ms)),
        ("events/record", middle(ours, |it| it.joined)),
        ("ngircd's events/record", middle(theirs, |it| it.joined)),
        ("generator %", middle(ours, |it| it.generator * 100.0)),
        ("at ngircd %", middle(theirs, |it| it.generator * 100.0)),
    ]
}

fn measure_rest(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let count = rest::RECEIVERS / bench.plan.divisor + 1;
    let mut pair = Pair::start(bench, count)?;
    pair.grow_to(count)?;
    for _ in 0..bench.plan.rounds {
        let side = &mut pair.side;
        let round =
            rest::measure_paced(&mut side.clients, bench.plan.round, || side.server.cpu_s());
        side.rounds.push(side.server.explain(round)?);
        let round =
            rest::measure_paced(&mut pair.clients, bench.plan.round, || pair.ngircd.cpu_s());
        pair.rounds.push(pair.ngircd.explain(round)?);
    }
    report.add(Row {
        measure: "beside ngircd",
        case: format!("latency at rest, 20 messages/s to {} receivers", count - 1),
        figures: figures_of(&pair, "worst ms", |it| it.most_ms),
        limit: None,
        ratio: None,
        goal: None,
    });
    pair.stop()
}

fn measure_memory(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let count = IDLE / bench.plan.divisor;
    let mut pair = Pair::start(bench, count)?;
    let resident_kib = |pair: &Pair| -> Outcome<_> {
        Ok([pair.side.server.resident_kib()?, pair.ngircd.resident_kib()?])
    };
    // The first bring in what all share.
    pair.grow_to(1)?;
    let before_kib = resident_kib(&pair)?;
    pair.grow_to(count)?;
    pair.side.clients.run_for(bench.plan.round)?;
    let after_kib = resident_kib(&pair)?;
    let [ours_kib, theirs_kib] =
        [0, 1].map(|who| (after_kib[who] - before_kib[who]) / (count - 1) as f64);
    report.add(Row {
        measure: "beside ngircd",
        case: format!("memory of {count} idle connections"),
        figures: vec![("KiB for each", ours_kib)],
        limit: Some(("ngircd, KiB".to_owned(), theirs_kib)),
        ratio: Some(ours_kib / theirs_kib),
        goal: None,
    });
    pair.stop()
}
