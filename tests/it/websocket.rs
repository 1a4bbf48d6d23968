//! RFC 6455, a case for each MUST that a client can put to the test.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::client::Framing;
use crate::support::server::Server;
use crate::support::tls::{End, Tls};
use crate::support::websocket::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, TEXT, UPGRADE, close_payload, frame,
    receive, upgrade,
};

const PING_REQUEST: &[u8] = br#"{"command":"ping"}"#;
/// The smallest bound that the configuration takes.
const REQUEST_BYTES_MAX: usize = 65536;

/// A WebSocket that has read the greeting.
fn open(server: &Server) -> Tls {
    let mut tls = Tls::connect(server.address);
    upgrade(&mut tls).unwrap();
    let greeting = json!({"command": "API_version", "status": 200, "version": [1, 1, 0]});
    assert_packet(&mut tls, &greeting);
    tls
}

#[track_caller]
fn assert_frame(tls: &mut Tls, first: u8, payload: &[u8]) {
    let got = receive(tls).unwrap();
    assert_eq!(
        got,
        Some(Frame { first, payload: payload.to_vec() }),
        "{:?}",
        String::from_utf8_lossy(payload)
    );
}

#[track_caller]
fn assert_packet(tls: &mut Tls, packet: &Value) {
    let got = receive(tls).unwrap().expect("the stream ended, but a packet was expected");
    assert_eq!(got.first, FIN | TEXT, "{got:?}");
    assert_eq!(serde_json::from_slice::<Value>(&got.payload).unwrap(), *packet);
}

fn pong() -> Value {
    json!({"command": "ping", "status": 200})
}

fn unknown() -> Value {
    json!({"command": "unknown", "status": 400})
}

/// The server closes with this code, and then ends the stream properly.
#[track_caller]
fn assert_closed(tls: &mut Tls, code: u16, case: &str) {
    let got = receive(tls).unwrap().unwrap_or_else(|| panic!("{case}: no close frame"));
    assert_eq!(
        (got.first, got.payload.get(..2)),
        (FIN | CLOSE, Some(&code.to_be_bytes()[..])),
        "{case}: {got:?}"
    );
    tls.try_write(&frame(FIN | CLOSE, &close_payload(code))).ok();
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify), "{case}");
}

/// `{"command":"ping",...}` with exactly so many bytes.
fn ping_of(bytes: usize) -> Vec<u8> {
    let start = r#"{"command":"ping","x":""#;
    format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2)).into_bytes()
}

#[test]
fn any_path_and_spelling_upgrades_and_frames_may_follow_at_once() {
    let server = Server::start();
    let head = UPGRADE
        .replace("/chat", "/any/path?x=y")
        .replace("Upgrade:", "uPGRADE:")
        .replace("websocket\r", "WebSocket\r");
    let mut bytes = head.into_bytes();
    bytes.extend(frame(FIN | TEXT, PING_REQUEST));
    let mut tls = Tls::connect(server.address);
    tls.write(&bytes);
    let answer = tls.take_until(b"\r\n\r\n").unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    receive(&mut tls).unwrap().unwrap();
    assert_packet(&mut tls, &pong());
}

#[test]
fn an_upgrade_that_is_none_says_why() {
    let server = Server::start();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (head, status) in [
        (UPGRADE.replace(key, ""), "400"),
        (UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), "400"),
        (UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "not base64, certainly not"), "400"),
        (UPGRADE.replace("Version: 13", "Version: 8"), "426"),
        (UPGRADE.replace("Sec-WebSocket-Version: 13\r\n", ""), "426"),
    ] {
        let mut tls = Tls::connect(server.address);
        tls.write(head.as_bytes());
        let answer = String::from_utf8(tls.read_to_end().0).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{answer}");
        if status == "426" {
            assert!(answer.to_lowercase().contains("sec-websocket-version: 13\r\n"), "{answer}");
        }
    }
}

#[test]
fn every_form_of_length_is_read_and_written() {
    let server = Server::start();
    let mut tls = open(&server);
    for length in [125, 126, 127, 65535, 65536, 1 << 20] {
        tls.write(&frame(FIN | TEXT, &ping_of(length)));
        assert_packet(&mut tls, &pong());
    }
    let mut alice = server.connect("alice", Framing::WebSocket);
    alice.enter("register");
    let channel = alice.general();
    for length in [1, 200, 16 << 10, 16 << 10, 16 << 10, 16 << 10] {
        alice.say(channel, &"x".repeat(length));
        let history = alice.history(channel, 9);
        assert_eq!(history.last().unwrap()["content"].as_str().unwrap().len(), length);
    }
}

