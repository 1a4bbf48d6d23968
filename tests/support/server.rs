//! A real server: the built program, in a temporary folder, on a free port of loopback.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::DEADLINE;
use super::client::{Client, Framing};
use super::record::Record;

/// What the record says once the program has closed its standard error.
const ENDED: &str = "the server has ended";

/// A folder for one server, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// With nothing in it.
    pub fn empty() -> Self {
        Self::empty_in(&std::env::temp_dir())
    }

    fn empty_in(parent: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("aster-test-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// With the certificate and the database of a first start, made once for the whole run.
    pub fn prepared() -> Self {
        Self::empty().prepare()
    }

    /// As [`Folder::prepared`], but in memory where the system has a folder there: for tests
    /// of so many commits that the disk would be all they wait for.
    pub fn prepared_in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::empty_in(memory).prepare() } else { Self::prepared() }
    }

    fn prepare(self) -> Self {
        static FIRST_START: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
        let files = FIRST_START.get_or_init(|| {
            let mut server = Server::start_in(Self::empty(), json!({}));
            assert_eq!(server.stop("TERM"), Some(0), "the first start of all did not end well");
            let files = fs::read_dir(server.folder.path()).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            names
                .filter(|name| name != "config.json")
                .map(|name| (name.clone(), server.folder.read(&name)))
                .collect()
        });
        for (name, bytes) in files {
            self.write(name, bytes);
        }
        // As the program leaves it; the others may be as they are.
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.0.join("key.pem"), mode).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A running server; killed when dropped. If the test is failing, what happened is printed.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub folder: Folder,
    pub record: Arc<Record>,
    /// Where the record stood when it started.
    begun: usize,
}

impl Server {
    /// With an empty database and the defaults.
    pub fn start() -> Self {
        Self::configured(json!({}))
    }

    /// With an empty database and these keys set.
    pub fn configured(config: Value) -> Self {
        Self::start_in(Folder::prepared(), config)
    }

    /// In a folder that a test made. `addr` and `port` have other defaults than the program's.
    pub fn start_in(folder: Folder, mut config: Value) -> Self {
        let keys = config.as_object_mut().unwrap();
        keys.entry("addr").or_insert("127.0.0.1".into());
        keys.entry("port").or_insert(0.into());
        folder.write("config.json", config.to_string());
        let server = Self::try_start(folder, &[], Arc::default());
        server.unwrap_or_else(|record| panic!("no server:\n{}", record.print()))
    }

    /// As the command line has it. `Err` is the record of a server that never was ready.
    pub fn try_start(
        folder: Folder,
        arguments: &[&str],
        record: Arc<Record>,
    ) -> Result<Self, Arc<Record>> {
        let command = command(&folder, arguments);
        Self::try_start_by(command, folder, record)
    }

    /// As [`Server::start_in`], where a shell has done something first: `ulimit -n 64`.
    pub fn start_after(shell: &str, config: Value) -> Self {
        let mut config = config;
        config["addr"] = "127.0.0.1".into();
        config["port"] = 0.into();
        let folder = Folder::prepared();
        folder.write("config.json", config.to_string());
        let server = Self::try_start_by(after(shell, &folder), folder, Arc::default());
        server.unwrap_or_else(|record| panic!("no server:\n{}", record.print()))
    }

