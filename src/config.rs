//! What `config.json` says (`Keys`, unchecked) and what the server uses (`Config`, checked).
//!
//! Every key is optional. A wrong type, an unknown key or a value out of bounds is one line
//! naming file, key and rule. The file itself is only ever written when there is none.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::StartupError;
use crate::files::write_new;
use crate::log;
use crate::protocol::{Picture, ServerName};

/// The first start's file: every key at its default. A test holds the two together.
const FIRST_FILE: &str = include_str!("../config.json");
const ICON: &[u8] = include_bytes!("../assets/icon.png");

/// What the server uses: checked, with paths as seen from the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The server's name.
    pub name: ServerName,
    /// Who may register.
    pub registration: Registration,
    /// The server's icon.
    pub icon: Picture,
    /// The picture of members who have none, in place of one that is made for each.
    pub default_pfp: Option<Picture>,
    /// The SQLite file.
    pub database_file: PathBuf,
    /// PEM, the server's certificate first.
    pub certificate_chain: PathBuf,
    /// PEM.
    pub private_key: PathBuf,
    /// What strangers may use of us.
    pub limits: Limits,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Who has an invite.
    Invite,
    /// Nobody.
    Closed,
}

impl Registration {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "invite" => Ok(Self::Invite),
            "closed" => Ok(Self::Closed),
            _ => Err(rule("registration", r#"must be "open", "invite" or "closed""#)),
        }
    }
}

/// Protocol section 8, where each is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request.
    pub request_bytes_max: usize,
    /// Bytes of one message's text.
    pub message_bytes_max: usize,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address.
    pub connections_per_address_max: usize,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For the first byte after it.
    pub first_byte_timeout: Duration,
    /// For the login, also while the client talks.
    pub login_timeout: Duration,
    /// Without a sound once logged in; none: TCP keep-alive finds the dead.
    pub idle_timeout: Option<Duration>,
    /// Requests of one connection, refilled at this rate.
    pub requests_per_second: u32,
    /// Requests of one connection at once.
    pub requests_burst: u32,
    /// Failed logins and registrations of one address, refilled at this rate.
    pub failed_logins_per_minute: u32,
    /// Failed logins and registrations of one address at once.
    pub failed_logins_burst: u32,
    /// Password hashes at work at a time, 19 MiB each.
    pub password_hashes_max: usize,
    /// Bytes of events waiting for one client.
    pub backlog_bytes_max: usize,
    /// Whether loopback addresses are limited too.
    pub limit_loopback: bool,
}

impl Config {
    /// Reads `file`, or writes it with the defaults if it is not there.
    pub fn load(file: &Path) -> Result<Self, StartupError> {
        let shown = file.display();
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match write_new(file, FIRST_FILE.as_bytes(), 0o644) {
                    Ok(()) => log::line(format_args!("wrote {shown} with the defaults")),
                    // Somebody else's first start was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(StartupError::new(shown, error)),
                }
                FIRST_FILE.to_owned()
            }
            Err(error) => return Err(StartupError::new(shown, error)),
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|problem| StartupError::new(file.display(), problem))
    }

    /// Reads the file's text; paths in it are relative to `folder`. Fails with key and rule.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        Self::from_json(parse_json(text)?, folder)
    }

    /// Every mistake in the file's text, each as [`Config::parse`] would tell of it, and what is left:
    /// the key that has one is left out, and the rest read again, while there is something to
    /// leave out.
    pub(crate) fn list_mistakes(text: &str, folder: &Path) -> (Vec<String>, Option<Self>) {
        let mut mistakes = Vec::new();
        let mut json = parse_json(text);
        loop {
            match json.clone().and_then(|value| Self::from_json(value, folder)) {
                Ok(config) => return (mistakes, Some(config)),
                Err(mistake) => mistakes.push(mistake),
            }
            let name = mistakes.last().and_then(|mistake| mistake.split(": ").next());
            if json.as_mut().ok().zip(name).and_then(|(json, name)| remove(json, name)).is_none() {
                return (mistakes, None);
            }
        }
    }

    fn from_json(said: Said, folder: &Path) -> Result<Self, String> {
        let mut keys = Keys::new(String::new(), said)?;

        let addr = keys.text("addr", "0.0.0.0")?;
        let ip: IpAddr = addr.parse().map_err(|_| {
            rule("addr", "must be an IPv4 or IPv6 address, such as \"0.0.0.0\" or \"::\"")
        })?;
        let port = keys.integer("port", 2345, 0..=65535)?;
        // Older servers had voice; the key is checked, so that their files are taken as they are.
        keys.integer::<u16>("voice_port", 2346, 0..=65535)?;
        let name = ServerName::try_from(keys.text("name", "Aster Server")?).map_err(|_| {
            rule("name", "must have 1 to 32 bytes of UTF-8 and no control characters")
        })?;
        let registration = Registration::parse(&keys.text("registration", "open")?)?;
        let icon = keys.picture("icon", "assets/icon.png", folder)?;
        let icon = match icon {
            Some(icon) => icon,
            None => Picture::from_png(ICON)?,
        };
        let default_pfp = keys.picture("default_pfp", "", folder)?;
        let database_file = folder.join(keys.path("database_file", "aster.db")?);
        let certificate_chain = folder.join(keys.path("certificate_chain", "cert.pem")?);
        let private_key = folder.join(keys.path("private_key", "key.pem")?);
        let limits = Limits::parse(keys.section("limits")?)?;
        keys.finish()?;
        Ok(Self {
            address: SocketAddr::new(ip, port),
            name,
            registration,
            icon,
            default_pfp,
            database_file,
            certificate_chain,
            private_key,
            limits,
        })
    }
}

