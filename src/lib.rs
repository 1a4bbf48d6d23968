//! The Aster chat server. `ARCHITECTURE.md` tells how its parts work together.

mod access;
pub mod config;
mod connection;
pub mod error;
mod id;
pub mod log;
pub mod protocol;
mod stopping;
mod store;
mod thread;
mod tls;
pub mod wire;
