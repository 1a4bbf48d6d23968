//! What every test stands on: a real server in a folder of its own, and clients that speak to
//! it over TLS. Every wait in here has a deadline, so that no test needs a sleep.

pub mod certificates;
pub mod client;
pub mod pictures;
pub mod record;
pub mod server;
pub mod steps;
pub mod tls;
pub mod transcript;
pub mod websocket;
pub mod world;

use std::time::Duration;

/// How long anything may take before a test gives up: far more than needed, as machines differ.
pub const DEADLINE: Duration = Duration::from_secs(20);
