//! Plain HTTPS on the same port (protocol section 9).

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Framing;
use crate::support::server::{Folder, Server, run};
use crate::support::tls::{End, Tls};

/// An answer: its status, its head in lower case, its body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// Reads one answer by its Content-Length; an answer to HEAD has no body.
fn read_answer(tls: &mut Tls, to_head: bool) -> Answer {
    let head =
        tls.take_until(b"\r\n\r\n").unwrap().expect("the stream ended, but an answer was expected");
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status =
        head.strip_prefix("http/1.1 ").and_then(|rest| rest[..3].parse().ok()).expect(&head);
    // RFC 9110 section 8.6: the length of what is not sent would be of no use.
    let length = match status {
        304 => 0,
        _ => field(&head, "content-length").expect(&head).parse().unwrap(),
    };
    let body = tls.take(if to_head { 0 } else { length }).unwrap().expect("a body cut short");
    Answer { status, head, body }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(':').filter(|(key, _)| *key == name))
        .map(|(_, value)| value.trim())
}

/// Sends one request on a connection of its own, after whose answer the stream must end.
fn ask(server: &Server, request: &str) -> Answer {
    let mut tls = Tls::connect(server.address);
    // The server may refuse before it has all.
    tls.try_write(request.as_bytes()).ok();
    let answer = read_answer(&mut tls, request.starts_with("HEAD "));
    assert!(tls.read_to_end().0.is_empty(), "something follows the answer to {request}");
    answer
}

