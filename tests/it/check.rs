//! `aster-server check`: every kind of problem made for real, and nothing changed by looking.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use serde_json::json;

use crate::support::certificates::{Made, chain};
use crate::support::server::{Folder, Server, errand};

const AREAS: [&str; 6] =
    ["configuration", "certificate", "database", "disk space", "backup", "clock"];
const DAY_S: i64 = 24 * 60 * 60;

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Every file with what it holds.
fn files(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), folder.read(&name))).collect()
}

/// The lines of a check that must find nothing, one for each area.
#[track_caller]
fn assert_well(folder: &Folder) -> Vec<String> {
    let (code, output, log) = errand(folder, &["check"], "");
    assert_eq!((code, log.as_str()), (Some(0), ""), "{output}");
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let areas: Vec<&str> = lines.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(areas, AREAS);
    lines
}

/// A check that must find exactly these problems, each by words of its line, and that changes no
/// byte of the folder.
#[track_caller]
fn assert_problems(folder: &Folder, expected: &[&[&str]]) {
    let before = files(folder);
    let (code, output, log) = errand(folder, &["check"], "");
    assert_eq!(code, Some(1), "{output}{log}");
    let problems: Vec<&str> =
        output.lines().filter_map(|line| line.strip_prefix("PROBLEM ")).collect();
    assert_eq!(problems.len(), expected.len(), "{output}{log}");
    for (problem, words) in problems.iter().zip(expected) {
        assert!(words.iter().all(|word| problem.contains(word)), "{words:?} not in: {problem}");
    }
    let count = expected.len();
    assert_eq!(log, format!("{count} problem{}\n", if count == 1 { "" } else { "s" }));
    assert!(files(folder) == before, "a check changed something");
}

/// As a first start leaves it, stopped.
fn folder() -> Folder {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    folder
}

fn database(folder: &Folder) -> Connection {
    Connection::open(folder.path().join("aster.db")).unwrap()
}

/// A stopped server on which a member has said something, backed up so long ago.
fn folder_with_a_message(backup_s: Option<i64>) -> Folder {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "hello");
    assert_eq!(server.stop("TERM"), Some(0));
    if let Some(backup_s) = backup_s {
        let sql = "INSERT INTO settings VALUES ('last_backup', ?1)";
        database(&server.folder).execute(sql, [backup_s]).unwrap();
    }
    std::mem::replace(&mut server.folder, Folder::empty())
}

#[test]
fn nothing_is_wrong_before_a_first_start_nor_after_it_nor_beside_a_server() {
    let folder = Folder::empty();
    assert_problems(
        &folder,
        &[&["configuration: config.json: No such file", "the server's folder?"]],
    );
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let lines = assert_well(&folder);
    assert_eq!(lines[1], "certificate: none yet; the first start makes one");
    assert_eq!(files(&folder).len(), 1, "something was made");

    let mut server = Server::try_start(folder, &[], std::sync::Arc::default()).ok().unwrap();
    let lines = assert_well(&server.folder);
    assert!(lines[1].contains("certificate: for localhost, ") && lines[1].contains("127.0.0.1"));
    let mut alice = server.member("alice");
    let sql = "INSERT INTO settings VALUES ('last_backup', ?1)";
    database(&server.folder).execute(sql, [now_s() - DAY_S]).unwrap();
    let channel = alice.general();
    alice.say(channel, "hello");
    let lines = assert_well(&server.folder);
    assert_eq!(lines[2], "database: aster.db is whole: 1 member, 1 message");
    assert!(lines[4].contains("(1 day old)"), "{}", lines[4]);
    alice.say(channel, "hello again");
    assert_eq!(server.stop("TERM"), Some(0));
    let before = files(&server.folder);
    assert_well(&server.folder);
    assert!(files(&server.folder) == before, "a check changed something");
}

#[test]
fn what_a_killed_server_left_is_looked_at_and_left_as_it_is() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "hello");
    server.stop("KILL");
    let halves = ["aster.db", "aster.db-wal"].map(|name| server.folder.read(name));
    let (code, output, _) = errand(&server.folder, &["check"], "");
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("is whole: 1 member, 1 message"), "{output}");
    assert_eq!(["aster.db", "aster.db-wal"].map(|name| server.folder.read(name)), halves);
}

