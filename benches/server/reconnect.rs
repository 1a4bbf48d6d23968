//! A restart of the server, and everybody coming back at once.

use std::time::Instant;

use crate::clients::{PASSWORD, member_name};
use crate::crowd::{Crowd, Heard, arrival, login_by_password, login_by_token};
use crate::database::{Hasher, let_an_hour_pass, make_community, set_passwords, token};
use crate::report::{Report, Row};
use crate::server::Server;
use crate::{Bench, Outcome, machine, median};

/// Accounts; and how many of them come back. The last is the one that has a goal.
const MEMBERS: usize = 1000;
const BACK: [usize; 3] = [250, 500, 1000];
/// Messages in the channel.
const MESSAGES: u64 = 1000;

const SESSIONS_S_MAX: f64 = 3.0;
/// What a client may be sent where everybody came back, by what it is sent where a quarter did.
const GROWTH_MAX: f64 = 1.1;
/// How near to the bare hashes logins by password are to come.
const HASHING_MIN: f64 = 0.8;

/// What one restart comes to.
struct Return {
    seconds: f64,
    /// Attempts to connect that found the queue of the listener full: such a one is made again
    /// after a second, and then after two, four.
    overflows: f64,
    /// How often one was closed before it had all, and came again.
    returns: f64,
    peak_mib: f64,
    heard: Vec<Heard>,
}

/// By sessions, with more and more of the members.
pub(crate) fn measure_reconnect(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let mut server = start(bench)?;
    let mut fewest_kib = None;
    for count in BACK.map(|count| count / bench.plan.divisor) {
        let rounds = (0..bench.plan.rounds).map(|_| {
            let outcome = restart(bench, &mut server, count, |index| login_by_token(&token(index)));
            server.explain(outcome)
        });
        let rounds = rounds.collect::<Outcome<Vec<_>>>()?;
        let row = describe(&rounds, format!("{count} of {} by sessions", members(bench)));
        // The wire's median, which is what the kinds sum up to.
        let own_kib = row.figures[1].1;
        let fewest_kib = *fewest_kib.get_or_insert(own_kib);
        let goal = (count * bench.plan.divisor == MEMBERS).then(|| {
            let is_met = row.figures[0].1 <= SESSIONS_S_MAX && own_kib <= GROWTH_MAX * fewest_kib;
            ("under 3 s, and 1.1 times the bytes to each where a quarter came".to_owned(), is_met)
        });
        report.add(Row { goal, ..row });
    }
    server.stop()
}

/// By passwords, beside hashing alone.
pub(crate) fn measure_reconnect_by_password(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let mut server = start(bench)?;
    let count = members(bench);
    let (mut rounds, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.rounds {
        let login = |index| login_by_password(&member_name(index), PASSWORD);
        let outcome = restart(bench, &mut server, count, login);
        rounds.push(server.explain(outcome)?);
        bare.push(measure_hashing(bench)?);
    }
    let row = describe(&rounds, format!("{count} of {count} by passwords"));
    let limit_s = count as f64 / median(bare);
    let ratio = row.figures[0].1 / limit_s;
    let goal = (
        format!("at most {:.2} times argon2 alone", 1.0 / HASHING_MIN),
        ratio * HASHING_MIN <= 1.0,
    );
    report.add(Row {
        limit: Some((format!("s for {count} bare argon2 hashes"), limit_s)),
        ratio: Some(ratio),
        goal: Some(goal),
        ..row
    });
    server.stop()
}

fn members(bench: &Bench) -> usize {
    MEMBERS / bench.plan.divisor
}

fn start(bench: &Bench) -> Outcome<Server> {
    let folder = make_community(bench, members(bench), MESSAGES)?;
    let server = Server::start_in(folder, &[bench.server_core])?;
    set_passwords(&server.open_database()?)?;
    Ok(server)
}

/// Restarts the server, and lets so many come at once.
fn restart(
    bench: &Bench,
    server: &mut Server,
    count: usize,
    login: impl Fn(usize) -> String,
) -> Outcome<Return> {
    server.halt()?;
    let_an_hour_pass(&server.open_database()?)?;
    server.start_again(&[bench.server_core])?;
    let mut crowd = Crowd::new(server)?;
    let (begun, overflows) = (Instant::now(), machine::listen_overflows()?);
    crowd.arrive((0..count).map(login), &arrival(), count)?;
    let seconds = begun.elapsed().as_secs_f64();
    let overflows = machine::listen_overflows()? - overflows;
    // For the events that are still to come.
    crowd.listen_for(bench.plan.round * 4 / 3)?;
    let listed = ["list_channels", "get_metadata", "history"].map(|name| crowd.count_listed(name));
    if listed != [1, members(bench), 100] {
        return Err(format!("channels, members, messages: {listed:?}").into());
    }
    Ok(Return {
        seconds,
        overflows,
        returns: crowd.returns() as f64,
        peak_mib: server.peak_kib()? / 1024.0,
        heard: crowd.heard().collect(),
    })
}

fn describe(rounds: &[Return], case: String) -> Row {
    let middle = |figure: &dyn Fn(&Return) -> f64| median(rounds.iter().map(figure).collect());
    let kib = |bytes: &dyn Fn(&Heard) -> u64| {
        middle(&|round: &Return| {
            median(round.heard.iter().map(|it| bytes(it) as f64 / 1024.0).collect())
        })
    };
    let most = |round: &Return| {
        round.heard.iter().map(|heard| heard.wire).max().unwrap_or_default() as f64 / 1024.0
    };
    Row {
        measure: "reconnect",
        case,
        figures: vec![
            ("s until all are back and have all", middle(&|round| round.seconds)),
            ("KiB to each", kib(&|heard| heard.wire)),
            ("KiB to one at most", middle(&most)),
            ("KiB of answers", kib(&|heard| heard.answers)),
            ("KiB of these: who is online", kib(&|heard| heard.online_answer)),
            ("KiB of `online` events", kib(&|heard| heard.online_events)),
            ("such events", kib(&|heard| heard.online_event_count * 1024)),
            ("KiB of other events", kib(&|heard| heard.other_events)),
            ("times that the listener's queue was full", middle(&|round| round.overflows)),
            ("times that one was closed before it had all", middle(&|round| round.returns)),
            ("MiB at the peak", middle(&|round| round.peak_mib)),
        ],
        limit: None,
        ratio: None,
        goal: None,
    }
}

/// Hashes a second of one thread on the server's core.
fn measure_hashing(bench: &Bench) -> Outcome<f64> {
    machine::pin(&[bench.server_core])?;
    let (mut hasher, mut hash) = (Hasher::new()?, [0; 32]);
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < bench.plan.round {
        hasher.hash(PASSWORD, &mut hash)?;
        count += 1;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    machine::pin(&[bench.own_core])?;
    Ok(rate)
}
