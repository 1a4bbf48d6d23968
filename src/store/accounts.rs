//! Members: names, pictures, passwords.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use crate::avatar;
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

/// Draws the pictures that are still to be made, so that lists of members need not. At a
/// server's start.
pub(super) fn draw_missing_pfps(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let members: Vec<MemberId> = transaction
        .prepare("SELECT uuid FROM members WHERE made_pfp IS NULL")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for member in members {
        // Should that fail, it is said when somebody asks for the picture.
        let Ok(pfp) = avatar::draw(member) else { continue };
        transaction
            .prepare_cached("UPDATE members SET made_pfp = ?2 WHERE uuid = ?1")?
            .execute(params![member, pfp.into_base64()])?;
    }
    transaction.commit()
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

    /// A member's name.
    pub(crate) fn find_name(&self, member: MemberId) -> Result<Option<String>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT name FROM members WHERE uuid = ?1")?;
        Ok(statement.query_row([member], |row| row.get(0)).optional()?)
    }

    /// A member, as others see them.
    pub(crate) fn find_user(&self, member: MemberId) -> Result<Option<User>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT uuid, name, pfp, made_pfp FROM members WHERE uuid = ?1")?;
        let found = statement.query_row([member], stored).optional()?;
        found.map(|stored| self.user(stored)).transpose()
    }

    /// All members, by uuid.
    pub(crate) fn list_users(&self) -> Result<Vec<User>, Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT uuid, name, pfp, made_pfp FROM members ORDER BY uuid")?;
        let users = statement.query_map([], stored)?;
        users.map(|stored| self.user(stored?)).collect()
    }

    /// Of what `list_users` reads: two lists of one version are the same. Whatever process changed
    /// them, it is of the commit that is read here.
    pub(crate) fn users_version(&self) -> Result<(i64, i64), Refusal> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM settings WHERE name = 'users_version'")?;
        let version = statement.query_row([], |row| row.get(0)).optional()?;
        Ok((self.access().version, version.unwrap_or_default()))
    }

    /// With the picture they set, else the default where there is one, else the one made for them.
    fn user(&self, (uuid, name, pfp, made_pfp): Stored) -> Result<User, Refusal> {
        let groups = self.access().groups_of(uuid).to_vec();
        let default = || self.shared.defaults.pfp.clone().map(Picture::into_base64);
        let pfp = match pfp.or_else(default).or(made_pfp) {
            Some(pfp) => pfp,
            None => avatar::draw(uuid)?.into_base64(),
        };
        let group_uuid = groups.first().map_or(0, |group| group.raw());
        Ok(User { uuid, name, pfp, group_uuid, groups })
    }
}

/// The columns uuid, name, pfp, made_pfp.
type Stored = (MemberId, String, Option<String>, Option<String>);

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

impl WriteTx<'_> {
    /// *Invariant:* after each change of a name or picture, and for each new member.
    fn renew_users_version(&mut self) -> Result<(), Refusal> {
        let (_, version) = self.users_version()?;
        self.update_setting("users_version", &(version + 1))
    }

    /// A new member. The name must be free: see `find_member`.
    pub(crate) fn insert_member(
        &mut self,
        name: &MemberName,
        password: &PasswordHash,
    ) -> Result<MemberId, Refusal> {
        let uuid: MemberId = self.fresh_id("SELECT 1 FROM members WHERE uuid = ?1")?;
        let made_pfp = avatar::draw(uuid)?.into_base64();
        self.connection
            .prepare_cached(
                "INSERT INTO members (uuid, name, password, made_pfp) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![uuid, name.as_str(), password.0, made_pfp])?;
        self.renew_users_version()?;
        Ok(uuid)
    }

    /// Tells everyone how a member looks from here on.
    pub(crate) fn publish_member(&mut self, member: MemberId) -> Result<(), Refusal> {
        let user = self.find_user(member)?.ok_or_else(|| Refusal::internal("no such member"))?;
        self.publish(Event::MembersChanged(vec![user]));
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
        self.renew_users_version()
    }

    /// Another picture.
    pub(crate) fn update_pfp(&mut self, member: MemberId, pfp: Picture) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("UPDATE members SET pfp = ?2 WHERE uuid = ?1")?
            .execute(params![member, pfp.into_base64()])?;
        self.renew_users_version()
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