#[test]
fn every_mistake_of_the_configuration_is_told_of_and_the_rest_is_looked_at() {
    let folder = folder();
    folder.write("config.json", r#"{"port":"x","prot":1,"limits":{"max_connections":0,"y":1}}"#);
    assert_problems(
        &folder,
        &[
            &["configuration: config.json: port: must be an integer"],
            &["limits.max_connections: must be"],
            &["limits.y: unknown key"],
            &["prot: unknown key"],
        ],
    );
    for text in ["", "not json", "[]"] {
        folder.write("config.json", text);
        assert_problems(&folder, &[&["configuration: config.json: "]]);
    }
    let limits = json!({"limits": {
        "max_connections": 1_000_000, "login_timeout_s": 10, "handshake_timeout_s": 10,
        "max_message_bytes": 16384, "max_backlog_bytes": 65536,
    }});
    folder.write("config.json", limits.to_string());
    let files_max = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let is_short = files_max.is_some_and(|files_max| files_max < 1_000_064);
    let expected: [&[&str]; 3] = [
        &["limits.max_connections: ", "LimitNOFILE"],
        &["limits.login_timeout_s: ", "handshake_timeout_s"],
        &["limits.max_backlog_bytes: ", "max_message_bytes"],
    ];
    assert_problems(&folder, &expected[usize::from(!is_short)..]);
    let limits = r#"{"limits":{"max_connections":10,"max_connections_per_address":11}}"#;
    folder.write("config.json", limits);
    assert_problems(&folder, &[&["limits.max_connections_per_address: ", "max_connections"]]);
}

#[test]
fn every_fault_of_a_certificate_is_told_of() {
    let [root, stranger] = ["root", "stranger"].map(Made::authority);
    let first = root.authority_below("first");
    let second = first.authority_below("second");
    let good = second.server("chat.example.org", -1, 38);
    let folder = folder();
    let try_pair = |chain: &str, key: &Made, expected: &[&[&str]]| {
        folder.write("cert.pem", chain);
        folder.write("key.pem", key.key_pem());
        match expected {
            [] => {
                let lines = assert_well(&folder);
                assert!(lines[1].starts_with("certificate: for chat.example.org, expires 2"));
                assert!(lines[1].ends_with(" (38 days)"), "{}", lines[1]);
            }
            _ => assert_problems(&folder, expected),
        }
    };
    try_pair(&chain(&[&good, &second, &first]), &good, &[]);
    try_pair(&chain(&[&good, &second, &first, &root]), &good, &[]);
    try_pair(&chain(&[&good, &second]), &good, &[]);

    // The chain.
    try_pair(&chain(&[&good]), &good, &[&["certificate_chain: cert.pem: whoever signed it is"]]);
    let [at_2, at_3] = [2, 3].map(|n| format!("certificate {n} did not sign the one before it"));
    try_pair(&chain(&[&good, &first, &second]), &good, &[&[&at_2]]);
    try_pair(&chain(&[&good, &root]), &good, &[&[&at_2, "fullchain.pem"]]);
    try_pair(&chain(&[&good, &second, &stranger]), &good, &[&[&at_3]]);
    let not_first = "private_key: key.pem: is not the key of the first certificate in cert.pem";
    try_pair(&chain(&[&second, &good]), &good, &[&[not_first]]);

    // The key.
    try_pair(&chain(&[&good, &second]), &stranger, &[&[not_first]]);

    // The dates, of one that others signed and of one that nobody else did.
    let alone = |from, until| Made::alone("chat.example.org", from, until);
    for (from, until, words) in [
        (-90, -1, "certificate 1 expired "),
        (-90, 0, "certificate 1 expires within a day; "),
        (-76, 13, "certificate 1 expires in 13 days, "),
        (2, 90, "certificate 1 is not valid before "),
    ] {
        let signed = first.server("chat.example.org", from, until);
        try_pair(&chain(&[&signed, &first]), &signed, &[&[words]]);
        let signed = alone(from, until);
        try_pair(&chain(&[&signed]), &signed, &[&[words]]);
    }
    let signed = second.server("chat.example.org", -90, -1);
    let both: &[&[&str]] =
        &[&["certificate 1 expired ", "certbot renew"], &["whoever signed it is missing"]];
    try_pair(&chain(&[&signed]), &signed, both);
    let own = alone(-90, -1);
    try_pair(&chain(&[&own]), &own, &[&["certificate 1 expired ", "start the server again"]]);

    // What it is for.
    let nameless = Made::alone("", -1, 38);
    try_pair(&chain(&[&nameless]), &nameless, &[&["no name"]]);
    try_pair(&chain(&[&root]), &root, &[&["no name"], &["it is an authority's"]]);

    // The files.
    try_pair("no certificate", &good, &[&["certificate_chain: cert.pem: no certificate in it"]]);
    let half = &good.pem()[..200];
    try_pair(half, &good, &[&["certificate_chain: cert.pem: "]]);
    folder.write("cert.pem", chain(&[&good, &second]));
    folder.write("key.pem", "no key");
    assert_problems(&folder, &[&["private_key: key.pem: "]]);
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert_problems(&folder, &[&["private_key: key.pem: No such file"]]);
    folder.write("key.pem", good.key_pem());
    fs::set_permissions(folder.path().join("key.pem"), Permissions::from_mode(0o644)).unwrap();
    assert_problems(&folder, &[&["private_key: key.pem: open to everybody", "chmod 600"]]);
}

#[test]
fn a_database_that_is_damaged_or_another_is_told_of() {
    // Of its own, some pages of text in the middle.
    let folder = folder_with_a_message(Some(now_s()));
    let path = folder.path().join("aster.db");
    let whole = folder.read("aster.db");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0x5a; 4096], 4 * 4096).unwrap();
    let (code, output, _) = errand(&folder, &["check"], "");
    assert_eq!(code, Some(1));
    assert!(output.contains("PROBLEM database: aster.db: damaged: "), "{output}");
    assert!(output.contains("restore a backup"), "{output}");
    // What came after it was looked at, and nothing said of what cannot be known.
    assert!(output.contains("\nclock: ") && !output.contains("backup: "), "{output}");

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_problems(
        &folder,
        &[&["database: aster.db: damaged: database disk image is malformed; "]],
    );
    folder.write("aster.db", "This is a letter, and no database at all. ".repeat(100));
    assert_problems(&folder, &[&["database: aster.db: not a database"]]);
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_problems(&folder, &[&["database: aster.db: not a database of this server"]]);

    folder.write("aster.db", &whole);
    let lost = database(&folder);
    lost.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM members").unwrap();
    drop(lost);
    assert_problems(&folder, &[&["rows of messages that refer to members that are not there: 1"]]);
    folder.write("aster.db", &whole);
    database(&folder).pragma_update(None, "user_version", 1_000_000).unwrap();
    assert_problems(&folder, &[&["database: aster.db: schema 1000000 is newer"]]);

    // An older one of ours is none of a problem, nor is an empty file.
    fs::remove_file(&path).unwrap();
    database(&folder).execute_batch(include_str!("../schemas/1.sql")).unwrap();
    let before = files(&folder);
    assert!(assert_well(&folder)[2].ends_with("the next start updates its schema"));
    assert!(files(&folder) == before, "a check changed something");
    // So is one of an older server, though its foreign keys lead nowhere.
    folder.write("aster.db", include_bytes!("../fixtures/v5-migrated.db"));
    assert!(assert_well(&folder)[2].contains("4 members, 3000 messages"));
    folder.write("aster.db", "");
    assert_well(&folder);
    fs::create_dir(folder.path().join("folder")).unwrap();
    folder.write("config.json", r#"{"database_file":"folder"}"#);
    let (code, output, _) = errand(&folder, &["check"], "");
    assert_eq!(code, Some(1));
    assert!(output.contains("PROBLEM database: folder: not a file"), "{output}");
    fs::remove_dir(folder.path().join("folder")).unwrap();
    folder.write("config.json", r#"{"database_file":"nowhere/aster.db"}"#);
    assert_problems(&folder, &[&["disk space: nowhere: No such file"]]);
}

#[test]
fn no_backup_and_an_old_one_are_told_of_once_something_was_said() {
    assert_problems(&folder_with_a_message(None), &[&["backup: never; ", "aster-server backup"]]);
    let folder = folder_with_a_message(Some(now_s() - 8 * DAY_S));
    assert_problems(&folder, &[&["backup: the last one is of 2", "(8 days old)"]]);
    let set = |made: i64| {
        let sql = "UPDATE settings SET value = ?1 WHERE name = 'last_backup'";
        database(&folder).execute(sql, [made]).unwrap();
    };
    set(now_s() - 7 * DAY_S + 60);
    assert!(assert_well(&folder)[4].ends_with("(6 days old)"));
    set(now_s() - 7 * DAY_S - 60);
    assert_problems(&folder, &[&["(7 days old)"]]);
}

#[test]
fn a_clock_that_is_behind_is_told_of() {
    let folder = folder_with_a_message(Some(now_s()));
    let database = database(&folder);
    let set = |date: i64| database.execute("UPDATE messages SET date = ?1", [date]).unwrap();
    set(now_s() + 30);
    assert_well(&folder);
    set(now_s() + 2 * DAY_S);
    drop(database);
    assert_problems(&folder, &[&["clock: ", ", but there is something here from 2", "NTP"]]);
}

#[test]
fn too_little_room_for_a_copy_is_told_of() {
    let folder = folder();
    // As large as a file can be, and nearly nothing of it on the disk.
    let file = OpenOptions::new().write(true).open(folder.path().join("aster.db")).unwrap();
    if file.set_len(8 << 40).is_err() {
        return; // This file system has no such files.
    }
    let (code, output, _) = errand(&folder, &["check"], "");
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("PROBLEM disk space: "), "{output}");
    assert!(output.contains("database 8388608 MiB: a copy has no room"), "{output}");
}

#[test]
fn all_that_is_wrong_is_told_of_at_once() {
    let folder = folder_with_a_message(Some(now_s() - 100 * DAY_S));
    let expired = Made::alone("localhost", -90, -1);
    folder.write("cert.pem", expired.pem());
    folder.write("key.pem", expired.key_pem());
    fs::set_permissions(folder.path().join("key.pem"), Permissions::from_mode(0o604)).unwrap();
    folder.write("config.json", r#"{"prot":2345}"#);
    assert_problems(
        &folder,
        &[
            &["configuration: ", "prot: unknown key"],
            &["certificate: ", "expired"],
            &["certificate: ", "open to everybody"],
            &["backup: ", "(100 days old)"],
        ],
    );
}
