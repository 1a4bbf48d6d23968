//! A copy of the database while others write to it.
//!
//! Page by page (SQLite's backup API) within one read transaction, rather than by VACUUM: what was
//! counted in that transaction has to be in the copy, and to check the copy is to check every page
//! of the database, where VACUUM would make new indexes and hide damage to the old ones.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::error::{Refusal, StartupError};
use crate::store::head::write_alone;
use crate::store::{Location, schema};

/// Pages copied between two writes to disk: 1 MiB. With all of it at once, whoever sends meanwhile
/// would wait until the disk has taken it.
const STEP_PAGES: i32 = 256;

/// What a database holds, as far as it is counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Members.
    pub members: i64,
    /// Channels.
    pub channels: i64,
    /// Messages.
    pub messages: i64,
}

impl Counts {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM channels),
                   (SELECT count(*) FROM messages)";
        connection.query_row(sql, [], |row| {
            Ok(Self { members: row.get(0)?, channels: row.get(1)?, messages: row.get(2)? })
        })
    }
}

/// A database that is there, whether or not a server uses it.
pub(crate) struct Source(Connection);

impl Source {
    /// Fails on one that is not ours, newer, damaged or unreachable.
    pub(crate) fn open(database: &Path) -> Result<Self, StartupError> {
        let location = Location::File(database.to_owned());
        schema::open_any(&location).map(Self).map_err(|error| location.failed(error))
    }

    /// Copies it as it is at one commit into `draft`, an empty file open as `handle`, which then is a
    /// whole database on disk that needs no file beside it. Fails if that cannot be, and if the
    /// database turns out to be damaged.
    pub(crate) fn copy_into(&self, draft: &Path, handle: &File) -> Result<Counts, Refusal> {
        let snapshot = self.0.unchecked_transaction()?;
        let counts = Counts::of(&snapshot)?;
        let mut copy = schema::open_file(draft)?;
        copy.pragma_update(None, "journal_mode", "OFF")?;
        let backup = Backup::new(&snapshot, &mut copy)?;
        loop {
            match backup.step(STEP_PAGES)? {
                StepResult::Done => break,
                StepResult::More => handle.sync_data().map_err(Refusal::internal)?,
                _ => return Err(Refusal::internal("the copy is locked")),
            }
        }
        drop(backup);
        drop(copy);
        drop(snapshot);
        write_alone(handle).and_then(|()| handle.sync_all()).map_err(Refusal::internal)?;
        check(draft, &counts)?;
        Ok(counts)
    }

    /// Remembers that a backup was made.
    pub(crate) fn note_backup(&self, date: i64) -> Result<(), Refusal> {
        let sql = "INSERT OR REPLACE INTO settings (name, value) VALUES ('last_backup', ?1)";
        self.0.execute(sql, [date])?;
        Ok(())
    }
}

/// Opens the copy as a server would find it.
fn check(copy: &Path, expected: &Counts) -> Result<(), Refusal> {
    let copy = schema::open_file(copy)?;
    copy.pragma_update(None, "query_only", true)?;
    let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let verdict = verdict.trim_end().replace('\n', "; ");
        return Err(Refusal::internal(format_args!("the database is damaged: {verdict}")));
    }
    let counts = Counts::of(&copy)?;
    if counts != *expected {
        return Err(Refusal::internal(format_args!("{expected:?} became {counts:?}")));
    }
    Ok(())
}
