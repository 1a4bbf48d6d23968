//! The clients: any number of TLS connections, held by one thread with epoll.
//!
//! *Cost:* what is measured is the server, so the way of a delivery is short: its share of
//! one `recv`, one decryption, and one comparison. Senders come first, so that no server waits
//! for its next request while hundreds of receivers are read, which elsewhere are other machines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::retry_on_intr;
use rustix::net::RecvFlags;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::dialect::Dialect;
use crate::server::Server;
use crate::stream::Stream;
use crate::tally::{Hearing, Tally};
use crate::{Outcome, machine};

/// Messages that the slowest client may be behind before the senders pause. It binds only
/// while this program is the slower side, and then keeps the server from closing clients
/// that do not read: so many are about half a MiB, within its 4 MiB for each.
const BEHIND_MESSAGES_MAX: u64 = 2048;

/// Logins under way at a time: fewer than any listen backlog holds, and that of ngircd holds ten.
const LOGINS_AT_ONCE: usize = 8;

/// How long the last of what is due may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read from one socket at once, at most.
const READ_BYTES: usize = 256 << 10;
/// Sockets that are read before the senders' are looked at again.
const READS_AT_ONCE: usize = 64;
/// How long one waits for sockets before one looks at the time again.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// In place of a client's index: the senders.
const SENDERS: u64 = u64::MAX;

/// The password that every member takes at the first login.
pub(crate) const PASSWORD: &str = "open sesame";

/// A connection on which one waits.
pub(crate) type Blocking = StreamOwned<ClientConnection, TcpStream>;

