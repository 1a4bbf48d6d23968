//! What must hold of whatever bytes a stranger sends. Each target takes any input and panics
//! where something does not hold. `make fuzz` looks for such input, guided by what of the
//! program it reaches; a seeded part runs with the other tests.

use std::io::Cursor;
use std::sync::LazyLock;

use aster_server::config::Config;
use aster_server::error::Status;
use aster_server::protocol::Picture;
use aster_server::protocol::packet::{encode_refusal, parse_envelope};
use aster_server::protocol::picture::PICTURE_PIXELS_MAX;
use aster_server::recognise;
use aster_server::wire::assets::Assets;
use aster_server::wire::http::{self, HttpStatus, Request};
use aster_server::wire::websocket::{self, Violation};
use aster_server::wire::{Decoder, Framing, Incoming};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub type Target = fn(&[u8]);

pub const ALL: [(&str, Target); 5] = [
    ("lines", lines),
    ("http", http),
    ("websocket", websocket),
    ("requests", requests),
    ("png", png),
];

/// JSON lines: the first byte is the bound on a line, the rest what comes.
pub fn lines(data: &[u8]) {
    let Some((&bound, stream)) = data.split_first() else { return };
    let bound = usize::from(bound);
    let decoded = decode_alike(Framing::Lines, bound, stream);

    // The same, said more simply.
    let mut expected = (Vec::new(), None);
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n");
        let text = whole.unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > bound {
            expected.1 = Some(Violation::TooBig);
            break;
        }
        if whole.is_some() && !text.is_empty() {
            let text = String::from_utf8(text.to_vec());
            expected.0.push(text.map_or(Incoming::NotText, Incoming::Text));
        }
    }
    assert_eq!(decoded, expected);
}

/// WebSocket frames: the first two bytes are the bound on a message, the rest what comes.
pub fn websocket(data: &[u8]) {
    let Some((&bound, stream)) = data.split_first_chunk() else { return };
    let bound = usize::from(u16::from_be_bytes(bound));
    for incoming in decode_alike(Framing::WebSocket, bound, stream).0 {
        match incoming {
            Incoming::Text(text) => assert!(text.len() <= bound),
            Incoming::NotText => {}
            // Whole, unmasked, and short as a control frame is.
            Incoming::Echo(pong) => assert_control(0x8a, &pong),
            Incoming::Close(close) => assert_control(0x88, &close),
        }
    }

    // What is encoded as a server does, and masked, is what it was.
    let text = String::from_utf8_lossy(stream);
    let mut frame = Vec::new();
    websocket::encode_text(&text, &mut frame);
    let payload_at = frame.len() - text.len();
    let mask = [data[0], 1, data[1], 255];
    for (byte, mask) in frame[payload_at..].iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    frame.splice(payload_at..payload_at, mask);
    frame[1] |= 0x80;
    let expected = match text.len() <= bound {
        true => (vec![Incoming::Text(text.into_owned())], None),
        false => (vec![], Some(Violation::TooBig)),
    };
    assert_eq!(decode_alike(Framing::WebSocket, bound, &frame), expected);
}

fn assert_control(first: u8, frame: &[u8]) {
    assert_eq!(frame[0], first);
    assert_eq!(usize::from(frame[1]), frame.len() - 2);
    assert!(frame[1] <= 125);
}

/// What comes of a stream, which must be the same however it is cut.
fn decode_alike(
    framing: Framing,
    bound: usize,
    stream: &[u8],
) -> (Vec<Incoming>, Option<Violation>) {
    let at_once = decode(framing, bound, [stream].into_iter());
    for piece_bytes in [1, 2, 7, 1 + bound / 2] {
        assert_eq!(decode(framing, bound, stream.chunks(piece_bytes)), at_once, "{piece_bytes}");
    }
    at_once
}

fn decode<'d>(
    framing: Framing,
    bound: usize,
    pieces: impl Iterator<Item = &'d [u8]>,
) -> (Vec<Incoming>, Option<Violation>) {
    // What is left in the inbox: half a line and a CR, or the head of a frame.
    let left_bytes_max = match framing {
        Framing::Lines => bound + 1,
        Framing::WebSocket => 13,
    };
    let (mut decoder, mut inbox, mut seen) = (Decoder::new(framing, bound), Vec::new(), Vec::new());
    for piece in pieces {
        inbox.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut inbox) {
                Ok(Some(incoming)) => {
                    let is_last = matches!(incoming, Incoming::Close(_));
                    seen.push(incoming);
                    if is_last {
                        return (seen, None);
                    }
                }
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation)),
            }
        }
        assert!(inbox.len() <= left_bytes_max, "{} bytes are kept", inbox.len());
    }
    (seen, None)
}

/// Each file is packed once.
static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::default);

/// The heads of HTTP requests, one after the other, and what the web client's files answer to them.
pub fn http(data: &[u8]) {
    let at_once = parse_heads([data].into_iter());
    for piece_bytes in [1 + data.len() / 50, 1 + data.len() / 3] {
        assert_eq!(parse_heads(data.chunks(piece_bytes)), at_once, "{piece_bytes}");
    }
    for request in at_once.0 {
        match request {
            Request::Page { path, known, manner } => {
                assert!(!path.contains(|letter: char| letter == '?' || letter.is_ascii_control()));
                if let Some(asset) = ASSETS.find(&path, manner.takes_gzip) {
                    let answer = http::encode_asset(&asset, &known, manner);
                    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
                    let sent = answer.len() - head - 4;
                    assert!(sent == 0 || sent == asset.body.len());
                }
            }
            Request::Upgrade(answer) => {
                let answer = String::from_utf8(answer).unwrap();
                assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
                assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "{answer}");
            }
        }
    }
}

