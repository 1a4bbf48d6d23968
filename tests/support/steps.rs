//! The sentences that a transcript may have, and what each does.

use serde_json::Value;

use super::pictures;
use super::world::{Setting, World};

/// What a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Before the server starts: into the database, or into `config.json`.
    Prepare(Preparation),
    /// While it runs. Named are clients, and the members of the same name.
    LogIn(Vec<String>),
    /// A second connection of a member, under a name of its own.
    LogInAgain { member: String, client: String },
    /// A connection without a login.
    Connect(Vec<String>),
    /// In an orderly way, and nothing may be left over.
    Leave(Vec<String>),
    /// The TCP connection ends, without a word.
    Drop(String),
    /// The TCP connection ends by an RST.
    Reset(String),
    /// The stream has been ended by the server, properly, as the client asked.
    Ended(String),
    /// The stream has been ended by the server, properly, as it no longer wants this client.
    ThrownOut(String),
    /// SIGTERM or SIGKILL, and a new start in the same folder.
    Restart(&'static str),
    /// A name for a string that is too long to be written out.
    Bytes { name: String, count: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Preparation {
    Members(Vec<String>),
    Channels(Vec<String>),
    Groups(Vec<String>),
    Emoji(Vec<String>),
    Owner(Vec<String>),
    /// A group that says something of some permissions.
    Group {
        name: String,
        setting: Setting,
        permissions: Vec<String>,
    },
    Base {
        setting: Setting,
        permissions: Vec<String>,
    },
    /// What a channel says of some permissions, to each of these members or groups.
    Override {
        channels: Vec<String>,
        setting: Setting,
        permissions: Vec<String>,
        subjects: Vec<String>,
    },
    Right {
        members: Vec<String>,
        permission: String,
    },
    Join {
        members: Vec<String>,
        groups: Vec<String>,
    },
    Ban {
        members: Vec<String>,
        until: Option<i64>,
    },
    Messages {
        author: String,
        count: u32,
        channel: String,
        at_once: bool,
    },
    /// A code with which so many can register, until then.
    Invite {
        code: String,
        uses: u32,
        until: Option<i64>,
    },
    Config(Value),
}

use Preparation::{
    Ban, Base, Channels, Config, Emoji, Group, Groups, Invite, Join, Members, Messages, Override,
    Owner, Right,
};
use Setting::{Allow, Deny};

/// Makes a step of what stands in the holes of a sentence, if it can be one.
type Read = fn(&[&str]) -> Option<Step>;

/// Every sentence there is; `_` stands for a name, a list of names, a number, or JSON.
const SENTENCES: &[(&str, Read)] = &[
    ("there is a member _", |hole| prepare(Members(names(hole[0])))),
    ("there are members _", |hole| prepare(Members(names(hole[0])))),
    ("there is a channel _", |hole| prepare(Channels(names(hole[0])))),
    ("there are channels _", |hole| prepare(Channels(names(hole[0])))),
    ("there is a group _ that allows _", |hole| group(hole, Allow)),
    ("there is a group _ that denies _", |hole| group(hole, Deny)),
    ("there is a group _", |hole| prepare(Groups(names(hole[0])))),
    ("there are groups _", |hole| prepare(Groups(names(hole[0])))),
    ("there is an emoji _", |hole| prepare(Emoji(names(hole[0])))),
    ("there are emoji _", |hole| prepare(Emoji(names(hole[0])))),
    ("_ is the owner", |hole| prepare(Owner(names(hole[0])))),
    ("_ are owners", |hole| prepare(Owner(names(hole[0])))),
    ("the base allows _", |hole| prepare(Base { setting: Allow, permissions: names(hole[0]) })),
    ("the base denies _", |hole| prepare(Base { setting: Deny, permissions: names(hole[0]) })),
    ("_ may not see _", |hole| say(hole[1], Deny, "view_channel", hole[0])),
    ("_ may not read _", |hole| say(hole[1], Deny, "read_messages", hole[0])),
    ("_ may not send in _", |hole| say(hole[1], Deny, "send_messages", hole[0])),
    ("_ allows _ to _", |hole| say(hole[0], Allow, hole[1], hole[2])),
    ("_ denies _ to _", |hole| say(hole[0], Deny, hole[1], hole[2])),
    ("_ has the right _", |hole| {
        prepare(Right { members: names(hole[0]), permission: hole[1].to_owned() })
    }),
    ("_ have the right _", |hole| {
        prepare(Right { members: names(hole[0]), permission: hole[1].to_owned() })
    }),
    ("_ is in the group _", |hole| {
        prepare(Join { members: names(hole[0]), groups: names(hole[1]) })
    }),
    ("_ are in the group _", |hole| {
        prepare(Join { members: names(hole[0]), groups: names(hole[1]) })
    }),
    ("_ is in the groups _", |hole| {
        prepare(Join { members: names(hole[0]), groups: names(hole[1]) })
    }),
    ("_ is banned until _", |hole| ban(hole[0], Some(hole[1].parse().ok()?))),
    ("_ is banned", |hole| ban(hole[0], None)),
    ("_ are banned", |hole| ban(hole[0], None)),
    ("_ sent a message to _", |hole| messages(hole[0], "1", hole[1], false)),
    ("_ sent _ messages to _ at once", |hole| messages(hole[0], hole[1], hole[2], true)),
    ("_ sent _ messages to _", |hole| messages(hole[0], hole[1], hole[2], false)),
    ("_ is an invite for one", |hole| invite(hole[0], "1", None)),
    ("_ is an invite for _", |hole| invite(hole[0], hole[1], None)),
    ("_ is an invite that ended", |hole| invite(hole[0], "1", Some(1_700_000_000))),
    ("the configuration has _", |hole| prepare(Config(serde_json::from_str(hole[0]).ok()?))),
    ("_ log in", |hole| Some(Step::LogIn(names(hole[0])))),
    ("_ logs in", |hole| Some(Step::LogIn(names(hole[0])))),
    ("_ logs in again as _", |hole| {
        Some(Step::LogInAgain { member: hole[0].to_owned(), client: hole[1].to_owned() })
    }),
    ("_ connects", |hole| Some(Step::Connect(names(hole[0])))),
    ("_ connect", |hole| Some(Step::Connect(names(hole[0])))),
    ("_ leaves", |hole| Some(Step::Leave(names(hole[0])))),
    ("_ leave", |hole| Some(Step::Leave(names(hole[0])))),
    ("_'s connection drops", |hole| Some(Step::Drop(hole[0].to_owned()))),
    ("_'s connection is reset", |hole| Some(Step::Reset(hole[0].to_owned()))),
    ("_'s connection was ended", |hole| Some(Step::Ended(hole[0].to_owned()))),
    ("_ was thrown out", |hole| Some(Step::ThrownOut(hole[0].to_owned()))),
    ("the server restarts", |_| Some(Step::Restart("TERM"))),
    ("the server is killed and starts again", |_| Some(Step::Restart("KILL"))),
    ("$_ is _ bytes long", |hole| {
        Some(Step::Bytes { name: hole[0].to_owned(), count: hole[1].parse().ok()? })
    }),
];

fn prepare(preparation: Preparation) -> Option<Step> {
    Some(Step::Prepare(preparation))
}

fn group(hole: &[&str], setting: Setting) -> Option<Step> {
    prepare(Group { name: hole[0].to_owned(), setting, permissions: names(hole[1]) })
}

fn say(channels: &str, setting: Setting, permissions: &str, subjects: &str) -> Option<Step> {
    let (channels, permissions, subjects) = (names(channels), names(permissions), names(subjects));
    prepare(Override { channels, setting, permissions, subjects })
}

fn ban(members: &str, until: Option<i64>) -> Option<Step> {
    prepare(Ban { members: names(members), until })
}

fn messages(author: &str, count: &str, channel: &str, at_once: bool) -> Option<Step> {
    let (author, count, channel) = (author.to_owned(), count.parse().ok()?, names(channel));
    prepare(Messages { author, count, channel: channel.into_iter().next()?, at_once })
}

fn invite(code: &str, uses: &str, until: Option<i64>) -> Option<Step> {
    prepare(Invite { code: code.to_owned(), uses: uses.parse().ok()?, until })
}

/// `alice, bob and carol` as a list. A channel's `#` is for the reader.
fn names(text: &str) -> Vec<String> {
    text.split(", ")
        .flat_map(|part| part.split(" and "))
        .map(|name| name.trim_start_matches('#').to_owned())
        .collect()
}

/// Reads a line of sentences with `;` between them.
pub fn parse(line: &str) -> Result<Vec<Step>, String> {
    line.split("; ")
        .map(|sentence| parse_sentence(sentence).ok_or(format!("no such step: {sentence}")))
        .collect()
}

fn parse_sentence(sentence: &str) -> Option<Step> {
    let fits = |name: &&str| {
        name.contains('{') || names(name).iter().all(|name| !name.is_empty() && !name.contains(' '))
    };
    SENTENCES.iter().find_map(|(pattern, step)| {
        let holes = fill_holes(pattern, sentence)?;
        if holes.iter().all(fits) { step(&holes) } else { None }
    })
}

/// What stands in `text` where `pattern` has `_`.
fn fill_holes<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split('_');
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut holes = Vec::new();
    for part in parts {
        let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
        holes.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(holes)
}

impl Preparation {
    /// Writes what the database has to have; gives back what `config.json` has to have.
    pub fn carry_out(&self, world: &mut World) -> Option<Value> {
        match self {
            Members(names) => names.iter().for_each(|name| _ = world.member(name)),
            Channels(names) => names.iter().for_each(|name| _ = world.channel(name)),
            Groups(names) => names.iter().for_each(|name| _ = world.group(name)),
            Emoji(names) => {
                let (_, picture) = &pictures::all()[0];
                names.iter().for_each(|name| world.emoji(name, picture));
            }
            Owner(names) => {
                let group = world.owners();
                names.iter().for_each(|name| world.join(name, group));
            }
            Group { name, setting, permissions } => {
                world.group_that_says(name, *setting, permissions);
            }
            Base { setting, permissions } => world.base(*setting, permissions),
            Override { channels, setting, permissions, subjects } => {
                for channel in channels {
                    for subject in subjects {
                        world.say_in(channel, *setting, permissions, subject);
                    }
                }
            }
            Ban { members, until } => members.iter().for_each(|name| world.ban(name, *until)),
            Right { members, permission } => {
                let group = world.group(permission);
                members.iter().for_each(|member| world.join(member, group));
            }
            Join { members, groups } => {
                let groups: Vec<_> =
                    groups.iter().map(|group| world.names[group].as_i64().unwrap()).collect();
                members
                    .iter()
                    .for_each(|member| groups.iter().for_each(|group| world.join(member, *group)));
            }
            Messages { author, count, channel, at_once: false } => {
                world.messages(author, *count, channel, "");
            }
            Messages { author, count, channel, at_once: true } => {
                world.messages_at_once(author, *count, channel);
            }
            Invite { code, uses, until } => world.invite(code, *uses, *until),
            Config(keys) => return Some(keys.clone()),
        }
        None
    }
}
