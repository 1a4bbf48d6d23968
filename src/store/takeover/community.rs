//! The older server's members, channels, groups, emoji and what its members' clients share.

use std::collections::{HashMap, HashSet};

use rusqlite::params;
use rusqlite::types::Value;

use crate::protocol::Picture;
use crate::store::schema::{OpenError, insert_first_channel};
use crate::store::takeover::mending::{emoji_name, integer, member_name, text, text_or_null, uuid};
use crate::store::takeover::rows::{Older, UNKNOWN_PASSWORD};

/// Colours are 0xRRGGBB.
const COLOUR_MAX: i64 = 0xff_ff_ff;

impl Older<'_> {
    pub(super) fn take_members(&mut self) -> Result<(), OpenError> {
        // A name that may stay is not to be taken by one that is mended before its turn.
        let mut theirs: HashSet<String> = HashSet::new();
        self.for_each("users", ["name"], "", |_, [name]| {
            theirs.insert(text(name));
            Ok(())
        })?;
        self.for_each("users", ["uuid", "name", "pfp", "password"], "", |this, row| {
            let [older, name, pfp, password] = row;
            let name = text(name);
            let mut new = member_name(&name, |_| false);
            if new != name || this.names.contains(&name) {
                new = member_name(&name, |new| this.names.contains(new) || theirs.contains(new));
                this.count_mended("names mended", true);
            }
            let pfp = text(pfp);
            let had_pfp = !pfp.is_empty();
            let pfp = Picture::try_from(pfp).ok().map(Picture::into_base64);
            this.count_mended("unreadable pictures left out", pfp.is_none() && had_pfp);
            *this.taken.entry("pictures").or_default() += u64::from(pfp.is_some());
            let password = match &password {
                Value::Text(hash) if hash.is_empty() || hash.starts_with("$argon2") => hash,
                _ => UNKNOWN_PASSWORD,
            };
            let is_unknown = password == UNKNOWN_PASSWORD;
            this.count_mended("unreadable passwords (give new ones)", is_unknown);
            this.insert_member(&older, new, pfp, password).map(drop)
        })
    }

    pub(super) fn take_channels(&mut self) -> Result<(), OpenError> {
        let mut position = 0..;
        self.for_each("channels", ["uuid", "name"], "position", |this, [older, name]| {
            let name = this.mend_server_name(name, "channel");
            let uuid = this.adopt(|this| &mut this.channels, &older)?;
            this.insert(
                "channels",
                "INSERT INTO channels (uuid, name, position) VALUES (?1, ?2, ?3)",
                params![uuid, name, position.next()],
            )
        })?;
        if position.start == 0 { insert_first_channel(self.new) } else { Ok(()) }
    }

    pub(super) fn take_groups(&mut self) -> Result<(), OpenError> {
        let columns = ["uuid", "name", "colour", "permissions"];
        let mut position = 0..;
        self.for_each("groups", columns, "position", |this, [older, name, colour, said]| {
            let name = this.mend_server_name(name, "group");
            let uuid = this.adopt(|this| &mut this.groups, &older)?;
            let colour = integer(&colour).unwrap_or_default() & COLOUR_MAX;
            let said = this.mend_permissions(&said);
            this.insert(
                "groups",
                "INSERT INTO groups (uuid, name, colour, position, permissions)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![uuid, name, colour, position.next(), said],
            )
        })?;
        self.for_each("user_groups", ["user_uuid", "group_uuid"], "", |this, [member, group]| {
            let ids = (this.members.find(&member), this.groups.find(&group));
            let (Some(member), Some(group)) = ids else {
                this.count_mended("memberships of nobody or in nothing left out", true);
                return Ok(());
            };
            this.insert(
                "memberships",
                "INSERT OR IGNORE INTO member_groups (member_uuid, group_uuid) VALUES (?1, ?2)",
                [member, group],
            )
        })
    }

    /// The older server wrote groups into the column for members, and the other way round. Each
    /// uuid is what it is found to be.
    pub(super) fn take_overrides(&mut self) -> Result<(), OpenError> {
        let columns = ["channel_uuid", "user_uuid", "group_uuid", "permissions"];
        self.for_each("channel_group_permissions", columns, "", |this, row| {
            let [channel, one, other, said] = row;
            let said = this.mend_permissions(&said);
            let channel = this.channels.find(&channel);
            let mut is_of_somebody = false;
            for subject in [one, other] {
                let group = this.groups.find(&subject);
                let member = this.members.find(&subject).filter(|_| group.is_none());
                if channel.is_some() && group.or(member).is_some() {
                    is_of_somebody = true;
                    this.insert(
                        "channel overrides",
                        "INSERT OR IGNORE INTO channel_overrides
                         (channel_uuid, member_uuid, group_uuid, permissions)
                         VALUES (?1, ?2, ?3, ?4)",
                        params![channel, member, group, said],
                    )?;
                }
            }
            this.count_mended("channel overrides for nobody left out", !is_of_somebody);
            Ok(())
        })
    }

    /// The name and icon that stand beside it were never served (protocol section 10).
    pub(super) fn take_base(&mut self) -> Result<(), OpenError> {
        self.for_each("server_config", ["base_perms"], "", |this, [said]| {
            if said == Value::Null {
                return Ok(());
            }
            let said = this.mend_permissions(&said);
            this.insert(
                "base permissions",
                "INSERT OR IGNORE INTO settings (name, value) VALUES ('base_permissions', ?1)",
                [said],
            )
        })
    }

    pub(super) fn take_emoji(&mut self) -> Result<(), OpenError> {
        let mut names = HashSet::new();
        self.for_each("emojis", ["uuid", "name", "data"], "", |this, [older, name, data]| {
            let Ok(data) = Picture::try_from(text(data)) else {
                this.count_mended("unreadable emoji left out", true);
                return Ok(());
            };
            let name = text(name);
            let new = emoji_name(&name, |name| names.contains(name));
            this.count_mended("names mended", new != name);
            names.insert(new.clone());
            let uuid = this.adopt(|this| &mut this.emoji, &older)?;
            this.insert(
                "emoji",
                "INSERT INTO emoji (uuid, name, data) VALUES (?1, ?2, ?3)",
                params![uuid, new, data.into_base64()],
            )
        })
    }

    /// Kept as it is: only the member's own clients see it.
    pub(super) fn take_sync(&mut self) -> Result<(), OpenError> {
        self.for_each("sync_data", ["user_uuid", "uname", "pfp"], "", |this, row| {
            let [member, uname, pfp] = row;
            let Some(member) = this.members.find(&member) else {
                this.count_mended("sync data of nobody left out", true);
                return Ok(());
            };
            this.insert(
                "sync identities",
                "INSERT OR IGNORE INTO sync_identities (member_uuid, uname, pfp)
                 VALUES (?1, ?2, ?3)",
                params![member, text(uname), text(pfp)],
            )
        })?;
        let columns = ["user_uuid", "uuid", "uname", "ip", "port", "pfp", "name"];
        let mut places: HashMap<i64, i64> = HashMap::new();
        self.for_each("sync_servers", columns, "idx", |this, row| {
            let [member, there, uname, ip, port, pfp, name] = row;
            let member = this.members.find(&member);
            let port = integer(&port).filter(|port| (1..=65535).contains(port));
            let (Some(member), Some(port)) = (member, port) else {
                this.count_mended("sync servers of nobody or without a port left out", true);
                return Ok(());
            };
            let idx = places.entry(member).or_default();
            let (pfp, name) = (text_or_null(pfp), text_or_null(name));
            this.insert(
                "sync servers",
                "INSERT INTO sync_servers (member_uuid, idx, uuid, uname, ip, port, pfp, name)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![member, *idx, uuid(&there), text(uname), text(ip), port, pfp, name],
            )?;
            *idx += 1;
            Ok(())
        })
    }
}