fn get(server: &Server, path: &str) -> Answer {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

/// The path of a file of the web client, as its document names it.
fn path_of(server: &Server, file: &str) -> String {
    let document = String::from_utf8(get(server, "/").body).unwrap();
    let paths = document.split('"').filter(|part| part.starts_with("/web/"));
    let version = paths.map(|path| path.split('/').nth(2).unwrap()).next().unwrap();
    format!("/web/{version}/{file}")
}

fn get_with(server: &Server, path: &str, headers: &str) -> Answer {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"))
}

/// What gzip packed.
fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn the_web_client_is_served_and_kept_by_browsers() {
    let server = Server::start();
    let document = get(&server, "/");
    assert_eq!(document.status, 200);
    assert_eq!(field(&document.head, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(field(&document.head, "cache-control"), Some("no-cache"));
    let text = String::from_utf8(document.body).unwrap();
    assert!(text.contains("<script type=\"module\"") && !text.contains('@'), "{text}");
    let head = ask(&server, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let length = text.len().to_string();
    assert_eq!((head.status, field(&head.head, "content-length")), (200, Some(&length[..])));
    // What the document names is there, and changes its path when it changes.
    for path in text.split('"').filter(|part| part.starts_with("/web/")) {
        let file = get(&server, path);
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.body.is_empty(), "{path}");
        let kept = field(&file.head, "cache-control").unwrap();
        assert!(kept.contains("immutable") && kept.contains("max-age=31536000"), "{kept}");
    }
    let main = path_of(&server, "main.js");
    let kind = field(&get(&server, &main).head, "content-type").map(str::to_owned);
    assert_eq!(kind.as_deref(), Some("text/javascript; charset=utf-8"));
    for path in [
        "/main.js",
        "/web/",
        "/web/main.js",
        "/web/0000000000000000/main.js",
        &path_of(&server, "index.html"),
        &path_of(&server, "../main.js"),
        &path_of(&server, "nothing.js"),
    ] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = Server::start();
    for path in ["/".to_owned(), path_of(&server, "main.js")] {
        let plain = get(&server, &path);
        let tag = field(&plain.head, "etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
        for known in [tag.clone(), format!("W/{tag}"), "*".to_owned(), format!("\"a\", {tag}")] {
            let answer = get_with(&server, &path, &format!("If-None-Match: {known}\r\n"));
            assert_eq!(answer.status, 304, "{known}");
            assert_eq!(field(&answer.head, "etag"), Some(&tag[..]));
            assert_eq!(field(&answer.head, "cache-control"), field(&plain.head, "cache-control"));
        }
        let other = get_with(&server, &path, "If-None-Match: \"a\", \"b\"\r\n");
        assert_eq!(other.status, 200);
        // Packed, it has another tag.
        let packed = get_with(&server, &path, "Accept-Encoding: br, gzip\r\n");
        assert_ne!(field(&packed.head, "etag"), Some(&tag[..]));
        let headers = format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n");
        assert_eq!(get_with(&server, &path, &headers).status, 200);
    }
}

#[test]
fn who_takes_gzip_gets_the_same_packed() {
    let server = Server::start();
    for path in
        ["/".to_owned(), path_of(&server, "community.js"), path_of(&server, "style/base.css")]
    {
        let plain = get_with(&server, &path, "Accept-Encoding: gzip;q=0, br\r\n");
        let packed = get_with(&server, &path, "Accept-Encoding: gzip\r\n");
        assert_eq!(field(&plain.head, "content-encoding"), None);
        assert_eq!(field(&packed.head, "content-encoding"), Some("gzip"));
        for answer in [&plain, &packed] {
            assert_eq!(field(&answer.head, "vary"), Some("accept-encoding"));
        }
        assert!(packed.body.len() < plain.body.len());
        assert_eq!(unpack(&packed.body), plain.body);
    }
}

#[test]
fn a_head_says_of_a_file_what_get_sends() {
    let server = Server::start();
    let main = path_of(&server, "main.js");
    for (path, headers) in [("/", ""), ("/", "Accept-Encoding: gzip\r\n"), (&main[..], "")] {
        let rest = format!(" {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        let (sent, said) =
            (ask(&server, &format!("GET{rest}")), ask(&server, &format!("HEAD{rest}")));
        assert_eq!(said.head, sent.head);
        assert_eq!(field(&said.head, "content-length"), Some(&sent.body.len().to_string()[..]));
    }
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let server = Server::start();
    let main = path_of(&server, "main.js");
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let requests = [
        (200, format!("GET /{end}\r\n")),
        (200, format!("HEAD /{end}\r\n")),
        (200, format!("GET {main}{end}Accept-Encoding: gzip\r\n\r\n")),
        (200, format!("GET /health{end}\r\n")),
        (304, format!("GET /{end}If-None-Match: *\r\n\r\n")),
        (400, "hello\r\n\r\n".to_owned()),
        (400, format!("{upgrade}\r\n")),
        (404, format!("GET /nothing{end}\r\n")),
        (405, format!("POST /{end}\r\n")),
        (
            426,
            format!(
                "{upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n"
            ),
        ),
        (431, format!("GET /{end}X: {}\r\n\r\n", "x".repeat(16 << 10))),
    ];
    for (status, request) in requests {
        let answer = ask(&server, &request);
        assert_eq!(answer.status, status, "{request}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "deny"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: \
                 data: https:; connect-src 'self' wss:; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            ),
        ] {
            assert_eq!(field(&answer.head, name), Some(value), "{status}: {request}");
        }
    }
}

#[test]
fn a_folder_is_served_as_it_is_and_nothing_beside_it() {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr": "127.0.0.1", "port": 0}"#);
    let files = folder.path().join("web");
    fs::create_dir_all(files.join("views")).unwrap();
    fs::write(files.join("index.html"), "<script src=\"/web/@VERSION@/a.js\">").unwrap();
    fs::write(files.join("a.js"), "1").unwrap();
    fs::write(files.join("views/b.css"), "2").unwrap();
    fs::write(files.join("app.webmanifest"), "{}").unwrap();
    fs::write(files.join("notes.txt"), "not for the web").unwrap();
    fs::write(files.join("full.js"), vec![b' '; 1 << 20]).unwrap();
    fs::write(files.join("large.js"), vec![b' '; (1 << 20) + 1]).unwrap();
    fs::write(folder.path().join("secret.js"), "3").unwrap();
    symlink(folder.path().join("secret.js"), files.join("link.js")).unwrap();
    symlink(folder.path(), files.join("up")).unwrap();
    symlink("notes.txt", files.join("notes.js")).unwrap();
    symlink("a.js", files.join("inside.js")).unwrap();
    let server = Server::try_start(folder, &["--assets", "web"], Arc::default());
    let server = server.unwrap_or_else(|record| panic!("no server:\n{}", record.print()));
    assert_eq!(get(&server, "/").body, b"<script src=\"/web/dev/a.js\">");
    assert_eq!(get(&server, "/web/dev/views/b.css").body, b"2");
    assert_eq!(get(&server, "/web/dev/inside.js").body, b"1");
    assert_eq!(get(&server, "/web/dev/full.js").body.len(), 1 << 20);
    let manifest = get(&server, "/web/dev/app.webmanifest");
    assert_eq!(field(&manifest.head, "content-type"), Some("application/manifest+json"));
    let before = get(&server, "/web/dev/a.js");
    assert_eq!(
        (&before.body[..], field(&before.head, "cache-control")),
        (&b"1"[..], Some("no-store"))
    );
    fs::write(files.join("a.js"), "4").unwrap();
    assert_eq!(get(&server, "/web/dev/a.js").body, b"4");
    for path in [
        "notes.txt",
        "notes.js",
        "large.js",
        "link.js",
        "up/secret.js",
        "../secret.js",
        "views/../../secret.js",
        "%2e%2e/secret.js",
        "/a.js",
        "./a.js",
        "views",
        "views/",
        "",
        "a.js%00",
        "..\\secret.js",
    ] {
        assert_eq!(get(&server, &format!("/web/dev/{path}")).status, 404, "{path}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said_at_the_start() {
    let folder = Folder::prepared();
    let (code, log) = run(&folder, &["--assets", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(log.contains("nowhere: "), "{log}");
}

#[test]
fn health_is_json_and_other_paths_are_not_found() {
    let server = Server::start();
    let answer = get(&server, "/health");
    assert_eq!(answer.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), json!({"status": "ok"}));
    assert_eq!(field(&answer.head, "content-type"), Some("application/json"));
    for path in ["/nothing", "/index.html", "/../config.json", "/key.pem", "/%2e%2e/key.pem", "//"]
    {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
    assert_eq!(
        ask(&server, "HEAD /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status,
        404
    );
}

#[test]
fn other_methods_are_405() {
    let server = Server::start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(ask(&server, &request).status, 405, "{method}");
    }
}

#[test]
fn a_malformed_head_is_400() {
    let server = Server::start();
    for request in [
        "hello\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\x01\x02\r\n\r\n",
        "GET / HTTP/7.0\r\n\r\n",
    ] {
        assert_eq!(ask(&server, request).status, 400, "{request:?}");
    }
}

#[test]
fn a_head_over_16_kib_is_431_also_if_it_never_ends() {
    let server = Server::start();
    let start = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ";
    let filler = |bytes: usize| "x".repeat(bytes - start.len());
    assert_eq!(ask(&server, &format!("{start}{}\r\n\r\n", filler((16 << 10) - 4))).status, 200);
    assert_eq!(ask(&server, &format!("{start}{}\r\n\r\n", filler((16 << 10) - 3))).status, 431);
    assert_eq!(ask(&server, &format!("{start}{}", filler((16 << 10) + 1))).status, 431);
    assert_eq!(ask(&server, &format!("GET /{}", "x".repeat(16 << 10))).status, 431);
}

#[test]
fn a_connection_is_kept_for_who_asks() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    let request =
        |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    for (path, status) in [("/health", 200), ("/nothing", 404), ("/", 200)] {
        tls.write(request(path).as_bytes());
        assert_eq!(read_answer(&mut tls, false).status, status);
    }
    // Several in one piece, and one in pieces.
    tls.write(format!("{}{}GET /he", request("/health"), request("/nothing")).as_bytes());
    assert_eq!(read_answer(&mut tls, false).status, 200);
    assert_eq!(read_answer(&mut tls, false).status, 404);
    tls.write(b"alth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(read_answer(&mut tls, false).status, 200);
    assert!(tls.read_to_end().0.is_empty());
}

#[test]
fn files_asked_for_in_one_piece_come_in_that_order() {
    let server = Server::start();
    let (main, base) = (path_of(&server, "main.js"), path_of(&server, "style/base.css"));
    let (script, style) = (get(&server, &main).body, get(&server, &base).body);
    let mut tls = Tls::connect(server.address);
    let request = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n{headers}\r\n")
    };
    let known = "If-None-Match: *\r\n";
    tls.write([request(&base, ""), request(&main, known), request(&main, "")].concat().as_bytes());
    assert_eq!(read_answer(&mut tls, false).body, style);
    assert_eq!(read_answer(&mut tls, false).status, 304);
    assert_eq!(read_answer(&mut tls, false).body, script);
}

#[test]
fn a_connection_is_kept_five_seconds_for_the_next_request() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    let mut slow = Tls::connect(server.address);
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    let begun = Instant::now();
    tls.write(request.as_bytes());
    slow.write(format!("{request}GET /hea").as_bytes());
    assert_eq!(read_answer(&mut tls, false).status, 200);
    assert_eq!(read_answer(&mut slow, false).status, 200);
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));
    assert!(begun.elapsed() >= Duration::from_secs(5));
    // Who has begun to ask is let finish.
    slow.write(b"lth HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(read_answer(&mut slow, false).status, 200);
}

#[test]
fn http_never_blocks_the_chat() {
    let server = Server::start();
    let mut heads: Vec<Tls> = (0..20).map(|_| Tls::connect(server.address)).collect();
    heads.iter_mut().for_each(|tls| tls.write(b"GET / HTTP/1.1\r\nX: "));
    let mut alice = server.connect("alice", Framing::WebSocket);
    alice.enter("register");
    let channel = alice.general();
    alice.say(channel, "hello");
    assert_eq!(alice.next_event().unwrap()["content"], "hello");
}
