//! `aster-server backup` while messages flow, restoring, and every way in which that fails.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::json;

use crate::restart::whole_history;
use crate::support::DEADLINE;
use crate::support::server::{Folder, Server, errand, run};
use crate::support::world::World;

/// A backup that must succeed: how many messages it says that it holds.
#[track_caller]
fn back_up(folder: &Folder, file: &str) -> usize {
    assert_done(folder, file, errand(folder, &["backup", file], ""))
}

#[track_caller]
fn assert_done(folder: &Folder, file: &str, outcome: (Option<i32>, String, String)) -> usize {
    let (code, output, log) = outcome;
    assert_eq!((code, log.as_str()), (Some(0), ""), "{output}");
    let counts = output.strip_prefix(&format!("{file}: whole and checked: ")).unwrap();
    let mut words = counts.split(", ").filter_map(|count| count.split_once(' '));
    let messages = words.find_map(|(count, what)| what.starts_with("message").then_some(count));
    assert!(counts.trim_end().ends_with(" bytes"), "{counts}");
    assert!(!folder.has(&format!("{file}.draft")), "something was left behind");
    messages.unwrap().parse().unwrap()
}

/// A backup that must be refused: the one line that says why.
#[track_caller]
fn refused(folder: &Folder, file: &str) -> String {
    let (code, output, log) = errand(folder, &["backup", file], "");
    assert_eq!((code, output.as_str()), (Some(1), ""), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.starts_with(&format!("{file}: ")), "{log}");
    log
}

fn path(folder: &Folder, file: &str) -> std::path::PathBuf {
    folder.path().join(file)
}

/// Puts a backup in the place of the database of a server that has stopped, as the README has it.
fn restore(folder: &Folder, file: &str) {
    for left in ["aster.db-wal", "aster.db-shm"] {
        fs::remove_file(path(folder, left)).ok();
    }
    fs::copy(path(folder, file), path(folder, "aster.db")).unwrap();
}

#[test]
fn a_backup_amid_messages_has_all_that_was_answered_before_and_each_senders_first() {
    const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
    const BACKUPS: usize = 5;
    let folder = Folder::prepared_in_memory();
    let mut world = World::open(&folder);
    let members = NAMES.map(|name| world.member(name));
    world.messages("erin", 20_000, "tea", &"x".repeat(100));
    drop(world);
    let mut server = Server::start_in(folder, json!({}));
    let answered = NAMES.map(|_| AtomicUsize::new(0));
    let is_over = AtomicBool::new(false);
    let mut channel = 0;
    // Of each backup: what each sender was answered before it began and after it ended, and what
    // came of it. Nothing in between may fail, or the senders would go on.
    let mut backups = Vec::new();
    let begun = Instant::now();
    thread::scope(|scope| {
        for (name, answered) in NAMES.iter().zip(&answered) {
            let mut client = server.login(name);
            channel = client.general();
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let number = answered.load(Ordering::SeqCst);
                    client.say(channel, &number.to_string());
                    answered.store(number + 1, Ordering::SeqCst);
                }
            });
        }
        let count = || answered.each_ref().map(|count| count.load(Ordering::SeqCst));
        for number in 0..BACKUPS {
            let before = count();
            let is_moving = || count().iter().zip(before).all(|(now, before)| *now >= before + 5);
            while !is_moving() && begun.elapsed() < DEADLINE {
                thread::yield_now();
            }
            let before = count();
            let outcome = errand(&server.folder, &["backup", &format!("backup{number}")], "");
            backups.push((before, count(), outcome));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    for (number, (before, after, outcome)) in backups.into_iter().enumerate() {
        assert!(before.iter().all(|count| *count >= 5 * (number + 1)), "nobody sends: {before:?}");
        let messages = assert_done(&server.folder, &format!("backup{number}"), outcome);
        server.stop(if number % 2 == 0 { "TERM" } else { "KILL" });
        restore(&server.folder, &format!("backup{number}"));
        server.start_again();
        let mut contents: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        let history = whole_history(&mut server.login("alice"), channel);
        assert_eq!(messages, 20_000 + history.len());
        for message in history {
            let author = message["author_uuid"].as_i64().unwrap();
            contents.entry(author).or_default().push(message["content"].as_str().unwrap().into());
        }
        for ((member, before), after) in members.iter().zip(before).zip(after) {
            let got = &contents[member];
            // One may have been committed and not answered yet.
            assert!((before..=after + 1).contains(&got.len()), "{before} {} {after}", got.len());
            assert!(got.iter().enumerate().all(|(place, text)| *text == place.to_string()));
        }
    }
}