#[test]
fn frames_may_come_in_any_pieces() {
    let server = Server::start();
    let mut tls = open(&server);
    for byte in frame(FIN | TEXT, PING_REQUEST) {
        tls.write(&[byte]);
    }
    assert_packet(&mut tls, &pong());
    let mut bytes = frame(FIN | TEXT, PING_REQUEST).repeat(100);
    let rest = bytes.split_off(1500);
    tls.write(&bytes);
    tls.write(&rest);
    (0..100).for_each(|_| assert_packet(&mut tls, &pong()));
}

#[test]
fn fragments_are_joined_with_control_frames_in_between() {
    let server = Server::start();
    let mut tls = open(&server);
    // The fragments part a character.
    let text = "{\"command\":\"ping\",\"label\":\"č\"}".as_bytes();
    let at = text.len() - 3;
    tls.write(&frame(TEXT, &text[..5]));
    tls.write(&frame(FIN | PING, b"are you there?"));
    tls.write(&frame(CONTINUATION, &text[5..at]));
    tls.write(&frame(FIN | PONG, b"nobody asked"));
    tls.write(&frame(CONTINUATION, b""));
    tls.write(&frame(FIN | PING, &[7; 125]));
    tls.write(&frame(FIN | CONTINUATION, &text[at..]));
    assert_frame(&mut tls, FIN | PONG, b"are you there?");
    assert_frame(&mut tls, FIN | PONG, &[7; 125]);
    assert_packet(&mut tls, &json!({"command": "ping", "status": 200, "label": "č"}));
    tls.write(&frame(FIN | PING, b""));
    assert_frame(&mut tls, FIN | PONG, b"");
}

#[test]
fn a_binary_message_is_a_bad_request_and_the_connection_goes_on() {
    let server = Server::start();
    let mut tls = open(&server);
    tls.write(&frame(FIN | BINARY, PING_REQUEST));
    assert_packet(&mut tls, &unknown());
    tls.write(&frame(BINARY, b"\xff\xfe"));
    tls.write(&frame(FIN | CONTINUATION, b"\xff"));
    assert_packet(&mut tls, &unknown());
    tls.write(&frame(FIN | TEXT, b""));
    assert_packet(&mut tls, &unknown());
    tls.write(&frame(FIN | TEXT, PING_REQUEST));
    assert_packet(&mut tls, &pong());
}

