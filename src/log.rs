//! One line on standard error per happening. No time stamps: the journal adds them.
//!
//! Never logged: message text, passwords, whole requests.

use std::fmt;
use std::io::{self, Write};

/// Writes one line. A closed or full standard error is nobody's reason to stop.
pub fn line(text: impl fmt::Display) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Writes what somebody asked for on the command line to standard output.
pub fn answer(text: impl fmt::Display) {
    writeln!(io::stdout().lock(), "{text}").ok();
}
