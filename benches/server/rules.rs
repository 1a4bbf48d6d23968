//! What it costs to have much to say about who may do what.

use crate::report::{Report, Row};
use crate::rounds::{Round, Side, middle, middle_ratio};
use crate::server::{GROUPS, Rules};
use crate::{Bench, Outcome};

/// Members who are there.
const MEMBERS: usize = 108;

/// Holds a server with many groups and overrides beside one that has none, a round of this and a
/// round of that, so that both have the same machine.
pub(crate) fn measure_rules(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let count = MEMBERS / bench.plan.divisor;
    let mut none = Side::with_rules(bench, Rules::None, count)?;
    let mut many = Side::with_rules(bench, Rules::Many, count)?;
    for senders in [1, 8] {
        for _ in 0..bench.plan.rounds {
            none.measure(senders, 1, bench.plan.round)?;
            many.measure(senders, 1, bench.plan.round)?;
        }
        let cpu_us = |round: &Round| round.cpu_us;
        report.add(Row {
            measure: "rules",
            case: format!(
                "{senders} of {count} send; {GROUPS} groups, overrides for each in {} channels",
                GROUPS + 1
            ),
            figures: vec![
                ("server CPU µs/delivery", middle(&many.rounds, cpu_us)),
                ("deliveries/s", middle(&many.rounds, |it| it.deliveries_s)),
                ("p99 ms", middle(&many.rounds, |it| it.p99_ms)),
            ],
            limit: Some(("without any".to_owned(), middle(&none.rounds, cpu_us))),
            ratio: Some(middle_ratio(&many.rounds, &none.rounds, (cpu_us, cpu_us))),
            goal: None,
        });
        none.rounds.clear();
        many.rounds.clear();
    }
    none.server.stop()?;
    many.server.stop()
}
