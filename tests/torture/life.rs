//! One server, its database and its members, from an empty folder through many kills.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::sender::{Counts, Fate, Sender};
use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server};

const SENDERS: usize = 8;
/// When the kill comes, in milliseconds after the senders began.
const KILL_MS: (usize, usize) = (50, 600);
/// Messages in one answer to `history`.
const PAGE: usize = 500;

/// What came of all cycles.
#[derive(Default)]
pub struct Tally {
    counts: Counts,
    registrations: u64,
    /// Of the sends that were asked again, those that the kill had left in the database.
    were_there: u64,
    kills: u64,
}

impl Tally {
    pub fn messages_line(&self) -> String {
        let Counts { messages, retried, .. } = self.counts;
        format!(
            "{messages} messages were answered 200, {retried} of them when asked again with their \
             nonce, of which {} had been stored before the kill",
            self.were_there
        )
    }

    pub fn others_line(&self) -> String {
        let Counts { edits, deletions, marks, .. } = self.counts;
        let Self { registrations, kills, .. } = self;
        format!(
            "{edits} edits, {deletions} deletions, {marks} read marks and {registrations} \
             registrations were answered 200, too; {kills} kills"
        )
    }
}

/// A message in history.
struct Found {
    uuid: i64,
    author: i64,
    content: String,
}

pub struct Life {
    server: Server,
    channel: i64,
    senders: Vec<Sender>,
    /// What was checked, in its order: uuid and author. Some may be deleted by now.
    order: Vec<(i64, i64)>,
    /// How much of each sender's book was checked.
    checked: Vec<usize>,
    /// A message of nobody's book, behind all that was checked.
    mark: i64,
    /// Names that were registered in the last storm, and whether that was answered 200.
    newcomers: Vec<(String, bool)>,
    /// Where the database is copied to before a start.
    copy: PathBuf,
}

