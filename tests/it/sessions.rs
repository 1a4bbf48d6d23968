//! Sessions: logins that last.

use std::fs;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::server::{Server, errand};
use crate::support::tls::End;

fn create_session(client: &mut Client) -> (i64, String) {
    let answer = client.must(json!({"command": "create_session"}));
    (answer["session"].as_i64().unwrap(), answer["token"].as_str().unwrap().to_owned())
}

/// A new connection that tries a token: the status, and the connection.
fn try_token(server: &Server, token: &str, framing: Framing) -> (Value, Client) {
    let mut client = server.connect("alice", framing);
    let mut answer = client.ask(json!({"command": "login", "token": token}));
    (answer["status"].take(), client)
}

fn is_good(server: &Server, token: &str) -> bool {
    try_token(server, token, Framing::Lines).0 == 200
}

fn sessions(client: &mut Client) -> Vec<Value> {
    client.must(json!({"command": "list_sessions"}))["data"].as_array().unwrap().clone()
}

/// Whether some file of the server's folder holds these bytes.
fn is_on_disk(server: &Server, bytes: &[u8]) -> bool {
    let files = fs::read_dir(server.folder.path()).unwrap();
    files
        .flatten()
        .filter_map(|file| fs::read(file.path()).ok())
        .any(|content| content.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn a_token_lasts_over_restarts_and_is_on_no_disk() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let (_, token) = create_session(&mut alice);
    assert_eq!(token.len(), 43);
    assert!(token.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)));
    for framing in [Framing::Lines, Framing::WebSocket] {
        let (status, mut again) = try_token(&server, &token, framing);
        assert_eq!(status, 200);
        assert_eq!(sessions(&mut again)[0]["current"], true);
    }
    let (code, ..) = errand(&server.folder, &["backup", "copy.db"], "");
    assert_eq!(code, Some(0));
    server.restart("KILL");
    assert!(is_good(&server, &token));
    assert!(is_on_disk(&server, b"alice"));
    assert!(!is_on_disk(&server, token.as_bytes()));
}

#[test]
fn the_command_line_and_a_ban_keep_tokens_out() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let alice_uuid = alice.must(json!({"command": "online"}))["data"][0].as_i64().unwrap();
    let (_, token) = create_session(&mut alice);
    let mut owner = server.member("owner");
    errand(&server.folder, &["owner", "owner"], "");
    owner.must(json!({"command": "ban", "user": alice_uuid}));
    assert!(!is_good(&server, &token));
    owner.must(json!({"command": "unban", "user": alice_uuid}));
    let (status, mut again) = try_token(&server, &token, Framing::WebSocket);
    assert_eq!(status, 200);
    let (code, ..) = errand(&server.folder, &["passwd", "alice"], "open sesame\n");
    assert_eq!(code, Some(0));
    again.read_to_end(End::CloseNotify, 1008).unwrap();
    assert!(!is_good(&server, &token));
}

#[test]
fn a_member_has_a_hundred_sessions_and_the_oldest_makes_room() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let (first, token) = create_session(&mut alice);
    let (status, mut other) = try_token(&server, &token, Framing::Lines);
    assert_eq!(status, 200);
    for _ in 0..99 {
        create_session(&mut alice);
    }
    assert_eq!(sessions(&mut alice).len(), 100);
    assert!(is_good(&server, &token));
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    let put_back = |session: i64| {
        let sql = "UPDATE sessions SET last_used = last_used - 100 WHERE uuid = ?1";
        database.execute(sql, [session]).unwrap();
    };
    put_back(first);
    // Not the one of who asks, though it is the oldest.
    let (second, _) = create_session(&mut other);
    assert!(is_good(&server, &token));
    put_back(first);
    create_session(&mut alice);
    let left = sessions(&mut alice);
    assert_eq!(left.len(), 100);
    assert!(left.iter().all(|session| session["uuid"] != first));
    assert!(left.iter().any(|session| session["uuid"] == second));
    assert!(!is_good(&server, &token));
    other.must(json!({"command": "ping"}));
}

/// Who makes sessions as fast as they can keeps none of them when another password ends them.
fn a_flood_of_sessions_ends(change: impl FnOnce(&Server, &mut Client)) {
    let server = Server::start();
    let mut alice = server.member("alice");
    let mut thief = server.connect("thief", Framing::Lines);
    thief.must(json!({"command": "login", "uname": "alice", "passwd": "alice"}));
    thief.send_all(vec![json!({"command": "create_session"}); 5000]);
    let told = thread::spawn(move || {
        let mut tokens = Vec::new();
        while let Ok(Some(answer)) = thief.receive() {
            tokens.extend(answer["token"].as_str().map(str::to_owned));
        }
        tokens
    });
    thread::sleep(Duration::from_millis(200));
    change(&server, &mut alice);
    let tokens = told.join().unwrap();
    assert!((1..5000).contains(&tokens.len()), "{}", tokens.len());
    let lasting = tokens.iter().rev().take(20).filter(|token| is_good(&server, token));
    assert_eq!(lasting.count(), 0);
}

#[test]
fn a_flood_of_sessions_ends_with_a_new_password() {
    a_flood_of_sessions_ends(|_, alice| {
        alice.must(json!({"command": "change_password", "new_password": "open sesame"}));
        // It may go on itself.
        create_session(alice);
    });
}

#[test]
fn a_flood_of_sessions_ends_with_a_password_by_the_command_line() {
    a_flood_of_sessions_ends(|server, _| {
        errand(&server.folder, &["passwd", "alice"], "open sesame\n");
    });
}

#[test]
fn what_nobody_used_for_long_is_gone_and_what_is_used_says_so() {
    const DAY: i64 = 24 * 3600;
    let server = Server::start();
    let mut alice = server.member("alice");
    let (old, forgotten) = create_session(&mut alice);
    let (used, token) = create_session(&mut alice);
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    let put_back = |session: i64, days: i64| {
        let sql = "UPDATE sessions SET last_used = unixepoch() - ?2 WHERE uuid = ?1";
        database.execute(sql, [session, days * DAY]).unwrap();
    };
    put_back(old, 180);
    put_back(used, 179);
    assert!(!is_good(&server, &forgotten));
    assert!(is_good(&server, &token));
    let listed = sessions(&mut alice);
    assert_eq!(listed.len(), 1);
    let age = listed[0]["last_used"].as_i64().unwrap() - listed[0]["created"].as_i64().unwrap();
    assert!((0..60).contains(&age), "{listed:?}");
    create_session(&mut alice);
    let rows: i64 =
        database.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn a_full_disk_keeps_nobody_with_a_token_out() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let (session, token) = create_session(&mut alice);
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    let sql = "UPDATE sessions SET last_used = last_used - 3600 WHERE uuid = ?1";
    database.execute(sql, [session]).unwrap();
    drop(database);
    server.limit_file_bytes(Some(0));
    let (status, mut again) = try_token(&server, &token, Framing::Lines);
    assert_eq!(status, 200);
    assert_eq!(sessions(&mut again).len(), 1);
    server.limit_file_bytes(None);
}
