//! A crowd: clients that log in, ask what a client asks when it arrives, and listen. One thread
//! holds any number of them with epoll.
//!
//! *Order:* answers of one name must have the same length at every client, since all ask the same
//! (`online` tells who came meanwhile, and is no part of that); the first client's are kept whole,
//! to be looked at.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use rustls::{ClientConfig, ClientConnection};
use serde_json::Value;

use crate::Outcome;
use crate::clients::trust_only;
use crate::server::{CHANNEL, Server};

/// How long nobody may get anything that is due.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often clients come again that were closed before they had all, together. The server does that
/// when a handshake takes longer than 10 s, or somebody takes nothing of a large answer for 5 s
/// while others wait for room.
const RETURNS_MAX: usize = 10_000;
/// Of each line so much is kept: its name, status and label stand at its beginning.
const HEAD_BYTES: usize = 128;
/// What answers bear and events do not.
const LABEL: &str = r#""label":"asked""#;

/// What a client asks when it arrives: channels, members, who is there, the newest 100 messages.
pub(crate) fn arrival() -> Vec<String> {
    let ask = |fields: &str| format!("{{\"command\":{fields},{LABEL}}}\n");
    let history = format!(r#""history","channel":{CHANNEL},"num":100"#);
    let names = [r#""list_channels""#, r#""get_metadata""#, r#""online""#, &history];
    names.into_iter().map(ask).collect()
}

/// A request to log in by a token.
pub(crate) fn login_by_token(token: &str) -> String {
    format!("{{\"command\":\"login\",\"token\":\"{token}\",{LABEL}}}\n")
}

/// A request to log in by a password.
pub(crate) fn login_by_password(name: &str, password: &str) -> String {
    let fields = format!(r#""uname":"{name}","passwd":"{password}""#);
    format!("{{\"command\":\"login\",{fields},{LABEL}}}\n")
}

/// All of them. Owned by the one thread of the bench.
pub(crate) struct Crowd {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    epoll: OwnedFd,
    members: Vec<Member>,
    ciphertext: Vec<u8>,
    plaintext: Vec<u8>,
    notes: Notes,
}

/// What all of them have been told.
#[derive(Default)]
struct Notes {
    /// How many have everything that they asked for.
    satisfied: usize,
    /// How often one was closed before it had all, and came again.
    returns: usize,
    /// The length of each answer, by its command.
    lengths: HashMap<String, u64>,
    /// The first client's answers, by their commands.
    first: HashMap<String, Value>,
}

/// One client.
pub(crate) struct Member {
    socket: TcpStream,
    tls: ClientConnection,
    /// The beginning of a line that is not all there, or all of it at the first client.
    line: Vec<u8>,
    line_bytes: u64,
    login: String,
    /// What it asks once it has logged in.
    asks: Vec<String>,
    unanswered: usize,
    keeps_all: bool,
    /// What it was sent.
    pub(crate) heard: Heard,
}

/// Bytes that the server sent to one client.
#[derive(Clone, Copy, Default)]
pub(crate) struct Heard {
    /// As they came over the socket, the handshake among them.
    pub(crate) wire: u64,
    /// Answers, and the greeting, before TLS. So are those that follow.
    pub(crate) answers: u64,
    /// Of those, the answer to `online`.
    pub(crate) online_answer: u64,
    /// `online` events.
    pub(crate) online_events: u64,
    /// How many `online` events.
    pub(crate) online_event_count: u64,
    /// All other events.
    pub(crate) other_events: u64,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new(server: &Server) -> Outcome<Self> {
        Ok(Self {
            address: server.address,
            config: trust_only(&server.certificate_file())?,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            members: Vec::new(),
            ciphertext: vec![0; 256 << 10],
            plaintext: vec![0; 64 << 10],
            notes: Notes::default(),
        })
    }

    /// Connects one more client for each login, `at_once` of them under way at a time; each then
    /// asks for all of `asks` together. Waits until they have it.
    pub(crate) fn arrive(
        &mut self,
        logins: impl Iterator<Item = String>,
        asks: &[String],
        at_once: usize,
    ) -> Outcome<()> {
        for login in logins {
            self.connect(&login, asks)?;
            let waiting_max = at_once - 1;
            if self.members.len() - self.notes.satisfied > waiting_max {
                self.wait_for_all_but(waiting_max)?;
            }
        }
        self.wait_for_all_but(0)
    }

    /// Lets everybody ask, `at_once` at a time, and waits until they have it.
    pub(crate) fn ask(&mut self, asks: &[String], at_once: usize) -> Outcome<()> {
        for first in (0..self.members.len()).step_by(at_once) {
            let last = self.members.len().min(first + at_once);
            for member in &mut self.members[first..last] {
                member.ask(asks)?;
                self.notes.satisfied -= 1;
            }
            self.wait_for_all_but(0)?;
        }
        Ok(())
    }

    /// Goes on for `duration`.
    pub(crate) fn listen_for(&mut self, duration: Duration) -> Outcome<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// What each client was sent.
    pub(crate) fn heard(&self) -> impl Iterator<Item = Heard> {
        self.members.iter().map(|member| member.heard)
    }

    /// How often one was closed before it had all, and came again.
    pub(crate) fn returns(&self) -> usize {
        self.notes.returns
    }

    /// How many things the first client's answer to `command` lists.
    pub(crate) fn count_listed(&self, command: &str) -> usize {
        let data = self.notes.first.get(command).and_then(|answer| answer["data"].as_array());
        data.map_or(0, Vec::len)
    }

    fn connect(&mut self, login: &str, asks: &[String]) -> Outcome<()> {
        let index = self.members.len();
        let (socket, tls) = self.open(index, login)?;
        self.members.push(Member {
            socket,
            tls,
            line: Vec::new(),
            line_bytes: 0,
            login: login.to_owned(),
            asks: asks.to_vec(),
            unanswered: 1,
            keeps_all: index == 0,
            heard: Heard::default(),
        });
        Ok(())
    }

    /// A connection of client `index`, on its way, whose first request is `login`.
    fn open(&self, index: usize, login: &str) -> Outcome<(TcpStream, ClientConnection)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &self.address) {
            Err(Errno::INPROGRESS) => {}
            other => other?,
        }
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, data, flags)?;
        let mut tls = ClientConnection::new(self.config.clone(), self.address.ip().into())?;
        // rustls keeps this until the handshake is done.
        tls.writer().write_all(login.as_bytes())?;
        Ok((socket, tls))
    }

    fn wait_for_all_but(&mut self, count: usize) -> Outcome<()> {
        let (mut since, mut satisfied) = (Instant::now(), self.notes.satisfied);
        while self.members.len() - self.notes.satisfied > count {
            self.turn()?;
            if self.notes.satisfied != satisfied {
                (since, satisfied) = (Instant::now(), self.notes.satisfied);
            } else if since.elapsed() > PATIENCE {
                let missing = self.members.len() - satisfied;
                return Err(format!("{missing} clients do not get their answers").into());
            }
        }
        Ok(())
    }

    /// Waits a moment for sockets, and reads what came.
    fn turn(&mut self) -> Outcome<()> {
        let nothing =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut ready = [nothing; 64];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let count = retry_on_intr(|| epoll::wait(&self.epoll, &mut ready, Some(&timeout)))?;
        for &epoll::Event { data, .. } in &ready[..count] {
            let index = data.u64() as usize;
            let is_open = self.members[index]
                .read(&mut self.ciphertext, &mut self.plaintext, &mut self.notes)
                .map_err(|error| format!("client {index}: {error}"))?;
            if !is_open {
                self.come_again(index)?;
            }
        }
        Ok(())
    }

    /// Somebody was closed. Who does not have all yet does as everybody's client does.
    fn come_again(&mut self, index: usize) -> Outcome<()> {
        let member = &self.members[index];
        if member.unanswered == 0 || self.notes.returns == RETURNS_MAX {
            return Err(format!("client {index}: closed by the server").into());
        }
        let login = member.login.clone();
        self.notes.returns += 1;
        let (socket, tls) = self.open(index, &login)?;
        let member = &mut self.members[index];
        (member.socket, member.tls) = (socket, tls);
        (member.line, member.line_bytes, member.unanswered) = (Vec::new(), 0, 1);
        Ok(())
    }
}

