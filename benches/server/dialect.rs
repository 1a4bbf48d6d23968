//! What clients and servers say: the same texts, each server in its own words.

use crate::Outcome;
use crate::clients::{PASSWORD, member_name};
use crate::database::token;
use crate::server::CHANNEL;

/// Where everything is said on IRC.
const IRC_CHANNEL: &str = "#general";

/// The words of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// This server's lines; clients log in by a password, which members without one then have.
    Password,
    /// This server's lines; clients log in by a session's token.
    Token,
    /// This server's events, from somebody who reads nothing.
    Bare,
    /// RFC 2812. A sender pings after each message, so that it has an answer, too.
    Irc,
}

/// What a line is.
pub(crate) enum Line<'l> {
    /// A message with this text.
    Message(&'l str),
    /// The answer to a send.
    Answer,
    /// The answer to a login.
    Login,
    /// Nothing that matters here.
    Other,
}

impl Dialect {
    /// What a client says when it comes.
    pub(crate) fn login_request(self, index: usize) -> String {
        match self {
            Self::Password => login_request(index, PASSWORD),
            Self::Token => format!("{{\"command\":\"login\",\"token\":\"{}\"}}\n", token(index)),
            Self::Bare => String::new(),
            Self::Irc => format!("NICK m{index}\r\nUSER m{index} 0 * :m\r\nJOIN {IRC_CHANNEL}\r\n"),
        }
    }

    /// A request to send a text.
    pub(crate) fn send_request(self, text: &str) -> String {
        match self {
            Self::Password | Self::Token | Self::Bare => {
                format!("{{\"command\":\"send\",\"channel\":{CHANNEL},\"content\":\"{text}\"}}\n")
            }
            Self::Irc => format!("PRIVMSG {IRC_CHANNEL} :{text}\r\nPING {CHANNEL}\r\n"),
        }
    }

    /// Of what is sent at once, what goes into one record at most. ngircd takes as much from one,
    /// and what is left of it only when more comes.
    pub(crate) fn record_bytes_max(self) -> Option<usize> {
        (self == Self::Irc).then_some(2048)
    }

    /// Whether senders are sent what they say.
    pub(crate) fn has_echo(self) -> bool {
        self != Self::Irc
    }

    /// What a line is. Fails if it is a refusal.
    pub(crate) fn read(self, line: &[u8]) -> Outcome<Line<'_>> {
        let refused = || format!("refused: {}", line.escape_ascii());
        let text = std::str::from_utf8(line)?;
        Ok(match self {
            Self::Password | Self::Token | Self::Bare => {
                let command = text.strip_prefix(r#"{"command":""#).ok_or_else(refused)?;
                if let Some(event) = command.strip_prefix(r#"content","status":200,"#) {
                    let content = event.split_once(r#""content":""#).ok_or_else(refused)?.1;
                    Line::Message(content.split('"').next().unwrap_or_default())
                } else if command.starts_with(r#"send","status":200,"#) {
                    Line::Answer
                } else if command.starts_with(r#"login","status":200,"#) {
                    Line::Login
                } else if command.contains(r#""status":200"#) {
                    Line::Other
                } else {
                    return Err(refused().into());
                }
            }
            Self::Irc => {
                let mut words = text.trim_end().splitn(4, ' ');
                let (command, rest) = (words.nth(1), words.nth(1));
                match command.unwrap_or_default() {
                    "PRIVMSG" => {
                        Line::Message(rest.and_then(|it| it.strip_prefix(':')).ok_or_else(refused)?)
                    }
                    "PONG" => Line::Answer,
                    // The end of the channel's names.
                    "366" => Line::Login,
                    // No message of the day.
                    "422" => Line::Other,
                    command if text.starts_with("ERROR") || command.starts_with(['4', '5']) => {
                        return Err(refused().into());
                    }
                    _ => Line::Other,
                }
            }
        })
    }
}

/// A request to log in as the member of client `index`.
pub(crate) fn login_request(index: usize, password: &str) -> String {
    let uname = member_name(index);
    format!("{{\"command\":\"login\",\"passwd\":\"{password}\",\"uname\":\"{uname}\"}}\n")
}

/// An event as this server encodes it.
pub(crate) fn content_event(uuid: u64, author: usize, text: &str) -> String {
    let author = CHANNEL + 1 + author as u64;
    format!(
        r#"{{"command":"content","status":200,"uuid":{uuid},"channel_uuid":{CHANNEL},"author_uuid":{author},"content":"{text}","date":1700000000,"edited":false,"reply":null}}"#
    ) + "\n"
}
