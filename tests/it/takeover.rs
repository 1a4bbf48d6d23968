//! Databases of older servers are taken over at the first start, whole, however often that is
//! interrupted. What they look like is in `tests/fixtures/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::pictures::png;
use crate::support::server::{Folder, Server, errand, run, spawn};

const MEMBERS: [(&str, &str); 4] =
    [("alice", "alice-secret"), ("bob", "bob-secret"), ("Zoë 🌟", "пароль"), ("ghost", "boo")];
const FIXTURES: [&str; 4] = ["seed-era", "with-reply", "v5-migrated", "v5-fresh"];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.db"))
}

/// A folder with such a database, a certificate, and a configuration.
fn folder_with(name: &str) -> Folder {
    let folder = Folder::prepared();
    folder.write("aster.db", fs::read(fixture(name)).unwrap());
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    folder
}

/// Changes an older database before it is taken over.
fn alter(folder: &Folder, sql: &str) {
    let database = Connection::open(folder.path().join("aster.db")).unwrap();
    database.pragma_update(None, "foreign_keys", false).unwrap();
    database.execute_batch(sql).unwrap();
}

/// Whatever a database says, as JSON.
fn rows(file: PathBuf, sql: &str) -> Vec<Value> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let row = |row: &Row<'_>| {
        let value = |index| match row.get_unwrap::<_, rusqlite::types::Value>(index) {
            rusqlite::types::Value::Integer(number) => json!(number),
            rusqlite::types::Value::Text(text) => json!(text),
            rusqlite::types::Value::Blob(bytes) => json!(bytes),
            rusqlite::types::Value::Null => Value::Null,
            rusqlite::types::Value::Real(number) => json!(number),
        };
        Ok(names.iter().enumerate().map(|(index, name)| (name.clone(), value(index))).collect())
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn login(server: &Server, name: &str, password: &str) -> Value {
    let mut client = server.connect("member", Framing::Lines);
    client.ask(json!({"command": "login", "uname": name, "passwd": password}))["status"].take()
}

fn enter(server: &Server, name: &str, password: &str) -> Client {
    let mut client = server.connect("member", Framing::Lines);
    client.must(json!({"command": "login", "uname": name, "passwd": password}));
    client
}

/// Everything in a channel, paging from the newest back.
fn whole_history(client: &mut Client, channel: &Value) -> Vec<Value> {
    let mut history: Vec<Value> = Vec::new();
    let mut request = json!({"command": "history", "channel": channel, "num": 500});
    loop {
        let mut page = client.must(request.clone())["data"].take();
        let page = page.as_array_mut().unwrap();
        if page.is_empty() {
            return history;
        }
        request["before_message"] = page[0]["uuid"].clone();
        history.splice(0..0, page.drain(..));
    }
}

