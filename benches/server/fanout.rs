//! Fan-out: what many hear of what few say, beside the bare loop, a round of this and a round of
//! that, so that both have the same machine.

use crate::bare::{Bare, Speed};
use crate::database::make_community;
use crate::report::{Report, Row};
use crate::rounds::{Side, middle, middle_ratio};
use crate::{Bench, Outcome};

/// Clients that only listen. Clients are only ever added, so these ascend.
pub(crate) const RECEIVERS: [usize; 3] = [100, 500, 2000];
/// Senders, and each one's window: requests that it sends ahead of their answers.
pub(crate) const LOADS: [(usize, usize); 4] = [(1, 1), (1, 32), (8, 1), (8, 32)];

const ALONE_MIN: f64 = 0.85;
const TOGETHER_MIN: f64 = 0.7;
const GAIN_MIN: f64 = 5.0;

/// What the row is of. With "fan-out" before it, its name, by which it can be asked for.
pub(crate) fn name(receivers: usize, (senders, window): (usize, usize)) -> String {
    let s = if senders == 1 { "" } else { "s" };
    format!("{receivers} receivers, {senders} sender{s}, window {window}")
}

/// Whether somebody asked for it.
pub(crate) fn is_wanted(bench: &Bench, receivers: usize, load: (usize, usize)) -> bool {
    bench.is_wanted(&format!("fan-out {}", name(receivers, load)))
}

/// All of it, on one server.
pub(crate) fn measure_fanout(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let cases = RECEIVERS.iter().flat_map(|&receivers| LOADS.map(|load| (receivers, load)));
    let cases: Vec<_> =
        cases.filter(|&(receivers, load)| is_wanted(bench, receivers, load)).collect();
    let count = |(receivers, (senders, _)): (usize, (usize, usize))| {
        receivers / bench.plan.divisor + senders
    };
    let Some(most) = cases.iter().map(|&case| count(case)).max() else { return Ok(()) };
    let mut side = Side::start(bench, make_community(bench, most, 0)?, 0)?;
    let mut bare = Bare::start(bench, &side.server)?;
    // Of each number of receivers, deliveries a second with a window of one.
    let mut alone_s = Vec::new();
    for case in cases {
        let row = measure_case(bench, case, count(case), &mut side, &mut bare)
            .map_err(|error| format!("{}: {error}", name(case.0, case.1)).into());
        let mut row = side.server.explain(row)?;
        let deliveries_s = row.figures[0].1;
        match case {
            (receivers, (1, 1)) => {
                alone_s.push((receivers, deliveries_s));
                if receivers <= 500 {
                    let met = row.ratio.is_some_and(|ratio| ratio >= ALONE_MIN);
                    row.goal = Some(("at least 0.85 of the bare loop".to_owned(), met));
                }
            }
            (receivers, _) => {
                // Where somebody asked for this row alone, there is nothing to hold it against.
                if let Some((_, alone_s)) = alone_s.iter().find(|alone| alone.0 == receivers) {
                    let gain = deliveries_s / alone_s;
                    row.figures.push(("times window 1", gain));
                    let is_near = row.ratio.is_some_and(|ratio| ratio >= TOGETHER_MIN);
                    let words = "at least 0.7 of the bare loop and 5 times window 1";
                    row.goal = Some((words.to_owned(), is_near && gain >= GAIN_MIN));
                }
            }
        }
        report.add(row);
    }
    let is_same = side.server.hash_stored_messages()? == side.clients.tally.hash();
    side.server.explain(match is_same {
        true => Ok(()),
        false => Err("what is stored is not what was delivered, or in another order".into()),
    })?;
    side.server.stop()
}

fn measure_case(
    bench: &Bench,
    (receivers, (senders, window)): (usize, (usize, usize)),
    count: usize,
    side: &mut Side,
    bare: &mut Bare,
) -> Outcome<Row> {
    let round = bench.plan.round;
    let is_alone = (senders, window) == (1, 1);
    side.clients.grow_to(count)?;
    bare.grow_to(count)?;
    side.rounds.clear();
    let (mut speeds, mut committing) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.rounds {
        side.measure(senders, window, round)?;
        // The loop joins what the server did.
        let joined = side.rounds.last().map_or(1.0, |round| round.joined);
        speeds.push(bare.measure(joined.round().max(1.0) as usize, false, round * 2 / 3)?);
        if is_alone {
            committing.push(bare.measure(1, true, round * 2 / 3)?);
        }
    }
    let rounds = &side.rounds;
    let limit_s = middle(&speeds, |speed: &Speed| speed.deliveries_s);
    let ratio = middle_ratio(rounds, &speeds, (|it| it.deliveries_s, |it| it.deliveries_s));
    let cpu_ratio = middle_ratio(&speeds, rounds, (|it| it.cpu_us, |it| it.cpu_us));
    let mut figures = vec![
        ("deliveries/s", middle(rounds, |it| it.deliveries_s)),
        ("server CPU µs/delivery", middle(rounds, |it| it.cpu_us)),
        ("the bare loop's", middle(&speeds, |it| it.cpu_us)),
        ("this by that", cpu_ratio),
        ("p50 ms", middle(rounds, |it| it.p50_ms)),
        ("p99 ms", middle(rounds, |it| it.p99_ms)),
        ("events/record", middle(rounds, |it| it.joined)),
        ("generator %", middle(rounds, |it| it.generator * 100.0)),
        ("at the bare loop %", middle(&speeds, |it| it.generator * 100.0)),
        ("others' CPU %", middle(rounds, |it| it.others * 100.0)),
    ];
    if is_alone {
        let deliveries_s = middle(&committing, |it| it.deliveries_s);
        figures.push(("deliveries/s of the bare loop that commits each", deliveries_s));
    }
    Ok(Row {
        measure: "fan-out",
        case: name(receivers, (senders, window)),
        figures,
        limit: Some(("bare loop with as many events/record, deliveries/s".to_owned(), limit_s)),
        ratio: Some(ratio),
        goal: None,
    })
}
