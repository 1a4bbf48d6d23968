//! The three kinds of error, never mixed: a request is refused (the connection lives), a
//! connection ends (the server lives), the server cannot start (the process ends).

use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

/// The status of a response: a closed set, as clients parse it (protocol section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Done.
    Ok = 200,
    /// Unreadable, malformed, or a value out of its bounds.
    BadRequest = 400,
    /// The request needs a login.
    Unauthorised = 401,
    /// Wrong password, not your message, or a permission is missing.
    Forbidden = 403,
    /// No such thing, or nothing that this member may know of.
    NotFound = 404,
    /// It makes no sense in this state.
    MethodNotAllowed = 405,
    /// The name is taken.
    Conflict = 409,
    /// The server's own fault.
    InternalError = 500,
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(*self as u16)
    }
}

/// A request is refused: a status for the client and, for our own faults, a cause for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unreadable, malformed, or a value out of its bounds.
    BadRequest,
    /// The request needs a login.
    Unauthorised,
    /// The member may not do this.
    Forbidden,
    /// What the request names is not there for this member.
    NotFound,
    /// It makes no sense in this state.
    MethodNotAllowed,
    /// The name is taken.
    Conflict,
    /// The client hung up while it waited, or the server on it. Nothing was done.
    HungUp,
    /// Our own fault, with its cause. Nothing was changed.
    Internal(String),
}

impl Refusal {
    /// Our own fault; `cause` goes to the log, never to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }

    /// What the client is told.
    pub fn status(&self) -> Status {
        match self {
            Self::BadRequest => Status::BadRequest,
            Self::Unauthorised => Status::Unauthorised,
            Self::Forbidden => Status::Forbidden,
            Self::NotFound => Status::NotFound,
            Self::MethodNotAllowed => Status::MethodNotAllowed,
            Self::Conflict => Status::Conflict,
            Self::HungUp | Self::Internal(_) => Status::InternalError,
        }
    }
}

/// A connection is at its end. No fault of ours, and nobody else's concern.
#[derive(Debug)]
pub enum Disconnect {
    /// The peer closed, or the server closed for it (stop, backlog over its bound).
    Closed,
    /// A deadline passed: handshake, first byte, login, idle.
    TimedOut,
    /// The socket failed.
    Io(io::Error),
    /// The peer broke TLS; it was sent the alert.
    Tls(String),
}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The server cannot start. One line for whoever started it; the exit code is 2.
#[derive(Debug, PartialEq, Eq)]
pub struct StartupError(pub String);

impl StartupError {
    /// `what`, a colon, and what went wrong with it.
    pub fn new(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
