//! Invites: made, withdrawn, listed.

use ring::rand::{SecureRandom, SystemRandom};

use crate::admin::Failure;
use crate::config::{Config, Registration};
use crate::error::Refusal;
use crate::id::now_s;
use crate::log;
use crate::protocol::InviteCode;
use crate::store::{AuditSubject, Reader, Store};

/// What is not taken for one another when it is read out or copied by hand: no i, l, o and u.
/// There are 32, so each is five bits.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Of a code, in groups: 125 bits, which nobody guesses.
const CODE_LETTERS: usize = 25;
const GROUP_LETTERS: usize = 5;

/// Registrations that one is good for, and days that it lasts.
const USES_DEFAULT: u32 = 1;
const USES_MAX: u32 = 10_000;
const DAYS_DEFAULT: u32 = 7;
const DAYS_MAX: u32 = 36_500;
const DAY_S: i64 = 24 * 60 * 60;

/// Prints the code and nothing else, so that a script can have it.
pub(super) fn make(
    store: &Store,
    config: &Config,
    uses: Option<u32>,
    days: Option<u32>,
) -> Result<(), Failure> {
    let (uses, days) = (uses.unwrap_or(USES_DEFAULT), days.unwrap_or(DAYS_DEFAULT));
    if !(1..=USES_MAX).contains(&uses) {
        return Err(Failure::Refused(format!("--uses: must be from 1 to {USES_MAX}")));
    }
    if days > DAYS_MAX {
        return Err(Failure::Refused(format!("--days: must be from 0 (for ever) to {DAYS_MAX}")));
    }
    let until = (days > 0).then(|| now_s() + i64::from(days) * DAY_S);
    let code = draw_code()?;
    let made = code.clone();
    store.write(move |tx| {
        tx.insert_invite(&made, uses, until)?;
        let details = format!("{}: {uses} left, {}", made.hint(), end_text(tx, until)?);
        tx.record(None, "invite", AuditSubject::server(), &details)
    })?;
    log::answer(code.as_str());
    match config.registration {
        Registration::Invite => {}
        Registration::Open => log::line("registration is open: nobody needs it"),
        Registration::Closed => log::line("registration is closed: nobody can use it"),
    }
    Ok(())
}

fn draw_code() -> Result<InviteCode, Refusal> {
    let mut lots = [0; CODE_LETTERS];
    SystemRandom::new().fill(&mut lots).map_err(|_| Refusal::internal("no randomness"))?;
    let mut code = String::new();
    for (place, lot) in lots.iter().enumerate() {
        if place > 0 && place % GROUP_LETTERS == 0 {
            code.push('-');
        }
        code.extend(LETTERS.get(usize::from(lot % 32)).copied().map(char::from));
    }
    InviteCode::try_from(code).map_err(Refusal::internal)
}

pub(super) fn remove(store: &Store, code: &str) -> Result<(), Failure> {
    let unknown = || Failure::Refused(format!("there is no invite {}", code.escape_debug()));
    let code = InviteCode::try_from(code.to_owned()).map_err(|_| unknown())?;
    let is_done = store.write(move |tx| {
        if !tx.delete_invite(&code)? {
            return Ok(false);
        }
        tx.record(None, "invite --remove", AuditSubject::server(), code.hint())?;
        Ok(true)
    })?;
    is_done.then(|| log::answer("withdrawn")).ok_or_else(unknown)
}

/// A line for each that is open, oldest first: code, registrations left, end; tabs between them.
pub(super) fn print(store: &Store) -> Result<(), Failure> {
    store.read(|db| {
        for invite in db.list_invites()? {
            let end = end_text(db, invite.until)?;
            log::answer(format_args!("{}\t{} left\t{end}", invite.code, invite.uses));
        }
        Ok(())
    })?;
    Ok(())
}

fn end_text(db: &Reader<'_>, until: Option<i64>) -> Result<String, Refusal> {
    Ok(match until {
        Some(until) => format!("until {}", db.date_text(until)?),
        None => "for ever".to_owned(),
    })
}
