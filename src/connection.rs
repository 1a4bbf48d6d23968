//! The shared TLS stream: one thread reads and answers on it, another tells it events.
//!
//! # Threads
//! *Invariant:* nobody blocks on the network while holding a connection's lock.
//!
//! The client's thread blocks in `read` on the socket, holding nothing, then takes the lock
//! to decrypt. Whoever writes takes the lock, encrypts, and sends without waiting; what the
//! kernel does not take stays in the backlog. The broadcaster tries again shortly; a client's
//! thread whose own answers stay waits for the socket to drain before it reads on.
//!
//! Everything that TLS wants to send by itself goes the same way, so records never mix.
//!
//! # Limits
//! Events that wait are bounded by `backlog_bytes_max`; past it the connection is closed.
//! Answers are not: a client that asks and does not read waits for itself; what waits for all of
//! these together is bounded by `LargeAnswers`.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use rustls::{ServerConfig, ServerConnection};

use crate::answers::{LargeAnswers, Making};
use crate::backlog::{Backlog, Kind, Outgoing, Sent};
use crate::error::Disconnect;
use crate::id::MemberId;
use crate::pieces::Pieces;

/// Ciphertext read at once.
const READ_BYTES: usize = 4096;
/// How often a client that is slow to take its answers is tried: poll tells only when a third of
/// the kernel's buffer is free, which may take a slow reader minutes.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// How long a farewell waits for a client to take what is left, and to hang up.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that a farewell reads past; whoever still sends then does not listen.
const FAREWELL_UNREAD_BYTES_MAX: usize = 4 << 20;

/// When a peer that says nothing is asked whether it is there, how often, how many times.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// One peer. Shared by its client's thread, the broadcaster and the registry of slots.
pub(crate) struct Connection {
    socket: Arc<TcpStream>,
    backlog_bytes_max: usize,
    /// Whether the server wants it to end.
    is_unwanted: AtomicBool,
    tls: Mutex<Tls>,
}

/// What the lock guards.
struct Tls {
    session: ServerConnection,
    backlog: Backlog,
    /// The peer said close_notify: nothing more comes.
    peer_closed: bool,
}

impl Connection {
    /// Over a socket that was just accepted. No TLS work yet.
    pub(crate) fn new(
        socket: Arc<TcpStream>,
        offered: Arc<ServerConfig>,
        backlog_bytes_max: usize,
    ) -> Result<Self, Disconnect> {
        socket.set_nodelay(true)?;
        keep_alive(&socket).map_err(io::Error::from)?;
        let mut session = ServerConnection::new(offered).map_err(tls_error)?;
        // Our own backlog bounds what waits.
        session.set_buffer_limit(None);
        let tls = Tls { session, backlog: Backlog::default(), peer_closed: false };
        let is_unwanted = AtomicBool::new(false);
        Ok(Self { socket, backlog_bytes_max, is_unwanted, tls: Mutex::new(tls) })
    }

    /// The client's thread. TLS handshake; plaintext that came along is kept for `receive`.
    pub(crate) fn handshake(&self, deadline: Instant) -> Result<(), Disconnect> {
        while self.lock().session.is_handshaking() {
            self.receive(&mut Vec::new(), Some(deadline))?;
        }
        Ok(())
    }

