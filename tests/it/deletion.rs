//! What was deleted or replaced is in no file of the database any more, soon after, also while the
//! server runs and others write.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::model::chance::Chance;
use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::server::{Folder, Server};
use crate::support::world::of_alice;

/// The files of the folder, each with its bytes as far as they are text.
fn texts(folder: &Folder) -> Vec<(String, String)> {
    let names = fs::read_dir(folder.path()).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let text = |name: String| {
        // A side file may vanish meanwhile.
        let bytes = fs::read(folder.path().join(&name)).unwrap_or_default();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    };
    names.map(text).collect()
}

/// The files of the folder in which this stands.
fn files_with(folder: &Folder, word: &str) -> Vec<String> {
    let texts = texts(folder).into_iter().filter(|(_, text)| text.contains(word));
    texts.map(|(name, _)| name).collect()
}

/// Waits until none of these stands in any file; fails if that never comes.
#[track_caller]
fn wait_until_gone(folder: &Folder, words: &[String]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let texts = texts(folder);
        let found = words.iter().find_map(|word| {
            texts.iter().find(|(_, text)| text.contains(word)).map(|(name, _)| (word, name))
        });
        let Some((word, name)) = found else { return };
        assert!(Instant::now() < deadline, "{word} is in {name}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn send(client: &mut Client, channel: i64, content: &str, nonce: Option<&str>) -> i64 {
    let request =
        json!({"command": "send", "channel": channel, "content": content, "nonce": nonce});
    client.must(request)["message"].as_i64().unwrap()
}

#[test]
fn what_is_deleted_or_replaced_is_soon_in_no_file() {
    let mut server = of_alice(|_| ());
    let mut alice = server.login("alice");
    let general = alice.general();
    let mut words = Vec::new();
    let mut uuids = Vec::new();
    // Of all sizes, so that some are in pages of their own.
    for number in 0..300_usize {
        let word = format!("marker{number:04}");
        let content = format!("{word} {}", "x".repeat(number * 37 % 9000));
        uuids.push(send(&mut alice, general, &content, None));
        words.push(word);
    }
    assert!(!files_with(&server.folder, &words[0]).is_empty(), "the search finds nothing at all");
    let room = alice.must(json!({"command": "create_channel", "name": "room"}))["uuid"].as_i64();
    for number in 0..50 {
        send(&mut alice, room.unwrap(), &format!("roommark{number:02}{}", "y".repeat(500)), None);
    }
    // In no order, and some made longer or shorter before.
    for step in 0..300 {
        let number = step * 7 % 300;
        let content = format!("edited{number:04} {}", "z".repeat(step * 53 % 7000));
        if step % 3 == 0 {
            alice
                .must(json!({"command": "edit", "message": uuids[number], "new_content": content}));
        } else if step % 3 == 1 {
            alice.must(json!({"command": "delete", "message": uuids[number]}));
        }
    }
    alice.must(json!({"command": "delete_channel", "channel": room}));
    let mut gone: Vec<String> = (0..50).map(|number| format!("roommark{number:02}")).collect();
    gone.extend((0..300).filter(|step| step % 3 != 2).map(|step| words[step * 7 % 300].clone()));
    wait_until_gone(&server.folder, &gone);
    let kept = &words[2 * 7];
    assert_eq!(files_with(&server.folder, kept), ["aster.db"], "what stays is there");

    for step in (0..300).step_by(3) {
        alice.must(json!({"command": "delete", "message": uuids[step * 7 % 300]}));
    }
    gone.push("edited0".to_owned());
    wait_until_gone(&server.folder, &gone);
    server.stop("TERM");
    wait_until_gone(&server.folder, &gone);
    assert_eq!(files_with(&server.folder, kept), ["aster.db"]);
}

#[test]
fn what_sqlite_leaves_behind_of_moved_rows_is_cleared_too() {
    let mut server = Server::start_in(Folder::prepared_in_memory(), json!({}));
    let mut alice = server.member("alice");
    let general = alice.general();
    let mut chance = Chance::new(43);
    let mut gone = BTreeSet::new();
    // An edit that no longer fits makes SQLite share rows out anew among pages.
    for trial in 0..150 {
        let mut said: Vec<(i64, String)> = (0..chance.between(8, 30))
            .map(|number| {
                let word = format!("moved{trial:03}n{number:02}z");
                let content = format!("{word} {}", "a".repeat(chance.between(100, 900)));
                (send(&mut alice, general, &content, None), word)
            })
            .collect();
        let (edited, word) = said.remove(chance.below(said.len()));
        let content = "b".repeat(chance.between(500, 3000));
        alice.must(json!({"command": "edit", "message": edited, "new_content": content}));
        gone.insert(word);
        for _ in 0..said.len() / 2 {
            let (deleted, word) = said.remove(chance.below(said.len()));
            alice.must(json!({"command": "delete", "message": deleted}));
            gone.insert(word);
        }
    }
    // All that looks like such a word is found in one pass.
    let left = |folder: &Folder| -> Vec<String> {
        let texts = texts(folder);
        let words = texts.iter().flat_map(|(_, text)| text.split("moved").skip(1));
        let words = words.map(|rest| format!("moved{}", rest.chars().take(7).collect::<String>()));
        words.filter(|word| gone.contains(word)).collect()
    };
    let deadline = Instant::now() + DEADLINE;
    while !left(&server.folder).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", left(&server.folder));
        thread::sleep(Duration::from_millis(100));
    }
    server.stop("TERM");
    assert_eq!(left(&server.folder), [""; 0]);
    let database = Connection::open(server.folder.path().join("aster.db")).unwrap();
    let verdict: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn it_does_not_need_a_rest_and_holds_up_nobody() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let general = alice.general();
    let secret = send(&mut alice, general, "the secret of the day", None);
    alice.must(json!({"command": "delete", "message": secret}));
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while !files_with(&server.folder, "the secret of the day").is_empty() {
        let sent = Instant::now();
        send(&mut alice, general, "and so on", None);
        slowest = slowest.max(sent.elapsed());
        // Too few to write over what was there, too many for a rest.
        thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < DEADLINE, "it is still there");
    }
    println!("gone after {:?}, the slowest send took {slowest:?}", begun.elapsed());
    assert!(slowest < Duration::from_secs(2), "a send took {slowest:?}");
}

#[test]
fn what_a_killed_server_left_is_wiped_by_the_next() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let general = alice.general();
    let secret = send(&mut alice, general, "the secret of the night", None);
    alice.must(json!({"command": "delete", "message": secret}));
    server.restart("KILL");
    wait_until_gone(&server.folder, &["the secret of the night".to_owned()]);
    assert_eq!(server.login("alice").history(general, 9), Vec::<Value>::new());
}
