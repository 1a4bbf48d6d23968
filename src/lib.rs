//! The Aster chat server. `ARCHITECTURE.md` tells how its parts work together.

mod access;
mod admin;
mod answers;
mod avatar;
mod backlog;
mod broadcaster;
mod commands;
pub mod config;
mod connection;
mod date;
pub mod error;
mod files;
mod id;
pub mod log;
mod password;
pub mod pieces;
pub mod protocol;
mod queue;
mod server;
mod session;
mod signals;
mod stopping;
mod store;
mod thread;
mod throttle;
mod tls;
mod under_way;
pub mod wire;

pub use admin::{Errand, Failure, check, run_errand};
pub use commands::{names as command_names, recognise};
pub use server::run;
pub use signals::Signals;
pub use store::Location;
