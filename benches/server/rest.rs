//! Latency at rest: somebody says something now and then, and a hundred hear it; beside SQLite
//! alone at the same pace, since a disk that is not busy is slower to answer.

use std::time::Duration;

use crate::commits::{Commits, measure_commits};
use crate::database::make_community;
use crate::histogram::Histogram;
use crate::report::{Report, Row};
use crate::rounds::{Round, Side, measure_round, middle};
use crate::{Bench, Outcome};

/// Clients that listen.
pub(crate) const RECEIVERS: usize = 100;
/// From one message to the next.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Rounds are so many times as long as others, for else there is little in each.
pub(crate) const ROUND_TIMES: u32 = 4;

const OVER_FSYNC_MS_MAX: f64 = 2.0;

/// The rounds' medians, and the worst of all.
pub(crate) fn measure_rest(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let count = RECEIVERS / bench.plan.divisor + 1;
    let mut side = Side::start(bench, make_community(bench, count, 0)?, count)?;
    let mut commits = Commits::start(&bench.folder)?;
    let mut alone = Vec::new();
    for _ in 0..bench.plan.rounds {
        let round = measure_paced(&mut side.clients, bench.plan.round, || side.server.cpu_s());
        side.rounds.push(side.server.explain(round)?);
        let mut latencies = Histogram::default();
        let duration = bench.plan.round * ROUND_TIMES;
        measure_commits(bench, &mut commits, duration, Some(INTERVAL), &mut latencies)?;
        alone.push([latencies.percentile_ms(50), latencies.percentile_ms(99)]);
    }
    commits.stop()?;
    let [p50_ms, p99_ms] =
        [middle(&side.rounds, |it| it.p50_ms), middle(&side.rounds, |it| it.p99_ms)];
    let [alone_p50_ms, alone_p99_ms] = [0, 1].map(|place| middle(&alone, |it| it[place]));
    let over_ms = p99_ms - alone_p99_ms;
    report.add(Row {
        measure: "latency at rest",
        case: format!("20 messages/s to {} receivers", count - 1),
        figures: vec![
            ("p99 ms over that of SQLite alone", over_ms),
            ("p50 ms over that of SQLite alone", p50_ms - alone_p50_ms),
            ("p50 ms", p50_ms),
            ("p99 ms", p99_ms),
            ("worst ms", side.rounds.iter().map(|it| it.most_ms).fold(0.0, f64::max)),
            ("p50 ms of SQLite alone", alone_p50_ms),
            ("p99 ms of SQLite alone", alone_p99_ms),
            ("others' CPU %", middle(&side.rounds, |it| it.others * 100.0)),
        ],
        limit: None,
        ratio: None,
        goal: Some(("p99 under 2 ms over SQLite's".to_owned(), over_ms < OVER_FSYNC_MS_MAX)),
    });
    side.server.stop()
}

/// One round of one who says something now and then.
pub(crate) fn measure_paced(
    clients: &mut crate::clients::Clients,
    round: Duration,
    cpu_s: impl Fn() -> Outcome<f64>,
) -> Outcome<Round> {
    clients.start(1, 0)?;
    clients.run_for(round / 6)?;
    let end = std::time::Instant::now() + round * ROUND_TIMES;
    let is_over = || std::time::Instant::now() >= end;
    let round = measure_round(clients, cpu_s, |clients| clients.run_paced(INTERVAL, is_over))?;
    clients.finish()?;
    Ok(round)
}
