//! Accepting, slots, stopping.
//!
//! # Threads
//! The main thread accepts; it does no TLS work and waits for nobody but new clients. The
//! signals' thread wakes it when the server is to stop, and keeps the certificate up to date.
//!
//! # Order
//! Stopping goes with the stream: no new clients, the clients' threads finish and say
//! farewell, then the broadcaster, the writer and the database.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, mem};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::listen;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::answers::LargeAnswers;
use crate::broadcaster::{self, Broadcaster};
use crate::commands::Services;
use crate::config::{Config, Limits};
use crate::connection::Connection;
use crate::error::StartupError;
use crate::id::{ConnectionId, now_s};
use crate::log;
use crate::password::PasswordHasher;
use crate::session;
use crate::signals::Signals;
use crate::stopping::Stopping;
use crate::store::{Defaults, Location, Store};
use crate::thread::spawn_essential;
use crate::throttle::{AddressKey, LoginThrottle};
use crate::tls::{LOOK_INTERVAL, Offers, Renewal};
use crate::wire::assets::Assets;

/// Stack of a client's thread; only what is touched is taken from memory.
const CLIENT_STACK_BYTES: usize = 512 * 1024;
/// Open files that no client takes, besides those open when the listener is: what the database
/// opens while it works, certificates read again, and some to spare.
const FILES_TO_SPARE: usize = 32;
/// Connections that wait to be accepted at most, as far as the system allows (`somaxconn`).
const CONNECTIONS_WAITING_MAX: i32 = 4096;
/// How long a stop waits for clients' threads to finish, and then for those it cut off.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
const CUT_OFF_TIMEOUT: Duration = Duration::from_millis(500);
/// How long accepting rests when the system has nothing left to accept with.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Runs the server until one of the `signals` tells it to stop.
///
/// Fails when it cannot start: certificate, database, address.
pub fn run(
    config: Config,
    location: &Location,
    assets: Assets,
    signals: Signals,
) -> Result<(), StartupError> {
    let server = Server::start(config, location, assets, signals)?;
    server.accept();
    server.stop();
    Ok(())
}

struct Server {
    listener: TcpListener,
    /// Readable when the server is to stop.
    wake: UnixStream,
    offers: Arc<Offers>,
    services: Arc<Services>,
    slots: Arc<Slots>,
    broadcaster: JoinHandle<()>,
}

impl Server {
    fn start(
        mut config: Config,
        location: &Location,
        assets: Assets,
        signals: Signals,
    ) -> Result<Self, StartupError> {
        let (broadcaster, notices) = Broadcaster::new();
        let publisher = broadcaster.clone();
        let publish = move |changes| publisher.publish(changes);
        let store = Store::open(location, Defaults::of(&config), publish)?;
        let threads = |error: io::Error| StartupError::new("threads", error);
        let broadcasting = broadcaster::run(notices, store.access()).map_err(threads)?;

        let renewal = Renewal::start(&config)?;
        let offers = renewal.offers();
        let address = config.address;
        let unreachable =
            |error: io::Error| StartupError::new(format_args!("addr: {address}"), error);
        let listener = TcpListener::bind(address).map_err(unreachable)?;
        // Once more: std's queue holds 128, and who finds it full tries again a second later.
        listen(&listener, CONNECTIONS_WAITING_MAX).map_err(io::Error::from).map_err(unreachable)?;
        listener.set_nonblocking(true).map_err(unreachable)?;
        // The newest is closed at once, rather than wait in the system's queue for a file.
        let connections_max = config.limits.connections_max.min(allow_open_files()?);
        config.limits.connections_max = connections_max;
        let bound = listener.local_addr().map_err(unreachable)?;
        let limits = &config.limits;
        let services = Arc::new(Services {
            hasher: PasswordHasher::new(limits.password_hashes_max),
            logins: LoginThrottle::new(
                limits.failed_logins_burst,
                limits.failed_logins_per_minute,
                limits.limit_loopback,
            ),
            answers: LargeAnswers::default(),
            assets,
            stopping: Stopping::default(),
            store,
            broadcaster,
            config,
        });
        log::line(format_args!("room for {connections_max} clients at once"));
        log::line(renewal.describe(now_s()));
        let wake = wait_for_signals(signals, Arc::clone(&services), renewal).map_err(threads)?;
        log::line(format_args!("listening on {bound}"));
        Ok(Self {
            listener,
            wake,
            offers,
            services,
            slots: Arc::default(),
            broadcaster: broadcasting,
        })
    }

