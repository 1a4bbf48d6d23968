//! The server under measurement: its folder, its database, its process.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::Outcome;
use crate::clients::member_name;
use crate::machine;

/// The channel that everything is said in. Members are numbered from the one after it.
pub(crate) const CHANNEL: u64 = 7_000_000_000_000_000;

/// Limits that would measure themselves are out of the way; those with a star in protocol
/// section 8 do not bind loopback anyway.
const CONFIG: &str = r#"{"addr": "127.0.0.1", "port": 0, "database_file": "bench.db",
    "limits": {"max_connections": 20000, "login_timeout_s": 600}}"#;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take next to no CPU until it is at rest, and from which share on it is busy.
const REST: Duration = Duration::from_millis(1500);
const BUSY_MIN: f64 = 0.01;

/// Groups, and channels beside the one that is spoken in, of a server with [`Rules::Many`].
pub(crate) const GROUPS: u64 = 50;
/// Groups that each member is in there.
const GROUPS_OF_A_MEMBER: u64 = 5;

/// What a server has to say about who may do what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Nothing but the base.
    None,
    /// [`GROUPS`] groups and as many channels more; in each channel an override for every group
    /// and for as many members; each member is in five of the groups.
    Many,
}

/// A server process in a folder of its own. Dropping it ends the process.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server below `parent` that has `members` without passwords.
    pub(crate) fn start(
        parent: &Path,
        members: usize,
        cores: &[usize],
        rules: Rules,
    ) -> Outcome<Self> {
        let folder = make_folder(parent)?;
        let mut database = prepare_database(&folder, members)?;
        if rules == Rules::Many {
            lay_down_rules(&mut database, members as u64)?;
        }
        drop(database);
        Self::start_in(folder, cores)
    }

    /// Starts a server in a folder that has its database.
    pub(crate) fn start_in(folder: PathBuf, cores: &[usize]) -> Outcome<Self> {
        fs::write(folder.join("config.json"), CONFIG)?;
        let process = spawn(&folder, cores)?;
        let mut server = Self { process, folder, address: ([0; 4], 0).into() };
        server.address = server.explain(server.await_address())?;
        Ok(server)
    }

    fn await_address(&self) -> Outcome<SocketAddr> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let log = fs::read_to_string(self.folder.join("log"))?;
            if let Some(line) = log.lines().find_map(|line| line.strip_prefix("listening on ")) {
                return Ok(line.parse()?);
            }
            sleep(Duration::from_millis(5));
        }
        Err("the server did not start".into())
    }

    /// Adds to an error where to look for more.
    pub(crate) fn explain<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        outcome.map_err(|error| format!("{error}\nsee {}", self.folder.display()).into())
    }

    /// The certificate that it made itself.
    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// That certificate's key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu_s(&self) -> Outcome<f64> {
        machine::cpu_s(&self.process.id().to_string())
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        memory_kib(self.process.id(), "VmRSS:")
    }

    /// The most resident memory that it ever had.
    pub(crate) fn peak_kib(&self) -> Outcome<f64> {
        memory_kib(self.process.id(), "VmHWM:")
    }

    /// How often it has logged this.
    pub(crate) fn count_logged(&self, line: &str) -> Outcome<usize> {
        let log = fs::read_to_string(self.folder.join("log"))?;
        Ok(log.lines().filter(|logged| *logged == line).count())
    }

    /// The texts of all messages in the order of history, as one number.
    pub(crate) fn hash_stored_messages(&self) -> Outcome<u64> {
        let database = Connection::open(self.folder.join("bench.db"))?;
        let mut statement = database.prepare("SELECT content FROM messages ORDER BY seq")?;
        let mut rows = statement.query([])?;
        let mut hasher = DefaultHasher::new();
        while let Some(row) = rows.next()? {
            hasher.write(row.get_ref(0)?.as_bytes()?);
        }
        Ok(hasher.finish())
    }

    /// How many different messages are in its database.
    pub(crate) fn count_stored_messages(&self) -> Outcome<u64> {
        let count = "SELECT count(DISTINCT content) FROM messages";
        Ok(self.open_database()?.query_row(count, [], |row| row.get(0))?)
    }

    /// Stops the server as an operator would, and removes its folder if it ends well.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        self.halt()?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    /// Stops the server as an operator would. Its folder stays.
    pub(crate) fn halt(&mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let status = self.process.wait()?;
        if !status.success() {
            return self.explain(Err(format!("the server: {status}").into()));
        }
        Ok(())
    }

    /// Starts it where it was, once halted: the same folder, the same port.
    pub(crate) fn start_again(&mut self, cores: &[usize]) -> Outcome<()> {
        let port = format!(r#""port": {}"#, self.address.port());
        fs::write(self.folder.join("config.json"), CONFIG.replace(r#""port": 0"#, &port))?;
        self.process = spawn(&self.folder, cores)?;
        self.explain(self.await_address()).map(drop)
    }

    /// Waits until it does nothing: after a start, and where something was replaced or deleted, it
    /// looks through the whole database.
    pub(crate) fn await_rest(&self) -> Outcome<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let before_s = self.cpu_s()?;
            sleep(REST);
            if self.cpu_s()? - before_s < REST.as_secs_f64() * BUSY_MIN {
                return Ok(());
            }
        }
        Err("the server does not come to rest".into())
    }

    /// Its database; for changes only while it is halted.
    pub(crate) fn open_database(&self) -> Outcome<Connection> {
        Ok(Connection::open(self.folder.join("bench.db"))?)
    }
}

