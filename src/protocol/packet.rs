//! Requests, responses and events to and from JSON text (protocol section 2).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Status;
use crate::pieces::Pieces;

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
#[derive(Debug)]
pub struct Envelope<'text> {
    /// The command's name.
    pub command: Cow<'text, str>,
    label: Scalar<'text>,
}

impl Envelope<'_> {
    /// The label that the response carries. Fails when it is no string or over 64 bytes.
    pub fn label(&self) -> Result<Option<&str>, &'static str> {
        match &self.label {
            Scalar::Null => Ok(None),
            Scalar::Text(label) if label.len() <= LABEL_BYTES_MAX => Ok(Some(label)),
            Scalar::Text(_) | Scalar::Other => Err("no label"),
        }
    }
}

/// Fails on what is not JSON, not an object, or has no string `command`; also on JSON that is
/// nested over 127 deep, or holds half a surrogate pair or a number past all bounds, wherever
/// that stands, and on a `command` or `label` that stands there twice.
pub fn parse_envelope(text: &str) -> Option<Envelope<'_>> {
    serde_json::from_str(text).ok()
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let (mut command, mut label) = (None, None);
                while let Some((name, value)) = fields.next_entry::<Scalar<'_>, Scalar<'_>>()? {
                    let place = match name {
                        Scalar::Text(name) if name == "command" => &mut command,
                        Scalar::Text(name) if name == "label" => &mut label,
                        Scalar::Text(_) | Scalar::Null | Scalar::Other => continue,
                    };
                    if place.replace(value).is_some() {
                        return Err(A::Error::custom("a field twice"));
                    }
                }
                match (command, label.unwrap_or(Scalar::Null)) {
                    (Some(Scalar::Text(command)), label) => Ok(Envelope { command, label }),
                    _ => Err(A::Error::custom("no command")),
                }
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Any JSON value, read in full and checked, but kept only if it is a string.
#[derive(Debug)]
enum Scalar<'text> {
    Text(Cow<'text, str>),
    Null,
    Other,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Scalar<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<Scalar<'_>>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<Scalar<'_>, Scalar<'_>>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Anything)
    }
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
    serde_json::to_string(&packet).unwrap_or_else(|_| unencodable())
}

/// *Invariant:* never needed, as our own types have string keys and no failing `Serialize`.
fn unencodable() -> String {
    format!(r#"{{"command":"{UNKNOWN}","status":{}}}"#, Status::InternalError as u16)
}

/// The response to a request that was carried out. It may be large.
pub fn encode_response(command: &str, label: Option<&str>, fields: impl Serialize) -> Pieces {
    let mut pieces = Pieces::default();
    let packet = Packet { command, status: Status::Ok, label, fields };
    match serde_json::to_writer(&mut pieces, &packet) {
        Ok(()) => pieces,
        Err(_) => unencodable().into(),
    }
}

/// The same, of a request whose response is short.
pub fn encode_short_response(command: &str, label: Option<&str>, fields: impl Serialize) -> String {
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
        assert_eq!(
            command_of(r#" {"x":[{"y":null}],"command":"p\u0069ng"}"#).as_deref(),
            Some("ping")
        );
        for text in [
            r#"["ping"]"#,
            r#"{"command":5}"#,
            r#"{}"#,
            r#"{"command":"ping"} x"#,
            r#"{"command":"ping","command":"leave"}"#,
            r#"{"command":"\ud800"}"#,
            r#"{"command":"ping","x":"\ud83c"}"#,
            r#"{"command":"ping","x":1e999}"#,
            &format!(r#"{{"command":"ping","x":{}}}"#, "[".repeat(100_000)),
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
