//! The owner's command line, on a running and on a stopped server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::pictures::png;
use crate::support::server::{Folder, Server, errand};
use crate::support::tls::End;
use crate::support::world::World;

/// Every permission allowed, as on the wire.
const EVERYTHING: [u8; 3] = [0x55, 0x55, 0x05];

/// An errand that must succeed: what it printed.
#[track_caller]
fn done(server: &Server, arguments: &[&str], input: &str) -> String {
    let (code, output, log) = errand(&server.folder, arguments, input);
    assert_eq!(code, Some(0), "{arguments:?}: {output}{log}");
    output
}

/// An errand that must be refused with this exit code: what it said.
#[track_caller]
fn refused(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let (got, output, log) = errand(folder, arguments, "");
    assert_eq!((got, output.as_str()), (Some(code), ""), "{arguments:?}: {log}");
    log
}

fn permissions(client: &mut Client) -> Value {
    client.must(json!({"command": "get_permissions"}))["permissions"].take()
}

fn try_login(server: &Server, name: &str, password: &str) -> Value {
    let mut client = server.connect(name, Framing::Lines);
    client.ask(json!({"command": "login", "uname": name, "passwd": password}))["status"].take()
}

#[test]
fn a_running_server_notices_a_new_owner_and_tells_its_clients() {
    let server = Server::start();
    let mut alice = server.member("alice");
    assert_eq!(alice.must(json!({"command": "list_groups"}))["data"], json!([]));
    assert_ne!(permissions(&mut alice), json!(EVERYTHING));
    assert_eq!(done(&server, &["owner", "alice"], ""), "alice is now an owner\n");

    let event = alice.next_event().unwrap();
    assert_eq!(event["command"], "list_groups");
    let group = &event["data"][0];
    assert_eq!((&group["position"], &group["permissions"]), (&json!(0), &json!(EVERYTHING)));
    let event = alice.next_event().unwrap();
    assert_eq!(
        (&event["command"], &event["data"][0]["name"]),
        (&json!("get_metadata"), &json!("alice"))
    );
    assert_eq!(event["data"][0]["groups"], json!([group["uuid"]]));
    assert_eq!(permissions(&mut alice), json!(EVERYTHING));

    assert_eq!(done(&server, &["owner", "alice"], ""), "alice is already an owner\n");
    assert_eq!(done(&server, &["owner", "alice", "--remove"], ""), "alice is no longer an owner\n");
    assert_eq!(alice.next_event().unwrap()["data"][0]["groups"], json!([]));
    assert_ne!(permissions(&mut alice), json!(EVERYTHING));
    let said = refused(&server.folder, &["owner", "alice", "--remove"], 1);
    assert_eq!(said, "alice is no owner\n");
    alice.leave().unwrap();
}

#[test]
fn an_owner_without_an_account_gets_one_also_before_the_first_start() {
    let folder = Folder::empty();
    let (code, output, _) = errand(&folder, &["owner", "me"], "open sesame\r\n");
    assert_eq!((code, output.as_str()), (Some(0), "me is now an owner\n"));
    assert!(folder.has("config.json") && folder.has("aster.db"));
    let server = Server::start_in(folder, json!({}));
    assert_eq!(try_login(&server, "me", "open sesame"), 200);
    // A second one joins the first one's group.
    let mut me = server.connect("me", Framing::Lines);
    me.must(json!({"command": "login", "uname": "me", "passwd": "open sesame"}));
    assert_eq!(done(&server, &["owner", "you"], "open barley"), "you is now an owner\n");
    let groups = me.must(json!({"command": "list_groups"}));
    assert_eq!(groups["data"].as_array().unwrap().len(), 1);
    assert_eq!(try_login(&server, "you", "open barley"), 200);
    let (code, output, log) = errand(&server.folder, &["owner", "them"], "\n");
    assert_eq!((code, output.as_str()), (Some(1), ""), "{log}");
    assert_eq!(try_login(&server, "them", "x"), 404, "no account without a password");
}

#[test]
fn a_banned_member_who_is_made_the_owner_may_come_in() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.ban("bob", None);
    drop(world);
    let server = Server::start_in(folder, json!({}));
    assert_eq!(try_login(&server, "bob", "bob"), 403);
    done(&server, &["owner", "bob"], "");
    assert_eq!(try_login(&server, "bob", "bob"), 200);
    let record = done(&server, &["audit"], "");
    let lines: Vec<&str> = record.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(lines, ["command line\tunban\tbob", "command line\towner\tbob"]);
}

