//! What a test wants to find in the database before the server starts. The schema is the one
//! that a first start of the server made; the rows are written with SQL, as there are no
//! commands for most of them.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde_json::Value;

use super::server::Folder;

/// The permissions in the order of the wire (protocol section 3).
const PERMISSIONS: [&str; 10] = [
    "modify_channels",
    "modify_icon_name",
    "modify_groups",
    "modify_user_groups",
    "ban_users",
    "send_messages",
    "read_messages",
    "manage_messages",
    "join_voice",
    "view_channel",
];

/// The database of a folder, while no server runs in it.
///
/// Uuids fall while positions and dates rise, so that nothing that must be in the order of
/// these can come out right by being in the order of uuids.
pub struct World {
    database: Connection,
    /// Everything that has a name, with its uuid.
    pub names: BTreeMap<String, Value>,
    next_uuid: i64,
}

impl World {
    pub fn open(folder: &Folder) -> Self {
        let database = Connection::open(folder.path().join("aster.db")).unwrap();
        let general: i64 = database
            .query_row("SELECT uuid FROM channels WHERE name = 'general'", [], |row| row.get(0))
            .unwrap();
        let names = BTreeMap::from([("general".to_owned(), general.into())]);
        Self { database, names, next_uuid: 9000 }
    }

    fn name(&mut self, name: &str) -> i64 {
        self.next_uuid -= 1;
        self.names.insert(name.to_owned(), self.next_uuid.into());
        self.next_uuid
    }

    fn insert(&self, sql: &str, values: impl rusqlite::Params) {
        self.database.execute(sql, values).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A member without a password, whose first login sets it. Made when first mentioned.
    pub fn member(&mut self, name: &str) -> i64 {
        if let Some(uuid) = self.names.get(name) {
            return uuid.as_i64().unwrap();
        }
        let uuid = self.name(name);
        self.insert(
            "INSERT INTO members (uuid, name, password) VALUES (?1, ?2, '')",
            params![uuid, name],
        );
        uuid
    }

    /// A channel below those there are. Made when first mentioned.
    pub fn channel(&mut self, name: &str) -> i64 {
        if let Some(uuid) = self.names.get(name) {
            return uuid.as_i64().unwrap();
        }
        let uuid = self.name(name);
        let sql =
            "INSERT INTO channels (uuid, name, position) SELECT ?1, ?2, count(*) FROM channels";
        self.insert(sql, params![uuid, name]);
        uuid
    }

    /// Takes a permission from a member in a channel.
    pub fn deny(&mut self, member: &str, permission: &str, channel: &str) {
        let (member, channel) = (self.member(member), self.channel(channel));
        let sql = "INSERT INTO channel_overrides (channel_uuid, member_uuid, permissions) VALUES (?1, ?2, ?3)";
        self.insert(sql, params![channel, member, permissions(permission, 2)]);
    }

    /// A group below those there are, with the permission of the same name if there is one.
    pub fn group(&mut self, name: &str) -> i64 {
        let uuid = self.name(name);
        let sql = "INSERT INTO groups (uuid, name, colour, position, permissions) SELECT ?1, ?2, ?1, count(*), ?3 FROM groups";
        self.insert(sql, params![uuid, name, permissions(name, 1)]);
        uuid
    }

    pub fn join(&mut self, member: &str, group: i64) {
        let member = self.member(member);
        self.insert(
            "INSERT INTO member_groups (member_uuid, group_uuid) VALUES (?1, ?2)",
            params![member, group],
        );
    }

    pub fn emoji(&mut self, name: &str, picture: &str) {
        let uuid = self.name(name);
        self.insert(
            "INSERT INTO emoji (uuid, name, data) VALUES (?1, ?2, ?3)",
            params![uuid, name, picture],
        );
    }

    /// Messages `1` to `count`, each followed by `filler`; the uuid of the third in #tea is
    /// called `tea3`.
    pub fn messages(&mut self, author: &str, count: u32, channel: &str, filler: &str) {
        let (author, place) = (self.member(author), self.channel(channel));
        self.database.execute_batch("BEGIN").unwrap();
        for number in 1..=count {
            let uuid = self.name(&format!("{channel}{number}"));
            let sql = "INSERT INTO messages (uuid, channel_uuid, author_uuid, content, date) VALUES (?1, ?2, ?3, ?4, ?5)";
            let content = format!("{number}{filler}");
            self.insert(sql, params![uuid, place, author, content, 1_700_000_000 + number]);
        }
        self.database.execute_batch("COMMIT").unwrap();
    }
}

/// The wire's three bytes with one setting: 1 allows, 2 denies. No permission of that name: none.
fn permissions(name: &str, setting: u8) -> [u8; 3] {
    let mut bytes = [0; 3];
    if let Some(place) = PERMISSIONS.iter().position(|permission| *permission == name) {
        bytes[place / 4] = setting << (place % 4 * 2);
    }
    bytes
}
