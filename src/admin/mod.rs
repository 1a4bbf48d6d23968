//! The owner's command line: errands done on the database itself, whether or not a server is
//! running on it. One that is running notices within a second.

mod check;
mod owners;
mod prompt;
mod reports;

use std::fmt;

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
        Errand::Owner { name, remove: false } => owners::make_owner(&store, name),
        Errand::Owner { name, remove: true } => owners::unmake_owner(&store, name),
        Errand::Passwd { name } => owners::set_password(&store, name),
        Errand::Audit => reports::print_audit(&store),
        Errand::Why { member, channel } => reports::explain(&store, member, channel),
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
