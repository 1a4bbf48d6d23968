//! SQLite by itself: what a lone sender is held against.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::clients::message_text;
use crate::histogram::Histogram;
use crate::server::{CHANNEL, make_folder, prepare_database};
use crate::{Bench, Outcome, machine};

/// Messages that go into a database like the server's, in one thread and without a server, each
/// on disk before the next.
pub(crate) struct Commits {
    folder: PathBuf,
    database: Connection,
    count: u32,
}

impl Commits {
    /// In a folder of its own below `parent`.
    pub(crate) fn start(parent: &Path) -> Outcome<Self> {
        let folder = make_folder(parent)?;
        let database = prepare_database(&folder, 1)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "foreign_keys", true)?;
        Ok(Self { folder, database, count: 0 })
    }

    /// One more message.
    pub(crate) fn commit(&mut self) -> Outcome<()> {
        let mut insert = self.database.prepare_cached(
            "INSERT INTO messages (uuid, channel_uuid, author_uuid, content, date)
             VALUES (?1, ?2, ?2 + 1, ?3, 1700000000)",
        )?;
        self.count += 1;
        let text = message_text(0, self.count);
        insert.execute((CHANNEL + u64::from(self.count), CHANNEL, text))?;
        Ok(())
    }

    /// Removes it.
    pub(crate) fn stop(self) -> Outcome<()> {
        drop(self.database);
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

/// So many commits a second, one at each `interval` or one after the other, on the server's core,
/// since one far from the disk's interrupts may commit a third less.
pub(crate) fn measure_commits(
    bench: &Bench,
    commits: &mut Commits,
    duration: Duration,
    interval: Option<Duration>,
    latencies: &mut Histogram,
) -> Outcome<f64> {
    machine::pin(&[bench.server_core])?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < duration {
        let begun = Instant::now();
        commits.commit()?;
        latencies.add(begun.elapsed());
        count += 1;
        if let Some(interval) = interval {
            std::thread::sleep(interval.saturating_sub(begun.elapsed()));
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    machine::pin(&[bench.own_core])?;
    Ok(f64::from(count) / seconds)
}
