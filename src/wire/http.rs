//! The head of an HTTP/1.1 request (RFC 9112) and the answers that need no chat
//! (protocol section 9), the WebSocket's opening handshake among them (RFC 6455 section 4.2).

use std::fmt::Write;

use crate::wire::assets::Asset;
use crate::wire::websocket;

/// Bytes of a request's head at most.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields at most; more are answered 431 as well.
const HEADERS_MAX: usize = 64;

/// In every answer: a browser runs and loads what this server sent and nothing else, shows it in
/// nobody's frame, and tells nobody where it came from. Pictures of other hosts are shown to who asks
/// for them; the member's other servers are reached by WebSocket.
const SAFETY: &str = "X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Frame-Options: DENY\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data: https:; connect-src 'self' wss:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n";

/// The statuses that are ever answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpStatus {
    /// 200
    Ok,
    /// 304: what the client has is what there is.
    NotModified,
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
            Self::NotModified => "304 Not Modified",
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
            | Self::NotModified
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
        /// `If-None-Match`: tags of what the client has.
        known: String,
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
    /// `Accept-Encoding` allows gzip.
    pub takes_gzip: bool,
}

impl Manner {
    /// In full, then close.
    pub const LAST: Self = Self { head_only: false, keep_alive: false, takes_gzip: false };
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
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
        }
        Some(_) | None => target,
    };
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let manner = Manner { head_only, keep_alive, takes_gzip: headers.take_gzip() };
    let known = headers.all("if-none-match").collect::<Vec<_>>().join(",");
    Ok(Request::Page { path, known, manner })
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

    /// RFC 9110 section 12.5.3: what is named counts before `*`; a weight of zero is a no.
    fn take_gzip(&self) -> bool {
        let codings = self.all("accept-encoding").flat_map(|value| value.split(','));
        let mut named = None;
        let mut other = false;
        for coding in codings {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().trim_start_matches(['q', 'Q', '=']).trim();
            let is_taken =
                weight.is_empty() || weight.parse().is_ok_and(|weight: f32| weight > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => named = Some(is_taken),
                "*" => other = is_taken,
                _ => {}
            }
        }
        named.unwrap_or(other)
    }
}

/// An answer with its `Content-Length` (protocol section 9); a 304 has neither that nor a body.
fn encode_answer(status: HttpStatus, headers: &str, body: &[u8], manner: Manner) -> Vec<u8> {
    let connection = if manner.keep_alive { "keep-alive" } else { "close" };
    let length = match status {
        HttpStatus::NotModified => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let mut answer = format!(
        "HTTP/1.1 {}\r\n{headers}{length}Connection: {connection}\r\n{SAFETY}{}\r\n",
        status.line(),
        status.headers(),
    )
    .into_bytes();
    if !manner.head_only && status != HttpStatus::NotModified {
        answer.extend_from_slice(body);
    }
    answer
}

/// An answer that says its status and nothing else.
pub fn encode_status(status: HttpStatus, manner: Manner) -> Vec<u8> {
    let body = format!("{}\n", status.line());
    encode_answer(status, "Content-Type: text/plain; charset=utf-8\r\n", body.as_bytes(), manner)
}

/// A file of the web client; 304 for who has it by one of the `known` tags.
pub fn encode_asset(asset: &Asset<'_>, known: &str, manner: Manner) -> Vec<u8> {
    let Asset { content_type, cache_control, etag, is_gzip, body } = asset;
    let mut headers = format!("Cache-Control: {cache_control}\r\n");
    let mut add = |name, value: &str| write!(headers, "{name}: {value}\r\n").unwrap_or_default();
    if let Some(etag) = etag {
        add("ETag", etag);
        add("Vary", "Accept-Encoding");
        // RFC 9110 section 13.1.2: weak comparison.
        let mut tags = known.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        if tags.any(|tag| tag == etag || tag == "*") {
            return encode_answer(HttpStatus::NotModified, &headers, &[], manner);
        }
    }
    add("Content-Type", content_type);
    if *is_gzip {
        add("Content-Encoding", "gzip");
    }
    encode_answer(HttpStatus::Ok, &headers, body, manner)
}

/// The answer to `/health`.
pub fn encode_health(alive: bool, manner: Manner) -> Vec<u8> {
    let (status, body) = match alive {
        true => (HttpStatus::Ok, r#"{"status":"ok"}"#),
        false => (HttpStatus::Unavailable, r#"{"status":"unavailable"}"#),
    };
    encode_answer(status, "Content-Type: application/json\r\n", body.as_bytes(), manner)
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
        let manner = Manner { keep_alive: true, ..Manner::LAST };
        let page = Request::Page { path: "/a".to_owned(), known: String::new(), manner };
        assert_eq!(parse(&mut inbox), Ok(Some(page)));
        assert_eq!(inbox, b"GET");
        assert_eq!(parse(&mut inbox), Ok(None));
    }

    #[test]
    fn only_a_target_with_a_scheme_in_front_names_a_host() {
        let path = |target: &str| match outcome(&format!("GET {target} HTTP/1.1\nHost: h\n\n")) {
            Ok(Some(Request::Page { path, .. })) => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path("https://h"), "/");
        assert_eq!(path("/x?u=https://h/health"), "/x");
        assert_eq!(path("/x://h/health"), "/x://h/health");
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
    fn gzip_is_taken_as_rfc_9110_says() {
        let takes = |codings: &str| {
            let head = format!("GET / HTTP/1.1\nHost: h\nAccept-Encoding: {codings}\n\n");
            let Ok(Some(Request::Page { manner, .. })) = outcome(&head) else { panic!("no page") };
            manner.takes_gzip
        };
        for codings in ["gzip", "br, GZIP;q=0.5", "*", "deflate, *;q=0.1", "x-gzip"] {
            assert!(takes(codings), "{codings}");
        }
        for codings in ["", "br", "gzip;q=0", "gzip; q=0.000", "*, gzip;q=0", "*;q=0", "gzipped"] {
            assert!(!takes(codings), "{codings}");
        }
    }
}
