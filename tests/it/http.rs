//! Plain HTTPS on the same port (protocol section 9).

use serde_json::{Value, json};

use crate::support::client::Framing;
use crate::support::server::Server;
use crate::support::tls::Tls;

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
    let length = field(&head, "content-length").expect(&head).parse().unwrap();
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

#[test]
fn the_page_names_the_server_and_escapes_the_name() {
    let server = Server::configured(json!({"name": "Tea & <b>\"Cake\"</b>"}));
    let answer = get(&server, "/");
    let page = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 200);
    assert!(field(&answer.head, "content-type").unwrap().starts_with("text/html"));
    assert!(page.contains("Tea &amp; &lt;b&gt;") && !page.contains("<b>\"Cake"), "{page}");
    let length = page.len().to_string();
    let head = ask(&server, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, field(&head.head, "content-length")), (200, Some(&length[..])));
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
