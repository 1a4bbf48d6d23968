//! What strangers may use of the server (protocol section 8), each at its limit and past it.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server};
use crate::support::tls::{End, Tls, config};
use crate::support::websocket;
use crate::support::world::World;

/// A server with these limits, which bind loopback too.
fn limited(mut limits: Value) -> Server {
    limits["limit_loopback"] = true.into();
    Server::configured(json!({"limits": limits}))
}

/// Whether the server closes a new connection without a byte of TLS.
fn is_turned_away(server: &Server) -> bool {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    match socket.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// So many connections, however often the server turns one away before.
fn places(server: &Server, count: usize) -> Vec<Tls> {
    let until = Instant::now() + DEADLINE;
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(Tls::try_connect(server.address, config()).ok());
        assert!(Instant::now() < until, "only {} places of {count}", taken.len());
    }
    taken
}

#[track_caller]
fn assert_connections_at_most(server: &Server, count: usize) {
    let mut clients: Vec<Client> =
        (0..count).map(|_| server.connect("dave", Framing::Lines)).collect();
    clients.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    assert!(is_turned_away(server));
    // The others do not notice, and a place that becomes free can be taken.
    clients.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    clients.remove(0).leave().unwrap();
    assert_eq!(places(server, 1).len(), 1);
    clients.iter_mut().for_each(|client| client.leave().unwrap());
}

#[test]
fn connections_in_all_have_a_limit() {
    assert_connections_at_most(
        &limited(json!({"max_connections": 3, "handshake_timeout_s": 600})),
        3,
    );
}

#[test]
fn connections_of_one_address_have_a_limit() {
    assert_connections_at_most(
        &limited(json!({"max_connections_per_address": 2, "handshake_timeout_s": 600})),
        2,
    );
}

#[test]
fn no_way_of_leaving_keeps_a_place() {
    const PLACES: usize = 6;
    let server = limited(json!({"max_connections": PLACES, "max_connections_per_address": PLACES}));
    server.member("alice").leave().unwrap();
    for _ in 0..5 {
        drop(TcpStream::connect(server.address));
        let mut taken = places(&server, PLACES);
        taken.remove(0).reset();
        taken[0].write(b"{\"command\":\"ping\"}\n{\"comm");
        taken[1].write(b"GET /health HTTP/1.1\r\n\r\n");
        taken[2].write(b"\0\0\0\0\r\n\r\n");
        taken[3].write(&[websocket::UPGRADE.as_bytes(), &websocket::frame(0, b"")].concat());
        taken[4].write(b"{\"command\":\"login\",\"uname\":\"alice\",\"passwd\":\"alice\"}\n");
    }
    places(&server, PLACES);
}

#[test]
fn many_logins_at_once_hash_a_few_at_a_time() {
    let server = Server::configured(json!({"limits": {"max_password_hashes": 2}}));
    server.member("alice");
    thread::scope(|scope| {
        (0..30).for_each(|_| _ = scope.spawn(|| server.login("alice")));
    });
    // Each hash takes 19 MiB; with all at once, or with memory never given back, far more.
    if let Some(kib) = server.memory_kib("VmHWM") {
        assert!(kib < 100 << 10, "{} MiB were in memory", kib >> 10);
    }
}

#[test]
fn loopback_is_not_limited_unless_asked_for() {
    let limits =
        json!({"max_connections_per_address": 2, "requests_per_second": 1, "requests_burst": 1});
    let server = Server::configured(json!({"limits": limits}));
    let mut clients: Vec<Client> = (0..5).map(|_| server.connect("dave", Framing::Lines)).collect();
    for client in &mut clients {
        (0..50).for_each(|_| _ = client.must(json!({"command": "ping"})));
    }
}

#[test]
fn requests_past_the_rate_come_later_and_none_is_lost() {
    let server = limited(json!({"requests_per_second": 10, "requests_burst": 5}));
    let mut dave = server.connect("dave", Framing::Lines);
    let begun = Instant::now();
    let labels: Vec<String> = (0..20).map(|_| dave.send(json!({"command": "ping"}))).collect();
    for label in &labels[..5] {
        dave.answer(label);
    }
    // Only one who is paused himself waits.
    server.connect("erin", Framing::Lines).must(json!({"command": "ping"}));
    for label in &labels[5..] {
        assert_eq!(dave.answer(label)["status"], 200);
    }
    assert!(begun.elapsed() >= Duration::from_millis(1300), "{:?}", begun.elapsed());
}

