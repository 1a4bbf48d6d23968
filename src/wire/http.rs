//! The head of an HTTP/1.1 request (RFC 9112) and the answers that need no chat
//! (protocol section 9), the WebSocket's opening handshake among them (RFC 6455 section 4.2).

use crate::wire::websocket;

/// Bytes of a request's head at most.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields at most; more are answered 431 as well.
const HEADERS_MAX: usize = 64;

/// The statuses that are ever answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpStatus {
    /// 200
    Ok,
    /// 400: malformed.
    BadRequest,
    /// 404
    NotFound,
    /// 405: neither GET nor HEAD.
    MethodNotAllowed,
    /// 426: a WebSocket version other than 13.
    UpgradeRequired,
    /// 431: a head of over 16 KiB.
    HeadTooLarge,
    /// 503: the database does not answer.
    Unavailable,
}

impl HttpStatus {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::UpgradeRequired => "426 Upgrade Required",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// Headers that RFC 9110 and RFC 6455 want with this status.
    fn headers(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            Self::UpgradeRequired => "Sec-WebSocket-Version: 13\r\n",
            Self::Ok
            | Self::BadRequest
            | Self::NotFound
            | Self::HeadTooLarge
            | Self::Unavailable => "",
        }
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// To speak WebSocket from here on; what is answered to that.
    Upgrade(Vec<u8>),
    /// A page.
    Page {
        /// The path, without a query.
        path: String,
        /// How to answer.
        manner: Manner,
    },
}

/// How a request wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// HEAD: the headers only.
    pub head_only: bool,
    /// The client asked to keep the connection alive.
    pub keep_alive: bool,
}

impl Manner {
    /// In full, then close.
    pub const LAST: Self = Self { head_only: false, keep_alive: false };
}

/// Takes one head off the front of `inbox`, or `None` if it has not come whole.
pub fn parse(inbox: &mut Vec<u8>) -> Result<Option<Request>, HttpStatus> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let window = inbox.get(..HEAD_BYTES_MAX).unwrap_or(inbox);
    let (head_bytes, request) = match head.parse(window) {
        Ok(httparse::Status::Complete(head_bytes)) => (head_bytes, read(&head)?),
        Ok(httparse::Status::Partial) if inbox.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(HttpStatus::HeadTooLarge);
        }
        Err(_) => return Err(HttpStatus::BadRequest),
    };
    inbox.drain(..head_bytes);
    Ok(Some(request))
}

fn read(head: &httparse::Request<'_, '_>) -> Result<Request, HttpStatus> {
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(HttpStatus::BadRequest);
    };
    let headers = Headers(head.headers);
    // RFC 9112 section 3.2: exactly one Host in HTTP/1.1.
    if minor == 1 && headers.all("host").count() != 1 {
        return Err(HttpStatus::BadRequest);
    }
    let head_only = method == "HEAD";
    if method != "GET" && !head_only {
        return Err(HttpStatus::MethodNotAllowed);
    }
    if !head_only && headers.has_token("upgrade", "websocket") {
        return read_upgrade(&headers, minor).map(Request::Upgrade);
    }
    // A body would have to be read before the next request; nobody needs one here.
    let mut body = headers.all("content-length").chain(headers.all("transfer-encoding"));
    let keep_alive = headers.has_token("connection", "keep-alive") && body.next().is_none();
    // RFC 9112 section 3.2.2: a target may come with scheme and host in front.
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"),
        None => target,
    };
    let path = path.split('?').next().unwrap_or_default().to_owned();
    Ok(Request::Page { path, manner: Manner { head_only, keep_alive } })
}

/// What the server answers to a WebSocket's opening handshake (RFC 6455 section 4.2).
fn read_upgrade(headers: &Headers<'_>, minor: u8) -> Result<Vec<u8>, HttpStatus> {
    if minor != 1 || !headers.has_token("connection", "upgrade") {
        return Err(HttpStatus::BadRequest);
    }
    let key = headers.only("sec-websocket-key").and_then(websocket::accept_key);
    let key = key.ok_or(HttpStatus::BadRequest)?;
    if headers.only("sec-websocket-version") != Some("13") {
        return Err(HttpStatus::UpgradeRequired);
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\n\r\n"
    );
    Ok(answer.into_bytes())
}

struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'h str> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| std::str::from_utf8(header.value).unwrap_or_default().trim())
    }

    /// The value, if the field is there once.
    fn only(&self, name: &str) -> Option<&'h str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a list of tokens, parted by commas, holds this one.
    fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|value| value.split(','));
        tokens.any(|candidate| candidate.trim().eq_ignore_ascii_case(token))
    }
}

