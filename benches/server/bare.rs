//! The bare loop: the least that any server must do for a fan-out. A thread of this program, on
//! the server's core and with no code of the server, encrypts an event for each of its sockets in
//! turn and sends it, a record and a write for each; the clients are the same as the server's.
//!
//! *Cost:* one encoding for all, one buffer for all that is encrypted. rustls takes a buffer of
//! its own for each record; that cannot be helped.
//!
//! *Limits:* it is [`BEHIND_RECORDS_MAX`] ahead of the slowest client at most, so that what is
//! measured is neither the client's pace nor the size of the kernel's buffers.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::net::RecvFlags;
use rustix::process::Pid;
use rustix::thread::gettid;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::UnbufferedServerConnection;

use crate::clients::{Clients, message_text};
use crate::commits::Commits;
use crate::dialect::{Dialect, content_event};
use crate::server::{CHANNEL, Server};
use crate::stream::Stream;
use crate::{Bench, Outcome, machine};

/// Records that the slowest client may be behind.
const BEHIND_RECORDS_MAX: u64 = 16;
/// How long one waits for it.
const BEHIND_WAIT: Duration = Duration::from_micros(100);
/// More than what is joined ever has, encrypted.
const BUFFER_BYTES: usize = 1 << 20;

/// What the thread is to do; it answers each.
enum Order {
    /// Accept connections until there are so many.
    Accept(usize),
    /// Send, until told otherwise.
    Run {
        /// Events in one record.
        joined: usize,
        /// Whether each goes into a database first, and is on disk before it is sent.
        commits: bool,
    },
}

/// The thread, and its clients.
pub(crate) struct Bare {
    clients: Clients,
    orders: Sender<Order>,
    /// How many messages were said since the first, or what went wrong.
    done: Receiver<Result<u64, String>>,
    goes_on: Arc<AtomicBool>,
    thread: Pid,
}

/// What a round of it came to.
#[derive(Clone, Copy)]
pub(crate) struct Speed {
    /// Deliveries a second.
    pub(crate) deliveries_s: f64,
    /// The thread's CPU time for each.
    pub(crate) cpu_us: f64,
    /// The share of the time in which the clients' thread had something to do.
    pub(crate) generator: f64,
}

impl Bare {
    /// Starts the thread, with the certificate of a server. No client yet.
    pub(crate) fn start(bench: &Bench, server: &Server) -> Outcome<Self> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(server.certificate_file())?],
                PrivateKeyDer::from_pem_file(server.key_file())?,
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let clients = Clients::of(address, &server.certificate_file(), Dialect::Bare)?;
        let goes_on = Arc::new(AtomicBool::new(false));
        let mut sender = Loop {
            listener,
            config: Arc::new(config),
            streams: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            commits: Commits::start(&bench.folder)?,
            said: 0,
            heard: clients.progress(),
            goes_on: goes_on.clone(),
        };
        let (orders, ordered) = bounded(1);
        let (answer, done) = bounded(1);
        let (tell_thread, thread) = bounded(1);
        let core = bench.server_core;
        thread::Builder::new().name("bare".to_owned()).spawn(move || {
            tell_thread.send(gettid()).ok();
            let pinned = machine::pin(&[core]).map_err(|error| error.to_string());
            while let Ok(order) = ordered.recv() {
                let outcome = pinned.clone().and_then(|()| sender.follow(order));
                answer.send(outcome.map(|()| sender.said)).ok();
            }
            sender.commits.stop().ok();
        })?;
        Ok(Self { clients, orders, done, goes_on, thread: thread.recv()? })
    }

    /// Has at least so many clients.
    pub(crate) fn grow_to(&mut self, count: usize) -> Outcome<()> {
        self.orders.send(Order::Accept(count))?;
        self.clients.grow_to(count)?;
        self.done.recv()??;
        Ok(())
    }

    /// Lets it send for `duration`.
    pub(crate) fn measure(
        &mut self,
        joined: usize,
        commits: bool,
        duration: Duration,
    ) -> Outcome<Speed> {
        self.goes_on.store(true, Ordering::Release);
        self.orders.send(Order::Run { joined, commits })?;
        self.clients.run_for(duration / 6)?;
        let (cpu_s, start) = (machine::cpu_s_of_thread(self.thread)?, Instant::now());
        let (deliveries, idle) = (self.clients.tally.deliveries, self.clients.idle);
        self.clients.run_for(duration)?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu_s = machine::cpu_s_of_thread(self.thread)? - cpu_s;
        let deliveries = (self.clients.tally.deliveries - deliveries) as f64;
        let idle_s = (self.clients.idle - idle).as_secs_f64();
        self.goes_on.store(false, Ordering::Release);
        while self.done.is_empty() {
            self.clients.run_for(Duration::from_millis(1))?;
        }
        let said = self.done.recv()??;
        self.clients.await_all(said)?;
        Ok(Speed {
            deliveries_s: deliveries / seconds,
            cpu_us: cpu_s * 1e6 / deliveries,
            generator: 1.0 - idle_s / seconds,
        })
    }
}

/// What the thread owns.
struct Loop {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    streams: Vec<Stream<UnbufferedServerConnection>>,
    /// What is encrypted.
    buffer: Vec<u8>,
    commits: Commits,
    /// Messages since the first.
    said: u64,
    /// How many of them every client has had.
    heard: Arc<AtomicU64>,
    goes_on: Arc<AtomicBool>,
}

impl Loop {
    fn follow(&mut self, order: Order) -> Result<(), String> {
        let outcome = match order {
            Order::Accept(count) => self.accept(count),
            Order::Run { joined, commits } => self.run(joined, commits),
        };
        outcome.map_err(|error| format!("the bare loop: {error}"))
    }

    fn accept(&mut self, count: usize) -> Outcome<()> {
        while self.streams.len() < count {
            let (socket, _) = self.listener.accept()?;
            let tls = UnbufferedServerConnection::new(self.config.clone())?;
            let mut stream = Stream::new(socket, tls)?;
            while !stream.is_ready {
                stream.read(&mut self.buffer, RecvFlags::empty(), |_| Ok(()))?;
            }
            self.streams.push(stream);
        }
        Ok(())
    }

    fn run(&mut self, joined: usize, commits: bool) -> Outcome<()> {
        let mut record = Vec::new();
        while self.goes_on.load(Ordering::Acquire) {
            let behind = self.said - self.heard.load(Ordering::Acquire);
            if behind >= BEHIND_RECORDS_MAX * joined as u64 {
                sleep(BEHIND_WAIT);
                continue;
            }
            record.clear();
            for _ in 0..joined {
                if commits {
                    self.commits.commit()?;
                }
                let text = message_text(0, self.said as u32);
                let uuid = CHANNEL + self.said;
                record.extend_from_slice(content_event(uuid, 0, &text).as_bytes());
                self.said += 1;
            }
            for stream in &mut self.streams {
                stream.tell(&record, &mut self.buffer)?;
            }
        }
        Ok(())
    }
}
