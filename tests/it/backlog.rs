//! The slow one pays: a client that does not read costs itself, and nobody waits for it.

use std::time::Duration;

use serde_json::json;

use crate::support::client::Framing;
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// Far more than the kernel's buffers of both ends hold.
const MESSAGES_MAX: usize = 4000;

#[test]
fn who_never_reads_is_closed_at_the_bound_and_the_others_get_everything() {
    let server = Server::configured(json!({"limits": {"max_backlog_bytes": 65536}}));
    let mut alice = server.member("alice");
    let mut bob = server.connect("bob", Framing::WebSocket);
    bob.enter("register");
    let mut deaf = server.member("deaf");
    assert_eq!(bob.next_event().unwrap()["command"], "get_metadata");
    let channel = alice.general();
    let everyone = alice.must(json!({"command": "online"}))["data"].as_array().unwrap().len();
    let mut sent = Vec::new();
    // The list of those online shrinks when the deaf one is closed.
    while sent.len() < MESSAGES_MAX {
        let text = format!("{} {}", sent.len(), "x".repeat(16_000));
        sent.push(alice.say(channel, &text));
        let event = bob.next_event().unwrap();
        assert_eq!(
            (event["uuid"].as_i64(), event["content"].as_str()),
            (sent.last().copied(), Some(&text[..]))
        );
        let response = alice.must(json!({"command": "online"}));
        if response["data"].as_array().unwrap().len() < everyone {
            break;
        }
    }
    assert!(sent.len() < MESSAGES_MAX, "the deaf one is still there");
    // What it got until then is the beginning, without a gap.
    while deaf.tls.fill().unwrap() {}
    let mut expected = sent.iter();
    while let Ok(event) = deaf.next_event() {
        assert_eq!(event["uuid"].as_i64(), expected.next().copied());
    }
    assert!(expected.next().is_some(), "it got everything after all");
}

#[test]
fn who_asks_and_does_not_read_waits_for_nobody_but_itself() {
    const REQUESTS: usize = 30;
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 500, "general", &"x".repeat(8 << 10));
    world.member("bob");
    drop(world);
    let config = json!({"limits": {"max_backlog_bytes": 65536, "max_password_hashes": 1}});
    let server = Server::start_in(folder, config);
    let mut alice = server.login("alice");
    let channel = alice.general();
    let labels: Vec<String> = (0..REQUESTS)
        .map(|_| alice.send(json!({"command": "history", "channel": channel, "num": 500})))
        .collect();
    // 120 MB are asked for. Others are served, and the server does not hold it all.
    let mut bob = server.login("bob");
    for number in 0..100 {
        bob.say(channel, &number.to_string());
        assert_eq!(bob.next_event().unwrap()["content"], number.to_string());
    }
    if let Some(kib) = server.memory_kib("VmRSS") {
        assert!(kib < 90 << 10, "{} MiB are in memory", kib >> 10);
    }
    // No answer is lost for all that.
    alice.set_deadline(Duration::from_secs(60));
    for label in &labels {
        let response = alice.answer(label);
        assert_eq!(response["data"].as_array().unwrap().len(), 500);
    }
}

#[test]
fn an_answer_of_any_size_comes_to_its_last_byte_though_nothing_follows_it() {
    // Less than 64 KiB: some answer is so little larger than what the kernel holds unread.
    const STEP: usize = 7;
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 500, "general", &"x".repeat(8 << 10));
    drop(world);
    let server = Server::start_in(folder, json!({}));
    // While she stays nobody comes online or leaves, and no event carries the rest along.
    let mut first = server.login("alice");
    let channel = first.general();
    for num in (400..=500).step_by(STEP) {
        let request = json!({"command": "history", "channel": channel, "num": num});
        let mut alice = server.login("alice");
        let label = alice.send(request.clone());
        // As much again takes as long: by then the server has done what it does for her.
        for _ in 0..2 {
            first.must(request.clone());
        }
        assert_eq!(alice.answer(&label)["data"].as_array().unwrap().len(), num);
    }
}
