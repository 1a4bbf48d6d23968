//! One client's thread, from the handshake to the farewell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::commands::{self, Services, Session};
use crate::connection::Connection;
use crate::error::Disconnect;
use crate::id::ConnectionId;
use crate::protocol::packet::encode_greeting;
use crate::thread::deeply;
use crate::throttle::{AddressKey, Bucket};
use crate::wire::http::{self, HttpStatus, Manner, Request};
use crate::wire::{Decoder, Framing, Incoming, Violation};

/// What an inbox keeps of its memory while it is empty.
const INBOX_BYTES_KEPT: usize = 256;

/// How long a connection is kept for the next HTTP request. A browser opens six to load the client,
/// within a second, and holds them as long as it may: with those of ten others, that is all that an
/// address has (`max_connections_per_address`).
const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Close codes of RFC 6455 section 7.4.1.
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_GOING_AWAY: u16 = 1001;
const CLOSE_POLICY: u16 = 1008;

/// Serves one client until it is gone. Nothing it does ends more than its connection.
pub(crate) fn run(
    services: &Services,
    connection: Connection,
    id: ConnectionId,
    address: AddressKey,
) {
    let connection = Arc::new(connection);
    let mut client = Client { services, connection, id, address, inbox: Vec::new() };
    // Whatever ended it, there is nobody left to tell.
    client.serve().ok();
}

struct Client<'s> {
    services: &'s Services,
    connection: Arc<Connection>,
    id: ConnectionId,
    address: AddressKey,
    /// What was decrypted and not yet understood.
    inbox: Vec<u8>,
}