#[test]
fn a_backup_is_one_file_for_its_owner_and_replaces_an_older_one() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "one");
    assert_eq!(back_up(&server.folder, "b"), 1);
    alice.say(channel, "two");
    // Left behind by one that was killed.
    server.folder.write("b.draft", "x".repeat(9999));
    symlink("b", path(&server.folder, "link")).unwrap();
    assert_eq!(back_up(&server.folder, "link"), 2);
    assert!(path(&server.folder, "link").is_symlink());
    let mode = fs::metadata(path(&server.folder, "b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds password hashes");
    let count = |file: &str, sql: &str| {
        let database = Connection::open(path(&server.folder, file)).unwrap();
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count("b", "SELECT count(*) FROM messages"), 2);
    assert!(!server.folder.has("b-wal"), "the copy needs no log");
    let noted = "SELECT value > unixepoch() - 600 FROM settings WHERE name = 'last_backup'";
    assert_eq!(count("aster.db", noted), 1);

    // What was committed is in the log only, and nobody runs.
    alice.say(channel, "three");
    server.stop("KILL");
    assert_eq!(back_up(&server.folder, "b"), 3);
    server.start_again();
    assert_eq!(server.login("alice").history(channel, 9).len(), 3);
    server.stop("TERM");
    assert_eq!(back_up(&server.folder, "b"), 3);
}

#[test]
fn a_backup_leaves_an_older_schema_as_it_is() {
    let folder = Folder::empty();
    folder.write("config.json", "{}");
    let first = Connection::open(path(&folder, "aster.db")).unwrap();
    first.execute_batch(include_str!("../schemas/1.sql")).unwrap();
    drop(first);
    assert_eq!(back_up(&folder, "b"), 0);
    for file in ["aster.db", "b"] {
        let database = Connection::open(path(&folder, file)).unwrap();
        let version: i64 =
            database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 1, "{file}");
    }
}

#[test]
fn a_backup_over_anything_but_a_backup_is_refused() {
    let server = Server::start();
    let folder = &server.folder;
    let mut alice = server.member("alice");
    folder.write("letter", "dear bob");
    folder.write("empty", "");
    let foreign = Connection::open(path(folder, "foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE tea (leaf)").unwrap();
    drop(foreign);
    symlink("aster.db", path(folder, "link")).unwrap();
    symlink("nowhere", path(folder, "dangling")).unwrap();
    symlink("letter", path(folder, "c.draft")).unwrap();
    fs::hard_link(path(folder, "aster.db"), path(folder, "hard")).unwrap();
    fs::create_dir(path(folder, "sub")).unwrap();
    assert!(Command::new("mkfifo").arg(path(folder, "pipe")).status().unwrap().success());
    let letters = ["letter", "empty", "foreign", "cert.pem", "config.json"];
    let before = letters.map(|file| folder.read(file));

    let database = path(folder, "aster.db").to_str().unwrap().to_owned();
    for file in ["aster.db", "./sub/../aster.db", &database, "link", "hard"] {
        assert!(refused(folder, file).contains("the server itself uses"), "{file}");
    }
    for side in ["-wal", "-shm", "-journal", "-seen"] {
        let file = format!("aster.db{side}");
        assert!(refused(folder, &file).contains("the server itself uses"), "{file}");
    }
    for file in ["key.pem", "cert.pem"] {
        assert!(refused(folder, file).contains("the server itself uses"), "{file}");
    }
    for file in ["letter", "empty", "foreign", "config.json", "sub", "pipe", "/dev/null"] {
        assert!(refused(folder, file).contains("something else"), "{file}");
    }
    for file in ["dangling", "nowhere/b", "nowhere/", "b/", "letter/b", "c", ""] {
        refused(folder, file);
    }
    assert_eq!(letters.map(|file| folder.read(file)), before);
    assert!(!folder.has("nowhere") && !folder.has("b"));
    alice.must(json!({"command": "change_password", "new_password": "alice"}));
    assert_eq!(server.login("alice").name, "alice");
    alice.leave().unwrap();

    let folder = Folder::empty();
    assert_eq!(errand(&folder, &["backup", "b"], "").0, Some(2), "no server's folder");
    folder.write("config.json", "{}");
    let (code, _, log) = errand(&folder, &["backup", "b"], "");
    assert_eq!((code, log.lines().count()), (Some(2), 1), "{log}");
    assert!(!folder.has("aster.db") && !folder.has("b") && !folder.has("b.draft"));
}

#[test]
fn what_sqlite_would_lay_over_a_backup_is_to_be_removed_first() {
    let folder = Folder::prepared();
    folder.write("config.json", "{}");
    back_up(&folder, "b");
    let before = folder.read("b");
    folder.write("b-wal", "of another");
    assert!(refused(&folder, "b").contains("remove "));
    assert_eq!((folder.read("b"), folder.read("b-wal")), (before, b"of another".to_vec()));
    fs::remove_file(path(&folder, "b-wal")).unwrap();
    back_up(&folder, "b");
}

#[test]
fn the_draft_of_a_backup_is_nothing_that_the_server_uses() {
    let config = json!({"database_file": "b.draft"});
    let server = Server::start_in(Folder::empty(), config);
    server.member("alice").leave().unwrap();
    assert!(refused(&server.folder, "b").contains("the server itself uses"));
    server.login("alice").leave().unwrap();
}

#[test]
fn a_backup_that_cannot_be_written_leaves_the_older_one() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 2000, "tea", &"x".repeat(100));
    drop(world);
    let server = Server::start_in(folder, json!({}));
    back_up(&server.folder, "b");
    let before = server.folder.read("b");
    // No file may grow past 100 KiB, or 50 where blocks are smaller.
    let script = r#"trap "" XFSZ; ulimit -f 100; exec "$0" backup b"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_aster-server")]);
    let output = command.current_dir(server.folder.path()).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), log.lines().count()), (Some(1), 1), "{log}");
    assert!(log.starts_with("b: no backup was made: "), "{log}");
    assert!(output.stdout.is_empty());
    assert_eq!(server.folder.read("b"), before);
    assert!(!server.folder.has("b.draft"));
}

