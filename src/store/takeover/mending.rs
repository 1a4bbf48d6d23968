//! What older servers' databases hold, brought into today's bounds. Pure.

use rusqlite::types::{Value, ValueRef};

use crate::id::UUID_MAX;
use crate::protocol::{EmojiName, MemberName, Permissions, ServerName};

/// A value of whatever type and bytes, as one that can be kept: text becomes UTF-8.
pub(super) fn readable(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    }
}

/// The whole number that a value is or spells.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        // Exact up to there, as uuids are.
        Value::Real(number) if number.fract() == 0.0 && number.abs() <= UUID_MAX as f64 => {
            Some(*number as i64)
        }
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Real(_) | Value::Blob(_) => None,
    }
}

/// The uuid that a value is, 1 ..= 2^53-1.
pub(super) fn uuid(value: &Value) -> Option<i64> {
    integer(value).filter(|uuid| (1..=UUID_MAX as i64).contains(uuid))
}

/// The text that a value is or shows.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(blob) => String::from_utf8_lossy(&blob).into_owned(),
    }
}

/// Likewise, where there may be none.
pub(super) fn text_or_null(value: Value) -> Option<String> {
    (value != Value::Null).then(|| text(value))
}

/// Permissions: without bytes past the third, and with what has the value 3 left to what lies
/// below.
pub(super) fn permissions(value: &Value) -> Permissions {
    let Value::Blob(bytes) = value else { return Permissions::default() };
    let clear = |byte: &u8| {
        let threes = byte & byte >> 1 & 0x55;
        byte & !(threes | threes << 1)
    };
    let bytes: Vec<u8> = bytes.iter().take(3).map(clear).collect();
    Permissions::try_from(bytes).unwrap_or_default()
}

/// A member's name: as it was, or without what no name may have, cut to its bound, with a number
/// where it is taken.
pub(super) fn member_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let fits = |name: &str| MemberName::try_from(name.to_owned()).is_ok();
    mend(name, "member", " ", |name| fits(name), is_taken)
}

/// The name of a channel or a group, likewise; it may repeat.
pub(super) fn server_name(name: &str, instead: &str) -> String {
    let fits = |name: &str| ServerName::try_from(name.to_owned()).is_ok();
    mend(name, instead, " ", fits, |_| false)
}

/// An emoji's name, likewise, in small letters.
pub(super) fn emoji_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let spell = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '_' | '-') => letter,
        _ => '_',
    };
    let name: String = name.trim().chars().map(spell).collect();
    mend(&name, "emoji", "_", |name| EmojiName::try_from(name.to_owned()).is_ok(), is_taken)
}

fn mend(
    name: &str,
    instead: &str,
    gap: &str,
    fits: impl Fn(&str) -> bool,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let clean: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let clean = if clean.trim().is_empty() { instead } else { clean.trim() };
    let mut number: u64 = 1;
    loop {
        let end = if number == 1 { String::new() } else { format!("{gap}{number}") };
        let mut begin = clean.to_owned();
        let mended = loop {
            let name = format!("{}{end}", begin.trim_end());
            if fits(&name) || begin.pop().is_none() {
                break name;
            }
        };
        if !is_taken(&mended) {
            return mended;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_or_become_what_is_allowed() {
        let free = |_: &str| false;
        assert_eq!(member_name("Zoë 🌟", free), "Zoë 🌟");
        assert_eq!(member_name(" a\u{7}\nlice\u{0} ", free), "alice");
        assert_eq!(member_name(" \t", free), "member");
        assert_eq!(member_name(&"ü".repeat(40), free), "ü".repeat(32));
        let taken = |name: &str| name == "bob" || name == "bob 2";
        assert_eq!(member_name("bob", taken), "bob 3");
        let long = "x".repeat(32);
        assert_eq!(member_name(&long, |name| name == long), format!("{} 2", "x".repeat(30)));
        assert_eq!(server_name(&"č".repeat(20), "channel"), "č".repeat(16));
        assert_eq!(server_name("", "channel"), "channel");
        assert_eq!(emoji_name(":Party Parrot:", free), "_party_parrot_");
        assert_eq!(emoji_name("party", |name| name == "party"), "party_2");
        assert_eq!(emoji_name("", free), "emoji");
    }

    #[test]
    fn values_are_read_for_what_they_are() {
        assert_eq!(integer(&Value::Text(" 12 ".to_owned())), Some(12));
        assert_eq!(integer(&Value::Real(12.0)), Some(12));
        assert_eq!(integer(&Value::Real(1e300)), None);
        assert_eq!(integer(&Value::Blob(vec![1])), None);
        assert_eq!(uuid(&Value::Integer(0)), None);
        assert_eq!(uuid(&Value::Integer(1 << 53)), None);
        assert_eq!(uuid(&Value::Integer((1 << 53) - 1)), Some((1 << 53) - 1));
        assert_eq!(readable(ValueRef::Text(b"a\xff")), Value::Text("a\u{fffd}".to_owned()));
    }

    #[test]
    fn permissions_of_other_lengths_and_values_are_brought_into_bounds() {
        let mended = |bytes: &[u8]| permissions(&Value::Blob(bytes.to_vec())).bytes();
        assert_eq!(mended(&[0x55, 0x96, 0x05]), [0x55, 0x96, 0x05]);
        assert_eq!(mended(&[0b11_01_10_11, 0, 0xff, 0x55]), [0b00_01_10_00, 0, 0]);
        assert_eq!(mended(&[2]), [2, 0, 0]);
        assert_eq!(permissions(&Value::Integer(7)), Permissions::default());
    }
}