impl Client<'_> {
    fn serve(&mut self) -> Result<(), Disconnect> {
        let limits = &self.services.config.limits;
        let begun = Instant::now();
        deeply(|| self.connection.handshake(begun + limits.handshake_timeout))?;
        match self.converse(begun + limits.login_timeout) {
            Ok(farewell) => self.connection.farewell(&farewell),
            // It fell silent, hung up first, or was cut off by a stop.
            Err(Disconnect::TimedOut | Disconnect::Closed) => self.connection.farewell(&[]),
            Err(problem) => Err(problem),
        }
    }

    /// From the first byte on. Returns the last bytes to send; by then nobody tells this
    /// connection events any more.
    fn converse(&mut self, login_deadline: Instant) -> Result<Vec<u8>, Disconnect> {
        let first_byte_timeout = self.services.config.limits.first_byte_timeout;
        let first_byte_deadline = Instant::now() + first_byte_timeout;
        while self.inbox.is_empty() {
            self.connection.receive(&mut self.inbox, Some(first_byte_deadline))?;
        }
        if self.inbox.first() == Some(&b'{') {
            self.chat(Framing::Lines, login_deadline)
        } else if self.serve_http(login_deadline)? {
            self.chat(Framing::WebSocket, login_deadline)
        } else {
            Ok(Vec::new())
        }
    }

    /// Answers HTTP requests. Whether the client speaks WebSocket from here on.
    fn serve_http(&mut self, deadline: Instant) -> Result<bool, Disconnect> {
        loop {
            match http::parse(&mut self.inbox) {
                Ok(None) => {
                    // Whoever has begun a request is slow, not idle.
                    let until = match self.inbox.is_empty() {
                        true => deadline.min(Instant::now() + HTTP_IDLE_TIMEOUT),
                        false => deadline,
                    };
                    self.connection.receive(&mut self.inbox, Some(until))?;
                }
                Ok(Some(Request::Upgrade(answer))) => {
                    self.reply(answer, Some(deadline))?;
                    return Ok(true);
                }
                Ok(Some(Request::Page { path, known, manner })) => {
                    self.reply(self.page(&path, &known, manner), Some(deadline))?;
                    if !manner.keep_alive || self.services.stopping.is_raised() {
                        return Ok(false);
                    }
                }
                Err(status) => {
                    let answer = http::encode_status(status, Manner::LAST);
                    self.reply(answer, Some(deadline))?;
                    return Ok(false);
                }
            }
        }
    }

    /// Answers, and waits until the client has it.
    fn reply(&self, answer: Vec<u8>, deadline: Option<Instant>) -> Result<(), Disconnect> {
        self.connection.answer(&answer.into())?;
        self.connection.drain(&self.services.answers, None, None, deadline)
    }

    fn page(&self, path: &str, known: &str, manner: Manner) -> Vec<u8> {
        if path == "/health" {
            let alive = self.services.store.read(|db| db.check_alive()).is_ok();
            return http::encode_health(alive, manner);
        }
        match self.services.assets.find(path, manner.takes_gzip) {
            Some(asset) => http::encode_asset(&asset, known, manner),
            None => http::encode_status(HttpStatus::NotFound, manner),
        }
    }

    /// Answers requests, one after the other, until something ends that. Returns the last
    /// bytes to send.
    fn chat(&mut self, framing: Framing, login_deadline: Instant) -> Result<Vec<u8>, Disconnect> {
        let limits = &self.services.config.limits;
        let connection = Arc::clone(&self.connection);
        let mut session = Session::new(self.services, self.id, connection, framing, self.address);
        let mut decoder = Decoder::new(framing, limits.request_bytes_max);
        let mut pace = Bucket::new(
            limits.requests_burst,
            f64::from(limits.requests_per_second),
            Instant::now(),
        );
        let is_paced = limits.limit_loopback || !self.address.is_loopback();
        self.reply(framing.frame(encode_greeting()), Some(login_deadline))?;

        let mut farewell = Vec::new();
        let mut is_late = false;
        loop {
            is_late |= !session.is_logged_in() && Instant::now() >= login_deadline;
            let is_unwanted = is_late || self.connection.is_unwanted();
            if session.is_leaving() || is_unwanted || self.services.stopping.is_raised() {
                session.finish_under_way();
                let close_code = match (session.is_leaving(), is_unwanted) {
                    (true, _) => CLOSE_NORMAL,
                    (false, true) => CLOSE_POLICY,
                    (false, false) => CLOSE_GOING_AWAY,
                };
                framing.encode_farewell(close_code, &mut farewell);
                return Ok(farewell);
            }
            match decoder.decode(&mut self.inbox) {
                Ok(Some(incoming)) => {
                    if is_paced {
                        self.services.stopping.pause(pace.take(Instant::now()));
                    }
                    let answer = match incoming {
                        Incoming::Text(text) => match commands::answer(&mut session, &text) {
                            Some(answer) => framing.frame_pieces(answer),
                            // It is under way. What has come after it can go with it.
                            None => continue,
                        },
                        Incoming::NotText => framing.frame(commands::encode_unknown()).into(),
                        Incoming::Echo(bytes) => bytes.into(),
                        Incoming::Close(bytes) => {
                            session.finish_under_way();
                            return Ok(bytes);
                        }
                    };
                    session.finish_under_way();
                    self.connection.answer(&answer)?;
                    // What waits is encrypted by now; it is not kept twice for a slow client.
                    drop(answer);
                    self.drain(&mut session, login_deadline)?;
                }
                Ok(None) => {
                    self.drain(&mut session, login_deadline)?;
                    is_late = !self.wait_for_more(&session, login_deadline)?;
                }
                Err(violation) => {
                    session.finish_under_way();
                    if violation == Violation::TooBig {
                        framing.encode(&commands::encode_unknown(), &mut farewell);
                    }
                    framing.encode_farewell(violation.close_code(), &mut farewell);
                    return Ok(farewell);
                }
            }
        }
    }

    /// Who asks and does not read waits for itself, but not without a login.
    fn drain(&self, session: &mut Session<'_>, login_deadline: Instant) -> Result<(), Disconnect> {
        let deadline = (!session.is_logged_in()).then_some(login_deadline);
        let (making, member) = (session.end_large_answer(), session.logged_in());
        self.connection.drain(&self.services.answers, making, member, deadline)
    }

    /// Blocks until more has come. False when that took too long; true also when the server
    /// stops or hung up, which the caller looks at.
    fn wait_for_more(
        &mut self,
        session: &Session<'_>,
        login_deadline: Instant,
    ) -> Result<bool, Disconnect> {
        self.inbox.shrink_to(INBOX_BYTES_KEPT);
        let idle_timeout = self.services.config.limits.idle_timeout;
        let deadline = match session.is_logged_in() {
            true => idle_timeout.map(|timeout| Instant::now() + timeout),
            false => Some(login_deadline),
        };
        match self.connection.receive(&mut self.inbox, deadline) {
            Err(Disconnect::TimedOut) => Ok(false),
            Err(Disconnect::Closed)
                if self.services.stopping.is_raised() || self.connection.is_unwanted() =>
            {
                Ok(true)
            }
            outcome => outcome.map(|()| true),
        }
    }
}