impl Limits {
    fn parse(mut keys: Keys) -> Result<Self, String> {
        let idle_timeout = keys.seconds("idle_timeout_s", 0, 0..=604_800)?;
        let hashes: usize = keys.integer("max_password_hashes", 0, 0..=256)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = Self {
            request_bytes_max: keys.integer("max_request_bytes", 1 << 20, 65_536..=67_108_864)?,
            message_bytes_max: keys.integer("max_message_bytes", 16 << 10, 1..=1_048_576)?,
            connections_max: keys.integer("max_connections", 4096, 1..=1_000_000)?,
            connections_per_address_max: keys.integer(
                "max_connections_per_address",
                64,
                1..=1_000_000,
            )?,
            handshake_timeout: keys.seconds("handshake_timeout_s", 10, 1..=600)?,
            first_byte_timeout: keys.seconds("first_byte_timeout_s", 10, 1..=600)?,
            login_timeout: keys.seconds("login_timeout_s", 60, 1..=3600)?,
            idle_timeout: Some(idle_timeout).filter(|timeout| !timeout.is_zero()),
            requests_per_second: keys.integer("requests_per_second", 20, 1..=1_000_000)?,
            requests_burst: keys.integer("requests_burst", 60, 1..=1_000_000)?,
            failed_logins_per_minute: keys.integer("failed_logins_per_minute", 5, 1..=1_000_000)?,
            failed_logins_burst: keys.integer("failed_logins_burst", 20, 1..=1_000_000)?,
            password_hashes_max: if hashes == 0 { cores } else { hashes },
            backlog_bytes_max: keys.integer(
                "max_backlog_bytes",
                4 << 20,
                65_536..=1_073_741_824,
            )?,
            limit_loopback: keys.truth("limit_loopback", false)?,
        };
        if limits.message_bytes_max >= limits.request_bytes_max {
            return Err(keys.rule("max_message_bytes", "must be below max_request_bytes"));
        }
        keys.finish()?;
        Ok(limits)
    }
}

fn parse_json(text: &str) -> Result<Said, String> {
    // Some editors of other systems put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

/// Removes a key, or one of a section: `limits.max_connections`.
fn remove(said: &mut Said, name: &str) -> Option<Said> {
    let Said::Section(Section(entries)) = said else { return None };
    let is_called = |called: &str| entries.iter().rposition(|(key, _)| key == called);
    match (name.split_once('.'), is_called(name)) {
        (None, at) => Some(entries.remove(at?).1),
        (Some((section, name)), _) => {
            let at = is_called(section)?;
            remove(&mut entries.get_mut(at)?.1, name)
        }
    }
}

fn rule(key: &str, rule: impl fmt::Display) -> String {
    format!("{key}: {rule}")
}

/// What the file says as a whole, or of a key.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Said {
    Section(Section),
    Value(Value),
}

