//! What the owner wants to read: the audit record, and why somebody may do something.

use std::io::{self, BufWriter, Write};

use crate::access::{Decision, Layer};
use crate::admin::{Failure, find_member};
use crate::id::{ChannelId, now_s};
use crate::log;
use crate::store::Store;

/// A line for each entry, oldest first: date (UTC), who, what, to whom, more of it. Between
/// them are tabs, which no name can hold.
pub(super) fn print_audit(store: &Store) -> Result<(), Failure> {
    // Order: all of it first. Whoever pages through it is not to hold the database meanwhile.
    let entries = store.read(|db| db.list_audit_entries())?;
    let mut output = BufWriter::new(io::stdout().lock());
    let failed = |error: io::Error| Failure::Refused(error.to_string());
    for entry in entries {
        let fields = [entry.date, entry.actor, entry.action, entry.subject, entry.details];
        writeln!(output, "{}", fields.join("\t").trim_end()).map_err(failed)?;
    }
    output.flush().map_err(failed)
}

pub(super) fn explain(store: &Store, member: &str, channel: &str) -> Result<(), Failure> {
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
