//! Nothing that was deleted stays in a file for long. `secure_delete` overwrites it in the database;
//! but what was written before stands in the journal, which SQLite uses again and does not clear.
//! So the journal is emptied, by a checkpoint that truncates it: soon after something was
//! deleted or replaced, and at times anyway, which bounds its size.
//!
//! Before that the pages themselves are looked through: where SQLite moves rows from page to page,
//! as when an edited message no longer fits where it stood, it leaves their old bytes in the gap
//! between a page's list of cells and the cells (file format, section 1.6). These are cleared, a few
//! pages at a time, with requests in between.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::hooks::Action;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use crate::store::schema::BUSY_TIMEOUT;

/// How long what was deleted may stay in the journal while there is no rest from writing.
const DELETED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long anything may. Rarely, as it costs a write of all that is in there.
const WRITTEN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long emptying waits for those who read, and those who write wait with it.
const READERS_TIMEOUT: Duration = Duration::from_millis(25);
/// How long until the next try, where somebody reads for longer than that.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Pages looked through at a time: 1 MiB, some milliseconds.
const PAGES_AT_ONCE: u32 = 256;
/// Up to here the first byte of a page tells a tree's from others, whose first four are the number of
/// a page. With pages of 4 KiB that is 128 GiB; what is larger is left as it is.
const PAGES_MAX: u32 = 0x0200_0000;
/// How long until the next of them, at rest.
const PAGES_INTERVAL: Duration = Duration::from_millis(5);
/// Where the first page's own head is, behind that of the file.
const FILE_HEAD_BYTES: usize = 100;

/// The writer's: what the journal may still hold.
pub(super) struct Traces {
    /// Set by SQLite when a row is deleted or replaced.
    is_deleting: Arc<AtomicBool>,
    /// When the journal is to be emptied at the latest.
    due: Option<Instant>,
    /// Whether it is to be emptied at the next rest.
    at_rest: bool,
    /// The page from which on gaps are to be cleared before that.
    page: Option<u32>,
    /// Whether something was deleted since the first of them was.
    again: bool,
}

impl Traces {
    /// Watches a connection. Unless it is known that nothing was left (`is_wiped`), something may
    /// have been, by a killed process for one.
    pub(super) fn watch(connection: &Connection, is_wiped: bool) -> Self {
        let is_deleting = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_deleting);
        let note = move |action, _: &str, _: &str, _| {
            if action != Action::SQLITE_INSERT {
                seen.store(true, Ordering::Relaxed);
            }
        };
        connection.update_hook(Some(note));
        Self {
            is_deleting,
            due: (!is_wiped).then(|| Instant::now() + DELETED_TIMEOUT),
            at_rest: !is_wiped,
            page: (!is_wiped).then_some(1),
            again: false,
        }
    }

    /// Whether nothing is left in the database's pages. The journal goes when that is closed.
    pub(super) fn are_wiped(&self) -> bool {
        self.page.is_none() && !self.again && !self.is_deleting.load(Ordering::Relaxed)
    }

    /// After each commit; `by_others` if they wrote, too.
    pub(super) fn note_commit(&mut self, by_others: bool) {
        let now = Instant::now();
        if self.is_deleting.swap(false, Ordering::Relaxed) || by_others {
            let due = now + DELETED_TIMEOUT;
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
            self.at_rest = true;
            // What is begun is finished first: deletions that do not end are not to put it off.
            self.again |= self.page.is_some_and(|page| page > 1);
            self.page.get_or_insert(1);
        }
        self.due.get_or_insert(now + WRITTEN_TIMEOUT);
    }

    /// How soon the next look is due while nothing is written, if sooner than usual.
    pub(super) fn interval(&self, usual: Duration) -> Duration {
        if self.page.is_some_and(|page| page > 1) { PAGES_INTERVAL } else { usual }
    }

    /// It failed: from the start, and not at once. A full disk does not get room so soon.
    pub(super) fn put_off(&mut self) {
        self.due = Some(Instant::now() + WRITTEN_TIMEOUT);
        (self.at_rest, self.page) = (false, self.page.map(|_| 1));
    }

    /// Clears some gaps, or empties the journal, if that is due.
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
        // Whoever holds the database, reading or writing, is waited for that long, and senders with it.
        connection.busy_timeout(READERS_TIMEOUT)?;
        let outcome = self.wipe_now(connection, now);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        outcome
    }

    fn wipe_now(&mut self, connection: &Connection, now: Instant) -> rusqlite::Result<()> {
        if let Some(page) = self.page {
            let next = clear_gaps(connection, page);
            if next.as_ref().is_err_and(is_busy) {
                (self.page, self.at_rest) = (Some(1), false);
                self.due = Some(now + RETRY_INTERVAL);
                return Ok(());
            }
            self.page = next?;
            self.due = Some(now);
            if self.page.is_some() {
                return Ok(());
            }
        }
        self.due = Some(now + RETRY_INTERVAL);
        self.at_rest = false;
        let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
        if statement.query_row([], |row| row.get::<_, i64>(0))? == 0 {
            self.due = None;
        }
        if mem::replace(&mut self.again, false) {
            let due = now + DELETED_TIMEOUT;
            (self.page, self.at_rest) = (Some(1), true);
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
        Ok(())
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Clears the gaps of some pages from the `first` on. The next one, or `None` after the last.
///
/// *Order:* outside a transaction, on the connection that writes.
fn clear_gaps(connection: &Connection, first: u32) -> rusqlite::Result<Option<u32>> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let pages: u32 = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let end = first.saturating_add(PAGES_AT_ONCE);
    if pages >= PAGES_MAX {
        return Ok(None);
    }
    for number in first..end.min(pages + 1) {
        let mut select =
            transaction.prepare_cached("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")?;
        let mut page: Vec<u8> = select.query_row([number], |row| row.get(0))?;
        let gap = find_gap(&page, number).and_then(|gap| page.get_mut(gap));
        if let Some(gap) = gap.filter(|gap| gap.iter().any(|byte| *byte != 0)) {
            gap.fill(0);
            transaction
                .prepare_cached("UPDATE sqlite_dbpage SET data = ?2 WHERE pgno = ?1")?
                .execute(params![number, page])?;
        }
    }
    transaction.commit()?;
    Ok((end <= pages).then_some(end))
}

/// Where a page of a tree holds nothing (file format, section 1.6): behind its list of cells, before
/// the first of these. `None` for pages of other kinds.
fn find_gap(page: &[u8], number: u32) -> Option<Range<usize>> {
    let head = if number == 1 { FILE_HEAD_BYTES } else { 0 };
    let head_bytes = match page.get(head)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let field = |at: usize| Some(usize::from(u16::from_be_bytes(*page.get(at..)?.first_chunk()?)));
    let start = head + head_bytes + 2 * field(head + 3)?;
    // 0 stands for 65,536.
    let end = field(head + 5).filter(|end| *end > 0).unwrap_or(1 << 16);
    (start <= end && end <= page.len()).then_some(start..end)
}
