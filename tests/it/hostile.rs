//! What is meant to break a reader: each is refused in so many words, and leaves nothing behind.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::client::Framing;
use crate::support::server::Server;
use crate::support::tls::Tls;
use crate::support::websocket::{self, FIN, TEXT};

const FRAMINGS: [Framing; 2] = [Framing::Lines, Framing::WebSocket];
/// Deeper than any stack of a client's thread would hold.
const LEVELS: usize = 100_000;

/// What the log has besides what a start says. Nothing hostile may fill it.
#[track_caller]
fn assert_nothing_logged(server: &Server) {
    let log = server.record.log();
    let start = log.iter().position(|line| line.starts_with("listening on ")).unwrap();
    assert!(log[start + 1..].is_empty(), "{:?}", &log[start + 1..]);
}

/// Memory that may be kept for the next: what each of the allocator's arenas holds on to.
const KEPT_KIB: u64 = 16 << 10;

/// Does something twice, after which the server's memory must be about what it was in between.
fn assert_memory_returns(server: &Server, work: impl Fn()) {
    let first_kib = server.memory_kib("VmRSS");
    work();
    server.wait_for_client_threads(0);
    let before_kib = server.memory_kib("VmRSS");
    work();
    server.wait_for_client_threads(0);
    if let (Some(before), Some(after)) = (before_kib, server.memory_kib("VmRSS")) {
        println!("{first_kib:?} KiB at first, {before} after it once, {after} after it twice");
        assert!(after < before + KEPT_KIB, "{before} KiB before, {after} after");
    }
}

