//! The snapshot of who may do what, as the database says, and when it is made anew.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::access::Access;
use crate::error::Refusal;
use crate::id::{ChannelId, GroupId, MemberId};
use crate::protocol::types::Colour;
use crate::protocol::{Channel, Event, Group, Permissions, Subject, User};
use crate::store::{Change, Reader, WriteTx};

/// Members in one event at most: bounds the packet, as each brings a picture.
const MEMBERS_PER_EVENT_MAX: usize = 32;

impl FromSql for Permissions {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::try_from(value.as_blob()?).map_err(|problem| FromSqlError::Other(problem.into()))
    }
}

impl ToSql for Permissions {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.bytes().to_vec()))
    }
}

impl FromSql for Colour {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let raw = u32::column_result(value)?;
        Self::try_from(raw).map_err(|problem| FromSqlError::Other(problem.into()))
    }
}

/// The version of what the database says about who may do what.
pub(super) fn access_version(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM settings WHERE name = 'access_version'")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// The snapshot, as the database says now. Within a transaction, so that its parts agree.
pub(super) fn load_access(connection: &Connection) -> rusqlite::Result<Access> {
    let base = connection
        .query_row("SELECT value FROM settings WHERE name = 'base_permissions'", [], |row| {
            row.get(0)
        })
        .optional()?
        .unwrap_or(Permissions::NEW_SERVER_BASE);
    Ok(Access::new(
        access_version(connection)?,
        base,
        load_groups(connection)?,
        load_channels(connection)?,
        load_memberships(connection)?,
        load_bans(connection)?,
    ))
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
        .prepare_cached(
            "SELECT uuid, name, colour, position, permissions FROM groups ORDER BY position",
        )?
        .query_map([], group)?
        .collect()
}

fn load_channels(connection: &Connection) -> rusqlite::Result<Vec<Channel>> {
    let mut overrides: HashMap<ChannelId, Vec<(Subject, Permissions)>> = HashMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT channel_uuid, member_uuid, group_uuid, permissions FROM channel_overrides",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let member = row.get::<_, Option<MemberId>>(1)?.map(Subject::Member);
        let group = row.get::<_, Option<GroupId>>(2)?.map(Subject::Group);
        let subject = member.or(group).unwrap_or(Subject::Everyone);
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
        .prepare_cached("SELECT uuid, name, position FROM channels ORDER BY position")?
        .query_map([], channel)?
        .collect()
}

/// The groups of each member, highest rank first.
fn load_memberships(connection: &Connection) -> rusqlite::Result<HashMap<MemberId, Vec<GroupId>>> {
    let mut memberships: HashMap<MemberId, Vec<GroupId>> = HashMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT member_uuid, group_uuid FROM member_groups
         JOIN groups ON groups.uuid = group_uuid ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        memberships.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(memberships)
}

fn load_bans(connection: &Connection) -> rusqlite::Result<HashMap<MemberId, Option<i64>>> {
    connection
        .prepare_cached("SELECT member_uuid, until FROM bans")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

impl WriteTx<'_> {
    /// Carries out a statement that changes who may do what.
    pub(super) fn alter(&mut self, sql: &str, values: impl Params) -> Result<(), Refusal> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        self.is_stale = true;
        Ok(())
    }

    /// Another base.
    pub(crate) fn update_base_permissions(&mut self, base: Permissions) -> Result<(), Refusal> {
        self.update_setting("base_permissions", &base)?;
        self.is_stale = true;
        Ok(())
    }

    /// Makes the snapshot anew, if who may do what was changed: for the rest of this transaction
    /// and, once it is committed, for everybody. The one before.
    pub(crate) fn settle(&mut self) -> Result<Option<Arc<Access>>, Refusal> {
        if !mem::take(&mut self.is_stale) {
            return Ok(None);
        }
        self.update_setting("access_version", &(self.access().version + 1))?;
        let access = Arc::new(load_access(self.connection)?);
        let before = mem::replace(&mut self.reader.access, access);
        self.changes.extend(self.reader.list_changes(&before)?);
        Ok(Some(before))
    }
}

impl Reader<'_> {
    /// What others are to know of this reader's snapshot, if they know of `before`.
    pub(super) fn list_changes(&self, before: &Access) -> Result<Vec<Change>, Refusal> {
        let mut changes = vec![Change::Access(Arc::clone(self.access()))];
        for members in before.regrouped(self.access()).chunks(MEMBERS_PER_EVENT_MAX) {
            let users = members.iter().filter_map(|member| self.find_user(*member).transpose());
            let users: Vec<User> = users.collect::<Result<_, _>>()?;
            changes.push(Change::Event(Event::MembersChanged(users)));
        }
        Ok(changes)
    }
}
