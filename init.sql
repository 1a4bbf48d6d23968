-- The newest schema. It is compiled in and applied to an empty database by itself; nobody
-- runs it by hand. Changing it means adding a migration to src/store/migrations.rs as well.
--
-- uuids are 53-bit integers, the names of things on the wire. Dates are Unix seconds, UTC.
-- Permissions are three bytes, two bits each, as on the wire.

PRAGMA application_id = 0x41737472; -- "Astr": what tells our files from others'
PRAGMA user_version = 4;            -- the schema's number

-- What a running server was told, by name:
-- 'base_permissions'  a blob of three bytes
-- 'name', 'icon'      text; they win over the configuration. The icon is base64 of a PNG
-- 'access_version'    an integer that grows with every change of who may do what
-- 'users_version'     an integer that grows with every change of a name or picture
-- 'last_backup'       when a backup was last made and found whole
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    uuid     INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    pfp      TEXT,              -- base64 of a PNG, as they set it; null: they never did
    password TEXT NOT NULL,     -- Argon2id in PHC form; empty: the first login sets it
    made_pfp TEXT               -- drawn of the uuid, kept; null: drawn at the next start
) STRICT;

CREATE INDEX members_without_made_pfp ON members (uuid) WHERE made_pfp IS NULL;

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

-- What a channel allows or denies to one member, to the members of one group, or, with
-- neither, to everybody.
CREATE TABLE channel_overrides (
    channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
    member_uuid  INTEGER REFERENCES members (uuid) ON DELETE CASCADE,
    group_uuid   INTEGER REFERENCES groups (uuid) ON DELETE CASCADE,
    permissions  BLOB NOT NULL,
    CHECK (member_uuid IS NULL OR group_uuid IS NULL),
    UNIQUE (channel_uuid, member_uuid),
    UNIQUE (channel_uuid, group_uuid)
) STRICT;

CREATE UNIQUE INDEX channel_overrides_for_everybody ON channel_overrides (channel_uuid)
    WHERE member_uuid IS NULL AND group_uuid IS NULL;

CREATE INDEX channel_overrides_by_member ON channel_overrides (member_uuid);
CREATE INDEX channel_overrides_by_group ON channel_overrides (group_uuid);

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

-- How far a member has read a channel: up to this place in the order, whether or not a message
-- still stands there.
CREATE TABLE read_marks (
    member_uuid  INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
    channel_uuid INTEGER NOT NULL REFERENCES channels (uuid) ON DELETE CASCADE,
    seq          INTEGER NOT NULL,
    date         INTEGER NOT NULL,  -- that of the message marked
    PRIMARY KEY (member_uuid, channel_uuid)
) STRICT, WITHOUT ROWID;

CREATE INDEX read_marks_by_channel ON read_marks (channel_uuid);

-- Who is kept out. One whose end has come is as good as gone.
CREATE TABLE bans (
    member_uuid INTEGER PRIMARY KEY REFERENCES members (uuid) ON DELETE CASCADE,
    reason      TEXT,
    until       INTEGER,            -- null: for ever
    by_uuid     INTEGER REFERENCES members (uuid) ON DELETE SET NULL,
    date        INTEGER NOT NULL
) STRICT;

-- What lets strangers register where the configuration wants an invite. One whose end has come is
-- as good as gone.
CREATE TABLE invites (
    code  TEXT PRIMARY KEY,
    uses  INTEGER NOT NULL,         -- registrations that are left
    until INTEGER,                  -- null: for ever
    date  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Logins that last, by a token of which only the SHA-256 is kept. One unused for long is as good as
-- gone.
CREATE TABLE sessions (
    uuid        INTEGER PRIMARY KEY,
    member_uuid INTEGER NOT NULL REFERENCES members (uuid) ON DELETE CASCADE,
    token_hash  BLOB NOT NULL UNIQUE,
    name        TEXT,               -- what its client calls it
    created     INTEGER NOT NULL,
    last_used   INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_member ON sessions (member_uuid);

-- Who did what to whom, when. Names as they were then; nothing here refers to anything, so
-- that it outlives what it tells of.
CREATE TABLE audit (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    date         INTEGER NOT NULL,
    actor_uuid   INTEGER,           -- null: the owner's command line
    actor_name   TEXT NOT NULL,
    action       TEXT NOT NULL,     -- the name of a command
    subject_uuid INTEGER,           -- null: the server
    subject_name TEXT NOT NULL,
    details      TEXT NOT NULL
) STRICT;

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
