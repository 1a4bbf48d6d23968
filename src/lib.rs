//! The Aster chat server. `ARCHITECTURE.md` tells how its parts work together.

mod access;
pub mod config;
pub mod error;
mod id;
pub mod log;
pub mod protocol;
mod stopping;
mod store;
mod thread;