    fn try_start_by(
        mut command: Command,
        folder: Folder,
        record: Arc<Record>,
    ) -> Result<Self, Arc<Record>> {
        let from = record.len();
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let writer = Arc::clone(&record);
        thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| writer.note("server", "|", &line));
            writer.note(ENDED, "", "");
        });
        let ready =
            record.wait_for(from, |line| match line.strip_prefix("server| listening on ") {
                Some(address) => Some(address.parse().ok()),
                None => line.starts_with(ENDED).then_some(None),
            });
        let address = ([127, 0, 0, 1], 0).into();
        let mut server = Self { child, address, folder, record, begun: from };
        match ready.flatten() {
            Some(address) => {
                server.address = address;
                Ok(server)
            }
            None => Err(Arc::clone(&server.record)),
        }
    }

    /// A connection that sent nothing yet.
    pub fn connect(&self, name: &str, framing: Framing) -> Client {
        Client::connect(self.address, name, framing, &self.record)
    }

    /// A new member over JSON lines, logged in, whose password is their name.
    pub fn member(&self, name: &str) -> Client {
        let mut client = self.connect(name, Framing::Lines);
        client.enter("register");
        client
    }

    /// A member that exists, over JSON lines.
    pub fn login(&self, name: &str) -> Client {
        let mut client = self.connect(name, Framing::Lines);
        client.enter("login");
        client
    }

    /// Sends a signal (`TERM`, `INT`, `HUP`, `KILL`) by the tool every system has.
    pub fn signal(&self, signal: &str) {
        self.record.note("test", "|", signal);
        let id = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -$0 $1", signal, &id]).status().unwrap();
        assert!(status.success(), "could not send {signal}");
    }

    /// Sends a signal, unless it ended before; waits for the end, and gives the exit code.
    pub fn stop(&mut self, signal: &str) -> Option<i32> {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(signal);
        }
        self.wait()
    }

    /// Waits for the end, which was asked for.
    pub fn wait(&mut self) -> Option<i32> {
        let ended = self.record.wait_for(self.begun, |line| line.starts_with(ENDED).then_some(()));
        assert!(ended.is_some(), "the server did not end");
        self.child.wait().unwrap().code()
    }

    /// What Linux says of the process's memory: `VmRSS` of its size, `VmHWM` of the largest it
    /// ever had. Elsewhere nothing.
    pub fn memory_kib(&self, key: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// From here on its writes to files fail past so many bytes, or no longer.
    pub fn limit_file_bytes(&self, bytes: Option<u64>) {
        let process = Some(Pid::from_child(&self.child));
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(process, Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
    }

    /// How many threads and open files the process has, by what Linux says of it.
    pub fn threads_and_files(&self) -> Option<[usize; 2]> {
        let count = |what| {
            let entries = fs::read_dir(format!("/proc/{}/{what}", self.child.id()));
            entries.ok().map(Iterator::count)
        };
        Some([count("task")?, count("fd")?])
    }

    /// Sets how many more files the process may open than it has now, as it runs. The limit is
    /// one on the files' numbers, among which there may be gaps.
    pub fn allow_more_files(&self, more: u64) {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let number = |file: fs::DirEntry| file.file_name().to_str().unwrap().parse::<u64>();
        let taken: BTreeSet<u64> = files.map(|file| number(file.unwrap()).unwrap()).collect();
        let current = (0..).filter(|number| !taken.contains(number)).nth(more as usize);
        let limit = Rlimit { current, maximum: getrlimit(Resource::Nofile).maximum };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// Waits until there are so many clients' threads, by what Linux says of them. Elsewhere
    /// there is nothing to wait for.
    pub fn wait_for_client_threads(&self, count: usize) {
        let folder = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let is_client = |task: &PathBuf| {
            fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("client-"))
        };
        let until = Instant::now() + DEADLINE;
        while let Ok(tasks) = fs::read_dir(&folder) {
            let tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
            if tasks.filter(is_client).count() == count {
                return;
            }
            assert!(Instant::now() < until, "there never were {count} clients' threads");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops by a signal and starts again in the same folder, on another port.
    pub fn restart(&mut self, signal: &str) {
        self.stop(signal);
        self.start_again();
    }

    /// Starts once more where it has ended.
    pub fn start_again(&mut self) {
        let folder = std::mem::replace(&mut self.folder, Folder(PathBuf::new()));
        let again = Self::try_start(folder, &[], Arc::clone(&self.record));
        *self = again.unwrap_or_else(|_| panic!("the server did not start again"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("what happened:\n{}", self.record.print());
        } else {
            let panicked = self.record.log().into_iter().find(|line| line.contains("panicked at"));
            assert!(
                panicked.is_none(),
                "a thread of the server panicked:\n{}",
                self.record.print()
            );
        }
    }
}

/// Runs the program in a folder until it ends by itself: its exit code and standard error.
pub fn run(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(folder, arguments).stdout(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Starts the program in a folder and leaves it alone. What it says goes nowhere.
pub fn spawn(folder: &Folder, arguments: &[&str]) -> Child {
    command(folder, arguments).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs an errand of the owner's, with something on its standard input: its exit code,
/// standard output and standard error.
pub fn errand(folder: &Folder, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = command(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// As [`run`], where a shell has done something first.
pub fn run_after(shell: &str, folder: &Folder) -> (Option<i32>, String) {
    let output = after(shell, folder).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_aster-server");

/// The program in the place of a shell that has done something first.
fn after(shell: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} && exec \"$0\""), PROGRAM]);
    prepared(command, folder)
}

/// The program in a folder, its standard error a pipe.
pub fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    prepared(command, folder)
}

fn prepared(mut command: Command, folder: &Folder) -> Command {
    command.current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