impl Life {
    pub fn begin(chance: &mut Chance) -> Self {
        let server = Server::start_in(Folder::prepared(), json!({}));
        let mut checker = connect(&server);
        let checker_uuid = checker.enter("register");
        let channel = checker.general();
        let mark = checker.say(channel, "in the beginning");
        let new = |number| {
            let seed = chance.below(usize::MAX) as u64;
            let mut sender = Sender::new(format!("sender {number}"), Chance::new(seed));
            assert!(sender.come_back(server.address, "register", channel));
            sender
        };
        let senders: Vec<_> = (0..SENDERS).map(new).collect();
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("torture-{}", id()));
        fs::create_dir_all(&copy).unwrap();
        let (order, checked) = (vec![(mark, checker_uuid)], vec![0; SENDERS]);
        Self { server, channel, senders, order, checked, mark, newcomers: Vec::new(), copy }
    }

    /// Senders at full speed, a kill, a start, and a look at what is there.
    pub fn cycle(&mut self, chance: &mut Chance, tally: &mut Tally) {
        let before: Vec<Counts> = self.senders.iter().map(|sender| sender.counts).collect();
        let delay = Duration::from_millis(chance.between(KILL_MS.0, KILL_MS.1) as u64);
        let count = chance.below(3);
        let (address, channel) = (self.server.address, self.channel);
        self.newcomers = thread::scope(|scope| {
            for sender in &mut self.senders {
                scope.spawn(move || sender.storm(channel));
            }
            let prefix = format!("newcomer {}", self.mark);
            let newcomers = scope.spawn(move || register(address, &prefix, count));
            thread::sleep(delay);
            self.server.stop("KILL");
            newcomers.join().unwrap()
        });
        tally.kills += 1;
        self.check_database();
        tally.were_there += self.count_stored_nonces();
        // Also a start may be killed, and those who come back.
        if chance.percent(20) {
            self.kill_while_starting(Duration::from_millis(chance.below(40) as u64));
            tally.kills += 1;
        }
        self.server.start_again();
        if chance.percent(20) {
            self.kill_while_returning(Duration::from_millis(chance.below(300) as u64));
            self.check_database();
            tally.kills += 1;
            self.server.start_again();
        }
        assert!(self.senders_come_back(), "the server is gone, and nobody killed it");
        tally.registrations += self.check_newcomers();
        self.check_newest();
        for (sender, before) in self.senders.iter().zip(before) {
            tally.counts.messages += sender.counts.messages - before.messages;
            tally.counts.edits += sender.counts.edits - before.edits;
            tally.counts.deletions += sender.counts.deletions - before.deletions;
            tally.counts.marks += sender.counts.marks - before.marks;
            tally.counts.retried += sender.counts.retried - before.retried;
        }
    }

    /// Looks at everything once more, from the first message on, and stops in order.
    pub fn end(mut self) {
        let mut checker = connect(&self.server);
        checker.enter("login");
        let history = self.read_history(&mut checker, self.order[0].0);
        self.compare(&history, &[0; SENDERS]);
        assert_eq!(self.server.stop("TERM"), Some(0));
        self.check_database();
        fs::remove_dir_all(&self.copy).unwrap();
    }

    /// All at once. Whether all of them were answered to the end.
    fn senders_come_back(&mut self) -> bool {
        let (address, channel) = (self.server.address, self.channel);
        thread::scope(|scope| {
            let come =
                |sender| scope.spawn(move || Sender::come_back(sender, address, "login", channel));
            let threads: Vec<_> = self.senders.iter_mut().map(come).collect();
            // Each of them, also after the first that was cut off.
            threads.into_iter().fold(true, |all, thread| thread.join().unwrap() && all)
        })
    }

    fn kill_while_returning(&mut self, delay: Duration) {
        let (address, channel) = (self.server.address, self.channel);
        thread::scope(|scope| {
            for sender in &mut self.senders {
                scope.spawn(move || sender.come_back(address, "login", channel));
            }
            thread::sleep(delay);
            self.server.stop("KILL");
        });
    }

    fn kill_while_starting(&self, delay: Duration) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aster-server"));
        command.current_dir(self.server.folder.path()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Who was registered can log in.
    fn check_newcomers(&mut self) -> u64 {
        let mut count = 0;
        for (name, is_answered) in self.newcomers.drain(..) {
            let mut newcomer =
                Client::connect(self.server.address, &name, Framing::Lines, &Default::default());
            let login = json!({"command": "login", "uname": name, "passwd": name});
            let status = newcomer.ask(login)["status"].as_i64();
            let may_be_absent = !is_answered && status == Some(404);
            assert!(status == Some(200) || may_be_absent, "{name}: {is_answered}, {status:?}");
            count += u64::from(is_answered);
        }
        count
    }

    /// SQLite's own check, on a copy, so that it does not recover what the server has to.
    fn check_database(&self) {
        for name in ["aster.db", "aster.db-wal", "aster.db-shm"] {
            fs::remove_file(self.copy.join(name)).ok();
        }
        for name in ["aster.db", "aster.db-wal"] {
            // After an orderly stop there is no second file.
            if self.server.folder.has(name) {
                fs::copy(self.server.folder.path().join(name), self.copy.join(name)).unwrap();
            }
        }
        let database = self.open_copy();
        let found: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "see {}", self.copy.display());
        let mut broken = database.prepare("PRAGMA foreign_key_check").unwrap();
        assert!(!broken.exists([]).unwrap(), "see {}", self.copy.display());
    }

    fn open_copy(&self) -> Connection {
        Connection::open(self.copy.join("aster.db")).unwrap()
    }

    /// Of the sends that were not answered, those that are in the database all the same.
    fn count_stored_nonces(&self) -> u64 {
        let database = self.open_copy();
        let mut find = database.prepare("SELECT 1 FROM nonces WHERE nonce = ?1").unwrap();
        let nonces = self.senders.iter().flat_map(Sender::open_nonces);
        nonces.filter(|nonce| find.exists([nonce]).unwrap()).count() as u64
    }

    /// Compares what came since the last look with the books.
    fn check_newest(&mut self) {
        let mut checker = connect(&self.server);
        let checker_uuid = checker.enter("login");
        let history = self.read_history(&mut checker, self.mark);
        let checked = std::mem::take(&mut self.checked);
        self.compare(&history, &checked);
        self.checked = self.senders.iter().map(|sender| sender.said.len()).collect();
        self.order.extend(history.iter().map(|found| (found.uuid, found.author)));
        self.compare_told();
        self.compare_unread();
        self.mark = checker.say(self.channel, "so far, so good");
        self.order.push((self.mark, checker_uuid));
    }

    /// All of a channel behind a message, oldest first.
    fn read_history(&self, checker: &mut Client, mut after: i64) -> Vec<Found> {
        let mut history = Vec::new();
        loop {
            let page = checker.must(json!({"command": "history", "channel": self.channel,
                "num": PAGE, "after_message": after}));
            let page = page["data"].as_array().unwrap();
            history.extend(page.iter().map(|message| Found {
                uuid: message["uuid"].as_i64().unwrap(),
                author: message["author_uuid"].as_i64().unwrap(),
                content: message["content"].as_str().unwrap().to_owned(),
            }));
            match history.last() {
                Some(last) if page.len() == PAGE => after = last.uuid,
                Some(_) | None => return history,
            }
        }
    }

    /// Each sender's part of the history is its book from that place on: each message that was
    /// answered 200 once, in order, as it was last edited; none that was deleted.
    fn compare(&mut self, history: &[Found], from: &[usize]) {
        let mut by_author: HashMap<i64, Vec<&Found>> = HashMap::new();
        for found in history {
            by_author.entry(found.author).or_default().push(found);
        }
        for (sender, from) in self.senders.iter_mut().zip(from) {
            let mut found =
                by_author.remove(&sender.uuid).unwrap_or_default().into_iter().peekable();
            for said in sender.said.iter_mut().skip(*from) {
                match said.fate {
                    Fate::Stored(uuid) => {
                        let next = found.next();
                        let next = next.map(|found| (found.uuid, found.content.as_str()));
                        assert_eq!(next, Some((uuid, said.content.as_str())), "{}", sender.name);
                    }
                    Fate::Unknown => {
                        let found = found.next_if(|found| found.content == said.content);
                        said.fate = found.map_or(Fate::Absent, |found| Fate::Stored(found.uuid));
                    }
                    Fate::Absent | Fate::Deleted(_) => {}
                    Fate::Open | Fate::Doomed(_) => {
                        panic!("{}: {} is {:?}", sender.name, said.content, said.fate);
                    }
                }
            }
            let more: Vec<_> = found.map(|found| (found.uuid, &found.content)).collect();
            assert!(more.is_empty(), "{}: nobody was told of {more:?}", sender.name);
        }
    }

    fn deleted(&self) -> HashSet<i64> {
        let said = self.senders.iter().flat_map(|sender| &sender.said);
        said.filter_map(|said| match said.fate {
            Fate::Deleted(uuid) => Some(uuid),
            Fate::Open | Fate::Unknown | Fate::Absent | Fate::Stored(_) | Fate::Doomed(_) => None,
        })
        .collect()
    }

    /// Nobody was told of a message that the kill undid.
    fn compare_told(&mut self) {
        let mut known = self.deleted();
        known.extend(self.order.iter().map(|(uuid, _)| uuid));
        for sender in &mut self.senders {
            let ghost = sender.told.drain(..).find(|uuid| !known.contains(uuid));
            assert_eq!(ghost, None, "{} was told of a message that is not there", sender.name);
        }
    }

    /// The read marks that were answered 200 stand where they were set.
    fn compare_unread(&mut self) {
        let (deleted, channel) = (self.deleted(), self.channel);
        for sender in &mut self.senders {
            let Some(mark) = sender.mark else { continue };
            let behind = self.order.iter().rev().take_while(|(uuid, _)| *uuid != mark);
            let unread = behind
                .filter(|(uuid, author)| *author != sender.uuid && !deleted.contains(uuid))
                .count();
            let request = json!({"command": "get_num_unread", "channel": channel});
            let answer: Value = sender.ask(&request).unwrap();
            assert_eq!(answer["num"], unread, "{}: {answer}", sender.name);
        }
    }
}

/// The one that looks at the history: nobody's book has it.
fn connect(server: &Server) -> Client {
    // A record of its own: the pages would fill the server's.
    Client::connect(server.address, "checker", Framing::Lines, &Default::default())
}

/// Registers one name after the other, until all are or the server is gone. Gives those that
/// were asked for, and whether each was answered 200.
fn register(address: std::net::SocketAddr, prefix: &str, count: usize) -> Vec<(String, bool)> {
    let mut newcomers = Vec::new();
    for number in 0..count {
        let name = format!("{prefix} {number}");
        let mut newcomer = Sender::new(name.clone(), Chance::new(0));
        let is_answered = newcomer.come_back(address, "register", 0);
        newcomers.push((name, is_answered));
    }
    newcomers
}