/// The name of client `index`'s member.
pub(crate) fn member_name(index: usize) -> String {
    format!("member {index}")
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

/// All clients. Owned by the one thread of the bench.
pub(crate) struct Clients {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    dialect: Dialect,
    /// All but this row's senders, and whether any of these has something to read.
    epoll: OwnedFd,
    /// This row's senders.
    senders_epoll: OwnedFd,
    clients: Vec<Client>,
    /// Those who logged in and never read.
    deaf: Vec<Blocking>,
    /// The first of the clients are this row's senders.
    sender_count: usize,
    window: usize,
    /// Whether clients are sent what others say.
    hears: bool,
    ciphertext: Vec<u8>,
    /// How many messages everybody has had, for somebody else to see.
    progress: Arc<AtomicU64>,
    /// Whether it never sleeps, for it has a core to itself.
    is_awake: bool,
    /// How long there was nothing to do.
    pub(crate) idle: Duration,
    /// What was counted.
    pub(crate) tally: Tally,
}

struct Client {
    stream: Stream<UnbufferedClientConnection>,
    hearing: Hearing,
    /// The number of its next message.
    next_number: u32,
}

/// TLS as clients of a server with this certificate have it. None takes up an earlier connection's keys.
pub(crate) fn trust_only(certificate: &Path) -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

impl Clients {
    /// No client yet. Those that come log in by a password.
    pub(crate) fn new(server: &Server) -> Outcome<Self> {
        Self::of(server.address, &server.certificate_file(), Dialect::Password)
    }

    /// No client yet. Those that come log in by the sessions that a community has.
    pub(crate) fn with_sessions(server: &Server) -> Outcome<Self> {
        Self::of(server.address, &server.certificate_file(), Dialect::Token)
    }

    /// No client yet, of whoever listens there.
    pub(crate) fn of(address: SocketAddr, certificate: &Path, dialect: Dialect) -> Outcome<Self> {
        let create = || epoll::create(epoll::CreateFlags::CLOEXEC);
        let (epoll, senders_epoll) = (create()?, create()?);
        let senders = epoll::EventData::new_u64(SENDERS);
        epoll::add(&epoll, &senders_epoll, senders, epoll::EventFlags::IN)?;
        Ok(Self {
            address,
            config: trust_only(certificate)?,
            dialect,
            epoll,
            senders_epoll,
            clients: Vec::new(),
            deaf: Vec::new(),
            sender_count: 0,
            window: 0,
            hears: true,
            ciphertext: vec![0; READ_BYTES],
            progress: Arc::default(),
            is_awake: machine::has_own_core(),
            idle: Duration::ZERO,
            tally: Tally::default(),
        })
    }

    /// How many messages everybody has had, for another thread.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        self.progress.clone()
    }

    /// Connects and logs in until there are at least `count` clients, each a member of its
    /// own. The row before must be finished. How many there are.
    pub(crate) fn grow_to(&mut self, count: usize) -> Outcome<usize> {
        self.start(0, 0)?;
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
            deaf.write_all(self.dialect.login_request(0).as_bytes())?;
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
    /// answers. The load before must be finished.
    pub(crate) fn start(&mut self, sender_count: usize, window: usize) -> Outcome<()> {
        let has_echo = self.dialect.has_echo();
        for (index, client) in self.clients.iter_mut().enumerate() {
            let (is, was) = (index < sender_count, index < self.sender_count);
            let (to, from) = match is {
                true => (&self.senders_epoll, &self.epoll),
                false => (&self.epoll, &self.senders_epoll),
            };
            if is != was {
                epoll::delete(from, &client.stream.socket)?;
                watch(to, client, index)?;
                client.hearing.renew(is && !has_echo, &self.tally);
            }
        }
        self.tally.listeners = self.clients.len() - if has_echo { 0 } else { sender_count };
        (self.sender_count, self.window) = (sender_count, window);
        Ok(())
    }

    /// Goes on for `duration`.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Outcome<()> {
        let end = Instant::now() + duration;
        self.run_until(|| Instant::now() >= end)
    }

    /// Goes on until it is over.
    pub(crate) fn run_until(&mut self, is_over: impl Fn() -> bool) -> Outcome<()> {
        while !is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// Goes on until it is over, while the first client, the one sender, says something each
    /// `interval`, whether the last was answered or not.
    pub(crate) fn run_paced(
        &mut self,
        interval: Duration,
        is_over: impl Fn() -> bool,
    ) -> Outcome<()> {
        let mut next = Instant::now();
        while !is_over() {
            if Instant::now() >= next {
                self.say(0, 1)?;
                next += interval;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// From here on nobody may hear anything.
    pub(crate) fn hear_nothing(&mut self) {
        self.hears = false;
    }

    /// Lets the senders send no more, and waits until every client has every message.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        self.window = 0;
        self.turn_until_none("answers", |all| all.tally.sent - all.tally.acknowledged)?;
        match (self.hears, self.tally.deliveries) {
            (true, _) => self.await_all(self.tally.sent),
            (false, 0) => Ok(()),
            (false, _) => Err("somebody heard what nobody may read".into()),
        }
    }

    /// Waits until every client has had so many messages since the first.
    pub(crate) fn await_all(&mut self, sent: u64) -> Outcome<()> {
        self.turn_until_none("messages", |all| sent.saturating_sub(all.tally.heard_by_all))?;
        self.turn_until_none("messages to senders", |all| all.tally.owed_to_senders)?;
        // One that is doubled could come after the last.
        self.run_for(Duration::from_millis(100))
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
        let mut stream = Stream::connect(self.address, &self.config)?;
        // The stream keeps this until the handshake is done.
        stream.write(self.dialect.login_request(index).as_bytes());
        let hearing = Hearing::new(&mut self.tally);
        let client = Client { stream, hearing, next_number: 0 };
        watch(&self.epoll, &client, index)?;
        self.clients.push(client);
        Ok(())
    }

    /// Fills the senders' windows, waits a moment for sockets, and reads what came.
    fn turn(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        for sender in 0..self.sender_count {
            let room = self.window.saturating_sub(self.clients[sender].hearing.unanswered.len());
            let is_behind =
                self.hears && self.tally.sent - self.tally.heard_by_all > BEHIND_MESSAGES_MAX;
            if room > 0 && !is_behind {
                self.say(sender, room)?;
            }
        }
        let mut ready = [nothing(); READS_AT_ONCE];
        let sender_count = wait(&self.senders_epoll, &mut ready, NO_WAIT)?;
        self.read(&ready[..sender_count])?;
        // A server that must wake somebody works for that; elsewhere it would not.
        let may_sleep = sender_count == 0 && !self.is_awake;
        let count = wait(&self.epoll, &mut ready, if may_sleep { WAIT } else { NO_WAIT })?;
        if may_sleep || sender_count + count == 0 {
            self.idle += begun.elapsed();
        }
        self.read(&ready[..count])?;
        self.progress.store(self.tally.heard_by_all, Ordering::Release);
        Ok(())
    }

    fn read(&mut self, ready: &[epoll::Event]) -> Outcome<()> {
        for &epoll::Event { data, .. } in ready {
            let index = data.u64() as usize;
            // The senders' turn comes.
            let Some(client) = self.clients.get_mut(index) else { continue };
            client
                .read(self.dialect, &mut self.ciphertext, &mut self.tally)
                .map_err(|error| format!("{}: {error}", member_name(index)))?;
        }
        Ok(())
    }

    /// Sends so many requests of one sender, in one write.
    fn say(&mut self, index: usize, count: usize) -> Outcome<()> {
        let (tally, sender) = (&mut self.tally, &mut self.clients[index]);
        let now = Instant::now();
        for _ in 0..count {
            let request = self.dialect.send_request(&message_text(index, sender.next_number));
            if let Some(bytes_max) = self.dialect.record_bytes_max()
                && sender.stream.plaintext_bytes() + request.len() > bytes_max
            {
                sender.stream.encrypt()?;
            }
            sender.stream.write(request.as_bytes());
            sender.next_number += 1;
            sender.hearing.unanswered.push_back(now);
            if self.hears {
                tally.said[index].push_back(now);
            }
            tally.request_bytes = request.len();
            tally.sent += 1;
            if !self.dialect.has_echo() {
                tally.owed_to_senders += self.sender_count as u64 - 1;
            }
        }
        sender.stream.flush()
    }
}

impl Client {
    /// Reads until the socket has nothing more, and enters all whole lines.
    fn read(&mut self, dialect: Dialect, buffer: &mut [u8], tally: &mut Tally) -> Outcome<()> {
        let was_ready = self.stream.is_ready;
        loop {
            let mut now = None;
            let count = self.stream.read(buffer, RecvFlags::DONTWAIT, |record| {
                let now = *now.get_or_insert_with(Instant::now);
                self.hearing.take(dialect, record, now, tally)
            })?;
            // Else there is nothing left: epoll tells when there is again.
            if count < READ_BYTES / 2 {
                break;
            }
        }
        if !was_ready && self.stream.is_ready {
            self.stream.flush()?;
            tally.logins += usize::from(dialect == Dialect::Bare);
        }
        Ok(())
    }
}

fn watch(epoll: &OwnedFd, client: &Client, index: usize) -> Outcome<()> {
    let data = epoll::EventData::new_u64(index as u64);
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    Ok(epoll::add(epoll, &client.stream.socket, data, flags)?)
}

fn wait(epoll: &OwnedFd, ready: &mut [epoll::Event], timeout: Timespec) -> Outcome<usize> {
    Ok(retry_on_intr(|| epoll::wait(epoll, &mut *ready, Some(&timeout)))?)
}

fn nothing() -> epoll::Event {
    epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }
}
