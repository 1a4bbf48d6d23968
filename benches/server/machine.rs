//! The machine: what it is, and which core is whose.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;

/// The cores for the server and for this program: where there are two, one each, so that
/// neither takes the other's time.
pub(crate) struct Cores {
    server: usize,
    generator: usize,
}

impl Cores {
    /// The first and the last core that this program may use.
    pub(crate) fn find() -> Outcome<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let server = cores.next().ok_or("no core to run on")?;
        Ok(Self { server, generator: cores.next_back().unwrap_or(server) })
    }

    /// Moves this thread, and what it starts from here on, to the server's core.
    pub(crate) fn pin_to_server(&self) -> rustix::io::Result<()> {
        pin(self.server)
    }

    /// Moves this thread to its own core.
    pub(crate) fn pin_to_generator(&self) -> rustix::io::Result<()> {
        pin(self.generator)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, generator } = self;
        write!(formatter, "Server pinned to core {server}, load generator to core {generator}")
    }
}

fn pin(core: usize) -> rustix::io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
}

/// Raises the limit on open files, this program's and so the server's, as far as it goes.
pub(crate) fn allow_many_files() -> Outcome<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Cores, processor, memory, kernel, and the disk below `folder`.
pub(crate) fn describe(folder: &Path) -> Outcome<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    // Where processors have no names, the board has one.
    let board = fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory_kib: f64 = memory.split_whitespace().nth(1).ok_or("an empty meminfo")?.parse()?;
    Ok(format!(
        "{count} cores ({}), {:.1} GiB, Linux {}; {} that takes {} µs for an fdatasync of 4 KiB",
        model.map_or(board.trim_end_matches('\0'), |(_, name)| name),
        memory_kib / f64::from(1 << 20),
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        file_system(folder)?,
        measure_sync_us(folder)?,
    ))
}

/// The type of the file system of `folder`: that of the longest mount point above it.
fn file_system(folder: &Path) -> Outcome<String> {
    let (folder, mounts) = (folder.canonicalize()?, fs::read_to_string("/proc/self/mounts")?);
    let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let above = mounts.filter(|mount| folder.starts_with(mount[1]));
    Ok(above.max_by_key(|mount| mount[1].len()).ok_or("no file system")?[2].to_owned())
}

/// The median time to append 4 KiB and have them on the disk: what bounds a lone sender.
fn measure_sync_us(folder: &Path) -> Outcome<u128> {
    let path = folder.join("bench-fdatasync");
    let mut file = File::create(&path)?;
    let mut times_us = [0; 201];
    for time_us in &mut times_us {
        let start = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        *time_us = start.elapsed().as_micros();
    }
    fs::remove_file(path)?;
    times_us.sort_unstable();
    Ok(times_us[100])
}
