//! What a send costs in a small community and in large ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::clients::Clients;
use crate::report::{Report, Row};
use crate::server::{CHANNEL, Server, make_folder, prepare_database};
use crate::{Bench, Outcome, median};

/// Members who are connected, and send.
const SENDERS: usize = 8;
/// Channels, with as few members as can be; and members, with one channel.
const CHANNELS: [usize; 3] = [1, 100, 1000];
const MEMBERS: [usize; 3] = [10, 1000, 20_000];
const GROWTH_MAX: f64 = 1.2;
/// Of what a delivery costs, over numbers of receivers.
const RECEIVERS_GROWTH_MAX: f64 = 1.3;

struct Side {
    case: String,
    server: Server,
    clients: Clients,
    /// Microseconds of the server's CPU for a send, sends a second.
    rounds: Vec<[f64; 2]>,
}

/// With more and more channels, then with more and more members.
pub(crate) fn measure_growth(bench: &Bench, report: &mut Report) -> Outcome<()> {
    compare_receivers(report);
    let of_channels = CHANNELS.map(|count| (format!("{count} channels"), count, MEMBERS[0]));
    let of_members = MEMBERS.map(|count| (format!("{count} members"), 1, count));
    for cases in [of_channels, of_members] {
        let sides = cases.map(|(case, channels, members)| start(bench, case, channels, members));
        let mut sides = sides.into_iter().collect::<Outcome<Vec<_>>>()?;
        // A round of each in turn, so that all have the same machine.
        for _ in 0..bench.plan.rounds {
            for side in &mut sides {
                let outcome = measure_round(bench, &side.server, &mut side.clients);
                side.rounds.push(side.server.explain(outcome)?);
            }
        }
        let smallest: Vec<f64> = sides[0].rounds.iter().map(|round| round[0]).collect();
        for Side { case, server, rounds, .. } in sides {
            let pairs = rounds.iter().zip(&smallest).map(|(round, smallest)| round[0] / smallest);
            let ratio = median(pairs.collect());
            let middle = |place: usize| median(rounds.iter().map(|round| round[place]).collect());
            report.add(Row {
                measure: "growth",
                case: format!("{SENDERS} senders, {case}"),
                figures: vec![("server CPU µs/send", middle(0)), ("sends/s", middle(1))],
                limit: Some(("the smallest".to_owned(), median(smallest.clone()))),
                ratio: Some(ratio),
                goal: Some(("at most 1.2 times the smallest".to_owned(), ratio <= GROWTH_MAX)),
            });
            server.stop()?;
        }
    }
    Ok(())
}

/// What a delivery costs with the most receivers, by that with the fewest, wherever the report has
/// the same load with several numbers of them.
fn compare_receivers(report: &mut Report) {
    let mut loads: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
    for row in report.rows_of("fan-out") {
        let Some((count, load)) = row.case.split_once(" receivers, ") else { continue };
        let cost = row.figures.iter().find(|(name, _)| name.starts_with("server CPU µs"));
        if let (Ok(count), Some((_, cost_us))) = (count.replace(',', "").parse(), cost) {
            loads.entry(load.to_owned()).or_default().push((count, *cost_us));
        }
    }
    for (load, mut costs) in loads {
        costs.sort_unstable_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
        let (Some(fewest), Some(most)) = (costs.first(), costs.last()) else { continue };
        if fewest.0 == most.0 {
            continue;
        }
        let ratio = most.1 / fewest.1;
        report.add(Row {
            measure: "growth",
            case: format!("{load}, {} receivers", most.0),
            figures: vec![("server CPU µs/delivery", most.1)],
            limit: Some((format!("with {}", fewest.0), fewest.1)),
            ratio: Some(ratio),
            goal: Some(("at most 1.3 times the fewest".to_owned(), ratio <= RECEIVERS_GROWTH_MAX)),
        });
    }
}

fn start(bench: &Bench, case: String, channels: usize, members: usize) -> Outcome<Side> {
    let folder = make_folder(&bench.folder)?;
    let mut database = prepare_database(&folder, members)?;
    let transaction = database.transaction()?;
    for number in 1..channels as u64 {
        let channel = "INSERT INTO channels (uuid, name, position) VALUES (?1, ?1, ?2)";
        transaction.execute(channel, (CHANNEL - number, number))?;
    }
    transaction.commit()?;
    drop(database);
    let server = Server::start_in(folder, &[bench.server_core])?;
    let mut clients = server.explain(Clients::new(&server))?;
    server.explain(clients.grow_to(SENDERS))?;
    Ok(Side { case, server, clients, rounds: Vec::new() })
}

fn measure_round(bench: &Bench, server: &Server, clients: &mut Clients) -> Outcome<[f64; 2]> {
    clients.start(SENDERS, 1)?;
    clients.run_for(bench.plan.round / 6)?;
    let (cpu_s, sent) = (server.cpu_s()?, clients.tally.acknowledged);
    let begun = Instant::now();
    clients.run_for(bench.plan.round)?;
    let (seconds, cpu_s) = (begun.elapsed().as_secs_f64(), server.cpu_s()? - cpu_s);
    let sent = (clients.tally.acknowledged - sent) as f64;
    clients.finish()?;
    Ok([cpu_s * 1e6 / sent, sent / seconds])
}
