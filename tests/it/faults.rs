//! What happens when the server itself is at fault, and what it never tells.

use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::{Client, Framing, same_set};
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// Four members send at once, half of it wrong, to a server whose database raises `fault` at
/// the second thing that is written for what is wrong. Whatever was answered 200, and nothing else, must be there and be told.
/// Gives how much that was, and the server's log.
fn send_right_and_wrong(fault: &str) -> (usize, Vec<String>) {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let names = ["alice", "bob", "carol", "dave"];
    names.iter().for_each(|name| _ = world.member(name));
    drop(world);
    let database = Connection::open(folder.path().join("aster.db")).unwrap();
    let trigger = format!(
        "CREATE TRIGGER fault AFTER INSERT ON nonces WHEN new.nonce LIKE 'wrong%'
         BEGIN SELECT RAISE({fault}, 'the disk is on fire'); END"
    );
    database.execute_batch(&trigger).unwrap();
    drop(database);
    let server = Server::start_in(folder, json!({}));
    let mut clients: Vec<Client> = names.iter().map(|name| server.login(name)).collect();
    let channel = clients[0].general();
    let send = &|client: &mut Client| {
        let mut sent = Vec::new();
        for number in 0..20 {
            let content = format!("{} {number}", ["right", "wrong"][number % 2]);
            let response = client.ask(json!({"command": "send", "channel": channel, "content": content, "nonce": content}));
            match response["status"].as_i64() {
                Some(200) => sent.push(response["message"].clone()),
                _ => assert_eq!(response, json!({"command": "send", "status": 500})),
            }
        }
        sent
    };
    let sent = thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(|| send(client))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let history = clients[0].history(channel, 500);
    assert!(same_set(&history.iter().map(|message| message["uuid"].clone()).collect(), &sent));
    for client in &mut clients {
        for message in &history {
            assert_eq!(client.next_event().unwrap()["uuid"], message["uuid"]);
        }
        client.leave().unwrap();
        assert!(client.events.is_empty(), "told of what is not there");
    }
    (sent.len(), server.record.log())
}

#[test]
fn a_fault_is_500_and_logged_and_undoes_only_its_own_request() {
    let (count, log) = send_right_and_wrong("ABORT");
    assert_eq!(count, 40);
    assert!(log.iter().any(|line| line.contains("the disk is on fire")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("wrong 1")), "{log:?}");
}

#[test]
fn a_fault_that_undoes_a_whole_commit_is_told_to_all_in_it() {
    let (count, _) = send_right_and_wrong("ROLLBACK");
    assert!(count <= 40);
}

#[test]
fn where_nothing_can_be_written_reading_goes_on_and_writing_once_it_can_be_again() {
    let server = Server::start();
    let (mut alice, mut bob) = (server.member("alice"), server.member("bob"));
    let channel = alice.general();
    let mut sent = vec![alice.say(channel, "before")];
    server.limit_file_bytes(Some(0));
    let send = json!({"command": "send", "channel": channel, "content": "lost", "nonce": "1"});
    let writes = [
        send.clone(),
        json!({"command": "edit", "message": sent[0], "new_content": "lost"}),
        json!({"command": "delete", "message": sent[0]}),
        json!({"command": "mark_as_read", "message": sent[0]}),
        json!({"command": "nick", "nick": "alicia"}),
    ];
    for write in writes {
        assert_eq!(alice.ask(write.clone()), json!({"command": write["command"], "status": 500}));
    }
    let mut carol = server.connect("carol", Framing::Lines);
    let register = json!({"command": "register", "uname": "carol", "passwd": "carol"});
    assert_eq!(carol.ask(register), json!({"command": "register", "status": 500}));
    assert_eq!(server.login("bob").history(channel, 9)[0]["content"], "before");
    assert_eq!(alice.must(json!({"command": "get_last_reads"}))["last_reads"], json!({}));
    let cause = "send failed: database: disk I/O error";
    assert!(server.record.log().iter().any(|line| line == cause));

    server.limit_file_bytes(None);
    sent.push(alice.must(send)["message"].as_i64().unwrap());
    carol.enter("register");
    let history = alice.history(channel, 9);
    assert_eq!(history.iter().filter_map(|m| m["uuid"].as_i64()).collect::<Vec<_>>(), sent);
    for client in [&mut alice, &mut bob] {
        let told = |client: &mut Client| client.next_event().unwrap();
        let contents = std::iter::repeat_with(|| told(client));
        let mut contents = contents.filter(|event| event["command"] == "content");
        for uuid in &sent {
            assert_eq!(contents.next().unwrap()["uuid"], *uuid);
        }
        drop(contents);
        client.leave().unwrap();
        let told = |event: &Value| event["command"] != "get_metadata";
        assert!(!client.events.iter().any(told), "told of what is not there");
    }
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
