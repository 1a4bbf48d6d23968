//! The machine: what it is, which core is whose, what a process has taken of it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;

static HAS_OWN_CORE: AtomicBool = AtomicBool::new(false);

/// A core for the server and one for this program: where there are two, neither takes the
/// other's time.
pub(crate) fn choose_cores() -> Outcome<(usize, usize)> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let first = cores.next().ok_or("no core to run on")?;
    let last = cores.next_back();
    HAS_OWN_CORE.store(last.is_some(), Ordering::Relaxed);
    Ok((first, last.unwrap_or(first)))
}

/// Whether this program has a core that the server has not.
pub(crate) fn has_own_core() -> bool {
    HAS_OWN_CORE.load(Ordering::Relaxed)
}

/// Moves this thread, and what it starts from here on, to these cores.
pub(crate) fn pin(cores: &[usize]) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set)
}

/// Raises the limit on open files, this program's and so the server's, as far as it goes.
pub(crate) fn allow_many_files() -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}

/// Cores, processor, memory, kernel.
pub(crate) fn describe() -> Outcome<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model = processors.lines().find(|line| line.starts_with("model name"));
    // Where processors have no names, the board has one.
    let board = fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let name = model.and_then(|line| Some(line.split_once(": ")?.1)).unwrap_or(&board);
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory_kib: f64 = memory.split_whitespace().nth(1).ok_or("an empty meminfo")?.parse()?;
    let memory_gib = memory_kib / f64::from(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let (name, kernel) = (name.trim_end_matches('\0'), kernel.trim());
    Ok(format!("{count} cores ({name}), {memory_gib:.1} GiB, Linux {kernel}"))
}

/// The CPU time so far of a process ("self", or its number): the sum over its threads, without
/// those that have ended.
pub(crate) fn cpu_s(process: &str) -> Outcome<f64> {
    let mut sum_ns = 0.0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // It may have ended since.
        let Ok(times) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum_ns += times.split(' ').next().ok_or("an empty schedstat")?.parse::<f64>()?;
    }
    Ok(sum_ns / 1e9)
}

/// The CPU time so far of one thread of this process.
pub(crate) fn cpu_s_of_thread(thread: Pid) -> Outcome<f64> {
    let thread = thread.as_raw_nonzero();
    let times = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    Ok(times.split(' ').next().ok_or("an empty schedstat")?.parse::<f64>()? / 1e9)
}

/// The CPU time so far of everybody, interrupts and the host of a virtual machine included.
pub(crate) fn cpu_s_of_all() -> Outcome<f64> {
    let times = fs::read_to_string("/proc/stat")?;
    let ticks = times.split_whitespace().skip(1).take(8).map(str::parse::<f64>);
    let ticks = ticks.collect::<Result<Vec<_>, _>>()?;
    // Fourth and fifth are idle and waiting for the disk. A tick is always 10 ms here.
    Ok((ticks.iter().sum::<f64>() - ticks[3] - ticks[4]) / 100.0)
}

/// How often, so far, somebody found a listener's queue full; anybody's on this machine.
pub(crate) fn listen_overflows() -> Outcome<f64> {
    let counters = fs::read_to_string("/proc/net/netstat")?;
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, figures) = (lines.next().ok_or("no names")?, lines.next().ok_or("no figures")?);
    let mut pairs = names.split_whitespace().zip(figures.split_whitespace());
    Ok(pairs.find(|(name, _)| *name == "ListenOverflows").ok_or("not counted")?.1.parse()?)
}
