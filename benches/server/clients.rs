//! The clients: any number of TLS connections, held by one thread with epoll.
//!
//! *Order:* the first client to have a message holds it against what its sender has to say
//! next; every other must then have the same bytes in the same place. So a message lost,
//! doubled, changed or out of order, at any client, ends the bench with an error.
//!
//! *Cost:* what is measured is the server, so the way of a delivery is short: its share of
//! one `recv` and one decryption, and one comparison.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::retry_on_intr;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Outcome;
use crate::server::{CHANNEL, Server};

/// Messages that the slowest client may be behind before the senders pause. It binds only
/// while this program is the slower side, and then keeps the server from closing clients
/// that do not read: so many are about half a MiB, within its 4 MiB for each.
const BEHIND_MESSAGES_MAX: u64 = 2048;

/// Logins under way at a time: fewer than any listen backlog holds.
const LOGINS_AT_ONCE: usize = 32;

/// How long the last of what is due may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The password that every member takes at the first login.
pub(crate) const PASSWORD: &str = "open sesame";

/// A connection on which one waits.
pub(crate) type Blocking = StreamOwned<ClientConnection, TcpStream>;

/// The name of client `index`'s member.
pub(crate) fn member_name(index: usize) -> String {
    format!("member {index}")
}

/// A request to log in as the member of client `index`.
pub(crate) fn login_request(index: usize, password: &str) -> String {
    let uname = member_name(index);
    format!(r#"{{"command":"login","passwd":"{password}","uname":"{uname}"}}{}"#, '\n')
}

/// Reads until the answer to a command has come; the line that it is.
pub(crate) fn read_answer(connection: &mut Blocking, command: &str) -> Outcome<String> {
    let (mark, mut line) = (format!(r#""command":"{command}""#), Vec::new());
    let mut byte = [0];
    loop {
        connection.read_exact(&mut byte)?;
        line.push(byte[0]);
        if byte == *b"\n" {
            let text = String::from_utf8(std::mem::take(&mut line))?;
            if text.contains(&mark) {
                return Ok(text);
            }
        }
    }
}

/// What sender `index` says as its message `number`: a line of chat.
pub(crate) fn message_text(index: usize, number: u32) -> String {
    format!("{index:04} {number:08} the kettle is on, would anybody like a cup?")
}

/// What was counted since the first client, and what all clients hear, in one order.
#[derive(Default)]
pub(crate) struct Tally {
    /// Messages that arrived at a client, the senders' own copies included.
    pub(crate) deliveries: u64,
    /// From each send to its answer, or to each delivery, until somebody clears them.
    pub(crate) latencies_ms: Vec<f64>,
    /// Whether each delivery is timed, in place of the answers.
    pub(crate) times_deliveries: bool,
    /// Whether senders have paused for [`BEHIND_MESSAGES_MAX`] since the row's start.
    pub(crate) held: bool,
    /// Bytes of the last request and its line end, before TLS.
    pub(crate) request_bytes: usize,
    /// Bytes of the last event and its line end, before TLS.
    pub(crate) event_bytes: usize,
    /// Sends that were answered.
    pub(crate) acknowledged: u64,
    logins: usize,
    sent: u64,
    /// Events that not everyone has had.
    open: VecDeque<Open>,
    /// When messages were sent, by their sender and number, if deliveries are timed.
    sent_at: HashMap<(usize, u32), Instant>,
    /// How many came before those.
    heard_by_all: u64,
    /// Of each client, the number of the message of theirs that must come next.
    next_numbers: Vec<u32>,
    /// Over the texts of all messages.
    hasher: DefaultHasher,
}

/// An event that not everyone has had.
struct Open {
    /// As the first to have it did.
    event: Vec<u8>,
    /// How many clients are to have it.
    missing: usize,
    sent_at: Option<Instant>,
}

/// All clients. Owned by the one thread of the bench.
pub(crate) struct Clients {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Those who logged in and never read.
    deaf: Vec<Blocking>,
    /// The first of the clients are this row's senders.
    sender_count: usize,
    window: usize,
    ciphertext: Vec<u8>,
    /// What was counted.
    pub(crate) tally: Tally,
}

struct Client {
    socket: TcpStream,
    tls: ClientConnection,
    /// What was decrypted and not yet read: the beginning of a line.
    inbox: Vec<u8>,
    /// How many messages it has had, or were said before it came.
    heard: u64,
    /// The number of its next message.
    next_number: u32,
    /// When the requests were sent whose answers have not come.
    unanswered: VecDeque<Instant>,
}

impl Clients {
    /// No client yet.
    pub(crate) fn new(server: &Server) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(server.certificate_file())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            address: server.address,
            config: Arc::new(config),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            deaf: Vec::new(),
            sender_count: 0,
            window: 0,
            ciphertext: vec![0; 256 << 10],
            tally: Tally::default(),
        })
    }

    /// Connects and logs in until there are at least `count` clients, each a member of its
    /// own. The row before must be finished. How many there are.
    pub(crate) fn grow_to(&mut self, count: usize) -> Outcome<usize> {
        while self.clients.len() < count {
            for _ in 0..LOGINS_AT_ONCE.min(count - self.clients.len()) {
                self.connect()?;
            }
            self.turn_until_none("logins", |all| (all.clients.len() - all.tally.logins) as u64)?;
        }
        Ok(self.clients.len())
    }

    /// Has so many more connections of the first client's member, which never read: `count` of
    /// them, in place of those there were.
    pub(crate) fn renew_deaf(&mut self, count: usize) -> Outcome<()> {
        self.deaf.clear();
        for _ in 0..count {
            let mut deaf = self.open()?;
            deaf.write_all(login_request(0, PASSWORD).as_bytes())?;
            read_answer(&mut deaf, "login")?;
            set_socket_recv_buffer_size(&deaf.sock, 1)?;
            self.deaf.push(deaf);
            // So that the others' connections do not fill up meanwhile.
            self.turn()?;
        }
        Ok(())
    }

    /// One more connection, for somebody who waits for what it says.
    pub(crate) fn open(&self) -> Outcome<Blocking> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(self.config.clone(), self.address.ip().into())?;
        Ok(StreamOwned::new(tls, socket))
    }

    /// Lets the first `sender_count` clients send, each with `window` requests ahead of their
    /// answers.
    pub(crate) fn start(&mut self, sender_count: usize, window: usize) {
        (self.sender_count, self.window, self.tally.held) = (sender_count, window, false);
    }

    /// Goes on for `duration`.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Outcome<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Lets the senders send no more, and waits until every client has every message.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        self.window = 0;
        self.turn_until_none("answers", |all| all.tally.sent - all.tally.acknowledged)?;
        self.turn_until_none("messages", |all| all.tally.sent - all.tally.heard_by_all)?;
        // One that is doubled could come after the last.
        self.run_for(Duration::from_millis(100))
    }

    /// The texts of all messages that were delivered, in their order, as one number.
    pub(crate) fn hash_heard_messages(&self) -> u64 {
        self.tally.hasher.finish()
    }

    fn turn_until_none(&mut self, what: &str, missing: impl Fn(&Self) -> u64) -> Outcome<()> {
        let start = Instant::now();
        while missing(self) > 0 {
            if start.elapsed() > PATIENCE {
                return Err(format!("lost: {} {what} do not come", missing(self)).into());
            }
            self.turn()?;
        }
        Ok(())
    }

    fn connect(&mut self) -> Outcome<()> {
        let index = self.clients.len();
        let socket = TcpStream::connect(self.address)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
        let mut tls = ClientConnection::new(self.config.clone(), self.address.ip().into())?;
        // Any password will do the first time. rustls keeps this until the handshake is done.
        tls.writer().write_all(login_request(index, PASSWORD).as_bytes())?;
        let (heard, inbox, unanswered) = (self.tally.heard_by_all, Vec::new(), VecDeque::new());
        let mut client = Client { socket, tls, inbox, heard, next_number: 0, unanswered };
        client.flush()?;
        self.clients.push(client);
        self.tally.next_numbers.push(0);
        Ok(())
    }

    /// Fills the senders' windows, waits a moment for sockets, and reads what came.
    fn turn(&mut self) -> Outcome<()> {
        for sender in 0..self.sender_count {
            self.fill_window(sender)?;
        }
        let nothing =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        // Few at a time, so that no sender waits long while hundreds of receivers are read.
        let mut ready = [nothing; 32];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let count = retry_on_intr(|| epoll::wait(&self.epoll, &mut ready, Some(&timeout)))?;
        for &epoll::Event { data, .. } in &ready[..count] {
            let index = data.u64() as usize;
            self.clients[index]
                .read(&mut self.ciphertext, &mut self.tally)
                .map_err(|error| format!("{}: {error}", member_name(index)))?;
        }
        Ok(())
    }

    /// Sends as many requests as the window of one sender has room for, in one write.
    fn fill_window(&mut self, index: usize) -> Outcome<()> {
        let (tally, sender) = (&mut self.tally, &mut self.clients[index]);
        while sender.unanswered.len() < self.window {
            if tally.sent - tally.heard_by_all > BEHIND_MESSAGES_MAX {
                tally.held = true;
                break;
            }
            let text = message_text(index, sender.next_number);
            let request =
                format!(r#"{{"command":"send","channel":{CHANNEL},"content":"{text}"}}{}"#, '\n');
            sender.tls.writer().write_all(request.as_bytes())?;
            sender.next_number += 1;
            sender.unanswered.push_back(Instant::now());
            if tally.times_deliveries {
                tally.sent_at.insert((index, sender.next_number - 1), Instant::now());
            }
            tally.request_bytes = request.len();
            tally.sent += 1;
        }
        Ok(sender.flush()?)
    }
}