    /// The client's thread. Blocks for more bytes and appends what they decrypt to, which may
    /// be nothing. `Closed` at the end of the stream.
    pub(crate) fn receive(
        &self,
        plaintext: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<(), Disconnect> {
        let mut tls = self.lock();
        let was_handshaking = tls.session.is_handshaking();
        if !was_handshaking && tls.take_plaintext(plaintext)? > 0 {
            return Ok(());
        }
        if tls.peer_closed {
            return Err(Disconnect::Closed);
        }
        drop(tls);

        if deadline.is_some() {
            self.wait_for(PollFlags::IN, deadline)?;
        }
        let mut ciphertext = [0; READ_BYTES];
        let read_bytes = read(&self.socket, &mut ciphertext)?;
        let mut ciphertext = ciphertext.get(..read_bytes).unwrap_or_default();
        if ciphertext.is_empty() {
            return Err(Disconnect::Closed);
        }

        let mut tls = self.lock();
        while !ciphertext.is_empty() {
            tls.session.read_tls(&mut ciphertext)?;
            let outcome = tls.session.process_new_packets();
            // Also after an error: then it is the alert.
            tls.send_own(&self.socket)?;
            tls.peer_closed |= outcome.map_err(tls_error)?.peer_has_closed();
            if !was_handshaking {
                tls.take_plaintext(plaintext)?;
            }
        }
        Ok(())
    }

    /// The client's end, to look at and not to read from or write to.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The client's thread. Writes an answer; what the kernel does not take waits.
    pub(crate) fn answer(&self, plaintext: &Pieces) -> Result<(), Disconnect> {
        let mut tls = self.lock();
        plaintext.iter().try_for_each(|piece| tls.send(&self.socket, [piece, &[]], Kind::Answer))
    }

    /// The client's thread. When the client is slow to take its answers, waits for it, so that a
    /// client that asks and does not read slows itself only. `answers` counts what waits for this
    /// member's clients; `making` ends once it does.
    pub(crate) fn drain(
        &self,
        answers: &LargeAnswers,
        mut making: Option<Making<'_>>,
        member: Option<MemberId>,
        deadline: Option<Instant>,
    ) -> Result<(), Disconnect> {
        let (mut wait, mut sent_before) = (None, 0);
        loop {
            let mut tls = self.lock();
            tls.backlog.send(&self.socket)?;
            let (left_bytes, sent_bytes) = (tls.backlog.answer_bytes, tls.backlog.sent_bytes);
            drop(tls);
            // To the last byte: nobody else would send the rest.
            if left_bytes == 0 {
                return Ok(());
            }
            match &wait {
                None => wait = Some(answers.wait(member, &self.socket, left_bytes)),
                Some(wait) if sent_bytes != sent_before => wait.move_on(left_bytes),
                Some(_) => {}
            }
            drop(making.take());
            sent_before = sent_bytes;
            let next = Instant::now() + DRAIN_INTERVAL;
            let until = deadline.map_or(next, |deadline| deadline.min(next));
            match self.wait_for(PollFlags::OUT, Some(until)) {
                Err(Disconnect::TimedOut) if until == next => {}
                outcome => outcome?,
            }
        }
    }

    /// The broadcaster. Answers and events, in one record where that can be. Never waits. `Closed`
    /// when the client is past its bound for events.
    pub(crate) fn tell(&self, answers: &[u8], events: &[u8]) -> Result<Sent, Disconnect> {
        let mut tls = self.lock();
        tls.backlog.send(&self.socket)?;
        if tls.backlog.state() == Sent::Waiting {
            // Each waits as what it is.
            tls.send(&self.socket, [answers, &[]], Kind::Answer)?;
            tls.send(&self.socket, [&[], events], Kind::Event)?;
        } else {
            let kind = if events.is_empty() { Kind::Answer } else { Kind::Event };
            tls.send(&self.socket, [answers, events], kind)?;
        }
        if tls.backlog.event_bytes > self.backlog_bytes_max {
            return Err(Disconnect::Closed);
        }
        Ok(tls.backlog.state())
    }

    /// The broadcaster. Never waits. Tries again what an earlier `tell` left.
    pub(crate) fn flush(&self) -> Result<Sent, Disconnect> {
        let mut tls = self.lock();
        tls.backlog.send(&self.socket)?;
        Ok(tls.backlog.state())
    }

    /// The client's thread, last of all, when nobody tells it anything any more. Sends what
    /// waits, `last` and close_notify, and gives the peer a second to read it and hang up:
    /// closing with something unread would reset the stream under the last answer.
    pub(crate) fn farewell(&self, last: &[u8]) -> Result<(), Disconnect> {
        let deadline = Some(Instant::now() + FAREWELL_TIMEOUT);
        let mut tls = self.lock();
        tls.send(&self.socket, [last, &[]], Kind::Answer)?;
        tls.session.send_close_notify();
        tls.send_own(&self.socket)?;
        drop(tls);
        while self.flush()? == Sent::Waiting {
            self.wait_for(PollFlags::OUT, deadline)?;
        }
        self.socket.shutdown(Shutdown::Write)?;
        let mut unread = [0; READ_BYTES];
        for _ in 0..FAREWELL_UNREAD_BYTES_MAX / READ_BYTES {
            self.wait_for(PollFlags::IN, deadline)?;
            if read(&self.socket, &mut unread)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Any thread. Wakes the client's thread, which answers no further request and says farewell.
    pub(crate) fn hang_up(&self) {
        self.is_unwanted.store(true, Ordering::SeqCst);
        self.socket.shutdown(Shutdown::Read).ok();
    }

    /// The client's thread. Whether somebody hung up on its client.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.is_unwanted.load(Ordering::SeqCst)
    }

    /// Any thread. Ends the connection at once; its client's thread notices.
    pub(crate) fn abort(&self) {
        self.socket.shutdown(Shutdown::Both).ok();
    }

    /// Waits until the socket is ready, or has failed: the next call on it tells which.
    fn wait_for(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<(), Disconnect> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Also for a peer that always has something ready.
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Disconnect::TimedOut);
            }
            // Without a time that it can hold, poll waits for ever.
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&*self.socket, flags)], left.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tls> {
        // A client's thread that panicked while it held the lock is at its end anyway.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tls {
    /// Appends what was decrypted; how many bytes that was.
    fn take_plaintext(&mut self, plaintext: &mut Vec<u8>) -> Result<usize, Disconnect> {
        let before = plaintext.len();
        match self.session.reader().read_to_end(plaintext) {
            // Also WouldBlock: all that was there is taken.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Disconnect::Io(error)),
        }
        Ok(plaintext.len() - before)
    }

    /// Both in one record, where they are no more than one holds.
    fn send(
        &mut self,
        socket: &TcpStream,
        plaintext: [&[u8]; 2],
        kind: Kind,
    ) -> Result<(), Disconnect> {
        let mut writer = self.session.writer();
        match plaintext {
            [only, []] | [[], only] => writer.write_all(only)?,
            both => {
                // Without a limit all of it is taken.
                let taken_bytes = writer.write_vectored(&both.map(IoSlice::new))?;
                if taken_bytes < both[0].len() + both[1].len() {
                    return Err(Disconnect::Closed);
                }
            }
        }
        self.send_records(socket, kind)
    }

    /// Sends what TLS has to say by itself: handshake, key update, alerts.
    fn send_own(&mut self, socket: &TcpStream) -> Result<(), Disconnect> {
        self.send_records(socket, Kind::Answer)
    }

    fn send_records(&mut self, socket: &TcpStream, kind: Kind) -> Result<(), Disconnect> {
        let Self { session, backlog, .. } = self;
        backlog.send(socket)?;
        while session.wants_write() {
            session.write_tls(&mut Outgoing { socket, backlog, kind })?;
        }
        Ok(())
    }
}

fn read(mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Dead peers are found by the kernel, not by a clock of ours.
fn keep_alive(socket: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    // No TCP_USER_TIMEOUT: it also ends a peer that is there, asked for much and reads late.
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)
}

fn tls_error(error: rustls::Error) -> Disconnect {
    Disconnect::Tls(error.to_string())
}
