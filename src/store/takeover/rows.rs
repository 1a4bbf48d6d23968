//! What the tables of older servers say, row by row into ours. Columns go by name, since their
//! order differs and some are missing; values for what they are, since their types mean little.

use std::collections::{HashMap, HashSet};
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::id::{draw_uuid, now_ms};
use crate::protocol::Permissions;
use crate::store::look::list_columns;
use crate::store::schema::OpenError;
use crate::store::takeover::Counts;
use crate::store::takeover::mending::{integer, permissions, readable, uuid};

/// The uuids of one kind of thing: what each is called from here on. Nearly always the same.
#[derive(Default)]
pub(super) struct Uuids {
    by_older: HashMap<i64, i64>,
    taken: HashSet<i64>,
    /// What everything is that has no number at all.
    pub(super) nameless: Option<i64>,
}

impl Uuids {
    /// Its own uuid, or a new one where it is out of bounds or taken. The first of two that
    /// have the same is meant wherever it is named.
    pub(super) fn adopt(&mut self, older: &Value, mended: &mut Counts) -> Result<i64, OpenError> {
        let kept = uuid(older).filter(|uuid| !self.taken.contains(uuid));
        let new = match kept {
            Some(uuid) => uuid,
            None => loop {
                *mended.entry("new uuids").or_default() += 1;
                let drawn = fresh_uuid()?;
                if !self.taken.contains(&drawn) {
                    break drawn;
                }
            },
        };
        self.taken.insert(new);
        if let Some(older) = integer(older) {
            self.by_older.entry(older).or_insert(new);
        }
        Ok(new)
    }

    pub(super) fn find(&self, older: &Value) -> Option<i64> {
        match integer(older) {
            Some(older) => self.by_older.get(&older).copied(),
            None => self.nameless,
        }
    }
}

pub(super) fn fresh_uuid() -> Result<i64, OpenError> {
    let drawn = draw_uuid(now_ms());
    drawn.map(|uuid| uuid as i64).map_err(|problem| OpenError::Io(io::Error::other(problem)))
}

/// A hash that no password has, for those who are not to log in.
pub(super) fn unmeetable_hash() -> Result<String, OpenError> {
    let mut lot = [0; 48];
    let failed = |_| OpenError::Io(io::Error::other("no randomness"));
    SystemRandom::new().fill(&mut lot).map_err(failed)?;
    let (salt, hash) = lot.split_at(16);
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}"))
}

/// The marks of one channel: each date that somebody read up to, and the place of the last
/// message that is not later. Filled as the messages go by.
pub(super) type Marks = Vec<(i64, i64)>;

/// Both databases, and what is known of the older one so far.
pub(super) struct Older<'c> {
    older: &'c Connection,
    pub(super) new: &'c Connection,
    pub(super) members: Uuids,
    pub(super) names: HashSet<String>,
    pub(super) channels: Uuids,
    pub(super) groups: Uuids,
    pub(super) marks: HashMap<i64, Marks>,
    pub(super) taken: Counts,
    pub(super) mended: Counts,
}

impl<'c> Older<'c> {
    /// `new` has the newest schema and nothing in it.
    pub(super) fn new(older: &'c Connection, new: &'c Connection) -> Self {
        Self {
            older,
            new,
            members: Uuids::default(),
            names: HashSet::new(),
            channels: Uuids::default(),
            groups: Uuids::default(),
            marks: HashMap::new(),
            taken: Counts::new(),
            mended: Counts::new(),
        }
    }

    /// Fills the new one. What was taken over, and what could not stay as it was.
    pub(super) fn take_over(mut self) -> Result<(Counts, Counts), OpenError> {
        self.take_members()?;
        self.take_channels()?;
        // Order: a group needs a place among the others; in the oldest schemas they have none,
        // and mean nothing.
        if list_columns(self.older, "groups")?.iter().any(|column| column == "position") {
            self.take_groups()?;
            self.take_overrides()?;
        }
        self.take_base()?;
        let marks = self.list_marks()?;
        self.take_messages()?;
        self.take_marks(marks)?;
        self.take_emoji()?;
        self.take_sync()?;
        Ok((self.taken, self.mended))
    }

    pub(super) fn count_mended(&mut self, what: &'static str, is_mended: bool) {
        if is_mended {
            *self.mended.entry(what).or_default() += 1;
        }
    }

    pub(super) fn insert(
        &mut self,
        what: &'static str,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<(), OpenError> {
        let count = self.new.prepare_cached(sql)?.execute(values)?;
        *self.taken.entry(what).or_default() += count as u64;
        Ok(())
    }

    /// Gives each row of a table, where there is one, in the order of a column, where there is
    /// one, and of insertion. A column that is missing is null.
    pub(super) fn for_each<const N: usize>(
        &mut self,
        table: &str,
        wanted: [&str; N],
        order: &str,
        mut each: impl FnMut(&mut Self, [Value; N]) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let columns = list_columns(self.older, table)?;
        if columns.is_empty() {
            return Ok(());
        }
        let has = |column: &str| columns.iter().any(|there| there == column);
        let shown = wanted.map(|column| if has(column) { column } else { "NULL" }).join(", ");
        let first = if has(order) { format!("{order}, ") } else { String::new() };
        let sql = format!("SELECT {shown} FROM {table} ORDER BY {first}rowid");
        let mut statement = self.older.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut values = [const { Value::Null }; N];
            for (index, value) in values.iter_mut().enumerate() {
                *value = readable(row.get_ref(index)?);
            }
            each(self, values)?;
        }
        Ok(())
    }

    pub(super) fn insert_member(
        &mut self,
        uuid: i64,
        name: String,
        pfp: Option<String>,
        password: &str,
    ) -> Result<(), OpenError> {
        self.insert(
            "members",
            "INSERT INTO members (uuid, name, pfp, password) VALUES (?1, ?2, ?3, ?4)",
            params![uuid, name, pfp, password],
        )?;
        self.names.insert(name);
        Ok(())
    }

    pub(super) fn mend_permissions(&mut self, said: &Value) -> Permissions {
        let mended = permissions(said);
        let is_same = matches!(said, Value::Blob(bytes) if mended.bytes().starts_with(bytes));
        self.count_mended("permissions mended", !is_same);
        mended
    }
}