    /// Takes clients in, until the server is to stop.
    fn accept(&self) {
        let mut next_id = 1;
        let mut is_short = false;
        while !self.services.stopping.is_raised() {
            match self.listener.accept() {
                Ok((socket, address)) => {
                    let admitted = self.admit(ConnectionId(next_id), socket, address);
                    next_id += 1;
                    if let Err(error) = admitted {
                        self.run_short(&mut is_short, format_args!("no thread: {error}"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Only with nobody left in the queue: what one who goes gives back, the next
                    // in it takes.
                    is_short = false;
                    let mut ready = [
                        PollFd::new(&self.listener, PollFlags::IN),
                        PollFd::new(&self.wake, PollFlags::IN),
                    ];
                    // An interruption is as good as a client that has gone again.
                    poll(&mut ready, None).ok();
                }
                Err(error) => self.run_short(&mut is_short, error),
            }
        }
    }

    /// Out of files, threads or memory: says so once, and waits. Those who are here go on.
    fn run_short(&self, is_short: &mut bool, problem: impl Display) {
        if !mem::replace(is_short, true) {
            log::line(format_args!("cannot take in another client: {problem}"));
        }
        self.services.stopping.pause(ACCEPT_RETRY);
    }

    /// Gives a client a slot and a thread, or closes at once. Fails where there is no thread.
    fn admit(&self, id: ConnectionId, socket: TcpStream, address: SocketAddr) -> io::Result<()> {
        let limits = &self.services.config.limits;
        let address = AddressKey::new(address.ip());
        let socket = Arc::new(socket);
        let Some(slot) = Slot::take(&self.slots, limits, id, address, &socket) else {
            return Ok(());
        };
        let (services, offer) = (Arc::clone(&self.services), self.offers.newest());
        let serve = move || {
            let _slot = slot;
            let limits = &services.config.limits;
            if let Ok(connection) = Connection::new(socket, offer, limits.backlog_bytes_max) {
                session::run(&services, connection, id, address);
            }
        };
        let builder = thread::Builder::new().name(format!("client-{}", id.0));
        builder.stack_size(CLIENT_STACK_BYTES).spawn(serve).map(drop)
    }

    /// Ends what runs, in the order of the stream.
    fn stop(self) {
        drop(self.listener);
        self.slots.shut_down(Shutdown::Read);
        if !self.slots.wait_until_empty(STOP_TIMEOUT) {
            self.slots.shut_down(Shutdown::Both);
            self.slots.wait_until_empty(CUT_OFF_TIMEOUT);
        }
        self.services.broadcaster.stop();
        self.broadcaster.join().ok();
        self.services.store.close();
        log::line("stopped");
    }
}

/// Raises the soft limit on open files to the hard one. For how many clients that is enough;
/// fails if it is for none.
fn allow_open_files() -> Result<usize, StartupError> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
    let files_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let clients_max =
        usize::try_from(files_max).unwrap_or(usize::MAX).saturating_sub(open + FILES_TO_SPARE);
    if clients_max == 0 {
        let problem = format_args!("the system allows {files_max}, which leaves none for clients");
        return Err(StartupError::new("open files", problem));
    }
    Ok(clients_max)
}

/// Starts the thread that waits for signals, and looks after the certificate while none comes.
/// What is returned becomes readable when the server is to stop.
fn wait_for_signals(
    mut signals: Signals,
    services: Arc<Services>,
    mut renewal: Renewal,
) -> io::Result<UnixStream> {
    let (wake, mut waker) = UnixStream::pair()?;
    renewal.warn(now_s()).into_iter().for_each(log::line);
    spawn_essential("signals", move || {
        loop {
            let arrived = signals.wait(LOOK_INTERVAL);
            if arrived.stop {
                services.stopping.raise();
                waker.write_all(b"!").ok();
                log::line("stopping");
            } else {
                renewal.look(arrived.reload, now_s()).into_iter().for_each(log::line);
                renewal.warn(now_s()).into_iter().for_each(log::line);
            }
        }
    })?;
    Ok(wake)
}

/// Who is connected, for limits and for stopping.
#[derive(Default)]
struct Slots {
    taken: Mutex<Taken>,
    given_back: Condvar,
}

#[derive(Default)]
struct Taken {
    sockets: HashMap<ConnectionId, Arc<TcpStream>>,
    by_address: HashMap<AddressKey, usize>,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes every client's thread: with `Read` they notice the stop, with `Both` they end.
    fn shut_down(&self, how: Shutdown) {
        for socket in self.lock().sockets.values() {
            socket.shutdown(how).ok();
        }
    }

    /// Whether all slots were given back in time.
    fn wait_until_empty(&self, timeout: Duration) -> bool {
        let is_busy = |taken: &mut Taken| !taken.sockets.is_empty();
        let outcome = self.given_back.wait_timeout_while(self.lock(), timeout, is_busy);
        !outcome.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// One client's place. Dropping it gives it back, however its thread ends.
struct Slot {
    slots: Arc<Slots>,
    id: ConnectionId,
    address: AddressKey,
}

impl Slot {
    /// `None` when there are too many, in all or from this address.
    fn take(
        slots: &Arc<Slots>,
        limits: &Limits,
        id: ConnectionId,
        address: AddressKey,
        socket: &Arc<TcpStream>,
    ) -> Option<Self> {
        let mut taken = slots.lock();
        let is_limited = limits.limit_loopback || !address.is_loopback();
        let from_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if taken.sockets.len() >= limits.connections_max
            || is_limited && from_address >= limits.connections_per_address_max
        {
            return None;
        }
        taken.sockets.insert(id, Arc::clone(socket));
        *taken.by_address.entry(address).or_default() += 1;
        Some(Self { slots: Arc::clone(slots), id, address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.sockets.remove(&self.id);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
        self.slots.given_back.notify_all();
    }
}
