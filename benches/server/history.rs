//! How long the server takes for a page of history, however much there is of it.

use std::io::{Read, Write};
use std::time::Instant;

use crate::clients::{Blocking, Clients, read_answer};
use crate::crowd::login_by_token;
use crate::database::{FIRST_MESSAGE, keep_history, token};
use crate::report::{Report, Row};
use crate::server::{CHANNEL, Server};
use crate::{Bench, Outcome, median};

/// Messages in the channel.
pub(crate) const MESSAGES: [u64; 3] = [10_000, 1_000_000, 10_000_000];
/// Messages of a page.
const PAGE: u64 = 100;
/// Requests of a round, each as long as its answer before the next.
const REQUESTS: u64 = 300;

const SERVER_MS_MAX: f64 = 1.0;
const GROWTH_MAX: f64 = 1.5;

/// What one asks for.
#[derive(Clone, Copy)]
enum Ask {
    Ping,
    Newest,
    /// Before a message anywhere, another each time.
    Deep,
}

/// All of them.
const ASKS: [Ask; 3] = [Ask::Ping, Ask::Newest, Ask::Deep];

/// A server, and who asks it.
struct Side {
    messages: u64,
    server: Server,
    client: Blocking,
    /// Of each round and each of [`ASKS`]: milliseconds, and microseconds of the server's CPU.
    rounds: Vec<[[f64; 2]; ASKS.len()]>,
}

/// Newest and deep pages of short and long histories, a round of each in turn, so that all have
/// the same machine.
pub(crate) fn measure_history(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let sides = lengths(bench).into_iter().map(|messages| start(bench, messages));
    let mut sides = sides.collect::<Outcome<Vec<_>>>()?;
    // The first round only brings in what the others find.
    for round in 0..=bench.plan.rounds {
        for side in &mut sides {
            let mut figures = [[0.0; 2]; ASKS.len()];
            for (ask, figures) in ASKS.into_iter().zip(&mut figures) {
                let outcome = measure_round(&side.server, &mut side.client, ask, side.messages);
                *figures = side.server.explain(outcome)?;
            }
            if round > 0 {
                side.rounds.push(figures);
            }
        }
    }
    for (place, what) in [(1, "the newest 100"), (2, "100 from deep inside")] {
        // The first of ASKS is the ping.
        let ms = |round: &[[f64; 2]; ASKS.len()]| round[place][0] - round[0][0];
        let fewest: Vec<f64> = sides[0].rounds.iter().map(ms).collect();
        for side in &sides {
            let own_ms = median(side.rounds.iter().map(ms).collect());
            let pairs = side.rounds.iter().zip(&fewest).map(|(round, fewest)| ms(round) / fewest);
            let ratio = median(pairs.collect());
            let cpu_us = median(side.rounds.iter().map(|round| round[place][1]).collect());
            let is_met = own_ms < SERVER_MS_MAX && ratio <= GROWTH_MAX;
            report.add(Row {
                measure: "history",
                case: format!("{what}, {} messages", side.messages),
                figures: vec![("ms over a ping", own_ms), ("server CPU µs", cpu_us)],
                limit: Some(("ms with the fewest messages".to_owned(), median(fewest.clone()))),
                ratio: Some(ratio),
                goal: Some(("under 1 ms, and 1.5 times the fewest".to_owned(), is_met)),
            });
        }
    }
    sides.into_iter().try_for_each(|mut side| side.server.halt())
}

fn start(bench: &Bench, messages: u64) -> Outcome<Side> {
    let server = Server::start_in(keep_history(bench, messages)?, &[bench.server_core])?;
    let outcome = (|| {
        let mut client = Clients::new(&server)?.open()?;
        client.write_all(login_by_token(&token(0)).as_bytes())?;
        read_answer(&mut client, "login")?;
        server.await_rest()?;
        Ok(client)
    })();
    let client = server.explain(outcome)?;
    Ok(Side { messages, server, client, rounds: Vec::new() })
}

/// How many messages there are, case for case.
pub(crate) fn lengths(bench: &Bench) -> [u64; 3] {
    // So that all of `--quick` is a matter of seconds.
    let divisor = if bench.plan.divisor > 1 { 100 } else { 1 };
    MESSAGES.map(|messages| (messages / divisor).max(10 * PAGE))
}

/// The median of milliseconds to the answer, and microseconds of the server's CPU for each.
fn measure_round(
    server: &Server,
    client: &mut Blocking,
    ask: Ask,
    messages: u64,
) -> Outcome<[f64; 2]> {
    let (mut latencies_ms, mut answer) = (Vec::new(), Vec::new());
    let cpu_s = server.cpu_s()?;
    for number in 0..REQUESTS {
        let (request, first) = write_request(ask, number, messages);
        let begun = Instant::now();
        client.write_all(request.as_bytes())?;
        read_line(client, &mut answer)?;
        latencies_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        if let Some(first) = first {
            check_page(&answer, first)?;
        }
    }
    Ok([median(latencies_ms), (server.cpu_s()? - cpu_s) * 1e6 / REQUESTS as f64])
}

/// A request, and the uuid of its page's first message.
fn write_request(ask: Ask, number: u64, messages: u64) -> (String, Option<u64>) {
    let page = format!(r#"{{"command":"history","channel":{CHANNEL},"num":{PAGE}"#);
    match ask {
        Ask::Ping => ("{\"command\":\"ping\"}\n".to_owned(), None),
        Ask::Newest => (format!("{page}}}\n"), Some(FIRST_MESSAGE + messages - PAGE)),
        Ask::Deep => {
            // Scattered over all but the first page, by the golden ratio.
            let place = PAGE + number * 2_654_435_761 % (messages - PAGE);
            let before = FIRST_MESSAGE + place;
            (format!("{page},\"before_message\":{before}}}\n"), Some(before - PAGE))
        }
    }
}

fn read_line(client: &mut Blocking, line: &mut Vec<u8>) -> Outcome<()> {
    line.clear();
    let mut piece = [0; 16 << 10];
    while line.last() != Some(&b'\n') {
        let count = client.read(&mut piece)?;
        if count == 0 {
            return Err("closed by the server".into());
        }
        line.extend_from_slice(&piece[..count]);
    }
    Ok(())
}

fn check_page(answer: &[u8], first: u64) -> Outcome<()> {
    let answer: serde_json::Value = serde_json::from_slice(answer)?;
    let uuids = answer["data"].as_array().ok_or("no page")?.iter().map(|it| it["uuid"].as_u64());
    match uuids.eq((first..first + PAGE).map(Some)) {
        true => Ok(()),
        false => Err("not the page that was asked for".into()),
    }
}