#[test]
fn a_violation_of_the_protocol_closes_with_1002() {
    let server = Server::start();
    let unmasked = [&[FIN | TEXT, PING_REQUEST.len() as u8], PING_REQUEST].concat();
    let cases = [
        ("no mask", unmasked),
        ("no mask on a control frame", vec![FIN | PING, 0]),
        ("RSV1", frame(FIN | 0x40 | TEXT, PING_REQUEST)),
        ("RSV3", frame(FIN | 0x10 | TEXT, PING_REQUEST)),
        ("opcode 3", frame(FIN | 3, b"")),
        ("opcode 11", frame(FIN | 11, b"")),
        ("a fragment of a ping", frame(PING, b"")),
        ("a long ping", frame(FIN | PING, &[0; 126])),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x")),
        ("a text within a text", [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat()),
        ("a binary within a text", [frame(TEXT, b"{"), frame(BINARY, b"}")].concat()),
        (
            "a continuation after the end",
            [frame(FIN | PONG, b""), frame(CONTINUATION, b"}")].concat(),
        ),
        ("half a close code", frame(FIN | CLOSE, &[3])),
        ("close code 999", frame(FIN | CLOSE, &close_payload(999))),
        ("close code 1004", frame(FIN | CLOSE, &close_payload(1004))),
        ("close code 1005", frame(FIN | CLOSE, &close_payload(1005))),
        ("close code 1006", frame(FIN | CLOSE, &close_payload(1006))),
        ("close code 1015", frame(FIN | CLOSE, &close_payload(1015))),
        ("close code 5000", frame(FIN | CLOSE, &close_payload(5000))),
    ];
    for (case, bytes) in cases {
        let mut tls = open(&server);
        tls.write(&bytes);
        assert_closed(&mut tls, 1002, case);
    }
}

#[test]
fn text_that_is_not_utf8_closes_with_1007() {
    let server = Server::start();
    let reason = [&close_payload(1000)[..], b"\xff"].concat();
    let cases = [
        ("a wrong byte", frame(FIN | TEXT, b"{\"command\":\"ping\xff\"}")),
        ("half a character", frame(FIN | TEXT, b"{\xc3")),
        ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80")),
        ("a fragment", [frame(TEXT, b"{"), frame(FIN | CONTINUATION, b"\xc0\xaf")].concat()),
        ("a reason", frame(FIN | CLOSE, &reason)),
    ];
    for (case, bytes) in cases {
        let mut tls = open(&server);
        tls.write(&bytes);
        assert_closed(&mut tls, 1007, case);
    }
}

#[test]
fn a_request_past_the_bound_is_answered_and_closes_with_1009() {
    let server = Server::configured(json!({"limits": {"max_request_bytes": REQUEST_BYTES_MAX}}));
    let mut tls = open(&server);
    tls.write(&frame(FIN | TEXT, &ping_of(REQUEST_BYTES_MAX)));
    assert_packet(&mut tls, &pong());
    let half = vec![b' '; REQUEST_BYTES_MAX / 2];
    let mask = [0; 4];
    let announced =
        |length: u64| [&[FIN | TEXT, 0x80 | 127][..], &length.to_be_bytes(), &mask].concat();
    let cases = [
        ("one frame", frame(FIN | TEXT, &ping_of(REQUEST_BYTES_MAX + 1))),
        (
            "fragments",
            [frame(TEXT, &half), frame(CONTINUATION, &half), frame(CONTINUATION, b" ")].concat(),
        ),
        ("only announced", announced(REQUEST_BYTES_MAX as u64 + 1)),
        ("far past", announced(i64::MAX as u64)),
        ("binary", frame(FIN | BINARY, &vec![0; REQUEST_BYTES_MAX + 1])),
    ];
    for (case, bytes) in cases {
        let mut tls = open(&server);
        tls.write(&bytes);
        assert_packet(&mut tls, &unknown());
        assert_closed(&mut tls, 1009, case);
    }
}

#[test]
fn a_message_of_endless_fragments_is_refused_at_the_bound() {
    let server = Server::configured(json!({"limits": {"max_request_bytes": REQUEST_BYTES_MAX}}));
    let mut tls = open(&server);
    tls.write(&frame(TEXT, b"{"));
    let begun = Instant::now();
    while tls.try_write(&frame(CONTINUATION, &[b' '; 16 << 10])).is_ok() {
        assert!(begun.elapsed() < DEADLINE, "the server takes whatever comes");
    }
}

#[test]
fn every_ping_is_answered() {
    let server = Server::start();
    let mut tls = open(&server);
    tls.write(&frame(FIN | PING, b"x").repeat(1000));
    (0..1000).for_each(|_| assert_frame(&mut tls, FIN | PONG, b"x"));
}

#[test]
fn a_close_is_answered_with_a_close() {
    let server = Server::start();
    for code in [1000, 1001, 1011, 3000, 4999] {
        let mut tls = open(&server);
        tls.write(&frame(FIN | CLOSE, &[&close_payload(code)[..], b"good bye"].concat()));
        assert_closed(&mut tls, code, "a code");
    }
    let mut tls = open(&server);
    tls.write(&frame(FIN | CLOSE, b""));
    let answer = receive(&mut tls).unwrap().unwrap();
    assert_eq!(answer.first, FIN | CLOSE);
    assert_eq!(tls.read_to_end(), (Vec::new(), End::CloseNotify));
    // What comes after a close is not looked at; what came before it is answered.
    let mut tls = open(&server);
    let frames = [
        frame(FIN | TEXT, PING_REQUEST),
        frame(FIN | CLOSE, &close_payload(1000)),
        frame(FIN | TEXT, PING_REQUEST),
    ];
    tls.write(&frames.concat());
    assert_packet(&mut tls, &pong());
    assert_closed(&mut tls, 1000, "in one piece");
}
