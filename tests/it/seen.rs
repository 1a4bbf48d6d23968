//! What a server closed in order is not looked through at the next start; all else is.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::server::{Folder, Server, errand, run};
use crate::support::world::World;

const DATABASE: &str = "aster.db";
const NOTE: &str = "aster.db-seen";

/// A server's folder after an orderly stop. Most of its database is messages.
fn closed_in_order() -> Folder {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("alice", 5000, "general", &"x".repeat(100));
    drop(world);
    let mut server = Server::start_in(folder, json!({}));
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(server.folder.has(NOTE), "there is no note");
    taken_from(server)
}

/// The folder of a server that has ended.
fn taken_from(mut server: Server) -> Folder {
    std::mem::replace(&mut server.folder, Folder::empty())
}

fn modified(folder: &Folder) -> SystemTime {
    fs::metadata(folder.path().join(DATABASE)).unwrap().modified().unwrap()
}

/// Fills a page of messages with garbage, as a disk might: the file's times do not show it.
fn damage(folder: &Folder) {
    let before = modified(folder);
    let database = File::options().write(true).open(folder.path().join(DATABASE)).unwrap();
    let middle = database.metadata().unwrap().len() / 2 / 4096 * 4096;
    database.write_all_at(&[0xa7; 4096], middle).unwrap();
    database.set_modified(before).unwrap();
    assert_eq!(modified(folder), before);
}

#[track_caller]
fn assert_not_looked_through(folder: Folder) -> Server {
    damage(&folder);
    Server::start_in(folder, json!({}))
}

#[track_caller]
fn assert_looked_through(folder: &Folder) {
    damage(folder);
    let (code, log) = run(folder, &[]);
    assert_eq!((code, log.lines().count()), (Some(2), 1), "{log}");
    assert!(log.contains("damaged"), "{log}");
}

#[test]
fn what_was_closed_in_order_is_not_looked_through_again() {
    let folder = closed_in_order();
    // Errands that only read change nothing of that.
    assert_eq!(errand(&folder, &["audit"], "").0, Some(0));
    let (_, output, _) = errand(&folder, &["check"], "");
    assert!(!output.contains("damaged"), "{output}");
    let mut server = assert_not_looked_through(folder);
    assert!(!server.folder.has(NOTE), "a crash would leave the note");
    // What is there is served, and the next stop leaves the next note.
    let mut bob = server.member("bob");
    let channel = bob.general();
    bob.say(channel, "hello");
    assert_eq!(server.stop("TERM"), Some(0));
    server.start_again();
    assert_eq!(server.stop("TERM"), Some(0));
    let (code, output, _) = errand(&server.folder, &["check"], "");
    assert!(code == Some(1) && output.contains("damaged"), "{output}");
}

/// Whether a server's last stop noted that nothing is left of what was deleted.
fn is_wiped(folder: &Folder) -> bool {
    String::from_utf8(folder.read(NOTE)).unwrap().ends_with("wiped true\n")
}

#[test]
fn it_is_noted_whether_something_is_left_of_what_was_deleted() {
    let mut server = Server::start_in(closed_in_order(), json!({}));
    let mut bob = server.member("bob");
    let channel = bob.general();
    // At rest everything is wiped after half a second. A moment's life is too short for that, but a
    // start that has nothing to wipe needs none.
    let deadline = Instant::now() + DEADLINE;
    for rest_ms in (0..).step_by(200) {
        thread::sleep(Duration::from_millis(rest_ms));
        assert_eq!(server.stop("TERM"), Some(0));
        if is_wiped(&server.folder) {
            break;
        }
        assert!(Instant::now() < deadline, "nothing was wiped");
        server.start_again();
    }
    server.start_again();
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(is_wiped(&server.folder), "it was to be wiped again");
    // On a busy machine a stop may come late, and find even that wiped.
    let mut stop_after_deleting = || {
        server.start_again();
        let mut bob = server.login("bob");
        let said = bob.say(channel, "hello");
        bob.must(json!({"command": "delete", "message": said}));
        assert_eq!(server.stop("TERM"), Some(0));
        !is_wiped(&server.folder)
    };
    assert!((0..5).any(|_| stop_after_deleting()), "what was deleted just before was left");
}

#[test]
fn after_a_crash_it_is_looked_through() {
    let mut server = Server::start_in(closed_in_order(), json!({}));
    server.stop("KILL");
    assert_looked_through(&taken_from(server));

    let mut server = Server::start_in(closed_in_order(), json!({}));
    let mut bob = server.member("bob");
    let channel = bob.general();
    bob.say(channel, "hello");
    server.stop("KILL");
    assert_looked_through(&taken_from(server));
}

#[test]
fn what_others_wrote_or_put_there_is_looked_through() {
    let folder = closed_in_order();
    assert_eq!(errand(&folder, &["owner", "alice"], "").0, Some(0));
    assert_looked_through(&folder);

    let folder = closed_in_order();
    let database = folder.path().join(DATABASE);
    File::options().write(true).open(&database).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_looked_through(&folder);

    // Another file of the same times and size.
    let folder = closed_in_order();
    let (database, copy) = (folder.path().join(DATABASE), folder.path().join("copy"));
    let before = modified(&folder);
    fs::copy(&database, &copy).unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(before).unwrap();
    fs::rename(&copy, &database).unwrap();
    assert_looked_through(&folder);

    // A backup, put back as the README has it.
    let folder = closed_in_order();
    assert_eq!(errand(&folder, &["backup", "b"], "").0, Some(0));
    fs::copy(folder.path().join("b"), folder.path().join(DATABASE)).unwrap();
    assert_looked_through(&folder);
}

#[test]
fn a_log_beside_it_or_a_note_that_says_something_else_is_no_excuse() {
    for left in ["aster.db-wal", "aster.db-journal"] {
        let folder = closed_in_order();
        folder.write(left, "of another");
        assert_looked_through(&folder);
    }
    for note in [&b""[..], b"nonsense\n", &[0xff; 100]] {
        let folder = closed_in_order();
        folder.write(NOTE, note);
        assert_looked_through(&folder);
    }
    let folder = closed_in_order();
    fs::remove_file(folder.path().join(NOTE)).unwrap();
    assert_looked_through(&folder);
}

#[test]
fn where_another_program_has_it_open_there_is_no_note() {
    let mut server = Server::start_in(closed_in_order(), json!({}));
    let world = World::open(&server.folder);
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(!server.folder.has(NOTE));
    drop(world);
    assert_looked_through(&taken_from(server));
}

#[test]
fn damage_that_a_server_or_a_check_met_is_looked_for_at_the_next_start() {
    let mut server = assert_not_looked_through(closed_in_order());
    let mut alice = server.login("alice");
    let channel = alice.general();
    let mut page = json!({"command": "history", "channel": channel, "num": 500});
    // Back through history, until what is damaged is read.
    let refused = (0..20).find_map(|_| {
        let response = alice.ask(page.clone());
        page["before_message"] = response["data"][0]["uuid"].clone();
        (response["status"] != 200).then(|| response["status"].clone())
    });
    assert_eq!(refused, Some(json!(500)));
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(!server.folder.has(NOTE), "damage is vouched for");
    let (code, log) = run(&server.folder, &[]);
    assert!(code == Some(2) && log.contains("damaged"), "{log}");

    let folder = closed_in_order();
    damage(&folder);
    let (code, said, _) = errand(&folder, &["check"], "");
    assert!(code == Some(1) && said.contains("damaged"), "{said}");
    assert_looked_through(&folder);
}
