//! Asking for a password, on a terminal that does not show it or on standard input.

use std::fmt;
use std::io::{self, BufRead, IsTerminal};
use std::{process, thread};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::admin::Failure;
use crate::password::PasswordHasher;
use crate::protocol::Password;
use crate::store::PasswordHash;

/// As shells have it for a program that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// Asks on the terminal, where nothing of it shows, or takes one line of standard input.
pub(super) fn ask_password(prompt: &str) -> Result<PasswordHash, Failure> {
    let no_password =
        |problem: &dyn fmt::Display| Failure::Refused(format!("no password: {problem}"));
    let mut line = String::new();
    let hidden = hide_typing(prompt).map_err(|error| no_password(&error))?;
    let outcome = io::stdin().lock().read_line(&mut line);
    drop(hidden);
    outcome.map_err(|error| no_password(&error))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let password = Password::try_from(text.to_owned());
    Ok(PasswordHasher::new(1).hash(&password.map_err(|problem| no_password(&problem))?)?)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Drop for Hidden {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
        eprintln!();
    }
}

/// Prompts, and hides what is typed from there on; also a signal that ends the program shows it
/// again. `None` where standard input is no terminal.
fn hide_typing(prompt: &str) -> io::Result<Option<Hidden>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    let shown = tcgetattr(&stdin)?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])?;
    let on_signal = Hidden(shown.clone());
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            drop(on_signal);
            process::exit(EXIT_INTERRUPTED);
        }
    });
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    eprint!("{prompt}: ");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    Ok(Some(Hidden(shown)))
}
