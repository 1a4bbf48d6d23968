//! The clients: any number of TLS connections, held by one thread with epoll.
//!
//! *Order:* every message carries its sender's number and a sequence number. Each client
//! expects each sender's next one, so that a message lost, doubled or out of order ends
//! the bench with an error.
//!
//! *Cost:* what is measured is the server, so the way of a delivery is short: one `recv`,
//! one decryption, and a look at the place where the last delivery had its numbers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::retry_on_intr;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::Outcome;
use crate::server::{CHANNEL, member_name};

/// What the text of every message begins with. After it come four digits of the sender's
/// number, eight of the sequence number, and the rest, with a space before each.
const MARK: &[u8] = b"bench";
const REST: &str = "the kettle is on, would anybody like a cup?";

/// Bytes of every message's text: a line of chat.
pub(crate) const CONTENT_BYTES: usize = MARK.len() + " 0000 00000000 ".len() + REST.len();

/// Messages that may be on their way to all clients before the senders pause. It binds only
/// while this program is the slower side, and then keeps the server from closing clients
/// that do not read: so many are about half a MiB for each client, within its 4 MiB.
const UNDELIVERED_MESSAGES_MAX: u64 = 2048;

/// Logins under way at a time: fewer than any listen backlog holds.
const LOGINS_AT_ONCE: usize = 32;

/// How long nothing may come of what is due before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was counted since the first client; a round is the difference of two readings.
#[derive(Default)]
pub(crate) struct Tally {
    /// Sends answered 200.
    pub(crate) acknowledged: u64,
    /// Messages that arrived at a client, the senders' own copies included.
    pub(crate) deliveries: u64,
    /// Microseconds from each send to its answer, until somebody clears them.
    pub(crate) latencies_us: Vec<u32>,
    /// Whether senders have paused for [`UNDELIVERED_MESSAGES_MAX`] since the row's start.
    pub(crate) held: bool,
    /// Bytes of the last request and its line end, before TLS.
    pub(crate) request_bytes: usize,
    /// Bytes of the last event that was searched for [`MARK`], and where it stood.
    pub(crate) event_bytes: usize,
    mark_at: usize,
    logins: usize,
    sent: u64,
    /// What `deliveries` comes to once every client has every message.
    deliveries_due: u64,
}

/// All clients. Owned by the one thread of the bench.
pub(crate) struct Clients {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// The first of the clients are this row's senders.
    sender_count: usize,
    window: usize,
    ciphertext: Vec<u8>,
    requests: String,
    /// What was counted.
    pub(crate) tally: Tally,
}

struct Client {
    socket: TcpStream,
    tls: ClientConnection,
    /// The beginning of a line whose rest has not arrived.
    partial: Vec<u8>,
    ledger: Ledger,
}

/// What one client has had and is owed.
#[derive(Default)]
struct Ledger {
    /// For each sender, the sequence number that must come next.
    expected: Vec<u32>,
    /// When the requests were sent whose answers have not come.
    unanswered: VecDeque<Instant>,
    /// The sequence number of this client's next send.
    next_send: u32,
}