fn parse_heads<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> (Vec<Request>, Option<HttpStatus>) {
    let (mut inbox, mut seen) = (Vec::new(), Vec::new());
    for piece in pieces {
        inbox.extend_from_slice(piece);
        loop {
            match http::parse(&mut inbox) {
                Ok(Some(request)) => {
                    let is_last = matches!(request, Request::Upgrade(_));
                    seen.push(request);
                    if is_last {
                        return (seen, None);
                    }
                }
                Ok(None) => break,
                Err(status) => return (seen, Some(status)),
            }
        }
        assert!(inbox.len() < http::HEAD_BYTES_MAX, "{} bytes are kept", inbox.len());
    }
    (seen, None)
}

/// The text of a request: its envelope, and the fields of the command that it names.
pub fn requests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    thread_local! {
        static CONFIG: Config = Config::parse("{}", "".as_ref()).unwrap();
    }
    let recognise = |text: &str| CONFIG.with(|config| recognise(text, &config.limits));
    let envelope = parse_envelope(text);
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        assert!(envelope.is_none() && recognise(text).is_none(), "not JSON, but a request");
        return;
    };
    // Each name once, as the first text need not have it.
    let again = value.to_string();
    let is_request = value.is_object() && value["command"].is_string();
    assert_eq!(parse_envelope(&again).is_some(), is_request);
    let Some(envelope) = envelope else {
        assert_eq!(recognise(text), None);
        return;
    };
    let command = envelope.command.as_ref();
    assert_eq!(value["command"], command);
    match envelope.label() {
        Ok(label) => assert_eq!(value["label"], label.map_or(Value::Null, Value::from)),
        Err(_) => assert_eq!(recognise(text), None),
    }
    if let Some(name) = recognise(text) {
        assert_eq!(name, command);
        assert_eq!(recognise(&again), Some(name), "but not so: {again}");
        assert_eq!(recognise(&format!("\t{text} ")), Some(name));
    }

    // Nobody is left to guess which of two is meant.
    let (before, fields) = text.split_once('{').unwrap();
    let twice = format!(r#"{before}{{"command":"ping",{fields}"#);
    assert!(parse_envelope(&twice).is_none(), "{twice}");

    // However long it is, it is refused in one short line.
    let label = envelope.label().unwrap_or_default();
    let refusal = encode_refusal(command, label, Status::BadRequest);
    let packet: Value = serde_json::from_str(&refusal).unwrap();
    assert_eq!(packet["label"], label.map_or(Value::Null, Value::from));
    assert!(refusal.len() < 1024 && !refusal.contains('\n'), "{refusal}");
}

/// A picture, as it came and with its checksums put right: random changes never get past those.
pub fn png(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        Picture::try_from(text.to_owned()).ok();
    }
    check_picture(data);
    let mut repaired = data.to_vec();
    put_checksums_right(&mut repaired);
    check_picture(&repaired);
}

/// What is accepted is whole and within the bounds, and accepted again as it is.
fn check_picture(data: &[u8]) {
    let Ok(picture) = Picture::from_png(data) else { return };
    let kept = STANDARD.decode(picture.as_base64()).unwrap();
    assert!(kept.len() <= data.len());
    assert_eq!(Picture::from_png(&kept).as_ref(), Ok(&picture));
    check_chunks(&kept[8..]);
    let mut reader = png::Decoder::new(Cursor::new(kept)).read_info().unwrap();
    let (width, height) = reader.info().size();
    assert!(width <= PICTURE_PIXELS_MAX && height <= PICTURE_PIXELS_MAX);
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
}

/// Nothing but what makes a picture or does no harm.
fn check_chunks(mut rest: &[u8]) {
    loop {
        let data_bytes = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let kind = &rest[4..8];
        rest = &rest[data_bytes + 12..];
        let is_right = match kind {
            b"IHDR" => data_bytes == 13,
            b"PLTE" => data_bytes % 3 == 0 && (3..=768).contains(&data_bytes),
            b"tRNS" => (1..=256).contains(&data_bytes),
            b"IDAT" | b"tEXt" => true,
            b"gAMA" => data_bytes == 4,
            b"pHYs" => data_bytes == 9,
            b"sRGB" => data_bytes == 1,
            b"tIME" => data_bytes == 7,
            b"IEND" => {
                assert!(rest.is_empty(), "something behind the end");
                return;
            }
            _ => false,
        };
        assert!(is_right, "{} of {data_bytes} bytes", kind.escape_ascii());
    }
}

fn put_checksums_right(png: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4) {
        let data_bytes = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(end) = data_bytes.checked_add(at + 12).filter(|end| *end <= png.len()) else {
            return;
        };
        let checksum = crc32(&png[at + 4..end - 4]);
        png[end - 4..end].copy_from_slice(&checksum.to_be_bytes());
        at = end;
    }
}

/// As PNG has it (its annex D), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
