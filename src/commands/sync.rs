//! What members' clients share across devices (protocol section 4, "Sync").

use serde::{Deserialize, Serialize};

use crate::commands::{Length, NoFields, Request, Session};
use crate::config::Limits;
use crate::error::Refusal;
use crate::id::MemberId;
use crate::protocol::packet::Nothing;
use crate::protocol::{SyncIdentity, SyncServer};

/// Entries in a member's list of servers at most.
const SYNC_SERVERS_MAX: usize = 256;

#[derive(Deserialize)]
pub(super) struct SyncSet {
    uname: String,
    pfp: String,
}
impl Request for SyncSet {}

/// Replaces what one is called everywhere.
pub(super) fn sync_set(session: &mut Session<'_>, request: SyncSet) -> Result<Nothing, Refusal> {
    let SyncSet { uname, pfp } = request;
    session.write(move |tx, member| {
        tx.update_sync_identity(&SyncIdentity { user_uuid: member, uname, pfp })
    })?;
    Ok(Nothing {})
}

/// What one is called everywhere.
pub(super) fn sync_get(session: &mut Session<'_>, _: NoFields) -> Result<SyncIdentity, Refusal> {
    let identity = session.read(|db, member| db.find_sync_identity(member))?;
    identity.ok_or(Refusal::NotFound)
}

#[derive(Deserialize)]
pub(super) struct SyncSetServers {
    // One client spells it so.
    #[serde(alias = "severs")]
    servers: Vec<Entry>,
}

/// Flattened, so that it is read from an object only.
#[derive(Deserialize)]
struct Entry {
    #[serde(flatten)]
    server: SyncServer,
    /// An integer where it stands; what counts is the place in the list.
    #[serde(rename = "idx")]
    _idx: Option<i64>,
}

impl Request for SyncSetServers {
    fn is_within(&self, _: &Limits) -> bool {
        self.servers.len() <= SYNC_SERVERS_MAX
    }
}

/// Replaces one's list of servers, as a whole.
pub(super) fn sync_set_servers(
    session: &mut Session<'_>,
    request: SyncSetServers,
) -> Result<Nothing, Refusal> {
    let servers: Vec<_> = request.servers.into_iter().map(|entry| entry.server).collect();
    session.write(move |tx, member| tx.update_sync_servers(member, &servers))?;
    Ok(Nothing {})
}

#[derive(Serialize)]
pub(super) struct Servers {
    servers: Vec<OwnedServer>,
}

#[derive(Serialize)]
struct OwnedServer {
    user_uuid: MemberId,
    idx: usize,
    #[serde(flatten)]
    server: SyncServer,
}

/// One's list of servers, in its order.
pub(super) fn sync_get_servers(session: &mut Session<'_>, _: NoFields) -> Result<Servers, Refusal> {
    let user_uuid = session.member()?;
    session.begin_large_answer(Length::Long)?;
    let servers = session.services.store.read(|db| db.list_sync_servers(user_uuid))?;
    let servers = servers.into_iter().enumerate();
    let servers = servers.map(|(idx, server)| OwnedServer { user_uuid, idx, server });
    Ok(Servers { servers: servers.collect() })
}
