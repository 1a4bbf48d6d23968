//! Rounds of steady load, and servers that take turns at them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::server::{Rules, Server};
use crate::{Bench, Outcome, machine, median};

/// What one round came to. Shares are of one core; where others take more than a few percent, the
/// round is worth little.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    /// Sends that were answered, a second.
    pub(crate) sends_s: f64,
    /// From each send to its answer, milliseconds.
    pub(crate) answer_p50_ms: f64,
    pub(crate) answer_p99_ms: f64,
    /// Messages that arrived at clients, a second.
    pub(crate) deliveries_s: f64,
    /// From each send to each delivery, milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) most_ms: f64,
    /// Of the server's process, microseconds for a delivery.
    pub(crate) cpu_us: f64,
    /// Of the server's process, microseconds for a send.
    pub(crate) cpu_us_of_send: f64,
    /// Messages in each record, as clients see it.
    pub(crate) joined: f64,
    /// The share of the time in which the clients' thread had something to do.
    pub(crate) generator: f64,
    /// What neither server nor bench took.
    pub(crate) others: f64,
}

/// Goes on for `duration` with whatever `go_on` does. `cpu_s` is the server's.
pub(crate) fn measure_round(
    clients: &mut Clients,
    cpu_s: impl Fn() -> Outcome<f64>,
    go_on: impl FnOnce(&mut Clients) -> Outcome<()>,
) -> Outcome<Round> {
    let times_s =
        || -> Outcome<_> { Ok([cpu_s()?, machine::cpu_s("self")?, machine::cpu_s_of_all()?]) };
    let (before_s, start, idle) = (times_s()?, Instant::now(), clients.idle);
    let tally = &mut clients.tally;
    tally.answered.clear();
    tally.delivered.clear();
    let (delivered, sent, records) = (tally.deliveries, tally.acknowledged, tally.records);
    go_on(clients)?;
    let (seconds, after_s, tally) = (start.elapsed().as_secs_f64(), times_s()?, &clients.tally);
    let [server_s, own_s, all_s] = [0, 1, 2].map(|who| after_s[who] - before_s[who]);
    let deliveries = (tally.deliveries - delivered) as f64;
    let sends = (tally.acknowledged - sent) as f64;
    Ok(Round {
        sends_s: sends / seconds,
        answer_p50_ms: tally.answered.percentile_ms(50),
        answer_p99_ms: tally.answered.percentile_ms(99),
        deliveries_s: deliveries / seconds,
        p50_ms: tally.delivered.percentile_ms(50),
        p99_ms: tally.delivered.percentile_ms(99),
        most_ms: tally.delivered.most_ms(),
        cpu_us: server_s * 1e6 / deliveries,
        cpu_us_of_send: server_s * 1e6 / sends,
        joined: deliveries / (tally.records - records) as f64,
        generator: 1.0 - (clients.idle - idle).as_secs_f64() / seconds,
        others: (all_s - server_s - own_s).max(0.0) / seconds,
    })
}

/// The median over some rounds.
pub(crate) fn middle<R>(rounds: &[R], figure: impl Fn(&R) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

/// The median over pairs of rounds that were beside each other: the first by the second.
pub(crate) fn middle_ratio<A, B>(
    ours: &[A],
    theirs: &[B],
    figures: (impl Fn(&A) -> f64, impl Fn(&B) -> f64),
) -> f64 {
    let ratios = ours.iter().zip(theirs).map(|(a, b)| figures.0(a) / figures.1(b));
    median(ratios.collect())
}

/// A server under measurement and its clients.
pub(crate) struct Side {
    /// The server.
    pub(crate) server: Server,
    /// Its clients.
    pub(crate) clients: Clients,
    /// What was measured.
    pub(crate) rounds: Vec<Round>,
}

impl Side {
    /// Starts a server in a folder that has its database, with sessions, and so many clients.
    pub(crate) fn start(bench: &Bench, folder: PathBuf, count: usize) -> Outcome<Self> {
        let server = Server::start_in(folder, &[bench.server_core])?;
        let mut clients = server.explain(Clients::with_sessions(&server))?;
        server.explain(clients.grow_to(count))?;
        Ok(Self { server, clients, rounds: Vec::new() })
    }

    /// Starts a server with such rules, and so many clients.
    pub(crate) fn with_rules(bench: &Bench, rules: Rules, count: usize) -> Outcome<Self> {
        let server = Server::start(&bench.folder, count, &[bench.server_core], rules)?;
        let mut clients = server.explain(Clients::new(&server))?;
        server.explain(clients.grow_to(count))?;
        Ok(Self { server, clients, rounds: Vec::new() })
    }

    /// One more round of so many senders.
    pub(crate) fn measure(
        &mut self,
        senders: usize,
        window: usize,
        duration: Duration,
    ) -> Outcome<()> {
        let round =
            measure_load(&mut self.clients, senders, window, duration, || self.server.cpu_s());
        self.rounds.push(self.server.explain(round)?);
        Ok(())
    }
}

/// One round of so many senders, of which all is delivered at the end.
pub(crate) fn measure_load(
    clients: &mut Clients,
    senders: usize,
    window: usize,
    duration: Duration,
    cpu_s: impl Fn() -> Outcome<f64>,
) -> Outcome<Round> {
    clients.start(senders, window)?;
    clients.run_for(duration / 6)?;
    let round = measure_round(clients, cpu_s, |clients| clients.run_for(duration))?;
    clients.finish()?;
    Ok(round)
}
