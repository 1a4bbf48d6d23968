//! Threads that the server cannot do without.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::thread::{Builder, JoinHandle};

use crate::log;

/// The exit code after a panic of our own (EX_SOFTWARE of sysexits.h); systemd restarts on it.
const EXIT_SOFTWARE: i32 = 70;

/// Starts a thread whose panic ends the process: better started again than half alive.
///
/// Fails when the system has no thread to give.
pub(crate) fn spawn_essential(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            log::line("a thread that the server cannot do without has panicked; stopping");
            process::exit(EXIT_SOFTWARE);
        }
    })
}