impl Clients {
    /// No client yet.
    pub(crate) fn new(address: SocketAddr) -> Outcome<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            address,
            config: Arc::new(config),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            sender_count: 0,
            window: 0,
            ciphertext: vec![0; 256 << 10],
            requests: String::new(),
            tally: Tally::default(),
        })
    }

    /// Connects and logs in until there are `count` clients, each a member of its own.
    pub(crate) fn grow_to(&mut self, count: usize) -> Outcome<()> {
        self.turn_until(|clients| {
            while clients.clients.len() < count.min(clients.tally.logins + LOGINS_AT_ONCE) {
                clients.connect()?;
            }
            Ok((count.saturating_sub(clients.tally.logins) as u64, "logins"))
        })
    }

    /// Lets the first `sender_count` clients send, each with `window` requests ahead of their
    /// answers. The row before must be finished.
    pub(crate) fn start(&mut self, sender_count: usize, window: usize) {
        let senders = self.clients[..sender_count].iter();
        let expected: Vec<u32> = senders.map(|sender| sender.ledger.next_send).collect();
        for client in &mut self.clients {
            client.ledger.expected.clone_from(&expected);
        }
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
        self.turn_until(|Self { tally, .. }| match tally.sent - tally.acknowledged {
            0 => Ok((tally.deliveries_due - tally.deliveries, "deliveries")),
            unanswered => Ok((unanswered, "answers")),
        })?;
        // One that is doubled could come after the last.
        self.run_for(Duration::from_millis(100))
    }

    /// Goes on while `missing` says that something is; an error once nothing more comes.
    fn turn_until(
        &mut self,
        mut missing: impl FnMut(&mut Self) -> Outcome<(u64, &'static str)>,
    ) -> Outcome<()> {
        let (mut last, mut since) = ((0, ""), Instant::now());
        loop {
            let now = missing(self)?;
            if now.0 == 0 {
                return Ok(());
            }
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Err(format!("lost: {} {} do not come", now.0, now.1).into());
            }
            self.turn()?;
        }
    }

    fn connect(&mut self) -> Outcome<()> {
        use epoll::EventFlags as Flags;
        let index = self.clients.len();
        let socket = TcpStream::connect(self.address)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(index as u64), flags)?;
        let mut tls = ClientConnection::new(self.config.clone(), self.address.ip().into())?;
        tls.set_buffer_limit(None);
        // Any password will do the first time. rustls keeps this until the handshake is done.
        let login = r#"{"command":"login","passwd":"open sesame","uname":""#;
        writeln!(tls.writer(), r#"{login}{}"}}"#, member_name(index))?;
        let mut client = Client { socket, tls, partial: Vec::new(), ledger: Ledger::default() };
        client.flush()?;
        self.clients.push(client);
        Ok(())
    }

    /// Fills the senders' windows, waits a moment for sockets, and reads what came.
    fn turn(&mut self) -> Outcome<()> {
        let nothing =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        // Few at a time, so that no sender waits long while hundreds of receivers are read.
        let mut ready = [nothing; 32];
        for sender in 0..self.sender_count {
            self.fill_window(sender)?;
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let count = retry_on_intr(|| epoll::wait(&self.epoll, &mut ready, Some(&timeout)))?;
        for &epoll::Event { flags, data } in &ready[..count] {
            let index = data.u64() as usize;
            let hung_up = flags.contains(epoll::EventFlags::RDHUP);
            self.clients[index]
                .read(&mut self.ciphertext, &mut self.tally, hung_up)
                .map_err(|error| format!("{}: {error}", member_name(index)))?;
        }
        Ok(())
    }

    /// Sends as many requests as the window of one sender has room for, in one write.
    fn fill_window(&mut self, index: usize) -> Outcome<()> {
        let count = self.clients.len() as u64;
        let (tally, sender) = (&mut self.tally, &mut self.clients[index]);
        self.requests.clear();
        while sender.ledger.unanswered.len() < self.window {
            if tally.deliveries_due - tally.deliveries > count * UNDELIVERED_MESSAGES_MAX {
                tally.held = true;
                break;
            }
            let before = self.requests.len();
            writeln!(
                self.requests,
                r#"{{"command":"send","channel":{CHANNEL},"content":"bench {index:04} {:08} {REST}"}}"#,
                sender.ledger.next_send
            )?;
            sender.ledger.next_send += 1;
            sender.ledger.unanswered.push_back(Instant::now());
            tally.request_bytes = self.requests.len() - before;
            tally.sent += 1;
            tally.deliveries_due += count;
        }
        if !self.requests.is_empty() {
            sender.tls.writer().write_all(self.requests.as_bytes())?;
            sender.flush()?;
        }
        Ok(())
    }
}

