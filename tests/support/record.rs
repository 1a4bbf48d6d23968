//! What happened in a test, in order: the packets of every client and the server's log.
//! A failure prints it.

use std::fmt::Write;
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::DEADLINE;

/// Longer lines are cut when printed: a picture says nothing to a reader.
const PRINTED_CHARS_MAX: usize = 400;

/// Shared by a server and its clients; lines are only ever added, unless all are forgotten.
#[derive(Default)]
pub struct Record {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Record {
    /// Adds a line: `alice> {...}`, `server| listening on ...`.
    pub fn note(&self, who: &str, mark: &str, text: &str) {
        self.lines.lock().unwrap().push(format!("{who}{mark} {text}"));
        self.changed.notify_all();
    }

    /// Begins anew, for a test that would fill the memory. Nobody may be waiting for a line.
    pub fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// Forgets all but the server's own lines.
    pub fn forget_packets(&self) {
        self.lines.lock().unwrap().retain(|line| line.starts_with("server| "));
    }

    /// Where the record stands, for [`Record::wait_for`].
    pub fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// The first thing that `find` finds in the lines from place `from` on.
    pub fn wait_for<T>(&self, from: usize, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = lines[from..].iter().find_map(|line| find(line)) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The server's own lines.
    pub fn log(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line.strip_prefix("server| ")).map(str::to_owned).collect()
    }

    /// All of it, for a person.
    pub fn print(&self) -> String {
        let mut text = String::new();
        for line in self.lines.lock().unwrap().iter() {
            let cut: String = line.chars().take(PRINTED_CHARS_MAX).collect();
            let more = if cut.len() < line.len() { " ..." } else { "" };
            writeln!(text, "    {cut}{more}").unwrap();
        }
        text
    }
}
