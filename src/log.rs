//! One line on standard error per happening. No time stamps: the journal adds them.
//!
//! Never logged: message text, passwords, whole requests.

use std::fmt;
use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes of a line at most, its end not counted: what a pipe that is ready takes without
/// waiting (PIPE_BUF of POSIX is at least 512, and 4,096 on Linux).
const LINE_BYTES_MAX: usize = 4000;

/// Writes one line, or drops it where standard error is closed or takes nothing now: nobody
/// waits for whoever reads the log.
pub fn line(text: impl fmt::Display) {
    let mut line = text.to_string();
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

/// Writes what somebody asked for on the command line to standard output.
pub fn answer(text: impl fmt::Display) {
    writeln!(io::stdout().lock(), "{text}").ok();
}