impl Client {
    /// Reads until the socket is empty, or closed if it `hung_up`.
    fn read(&mut self, buffer: &mut [u8], tally: &mut Tally, hung_up: bool) -> Outcome<()> {
        self.flush()?;
        loop {
            let count = match self.socket.read(buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut ciphertext = &buffer[..count];
            while !ciphertext.is_empty() {
                self.tls.read_tls(&mut ciphertext)?;
                self.tls.process_new_packets()?;
                self.read_plaintext(tally)?;
            }
            self.flush()?;
            // Less than asked for: the socket is empty, and epoll tells of what comes next.
            if count < buffer.len() && !hung_up {
                return Ok(());
            }
        }
    }

    fn read_plaintext(&mut self, tally: &mut Tally) -> Outcome<()> {
        loop {
            let mut reader = self.tls.reader();
            let plaintext = match reader.fill_buf() {
                Ok([]) => return Err("close_notify from the server".into()),
                Ok(plaintext) => plaintext,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if self.partial.is_empty() {
                let taken = self.ledger.enter_lines(plaintext, tally)?;
                self.partial.extend_from_slice(&plaintext[taken..]);
            } else {
                self.partial.extend_from_slice(plaintext);
                let taken = self.ledger.enter_lines(&self.partial, tally)?;
                self.partial.drain(..taken);
            }
            let count = plaintext.len();
            reader.consume(count);
        }
    }

    /// Writes what rustls has; what the socket does not take goes when epoll says so.
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

impl Ledger {
    /// Enters all whole lines, and gives their length.
    fn enter_lines(&mut self, bytes: &[u8], tally: &mut Tally) -> Outcome<usize> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            // Events are all of one length, so that most of them need no search.
            let guess = rest
                .get(..tally.event_bytes)
                .filter(|line| line.ends_with(b"\n") && line[tally.mark_at..].starts_with(MARK));
            let line = if let Some(line) = guess {
                self.enter_delivery(&line[tally.mark_at..], tally)?;
                line
            } else {
                let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                    return Ok(taken);
                };
                let line = &rest[..=end];
                if let Some(mark_at) = find(line, MARK) {
                    (tally.event_bytes, tally.mark_at) = (line.len(), mark_at);
                    self.enter_delivery(&line[mark_at..], tally)?;
                } else {
                    self.enter_other(line, tally)?;
                }
                line
            };
            taken += line.len();
        }
    }

    /// Enters a message; `text` begins with [`MARK`].
    fn enter_delivery(&mut self, text: &[u8], tally: &mut Tally) -> Outcome<()> {
        let number = |from, digits| parse_number(text.get(from..from + digits)?);
        let (Some(sender), Some(sequence)) = (number(6, 4), number(11, 8)) else {
            return Err(format!("garbled: {}", text.escape_ascii()).into());
        };
        let Some(expected) = self.expected.get_mut(sender as usize) else {
            return Err(format!("a message of {sender}, who sends none").into());
        };
        if sequence != *expected {
            let how = if sequence < *expected { "doubled" } else { "lost" };
            return Err(format!(
                "{how} or out of order: message {sequence} of sender {sender}, not {expected}"
            )
            .into());
        }
        *expected += 1;
        tally.deliveries += 1;
        Ok(())
    }

    /// Enters an answer, or passes over an event that nobody measures.
    fn enter_other(&mut self, line: &[u8], tally: &mut Tally) -> Outcome<()> {
        if find(line, br#""status":200"#).is_none() {
            return Err(format!("refused: {}", line.escape_ascii()).into());
        }
        if find(line, br#""command":"send""#).is_some() {
            let sent_at = self.unanswered.pop_front().ok_or("an answer to nothing")?;
            tally.latencies_us.push(sent_at.elapsed().as_micros() as u32);
            tally.acknowledged += 1;
        } else if find(line, br#""command":"login""#).is_some() {
            tally.logins += 1;
        }
        Ok(())
    }
}

fn find(line: &[u8], what: &[u8]) -> Option<usize> {
    line.windows(what.len()).position(|window| window == what)
}

fn parse_number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// Takes every certificate: the server made its own a moment ago.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
