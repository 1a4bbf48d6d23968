//! What a test wants to find in the database before the server starts. The schema is the one
//! that a first start of the server made; the rows are written with SQL, as no
//! client is there yet to ask for them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::server::{Folder, Server};

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

/// What a group, the base or a channel says of a permission; the number is that of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    Allow = 1,
    Deny = 2,
}

/// The base of a new server (protocol section 4).
const NEW_SERVER_BASE: [u8; 3] = [0b10_10_10_10, 0b10_01_01_10, 0b01_01];
/// Everything allowed.
const EVERYTHING: [u8; 3] = [0b01_01_01_01, 0b01_01_01_01, 0b01_01];

/// The database of a folder, while no server runs in it.
///
/// Uuids fall while positions and dates rise, so that nothing that must be in the order of
/// these can come out right by being in the order of uuids.
pub struct World {
    database: Connection,
    /// Everything that has a name, with its uuid.
    pub names: BTreeMap<String, Value>,
    /// Those of the names that are groups.
    groups: BTreeSet<String>,
    base: [u8; 3],
    /// What each channel says to each member or group, by their names.
    overrides: BTreeMap<(String, String), [u8; 3]>,
    next_uuid: i64,
}

impl World {
    pub fn open(folder: &Folder) -> Self {
        let database = Connection::open(folder.path().join("aster.db")).unwrap();
        let general: i64 = database
            .query_row("SELECT uuid FROM channels WHERE name = 'general'", [], |row| row.get(0))
            .unwrap();
        let names = BTreeMap::from([("general".to_owned(), general.into())]);
        Self {
            database,
            names,
            groups: BTreeSet::new(),
            base: NEW_SERVER_BASE,
            overrides: BTreeMap::new(),
            next_uuid: 9000,
        }
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
        self.say_in(channel, Setting::Deny, &[permission.to_owned()], member);
    }

    /// What a channel says to a member, or to a group that was made before.
    pub fn say_in(
        &mut self,
        channel: &str,
        setting: Setting,
        permissions: &[String],
        subject: &str,
    ) {
        let place = self.channel(channel);
        let (member, group) = match self.groups.contains(subject) {
            true => (None, self.names[subject].as_i64()),
            false => (Some(self.member(subject)), None),
        };
        let said = self.overrides.entry((channel.to_owned(), subject.to_owned())).or_default();
        set(said, setting, permissions);
        let said = *said;
        let sql = "INSERT OR REPLACE INTO channel_overrides (channel_uuid, member_uuid, group_uuid, permissions) VALUES (?1, ?2, ?3, ?4)";
        self.insert(sql, params![place, member, group, said]);
    }

    /// What the base says, on top of what that of a new server says.
    pub fn base(&mut self, setting: Setting, permissions: &[String]) {
        set(&mut self.base, setting, permissions);
        let sql = "INSERT OR REPLACE INTO settings (name, value) VALUES ('base_permissions', ?1)";
        self.insert(sql, params![self.base]);
    }

    /// A group below those there are, with the permission of the same name if there is one.
    pub fn group(&mut self, name: &str) -> i64 {
        let is_permission = PERMISSIONS.contains(&name).then(|| name.to_owned());
        self.group_that_says(name, Setting::Allow, is_permission.as_slice())
    }

    /// A group below those there are that says this of these permissions.
    pub fn group_that_says(&mut self, name: &str, setting: Setting, permissions: &[String]) -> i64 {
        let mut said = [0; 3];
        set(&mut said, setting, permissions);
        self.insert_group(name, said)
    }

    /// The group called owners, which allows everything. It must be the first of all groups.
    pub fn owners(&mut self) -> i64 {
        assert!(self.groups.is_empty(), "the owners come before other groups");
        self.insert_group("owners", EVERYTHING)
    }

    fn insert_group(&mut self, name: &str, permissions: [u8; 3]) -> i64 {
        let uuid = self.name(name);
        self.groups.insert(name.to_owned());
        let sql = "INSERT INTO groups (uuid, name, colour, position, permissions) SELECT ?1, ?2, ?1, count(*), ?3 FROM groups";
        self.insert(sql, params![uuid, name, permissions]);
        uuid
    }

    pub fn join(&mut self, member: &str, group: i64) {
        let member = self.member(member);
        self.insert(
            "INSERT INTO member_groups (member_uuid, group_uuid) VALUES (?1, ?2)",
            params![member, group],
        );
    }

    /// A ban by nobody that is known, without a reason. Later bans have later dates.
    pub fn ban(&mut self, member: &str, until: Option<i64>) {
        let uuid = self.member(member);
        let sql = "INSERT INTO bans (member_uuid, until, date) SELECT ?1, ?2, 1700000001 + count(*) FROM bans";
        self.insert(sql, params![uuid, until]);
    }

    /// A code with which so many can register.
    pub fn invite(&mut self, code: &str, uses: u32, until: Option<i64>) {
        let sql = "INSERT INTO invites (code, uses, until, date) VALUES (?1, ?2, ?3, 1700000000)";
        self.insert(sql, params![code, uses, until]);
    }

    pub fn emoji(&mut self, name: &str, picture: &str) {
        let uuid = self.name(name);
        self.insert(
            "INSERT INTO emoji (uuid, name, data) VALUES (?1, ?2, ?3)",
            params![uuid, name, picture],
        );
    }

    /// Messages `1` to `count`, each followed by `filler` and one second after the one before;
    /// the uuid of the third in #tea is called `tea3`.
    pub fn messages(&mut self, author: &str, count: u32, channel: &str, filler: &str) {
        self.insert_messages(author, count, channel, filler, |number| 1_700_000_000 + number);
    }

    /// Messages `1` to `count`, all of the same second.
    pub fn messages_at_once(&mut self, author: &str, count: u32, channel: &str) {
        self.insert_messages(author, count, channel, "", |_| 1_700_000_000);
    }

    fn insert_messages(
        &mut self,
        author: &str,
        count: u32,
        channel: &str,
        filler: &str,
        date: fn(u32) -> u32,
    ) {
        let (author, place) = (self.member(author), self.channel(channel));
        self.database.execute_batch("BEGIN").unwrap();
        for number in 1..=count {
            let uuid = self.name(&format!("{channel}{number}"));
            let sql = "INSERT INTO messages (uuid, channel_uuid, author_uuid, content, date) VALUES (?1, ?2, ?3, ?4, ?5)";
            let content = format!("{number}{filler}");
            self.insert(sql, params![uuid, place, author, content, date(number)]);
        }
        self.database.execute_batch("COMMIT").unwrap();
    }
}

/// A server of which alice is the owner, after what else is to be prepared.
pub fn of_alice(prepare: impl FnOnce(&mut World)) -> Server {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let owners = world.owners();
    world.join("alice", owners);
    prepare(&mut world);
    drop(world);
    Server::start_in(folder, json!({}))
}

/// Changes what the wire's three bytes say of these permissions.
fn set(bytes: &mut [u8; 3], setting: Setting, permissions: &[String]) {
    for name in permissions {
        let place = PERMISSIONS.iter().position(|permission| permission == name);
        let place = place.unwrap_or_else(|| panic!("no permission is called {name}"));
        let shift = place % 4 * 2;
        bytes[place / 4] = bytes[place / 4] & !(0b11 << shift) | (setting as u8) << shift;
    }
}
