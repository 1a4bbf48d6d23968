//! JSON lines, and the TLS beneath them: pieces, bounds, and what is no line at all.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::client::Framing;
use crate::support::server::Server;
use crate::support::tls::{End, Tls, config_of};

const GREETING: &str = r#"{"command":"API_version","status":200,"version":[1,1,0]}"#;
/// The smallest bound that the configuration takes.
const REQUEST_BYTES_MAX: usize = 65536;

/// The next line as JSON.
fn line(tls: &mut Tls) -> Value {
    let line = tls.take_until(b"\n").unwrap().expect("the stream ended, but a line was expected");
    assert!(!line.ends_with(b"\r\n"));
    serde_json::from_slice(&line).unwrap()
}

#[track_caller]
fn assert_lines(tls: &mut Tls, expected: &[Value]) {
    for expected in expected {
        assert_eq!(line(tls), *expected);
    }
}

fn greeting() -> Value {
    serde_json::from_str(GREETING).unwrap()
}

fn pong() -> Value {
    json!({"command": "ping", "status": 200})
}

fn unknown() -> Value {
    json!({"command": "unknown", "status": 400})
}

/// `{"command":"ping",...}` with exactly so many bytes.
fn ping_of(bytes: usize) -> String {
    let start = r#"{"command":"ping","x":""#;
    format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2))
}

#[test]
fn the_greeting_comes_with_the_first_byte_and_requests_in_any_pieces() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    tls.write(b"{");
    assert_lines(&mut tls, &[greeting()]);
    for byte in br#""command":"ping"}"# {
        tls.write(&[*byte]);
    }
    tls.write(b"\n{\"command\":\"ping\"}\n{\"comm");
    assert_lines(&mut tls, &[pong(), pong()]);
    tls.write(b"and\":\"ping\"}\r");
    tls.write(b"\n");
    assert_lines(&mut tls, &[pong()]);
}

#[test]
fn many_requests_in_one_piece_are_answered_in_order() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    let requests = (0..500).map(|n| format!("{{\"command\":\"ping\",\"label\":\"{n}\"}}\n"));
    tls.write(requests.collect::<String>().as_bytes());
    assert_lines(&mut tls, &[greeting()]);
    for n in 0..500 {
        assert_eq!(line(&mut tls)["label"], n.to_string());
    }
}

#[test]
fn lines_may_end_in_crlf_and_empty_ones_are_skipped() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    tls.write(b"{\"command\":\"ping\"}\r\n\r\n\n\n{\"command\":\"ping\"}\n\r\n{\"command\":\"leave\"}\r\n");
    let left = json!({"command": "leave", "status": 200});
    assert_lines(&mut tls, &[greeting(), pong(), pong(), left]);
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));
}

#[test]
fn a_line_that_is_not_utf8_is_answered_and_the_connection_goes_on() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    tls.write(b"{\"command\":\"ping\",\"x\":\"\xc3\x28\"}\n\xff\xfe\n{\"command\":\"ping\"}\n");
    assert_lines(&mut tls, &[greeting(), unknown(), unknown(), pong()]);
}

#[test]
fn a_request_may_have_max_request_bytes_and_no_more() {
    let server = Server::configured(json!({"limits": {"max_request_bytes": REQUEST_BYTES_MAX}}));
    let mut tls = Tls::connect(server.address);
    tls.write(format!("{}\n", ping_of(REQUEST_BYTES_MAX)).as_bytes());
    assert_lines(&mut tls, &[greeting(), pong()]);
    tls.write(format!("{}\r\n", ping_of(REQUEST_BYTES_MAX)).as_bytes());
    assert_lines(&mut tls, &[pong()]);
    tls.write(format!("{}\n", ping_of(REQUEST_BYTES_MAX + 1)).as_bytes());
    assert_lines(&mut tls, &[unknown()]);
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));
}

#[test]
fn a_line_that_never_ends_is_refused_at_the_bound() {
    let server = Server::configured(json!({"limits": {"max_request_bytes": REQUEST_BYTES_MAX}}));
    // Not a byte more than what must be refused, and no end of line.
    let mut tls = Tls::connect(server.address);
    tls.write(ping_of(REQUEST_BYTES_MAX + 2).as_bytes());
    assert_lines(&mut tls, &[greeting(), unknown()]);
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));

    // On and on: whatever the client sees of the answer, it is closed.
    let mut tls = Tls::connect(server.address);
    tls.write(ping_of(REQUEST_BYTES_MAX + 2).as_bytes());
    assert!(tls.flood(), "the server takes whatever comes");
    server.connect("dave", Framing::Lines).must(json!({"command": "ping"}));
}

#[test]
fn empty_lines_without_end_are_no_harm() {
    let server = Server::configured(json!({"limits": {"max_request_bytes": REQUEST_BYTES_MAX}}));
    let mut tls = Tls::connect(server.address);
    tls.write(b"{\"command\":\"ping\"}\n");
    tls.write(&vec![b'\n'; 3 * REQUEST_BYTES_MAX]);
    tls.write(b"{\"command\":\"ping\"}\n");
    assert_lines(&mut tls, &[greeting(), pong(), pong()]);
}

#[test]
fn a_client_that_ends_its_stream_is_answered_first() {
    let server = Server::start();
    let mut tls = Tls::connect(server.address);
    tls.write(b"{\"command\":\"ping\"}\n");
    tls.send_close_notify();
    assert_lines(&mut tls, &[greeting(), pong()]);
    assert!(tls.read_to_end().0.is_empty());
}

#[test]
fn both_versions_of_tls_are_spoken_with_and_without_alpn() {
    let server = Server::start();
    for (version, number) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let http: &[u8] = b"http/1.1";
        for (offered, picked) in [(&[][..], None), (&[b"h2", http][..], Some(http))] {
            let mut tls = Tls::try_connect(server.address, config_of(&[version], offered)).unwrap();
            assert_eq!(tls.connection().protocol_version(), Some(number));
            assert_eq!(tls.connection().alpn_protocol(), picked);
            tls.write(b"{\"command\":\"ping\"}\n");
            assert_lines(&mut tls, &[greeting(), pong()]);
        }
    }
}

#[test]
fn clear_text_is_refused_and_harms_nobody() {
    let server = Server::start();
    let mut alice = server.member("alice");
    for text in
        ["{\"command\":\"ping\"}\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x7f\x7f\x01", "\0"]
    {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(text.repeat(100).as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        socket.read_to_end(&mut answer).ok();
        assert!(
            !answer.windows(7).any(|bytes| bytes == b"command" || bytes == b"HTTP/1."),
            "{answer:?}"
        );
        alice.must(json!({"command": "ping"}));
    }
}
