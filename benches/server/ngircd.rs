//! ngircd, another server: its folder, its configuration, its process. A single thread around
//! epoll that keeps nothing, and joins what waits for a client into one write.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::{Server, make_folder, memory_kib, spawn_on};
use crate::{Bench, Outcome, machine};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/ngircd";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its process. Dropping it ends that.
pub(crate) struct Ngircd {
    process: Child,
    folder: PathBuf,
    /// Where it listens for TLS.
    pub(crate) address: SocketAddr,
}

impl Ngircd {
    /// Fails, with what to do about it, where there is none.
    pub(crate) fn require() -> Outcome<()> {
        match Path::new(PROGRAM).exists() {
            true => Ok(()),
            false => Err(format!("there is no {PROGRAM}; `apt-get install ngircd`").into()),
        }
    }

    /// Starts it on the server's core, with that server's certificate.
    pub(crate) fn start(bench: &Bench, server: &Server) -> Outcome<Self> {
        Self::require()?;
        let folder = make_folder(&bench.folder)?;
        fs::copy(server.certificate_file(), folder.join("cert.pem"))?;
        fs::copy(server.key_file(), folder.join("key.pem"))?;
        // As root it becomes nobody before it reads them.
        fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o644))?;
        let [clear, port] = find_ports()?;
        fs::write(folder.join("ngircd.conf"), configuration(&folder, clear, port))?;
        let mut command = Command::new(PROGRAM);
        command.args(["--nodaemon", "--config"]).arg(folder.join("ngircd.conf"));
        command.stdin(Stdio::null()).stdout(File::create(folder.join("log"))?);
        command.stderr(File::create(folder.join("errors"))?);
        let process = spawn_on(&mut command, &[bench.server_core])?;
        let ngircd = Self { process, folder, address: (Ipv4Addr::LOCALHOST, port).into() };
        ngircd.explain(ngircd.await_start())?;
        Ok(ngircd)
    }

    fn await_start(&self) -> Outcome<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        Err("ngircd did not start".into())
    }

    /// Adds to an error where to look for more.
    pub(crate) fn explain<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        outcome.map_err(|error| format!("{error}\nsee {}", self.folder.display()).into())
    }

    /// CPU time of its one thread.
    pub(crate) fn cpu_s(&self) -> Outcome<f64> {
        machine::cpu_s(&self.process.id().to_string())
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        memory_kib(self.process.id(), "VmRSS:")
    }

    /// Ends it, and removes its folder.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        self.process.wait()?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

impl Drop for Ngircd {
    /// It may have ended already.
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Two that nobody listens on.
fn find_ports() -> Outcome<[u16; 2]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (first, second) = (listen()?, listen()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// Without what would slow it: no limits, no penalties, and nobody is asked who a client is.
fn configuration(folder: &Path, clear: u16, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[Global]
Name = bench.local
Info = bench
Listen = 127.0.0.1
Ports = {clear}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 3600
PongTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = {folder}/cert.pem
KeyFile = {folder}/key.pem
Ports = {port}
"
    )
}