#[test]
fn a_damaged_database_is_said_and_the_older_backup_stays() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 2000, "tea", &"x".repeat(100));
    drop(world);
    folder.write("config.json", "{}");
    back_up(&folder, "b");
    let before = folder.read("b");
    for table in ["messages", "sqlite_autoindex_messages_1", "emoji"] {
        restore(&folder, "b");
        let database = Connection::open(path(&folder, "aster.db")).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: u64 = database.query_row(sql, [table], |row| row.get(0)).unwrap();
        drop(database);
        let mut file = fs::OpenOptions::new().write(true).open(path(&folder, "aster.db")).unwrap();
        file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
        let before_it = folder.read("aster.db");
        let (code, output, log) = errand(&folder, &["backup", "b"], "");
        assert_eq!((code, output.as_str()), (Some(2), ""), "{log}");
        assert_eq!(folder.read("aster.db"), before_it);
        assert!(log.contains("damaged") || log.contains("malformed"), "{table}: {log}");
        assert_eq!(folder.read("b"), before);
        assert!(!folder.has("b.draft"));
    }
}

#[test]
fn many_backups_to_one_file_at_once_leave_a_whole_one() {
    let server = Server::start();
    server.member("alice").leave().unwrap();
    thread::scope(|scope| {
        let backups: Vec<_> =
            (0..8).map(|_| scope.spawn(|| errand(&server.folder, &["backup", "b"], ""))).collect();
        let outcomes: Vec<_> = backups.into_iter().map(|backup| backup.join().unwrap()).collect();
        assert!(outcomes.iter().any(|(code, ..)| *code == Some(0)), "{outcomes:?}");
        for (code, _, log) in outcomes {
            assert!(code == Some(0) || log.starts_with("b: another backup"), "{log}");
        }
    });
    assert_eq!(back_up(&server.folder, "b"), 0);
}

#[test]
fn a_backup_put_back_beside_an_old_log_is_refused_untouched() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "before");
    back_up(&server.folder, "b");
    alice.say(channel, "after");
    server.stop("KILL");
    fs::copy(path(&server.folder, "b"), path(&server.folder, "aster.db")).unwrap();
    let files = ["aster.db", "aster.db-wal"];
    let before = files.map(|file| server.folder.read(file));
    assert!(!before[1].is_empty(), "the log holds what came last");
    for arguments in [&["audit"][..], &["backup", "c"], &[]] {
        let (code, log) = run(&server.folder, arguments);
        assert_eq!((code, log.lines().count()), (Some(2), 1), "{arguments:?}: {log}");
        assert!(log.contains("aster.db: a backup that was put back"), "{log}");
    }
    assert_eq!(files.map(|file| server.folder.read(file)), before);

    restore(&server.folder, "b");
    server.start_again();
    let mut alice = server.login("alice");
    assert_eq!(alice.history(channel, 9).len(), 1);
    alice.say(channel, "again");
    // From here on the log is its own.
    server.restart("KILL");
    assert_eq!(server.login("alice").history(channel, 9).len(), 2);
}
