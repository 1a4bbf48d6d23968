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

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// Set for a process that is to panic.
    const PANICS: &str = "ASTER_TEST_PANICS";

    #[test]
    fn a_panic_in_a_thread_that_the_server_needs_ends_the_process() {
        if env::var_os(PANICS).is_some() {
            spawn_essential("fragile", || panic!("as asked")).unwrap();
            // Ended long before, or the exit code is another.
            std::thread::sleep(Duration::from_secs(20));
            return;
        }
        // This very test once more, in a process of its own.
        let mut again = Command::new(env::current_exe().unwrap());
        let name = "thread::tests::a_panic_in_a_thread_that_the_server_needs_ends_the_process";
        let output = again.args(["--exact", name, "--nocapture"]).env(PANICS, "").output().unwrap();
        assert_eq!(output.status.code(), Some(EXIT_SOFTWARE));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("'fragile'") && said.contains("stopping"), "{said}");
    }
}
