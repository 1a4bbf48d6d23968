//! Requests, responses and events to and from JSON text (protocol section 2).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Status;

/// Bytes of a label at most.
pub const LABEL_BYTES_MAX: usize = 64;
/// Bytes of a command's name that an answer repeats.
pub const COMMAND_BYTES_MAX: usize = 64;
/// What an answer is called when the request has no usable name.
pub const UNKNOWN: &str = "unknown";
/// The version that the greeting tells. Clients check the first number only.
const API_VERSION: [u32; 3] = [1, 1, 0];

/// What every request has. The fields of the command itself are read from the same text
/// by the command's own type.
#[derive(Deserialize)]
pub struct Envelope<'text> {
    /// The command's name.
    #[serde(borrow)]
    pub command: Cow<'text, str>,
    /// Whatever stood there; `label` tells whether it is one.
    #[serde(default)]
    label: Option<Value>,
}

impl Envelope<'_> {
    /// The label that the response carries. Fails when it is no string or over 64 bytes.
    pub fn label(&self) -> Result<Option<&str>, &'static str> {
        match &self.label {
            None => Ok(None),
            Some(Value::String(label)) if label.len() <= LABEL_BYTES_MAX => Ok(Some(label)),
            Some(_) => Err("no label"),
        }
    }
}

/// Fails on what is not JSON, not an object, or has no string `command`.
pub fn parse_envelope(text: &str) -> Option<Envelope<'_>> {
    // serde would take an array for a struct too.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[derive(Serialize)]
struct Packet<'a, T: Serialize> {
    command: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(flatten)]
    fields: T,
}

/// No field but the standard ones. As a struct, since serde flattens no unit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Nothing {}

fn encode(command: &str, status: Status, label: Option<&str>, fields: impl Serialize) -> String {
    let packet = Packet { command, status, label, fields };
    // Invariant: our own types have string keys and no failing `Serialize`.
    serde_json::to_string(&packet).unwrap_or_else(|_| {
        format!(r#"{{"command":"{UNKNOWN}","status":{}}}"#, Status::InternalError as u16)
    })
}

/// The response to a request that was carried out.
pub fn encode_response(command: &str, label: Option<&str>, fields: impl Serialize) -> String {
    encode(command, Status::Ok, label, fields)
}

/// The response to a request that was refused: no other fields.
pub fn encode_refusal(command: &str, label: Option<&str>, status: Status) -> String {
    let command = if command.len() > COMMAND_BYTES_MAX { UNKNOWN } else { command };
    encode(command, status, label, Nothing {})
}

/// A packet that no request asked for (protocol section 5).
pub fn encode_event(command: &str, fields: impl Serialize) -> String {
    encode(command, Status::Ok, None, fields)
}

/// The first packet on every connection (protocol section 1).
pub fn encode_greeting() -> String {
    #[derive(Serialize)]
    struct Greeting {
        version: [u32; 3],
    }
    encode_event("API_version", Greeting { version: API_VERSION })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_of(text: &str) -> Option<String> {
        parse_envelope(text).map(|envelope| envelope.command.into_owned())
    }

    #[test]
    fn only_objects_with_one_string_command_are_requests() {
        assert_eq!(command_of(r#" {"x":[1e999],"command":"p\u0069ng"}"#).as_deref(), Some("ping"));
        for text in [
            r#"["ping"]"#,
            r#"{"command":5}"#,
            r#"{}"#,
            r#"{"command":"ping"} x"#,
            r#"{"command":"ping","command":"leave"}"#,
            r#"{"command":"\ud800"}"#,
            "",
        ] {
            assert_eq!(command_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_is_a_string_of_at_most_64_bytes() {
        let label_of = |label: &str| {
            let text = format!(r#"{{"command":"ping","label":{label}}}"#);
            parse_envelope(&text)
                .map(|envelope| envelope.label().map(|label| label.map(str::to_owned)))
        };
        assert_eq!(label_of("null"), Some(Ok(None)));
        assert_eq!(label_of(r#""a""#), Some(Ok(Some("a".to_owned()))));
        assert!(matches!(label_of("7"), Some(Err(_))));
        assert!(matches!(label_of(&format!("\"{}\"", "x".repeat(64))), Some(Ok(_))));
        assert!(matches!(label_of(&format!("\"{}\"", "x".repeat(65))), Some(Err(_))));
    }

    #[test]
    fn the_greeting_is_as_clients_know_it() {
        assert_eq!(
            encode_greeting(),
            r#"{"command":"API_version","status":200,"version":[1,1,0]}"#
        );
    }
}
