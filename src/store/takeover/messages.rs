//! What was said on the older server, and how far its members have read.

use std::collections::HashMap;

use rusqlite::params;
use rusqlite::types::Value;

use crate::store::schema::OpenError;
use crate::store::takeover::mending::{integer, member_name, text, uuid};
use crate::store::takeover::rows::{Older, fresh_uuid, unmeetable_hash};

impl Older<'_> {
    pub(super) fn take_messages(&mut self) -> Result<(), OpenError> {
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
                Some(author) => author,
                None => this.insert_gone(&author)?,
            };
            this.count_mended("dates mended", integer(&date).is_none());
            last_date = integer(&date).unwrap_or(last_date);
            let content = text(content).unwrap_or_default();
            let is_edited = integer(&edited).unwrap_or_default() != 0;
            let answered = integer(&reply).and_then(|reply| moved.get(&reply).copied());
            let reply = answered.or(uuid(&reply));
            let mut insert = this.new.prepare_cached(
                "INSERT INTO messages
                 (uuid, channel_uuid, author_uuid, content, date, edited, reply_uuid)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (uuid) DO NOTHING",
            )?;
            let own = uuid(&older);
            let mut new = own.map_or_else(fresh_uuid, Ok)?;
            while insert
                .execute(params![new, channel, author, content, last_date, is_edited, reply])?
                == 0
            {
                new = fresh_uuid()?;
            }
            this.count_mended("new uuids", own != Some(new));
            if let (None, Some(older)) = (own, integer(&older)) {
                moved.insert(older, new);
            }
            *this.taken.entry("messages").or_default() += 1;
            if let Some(marks) = this.marks.get_mut(&channel) {
                let at = marks.partition_point(|(date, _)| *date < last_date);
                if let Some((_, last)) = marks.get_mut(at) {
                    *last = this.new.last_insert_rowid();
                }
            }
            Ok(())
        })
    }

    /// Somebody who said something and has no account: what they said stays theirs.
    fn insert_gone(&mut self, older: &Value) -> Result<i64, OpenError> {
        let name = member_name("gone", |name| self.names.contains(name));
        let uuid = self.members.adopt(older, &mut self.mended)?;
        // Null and the like: one for all of them.
        self.members.nameless = self.members.nameless.or(integer(older).is_none().then_some(uuid));
        self.count_mended("members made for authors who are gone", true);
        self.insert_member(uuid, name, None, &unmeetable_hash()?)?;
        Ok(uuid)
    }

    /// Who read which channel up to which date. Has the messages, as they go by, looked at for
    /// these dates.
    pub(super) fn list_marks(&mut self) -> Result<Vec<[i64; 3]>, OpenError> {
        let mut marks = Vec::new();
        let columns = ["user_uuid", "channel_uuid", "date"];
        self.for_each("last_read_messages", columns, "", |this, [member, channel, date]| {
            let ids = (this.members.find(&member), this.channels.find(&channel));
            match (ids, integer(&date)) {
                ((Some(member), Some(channel)), Some(date)) => {
                    marks.push([member, channel, date]);
                    this.marks.entry(channel).or_default().push((date, 0));
                }
                _ => this.count_mended("read marks of nobody or nowhere left out", true),
            }
            Ok(())
        })?;
        for dates in self.marks.values_mut() {
            dates.sort_unstable();
            dates.dedup();
        }
        Ok(marks)
    }

    /// Older servers count as read what is not later than the mark's date.
    pub(super) fn take_marks(&mut self, marks: Vec<[i64; 3]>) -> Result<(), OpenError> {
        for dates in self.marks.values_mut() {
            let mut last = 0;
            for (_, seq) in dates {
                last = last.max(*seq);
                *seq = last;
            }
        }
        for [member, channel, date] in marks {
            let dates = self.marks.get(&channel).map_or(&[][..], Vec::as_slice);
            let at = dates.partition_point(|(other, _)| *other < date);
            let seq = dates.get(at).map_or(0, |(_, seq)| *seq);
            self.insert(
                "read marks",
                "INSERT OR IGNORE INTO read_marks (member_uuid, channel_uuid, seq, date)
                 VALUES (?1, ?2, ?3, ?4)",
                [member, channel, seq, date],
            )?;
        }
        Ok(())
    }
}
