//! Resident memory: of the process by itself, for each idle connection, with many who chat.

use crate::clients::Clients;
use crate::crowd::{Crowd, arrival, login_by_token};
use crate::database::{make_community, token};
use crate::report::{Report, Row};
use crate::server::{Rules, Server};
use crate::{Bench, Outcome, median};

/// Connections that do nothing.
const IDLE: [usize; 2] = [1000, 5000];
/// Accounts; of more connections than that, each has several.
const MEMBERS: usize = 1000;
/// Connections under way at a time, and that ask at a time.
const AT_ONCE: usize = 32;
/// Members who hear what [`SENDERS`] of them say.
const CHATTING: usize = 500;
const SENDERS: usize = 8;

const CONNECTION_KIB_MAX: f64 = 32.0;
const PROCESS_MIB_MAX: f64 = 8.0;
const CHATTING_MIB_MAX: f64 = 64.0;

/// All of it, in servers that start anew for each figure.
pub(crate) fn measure_memory(bench: &Bench, report: &mut Report) -> Outcome<()> {
    for count in IDLE.map(|count| count / bench.plan.divisor) {
        let rounds = (0..bench.plan.rounds).map(|_| measure_idle(bench, count));
        let rounds = rounds.collect::<Outcome<Vec<_>>>()?;
        let middle = |place: usize| median(rounds.iter().map(|round| round[place]).collect());
        if count == IDLE[0] / bench.plan.divisor {
            let process_mib = middle(0) / 1024.0;
            report.add(Row {
                measure: "memory",
                case: format!(
                    "the process, {} accounts, no connection",
                    MEMBERS / bench.plan.divisor
                ),
                figures: vec![("MiB", process_mib)],
                limit: None,
                ratio: None,
                goal: Some(("at most 8 MiB".to_owned(), process_mib <= PROCESS_MIB_MAX)),
            });
        }
        report.add(Row {
            measure: "memory",
            case: format!(
                "{count} idle connections by sessions, {} accounts",
                MEMBERS / bench.plan.divisor
            ),
            figures: vec![
                (
                    "KiB for each that asked for channels, members, online and 100 messages",
                    middle(2),
                ),
                ("KiB for each that only logged in", middle(1)),
            ],
            limit: None,
            ratio: None,
            goal: Some(("at most 32 KiB".to_owned(), middle(2) <= CONNECTION_KIB_MAX)),
        });
    }
    let rounds = (0..bench.plan.rounds).map(|_| measure_chatting(bench));
    let rounds = rounds.collect::<Outcome<Vec<_>>>()?;
    let middle = |place: usize| median(rounds.iter().map(|round| round[place]).collect());
    report.add(Row {
        measure: "memory",
        case: format!("{} members chatting, {SENDERS} senders", CHATTING / bench.plan.divisor),
        figures: vec![
            ("MiB at the peak, logins by password included", middle(0)),
            ("MiB after", middle(1)),
        ],
        limit: None,
        ratio: None,
        goal: Some(("at most 64 MiB".to_owned(), middle(0) <= CHATTING_MIB_MAX)),
    });
    Ok(())
}

/// KiB of the process alone; KiB for each connection that logged in, and that asked.
fn measure_idle(bench: &Bench, count: usize) -> Outcome<[f64; 3]> {
    let members = MEMBERS / bench.plan.divisor;
    let server = Server::start_in(make_community(bench, members, 1000)?, &[bench.server_core])?;
    let outcome = (|| {
        let alone_kib = server.resident_kib()?;
        let settling = bench.plan.round * 4 / 3;
        let mut crowd = Crowd::new(&server)?;
        let logins = (0..count).map(|index| login_by_token(&token(index % members)));
        crowd.arrive(logins, &[], AT_ONCE)?;
        crowd.listen_for(settling)?;
        let logged_in_kib = server.resident_kib()?;
        crowd.ask(&arrival(), AT_ONCE)?;
        crowd.listen_for(settling)?;
        let asked_kib = server.resident_kib()?;
        let for_each = |kib: f64| (kib - alone_kib) / count as f64;
        Ok([alone_kib, for_each(logged_in_kib), for_each(asked_kib)])
    })();
    let figures = server.explain(outcome)?;
    server.stop()?;
    Ok(figures)
}

/// MiB at the peak and after.
fn measure_chatting(bench: &Bench) -> Outcome<[f64; 2]> {
    let count = CHATTING / bench.plan.divisor;
    let server = Server::start(&bench.folder, count, &[bench.server_core], Rules::None)?;
    let outcome = (|| {
        let mut clients = Clients::new(&server)?;
        clients.grow_to(count)?;
        clients.start(SENDERS.min(count), 1)?;
        clients.run_for(bench.plan.round * 2)?;
        clients.finish()?;
        clients.run_for(bench.plan.round)?;
        Ok([server.peak_kib()? / 1024.0, server.resident_kib()? / 1024.0])
    })();
    let figures = server.explain(outcome)?;
    server.stop()?;
    Ok(figures)
}
