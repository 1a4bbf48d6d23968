//! The server's face: its name, its icon, its emoji. And whether the database answers.

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, params};

use crate::error::Refusal;
use crate::id::EmojiId;
use crate::protocol::{Emoji, EmojiName, Event, Picture, ServerName};
use crate::store::{Reader, WriteTx};

impl Reader<'_> {
    /// The server's name: as it was set, else as it is configured.
    pub(crate) fn server_name(&self) -> Result<String, Refusal> {
        Ok(self.find_text("name")?.unwrap_or_else(|| self.shared.defaults.name.clone()))
    }

    /// The server's icon in base64: as it was set, else as it is configured.
    pub(crate) fn server_icon(&self) -> Result<String, Refusal> {
        Ok(self.find_text("icon")?.unwrap_or_else(|| self.shared.defaults.icon.clone()))
    }

    fn find_text(&self, setting: &str) -> Result<Option<String>, Refusal> {
        let mut statement =
            self.connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
        Ok(statement.query_row([setting], |row| row.get(0)).optional()?)
    }

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

impl WriteTx<'_> {
    /// Another name for the server, from here on in place of the configured one.
    pub(crate) fn update_server_name(&mut self, name: &ServerName) -> Result<(), Refusal> {
        self.update_setting("name", &name.as_str())?;
        self.publish(Event::NameChanged(name.as_str().to_owned()));
        Ok(())
    }

    /// Another icon for the server, from here on in place of the configured one.
    pub(crate) fn update_server_icon(&mut self, icon: Picture) -> Result<(), Refusal> {
        self.update_setting("icon", &icon.as_base64())?;
        self.publish(Event::IconChanged(icon));
        Ok(())
    }

    pub(super) fn update_setting(&mut self, name: &str, value: &dyn ToSql) -> Result<(), Refusal> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
            .execute(params![name, value])?;
        Ok(())
    }

    /// A new emoji. `Conflict` when its name is taken.
    pub(crate) fn insert_emoji(
        &mut self,
        name: &EmojiName,
        data: Picture,
    ) -> Result<EmojiId, Refusal> {
        let uuid: EmojiId = self.fresh_id("SELECT 1 FROM emoji WHERE uuid = ?1")?;
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO emoji (uuid, name, data) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO NOTHING",
            )?
            .execute(params![uuid, name.as_str(), data.into_base64()])?;
        match inserted {
            0 => Err(Refusal::Conflict),
            _ => self.publish_emoji().map(|()| uuid),
        }
    }

    /// Removes an emoji.
    pub(crate) fn delete_emoji(&mut self, emoji: EmojiId) -> Result<(), Refusal> {
        self.connection.prepare_cached("DELETE FROM emoji WHERE uuid = ?1")?.execute([emoji])?;
        self.publish_emoji()
    }

    fn publish_emoji(&mut self) -> Result<(), Refusal> {
        let emoji = self.list_emoji()?;
        self.publish(Event::EmojiChanged(emoji));
        Ok(())
    }
}
