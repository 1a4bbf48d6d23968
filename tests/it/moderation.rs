//! Kicks and bans against clients that do not go along with it.

use std::thread;

use serde_json::json;

use crate::support::client::{Client, Framing};
use crate::support::server::Server;
use crate::support::tls::End;
use crate::support::world::{World, of_alice};

/// A server of alice's, and her, logged in, with her uuid.
fn with_alice(prepare: impl FnOnce(&mut World)) -> (Server, Client, i64) {
    let server = of_alice(prepare);
    let mut alice = server.connect("alice", Framing::Lines);
    let uuid = alice.enter("login");
    (server, alice, uuid)
}

#[test]
fn a_kicked_client_that_does_not_read_is_cut_off() {
    let (server, mut alice, own) = with_alice(|world| {
        world.messages("bob", 500, "general", &"x".repeat(16 << 10));
    });
    let general = alice.general();
    let mut bob = server.connect("bob", Framing::Lines);
    let uuid = bob.enter("login");
    alice.wait_for_online(&[own, uuid]);
    // Eight megabytes each, of which the first fills what the kernel takes.
    for _ in 0..4 {
        bob.send_text(&json!({"command": "history", "channel": general, "num": 500}).to_string());
    }
    alice.must(json!({"command": "kick", "user": uuid}));
    alice.wait_for_online(&[own]);
    // Bob has read nothing of all this, and does not.
    server.wait_for_client_threads(1);
    alice.leave().unwrap();
}

#[test]
fn nothing_is_said_by_a_member_whose_ban_was_answered() {
    for framing in [Framing::Lines, Framing::WebSocket] {
        let (server, mut alice, _) = with_alice(|world| _ = world.member("bob"));
        let general = alice.general();
        let mut bob = server.connect("bob", framing);
        let uuid = bob.enter("login");
        for number in 0..300 {
            let content = format!("spam {number}");
            bob.send(json!({"command": "send", "channel": general, "content": content}));
        }
        alice.must(json!({"command": "ban", "user": uuid}));
        let marker = alice.say(general, "banned");
        bob.read_to_end(End::CloseNotify, 1008).unwrap();
        let last = alice.history(general, 1).remove(0);
        assert_eq!(last["uuid"], marker, "something was said after the ban");
    }
}

#[test]
fn a_login_that_meets_its_ban_does_not_stay() {
    let (server, mut alice, own) = with_alice(|world| _ = world.member("bob"));
    let mut bob = server.connect("bob", Framing::Lines);
    let uuid = bob.enter("login");
    bob.leave().unwrap();
    for _ in 0..8 {
        thread::scope(|scope| {
            let logins: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut bob = server.connect("bob", Framing::Lines);
                        let login = json!({"command": "login", "uname": "bob", "passwd": "bob"});
                        bob.send(login);
                        let status = bob.next_response().ok()?["status"].as_i64();
                        if status == Some(200) {
                            bob.drain().ok();
                        }
                        status
                    })
                })
                .collect();
            alice.must(json!({"command": "ban", "user": uuid}));
            for login in logins {
                let status = login.join().unwrap();
                assert!([Some(200), Some(403), None].contains(&status), "{status:?}");
            }
        });
        assert_eq!(alice.must(json!({"command": "online"}))["data"], json!([own]));
        alice.must(json!({"command": "unban", "user": uuid}));
    }
}
