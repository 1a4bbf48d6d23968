//! Those who take up room and give nothing: they cost themselves, are cut off in time, and leave
//! nothing behind (protocol section 8).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server, run_after};
use crate::support::tls::{Tls, config};
use crate::support::websocket::{self, TEXT};
use crate::support::world::World;

/// What is logged when no further client can be taken in.
const SHORT: &str = "cannot take in another client: ";

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// How often the server logged something that begins so.
fn count_logged(server: &Server, start: &str) -> usize {
    server.record.log().iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn the_newest_is_closed_where_the_system_allows_few_files() {
    // The hard limit is what counts.
    let server = Server::start_after("ulimit -Sn 20 && ulimit -Hn 80", json!({}));
    let room = server.record.log().into_iter().find_map(|line| {
        line.strip_prefix("room for ")?.strip_suffix(" clients at once")?.parse().ok()
    });
    let room: usize = room.expect("it does not say for how many there is room");
    assert!((10..80).contains(&room), "room for {room}");
    let mut clients: Vec<Client> =
        (0..room).map(|_| server.connect("dave", Framing::Lines)).collect();
    clients.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    let mut newest = TcpStream::connect(server.address).unwrap();
    newest.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(newest.read(&mut [0]).unwrap_or(0), 0);
    // With all of them there, the database still is.
    clients[0].name = "alice".to_owned();
    clients[0].enter("register");
    let channel = clients[0].general();
    clients[0].say(channel, "hello");
    clients.pop().unwrap().leave().unwrap();
    wait_until("a place is free", || Tls::try_connect(server.address, config()).is_ok());
    assert_eq!(count_logged(&server, SHORT), 0);
}

#[test]
fn a_system_that_allows_no_client_is_one_line() {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let (code, log) = run_after("ulimit -n 40", &folder);
    assert_eq!((code, log.lines().count()), (Some(2), 1), "{log}");
    assert!(log.contains("open files: the system allows 40"), "{log}");
}

#[test]
fn running_out_of_files_is_logged_once_and_passes() {
    let server = Server::configured(json!({"limits": {"handshake_timeout_s": 600}}));
    let mut alice = server.member("alice");
    let channel = alice.general();
    let mut watcher = Tls::connect(server.address);
    let health = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
    let mut works = move || {
        alice.say(channel, "hello");
        assert_eq!(alice.history(channel, 1).len(), 1);
        watcher.write(health);
        assert!(watcher.take_until(b"{\"status\":\"ok\"}").unwrap().is_some());
    };
    works();
    let Some([_, files]) = server.threads_and_files() else { return };
    for episode in 1..3 {
        server.allow_more_files(3);
        let mut crowd: Vec<TcpStream> =
            (0..10).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        wait_until("it is out of files", || count_logged(&server, SHORT) == episode);
        works();
        let full = server.threads_and_files();
        // Whoever goes makes room for one of those who wait, and for no second line.
        for _ in 0..4 {
            drop(crowd.remove(0));
            wait_until("the next one is in", || server.threads_and_files() == full);
        }
        works();
        server.allow_more_files(100);
        wait_until("all are in", || {
            server.threads_and_files().is_some_and(|[_, now]| now == files + 6)
        });
        drop(crowd);
        server.connect("dave", Framing::Lines).must(json!({"command": "ping"}));
        wait_until("all are gone", || {
            server.threads_and_files().is_some_and(|[_, now]| now == files)
        });
        assert_eq!(count_logged(&server, SHORT), episode);
    }
}