/// What a server shows must be what the older database says, row by row.
#[track_caller]
fn assert_taken_over(name: &str, server: &Server) {
    let older = |sql: &str| rows(fixture(name), sql);
    let mut alice = enter(server, "alice", "alice-secret");
    let reply = if name == "seed-era" { "NULL" } else { "reply" };
    let position = if name.starts_with("v5") { "position" } else { "rowid - 1" };
    let channels = older(&format!(
        "SELECT uuid, name, {position} AS position FROM channels ORDER BY {position}"
    ));
    let mut shown = alice.must(json!({"command": "list_channels"}))["data"].take();
    let mut overrides = Vec::new();
    for channel in shown.as_array_mut().unwrap() {
        overrides.push(channel.as_object_mut().unwrap().remove("permissions").unwrap());
    }
    assert_eq!(shown, json!(channels), "{name}");
    let mut count = 0;
    for channel in &channels {
        let mut said = older(&format!(
            "SELECT uuid, content, author_uuid, channel_uuid, date, edited, {reply} AS reply
             FROM messages WHERE channel_uuid = {} ORDER BY rowid",
            channel["uuid"]
        ));
        count += said.len();
        for message in &mut said {
            message["edited"] = json!(message["edited"] != 0);
        }
        let history = whole_history(&mut alice, &channel["uuid"]);
        assert_eq!(history.len(), said.len(), "{name}");
        for (message, said) in history.iter().zip(&said) {
            assert_eq!(message, said, "{name}");
        }
    }
    assert_eq!(count, 3000, "{name}");

    let users: BTreeMap<String, Value> = alice.must(json!({"command": "get_metadata"}))["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["name"].as_str().unwrap().to_owned(), user.clone()))
        .collect();
    let uuid = |name: &str| users[name]["uuid"].clone();
    for user in older("SELECT uuid, name, pfp FROM users") {
        let shown = &users[user["name"].as_str().unwrap()];
        assert_eq!((&shown["uuid"], &shown["pfp"]), (&user["uuid"], &user["pfp"]), "{name}");
    }
    assert_eq!(users.len(), MEMBERS.len());

    let groups = alice.must(json!({"command": "list_groups"}))["data"].take();
    if name.starts_with("v5") {
        let expected = older("SELECT uuid, name, colour, position, permissions FROM groups");
        assert_eq!(groups, json!(expected));
        assert_eq!(users["ghost"]["groups"], json!([groups[0]["uuid"]]));
        assert_eq!(users["bob"]["groups"], json!([groups[1]["uuid"]]));
    } else {
        assert_eq!(groups, json!([]), "{name}: they mean nothing there");
    }
    let base = alice.must(json!({"command": "get_base_permissions"}))["permissions"].take();
    assert_eq!(base, json!([0xaa, 0x96, 0x05]));
    let muted = groups[1]["uuid"].as_i64().unwrap_or_default();
    let expected = match name {
        "v5-migrated" => json!([{}, {}, {format!("group:{muted}"): [0, 0x20, 8]}]),
        _ => json!([{}, {}, {}]),
    };
    assert_eq!(json!(overrides), expected, "{name}");

    let emoji = alice.must(json!({"command": "list_emoji"}))["data"].take();
    assert_eq!(emoji.as_array().unwrap().len(), 1);
    let emoji = alice.must(json!({"command": "get_emoji", "uuid": emoji[0][1]}))["data"].take();
    assert_eq!(json!([emoji]), json!(older("SELECT uuid, name, data FROM emojis")));

    let identity = alice.must(json!({"command": "sync_get"}));
    let expected = &older("SELECT user_uuid, uname, pfp FROM sync_data")[0];
    for key in ["user_uuid", "uname", "pfp"] {
        assert_eq!(identity[key], expected[key], "{name}");
    }
    let servers = alice.must(json!({"command": "sync_get_servers"}))["servers"].take();
    let columns = "user_uuid, uuid, uname, ip, port, pfp, name, idx";
    let expected = older(&format!("SELECT {columns} FROM sync_servers ORDER BY idx"));
    assert_eq!((servers.as_array().unwrap().len(), servers), (2, json!(expected)), "{name}");

    if name.starts_with("v5") {
        let mut ghost = enter(server, "ghost", "boo");
        let [mark] = &older("SELECT * FROM last_read_messages")[..] else { panic!("one mark") };
        assert_eq!(mark["user_uuid"], uuid("ghost"));
        let unread = &older(&format!(
            "SELECT count(*) AS count FROM messages WHERE channel_uuid = {} AND date > {}
             AND author_uuid <> {}",
            mark["channel_uuid"], mark["date"], mark["user_uuid"]
        ))[0]["count"];
        let reads = ghost.must(json!({"command": "get_last_reads"}))["last_reads"].take();
        let channel = mark["channel_uuid"].to_string();
        assert_eq!(reads, json!({channel: [mark["date"], unread]}), "{name}");
    }
}

#[test]
fn everything_of_an_older_server_is_there_and_goes_on() {
    for name in FIXTURES {
        let mut server = Server::try_start(folder_with(name), &[], Arc::default()).ok().unwrap();
        let report = server.record.log();
        let report = report.iter().find(|line| line.contains("taken over")).unwrap().clone();
        for words in ["members 4", "messages 3000", "channels 3", "emoji 1", "aster.db.older"] {
            assert!(report.contains(words), "no {words} in {report}");
        }
        assert_eq!(server.folder.read("aster.db.older"), fs::read(fixture(name)).unwrap());
        for file in ["aster.db", "aster.db.older"] {
            let mode = fs::metadata(server.folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file} holds password hashes");
        }
        for (name, password) in &MEMBERS[..3] {
            assert_eq!(login(&server, name, &format!("{password}!")), 403);
            assert_eq!(login(&server, name, password), 200, "{name}");
        }
        assert_eq!(login(&server, "ghost", "boo"), 200, "the first login sets the password");
        assert_eq!(login(&server, "ghost", "bah"), 403);
        assert_taken_over(name, &server);

        let mut zoe = enter(&server, "Zoë 🌟", "пароль");
        let general = zoe.general();
        let said = zoe.say(general, "still here");
        zoe.must(json!({"command": "mark_as_read", "message": said}));
        zoe.leave().unwrap();
        server.restart("TERM");
        let begun = server.record.log();
        assert_eq!(begun.iter().filter(|line| line.contains("taken over")).count(), 1);
        let mut zoe = enter(&server, "Zoë 🌟", "пароль");
        assert_eq!(zoe.history(general, 1)[0]["uuid"], said);
        let reads = zoe.must(json!({"command": "get_last_reads"}))["last_reads"].take();
        assert_eq!(reads[general.to_string()][1], 0);
        zoe.must(json!({"command": "delete", "message": said}));
        assert_taken_over(name, &server);
        assert!(!server.folder.has("aster.db.older.1"), "one copy is enough");
    }
}

#[test]
fn an_errand_before_the_first_start_takes_over_too() {
    let folder = folder_with("v5-migrated");
    let (code, output, log) = errand(&folder, &["owner", "bob"], "");
    assert_eq!((code, output.as_str()), (Some(0), "bob is now an owner\n"), "{log}");
    assert!(log.contains("taken over"), "{log}");
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    let mut bob = enter(&server, "bob", "bob-secret");
    let general = bob.must(json!({"command": "list_channels"}))["data"][0]["uuid"].take();
    assert_eq!(whole_history(&mut bob, &general).len(), count("v5-migrated", &general));
    let groups = bob.must(json!({"command": "list_groups"}))["data"].take();
    assert_eq!(groups[0]["name"], "admins", "the owners were there already");
}

fn count(name: &str, channel: &Value) -> usize {
    let sql = format!("SELECT 1 FROM messages WHERE channel_uuid = {channel}");
    rows(fixture(name), &sql).len()
}

#[test]
fn what_a_crashed_older_server_left_in_its_journal_is_taken_over() {
    for mode in ["WAL", "DELETE"] {
        let folder = folder_with("with-reply");
        let crashed = Folder::prepared();
        let database = Connection::open(folder.path().join("aster.db")).unwrap();
        database.pragma_update(None, "journal_mode", mode).unwrap();
        database.pragma_update(None, "cache_size", 1).unwrap();
        let add = "INSERT INTO messages SELECT 77, 'the last words', author_uuid, channel_uuid, date, 0, NULL FROM messages LIMIT 1";
        database.execute_batch(add).unwrap();
        // Not committed, and yet in the file by now: the journal says how it was.
        database.execute_batch("BEGIN; DELETE FROM messages WHERE uuid <> 77").unwrap();
        crashed.write("config.json", folder.read("config.json"));
        for end in ["", "-wal", "-journal"] {
            if folder.has(&format!("aster.db{end}")) {
                crashed.write(&format!("aster.db{end}"), folder.read(&format!("aster.db{end}")));
            }
        }
        assert!(crashed.has(if mode == "WAL" { "aster.db-wal" } else { "aster.db-journal" }));
        drop(database);
        let server = Server::try_start(crashed, &[], Arc::default()).ok().unwrap();
        let log = server.record.log();
        assert!(log.iter().any(|line| line.contains("messages 3001")), "{mode}: {log:?}");
        let mut alice = enter(&server, "alice", "alice-secret");
        let general = alice.general();
        assert_eq!(alice.history(general, 1)[0]["content"], "the last words", "{mode}");
    }
}

/// Killed at ever later moments until it gets through: each time the copy is whole, or none, and
/// in the end everything is there.
#[test]
fn a_takeover_that_is_killed_is_done_again() {
    let folder = folder_with("v5-migrated");
    // So that it takes a while.
    alter(
        &folder,
        "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
         INSERT INTO messages (uuid, content, author_uuid, channel_uuid, date)
         SELECT n, format('more %d', n), (SELECT uuid FROM users), (SELECT uuid FROM channels), 1730000000 + n FROM n",
    );
    let before = folder.read("aster.db");
    let (mut kills, mut half_done) = (0, 0);
    for delay_ms in (0..).step_by(7) {
        let mut child = spawn(&folder, &[]);
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if folder.has("aster.db.older") {
            assert!(
                folder.read("aster.db.older") == before,
                "killed after {delay_ms} ms: no whole copy"
            );
        }
        assert!(!folder.has("aster.db.older.1"), "one copy is enough");
        kills += 1;
        half_done += usize::from(folder.has("aster.db-journal"));
        if folder.has("aster.db.older")
            && folder.read("aster.db")[68..72] == *b"Astr"
            && !folder.has("aster.db-journal")
        {
            break;
        }
        assert!(delay_ms < 20_000, "it never got through");
    }
    assert!(kills > 5 && half_done > 0, "{kills} kills, {half_done} of them half way");
    let mut server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    let mut alice = enter(&server, "alice", "alice-secret");
    let general = alice.general();
    let history = whole_history(&mut alice, &json!(general));
    assert_eq!(history.len(), count("v5-migrated", &json!(general)) + 20_000);
    assert!(server.folder.read("aster.db.older") == before);
    server.stop("TERM");
    let names = fs::read_dir(server.folder.path()).unwrap();
    let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
    names.sort();
    let expected =
        ["aster.db", "aster.db-seen", "aster.db.older", "cert.pem", "config.json", "key.pem"];
    assert_eq!(names, expected);
}

#[test]
fn what_breaks_todays_rules_is_mended_and_said() {
    let folder = folder_with("v5-migrated");
    let long = "č".repeat(40);
    let picture = STANDARD.encode(png(2, 2, 0));
    alter(
        &folder,
        &format!(
            "INSERT INTO users VALUES (11, ' alice ', 'no picture', 'plain'), (12, '{long}', '{picture}', '');
             INSERT INTO users VALUES (13, x'626f62ff' || '', '', ''), (14, 'bob', '', ''), (-5, 'minus', '', '');
             INSERT INTO channels VALUES (21, '{long}', 1), (22, '', 7);
             INSERT INTO groups VALUES (31, 'odd', -1, x'03ffff55', 1);
             INSERT INTO channel_group_permissions VALUES (21, 12, NULL, x'0001'), (21, 99, NULL, x'00'), (99, 31, NULL, x'00');
             INSERT INTO user_groups (user_uuid, group_uuid) VALUES (12, 31), (99, 31);
             INSERT INTO emojis VALUES (41, ':Party:', '{picture}'), (42, 'broken', 'no picture');
             INSERT INTO messages VALUES (51, 'by one who is gone', 98, 21, 5, 0, -7);
             INSERT INTO messages VALUES (-7, x'ff41' || '', -5, 21, 'then', 1, 51);
             INSERT INTO messages VALUES (53, 'in nothing', 12, 99, 5, 0, NULL);
             INSERT INTO messages VALUES (54, 'an answer', 12, 21, 6, 0, -7);
             INSERT INTO last_read_messages VALUES (12, 21, 5), (97, 21, 5);
             CREATE TABLE karma (points); CREATE VIEW wise AS SELECT * FROM karma;"
        ),
    );
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    let log = server.record.log();
    let mended = log.iter().find(|line| line.contains("in taking over: ")).unwrap();
    for words in [
        "names mended 6",
        "unreadable pictures left out 1",
        "unreadable passwords (give new ones) 1",
        "unreadable emoji left out 1",
        "members made for authors who are gone 1",
        "messages of deleted channels left out 1",
        "channel overrides for nobody left out 2",
        "memberships of nobody or in nothing left out 1",
        "read marks of nobody or nowhere left out 1",
        "permissions mended 1",
        "dates mended 1",
        "new uuids 2",
    ] {
        assert!(mended.contains(words), "no {words} in {mended}");
    }
    let name = "č".repeat(32);
    let mut member = enter(&server, &name, "now");
    let users = member.must(json!({"command": "get_metadata"}))["data"].take();
    let by_uuid: BTreeMap<i64, String> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["uuid"].as_i64().unwrap(), user["name"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(by_uuid[&11], "alice 2");
    assert_eq!(by_uuid[&13], "bob\u{fffd}");
    assert_eq!(by_uuid[&14], "bob 2");
    assert_eq!(by_uuid[&98], "gone");
    let minus = *by_uuid.iter().find(|(_, name)| *name == "minus").unwrap().0;
    assert_eq!(login(&server, "alice 2", "plain"), 403);
    assert_eq!(login(&server, "gone", "gone"), 403);
    let channels = member.must(json!({"command": "list_channels"}))["data"].take();
    let channels = channels.as_array().unwrap();
    let places: Vec<_> = channels
        .iter()
        .map(|channel| (channel["position"].as_i64().unwrap(), channel["name"].as_str().unwrap()))
        .collect();
    let cut = "č".repeat(16);
    assert_eq!(places, [(0, "general"), (1, "random"), (2, &*cut), (3, "bots"), (4, "channel")]);
    assert_eq!(channels[2]["permissions"], json!({"user:12": [0, 1, 0]}));
    let groups = member.must(json!({"command": "list_groups"}))["data"].take();
    let odd = groups.as_array().unwrap().iter().find(|group| group["name"] == "odd").unwrap();
    assert_eq!(odd["permissions"], json!([0, 0, 0]));
    let history = member.history(21, 9);
    let said: Vec<_> = history.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["by one who is gone", "\u{fffd}A", "an answer"]);
    assert_eq!(history[0]["author_uuid"], 98);
    assert_eq!((&history[0]["reply"], &history[1]["author_uuid"]), (&Value::Null, &json!(minus)));
    assert_eq!((&history[1]["date"], &history[1]["reply"]), (&json!(5), &json!(51)));
    assert_eq!(history[2]["reply"], history[1]["uuid"], "the answer goes with it");
    let reads = member.must(json!({"command": "get_last_reads"}))["last_reads"].take();
    assert_eq!(reads, json!({"21": [5, 0]}));
    let emoji = member.must(json!({"command": "list_emoji"}))["data"].take();
    assert_eq!(emoji[0][0], "_party_");
    assert_eq!(emoji.as_array().unwrap().len(), 2);
}

#[test]
fn an_older_server_that_is_at_work_is_not_disturbed() {
    let folder = folder_with("v5-fresh");
    let older = Connection::open(folder.path().join("aster.db")).unwrap();
    older.execute_batch("BEGIN IMMEDIATE; DELETE FROM messages WHERE rowid > 2000").unwrap();
    let (code, log) = run(&folder, &[]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("another program holds the database"), "{log}");
    older.execute_batch("COMMIT").unwrap();
    assert!(!folder.has("aster.db.older"));
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    let log = server.record.log();
    assert!(log.iter().any(|line| line.contains("messages 2000")), "{log:?}");
    assert!(older.execute("INSERT INTO users VALUES (1, 'late', '', '')", []).is_err());
}

#[test]
fn older_servers_of_versions_between_are_taken_over_and_of_later_ones_refused() {
    let folder = folder_with("v5-fresh");
    alter(
        &folder,
        "UPDATE version SET version = 3; DROP TABLE last_read_messages; DROP TABLE sync_data; ALTER TABLE channels DROP COLUMN position",
    );
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    let log = server.record.log();
    assert!(
        log.iter().any(|line| line.contains("version 3: ") && line.contains("groups 2")),
        "{log:?}"
    );
    drop(server);
    for version in ["6", "-1"] {
        let folder = folder_with("v5-fresh");
        alter(&folder, &format!("UPDATE version SET version = {version}"));
        let before = folder.read("aster.db");
        let (code, log) = run(&folder, &[]);
        assert_eq!((code, log.lines().count()), (Some(2), 1), "{log}");
        assert!(folder.read("aster.db") == before && !folder.has("aster.db.older"));
    }
}
