//! From each schema of ours to the next. The list only ever grows; a step that was released is
//! never edited. `init.sql` is what the last one leads to: a test holds the two together.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior};

use crate::log;
use crate::store::Location;
use crate::store::schema::{OpenError, VERSION};

/// At place n what leads from schema n + 1 to the one after it.
const STEPS: [&str; VERSION as usize - 1] = [
    // 1 to 2: read marks, bans, the audit record, made pictures; overrides for everybody.
    "CREATE TABLE new_overrides (
         channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
         member_uuid  INTEGER REFERENCES members (uuid) ON DELETE CASCADE,
         group_uuid   INTEGER REFERENCES groups (uuid) ON DELETE CASCADE,
         permissions  BLOB NOT NULL,
         CHECK (member_uuid IS NULL OR group_uuid IS NULL),
         UNIQUE (channel_uuid, member_uuid),
         UNIQUE (channel_uuid, group_uuid)
     ) STRICT;
     INSERT INTO new_overrides SELECT channel_uuid, member_uuid, group_uuid, permissions
         FROM channel_overrides;
     DROP TABLE channel_overrides;
     ALTER TABLE new_overrides RENAME TO channel_overrides;
     CREATE UNIQUE INDEX channel_overrides_for_everybody ON channel_overrides (channel_uuid)
         WHERE member_uuid IS NULL AND group_uuid IS NULL;
     CREATE INDEX channel_overrides_by_member ON channel_overrides (member_uuid);
     CREATE INDEX channel_overrides_by_group ON channel_overrides (group_uuid);
     ALTER TABLE members ADD COLUMN made_pfp TEXT;
     CREATE INDEX members_without_made_pfp ON members (uuid) WHERE made_pfp IS NULL;
     CREATE TABLE read_marks (
         member_uuid  INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
         channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
         seq          INTEGER NOT NULL,
         date         INTEGER NOT NULL,
         PRIMARY KEY (member_uuid, channel_uuid)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX read_marks_by_channel ON read_marks (channel_uuid);
     CREATE TABLE bans (
         member_uuid INTEGER PRIMARY KEY REFERENCES members (uuid) ON DELETE CASCADE,
         reason      TEXT,
         until       INTEGER,
         by_uuid     INTEGER REFERENCES members (uuid) ON DELETE SET NULL,
         date        INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE audit (
         seq          INTEGER PRIMARY KEY AUTOINCREMENT,
         date         INTEGER NOT NULL,
         actor_uuid   INTEGER,
         actor_name   TEXT NOT NULL,
         action       TEXT NOT NULL,
         subject_uuid INTEGER,
         subject_name TEXT NOT NULL,
         details      TEXT NOT NULL
     ) STRICT;",
    // 2 to 3: invites.
    "CREATE TABLE invites (
         code  TEXT PRIMARY KEY,
         uses  INTEGER NOT NULL,
         until INTEGER,
         date  INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;",
    // 3 to 4: sessions.
    "CREATE TABLE sessions (
         uuid        INTEGER PRIMARY KEY,
         member_uuid INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
         token_hash  BLOB NOT NULL UNIQUE,
         name        TEXT,
         created     INTEGER NOT NULL,
         last_used   INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX sessions_by_member ON sessions (member_uuid);",
];

/// Brings a database of ours up to the newest schema, each step whole or not at all, after a
/// copy of it was set aside.
pub(super) fn run(
    connection: &mut Connection,
    location: &Location,
    version: i64,
) -> Result<(), OpenError> {
    if let Location::File(file) = location {
        let copy = set_aside(connection, file.clone(), version)?;
        log::line(format_args!("schema {version} becomes {VERSION}; a copy is {}", copy.display()));
    }
    for (next, step) in (2..).zip(STEPS).filter(|(next, _)| *next > version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A whole copy beside the file, on disk and for its owner only: `aster.db.schema-1`, or with
/// a number behind it where there is one already.
fn set_aside(connection: &Connection, file: PathBuf, version: i64) -> Result<PathBuf, OpenError> {
    let named = |end: String| {
        let mut name = file.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let numbered = (1..).map(|number| named(format!(".schema-{version}.{number}")));
    let mut names = [named(format!(".schema-{version}"))].into_iter().chain(numbered);
    let copy = names.find(|name| !name.exists()).unwrap_or_default();
    let draft = named(format!(".schema-{version}.new"));
    // Left behind by a start that was killed.
    fs::remove_file(&draft).ok();
    let failed = |problem: String| {
        fs::remove_file(&draft).ok();
        OpenError::Copy(problem)
    };
    let name = draft.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned()))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let handle = options.open(&draft).map_err(|error| failed(error.to_string()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(error.to_string()))?;
    let settled = handle.sync_all().and_then(|()| fs::rename(&draft, &copy));
    settled.map_err(|error| failed(error.to_string()))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each older schema as it was, kept for ever.
    const FIRST: &str = include_str!("../../tests/schemas/1.sql");
    const SECOND: &str = include_str!("../../tests/schemas/2.sql");
    const THIRD: &str = include_str!("../../tests/schemas/3.sql");

    fn database(schema: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema).unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection
    }

    /// Every table with its columns, foreign keys and indexes, in words.
    fn shape(connection: &Connection) -> Vec<String> {
        let list = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        };
        let columns = "SELECT format('%s.%s %s %d %s %d', m.name, c.name, c.type, c.[notnull],
            c.dflt_value, c.pk) FROM sqlite_schema m, pragma_table_info(m.name) c
            WHERE m.type = 'table' ORDER BY 1";
        let keys = "SELECT format('%s.%s -> %s.%s %s', m.name, k.[from], k.[table], k.[to],
            k.on_delete) FROM sqlite_schema m, pragma_foreign_key_list(m.name) k
            WHERE m.type = 'table' ORDER BY 1";
        let indexes = "SELECT format('%s %s %s %d %d', m.name, i.origin, group_concat(c.name),
            i.[unique], i.partial) FROM sqlite_schema m, pragma_index_list(m.name) i,
            pragma_index_info(i.name) c WHERE m.type = 'table' GROUP BY m.name, i.name ORDER BY 1";
        let kinds = "SELECT format('%s %d %d', name, wr, strict) FROM pragma_table_list
            WHERE schema = 'main' ORDER BY 1";
        [columns, keys, indexes, kinds].into_iter().flat_map(list).collect()
    }

    #[test]
    fn the_first_schema_becomes_the_newest_and_keeps_what_it_holds() {
        let mut connection = database(FIRST);
        connection
            .execute_batch(
                "INSERT INTO members VALUES (1, 'alice', NULL, '');
                 INSERT INTO groups VALUES (2, 'brewers', 0, 0, x'000000');
                 INSERT INTO channels VALUES (3, 'tea', 0);
                 INSERT INTO channel_overrides VALUES (3, 1, NULL, x'000008'), (3, NULL, 2, x'000004');
                 INSERT INTO messages VALUES (7, 8, 3, 1, 'hello', 9, 0, NULL);",
            )
            .unwrap();
        run(&mut connection, &Location::Memory, 1).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shape(&connection), shape(&database(include_str!("../../init.sql"))));
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM channel_overrides"), 2);
        assert_eq!(count("SELECT count(*) FROM messages WHERE seq = 7 AND uuid = 8"), 1);
    }

    #[test]
    fn each_later_schema_becomes_the_newest() {
        for (version, schema) in [(2, SECOND), (3, THIRD)] {
            becomes_the_newest(version, database(schema));
        }
    }

    fn becomes_the_newest(version: i64, mut connection: Connection) {
        connection
            .execute_batch("INSERT INTO members VALUES (1, 'alice', NULL, '', NULL)")
            .unwrap();
        run(&mut connection, &Location::Memory, version).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shape(&connection), shape(&database(include_str!("../../init.sql"))));
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
        let members: i64 =
            connection.query_row("SELECT count(*) FROM members", [], |row| row.get(0)).unwrap();
        assert_eq!(members, 1);
    }
}
