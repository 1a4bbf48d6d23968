//! A database that is newer, of something else, or damaged: one line, exit code 2, and not a byte of
//! any file in its folder is changed. Errands refuse likewise.

use std::collections::BTreeMap;
use std::fs;

use rusqlite::Connection;
use serde_json::json;

use crate::support::server::{Folder, Server, errand, run};
use crate::support::world::World;

/// Every file of a folder with its bytes.
fn files(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| {
            let is_file = folder.path().join(&name).is_file();
            (name.clone(), if is_file { folder.read(&name) } else { Vec::new() })
        })
        .collect()
}

#[track_caller]
fn assert_refused(what: &str, folder: &Folder, words: &[&str]) {
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let before = files(folder);
    for arguments in [&[][..], &["audit"], &["owner", "alice"]] {
        let (code, log) = match arguments {
            [] => run(folder, arguments),
            _ => {
                let (code, _, log) = errand(folder, arguments, "password\n");
                (code, log)
            }
        };
        assert_eq!(code, Some(2), "{what} {arguments:?}: {log}");
        assert_eq!(log.lines().count(), 1, "{what} {arguments:?}: {log}");
        for word in words.iter().chain(&["aster.db"]) {
            assert!(log.contains(word), "{what} {arguments:?}: no {word} in: {log}");
        }
        let after = files(folder);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{what}");
        for (name, bytes) in &before {
            assert!(after[name] == *bytes, "{what} {arguments:?}: {name} was changed");
        }
    }
}

/// A database as a server leaves it that is killed, after something else was done to it while it
/// was open: with a `-wal` and a `-shm`.
fn killed_with(sql: &str) -> Folder {
    let folder = Folder::prepared();
    let database = Connection::open(folder.path().join("aster.db")).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.execute_batch(sql).unwrap();
    let killed = Folder::prepared();
    for end in ["", "-wal", "-shm"] {
        killed.write(&format!("aster.db{end}"), folder.read(&format!("aster.db{end}")));
    }
    killed
}

/// A database of ours that has so much in it that most of it is messages.
fn filled() -> Folder {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 5000, "general", &"x".repeat(100));
    drop(world);
    folder
}

fn with_database(bytes: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::prepared();
    folder.write("aster.db", bytes);
    folder
}

fn sqlite(sql: &str) -> Folder {
    let folder = Folder::prepared();
    fs::remove_file(folder.path().join("aster.db")).unwrap();
    Connection::open(folder.path().join("aster.db")).unwrap().execute_batch(sql).unwrap();
    folder
}

#[test]
fn a_newer_database_keeps_every_byte() {
    let newer = "PRAGMA user_version = 4711";
    let folder = Folder::prepared();
    Connection::open(folder.path().join("aster.db")).unwrap().execute_batch(newer).unwrap();
    assert_refused("at rest", &folder, &["schema 4711 is newer"]);
    assert_refused("after a kill", &killed_with(newer), &["schema 4711 is newer"]);
}

#[test]
fn a_database_of_something_else_keeps_every_byte() {
    let foreign = ["not a database of this server"];
    for (what, sql) in [
        ("an application's id", "PRAGMA application_id = 7; CREATE TABLE t (x)"),
        ("a user version", "PRAGMA user_version = 1; CREATE TABLE t (x)"),
        ("another program's tables", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text)"),
        (
            "users of another kind",
            "CREATE TABLE users (uuid, name, email); CREATE TABLE version (version)",
        ),
        (
            "messages of another kind",
            "CREATE TABLE users (uuid, name, pfp, password); CREATE TABLE channels (uuid, name);
             CREATE TABLE messages (id, content, sender); INSERT INTO messages VALUES (1, 'hi', 2)",
        ),
        ("a WAL", "PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, text)"),
    ] {
        assert_refused(what, &sqlite(sql), &foreign);
    }
    assert_refused("after a kill", &killed_with("PRAGMA application_id = 7"), &foreign);
    let text = "This is a letter, and no database at all. ".repeat(100);
    assert_refused("a letter", &with_database(text), &foreign);
    assert_refused("a byte", &with_database("x"), &foreign);
    assert_refused("zeros", &with_database([0; 8192]), &foreign);
}

#[test]
fn a_damaged_database_keeps_every_byte() {
    let damaged = ["damaged", "restore a backup", "aster-server check"];
    let whole = filled();
    let bytes = whole.read("aster.db");
    assert!(bytes.len() > 400_000, "{}", bytes.len());
    assert_refused("cut in half", &with_database(&bytes[..bytes.len() / 2]), &damaged);
    assert_refused("cut in a page", &with_database(&bytes[..bytes.len() / 2 + 77]), &damaged);
    let mut garbage = bytes.clone();
    let middle = garbage.len() / 2 / 4096 * 4096;
    garbage[middle..middle + 4096].fill(0xa7);
    assert_refused("a page of garbage", &with_database(garbage), &damaged);
    let mut garbage = bytes.clone();
    garbage[..100].fill(0xa7);
    assert_refused("a header of garbage", &with_database(garbage), &["restore a backup"]);
    let mut garbage = bytes;
    garbage[100..1000].fill(0xa7);
    assert_refused("a schema of garbage", &with_database(garbage), &damaged);

    let mut older =
        fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v5-fresh.db")).unwrap();
    older[200_704..204_800].fill(0xa7);
    assert_refused("of an older server", &with_database(older), &damaged);

    let killed = killed_with("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    killed.write("aster.db", "");
    assert_refused("emptied beside its WAL", &killed, &damaged);
}

#[test]
fn what_is_no_file_is_refused_too() {
    let folder = Folder::prepared();
    fs::remove_file(folder.path().join("aster.db")).unwrap();
    fs::create_dir(folder.path().join("aster.db")).unwrap();
    assert_refused("a folder", &folder, &["irectory"]);
}

#[test]
fn an_empty_file_is_a_first_start_and_a_killed_server_is_no_damage() {
    let mut server = Server::start_in(with_database(""), json!({}));
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "hello");
    server.restart("KILL");
    assert_eq!(server.login("alice").history(channel, 9).len(), 1);
    assert!(!server.folder.has("aster.db.look"), "what it looked in was left behind");
}
