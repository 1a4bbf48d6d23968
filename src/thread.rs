//! Threads that the server cannot do without, and such as are gone in a moment.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::thread::{self, Builder, JoinHandle};

use crate::log;

/// The exit code after a panic of our own (EX_SOFTWARE of sysexits.h); systemd restarts on it.
const EXIT_SOFTWARE: i32 = 70;
/// Stack of a thread that works in the place of a client's. *Invariant:* less than a client's: the C
/// library gives new threads the stacks that were left, with what was touched of them.
const DEEP_STACK_BYTES: usize = 256 * 1024;

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

/// Has work that needs much stack done on a thread of its own, and waits for it: on a client's thread,
/// what was touched of the stack would stay in memory for as long as the client does.
///
/// Where the system has no thread to give, it is done here. A panic goes on here.
pub(crate) fn deeply<T: Send>(mut work: impl FnMut() -> T + Send) -> T {
    let here = thread::current();
    let builder = Builder::new().name(here.name().unwrap_or("deep").to_owned());
    let builder = builder.stack_size(DEEP_STACK_BYTES);
    let outcome =
        thread::scope(|scope| builder.spawn_scoped(scope, &mut work).map(|thread| thread.join()));
    match outcome {
        Ok(done) => done.unwrap_or_else(|panic| resume_unwind(panic)),
        Err(_) => work(),
    }
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
    fn what_is_done_deeply_comes_back_and_so_does_a_panic() {
        let here = thread::current().id();
        assert_ne!(deeply(|| thread::current().id()), here);
        let panic = catch_unwind(|| deeply(|| panic!("as asked"))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"as asked"));
    }

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