/// Requests that are none, or only half, with the command and status of their answers.
fn hostile_requests(channel: i64) -> Vec<(String, &'static str, u16)> {
    let send = |content: &str| {
        format!(r#"{{"command":"send","channel":{channel},"content":"{content}"}}"#)
    };
    let get_user = |uuid: &str| format!(r#"{{"command":"get_user","uuid":{uuid}}}"#);
    let (open, close) = ("[".repeat(LEVELS), "]".repeat(LEVELS));
    let objects = format!("{}1{}", r#"{"x":"#.repeat(LEVELS), "}".repeat(LEVELS));
    vec![
        // Depth.
        (open.clone(), "unknown", 400),
        (format!("{open}{close}"), "unknown", 400),
        (objects.clone(), "unknown", 400),
        (format!(r#"{{"command":"ping","x":{open}{close}}}"#), "unknown", 400),
        (format!(r#"{{"command":"ping","x":{objects}}}"#), "unknown", 400),
        (format!(r#"{{"command":{open}{close}}}"#), "unknown", 400),
        (format!(r#"{{"command":"get_user","uuid":{open}"#), "unknown", 400),
        // Numbers.
        (get_user("1e999999"), "unknown", 400),
        (get_user(&"9".repeat(10_000)), "unknown", 400),
        (get_user(&format!("0.{}", "9".repeat(10_000))), "get_user", 400),
        (get_user("-1"), "get_user", 400),
        (get_user("9007199254740992"), "get_user", 400),
        (get_user("18446744073709551616"), "get_user", 400),
        (get_user("1.0"), "get_user", 400),
        (get_user("0x1"), "unknown", 400),
        (get_user("NaN"), "unknown", 400),
        (r#"{"command":1e999999}"#.to_owned(), "unknown", 400),
        // Text.
        (send(r"\ud800"), "unknown", 400),
        (send(r"\udc00\ud800"), "unknown", 400),
        (send(r"\ud83dx"), "unknown", 400),
        (r#"{"command":"\ud800"}"#.to_owned(), "unknown", 400),
        (send("\0"), "unknown", 400),
        ("\0".to_owned(), "unknown", 400),
        (r#"{"command":"ping\u0000"}"#.to_owned(), "ping\0", 400),
        (r#"{"command":"nick","nick":"al\u0000ice"}"#.to_owned(), "nick", 400),
        // Keys.
        (r#"{"command":"ping","command":"leave"}"#.to_owned(), "unknown", 400),
        (r#"{"command":"ping","\u0063ommand":"leave"}"#.to_owned(), "unknown", 400),
        (r#"{"command":"get_user","uuid":1,"uuid":2}"#.to_owned(), "get_user", 400),
        (r#"{"command":"ping","x":1,"x":2,"":3}"#.to_owned(), "ping", 200),
        // Halves.
        ("{".to_owned(), "unknown", 400),
        (r#"{"command":"ping"}}"#.to_owned(), "unknown", 400),
        (r#"{"command":"ping"} {"command":"ping"}"#.to_owned(), "unknown", 400),
        (r#"{"command":"ping"#.to_owned(), "unknown", 400),
        ("null".to_owned(), "unknown", 400),
    ]
}

#[test]
fn hostile_json_is_a_bad_request_and_the_connection_goes_on() {
    let server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    for framing in FRAMINGS {
        let mut client = server.connect("alice", framing);
        client.enter("login");
        for (text, command, status) in hostile_requests(channel) {
            client.send_text(&text);
            let shown: String = text.chars().take(80).collect();
            let response = client.next_response().unwrap();
            assert_eq!(response, json!({"command": command, "status": status}), "{shown}");
            client.must(json!({"command": "ping"}));
        }
        client.leave().unwrap();
    }
    // What looks odd and is allowed is kept as it is.
    alice.say(channel, "a\0b\u{fffd}\u{10ffff}");
    assert_eq!(alice.history(channel, 1)[0]["content"], "a\0b\u{fffd}\u{10ffff}");
    assert_nothing_logged(&server);
}

#[test]
fn hostile_megabytes_are_not_kept_whether_or_not_they_end() {
    const BYTES: usize = 1 << 20;
    let server = Server::start();
    let start = r#"{"command":"ping","x":"#;
    let texts = [
        (format!("{start}{}", "[".repeat(BYTES - start.len())), 400),
        (format!(r#"{start}"{}"}}"#, r"\u0001".repeat((BYTES - 99) / 6)), 200),
    ];
    assert_memory_returns(&server, || {
        for framing in FRAMINGS {
            for (text, status) in &texts {
                let mut client = server.connect("dave", framing);
                client.send_text(text);
                assert_eq!(client.next_response().unwrap()["status"], *status);
                server.record.forget_packets();
            }
        }
        // As much as there may be, and never the end.
        let line = [b"{", &[b' '; BYTES - 2][..]].concat();
        let frame = websocket::frame(TEXT, &line);
        let fragment = [websocket::UPGRADE.as_bytes(), &frame].concat();
        let halves: Vec<Tls> = (0..60)
            .map(|number| {
                let mut tls = Tls::connect(server.address);
                tls.write(if number % 2 == 0 { &line } else { &fragment });
                tls
            })
            .collect();
        server.wait_for_client_threads(halves.len());
    });
    assert_nothing_logged(&server);
}

/// A checksum as PNG has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A PNG by hand: 16 bits each of red, green, blue and alpha.
fn png_of(width: u32, height: u32, data: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    let mut chunks: Vec<(&[u8], &[u8])> = vec![(b"IHDR", &header)];
    chunks.extend(data.iter().map(|data| (&b"IDAT"[..], *data)));
    chunks.push((b"IEND", b""));
    for (kind, data) in chunks {
        bytes.extend((data.len() as u32).to_be_bytes());
        let checked = [kind, data].concat();
        bytes.extend(&checked);
        bytes.extend(crc32(&checked).to_be_bytes());
    }
    bytes
}

/// The data of a black picture, one stream of zlib, as small as it gets.
fn black(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::High);
    let pixels = vec![0; 8 * (width * height) as usize];
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    // Behind the signature and the header; each chunk's length, kind, data and checksum.
    let (mut rest, mut data) = (&bytes[33..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (chunk, after) = after.split_at(u32::from_be_bytes(*length) as usize + 8);
        if chunk.starts_with(b"IDAT") {
            data.extend_from_slice(&chunk[4..chunk.len() - 4]);
        }
        rest = after;
    }
    data
}

#[test]
fn a_png_that_is_a_bomb_is_refused_and_none_of_it_kept() {
    let server = Server::start();
    let (full, small) = (black(1024, 1024), black(9, 9));
    let pieces: Vec<&[u8]> = small.chunks(1).collect();
    let many: Vec<&[u8]> = vec![b""; 2000];
    let spread = [&many[..], &pieces].concat();
    let (end, trailing) = (small.len() - 4, [&small[..], &small].concat());
    let cases = [
        ("the largest there may be", png_of(1024, 1024, &[&full]), 200),
        ("a thousand empty chunks", png_of(9, 9, &spread), 200),
        ("a picture of 16 TB", png_of(u32::MAX >> 11, u32::MAX >> 11, &[&small]), 400),
        ("a picture without a size", png_of(0, 0, &[&small]), 400),
        ("a picture of a size below zero", png_of(u32::MAX, u32::MAX, &[&small]), 400),
        ("8 MB for 81 pixels", png_of(9, 9, &[&full]), 400),
        ("too little", png_of(1024, 1024, &[&small]), 400),
        ("no checksum", png_of(9, 9, &[&small[..end]]), 400),
        ("something behind it", png_of(9, 9, &[&trailing]), 400),
        ("no data", png_of(9, 9, &many), 400),
    ];
    assert_memory_returns(&server, || {
        for framing in FRAMINGS {
            let mut alice = server.connect("alice", framing);
            let entered = json!({"uname": "alice", "passwd": "alice"});
            let enter = |command| {
                let mut request = entered.clone();
                request["command"] = Value::from(command);
                request
            };
            if alice.ask(enter("register"))["status"] != 200 {
                alice.must(enter("login"));
            }
            for (what, png, status) in &cases {
                let request = json!({"command": "pfp", "data": STANDARD.encode(png)});
                assert!(request["data"].as_str().unwrap().len() <= 40 << 10, "{what} is too long");
                assert_eq!(alice.ask(request)["status"], *status, "{what}");
            }
            alice.leave().unwrap();
        }
    });
    assert_nothing_logged(&server);
}

/// Numbers that look random, the same each time (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = 1 + self.next() % 3000;
        (0..count).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn random_bytes_end_no_more_than_their_connection() {
    let server = Server::start();
    let mut noise = Noise(4);
    let upgraded = |bytes: &[u8]| [websocket::UPGRADE.as_bytes(), bytes].concat();
    for round in 0..120 {
        let bytes = noise.bytes();
        let bytes = match round % 5 {
            0 => bytes,
            1 => [b"{", &bytes[..], b"\n"].concat(),
            2 => [b"GET ", &bytes[..], b"\r\n\r\n"].concat(),
            3 => upgraded(&bytes),
            _ => upgraded(&websocket::frame(FIN | TEXT, &bytes)),
        };
        let mut tls = Tls::connect(server.address);
        // It may be closed before it has said all.
        tls.try_write(&bytes).ok();
        tls.send_close_notify_if_it_can();
        tls.read_to_end();
    }
    server.wait_for_client_threads(0);
    server.connect("dave", Framing::Lines).must(json!({"command": "ping"}));
    assert_nothing_logged(&server);
}

/// What the server answers to these bytes beneath TLS, to the end.
fn answer_to(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(bytes).ok();
    socket.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    socket.read_to_end(&mut answer).ok();
    answer
}

/// A client's first words in a version of TLS before 1.3: no extensions, two cipher suites that
/// all of them have (RFC 5246 section 7.4.1.2).
fn hello_of(version: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 4, 0xc0, 0x13, 0, 0x2f]);
    hello.extend([1, 0]); // no compression
    let mut bytes = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    bytes.extend(hello);
    bytes
}

#[test]
fn what_is_no_tls_of_today_gets_an_alert_and_is_not_logged() {
    const TIMES: usize = 40;
    const FATAL: u8 = 2;
    const HANDSHAKE_FAILURE: u8 = 40; // no signature that both know
    const PROTOCOL_VERSION: u8 = 70;
    let server = Server::start();
    let mut noise = Noise(10);
    let mut clear = vec![
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        b"{\"command\":\"ping\"}\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        vec![0; 3000],
        // A record that announces more than there may be.
        [&[22, 3, 1, 0xff, 0xff][..], &[1; 3000]].concat(),
    ];
    clear.extend((0..5).map(|_| noise.bytes()));
    for _ in 0..TIMES {
        for bytes in &clear {
            let answer = answer_to(&server, bytes);
            // An alert, if anything.
            assert!(answer.is_empty() || answer[0] == 21 && answer.len() == 7, "{answer:?}");
        }
        for version in [[3, 0], [3, 1], [3, 2]] {
            let answer = answer_to(&server, &hello_of(version));
            let [21, 3, _, 0, 2, level, description] = answer[..] else {
                panic!("{version:?}: {answer:?}")
            };
            assert_eq!(level, FATAL, "{version:?}");
            assert!([HANDSHAKE_FAILURE, PROTOCOL_VERSION].contains(&description), "{description}");
        }
    }
    assert_eq!(answer_to(&server, &hello_of([3, 3]))[0], 21, "no extensions, no key exchange");
    server.wait_for_client_threads(0);
    let mut dave = server.connect("dave", Framing::Lines);
    dave.set_deadline(Duration::from_secs(60));
    dave.must(json!({"command": "ping"}));
    assert_nothing_logged(&server);
}
