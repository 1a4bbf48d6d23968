//! The server under measurement: its folder, its process, and what the kernel says of it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::machine::Cores;

/// The channel that everything is said in.
pub(crate) const CHANNEL: u64 = 7_000_000_000_000_000;

/// Limits that would measure themselves are out of the way; those with a star in protocol
/// section 8 do not bind loopback anyway.
const CONFIG: &str = r#"{"addr": "127.0.0.1", "port": 0, "database_file": "bench.db",
    "limits": {"max_connections": 20000, "login_timeout_s": 600}}"#;

/// How long the server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of client `index`'s member.
pub(crate) fn member_name(index: usize) -> String {
    format!("member {index}")
}

/// A server process in a folder of its own; dropping it ends and removes both.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server below `parent` that has one channel and `members` without passwords.
    pub(crate) fn start(parent: &Path, members: usize, cores: &Cores) -> Outcome<Self> {
        let folder = parent.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("config.json"), CONFIG)?;
        prepare_database(&folder.join("bench.db"), members)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_aster-server"));
        command.current_dir(&folder).stdin(Stdio::null()).stderr(File::create(folder.join("log"))?);
        // A process inherits the cores of the thread that makes it.
        cores.pin_to_server()?;
        let process = command.spawn();
        cores.pin_to_generator()?;
        let unknown = SocketAddr::from(([0; 4], 0));
        let mut server = Self { process: process?, folder, address: unknown };
        server.address = server.watch(server.await_address())?;
        Ok(server)
    }

    fn await_address(&self) -> Outcome<SocketAddr> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let log = self.log();
            if let Some(line) = log.lines().find_map(|line| line.strip_prefix("listening on ")) {
                return Ok(line.parse()?);
            }
            sleep(Duration::from_millis(5));
        }
        Err("the server did not start".into())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Adds the server's log to an error.
    pub(crate) fn watch<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        outcome.map_err(|error| format!("{error}\nthe server's log:\n{}", self.log()).into())
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        cpu_time(&self.process.id().to_string())
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(field.trim_end_matches(" kB").trim().parse()?)
    }

    /// Stops the server as an operator would; an error if it does not end well.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.process.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return self.watch(Err(format!("the server: {status}").into())),
                None => sleep(Duration::from_millis(5)),
            }
        }
        self.watch(Err("the server did not stop".into()))
    }
}

impl Drop for Server {
    /// What fails here changes nothing that was measured.
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The CPU time so far of a process ("self", or its number), to the nanosecond: the sum over
/// its threads, of which none may end between two readings that are compared.
pub(crate) fn cpu_time(process: &str) -> Outcome<Duration> {
    let mut sum_ns = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let times = fs::read_to_string(task?.path().join("schedstat"))?;
        sum_ns += times.split(' ').next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum_ns))
}

/// Makes the database that the server finds, so that nobody has to register: an account with
/// an empty password takes the one of its first login.
fn prepare_database(file: &Path, members: usize) -> Outcome<()> {
    let mut database = Connection::open(file)?;
    database.execute_batch(include_str!("../../init.sql"))?;
    let transaction = database.transaction()?;
    transaction.execute(
        "INSERT INTO channels (uuid, name, position) VALUES (?1, 'general', 0)",
        [CHANNEL],
    )?;
    let insert = "INSERT INTO members (uuid, name, password) VALUES (?1, ?2, '')";
    for index in 0..members {
        transaction.execute(insert, (CHANNEL + 1 + index as u64, member_name(index)))?;
    }
    Ok(transaction.commit()?)
}
