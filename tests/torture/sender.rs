//! One member that says, edits, deletes and marks as fast as it is answered, and the book it
//! keeps of that.
//!
//! *Order:* the server carries out a connection's requests one after the other, so what a kill
//! has cut off is the end of the book: all before some point was done, nothing after it. Asking
//! again in the same order therefore comes to the same as if nothing had happened.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::tls::{self, Tls};

/// What its lines begin with when somebody, also the sender itself, is told of a message.
const TOLD: &[u8] = br#"{"command":"content","status":200,"uuid":"#;
/// The names of the other events that come to whoever asks for none.
const EVENTS: [&str; 5] =
    ["message_edited", "message_deleted", "online", "get_metadata", "list_channels"];

/// A member with its connection, if it has one.
pub struct Sender {
    pub name: String,
    pub uuid: i64,
    chance: Chance,
    tls: Option<Tls>,
    /// In the order of sending.
    pub said: Vec<Said>,
    /// In the order of asking.
    unanswered: VecDeque<Asked>,
    /// The message that was last marked as read.
    pub mark: Option<i64>,
    /// Every message it was told of by an event since somebody last looked.
    pub told: Vec<i64>,
    pub counts: Counts,
}

/// What was answered 200.
#[derive(Default, Clone, Copy)]
pub struct Counts {
    pub messages: u64,
    pub edits: u64,
    pub deletions: u64,
    pub marks: u64,
    /// Sends that were asked again with their nonce, and then answered.
    pub retried: u64,
}

/// A message, as the book has it.
pub struct Said {
    pub content: String,
    pub fate: Fate,
    has_nonce: bool,
    /// A mark stands at it: it stays.
    is_marked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was sent; the answer has not come.
    Open,
    /// It was sent without a nonce, the answer never came, and nobody has looked yet.
    Unknown,
    /// It was sent without a nonce, and never arrived.
    Absent,
    Stored(i64),
    /// The answer to its deletion has not come.
    Doomed(i64),
    Deleted(i64),
}

/// The number is the place in `said`.
enum Asked {
    Send(usize),
    Edit(usize, String),
    Delete(usize),
    Mark(usize),
}

impl Sender {
    pub fn new(name: String, chance: Chance) -> Self {
        let (said, told, unanswered) = (Vec::new(), Vec::new(), VecDeque::new());
        let counts = Counts::default();
        Self { name, uuid: 0, chance, tls: None, said, unanswered, mark: None, told, counts }
    }

    /// Nonces of messages whose answers have not come.
    pub fn open_nonces(&self) -> impl Iterator<Item = String> {
        let sends = self.unanswered.iter().filter_map(|asked| match asked {
            Asked::Send(place) if self.said[*place].has_nonce => Some(*place),
            Asked::Send(_) | Asked::Edit(..) | Asked::Delete(_) | Asked::Mark(_) => None,
        });
        sends.map(|place| self.nonce(place))
    }

    fn nonce(&self, place: usize) -> String {
        format!("{} {place}", self.name)
    }

    /// Connects, logs in (or registers) and asks again for what was not answered. False if the
    /// server is gone before the last answer; then the rest stays to be asked.
    pub fn come_back(&mut self, address: SocketAddr, command: &str, channel: i64) -> bool {
        let Ok(tls) = Tls::try_connect(address, tls::config()) else { return false };
        self.tls = Some(tls);
        let login = json!({"command": command, "uname": self.name, "passwd": self.name});
        let Some(answer) = self.ask(&login) else { return false };
        assert_eq!(answer["status"], 200, "{}: {answer}", self.name);
        self.uuid = answer["uuid"].as_i64().unwrap();

        let said = &mut self.said;
        self.unanswered.retain(|asked| match asked {
            // Not asked again: it could be there already.
            Asked::Send(place) if !said[*place].has_nonce => {
                said[*place].fate = Fate::Unknown;
                false
            }
            Asked::Send(_) | Asked::Edit(..) | Asked::Delete(_) | Asked::Mark(_) => true,
        });
        // Each message twice: both answers must give the same uuid.
        let mut requests = String::new();
        for asked in &self.unanswered {
            requests += &self.request(asked, channel);
            if matches!(asked, Asked::Send(_)) {
                requests += &self.request(asked, channel);
            }
        }
        if !self.write(&requests) {
            return false;
        }
        while let Some(first) = self.unanswered.front() {
            let is_send = matches!(first, Asked::Send(_));
            let Some(answer) = self.receive() else { return false };
            if is_send {
                let Some(again) = self.receive() else { return false };
                assert_eq!(answer, again, "{}: one nonce, two messages", self.name);
                self.counts.retried += 1;
            }
            self.enter(&answer, true);
        }
        true
    }

    /// Asks as fast as it is answered, until the server is gone; then reads what it still said.
    pub fn storm(&mut self, channel: i64) {
        let window = self.chance.pick(&[1, 4, 16, 32]);
        let mut is_connected = true;
        while is_connected {
            let mut requests = String::new();
            while self.unanswered.len() < window {
                let asked = self.invent();
                requests += &self.request(&asked, channel);
                self.unanswered.push_back(asked);
            }
            is_connected = self.write(&requests) && self.receive_and_enter();
        }
        while self.receive_and_enter() {}
        self.tls = None;
    }

