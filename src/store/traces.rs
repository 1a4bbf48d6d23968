//! Nothing that was deleted stays in a file for long. `secure_delete` overwrites it in the database;
//! but what was written before stands in the journal, which SQLite uses again and does not clear.
//! So the journal is emptied, by a checkpoint that truncates it: soon after something was
//! deleted or replaced, and at times anyway, which bounds its size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::Action;

use crate::store::schema::BUSY_TIMEOUT;

/// How long what was deleted may stay in the journal while there is no rest from writing.
const DELETED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long anything may. Rarely, as it costs a write of all that is in there.
const WRITTEN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long emptying waits for those who read, and those who write wait with it.
const READERS_TIMEOUT: Duration = Duration::from_millis(25);
/// How long until the next try, where somebody reads for longer than that.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The writer's: what the journal may still hold.
pub(super) struct Traces {
    /// Set by SQLite when a row is deleted or replaced.
    is_deleting: Arc<AtomicBool>,
    /// When the journal is to be emptied at the latest.
    due: Option<Instant>,
    /// Whether it is to be emptied at the next rest.
    at_rest: bool,
}

impl Traces {
    /// Watches a connection. A killed process may have left something in the journal.
    pub(super) fn watch(connection: &Connection) -> Self {
        let is_deleting = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_deleting);
        let note = move |action, _: &str, _: &str, _| {
            if action != Action::SQLITE_INSERT {
                seen.store(true, Ordering::Relaxed);
            }
        };
        connection.update_hook(Some(note));
        Self { is_deleting, due: Some(Instant::now() + DELETED_TIMEOUT), at_rest: true }
    }

    /// After each commit; `by_others` if they wrote, too.
    pub(super) fn note_commit(&mut self, by_others: bool) {
        let now = Instant::now();
        if self.is_deleting.swap(false, Ordering::Relaxed) || by_others {
            let due = now + DELETED_TIMEOUT;
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
            self.at_rest = true;
        }
        self.due.get_or_insert(now + WRITTEN_TIMEOUT);
    }

    /// Empties the journal if that is due.
    ///
    /// *Order:* outside a transaction.
    pub(super) fn wipe(
        &mut self,
        connection: &Connection,
        is_resting: bool,
    ) -> rusqlite::Result<()> {
        let now = Instant::now();
        if !self.due.is_some_and(|due| due <= now || is_resting && self.at_rest) {
            return Ok(());
        }
        self.due = Some(now + RETRY_INTERVAL);
        self.at_rest = false;
        connection.busy_timeout(READERS_TIMEOUT)?;
        let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let is_busy = statement.query_row([], |row| row.get::<_, i64>(0));
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if is_busy? == 0 {
            self.due = None;
        }
        Ok(())
    }
}
