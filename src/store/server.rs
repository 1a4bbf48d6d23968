//! What belongs to the server as a whole: groups, memberships, channels, emoji.

use std::collections::HashMap;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::access::Access;
use crate::error::Refusal;
use crate::id::{ChannelId, EmojiId, GroupId, MemberId};
use crate::protocol::{Channel, Emoji, Group, Permissions, Subject};
use crate::store::Reader;

impl FromSql for Permissions {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::try_from(value.as_blob()?).map_err(|problem| FromSqlError::Other(problem.into()))
    }
}

/// The snapshot of who may do what, as the database says now.
pub(super) fn load_access(connection: &Connection) -> rusqlite::Result<Access> {
    let base = connection
        .query_row("SELECT value FROM settings WHERE name = 'base_permissions'", [], |row| {
            row.get(0)
        })
        .optional()?
        .unwrap_or(Permissions::NEW_SERVER_BASE);
    Ok(Access {
        base,
        groups: load_groups(connection)?,
        channels: load_channels(connection)?,
        memberships: load_memberships(connection)?,
    })
}

fn load_groups(connection: &Connection) -> rusqlite::Result<Vec<Group>> {
    let group = |row: &Row<'_>| {
        Ok(Group {
            uuid: row.get(0)?,
            name: row.get(1)?,
            colour: row.get(2)?,
            position: row.get(3)?,
            permissions: row.get(4)?,
        })
    };
    connection
        .prepare("SELECT uuid, name, colour, position, permissions FROM groups ORDER BY position")?
        .query_map([], group)?
        .collect()
}

fn load_channels(connection: &Connection) -> rusqlite::Result<Vec<Channel>> {
    let mut overrides: HashMap<ChannelId, Vec<(Subject, Permissions)>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT channel_uuid, member_uuid, group_uuid, permissions FROM channel_overrides",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let subject = match row.get::<_, Option<MemberId>>(1)? {
            Some(member) => Subject::Member(member),
            None => Subject::Group(row.get(2)?),
        };
        overrides.entry(row.get(0)?).or_default().push((subject, row.get(3)?));
    }
    let channel = |row: &Row<'_>| {
        let uuid = row.get(0)?;
        Ok(Channel {
            uuid,
            name: row.get(1)?,
            position: row.get(2)?,
            permissions: overrides.remove(&uuid).unwrap_or_default().into_iter().collect(),
        })
    };
    connection
        .prepare("SELECT uuid, name, position FROM channels ORDER BY position")?
        .query_map([], channel)?
        .collect()
}

/// The groups of each member, highest rank first.
fn load_memberships(connection: &Connection) -> rusqlite::Result<HashMap<MemberId, Vec<GroupId>>> {
    let mut memberships: HashMap<MemberId, Vec<GroupId>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT member_uuid, group_uuid FROM member_groups
         JOIN groups ON groups.uuid = group_uuid ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        memberships.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(memberships)
}

impl Reader<'_> {
    /// Name and uuid of every emoji, by name.
    pub(crate) fn list_emoji(&self) -> Result<Vec<(String, EmojiId)>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT name, uuid FROM emoji ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One emoji with its picture.
    pub(crate) fn find_emoji(&self, emoji: EmojiId) -> Result<Option<Emoji>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT uuid, name, data FROM emoji WHERE uuid = ?1")?;
        let found = statement.query_row([emoji], |row| {
            Ok(Emoji { uuid: row.get(0)?, name: row.get(1)?, data: row.get(2)? })
        });
        Ok(found.optional()?)
    }

    /// Whether the database answers (protocol section 9, `/health`).
    pub(crate) fn check_alive(&self) -> Result<(), Refusal> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM channels LIMIT 1")?;
        Ok(statement.query_row([], |_| Ok(())).optional().map(drop)?)
    }
}
