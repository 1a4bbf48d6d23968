//! One line on standard error per happening. No time stamps: the journal adds them.
//!
//! Never logged: message text, passwords, whole requests.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes of a line at most, its end not counted: what a pipe that is ready takes without
/// waiting (PIPE_BUF of POSIX is at least 512, and 4,096 on Linux).
const LINE_BYTES_MAX: usize = 4000;
/// Faults logged in one `FAULT_INTERVAL` at most.
const FAULTS_MAX: u32 = 5;
const FAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Writes one line, or drops it where standard error is closed or takes nothing now: nobody
/// waits for whoever reads the log.
pub fn line(text: impl fmt::Display) {
    // What is told of may hold anything: one line all the same, and nothing that a terminal obeys.
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    let mut line: String = text.to_string().chars().map(escape).collect();
    while line.len() > LINE_BYTES_MAX {
        line.pop();
    }
    line.push('\n');
    let mut stderr = io::stderr().lock();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&now)).is_ok_and(|ready| ready > 0) {
        stderr.write_all(line.as_bytes()).ok();
    }
}

/// As `line`, for what may befall every request: a full disk does, and the log may be on it.
/// Past a few each second they are counted only.
pub fn fault(text: impl fmt::Display) {
    static PACE: Mutex<Pace> = Mutex::new(Pace { begun: None, logged: 0, left_out: 0 });
    let left_out = PACE.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
    match left_out {
        None => {}
        Some(0) => line(text),
        Some(left_out) => line(format_args!("{text} (and {left_out} faults before it)")),
    }
}

/// How many faults were logged in this interval.
struct Pace {
    begun: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl Pace {
    /// Whether one more may be logged; how many were left out since the last that was.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= FAULT_INTERVAL) {
            (self.begun, self.logged) = (Some(now), 0);
        }
        if self.logged == FAULTS_MAX {
            self.left_out += 1;
            return None;
        }
        self.logged += 1;
        Some(mem::take(&mut self.left_out))
    }
}

/// Writes what somebody asked for on the command line to standard output.
pub fn answer(text: impl fmt::Display) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_faults_a_second_are_logged_and_the_others_counted() {
        let mut pace = Pace { begun: None, logged: 0, left_out: 0 };
        let start = Instant::now();
        for _ in 0..FAULTS_MAX {
            assert_eq!(pace.take(start), Some(0));
        }
        let late = start + FAULT_INTERVAL - Duration::from_millis(1);
        assert_eq!((pace.take(start), pace.take(late)), (None, None));
        assert_eq!(pace.take(start + FAULT_INTERVAL), Some(2));
        assert_eq!(pace.take(start + FAULT_INTERVAL), Some(0));
    }
}