    fn receive_and_enter(&mut self) -> bool {
        let answer = self.receive();
        if let Some(answer) = &answer {
            self.enter(answer, false);
        }
        answer.is_some()
    }

    /// Something to ask for: mostly that a message be stored.
    fn invent(&mut self) -> Asked {
        let place = self.chance.below(self.said.len().max(1));
        let is_stored = self.said.get(place).is_some_and(|m| matches!(m.fate, Fate::Stored(_)));
        match self.chance.below(100) {
            0..6 if is_stored => {
                let content = format!("{} {place} edited {}", self.name, self.chance.below(1000));
                Asked::Edit(place, content)
            }
            6..10 if is_stored && !self.said[place].is_marked => {
                let Fate::Stored(uuid) = self.said[place].fate else { unreachable!() };
                self.said[place].fate = Fate::Doomed(uuid);
                Asked::Delete(place)
            }
            10..13 if is_stored => {
                self.said[place].is_marked = true;
                Asked::Mark(place)
            }
            _ => {
                let place = self.said.len();
                // Now and then one of several pages.
                let bytes = if self.chance.percent(2) { 12_000 } else { self.chance.below(200) };
                let content = format!("{} {place} {}", self.name, "x".repeat(bytes));
                let has_nonce = self.chance.percent(90);
                self.said.push(Said { content, fate: Fate::Open, has_nonce, is_marked: false });
                Asked::Send(place)
            }
        }
    }

    fn request(&self, asked: &Asked, channel: i64) -> String {
        let uuid = |place: usize| match self.said[place].fate {
            Fate::Stored(uuid) | Fate::Doomed(uuid) => uuid,
            fate => panic!("{}: {place} is {fate:?} and to be changed", self.name),
        };
        let mut request = match asked {
            Asked::Send(place) => {
                let content = &self.said[*place].content;
                json!({"command": "send", "channel": channel, "content": content})
            }
            Asked::Edit(place, content) => {
                json!({"command": "edit", "message": uuid(*place), "new_content": content})
            }
            Asked::Delete(place) => json!({"command": "delete", "message": uuid(*place)}),
            Asked::Mark(place) => json!({"command": "mark_as_read", "message": uuid(*place)}),
        };
        if let Asked::Send(place) = asked {
            if self.said[*place].has_nonce {
                request["nonce"] = self.nonce(*place).into();
            }
        }
        format!("{request}\n")
    }

    /// Notes the answer to the oldest request. One that is asked again may find that its message
    /// was deleted before the kill.
    fn enter(&mut self, answer: &Value, is_again: bool) {
        let asked = self.unanswered.pop_front().expect("an answer to nothing");
        let (command, place) = match &asked {
            Asked::Send(place) => ("send", *place),
            Asked::Edit(place, _) => ("edit", *place),
            Asked::Delete(place) => ("delete", *place),
            Asked::Mark(place) => ("mark_as_read", *place),
        };
        assert_eq!(answer["command"], command, "{}: {answer}", self.name);
        let said = &mut self.said[place];
        let may_be_gone = is_again && matches!(said.fate, Fate::Doomed(_));
        let is_done = answer["status"] == 200 || may_be_gone && answer["status"] == 404;
        assert!(is_done, "{}: {place}: {answer}", self.name);
        match asked {
            Asked::Send(_) => {
                said.fate = Fate::Stored(answer["message"].as_i64().unwrap());
                self.counts.messages += 1;
            }
            Asked::Edit(_, content) => {
                said.content = content;
                self.counts.edits += 1;
            }
            Asked::Delete(_) => {
                let Fate::Doomed(uuid) = said.fate else { panic!("not to be deleted") };
                said.fate = Fate::Deleted(uuid);
                self.counts.deletions += 1;
            }
            Asked::Mark(_) => {
                let Fate::Stored(uuid) = said.fate else { panic!("not to be marked") };
                self.mark = Some(uuid);
                self.counts.marks += 1;
            }
        }
    }

    /// The response to a request, or `None` if the server is gone.
    pub fn ask(&mut self, request: &Value) -> Option<Value> {
        self.write(&format!("{request}\n")).then(|| self.receive())?
    }

    fn write(&mut self, text: &str) -> bool {
        self.tls.as_mut().unwrap().try_write(text.as_bytes()).is_ok()
    }

    /// The next response, or `None` if the server is gone.
    fn receive(&mut self) -> Option<Value> {
        loop {
            let line = match self.tls.as_mut().unwrap().take_until(b"\n") {
                Ok(line) => line?,
                Err(problem) => panic!("{}: {problem}", self.name),
            };
            if let Some(rest) = line.strip_prefix(TOLD) {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
                self.told.push(digits.fold(0, |uuid, digit| uuid * 10 + i64::from(digit - b'0')));
                continue;
            }
            let packet: Value = serde_json::from_slice(&line).unwrap();
            let command = packet["command"].as_str().unwrap();
            if command != "API_version" && !EVENTS.contains(&command) {
                return Some(packet);
            }
        }
    }
}
