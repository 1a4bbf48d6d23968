//! Wrong passwords, registrations and codes are slowed by address (protocol section 8), and who is
//! slowed holds up nobody else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server};
use crate::support::tls::{Tls, config};
use crate::support::world::World;

/// One try is free, each one after it waits a second longer.
fn strict() -> serde_json::Value {
    json!({"limit_loopback": true, "failed_logins_burst": 1, "failed_logins_per_minute": 1})
}

#[test]
fn who_fails_over_ipv6_waits_and_does_not_hold_up_ipv4_or_the_hashing() {
    const TRIES: u64 = 6;
    if TcpListener::bind("[::1]:0").is_err() {
        return; // This machine has no IPv6.
    }
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.member("alice");
    drop(world);
    let mut limits = strict();
    limits["max_password_hashes"] = 1.into();
    let server = Server::start_in(folder, json!({"addr": "::", "limits": limits}));
    let connect = |ip, name: &str| {
        let address = SocketAddr::new(ip, server.address.port());
        Client::connect(address, name, Framing::Lines, &server.record)
    };
    let (ours, theirs) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    // From here on there is a password, which has to be hashed to be found wrong.
    connect(ours, "alice").enter("login");

    let begun = Instant::now();
    thread::scope(|scope| {
        let tries: Vec<_> = (0..TRIES)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = connect(theirs, "eve");
                    let login = json!({"command": "login", "uname": "alice", "passwd": "wrong"});
                    assert_eq!(client.ask(login)["status"], 403);
                    begun.elapsed()
                })
            })
            .collect();
        let mut waits: Vec<Duration> = tries.into_iter().map(|one| one.join().unwrap()).collect();
        waits.sort();
        for (place, wait) in (0..).zip(&waits) {
            // Less what the bucket gets back meanwhile.
            assert!(*wait >= Duration::from_millis(place * 900), "{waits:?}");
        }
    });
    let begun = Instant::now();
    thread::scope(|scope| {
        let eve = scope.spawn(|| {
            let mut eve = connect(theirs, "eve");
            eve.ask(json!({"command": "login", "uname": "alice", "passwd": "wrong"}));
            begun.elapsed()
        });
        connect(ours, "alice").enter("login");
        let login = json!({"command": "login", "uname": "nobody", "passwd": "x"});
        assert_eq!(connect(ours, "dave").ask(login)["status"], 404);
        let ours = begun.elapsed();
        assert!(ours < eve.join().unwrap(), "{ours:?}");
    });
}

#[test]
fn who_hangs_up_while_an_answer_waits_does_not_try_again_sooner() {
    const PLACES: usize = 4;
    let mut limits = strict();
    limits["max_connections_per_address"] = PLACES.into();
    let server = Server::configured(json!({"registration": "invite", "limits": limits}));
    let mut clients: Vec<Client> =
        (0..PLACES).map(|_| server.connect("eve", Framing::Lines)).collect();
    clients.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    let begun = Instant::now();
    for client in &mut clients {
        let guess =
            json!({"command": "register", "uname": "eve", "passwd": "x", "invite": "guess"});
        client.send(guess);
    }
    drop(clients);
    let mut taken = Vec::new();
    while taken.len() < PLACES {
        taken.extend(Tls::try_connect(server.address, config()).ok());
        assert!(begun.elapsed() < DEADLINE, "only {} places", taken.len());
        thread::sleep(Duration::from_millis(10));
    }
    assert!(begun.elapsed() >= Duration::from_millis(2700), "{:?}", begun.elapsed());
}