/// A JSON object as it stands there, where a key may come twice.
#[derive(Clone)]
struct Section(Vec<(String, Said)>);

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Section;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Section(entries))
            }
        }
        json.deserialize_map(Entries)
    }
}

/// The keys of one JSON object that nobody has asked for yet.
struct Keys {
    /// The object's own key and a dot, or nothing for the whole file.
    prefix: String,
    left: BTreeMap<String, Said>,
}

impl Keys {
    fn new(prefix: String, said: Said) -> Result<Self, String> {
        let Said::Section(Section(entries)) = said else {
            return Err(match prefix.strip_suffix('.') {
                None => "must be a JSON object".to_owned(),
                Some(key) => rule(key, "must be an object"),
            });
        };
        let mut keys = Self { prefix, left: BTreeMap::new() };
        for (key, said) in entries {
            if keys.left.contains_key(&key) {
                return Err(keys.rule(&key.escape_debug().to_string(), "twice"));
            }
            keys.left.insert(key, said);
        }
        Ok(keys)
    }

    fn rule(&self, key: &str, text: impl fmt::Display) -> String {
        rule(&format!("{}{key}", self.prefix), text)
    }

    fn section(&mut self, key: &str) -> Result<Keys, String> {
        let said = self.left.remove(key).unwrap_or(Said::Section(Section(Vec::new())));
        Keys::new(format!("{}{key}.", self.prefix), said)
    }

    fn text(&mut self, key: &str, default: &str) -> Result<String, String> {
        match self.left.remove(key) {
            None => Ok(default.to_owned()),
            Some(Said::Value(Value::String(text))) => Ok(text),
            Some(_) => Err(self.rule(key, "must be a string")),
        }
    }

    fn truth(&mut self, key: &str, default: bool) -> Result<bool, String> {
        match self.left.remove(key) {
            None => Ok(default),
            Some(Said::Value(Value::Bool(truth))) => Ok(truth),
            Some(_) => Err(self.rule(key, "must be true or false")),
        }
    }