impl Member {
    fn ask(&mut self, asks: &[String]) -> Outcome<()> {
        self.unanswered += asks.len();
        self.tls.writer().write_all(asks.concat().as_bytes())?;
        self.flush()
    }

    /// Reads all that is there. Whether the connection still stands.
    fn read(
        &mut self,
        buffer: &mut [u8],
        plaintext: &mut [u8],
        notes: &mut Notes,
    ) -> Outcome<bool> {
        loop {
            let mut ciphertext = match self.socket.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => &buffer[..count],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            self.heard.wire += ciphertext.len() as u64;
            while !ciphertext.is_empty() {
                self.tls.read_tls(&mut ciphertext)?;
                self.tls.process_new_packets()?;
                self.take_plaintext(plaintext, notes)?;
            }
        }
        self.flush()?;
        Ok(true)
    }

    fn take_plaintext(&mut self, buffer: &mut [u8], notes: &mut Notes) -> Outcome<()> {
        loop {
            let mut rest = match self.tls.reader().read(buffer) {
                Ok(0) => return Err("close_notify from the server".into()),
                Ok(count) => &buffer[..count],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            // Far faster than looking for its place, and most pieces of a long line have none.
            while rest.contains(&b'\n') {
                let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len() - 1);
                self.keep(&rest[..=end]);
                self.enter_line(notes)?;
                rest = &rest[end + 1..];
            }
            self.keep(rest);
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        self.line_bytes += piece.len() as u64;
        let room =
            if self.keeps_all { piece.len() } else { HEAD_BYTES.saturating_sub(self.line.len()) };
        self.line.extend_from_slice(&piece[..room.min(piece.len())]);
    }

    fn enter_line(&mut self, notes: &mut Notes) -> Outcome<()> {
        let (line, bytes) = (std::mem::take(&mut self.line), std::mem::take(&mut self.line_bytes));
        let head = String::from_utf8_lossy(&line[..line.len().min(HEAD_BYTES)]).into_owned();
        let name = head.split('"').nth(3).unwrap_or_default();
        if !head.contains(r#""status":200"#) {
            return Err(format!("refused: {head}").into());
        }
        if !head.contains(LABEL) {
            match name {
                "API_version" => self.heard.answers += bytes,
                "online" => {
                    self.heard.online_events += bytes;
                    self.heard.online_event_count += 1;
                }
                _ => self.heard.other_events += bytes,
            }
            return Ok(());
        }
        self.heard.answers += bytes;
        match name {
            "login" => {
                let asks = self.asks.clone();
                self.ask(&asks)?;
            }
            "online" => self.heard.online_answer = bytes,
            _ => {
                let known = *notes.lengths.entry(name.to_owned()).or_insert(bytes);
                if known != bytes {
                    return Err(format!("{name}: {bytes} bytes, where others had {known}").into());
                }
            }
        }
        if self.keeps_all {
            notes.first.insert(name.to_owned(), serde_json::from_slice(&line)?);
        }
        self.unanswered = self.unanswered.checked_sub(1).ok_or("an answer to nothing")?;
        notes.satisfied += usize::from(self.unanswered == 0);
        Ok(())
    }

    /// Writes what rustls has. What the socket does not take goes when it can.
    fn flush(&mut self) -> Outcome<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                written => written?,
            };
        }
        Ok(())
    }
}
