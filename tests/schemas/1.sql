-- The newest schema. It is compiled in and applied to an empty database by itself; nobody
-- runs it by hand. Changing it means adding a migration to src/store/schema.rs as well.
--
-- uuids are 53-bit integers, the names of things on the wire. Dates are Unix seconds, UTC.
-- Permissions are three bytes, two bits each, as on the wire.

PRAGMA application_id = 0x41737472; -- "Astr": what tells our files from others'
PRAGMA user_version = 1;            -- the schema's number

-- What a running server was told, by name. 'base_permissions': a blob of three bytes.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    uuid     INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    pfp      TEXT,              -- base64 of a PNG; null: the server's default picture
    password TEXT NOT NULL      -- Argon2id in PHC form; empty: the first login sets it
) STRICT;

CREATE TABLE groups (
    uuid        INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    colour      INTEGER NOT NULL,   -- 0xRRGGBB
    position    INTEGER NOT NULL,   -- dense; 0 is the highest rank
    permissions BLOB NOT NULL
) STRICT;

CREATE TABLE member_groups (
    member_uuid INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
    group_uuid  INTEGER NOT NULL REFERENCES groups (uuid) ON DELETE CASCADE,
    PRIMARY KEY (member_uuid, group_uuid)
) STRICT, WITHOUT ROWID;

CREATE INDEX member_groups_by_group ON member_groups (group_uuid);

CREATE TABLE channels (
    uuid     INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    position INTEGER NOT NULL       -- dense from 0
) STRICT;

-- What a channel allows or denies to one member or to the members of one group.
CREATE TABLE channel_overrides (
    channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
    member_uuid  INTEGER REFERENCES members (uuid) ON DELETE CASCADE,
    group_uuid   INTEGER REFERENCES groups (uuid) ON DELETE CASCADE,
    permissions  BLOB NOT NULL,
    CHECK ((member_uuid IS NULL) <> (group_uuid IS NULL)),
    UNIQUE (channel_uuid, member_uuid),
    UNIQUE (channel_uuid, group_uuid)
) STRICT;

-- seq is the order of everything said; a uuid only names a message.
CREATE TABLE messages (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid         INTEGER NOT NULL UNIQUE,
    channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
    author_uuid  INTEGER NOT NULL REFERENCES members (uuid),
    content      TEXT NOT NULL,
    date         INTEGER NOT NULL,
    edited       INTEGER NOT NULL DEFAULT 0,
    reply_uuid   INTEGER            -- kept when that message is deleted: no reference
) STRICT;

-- `history` is one range of this index. The author rides along, so that counting what
-- others said after some point never touches the table.
CREATE INDEX messages_by_channel ON messages (channel_uuid, seq, author_uuid);

-- What makes a retried send safe, kept for a day.
CREATE TABLE nonces (
    member_uuid  INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
    nonce        TEXT NOT NULL,
    message_uuid INTEGER NOT NULL,
    date         INTEGER NOT NULL,
    PRIMARY KEY (member_uuid, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_by_date ON nonces (date);

CREATE TABLE emoji (
    uuid INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    data TEXT NOT NULL              -- base64 of a PNG
) STRICT;

-- What members' clients share across devices; opaque to this server.
CREATE TABLE sync_identities (
    member_uuid INTEGER PRIMARY KEY REFERENCES members (uuid) ON DELETE CASCADE,
    uname       TEXT NOT NULL,
    pfp         TEXT NOT NULL
) STRICT;

CREATE TABLE sync_servers (
    member_uuid INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
    idx         INTEGER NOT NULL,
    uuid        INTEGER,            -- the member's uuid there
    uname       TEXT NOT NULL,
    ip          TEXT NOT NULL,
    port        INTEGER NOT NULL,
    pfp         TEXT,
    name        TEXT,
    PRIMARY KEY (member_uuid, idx)
) STRICT, WITHOUT ROWID;
