//! The server as its clients and its owner see it: the built program, real TLS, real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on has failed, and nothing here is an interface"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod admin;
mod backlog;
mod backup;
mod certificates;
mod check;
mod communities;
mod concurrency;
mod deletion;
mod faults;
mod fuzz;
mod hostile;
mod http;
mod invites;
mod limits;
mod model;
mod moderation;
mod online;
mod refused;
mod restart;
mod runner;
mod seen;
mod sessions;
mod slowing;
mod start;
mod stop;
mod stream;
mod takeover;
mod tidy;
mod transcripts;
mod transport;
mod websocket;