impl Client {
    /// Reads once, and enters all whole lines.
    fn read(&mut self, buffer: &mut [u8], tally: &mut Tally) -> Outcome<()> {
        let count = self.socket.read(buffer)?;
        let mut ciphertext = &buffer[..count];
        if ciphertext.is_empty() {
            return Err("closed by the server".into());
        }
        while !ciphertext.is_empty() {
            self.tls.read_tls(&mut ciphertext)?;
            self.tls.process_new_packets()?;
            match self.tls.reader().read_to_end(&mut self.inbox) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Err("close_notify from the server".into()),
            }
        }
        self.flush()?;

        let mut taken = 0;
        loop {
            let rest = &self.inbox[taken..];
            if let Some(event_bytes) = tally.enter_delivery(self.heard, rest) {
                self.heard += 1;
                taken += event_bytes;
                continue;
            }
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
            let line = &rest[..=end];
            if find(line, br#""status":200"#).is_none() {
                return Err(format!("refused: {}", line.escape_ascii()).into());
            }
            if find(line, br#""command":"content""#).is_some() {
                tally.enter_message(self.heard, line)?;
                continue; // It is delivered the next time round.
            } else if find(line, br#""command":"send""#).is_some() {
                let sent_at = self.unanswered.pop_front().ok_or("an answer to nothing")?;
                if !tally.times_deliveries {
                    tally.latencies_ms.push(sent_at.elapsed().as_secs_f64() * 1e3);
                }
                tally.acknowledged += 1;
            } else if find(line, br#""command":"login""#).is_some() {
                tally.logins += 1;
            }
            taken += line.len();
        }
        self.inbox.drain(..taken);
        Ok(())
    }

    /// Writes what rustls has. What the socket does not take goes another time.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                written => written?,
            };
        }
        Ok(())
    }
}

