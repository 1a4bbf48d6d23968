//! What no transcript can say of channels, groups and bans: numbers, and the passing of time.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::support::client::Framing;
use crate::support::pictures;
use crate::support::world::of_alice;

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

#[test]
fn a_ban_ends_by_itself() {
    let (mut bob_uuid, until) = (0, now_s() + 2);
    let server = of_alice(|world| {
        bob_uuid = world.member("bob");
        world.ban("bob", Some(until));
    });
    let mut bob = server.connect("bob", Framing::Lines);
    let login = json!({"command": "login", "uname": "bob", "passwd": "bob"});
    let mut asked = now_s();
    while bob.ask(login.clone())["status"] != 200 {
        assert!(asked < until, "still banned");
        thread::sleep(Duration::from_millis(50));
        asked = now_s();
    }
    assert!(now_s() >= until, "let in too early");
    let mut alice = server.login("alice");
    assert_eq!(alice.must(json!({"command": "list_bans"}))["data"], json!([]));
    let response = alice.ask(json!({"command": "unban", "user": bob_uuid}));
    assert_eq!(response["status"], 404);
}

#[test]
fn a_channel_says_something_to_at_most_1000_subjects() {
    let server = of_alice(|_| {});
    let mut alice = server.login("alice");
    let mut status = |count: u64| {
        let map: Map<String, Value> =
            (1..=count).map(|uuid| (format!("user:{uuid}"), json!([0, 0, 0]))).collect();
        let response =
            alice.ask(json!({"command": "create_channel", "name": "tea", "permissions": map}));
        response["status"].clone()
    };
    // There are no such members, which is looked at once the bound is kept.
    assert_eq!((status(1000), status(1001)), (json!(404), json!(400)));
}

#[test]
fn all_channels_together_say_something_of_at_most_10000_subjects() {
    let mut members = Vec::new();
    let server = of_alice(|world| {
        members.extend((0..1000).map(|number| world.member(&format!("m{number}"))));
    });
    let mut alice = server.login("alice");
    let mut status = |members: &[i64]| {
        let map: Map<String, Value> =
            members.iter().map(|uuid| (format!("user:{uuid}"), json!([0, 0, 0]))).collect();
        let request = json!({"command": "create_channel", "name": "tea", "permissions": map});
        alice.ask(request)["status"].clone()
    };
    for _ in 0..10 {
        assert_eq!(status(&members), 200);
    }
    assert_eq!((status(&members[..1]), status(&[])), (json!(400), json!(200)));
}

#[test]
fn a_server_has_at_most_2000_channels_500_groups_and_2000_emoji() {
    let png = STANDARD.encode(pictures::png(2, 2, 0));
    // One short of each bound: there is #general, and the owners' group.
    let server = of_alice(|world| {
        (0..1998).for_each(|number| _ = world.channel(&format!("channel{number}")));
        (0..498).for_each(|number| _ = world.group(&format!("group{number}")));
        (0..1999).for_each(|number| world.emoji(&format!("emoji{number}"), &png));
    });
    let mut alice = server.login("alice");
    let mut status = |request: Value| alice.ask(request)["status"].clone();
    for expected in [200, 400] {
        let channel = json!({"command": "create_channel", "name": "tea"});
        assert_eq!(status(channel), expected);
        let group = json!({"command": "create_group", "name": "brewers", "permissions": [],
            "colour": 0, "position": 1});
        assert_eq!(status(group), expected);
        let emoji = json!({"command": "create_emoji", "name": format!("cup{expected}"),
            "data": png});
        assert_eq!(status(emoji), expected);
    }
}

#[test]
fn a_great_many_members_that_change_are_told_each_once() {
    let names: Vec<String> = (0..2000).map(|number| format!("member{number}")).collect();
    let (mut group, mut members) = (0, BTreeSet::new());
    let server = of_alice(|world| {
        group = world.group("brewers");
        for name in &names {
            world.join(name, group);
            members.insert(world.member(name));
        }
        world.member("bob");
    });
    let (mut alice, mut bob) = (server.login("alice"), server.login("bob"));
    alice.must(json!({"command": "delete_group", "uuid": group}));
    for client in [&mut alice, &mut bob] {
        let mut told = BTreeSet::new();
        while told.len() < members.len() {
            let event = client.next_event().unwrap();
            assert_eq!(event["command"], "get_metadata");
            for user in event["data"].as_array().unwrap() {
                assert_eq!(user["groups"], json!([]));
                assert!(told.insert(user["uuid"].as_i64().unwrap()), "told twice: {user}");
            }
        }
        assert_eq!(told, members);
        client.leave().unwrap();
        assert!(client.events.is_empty(), "{:?}", client.events);
    }
}
