//! What happens when the server itself is at fault, and what it never tells.

use std::thread;

use rusqlite::Connection;
use serde_json::json;

use crate::support::client::Client;
use crate::support::server::{Folder, Server};
use crate::support::world::World;

#[test]
fn a_fault_is_500_and_logged_and_undoes_only_its_own_request() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let names = ["alice", "bob", "carol", "dave"];
    names.iter().for_each(|name| _ = world.member(name));
    drop(world);
    let trigger = "CREATE TRIGGER fault AFTER INSERT ON messages WHEN new.content LIKE 'wrong%'
                   BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END";
    let database = Connection::open(folder.path().join("aster.db")).unwrap();
    database.execute_batch(trigger).unwrap();
    drop(database);
    let server = Server::start_in(folder, json!({}));
    let mut clients: Vec<Client> = names.iter().map(|name| server.login(name)).collect();
    let channel = clients[0].general();
    // They send at once, so that right and wrong ones are in one transaction.
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(move || {
                for number in 0..20 {
                    let content = format!("{} {number}", if number % 2 == 0 { "right" } else { "wrong" });
                    let request = json!({"command": "send", "channel": channel, "content": content, "nonce": content});
                    let response = client.ask(request);
                    assert_eq!(response["status"], if number % 2 == 0 { 200 } else { 500 });
                    assert_eq!(response.as_object().unwrap().len(), if number % 2 == 0 { 3 } else { 2 });
                }
            });
        }
    });
    let history = clients[0].history(channel, 500);
    assert_eq!(history.len(), 40);
    for client in &mut clients {
        for message in &history {
            assert_eq!(client.next_event().unwrap()["uuid"], message["uuid"]);
        }
        client.leave().unwrap();
        assert!(client.events.is_empty(), "told of what is not there");
    }
    let log = server.record.log();
    assert!(log.iter().any(|line| line.contains("the disk is on fire")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("wrong 1")), "{log:?}");
}

#[test]
fn passwords_are_kept_as_owasp_has_it_and_never_logged() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    alice.must(json!({"command": "change_password", "new_password": "open sesame"}));
    let channel = alice.general();
    alice.say(channel, "a secret");
    alice.send_text(r#"{"command":"send","content":"a secret","channel":}"#);
    alice.next_response().unwrap();
    alice.ask(json!({"command": "a secret"}));
    assert_eq!(server.stop("TERM"), Some(0));
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    let hash: String =
        database.query_row("SELECT password FROM members", [], |row| row.get(0)).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let mode: String = database.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    for secret in ["open sesame", "a secret", "argon2id"] {
        let told = server.record.log().into_iter().find(|line| line.contains(secret));
        assert_eq!(told, None);
    }
}