#[test]
fn many_at_once_before_the_first_start_do_not_get_in_each_others_way() {
    for _ in 0..4 {
        let folder = Folder::empty();
        thread::scope(|scope| {
            let names = ["a", "b", "c", "d"];
            let owners = names.map(|name| scope.spawn(|| errand(&folder, &["owner", name], "pw")));
            for owner in owners {
                let (code, _, log) = owner.join().unwrap();
                assert_eq!(code, Some(0), "{log}");
            }
        });
        let server = Server::start_in(folder, json!({}));
        let mut a = server.connect("a", Framing::Lines);
        a.must(json!({"command": "login", "uname": "d", "passwd": "pw"}));
        assert_eq!(a.must(json!({"command": "list_groups"}))["data"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_new_password_ends_the_members_connections_and_nobody_elses() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let mut again = server.connect("alice", Framing::WebSocket);
    again.enter("login");
    let mut bob = server.member("bob");
    assert_eq!(done(&server, &["passwd", "alice"], "new\n"), "alice has a new password\n");
    alice.read_to_end(End::CloseNotify, 1008).unwrap();
    again.read_to_end(End::CloseNotify, 1008).unwrap();
    assert_eq!(try_login(&server, "alice", "alice"), 403);
    assert_eq!(try_login(&server, "alice", "new"), 200);
    bob.leave().unwrap();

    server.stop("TERM");
    assert_eq!(done(&server, &["passwd", "alice"], "newer\n"), "alice has a new password\n");
    server.start_again();
    assert_eq!(try_login(&server, "alice", "new"), 403);
    assert_eq!(try_login(&server, "alice", "newer"), 200);
}

#[test]
fn what_cannot_be_done_is_said_in_a_line() {
    let server = Server::start();
    for arguments in [["passwd", "nobody"], ["owner", " "]] {
        assert_eq!(refused(&server.folder, &arguments, 1).lines().count(), 1, "{arguments:?}");
    }
    assert_eq!(
        refused(&server.folder, &["why", "nobody", "general"], 1),
        "there is no member nobody\n"
    );
    let mut alice = server.member("alice");
    assert_eq!(refused(&server.folder, &["why", "alice", "tea"], 1), "there is no channel tea\n");
    alice.leave().unwrap();
    for arguments in [&["owner"][..], &["audit", "alice"], &["why", "alice"], &["--remove"]] {
        assert_eq!(refused(&server.folder, arguments, 2).lines().count(), 1, "{arguments:?}");
    }
    let folder = Folder::empty();
    folder.write("aster.db", "no database, but of some length; more than sixteen bytes");
    let before = folder.read("aster.db");
    assert_eq!(refused(&folder, &["audit"], 2).lines().count(), 1, "no config.json");
    assert!(!folder.has("config.json"), "only a first start makes it");
    folder.write("config.json", "{}");
    assert_eq!(refused(&folder, &["audit"], 2).lines().count(), 1);
    assert_eq!(folder.read("aster.db"), before);
}

#[test]
fn the_record_says_who_did_what_to_whom() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let bob = world.member("bob");
    world.messages("bob", 1, "general", "");
    let (general, message) = (world.names["general"].clone(), world.names["general1"].clone());
    drop(world);
    let server = Server::start_in(folder, json!({}));
    done(&server, &["owner", "alice"], "alice\n");
    let mut alice = server.login("alice");
    let group = json!({"command": "create_group", "name": "mods", "colour": 0, "position": 1, "permissions": [0, 64]});
    let group = alice.must(group)["uuid"].clone();
    alice.must(json!({"command": "update_user_groups", "user": bob, "groups": [group]}));
    let overrides = json!({"group:0": [0, 0, 8], format!("group:{group}"): [0, 0, 4]});
    alice.must(json!({"command": "update_channel", "uuid": general, "name": "tea", "permissions": overrides}));
    alice.must(json!({"command": "delete", "message": message}));
    alice.must(
        json!({"command": "ban", "user": bob, "reason": "too\tloud", "until": 4102444800_i64}),
    );
    alice.must(json!({"command": "unban", "user": bob}));
    alice.must(json!({"command": "kick", "user": bob}));
    alice.must(json!({"command": "set_name", "name": "The Tea Room"}));
    // What changes nothing, or was refused, leaves no line.
    alice.must(json!({"command": "set_name", "name": "The Tea Room"}));
    alice.must(json!({"command": "update_user_groups", "user": bob, "groups": [group]}));
    assert_eq!(alice.ask(json!({"command": "unban", "user": bob}))["status"], 404);
    done(&server, &["passwd", "bob"], "bob\n");

    let record = done(&server, &["audit"], "");
    let without_dates: Vec<&str> =
        record.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(
        without_dates,
        [
            "command line\towner\talice",
            "alice\tcreate_group\tmods\tat position 1: manage_messages allow",
            "alice\tupdate_user_groups\tbob\t+mods",
            "alice\tupdate_channel\tgeneral\tcalled tea; everyone: view_channel deny; group mods: view_channel allow",
            &format!("alice\tdelete\ttea\tmessage {message} of bob"),
            "alice\tban\tbob\tuntil 2100-01-01 00:00:00, because \"too\\tloud\"",
            "alice\tunban\tbob",
            "alice\tkick\tbob",
            "alice\tset_name\tthe server\tThe Tea Room",
            "command line\tpasswd\tbob",
        ]
    );
    let date = record.split('\t').next().unwrap();
    assert!(date.len() == 19 && date.starts_with("20"), "{date}");
}

#[test]
fn why_names_what_decided_each_permission() {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let group = world.group("manage_messages");
    world.join("bob", group);
    world.deny("bob", "send_messages", "tea");
    drop(world);
    let server = Server::start_in(folder, json!({}));
    let why = done(&server, &["why", "bob", "#tea"], "");
    let said = |permission: &str| {
        let line = why.lines().find(|line| line.trim_start().starts_with(permission)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(why.lines().count(), 11, "{why}");
    assert_eq!(said("view_channel"), "allow the base");
    assert_eq!(said("ban_users"), "deny the base");
    assert_eq!(said("manage_messages"), "allow the group manage_messages");
    assert_eq!(said("send_messages"), "deny the channel, for this member");
}

#[test]
fn a_database_of_the_first_schema_is_brought_up_to_date_and_a_copy_kept() {
    let folder = Folder::empty();
    let first = Connection::open(folder.path().join("aster.db")).unwrap();
    first.execute_batch(include_str!("../schemas/1.sql")).unwrap();
    first
        .execute_batch(
            "INSERT INTO members VALUES (7, 'alice', NULL, '');
             INSERT INTO channels VALUES (8, 'tea', 0);
             INSERT INTO messages VALUES (1, 9, 8, 7, 'hello', 1700000000, 0, NULL);
             INSERT INTO channel_overrides VALUES (8, 7, NULL, x'000800');",
        )
        .unwrap();
    drop(first);
    let mut server = Server::start_in(folder, json!({}));
    let mut alice = server.login("alice");
    let channels = alice.must(json!({"command": "list_channels"}));
    assert_eq!(
        channels["data"],
        json!([{"uuid": 8, "name": "tea", "position": 0, "permissions": {"user:7": [0, 8, 0]}}])
    );
    assert_eq!(alice.history(8, 10)[0]["content"], "hello");
    alice.must(json!({"command": "mark_as_read", "message": 9}));
    alice.leave().unwrap();
    let copy = Connection::open(server.folder.path().join("aster.db.schema-1")).unwrap();
    let version: i64 = copy.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let messages: i64 =
        copy.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!((version, messages), (1, 1));
    let mode = |name: &str| {
        let file = fs::metadata(server.folder.path().join(name)).unwrap();
        file.permissions().mode() & 0o777
    };
    assert_eq!(mode("aster.db.schema-1"), 0o600, "it holds password hashes");
    server.restart("TERM");
    assert_eq!(server.login("alice").history(8, 10).len(), 1);
}

#[test]
fn members_get_pictures_of_their_own() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let bob = server.member("bob");
    let users = alice.must(json!({"command": "get_metadata"}))["data"].take();
    let pictures: Vec<&str> =
        users.as_array().unwrap().iter().map(|user| user["pfp"].as_str().unwrap()).collect();
    assert_eq!(pictures.len(), 2);
    assert_ne!(pictures[0], pictures[1]);
    assert!(pictures.iter().all(|picture| picture.len() < 600), "{pictures:?}");
    drop(bob);

    // A default counts for all who have set none, whenever they came; and no longer.
    let mut picture_with = |default_pfp: &str| {
        server.stop("TERM");
        server.folder.write("mine.png", png(5, 5, 0));
        let config = json!({"addr": "127.0.0.1", "port": 0, "default_pfp": default_pfp});
        server.folder.write("config.json", config.to_string());
        server.start_again();
        let mut alice = server.login("alice");
        let users = alice.must(json!({"command": "get_metadata"}))["data"].take();
        users[0]["pfp"].as_str().unwrap().to_owned()
    };
    assert_eq!(picture_with("mine.png"), STANDARD.encode(png(5, 5, 0)));
    let made = picture_with("");
    assert!(pictures.contains(&made.as_str()), "the same as before");
}
