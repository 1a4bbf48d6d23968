//! What the tables of older servers say, row by row into ours. Columns go by name, since their
//! order differs and some are missing; values for what they are, since their types mean little.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, Params, params};

use crate::id::{draw_uuid, now_ms};
use crate::protocol::Permissions;
use crate::store::look::list_columns;
use crate::store::schema::OpenError;
use crate::store::takeover::mending::{
    integer, member_name, permissions, readable, server_name, text, uuid,
};

/// For those who are not to log in: nobody knows a password with this hash.
pub(super) const UNKNOWN_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1\
    $AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Stands for what is no number, where something is named by one.
const NO_NUMBER: i64 = i64::MIN;

/// What was taken over, or could not stay as it was, by its name.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// What the things of one kind are called from here on, by their older uuids. Nearly always the
/// same; of two that have the same uuid the first is meant.
#[derive(Default)]
pub(super) struct Uuids(HashMap<i64, i64>);

impl Uuids {
    pub(super) fn find(&self, older: &Value) -> Option<i64> {
        self.0.get(&integer(older).unwrap_or(NO_NUMBER)).copied()
    }
}

/// Both databases, and what is known of the older one so far.
pub(super) struct Older<'c> {
    older: &'c Connection,
    pub(super) new: &'c Connection,
    pub(super) members: Uuids,
    pub(super) names: HashSet<String>,
    pub(super) channels: Uuids,
    pub(super) groups: Uuids,
    pub(super) emoji: Uuids,
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
            emoji: Uuids::default(),
            taken: Counts::new(),
            mended: Counts::new(),
        }
    }

    /// Fills the new one.
    pub(super) fn take_over(&mut self) -> Result<(), OpenError> {
        self.take_members()?;
        self.take_channels()?;
        // In the oldest schemas groups have no place among one another, and mean nothing.
        if list_columns(self.older, "groups")?.iter().any(|column| column == "position") {
            self.take_groups()?;
            self.take_overrides()?;
        }
        self.take_base()?;
        self.take_messages()?;
        self.take_marks()?;
        self.take_emoji()?;
        self.take_sync()
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

    pub(super) fn insert(
        &mut self,
        what: &'static str,
        sql: &str,
        values: impl Params,
    ) -> Result<(), OpenError> {
        let count = self.new.prepare_cached(sql)?.execute(values)?;
        *self.taken.entry(what).or_default() += count as u64;
        Ok(())
    }

    pub(super) fn count_mended(&mut self, what: &'static str, is_mended: bool) {
        if is_mended {
            *self.mended.entry(what).or_default() += 1;
        }
    }

    /// The uuid of a thing that now gets its row: its own, or a new one where that is out of
    /// bounds or taken.
    pub(super) fn adopt(
        &mut self,
        kind: fn(&mut Self) -> &mut Uuids,
        older: &Value,
    ) -> Result<i64, OpenError> {
        let own = uuid(older).filter(|_| kind(self).find(older).is_none());
        self.count_mended("new uuids", own.is_none());
        let new = own.map_or_else(fresh_uuid, Ok)?;
        kind(self).0.entry(integer(older).unwrap_or(NO_NUMBER)).or_insert(new);
        Ok(new)
    }

    pub(super) fn mend_server_name(&mut self, name: Value, instead: &str) -> String {
        let name = text(name);
        let mended = server_name(&name, instead);
        self.count_mended("names mended", mended != name);
        mended
    }

    pub(super) fn mend_permissions(&mut self, said: &Value) -> Permissions {
        let mended = permissions(said);
        let is_same = matches!(said, Value::Blob(bytes) if mended.bytes().starts_with(bytes));
        self.count_mended("permissions mended", !is_same);
        mended
    }

    pub(super) fn insert_member(
        &mut self,
        older: &Value,
        name: String,
        pfp: Option<String>,
        password: &str,
    ) -> Result<i64, OpenError> {
        let uuid = self.adopt(|this| &mut this.members, older)?;
        self.insert(
            "members",
            "INSERT INTO members (uuid, name, pfp, password) VALUES (?1, ?2, ?3, ?4)",
            params![uuid, name, pfp, password],
        )?;
        self.names.insert(name);
        Ok(uuid)
    }

    fn take_messages(&mut self) -> Result<(), OpenError> {
        let columns = ["uuid", "content", "author_uuid", "channel_uuid", "date", "edited", "reply"];
        // Those that have other uuids from here on, for replies to them.
        let mut moved: HashMap<i64, i64> = HashMap::new();
        let mut last_date = 0;
        self.for_each("messages", columns, "", |this, row| {
            let [older, content, author, channel, date, edited, reply] = row;
            let Some(channel) = this.channels.find(&channel) else {
                // Nobody could see it.
                this.count_mended("messages of deleted channels left out", true);
                return Ok(());
            };
            let author = match this.members.find(&author) {
                Some(member) => member,
                None => {
                    // What they said stays theirs.
                    let name = member_name("gone", |name| this.names.contains(name));
                    this.count_mended("members made for authors who are gone", true);
                    this.insert_member(&author, name, None, UNKNOWN_PASSWORD)?
                }
            };
            this.count_mended("dates mended", integer(&date).is_none());
            last_date = integer(&date).unwrap_or(last_date);
            let answered = integer(&reply).and_then(|reply| moved.get(&reply).copied());
            let reply = answered.or(uuid(&reply));
            let (content, is_edited) = (text(content), integer(&edited).is_some_and(|it| it != 0));
            let mut insert = this.new.prepare_cached(
                "INSERT INTO messages
                 (uuid, channel_uuid, author_uuid, content, date, edited, reply_uuid)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (uuid) DO NOTHING",
            )?;
            let mut insert = |uuid| {
                insert.execute(params![uuid, channel, author, content, last_date, is_edited, reply])
            };
            let own = uuid(&older);
            let mut new = own.map_or_else(fresh_uuid, Ok)?;
            while insert(new)? == 0 {
                new = fresh_uuid()?;
            }
            if let (None, Some(older)) = (own, integer(&older)) {
                moved.insert(older, new);
            }
            this.count_mended("new uuids", own != Some(new));
            *this.taken.entry("messages").or_default() += 1;
            Ok(())
        })
    }

    /// Older servers count as read what is not later than the mark's date.
    fn take_marks(&mut self) -> Result<(), OpenError> {
        // Clocks were set back at times. `since`: the earliest date from there on, which only grows.
        self.new.execute_batch(
            "CREATE TEMP TABLE places AS SELECT channel_uuid, seq,
                 min(date) OVER (PARTITION BY channel_uuid ORDER BY seq DESC) AS since FROM messages;
             CREATE INDEX temp.places_by_since ON places (channel_uuid, since, seq)",
        )?;
        let columns = ["user_uuid", "channel_uuid", "date"];
        self.for_each("last_read_messages", columns, "", |this, [member, channel, date]| {
            let ids = (this.members.find(&member), this.channels.find(&channel), integer(&date));
            let (Some(member), Some(channel), Some(date)) = ids else {
                this.count_mended("read marks of nobody or nowhere left out", true);
                return Ok(());
            };
            this.insert(
                "read marks",
                "INSERT OR IGNORE INTO read_marks (member_uuid, channel_uuid, date, seq)
                 VALUES (?1, ?2, ?3, coalesce((SELECT seq FROM places
                 WHERE channel_uuid = ?2 AND since <= ?3 ORDER BY since DESC, seq DESC LIMIT 1), 0))",
                [member, channel, date],
            )
        })?;
        Ok(self.new.execute_batch("DROP TABLE places")?)
    }
}

fn fresh_uuid() -> Result<i64, OpenError> {
    let drawn = draw_uuid(now_ms());
    drawn.map(|uuid| uuid as i64).map_err(|problem| OpenError::Io(std::io::Error::other(problem)))
}