#[test]
fn failed_logins_are_answered_later_each_time() {
    let server = limited(json!({"failed_logins_per_minute": 120, "failed_logins_burst": 1}));
    server.member("alice");
    let mut dave = server.connect("dave", Framing::Lines);
    let mut fail = || {
        let begun = Instant::now();
        let response = dave.ask(json!({"command": "login", "uname": "nobody", "passwd": "x"}));
        assert_eq!(response["status"], 404);
        begun.elapsed()
    };
    let waits: Vec<Duration> = (0..3).map(|_| fail()).collect();
    assert!(waits[2] >= Duration::from_millis(300), "{waits:?}");
}

#[test]
fn registrations_count_as_failed_logins_do() {
    let server = limited(json!({"failed_logins_per_minute": 1, "failed_logins_burst": 1}));
    let register = |name: &str| {
        let begun = Instant::now();
        server.member(name);
        begun.elapsed().as_secs_f64()
    };
    assert!(register("alice") < 0.9);
    assert!((0.9..15.0).contains(&register("bob")));
    let begun = Instant::now();
    let mut dave = server.connect("dave", Framing::Lines);
    let login = json!({"command": "login", "uname": "nobody", "passwd": "x"});
    assert_eq!(dave.ask(login)["status"], 404);
    assert!((1.8..15.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[test]
fn one_who_never_ends_asking_is_read_slowly_and_takes_no_memory() {
    let server = limited(json!({"requests_per_second": 10, "requests_burst": 5}));
    let ping = b"{\"command\":\"ping\"}";
    let frame = websocket::frame(websocket::FIN | websocket::TEXT, ping);
    for (framing, request) in
        [(Framing::Lines, [&ping[..], b"\n"].concat()), (Framing::WebSocket, frame)]
    {
        let requests = request.repeat(1000);
        let mut endless = server.connect("endless", framing);
        endless.must(json!({"command": "ping"}));
        let before_kib = server.memory_kib("VmRSS");
        endless.set_deadline(Duration::from_secs(1));
        // Until nobody takes it: what was sent is not read.
        let begun = Instant::now();
        while endless.tls.try_write(&requests).is_ok() {
            assert!(begun.elapsed() < DEADLINE, "the server takes whatever comes");
        }
        server.connect("dave", Framing::Lines).must(json!({"command": "ping"}));
        if let (Some(before), Some(after)) = (before_kib, server.memory_kib("VmRSS")) {
            assert!(after < before + 1024, "{before} KiB before, {after} after");
        }
    }
}

#[test]
fn connections_past_the_limit_without_end_are_turned_away_without_end() {
    let server = limited(json!({"max_connections": 2}));
    let mut alice = server.member("alice");
    let _second = server.connect("dave", Framing::Lines);
    for _ in 0..500 {
        assert!(is_turned_away(&server));
    }
    alice.must(json!({"command": "ping"}));
    server.wait_for_client_threads(2);
}

#[test]
fn a_page_of_history_has_500_messages_at_most() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 501, "general", "");
    drop(world);
    let server = Server::start_in(folder, json!({}));
    let mut alice = server.login("alice");
    let channel = alice.general();
    for (num, count, first) in
        [(499, 499, "3"), (500, 500, "2"), (501, 500, "2"), (4_294_967_295, 500, "2")]
    {
        let page = alice.history(channel, num);
        assert_eq!((page.len(), &page[0]["content"]), (count, &json!(first)));
    }
}

#[test]
fn a_nonce_is_remembered_for_a_day() {
    const DAY_S: i64 = 24 * 60 * 60;
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    let request = json!({"command": "send", "channel": channel, "content": "x", "nonce": "n"});
    let first = alice.must(request.clone())["message"].clone();
    for (seconds, is_new) in [(DAY_S - 60, false), (61, true)] {
        server.stop("TERM");
        let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
        database.execute("UPDATE nonces SET date = date - ?1", [seconds]).unwrap();
        drop(database);
        server.start_again();
        let again = server.login("alice").must(request.clone())["message"].clone();
        assert_eq!(again != first, is_new);
    }
}

#[test]
fn a_list_of_servers_has_256_entries_at_most() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let entry = json!({"uname": "al", "ip": "tea.example", "port": 1, "idx": 0});
    let request =
        |count| json!({"command": "sync_set_servers", "servers": vec![entry.clone(); count]});
    alice.must(request(256));
    assert_eq!(alice.ask(request(257))["status"], 400);
    let servers = alice.must(json!({"command": "sync_get_servers"}))["servers"].clone();
    assert_eq!((servers.as_array().unwrap().len(), &servers[255]["idx"]), (256, &json!(255)));
}

