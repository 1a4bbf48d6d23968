//! Checked texts. Each is made once, at the edge, and stays checked (protocol section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters of a member's name at most.
pub const MEMBER_NAME_CHARS_MAX: usize = 32;
/// Bytes of a server, channel or group name at most: a client crashes on a longer one.
pub const SERVER_NAME_BYTES_MAX: usize = 32;
/// Bytes of a password at most: bounds what is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Bytes of a nonce at most.
pub const NONCE_BYTES_MAX: usize = 64;
/// Characters of an emoji's name at most.
pub const EMOJI_NAME_CHARS_MAX: usize = 32;
/// Bytes of an invite code at most.
pub const INVITE_CODE_BYTES_MAX: usize = 64;
/// Bytes of a session's name at most.
pub const SESSION_NAME_BYTES_MAX: usize = 64;
/// Bytes of a session's token at most, as a client may send it.
pub const SESSION_TOKEN_BYTES_MAX: usize = 64;
/// Bytes of a ban's reason at most.
pub const BAN_REASON_BYTES_MAX: usize = 1024;

/// The trimmed name, unless it is blank or holds a control character.
fn trimmed(name: &str) -> Result<&str, &'static str> {
    let name = name.trim();
    if name.is_empty() {
        return Err("a blank name");
    }
    if name.chars().any(char::is_control) {
        return Err("a control character in a name");
    }
    Ok(name)
}

/// A member's name: 1 to 32 characters, trimmed, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MemberName(String);

impl TryFrom<String> for MemberName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let name = trimmed(&name)?;
        if name.chars().count() > MEMBER_NAME_CHARS_MAX {
            return Err("a name over 32 characters");
        }
        Ok(Self(name.to_owned()))
    }
}

impl MemberName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a server, a channel or a group: as a member's, but at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerName(String);

impl TryFrom<String> for ServerName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let name = trimmed(&name)?;
        if name.len() > SERVER_NAME_BYTES_MAX {
            return Err("a name over 32 bytes");
        }
        Ok(Self(name.to_owned()))
    }
}

impl ServerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An emoji's name: 1 to 32 of a-z, 0-9, `_` and `-` (protocol section 10).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EmojiName(String);

impl TryFrom<String> for EmojiName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=EMOJI_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_allowed) {
            Ok(Self(name))
        } else {
            Err("no name for an emoji")
        }
    }
}

impl EmojiName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What lets a stranger register, as it was copied or read out: at most 64 bytes; neither case nor
/// white space around it counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct InviteCode(String);

impl TryFrom<String> for InviteCode {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if code.len() > INVITE_CODE_BYTES_MAX {
            return Err("an invite code over 64 bytes");
        }
        Ok(Self(code.trim().to_ascii_lowercase()))
    }
}

impl InviteCode {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first letters, which tell it from others and let nobody in.
    pub fn hint(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

/// What a client calls a session: at most 64 bytes, trimmed, no control characters. May be blank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionName(String);

impl TryFrom<String> for SessionName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.len() > SESSION_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err("a session's name that is long, or holds a control character");
        }
        Ok(Self(name.trim().to_owned()))
    }
}

impl SessionName {
    /// The name, unless it is blank.
    pub fn as_str(&self) -> Option<&str> {
        Some(&self.0[..]).filter(|name| !name.is_empty())
    }
}

/// What a session is logged in by: 32 random bytes in base64url (RFC 4648 section 5), without
/// padding; of a client, whatever it sends of at most 64 bytes. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionToken(String);

impl TryFrom<String> for SessionToken {
    type Error = &'static str;

    fn try_from(token: String) -> Result<Self, Self::Error> {
        if token.len() <= SESSION_TOKEN_BYTES_MAX { Ok(Self(token)) } else { Err("a long token") }
    }
}

impl SessionToken {
    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionToken(..)")
    }
}

/// Why somebody is banned: kept verbatim, at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BanReason(String);

impl TryFrom<String> for BanReason {
    type Error = &'static str;

    fn try_from(reason: String) -> Result<Self, Self::Error> {
        if reason.len() <= BAN_REASON_BYTES_MAX { Ok(Self(reason)) } else { Err("a long reason") }
    }
}

impl BanReason {
    /// The reason.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password as a client gave it: 1 to 1,024 bytes. Its `Debug` does not show it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct Password(String);

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(password: String) -> Result<Self, Self::Error> {
        if (1..=PASSWORD_BYTES_MAX).contains(&password.len()) {
            Ok(Self(password))
        } else {
            Err("a password of no or too many bytes")
        }
    }
}

impl Password {
    /// What is hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// What a member says: not blank, kept verbatim. Its bound is configured, so the table of
/// commands checks that one (`Request::is_within`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MessageText(String);

impl TryFrom<String> for MessageText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("a blank message") } else { Ok(Self(text)) }
    }
}

impl MessageText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, given away.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// What makes a retry of `send` safe: 1 to 64 bytes of the client's choice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Nonce(String);

impl TryFrom<String> for Nonce {
    type Error = &'static str;

    fn try_from(nonce: String) -> Result<Self, Self::Error> {
        if (1..=NONCE_BYTES_MAX).contains(&nonce.len()) {
            Ok(Self(nonce))
        } else {
            Err("a nonce of no or too many bytes")
        }
    }
}

impl Nonce {
    /// The nonce.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_are_trimmed_and_counted_in_characters() {
        let name = |text: &str| MemberName::try_from(text.to_owned()).map(|name| name.0);
        assert_eq!(name("  Zoë 🌟\t"), Ok("Zoë 🌟".to_owned()));
        assert!(name(&"ü".repeat(32)).is_ok());
        assert!(name(&"u".repeat(33)).is_err());
        assert!(name(" \u{3000} ").is_err());
        assert!(name("a\u{7f}b").is_err());
    }

    #[test]
    fn server_names_are_counted_in_bytes() {
        assert!(ServerName::try_from("u".repeat(32)).is_ok());
        assert!(ServerName::try_from("ü".repeat(17)).is_err());
    }

    #[test]
    fn emoji_names_have_few_letters_and_reasons_an_end() {
        let name = |text: &str| EmojiName::try_from(text.to_owned()).is_ok();
        assert!(name("party_parrot-2") && name(&"x".repeat(32)));
        for wrong in ["", "Party", "party parrot", "ü", ":tea:", &"x".repeat(33)] {
            assert!(!name(wrong), "{wrong}");
        }
        assert!(BanReason::try_from("ü".repeat(512)).is_ok());
        assert!(BanReason::try_from("ü".repeat(513)).is_err());
    }

    #[test]
    fn passwords_have_1_to_1024_bytes_and_do_not_show() {
        assert!(Password::try_from(String::new()).is_err());
        assert!(Password::try_from("x".repeat(1025)).is_err());
        let password = Password::try_from("x".repeat(1024)).ok();
        assert_eq!(format!("{password:?}"), "Some(Password(..))");
    }
}
