//! Who is online, however they come and go.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::client::{Client, Framing, same_set};
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// A little more than what the server allows itself.
const EVENTS_PER_SECOND_MAX: f64 = 5.0;

#[test]
fn many_at_once_are_joined_into_few_events() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let names: Vec<String> = (0..30).map(|number| format!("member{number}")).collect();
    let mut uuids: Vec<i64> = names.iter().map(|name| world.member(name)).collect();
    let alice_uuid = world.member("alice");
    drop(world);
    let server = Server::start_in(folder, json!({}));
    let mut alice = server.login("alice");
    alice.wait_for_online(&[alice_uuid]);

    let begun = Instant::now();
    let clients: Vec<Client> = thread::scope(|scope| {
        let server = &server;
        let threads: Vec<_> =
            names.iter().map(|name| scope.spawn(move || server.login(name))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    uuids.push(alice_uuid);
    let mut events = count_until(&mut alice, &uuids);
    drop(clients);
    events += count_until(&mut alice, &[alice_uuid]);
    let most = begun.elapsed().as_secs_f64() * EVENTS_PER_SECOND_MAX + 2.0;
    assert!(f64::from(events) <= most, "{events} events, {most} at most");
    let response = alice.must(json!({"command": "online"}));
    assert_eq!(response["data"], json!([alice_uuid]));
}

/// How many `online` events come until exactly these members are in one.
fn count_until(client: &mut Client, members: &[i64]) -> u32 {
    let members: Vec<Value> = members.iter().copied().map(Value::from).collect();
    (1..).find(|_| same_set(&client.next_online().unwrap()["data"], &members)).unwrap()
}

#[test]
fn a_client_that_vanishes_with_much_unread_is_offline() {
    let server = Server::start();
    let mut alice = server.connect("alice", Framing::Lines);
    let alice_uuid = alice.enter("register");
    let mut bob = server.connect("bob", Framing::WebSocket);
    let bob_uuid = bob.enter("register");
    alice.wait_for_online(&[alice_uuid, bob_uuid]);
    let channel = alice.general();
    for _ in 0..20 {
        alice.say(channel, &"x".repeat(16 << 10));
    }
    // Closing with bytes unread makes the kernel send a reset.
    drop(bob);
    alice.wait_for_online(&[alice_uuid]);
}

#[test]
fn a_client_that_ends_its_stream_but_does_not_hang_up_is_offline() {
    let server = Server::start();
    let mut alice = server.connect("alice", Framing::Lines);
    let alice_uuid = alice.enter("register");
    let mut bob = server.connect("bob", Framing::Lines);
    let bob_uuid = bob.enter("register");
    alice.wait_for_online(&[alice_uuid, bob_uuid]);
    bob.tls.send_close_notify();
    alice.wait_for_online(&[alice_uuid]);
    bob.drain().unwrap();
}

#[test]
fn a_second_connection_makes_no_event() {
    let server = Server::start();
    let mut alice = server.member("alice");
    alice.next_online().unwrap();
    for framing in [Framing::Lines, Framing::WebSocket] {
        let mut again = server.connect("alice", framing);
        again.enter("login");
        again.leave().unwrap();
    }
    alice.leave().unwrap();
    assert!(alice.onlines.is_empty(), "{:?}", alice.onlines);
}