    /// A number within `bounds`, which must fit into `T`.
    fn integer<T: TryFrom<u64>>(
        &mut self,
        key: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<T, String> {
        let number = match self.left.remove(key) {
            None => Some(default),
            Some(Said::Value(value)) => value.as_u64().filter(|number| bounds.contains(number)),
            Some(Said::Section(_)) => None,
        };
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            self.rule(
                key,
                format_args!("must be an integer from {} to {}", bounds.start(), bounds.end()),
            )
        })
    }

    fn seconds(
        &mut self,
        key: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, String> {
        self.integer(key, default, bounds).map(Duration::from_secs)
    }

    fn path(&mut self, key: &str, default: &str) -> Result<PathBuf, String> {
        let path = self.text(key, default)?;
        if path.is_empty() || path.contains('\0') {
            return Err(self.rule(key, "must be the path of a file"));
        }
        Ok(PathBuf::from(path))
    }

    /// The picture in the named file; `None` where none is named or that file is missing.
    fn picture(
        &mut self,
        key: &str,
        default: &str,
        folder: &Path,
    ) -> Result<Option<Picture>, String> {
        let path = self.text(key, default)?;
        if path.is_empty() {
            return Ok(None);
        }
        let file = folder.join(&path);
        let png = match fs::read(&file) {
            Ok(png) => png,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path != default {
                    log::line(format_args!(
                        "{key}: no {}; it is as if none were named",
                        file.display()
                    ));
                }
                return Ok(None);
            }
            Err(error) => return Err(self.rule(key, format_args!("{}: {error}", file.display()))),
        };
        match Picture::from_png(&png) {
            Ok(picture) => Ok(Some(picture)),
            Err(problem) => Err(self.rule(key, format_args!("{} is {problem}", file.display()))),
        }
    }

    fn finish(self) -> Result<(), String> {
        match self.left.keys().next() {
            Some(key) => Err(self.rule(&key.escape_debug().to_string(), "unknown key")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/nowhere"))
    }

    #[test]
    fn the_first_file_says_every_key_at_its_default() {
        let (written, absent) = (parse(FIRST_FILE).unwrap(), parse("{}").unwrap());
        assert_eq!(format!("{written:?}"), format!("{absent:?}"));
        let text: Value = serde_json::from_str(FIRST_FILE).unwrap();
        assert_eq!(text.as_object().unwrap().len(), 11);
        assert_eq!(text["limits"].as_object().unwrap().len(), 15);
    }

    #[test]
    fn each_mistake_names_its_key_and_rule() {
        let cases = [
            ("[]", "must be a JSON object"),
            ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"port":70000}"#, "port: must be an integer from 0 to 65535"),
            (r#"{"port":"2345"}"#, "port: must be an integer from 0 to 65535"),
            (r#"{"prot":1}"#, "prot: unknown key"),
            (r#"{"name":7}"#, "name: must be a string"),
            (r#"{"registration":"shut"}"#, r#"registration: must be "open", "invite" or "closed""#),
            (r#"{"registration":null}"#, "registration: must be a string"),
            (r#"{"limits":7}"#, "limits: must be an object"),
            (r#"{"port":1,"name":"a","port":1}"#, "port: twice"),
            (r#"{"limits":{"x":7,"x":7}}"#, "limits.x: twice"),
            (r#"{"limits":{},"limits":{}}"#, "limits: twice"),
            (r#"{"port":{"a":1}}"#, "port: must be an integer from 0 to 65535"),
            (
                r#"{"limits":{"login_timeout_s":0}}"#,
                "limits.login_timeout_s: must be an integer from 1 to 3600",
            ),
            (r#"{"limits":{"x":0}}"#, "limits.x: unknown key"),
            (r#"{"a\nb":0}"#, "a\\nb: unknown key"),
            (
                r#"{"limits":{"max_request_bytes":65536,"max_message_bytes":65536}}"#,
                "limits.max_message_bytes: must be below max_request_bytes",
            ),
            (r#"{"limits":{"limit_loopback":1}}"#, "limits.limit_loopback: must be true or false"),
            (r#"{"database_file":""}"#, "database_file: must be the path of a file"),
        ];
        for (text, problem) in cases {
            assert_eq!(parse(text).err().as_deref(), Some(problem), "{text}");
        }
        assert!(parse(r#"{"addr":"localhost"}"#).unwrap_err().starts_with("addr: must be an IPv4"));
    }

    #[test]
    fn every_mistake_is_found_and_the_rest_is_read() {
        let text = r#"{"port":"x","limits":{"x":0,"max_connections":0,"login_timeout_s":7},
            "a.b":1,"database_file":"mine.db"}"#;
        let (mistakes, config) = Config::list_mistakes(text, Path::new(""));
        let keys: Vec<&str> = mistakes.iter().filter_map(|text| text.split(": ").next()).collect();
        // What looks like a key of a section is told of, and is the last.
        assert_eq!(keys, ["port", "limits.max_connections", "limits.x", "a.b"]);
        assert!(config.is_none());
        let (mistakes, config) = Config::list_mistakes(&text.replace("a.b", "ab"), Path::new(""));
        assert_eq!(mistakes.last().unwrap(), "ab: unknown key");
        let config = config.unwrap();
        assert_eq!(config.database_file, Path::new("mine.db"));
        assert_eq!(config.limits.login_timeout, Duration::from_secs(7));
        for text in ["[]", "{", "7"] {
            let (mistakes, config) = Config::list_mistakes(text, Path::new(""));
            assert_eq!((mistakes.len(), config.is_some()), (1, false), "{text}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_files_folder() {
        let config =
            parse(r#"{"database_file":"a/b.db","private_key":"/k.pem","addr":"::1"}"#).unwrap();
        assert_eq!(config.database_file, Path::new("/nowhere/a/b.db"));
        assert_eq!(config.private_key, Path::new("/k.pem"));
        assert_eq!(config.address.to_string(), "[::1]:2345");
    }
}
