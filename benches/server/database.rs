//! Databases that a server finds: members with sessions, a channel with a long history.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::digest::{SHA256, digest};
use rusqlite::Connection;

use crate::clients::PASSWORD;
use crate::server::{CHANNEL, make_folder, prepare_database};
use crate::{Bench, Outcome};

/// The first message's uuid; they ascend with time, as the server's do.
pub(crate) const FIRST_MESSAGE: u64 = 8_000_000_000_000_000;
/// The server's figures for a password (OWASP's): KiB, passes, lanes.
const PASSWORD_COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Members who said all there is.
const SPEAKERS: usize = 10;
const SALT: &[u8; 16] = b"salt of the sea.";

/// A folder with a database that has so many members, each with a session, and messages.
pub(crate) fn make_community(bench: &Bench, members: usize, messages: u64) -> Outcome<PathBuf> {
    let folder = make_folder(&bench.folder)?;
    let mut database = prepare_database(&folder, members)?;
    add_messages(&database, messages)?;
    add_sessions(&mut database, members)?;
    Ok(folder)
}

fn add_sessions(database: &mut Connection, members: usize) -> Outcome<()> {
    let transaction = database.transaction()?;
    let session = "INSERT INTO sessions (uuid, member_uuid, token_hash, created, last_used)
        VALUES (?1, ?1, ?2, ?3, ?3)";
    for index in 0..members {
        let hash = digest(&SHA256, token(index).as_bytes());
        let uuid = CHANNEL + 1 + index as u64;
        transaction.execute(session, (uuid, hash.as_ref(), now_s()?))?;
    }
    Ok(transaction.commit()?)
}

/// What member `index` logs in by.
pub(crate) fn token(index: usize) -> String {
    format!("token of member {index}")
}

/// Makes it an hour since anybody was here.
pub(crate) fn let_an_hour_pass(database: &Connection) -> Outcome<()> {
    database.execute("UPDATE sessions SET last_used = ?1", [now_s()? - 3600])?;
    Ok(())
}

/// Gives every member the one password.
pub(crate) fn set_passwords(database: &Connection) -> Outcome<()> {
    let (memory_kib, passes, lanes) = PASSWORD_COST;
    let mut hash = [0; 32];
    Hasher::new()?.hash(PASSWORD, &mut hash)?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(SALT), STANDARD_NO_PAD.encode(hash));
    let phc = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}");
    database.execute("UPDATE members SET password = ?1", [phc])?;
    Ok(())
}

/// Argon2id by itself, as the server has it: in memory that is kept.
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl Hasher {
    /// With the server's figures.
    pub(crate) fn new() -> Outcome<Self> {
        let (memory_kib, passes, lanes) = PASSWORD_COST;
        let params = Params::new(memory_kib, passes, lanes, None).map_err(|it| it.to_string())?;
        let memory = vec![Block::default(); params.block_count()];
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), memory })
    }

    /// One hash.
    pub(crate) fn hash(&mut self, password: &str, hash: &mut [u8; 32]) -> Outcome<()> {
        let (password, memory) = (password.as_bytes(), &mut self.memory);
        let hashed = self.argon2.hash_password_into_with_memory(password, SALT, hash, memory);
        Ok(hashed.map_err(|error| error.to_string())?)
    }
}

/// The folder of a server with so many messages, made if it is not there. It stays until
/// [`remove_histories`].
pub(crate) fn keep_history(bench: &Bench, messages: u64) -> Outcome<PathBuf> {
    let folder = histories(bench).join(messages.to_string());
    if !folder.exists() {
        fs::create_dir_all(&folder)?;
        let mut database = prepare_database(&folder, SPEAKERS)?;
        add_messages(&database, messages)?;
        add_sessions(&mut database, SPEAKERS)?;
    }
    Ok(folder)
}

/// Removes what [`keep_history`] made.
pub(crate) fn remove_histories(bench: &Bench) -> Outcome<()> {
    let folder = histories(bench);
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

fn histories(bench: &Bench) -> PathBuf {
    bench.folder.join(format!("bench-histories-{}", std::process::id()))
}

/// Lets the first members say so much in turn.
fn add_messages(database: &Connection, messages: u64) -> Outcome<()> {
    // Nothing but this program knows of it yet, so that a crash half way costs nobody anything.
    database.pragma_update(None, "journal_mode", "OFF")?;
    database.pragma_update(None, "synchronous", "OFF")?;
    database.pragma_update(None, "cache_size", -65_536)?;
    // In one statement, which is one transaction.
    database.execute(
        "INSERT INTO messages (uuid, channel_uuid, author_uuid, content, date)
         SELECT ?1 + value, ?2, ?2 + 1 + value % ?4,
             'message ' || value || ': the kettle is on, would anybody like a cup?',
             1700000000 + value
         FROM (WITH RECURSIVE numbers (value) AS
             (SELECT 0 UNION ALL SELECT value + 1 FROM numbers LIMIT ?3)
             SELECT value FROM numbers)",
        (FIRST_MESSAGE, CHANNEL, messages, SPEAKERS as u64),
    )?;
    // As the server leaves it.
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

/// The size of a folder's database.
pub(crate) fn size_mib(folder: &Path) -> Outcome<f64> {
    Ok(fs::metadata(folder.join("bench.db"))?.len() as f64 / f64::from(1 << 20))
}

fn now_s() -> Outcome<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64)
}