impl Tally {
    /// Enters that one more client had the message in this place, if `bytes` begin with its
    /// event. The event's length.
    fn enter_delivery(&mut self, place: u64, bytes: &[u8]) -> Option<usize> {
        let open = self.open.get_mut((place - self.heard_by_all) as usize)?;
        let event_bytes = bytes.starts_with(&open.event).then_some(open.event.len())?;
        open.missing -= 1;
        if let Some(sent_at) = open.sent_at {
            self.latencies_ms.push(sent_at.elapsed().as_secs_f64() * 1e3);
        }
        self.deliveries += 1;
        while self.open.front().is_some_and(|open| open.missing == 0) {
            self.open.pop_front();
            self.heard_by_all += 1;
        }
        Some(event_bytes)
    }

    /// Enters an event that nobody has had. It must be what its sender has to say next.
    fn enter_message(&mut self, place: u64, event: &[u8]) -> Outcome<()> {
        let wrong = || format!("lost, doubled, changed or out of order: {}", event.escape_ascii());
        let text = std::str::from_utf8(event)?.split_once(r#""content":""#).ok_or_else(wrong)?.1;
        let text = text.split('"').next().unwrap_or_default();
        let sender: usize = text.split(' ').next().unwrap_or_default().parse()?;
        let number = self.next_numbers.get_mut(sender).ok_or_else(wrong)?;
        let is_next = place == self.heard_by_all + self.open.len() as u64;
        if !is_next || text != message_text(sender, *number) {
            return Err(wrong().into());
        }
        let sent_at = self.sent_at.remove(&(sender, *number));
        *number += 1;
        self.event_bytes = event.len();
        self.hasher.write(text.as_bytes());
        let missing = self.next_numbers.len();
        self.open.push_back(Open { event: event.to_vec(), missing, sent_at });
        Ok(())
    }
}

fn find(line: &[u8], what: &[u8]) -> Option<usize> {
    line.windows(what.len()).position(|window| window == what)
}
