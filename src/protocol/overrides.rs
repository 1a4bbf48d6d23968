//! What a channel allows or denies, and for whom: `Channel.permissions` (protocol section 3).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{GroupId, MemberId};
use crate::protocol::permissions::{PermissionSet, Permissions};

/// Entries of one channel at most: bounds what each list of channels carries.
pub const OVERRIDES_MAX: usize = 1000;

/// Whom an override of a channel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Everybody: what stands in for the server's base in this channel. An extension.
    Everyone,
    /// One member.
    Member(MemberId),
    /// The members of a group.
    Group(GroupId),
}

/// `user:<uuid>`, `group:<uuid>` or `group:0`, the keys of `Channel.permissions`.
impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As `User.group_uuid` is 0 for those without a group.
            Self::Everyone => formatter.write_str("group:0"),
            Self::Member(member) => write!(formatter, "user:{member}"),
            Self::Group(group) => write!(formatter, "group:{group}"),
        }
    }
}

impl Subject {
    /// The member, if it is one.
    pub fn member(self) -> Option<MemberId> {
        match self {
            Self::Member(member) => Some(member),
            Self::Everyone | Self::Group(_) => None,
        }
    }

    /// From such a key, spelled as it is displayed.
    pub fn parse(key: &str) -> Option<Self> {
        let (kind, uuid) = key.split_once(':')?;
        let raw: u64 = uuid.parse().ok()?;
        let subject = match kind {
            "group" if raw == 0 => Self::Everyone,
            "group" => Self::Group(raw.try_into().ok()?),
            "user" => Self::Member(raw.try_into().ok()?),
            _ => return None,
        };
        (subject.to_string() == key).then_some(subject)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        Self::parse(&key).ok_or_else(|| D::Error::custom("neither user nor group"))
    }
}

/// The overrides of one channel, one for each subject.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Overrides(BTreeMap<Subject, Permissions>);

impl Overrides {
    /// What is said about the subject.
    pub fn find(&self, subject: Subject) -> Permissions {
        self.0.get(&subject).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each subject and what is said about it.
    pub fn iter(&self) -> impl Iterator<Item = (Subject, Permissions)> {
        self.0.iter().map(|(subject, permissions)| (*subject, *permissions))
    }

    /// What `new` grants to anybody in the place of these.
    pub fn granted_by(&self, new: &Self) -> PermissionSet {
        let subjects = self.0.keys().chain(new.0.keys());
        let granted = subjects.map(|subject| self.find(*subject).granted_by(new.find(*subject)));
        granted.fold(PermissionSet::default(), PermissionSet::union)
    }
}

impl FromIterator<(Subject, Permissions)> for Overrides {
    fn from_iter<I: IntoIterator<Item = (Subject, Permissions)>>(overrides: I) -> Self {
        Self(overrides.into_iter().collect())
    }
}

/// Fails on over `OVERRIDES_MAX` entries, and on a subject that stands there twice.
impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Overrides;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("permissions by user or group")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Overrides, A::Error> {
                let mut overrides = Overrides::default();
                while let Some((subject, permissions)) = entries.next_entry()? {
                    if overrides.0.insert(subject, permissions).is_some() {
                        return Err(A::Error::custom("a subject twice"));
                    }
                    if overrides.0.len() > OVERRIDES_MAX {
                        return Err(A::Error::custom("too many overrides"));
                    }
                }
                Ok(overrides)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<String, serde_json::Error> {
        let overrides: Overrides = serde_json::from_str(json)?;
        serde_json::to_string(&overrides)
    }

    #[test]
    fn keys_name_everyone_a_member_or_a_group_in_one_spelling() {
        let map = r#"{"group:0":[0,0,8],"user:5":[0,1,0],"group:7":[1,0,0]}"#;
        assert_eq!(parse(map).ok().as_deref(), Some(map));
        let wrong = ["user:0", "user:05", "user:+5", "user: 5", "user:", "5", "role:5", ""];
        for key in wrong.into_iter().chain(["group:9007199254740992", "user:5:5", "USER:5"]) {
            assert!(parse(&format!(r#"{{"{key}":[0,0,0]}}"#)).is_err(), "{key}");
        }
        assert!(parse(r#"{"user:5":[0],"user:5":[0]}"#).is_err(), "twice");
        assert!(parse("[]").is_err());
    }

    #[test]
    fn their_number_is_bounded() {
        let map = |count| {
            let entries = (1..=count).map(|uuid| format!(r#""user:{uuid}":[]"#));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        };
        assert!(parse(&map(OVERRIDES_MAX)).is_ok());
        assert!(parse(&map(OVERRIDES_MAX + 1)).is_err());
    }

    #[test]
    fn an_override_that_vanishes_may_grant_too() {
        let deny = Permissions::try_from(vec![2]).unwrap_or_default();
        let denied: Overrides = [(Subject::Everyone, deny)].into_iter().collect();
        assert_eq!(denied.granted_by(&Overrides::default()), deny.denied());
        assert!(Overrides::default().granted_by(&denied).is_empty());
    }
}
