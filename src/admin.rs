//! The owner's command line: errands done on the database itself, whether or not a server is
//! running on it. One that is running notices within a second.

use std::fmt;
use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::{process, thread};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::access::{Decision, Layer};
use crate::config::Config;
use crate::error::{Refusal, StartupError};
use crate::id::{ChannelId, GroupId, MemberId, now_s};
use crate::log;
use crate::password::PasswordHasher;
use crate::protocol::{Colour, MemberName, Password, Permissions, ServerName};
use crate::store::{AuditEntry, AuditSubject, Defaults, Location, PasswordHash, Store, WriteTx};

/// What the owner wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Errand {
    /// Make a member the owner, and the account where there is none; or no longer the owner.
    Owner {
        /// Who.
        name: String,
        /// Whether they are to be one no longer.
        remove: bool,
    },
    /// Give a member another password.
    Passwd {
        /// Who.
        name: String,
    },
    /// Print the audit record.
    Audit,
    /// Explain what a member may do in a channel.
    Why {
        /// Who.
        member: String,
        /// The channel's name, or its uuid.
        channel: String,
    },
}

/// Why an errand could not be done.
#[derive(Debug)]
pub enum Failure {
    /// Configuration or database: as when the server cannot start.
    CannotStart(StartupError),
    /// What was asked for cannot be done; in words for who asked.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotStart(error) => error.fmt(formatter),
            Self::Refused(words) => formatter.write_str(words),
        }
    }
}