/// How long the server keeps a connection on which this was written.
fn seconds_until_closed(server: &Server, bytes: Option<&[u8]>) -> f64 {
    let begun = Instant::now();
    match bytes {
        None => {
            let mut socket = TcpStream::connect(server.address).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            socket.read_to_end(&mut Vec::new()).ok();
        }
        Some(bytes) => {
            let mut tls = Tls::connect(server.address);
            tls.write(bytes);
            tls.read_to_end();
        }
    }
    begun.elapsed().as_secs_f64()
}

#[test]
fn each_stage_before_the_login_has_its_time() {
    // Each server allows one second for one stage, and long for the others.
    let long =
        || json!({"handshake_timeout_s": 600, "first_byte_timeout_s": 600, "login_timeout_s": 600});
    for (key, bytes) in [
        ("handshake_timeout_s", None),
        ("first_byte_timeout_s", Some(&b""[..])),
        ("login_timeout_s", Some(b"{\"command\":\"ping\"}\n{")),
        ("login_timeout_s", Some(b"GET / HTTP/1.1\r\n")),
    ] {
        let mut limits = long();
        limits[key] = 1.into();
        let server = Server::configured(json!({"limits": limits}));
        let seconds = seconds_until_closed(&server, bytes);
        assert!((0.9..15.0).contains(&seconds), "{key}: {seconds} s");
    }
}

#[test]
fn who_talks_without_a_login_is_closed_too_and_who_logged_in_is_not() {
    let server = Server::configured(json!({"limits": {"login_timeout_s": 1}}));
    let mut alice = server.member("alice");
    let mut dave = server.connect("dave", Framing::WebSocket);
    let begun = Instant::now();
    loop {
        dave.send_text(r#"{"command":"ping"}"#);
        match dave.receive() {
            Ok(Some(_)) => assert!(begun.elapsed() < DEADLINE, "still there"),
            Ok(None) => break,
            Err(error) => panic!("{error}"),
        }
    }
    alice.must(json!({"command": "ping"}));
}

#[test]
fn who_asks_without_a_login_and_does_not_read_is_closed_too() {
    const REQUESTS: usize = 8000;
    let server = Server::configured(json!({"limits": {"login_timeout_s": 1}}));
    let mut deaf = Tls::connect(server.address);
    deaf.write("{\"command\":\"get_icon\"}\n".repeat(REQUESTS).as_bytes());
    // Came later, so that when its time is over, that of the deaf one is.
    let (_, end) = {
        let mut later = Tls::connect(server.address);
        later.write(b"{\"command\":\"ping\"}\n");
        later.read_to_end()
    };
    assert_eq!(end, End::CloseNotify);
    let (answers, _) = deaf.read_to_end();
    let answered = answers.iter().filter(|byte| **byte == b'\n').count();
    assert!(answered < REQUESTS, "all {answered} were answered");
}

#[test]
fn who_is_silent_after_the_login_is_closed_only_if_that_was_asked_for() {
    let server = Server::configured(json!({"limits": {"idle_timeout_s": 1}}));
    let mut alice = server.member("alice");
    let begun = Instant::now();
    alice.drain().unwrap();
    assert!((0.9..15.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}