/// A server's process in its folder, on these cores.
fn spawn(folder: &Path, cores: &[usize]) -> Outcome<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aster-server"));
    command.current_dir(folder).stdin(Stdio::null()).stderr(File::create(folder.join("log"))?);
    spawn_on(&mut command, cores)
}

/// A process on these cores.
pub(crate) fn spawn_on(command: &mut Command, cores: &[usize]) -> Outcome<Child> {
    // A process inherits the cores of the thread that makes it.
    let own_cores = sched_getaffinity(None)?;
    machine::pin(cores)?;
    let process = command.spawn();
    sched_setaffinity(None, &own_cores)?;
    Ok(process?)
}

/// What the system says of a process's memory.
pub(crate) fn memory_kib(process: u32, key: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = status.lines().find_map(|line| line.strip_prefix(key));
    Ok(field.ok_or("no such memory")?.trim_end_matches(" kB").trim().parse()?)
}

impl Drop for Server {
    /// It may have ended already.
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A folder of its own below `parent`.
pub(crate) fn make_folder(parent: &Path) -> Outcome<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = parent.join(format!("bench-{}-{count}", std::process::id()));
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// Makes the database that the server finds, so that nobody has to register: an account with
/// an empty password takes the one of its first login.
pub(crate) fn prepare_database(folder: &Path, members: usize) -> Outcome<Connection> {
    let mut database = Connection::open(folder.join("bench.db"))?;
    database.execute_batch(include_str!("../../init.sql"))?;
    let transaction = database.transaction()?;
    let channel = "INSERT INTO channels (uuid, name, position) VALUES (?1, 'general', 0)";
    transaction.execute(channel, [CHANNEL])?;
    let member = "INSERT INTO members (uuid, name, password) VALUES (?1, ?2, '')";
    for index in 0..members {
        transaction.execute(member, (CHANNEL + 1 + index as u64, member_name(index)))?;
    }
    transaction.commit()?;
    Ok(database)
}

fn lay_down_rules(database: &mut Connection, members: u64) -> Outcome<()> {
    // Reading and sending are allowed, as in the base, so that the load is the same.
    const ALLOW: [u8; 3] = [0, 0b01_0100, 0];
    let transaction = database.transaction()?;
    for number in 0..GROUPS {
        let group = "INSERT INTO groups (uuid, name, colour, position, permissions)
            VALUES (?1, ?1, 0, ?2, ?3)";
        transaction.execute(group, (1 + number, number, ALLOW))?;
        let channel = "INSERT INTO channels (uuid, name, position) VALUES (?1, ?1, ?2)";
        transaction.execute(channel, (1000 + number, 1 + number))?;
    }
    for member in 0..members {
        let membership = "INSERT INTO member_groups (member_uuid, group_uuid) VALUES (?1, ?2)";
        for number in 0..GROUPS_OF_A_MEMBER {
            let group = 1 + (member * 7 + number * 11) % GROUPS;
            transaction.execute(membership, (CHANNEL + 1 + member, group))?;
        }
    }
    for channel in (1000..1000 + GROUPS).chain([CHANNEL]) {
        let group = "INSERT INTO channel_overrides (channel_uuid, group_uuid, permissions)
            VALUES (?1, ?2, ?3)";
        let member = "INSERT INTO channel_overrides (channel_uuid, member_uuid, permissions)
            VALUES (?1, ?2, ?3)";
        for number in 0..GROUPS {
            transaction.execute(group, (channel, 1 + number, ALLOW))?;
            if number < members {
                transaction.execute(member, (channel, CHANNEL + 1 + number, ALLOW))?;
            }
        }
    }
    Ok(transaction.commit()?)
}
