//! Durable sends: what is answered once it is on disk, where nobody may read it, so that the store
//! is measured and no fan-out; a lone sender beside SQLite alone.

use crate::commits::{Commits, measure_commits};
use crate::database::make_community;
use crate::histogram::Histogram;
use crate::report::{Report, Row};
use crate::rounds::{Side, middle, middle_ratio};
use crate::{Bench, Outcome};

/// They ascend, since clients are only ever added.
const SENDERS: [usize; 4] = [1, 8, 64, 256];
/// The base of a new server, but that nobody may read messages (protocol sections 3 and 4).
const NOBODY_READS: [u8; 3] = [0b10_10_10_10, 0b10_10_01_10, 0b00_00_01_01];

const ALONE_MIN: f64 = 0.8;
const GAIN_MIN: f64 = 20.0;

/// From one sender to many.
pub(crate) fn measure_durable(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let mut senders = SENDERS.map(|senders| senders.div_ceil(bench.plan.divisor)).to_vec();
    senders.dedup();
    let folder = make_community(bench, SENDERS[SENDERS.len() - 1], 0)?;
    let database = rusqlite::Connection::open(folder.join("bench.db"))?;
    let setting = "INSERT INTO settings (name, value) VALUES ('base_permissions', ?1)";
    database.execute(setting, [NOBODY_READS])?;
    drop(database);
    let mut side = Side::start(bench, folder, 0)?;
    side.clients.hear_nothing();
    let mut alone_s = f64::NAN;
    for senders in senders {
        let outcome = measure_case(bench, senders, &mut side);
        let mut row = side.server.explain(outcome)?;
        let sends_s = row.figures[0].1;
        if senders == 1 {
            alone_s = sends_s;
        } else {
            row.figures.push(("times 1 sender", sends_s / alone_s));
            row.goal = (senders == 64)
                .then(|| ("at least 20 times 1 sender".to_owned(), sends_s >= alone_s * GAIN_MIN));
        }
        report.add(row);
    }
    let (sent, stored) = (side.clients.tally.acknowledged, side.server.count_stored_messages()?);
    side.server.explain(match sent == stored {
        true => Ok(()),
        false => Err(format!("{sent} sends were answered, {stored} are stored").into()),
    })?;
    side.server.stop()
}

fn measure_case(bench: &Bench, senders: usize, side: &mut Side) -> Outcome<Row> {
    let round = bench.plan.round;
    side.clients.grow_to(senders)?;
    side.rounds.clear();
    let mut commits = Commits::start(&bench.folder)?;
    let (mut commits_s, mut latencies) = (Vec::new(), Histogram::default());
    for _ in 0..bench.plan.rounds {
        side.measure(senders, 1, round)?;
        if senders == 1 {
            commits_s.push(measure_commits(bench, &mut commits, round, None, &mut latencies)?);
        }
    }
    commits.stop()?;
    let rounds = &side.rounds;
    let s = if senders == 1 { "" } else { "s" };
    let mut row = Row {
        measure: "durable sends",
        case: format!("{senders} sender{s}"),
        figures: vec![
            ("answered/s", middle(rounds, |it| it.sends_s)),
            ("p50 ms", middle(rounds, |it| it.answer_p50_ms)),
            ("p99 ms", middle(rounds, |it| it.answer_p99_ms)),
            ("server CPU µs/send", middle(rounds, |it| it.cpu_us_of_send)),
            ("generator %", middle(rounds, |it| it.generator * 100.0)),
            ("others' CPU %", middle(rounds, |it| it.others * 100.0)),
        ],
        limit: None,
        ratio: None,
        goal: None,
    };
    if senders == 1 {
        let ratio = middle_ratio(rounds, &commits_s, (|it| it.sends_s, |it| *it));
        row.figures.push(("p50 ms of SQLite alone", latencies.percentile_ms(50)));
        row.figures.push(("p99 ms of SQLite alone", latencies.percentile_ms(99)));
        row.limit = Some(("SQLite alone, commits/s".to_owned(), middle(&commits_s, |it| *it)));
        row.ratio = Some(ratio);
        row.goal = Some(("at least 0.8 of SQLite alone".to_owned(), ratio >= ALONE_MIN));
    }
    Ok(row)
}
