//! SIGTERM and SIGINT: what is at work is finished, everybody is told, the exit code is 0.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::support::client::{Client, Framing};
use crate::support::server::{Server, errand};
use crate::support::tls::{End, Tls};
use crate::support::{pictures, websocket};

/// What an operator is promised.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

#[test]
fn clients_are_told_and_the_port_is_free_afterwards() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        let mut alice = server.member("alice");
        let mut bob = server.connect("bob", Framing::WebSocket);
        bob.enter("register");
        let mut dave = server.connect("dave", Framing::WebSocket);
        assert_eq!(server.stop(signal), Some(0));
        for client in [&mut alice, &mut bob, &mut dave] {
            client.read_to_end(End::CloseNotify, 1001).unwrap();
        }
        assert!(TcpStream::connect(server.address).is_err(), "somebody still listens");
        assert!(!server.folder.has("aster.db-wal"), "the database was not closed");
    }
}

#[test]
fn no_client_can_delay_the_end() {
    let mut server = Server::configured(json!({"limits": {"max_backlog_bytes": 65536}}));
    let _silent = TcpStream::connect(server.address).unwrap();
    let _undecided = Tls::connect(server.address);
    let mut slow = Tls::connect(server.address);
    slow.write(b"{\"command\":");
    let mut head = Tls::connect(server.address);
    head.write(b"GET / HTTP/1.1\r\n");
    let mut fragment = Tls::connect(server.address);
    websocket::upgrade(&mut fragment).unwrap();
    fragment.write(&websocket::frame(websocket::TEXT, b"{"));
    let mut deaf = server.member("deaf");
    let channel = deaf.general();
    // Its answers fill whatever the sockets hold, and are never read.
    for _ in 0..3 {
        deaf.say(channel, &"x".repeat(16 << 10));
    }
    for _ in 0..500 {
        deaf.send(json!({"command": "history", "channel": channel, "num": 500}));
    }
    let begun = Instant::now();
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(begun.elapsed() < STOP_DEADLINE, "it took {:?}", begun.elapsed());
}

#[test]
fn who_has_not_said_much_yet_is_told_as_well() {
    let mut server = Server::start();
    let mut undecided = Tls::connect(server.address);
    let mut head = Tls::connect(server.address);
    head.write(b"GET / HTTP/1.1\r\n");
    let mut page = Tls::connect(server.address);
    page.write(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    page.take_until(b"}").unwrap();
    assert_eq!(server.stop("TERM"), Some(0));
    for tls in [&mut undecided, &mut head, &mut page] {
        assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));
    }
}

#[test]
fn another_program_that_holds_the_database_cannot_delay_the_end() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let mut bob = server.member("bob");
    let channel = alice.general();
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for client in [&mut alice, &mut bob] {
        client.send(json!({"command": "send", "channel": channel, "content": "hello"}));
    }
    let begun = Instant::now();
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(begun.elapsed() < STOP_DEADLINE, "it took {:?}", begun.elapsed());
    let said = "another program holds the database; what was not answered is not done";
    assert!(server.record.log().iter().any(|line| line.contains(said)));
}

#[test]
fn errands_say_so_when_another_program_holds_the_database() {
    let mut server = Server::start();
    server.member("alice").leave().unwrap();
    server.stop("TERM");
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (code, output, log) = errand(&server.folder, &["owner", "alice"], "");
    assert_eq!((code, output.as_str()), (Some(1), ""), "{log}");
    let said = "database: another program holds the database; try again\n";
    assert_eq!(log, said);
    // What only reads waits for nobody, and says nothing of it.
    assert_eq!(errand(&server.folder, &["audit"], ""), (Some(0), String::new(), String::new()));
}

#[test]
fn a_registration_at_work_is_answered_or_never_was() {
    let mut server = Server::start();
    let names: Vec<String> = (0..8).map(|number| format!("member{number}")).collect();
    let mut clients: Vec<Client> =
        names.iter().map(|name| server.connect(name, Framing::Lines)).collect();
    for client in &mut clients {
        client.send(json!({"command": "register", "uname": client.name, "passwd": client.name}));
    }
    assert_eq!(clients[0].next_response().unwrap()["status"], 200);
    assert_eq!(server.stop("TERM"), Some(0));
    let mut answered = vec![true];
    for client in &mut clients[1..] {
        client.read_to_end(End::CloseNotify, 0).unwrap();
        answered.push(client.responses.iter().any(|response| response["status"] == 200));
    }
    server.start_again();
    for (name, answered) in names.iter().zip(answered) {
        let mut client = server.connect(name, Framing::Lines);
        let response = client.ask(json!({"command": "login", "uname": name, "passwd": name}));
        assert_eq!(response["status"], if answered { 200 } else { 404 }, "{name}");
    }
}

#[test]
fn a_server_that_stopped_starts_again_with_everything() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let (_, picture) = &pictures::all()[0];
    alice.must(json!({"command": "pfp", "data": picture}));
    for _ in 0..3 {
        server.restart("TERM");
    }
    let mut alice = server.login("alice");
    let users = alice.must(json!({"command": "get_metadata"}));
    assert_eq!(users["data"][0]["pfp"], picture.as_str());
}
