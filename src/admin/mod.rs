//! The owner's command line: errands done on the database itself, whether or not a server is
//! running on it. One that is running notices within a second.

mod backup;
mod check;
mod invites;
mod owners;
mod prompt;
mod reports;

use std::fmt;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::{Refusal, StartupError};
use crate::id::MemberId;
use crate::protocol::MemberName;
use crate::store::{Defaults, Location, Store};

pub use check::check;

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
    /// Copy the database, and check the copy.
    Backup {
        /// To where.
        file: PathBuf,
    },
    /// Make an invite code, and print it.
    Invite {
        /// For how many registrations; `None`: for one.
        uses: Option<u32>,
        /// For how many days, 0 for ever; `None`: for a week.
        days: Option<u32>,
    },
    /// Withdraw an invite code.
    RemoveInvite {
        /// Which.
        code: String,
    },
    /// Print the invite codes that are open.
    Invites,
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
            | Refusal::Conflict
            | Refusal::HungUp => "somebody else was faster; try again".to_owned(),
        })
    }
}

/// Does one errand, and says on standard output what came of it. Before the first start it
/// makes what that would make.
pub fn run_errand(config: &Config, errand: &Errand) -> Result<(), Failure> {
    let open = || {
        let location = Location::File(config.database_file.clone());
        Store::open_beside(&location, Defaults::of(config))
    };
    match errand {
        // Also beside a server of another version, and without changing its schema.
        Errand::Backup { file } => backup::back_up(config, file),
        Errand::Owner { name, remove: false } => owners::make_owner(&open()?, name),
        Errand::Owner { name, remove: true } => owners::unmake_owner(&open()?, name),
        Errand::Passwd { name } => owners::set_password(&open()?, name),
        Errand::Invite { uses, days } => invites::make(&open()?, config, *uses, *days),
        Errand::RemoveInvite { code } => invites::remove(&open()?, code),
        Errand::Invites => invites::print(&open()?),
        Errand::Audit => reports::print_audit(&open()?),
        Errand::Why { member, channel } => reports::explain(&open()?, member, channel),
    }
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