impl From<StartupError> for Failure {
    fn from(error: StartupError) -> Self {
        Self::CannotStart(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(match refusal {
            Refusal::Internal(cause) => cause,
            Refusal::BadRequest
            | Refusal::Unauthorised
            | Refusal::Forbidden
            | Refusal::NotFound
            | Refusal::MethodNotAllowed
            | Refusal::Conflict => "somebody else was faster; try again".to_owned(),
        })
    }
}

/// Does one errand, and says on standard output what came of it. Before the first start it
/// makes what that would make.
pub fn run_errand(config: &Config, errand: &Errand) -> Result<(), Failure> {
    let location = Location::File(config.database_file.clone());
    let store = Store::open_beside(&location, Defaults::of(config))?;
    match errand {
        Errand::Owner { name, remove: false } => make_owner(&store, name),
        Errand::Owner { name, remove: true } => unmake_owner(&store, name),
        Errand::Passwd { name } => set_password(&store, name),
        Errand::Audit => print_audit(&store),
        Errand::Why { member, channel } => explain(&store, member, channel),
    }
}

fn make_owner(store: &Store, name: &str) -> Result<(), Failure> {
    let name = parse_name(name)?;
    let password = match store.read(|db| db.find_member(&name))? {
        Some(_) => None,
        None => Some(ask_password(&format!("new password for {}", name.as_str()))?),
    };
    let shown = name.as_str().to_owned();
    let is_new = store.write(move |tx| {
        let member = match (tx.find_member(&name)?, &password) {
            (Some(member), _) => member,
            (None, Some(password)) => tx.insert_member(&name, password)?,
            (None, None) => return Err(Refusal::NotFound),
        };
        let group = match find_owners(tx) {
            Some(group) => group,
            None => {
                let name = ServerName::try_from("owners".to_owned()).map_err(Refusal::internal)?;
                let colour = Colour::try_from(OWNERS_COLOUR).map_err(Refusal::internal)?;
                tx.insert_group(&name, colour, 0, Permissions::ALLOW_ALL)?
            }
        };
        if tx.access().groups_of(member).contains(&group) {
            return Ok(false);
        }
        tx.insert_membership(member, group)?;
        let subject = AuditSubject::new(member.raw(), name.as_str());
        if tx.access().is_banned(member, now_s()) {
            // No request could lift it from here on.
            tx.delete_ban(member)?;
            tx.record(None, "unban", subject.clone(), "")?;
        }
        tx.record(None, "owner", subject, "")?;
        Ok(true)
    })?;
    log::answer(format_args!("{shown} is {} owner", if is_new { "now an" } else { "already an" }));
    Ok(())
}

/// As shells have it for a program that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// Amber.
const OWNERS_COLOUR: u32 = 0xf0_a0_30;

fn unmake_owner(store: &Store, name: &str) -> Result<(), Failure> {
    let (name, member) = find_member(store, name)?;
    let subject = AuditSubject::new(member.raw(), name.as_str());
    let is_done = store.write(move |tx| {
        let owners = find_owners(tx);
        let group = owners.filter(|group| tx.access().groups_of(member).contains(group));
        let Some(group) = group else { return Ok(false) };
        tx.delete_membership(member, group)?;
        tx.record(None, "owner --remove", subject, "")?;
        Ok(true)
    })?;
    match is_done {
        true => log::answer(format_args!("{} is no longer an owner", name.as_str())),
        false => return Err(Failure::Refused(format!("{} is no owner", name.as_str()))),
    }
    Ok(())
}

/// The group at position 0, if it has every permission (protocol section 4, "Rank").
fn find_owners(tx: &WriteTx<'_>) -> Option<GroupId> {
    let top = tx.access().groups().first()?;
    (top.permissions == Permissions::ALLOW_ALL).then_some(top.uuid)
}

fn set_password(store: &Store, name: &str) -> Result<(), Failure> {
    let (name, member) = find_member(store, name)?;
    let password = ask_password(&format!("new password for {}", name.as_str()))?;
    let subject = AuditSubject::new(member.raw(), name.as_str());
    store.write(move |tx| {
        tx.update_password(member, &password)?;
        // A running server ends the member's connections when it sees this line.
        tx.record(None, "passwd", subject, "")
    })?;
    log::answer(format_args!("{} has a new password", name.as_str()));
    Ok(())
}

fn parse_name(name: &str) -> Result<MemberName, Failure> {
    let refused = |problem| Failure::Refused(format!("{}: {problem}", name.escape_debug()));
    MemberName::try_from(name.to_owned()).map_err(refused)
}

fn find_member(store: &Store, name: &str) -> Result<(MemberName, MemberId), Failure> {
    let name = parse_name(name)?;
    let member = store.read(|db| db.find_member(&name))?;
    let unknown = || Failure::Refused(format!("there is no member {}", name.as_str()));
    member.ok_or_else(unknown).map(|member| (name.clone(), member))
}

/// A line for each entry, oldest first: date (UTC), who, what, to whom, more of it. Between
/// them are tabs, which no name can hold.
fn print_audit(store: &Store) -> Result<(), Failure> {
    let mut output = BufWriter::new(io::stdout().lock());
    let say = |entry: AuditEntry| {
        let fields = [entry.date, entry.actor, entry.action, entry.subject, entry.details];
        writeln!(output, "{}", fields.join("\t").trim_end()).map_err(Refusal::internal)
    };
    store.read(|db| db.for_each_audit_entry(say))?;
    output.flush().map_err(|error| Failure::Refused(error.to_string()))
}

fn explain(store: &Store, member: &str, channel: &str) -> Result<(), Failure> {
    let (name, member) = find_member(store, member)?;
    let access = store.access();
    let mut channels = access.channels_called(channel);
    if let Some(name) = channel.strip_prefix('#') {
        channels.extend(access.channels_called(name));
    }
    channels.extend(channel.parse().ok().and_then(|raw: u64| ChannelId::try_from(raw).ok()));
    let mut is_found = false;
    for channel in channels {
        let decisions = access.explain(member, channel);
        if !decisions.is_empty() {
            is_found = true;
            let banned = if access.is_banned(member, now_s()) { ", but banned" } else { "" };
            log::answer(format_args!("{} in channel {channel}{banned}:", name.as_str()));
        }
        for Decision { permission, is_allowed, decided_by } in decisions {
            let setting = if is_allowed { "allow" } else { "deny" };
            let decider = decided_by.map_or("nothing decides it".to_owned(), describe);
            log::answer(format_args!("  {:<18} {setting:<5}  {decider}", permission.name()));
        }
    }
    let unknown = || Failure::Refused(format!("there is no channel {}", channel.escape_debug()));
    is_found.then_some(()).ok_or_else(unknown)
}

fn describe(layer: Layer<'_>) -> String {
    match layer {
        Layer::Base => "the base".to_owned(),
        Layer::Everyone => "the channel, for everyone".to_owned(),
        Layer::Group(group) => format!("the group {}", group.name),
        Layer::GroupHere(group) => format!("the channel, for the group {}", group.name),
        Layer::MemberHere => "the channel, for this member".to_owned(),
    }
}

/// Asks on the terminal, where nothing of it shows, or takes one line of standard input.
fn ask_password(prompt: &str) -> Result<PasswordHash, Failure> {
    let no_password =
        |problem: &dyn fmt::Display| Failure::Refused(format!("no password: {problem}"));
    let mut line = String::new();
    let hidden = hide_typing(prompt).map_err(|error| no_password(&error))?;
    let outcome = io::stdin().lock().read_line(&mut line);
    drop(hidden);
    outcome.map_err(|error| no_password(&error))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let password = Password::try_from(text.to_owned());
    Ok(PasswordHasher::new(1).hash(&password.map_err(|problem| no_password(&problem))?)?)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Drop for Hidden {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
        eprintln!();
    }
}

/// Prompts, and hides what is typed from there on; also a signal that ends the program shows it
/// again. `None` where standard input is no terminal.
fn hide_typing(prompt: &str) -> io::Result<Option<Hidden>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    let shown = tcgetattr(&stdin)?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])?;
    let on_signal = Hidden(shown.clone());
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            drop(on_signal);
            process::exit(EXIT_INTERRUPTED);
        }
    });
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    eprint!("{prompt}: ");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    Ok(Some(Hidden(shown)))
}
