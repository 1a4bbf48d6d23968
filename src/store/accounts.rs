//! Members: names, pictures, passwords.

use std::fmt;

use rusqlite::{OptionalExtension, Row, params};

use crate::error::Refusal;
use crate::id::MemberId;
use crate::protocol::{Event, MemberName, Picture, User};
use crate::store::{Reader, WriteTx};

/// A password's Argon2id hash in PHC form, or nothing for an account from an older server
/// whose first login sets it. It is never serialised and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    /// From a PHC string.
    pub(crate) fn from_phc(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for `password.rs` to verify against.
    pub(crate) fn as_phc(&self) -> &str {
        &self.0
    }

    /// Whether the first login is still to set it (protocol section 7).
    pub(crate) fn is_unset(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(..)")
    }
}

/// How a login names its member.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// By name, compared exactly.
    Name(String),
    /// By uuid.
    Member(MemberId),
}

/// What a login is checked against.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// Who.
    pub member: MemberId,
    /// Their password's hash.
    pub password: PasswordHash,
}

impl Reader<'_> {
    /// The credentials of the member that a login names.
    pub(crate) fn find_credentials(&self, login: &Login) -> Result<Option<Credentials>, Refusal> {
        let credentials = |row: &Row<'_>| {
            Ok(Credentials { member: row.get(0)?, password: PasswordHash(row.get(1)?) })
        };
        let found = match login {
            Login::Name(name) => self
                .connection
                .prepare_cached("SELECT uuid, password FROM members WHERE name = ?1")?
                .query_row([name], credentials),
            Login::Member(member) => self
                .connection
                .prepare_cached("SELECT uuid, password FROM members WHERE uuid = ?1")?
                .query_row([member], credentials),
        };
        Ok(found.optional()?)
    }

    /// Whose name it is.
    pub(crate) fn find_member(&self, name: &MemberName) -> Result<Option<MemberId>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT uuid FROM members WHERE name = ?1")?;
        Ok(statement.query_row([name.as_str()], |row| row.get(0)).optional()?)
    }

    /// A member, as others see them.
    pub(crate) fn find_user(&self, member: MemberId) -> Result<Option<User>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT uuid, name, pfp FROM members WHERE uuid = ?1")?;
        Ok(statement.query_row([member], |row| self.user(row)).optional()?)
    }

    /// All members, by uuid.
    pub(crate) fn list_users(&self) -> Result<Vec<User>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT uuid, name, pfp FROM members ORDER BY uuid")?;
        let users = statement.query_map([], |row| self.user(row))?;
        Ok(users.collect::<Result<_, _>>()?)
    }

    /// From the columns uuid, name, pfp.
    fn user(&self, row: &Row<'_>) -> rusqlite::Result<User> {
        let uuid = row.get(0)?;
        let pfp: Option<String> = row.get(2)?;
        let groups = self.access().groups_of(uuid).to_vec();
        Ok(User {
            uuid,
            name: row.get(1)?,
            pfp: pfp.unwrap_or_else(|| self.shared.default_pfp.clone()),
            group_uuid: groups.first().map_or(0, |group| group.raw()),
            groups,
        })
    }
}

impl WriteTx<'_> {
    /// A new member. The name must be free: see `find_member`.
    pub(crate) fn insert_member(
        &mut self,
        name: &MemberName,
        password: &PasswordHash,
    ) -> Result<MemberId, Refusal> {
        let uuid: MemberId = self.fresh_id("SELECT 1 FROM members WHERE uuid = ?1")?;
        self.connection
            .prepare_cached("INSERT INTO members (uuid, name, password) VALUES (?1, ?2, ?3)")?
            .execute(params![uuid, name.as_str(), password.0])?;
        Ok(uuid)
    }

    /// Tells everyone how a member looks from here on.
    pub(crate) fn publish_member(&mut self, member: MemberId) -> Result<(), Refusal> {
        let user = self.find_user(member)?.ok_or_else(|| Refusal::internal("no such member"))?;
        self.publish(Event::MemberChanged(user));
        Ok(())
    }

    /// Another name. It must be free.
    pub(crate) fn update_name(
        &mut self,
        member: MemberId,
        name: &MemberName,
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE members SET name = ?2 WHERE uuid = ?1")?
            .execute(params![member, name.as_str()])?;
        Ok(())
    }

    /// Another picture.
    pub(crate) fn update_pfp(&mut self, member: MemberId, pfp: Picture) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE members SET pfp = ?2 WHERE uuid = ?1")?
            .execute(params![member, pfp.into_base64()])?;
        Ok(())
    }

    /// Another password.
    pub(crate) fn update_password(
        &mut self,
        member: MemberId,
        password: &PasswordHash,
    ) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE members SET password = ?2 WHERE uuid = ?1")?
            .execute(params![member, password.0])?;
        Ok(())
    }

    /// A password for an account that has none yet. False if it has one by now.
    pub(crate) fn insert_first_password(
        &mut self,
        member: MemberId,
        password: &PasswordHash,
    ) -> Result<bool, Refusal> {
        let changed = self
            .connection
            .prepare_cached("UPDATE members SET password = ?2 WHERE uuid = ?1 AND password = ''")?
            .execute(params![member, password.0])?;
        Ok(changed == 1)
    }
}