/// An answer with its `Content-Length` (protocol section 9).
fn encode_answer(status: HttpStatus, content_type: &str, body: &str, manner: Manner) -> Vec<u8> {
    let connection = if manner.keep_alive { "keep-alive" } else { "close" };
    let mut answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\nX-Content-Type-Options: nosniff\r\n{}\r\n",
        status.line(),
        body.len(),
        status.headers(),
    );
    if !manner.head_only {
        answer.push_str(body);
    }
    answer.into_bytes()
}

/// An answer that says its status and nothing else.
pub fn encode_status(status: HttpStatus, manner: Manner) -> Vec<u8> {
    encode_answer(status, "text/plain; charset=utf-8", &format!("{}\n", status.line()), manner)
}

/// The page that names the server and says that it runs.
pub fn encode_front_page(server_name: &str, manner: Manner) -> Vec<u8> {
    let mut name = String::new();
    for character in server_name.chars() {
        match character {
            '&' => name.push_str("&amp;"),
            '<' => name.push_str("&lt;"),
            '>' => name.push_str("&gt;"),
            '"' => name.push_str("&quot;"),
            other => name.push(other),
        }
    }
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <h1>{name}</h1>\n<p>This Aster server runs. Point an Aster client at this host and \
         port to talk here.</p>\n"
    );
    encode_answer(HttpStatus::Ok, "text/html; charset=utf-8", &page, manner)
}

/// The answer to `/health`.
pub fn encode_health(alive: bool, manner: Manner) -> Vec<u8> {
    let (status, body) = match alive {
        true => (HttpStatus::Ok, r#"{"status":"ok"}"#),
        false => (HttpStatus::Unavailable, r#"{"status":"unavailable"}"#),
    };
    encode_answer(status, "application/json", body, manner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(head: &str) -> Result<Option<Request>, HttpStatus> {
        parse(&mut head.replace('\n', "\r\n").into_bytes())
    }

    const UPGRADE: &str = "GET /chat HTTP/1.1\nHost: h\nUpgrade: WebSocket\n\
        Connection: keep-alive, Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
        Sec-WebSocket-Version: 13\n\n";

    #[test]
    fn an_upgrade_is_answered_as_rfc_6455_does() {
        let Ok(Some(Request::Upgrade(answer))) = outcome(UPGRADE) else { panic!("no upgrade") };
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }

    #[test]
    fn a_broken_upgrade_is_400_and_another_version_426() {
        let with = |from: &str, to: &str| outcome(&UPGRADE.replace(from, to));
        assert_eq!(with("Version: 13", "Version: 8"), Err(HttpStatus::UpgradeRequired));
        assert_eq!(with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), Err(HttpStatus::BadRequest));
        assert_eq!(with("keep-alive, Upgrade", "close"), Err(HttpStatus::BadRequest));
        assert_eq!(with("HTTP/1.1", "HTTP/1.0"), Err(HttpStatus::BadRequest));
    }

    #[test]
    fn a_head_is_taken_whole_and_what_follows_stays() {
        let mut inbox =
            b"GET https://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\nGET".to_vec();
        let manner = Manner { head_only: false, keep_alive: true };
        let page = Request::Page { path: "/a".to_owned(), manner };
        assert_eq!(parse(&mut inbox), Ok(Some(page)));
        assert_eq!(inbox, b"GET");
        assert_eq!(parse(&mut inbox), Ok(None));
    }

    #[test]
    fn what_is_malformed_or_too_large_is_refused() {
        assert_eq!(outcome("GET / HTTP/1.1\n\n"), Err(HttpStatus::BadRequest), "no Host");
        assert_eq!(outcome("\u{1}\n\n"), Err(HttpStatus::BadRequest));
        assert_eq!(outcome("PUT / HTTP/1.1\nHost: h\n\n"), Err(HttpStatus::MethodNotAllowed));
        let long = format!("GET / HTTP/1.1\nHost: h\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(outcome(&long), Err(HttpStatus::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\nHost: h\n{}\n", "X: y\n".repeat(HEADERS_MAX));
        assert_eq!(outcome(&many), Err(HttpStatus::HeadTooLarge));
    }

    #[test]
    fn a_servers_name_is_text_on_its_page() {
        let page = String::from_utf8(encode_front_page("<b> & \"c\"", Manner::LAST)).unwrap();
        assert!(page.contains("<h1>&lt;b&gt; &amp; &quot;c&quot;</h1>"));
        assert!(!page.contains("<b>"));
    }
}
