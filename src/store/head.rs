//! How a database file begins (SQLite's file format, section 1.3).

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::schema::APPLICATION_ID;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// How it is written and read: 2 with a log beside it (WAL mode), 1 without.
const FORMAT_OFFSET: usize = 18;
const FORMAT: Range<usize> = FORMAT_OFFSET..FORMAT_OFFSET + 2;
const FORMAT_ALONE: [u8; 2] = [1, 1];
const APPLICATION: Range<usize> = 68..72;

/// The bytes that matter here, or fewer where there are no more.
pub(crate) struct Head(Vec<u8>);

impl Head {
    /// *Order:* while this process has no connection to the file: whoever closes it gives up the
    /// locks that SQLite has on it.
    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        let mut head = Vec::new();
        // What is no file, such as a pipe, might keep us waiting.
        if fs::metadata(file)?.is_file() {
            File::open(file)?.take(APPLICATION.end as u64).read_to_end(&mut head)?;
        }
        Ok(Self(head))
    }

    /// Whether it is a database of ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.starts_with(MAGIC) && self.0.get(APPLICATION) == Some(&APPLICATION_ID.to_be_bytes())
    }

    /// Whether it says of itself that no log belongs to it.
    pub(super) fn is_alone(&self) -> bool {
        self.0.get(FORMAT) == Some(&FORMAT_ALONE)
    }
}

/// Makes a database say of itself that no log belongs to it. Nobody has it open but the caller.
pub(super) fn write_alone(database: &File) -> io::Result<()> {
    database.write_all_at(&FORMAT_ALONE, FORMAT_OFFSET as u64)
}
