//! Invites, as the owner makes them and strangers use them.

use std::sync::Barrier;
use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server, errand};

fn by_invite() -> Server {
    Server::configured(json!({"registration": "invite"}))
}

/// An errand that must succeed: what it printed, and what it logged.
#[track_caller]
fn done(folder: &Folder, arguments: &[&str]) -> (String, String) {
    let (code, output, log) = errand(folder, arguments, "");
    assert_eq!(code, Some(0), "{arguments:?}: {output}{log}");
    (output, log)
}

/// A new code.
#[track_caller]
fn invite(folder: &Folder, terms: &[&str]) -> String {
    let (output, log) = done(folder, &[&["invite"], terms].concat());
    assert_eq!(log, "");
    output.strip_suffix('\n').unwrap().to_owned()
}

fn register(client: &mut Client, code: &str) -> Value {
    let (name, password) = (&client.name, &client.name);
    let request = json!({"command": "register", "uname": name, "passwd": password, "invite": code});
    client.ask(request)["status"].take()
}

/// What a stranger is answered.
fn try_register(server: &Server, name: &str, code: &str) -> Value {
    register(&mut server.connect(name, Framing::Lines), code)
}

#[test]
fn a_code_is_made_used_and_withdrawn_while_the_server_runs() {
    let server = by_invite();
    let code = invite(&server.folder, &[]);
    let groups: Vec<&str> = code.split('-').collect();
    assert_eq!(groups.len(), 5, "{code}");
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() && !"ilou".contains(letter);
    assert!(groups.iter().all(|group| group.len() == 5 && group.chars().all(is_letter)), "{code}");

    let (two, other) = (invite(&server.folder, &["--uses", "2", "--days", "0"]), groups.concat());
    assert_eq!(try_register(&server, "alice", &other), 403, "the dashes are part of it");
    assert_eq!(try_register(&server, "alice", &code.to_uppercase()), 200);
    assert_eq!(try_register(&server, "bob", &code), 403, "it was for one");
    assert_eq!(try_register(&server, "alice", &two), 409);
    assert_eq!(try_register(&server, "bob", &two), 200);

    let (list, _) = done(&server.folder, &["invites"]);
    assert_eq!(list, format!("{two}\t1 left\tfor ever\n"));
    assert_eq!(done(&server.folder, &["invite", &two, "--remove"]).0, "withdrawn\n");
    assert_eq!(try_register(&server, "carol", &two), 403);
    assert_eq!(done(&server.folder, &["invites"]).0, "");

    let (record, _) = done(&server.folder, &["audit"]);
    let lines: Vec<&str> = record.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    let (first, second) = (groups[0], &two[..5]);
    assert!(
        lines[0]
            .starts_with(&format!("command line\tinvite\tthe server\t{first}: 1 left, until 20"))
    );
    assert_eq!(
        lines[1..],
        [
            format!("command line\tinvite\tthe server\t{second}: 2 left, for ever"),
            format!("alice\tregister\talice\tinvite {first}"),
            format!("bob\tregister\tbob\tinvite {second}"),
            format!("command line\tinvite --remove\tthe server\t{second}"),
        ]
    );
    assert!(!record.contains(&code) && !record.contains(&two), "who reads it cannot use them");
}

#[test]
fn what_is_no_invite_is_refused_in_a_line() {
    let server = by_invite();
    let refused = |arguments: &[&str], code: i32| {
        let (got, output, log) = errand(&server.folder, arguments, "");
        assert_eq!((got, output.as_str()), (Some(code), ""), "{arguments:?}: {log}");
        log
    };
    let unknown = "there is no invite tea-time\n";
    assert_eq!(refused(&["invite", "--remove", "tea-time"], 1), unknown);
    assert_eq!(refused(&["invite", "--remove", &"x".repeat(65)], 1).lines().count(), 1);
    assert_eq!(refused(&["invite", "--uses", "0"], 1), "--uses: must be from 1 to 10000\n");
    assert_eq!(refused(&["invite", "--uses", "10001"], 1).lines().count(), 1);
    assert_eq!(refused(&["invite", "--days", "36501"], 1).lines().count(), 1);
    assert_eq!(refused(&["invite", "--days", "-1"], 2), "--days: must be a number\n");
    assert_eq!(refused(&["invite", "tea-time"], 2).lines().count(), 1);
    assert_eq!(done(&server.folder, &["audit"]).0, "");
}

#[test]
fn an_end_that_has_come_is_kept_to_and_the_invite_forgotten() {
    let server = by_invite();
    let codes = ["1", "2"].map(|days| invite(&server.folder, &["--days", days]));
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    database.execute("UPDATE invites SET until = until - 86400", []).unwrap();
    assert_eq!(try_register(&server, "alice", &codes[0]), 403);
    assert!(done(&server.folder, &["invites"]).0.starts_with(&codes[1]));
    assert_eq!(try_register(&server, "alice", &codes[1]), 200);
    invite(&server.folder, &[]);
    let count: i64 =
        database.query_row("SELECT count(*) FROM invites", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "the newest only");
}

#[test]
fn a_code_for_three_lets_in_three_of_many_at_once() {
    const COUNT: usize = 16;
    let server = by_invite();
    let code = invite(&server.folder, &["--uses", "3"]);
    let start = Barrier::new(COUNT);
    let statuses: Vec<Value> = thread::scope(|scope| {
        let threads: Vec<_> = (0..COUNT)
            .map(|number| {
                let (server, code, start) = (&server, &code, &start);
                scope.spawn(move || {
                    let mut client = server.connect(&format!("m{number}"), Framing::Lines);
                    client.must(json!({"command": "ping"}));
                    start.wait();
                    register(&mut client, code)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status: i64| statuses.iter().filter(|got| **got == status).count();
    assert_eq!((count(200), count(403)), (3, COUNT - 3), "{statuses:?}");
}

#[test]
fn a_code_outlives_a_restart_and_is_not_used_up_where_all_may_register() {
    let mut server = Server::start();
    let (output, log) = done(&server.folder, &["invite"]);
    let code = output.trim();
    assert_eq!(log, "registration is open: nobody needs it\n");
    assert_eq!(try_register(&server, "alice", code), 200);
    assert!(!done(&server.folder, &["audit"]).0.contains("register"));
    for (registration, name, status) in [("closed", "bob", 403), ("invite", "bob", 200)] {
        server.stop("TERM");
        let config = json!({"addr": "127.0.0.1", "port": 0, "registration": registration});
        server.folder.write("config.json", config.to_string());
        server.start_again();
        assert_eq!(try_register(&server, name, code), status, "{registration}");
        server.login("alice").leave().unwrap();
    }
    assert_eq!(try_register(&server, "carol", code), 403);
}

#[test]
fn no_password_is_hashed_for_who_is_refused() {
    for registration in ["closed", "invite"] {
        let server = Server::configured(json!({"registration": registration}));
        let before = server.memory_kib("VmHWM");
        assert_eq!(try_register(&server, "alice", "guess"), 403);
        let grown = server.memory_kib("VmHWM").zip(before).map(|(after, before)| after - before);
        // A hash takes 19 MiB.
        assert!(grown.is_none_or(|kib| kib < 10 << 10), "{registration}: {grown:?} KiB");
    }
}
