//! Each MUST of RFC 6455 that concerns a server's framing, as a case.

use super::*;
use Violation::{NotUtf8, Protocol, TooBig};

const MESSAGE_BYTES_MAX: usize = 70_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

// First bytes of frames.
const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const BINARY: u8 = 0x82;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_frame(Opcode::Text, payload, &mut bytes);
    let head_bytes = bytes.len() - payload.len();
    bytes.truncate(head_bytes);
    bytes[0] = first;
    bytes[1] |= MASKED;
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// Only the head of a frame, its length as written in `length`.
fn head(first: u8, length: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, MASKED | length[0]];
    bytes.extend(&length[1..]);
    bytes
}

/// All that `pieces` bring, and the violation that they end in.
fn decode_pieces<'a>(
    message_bytes_max: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Incoming>, Option<Violation>) {
    let mut decoder = Decoder::new(message_bytes_max);
    let (mut inbox, mut came) = (Vec::new(), Vec::new());
    for piece in pieces {
        inbox.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut inbox) {
                Ok(Some(incoming)) => came.push(incoming),
                Ok(None) => break,
                Err(violation) => return (came, Some(violation)),
            }
        }
        assert!(inbox.len() <= 13, "{} bytes were left", inbox.len());
    }
    (came, None)
}

/// As [`decode_pieces`]: in one piece, and the same again byte by byte.
fn decode(bytes: &[u8]) -> (Vec<Incoming>, Option<Violation>) {
    let at_once = decode_pieces(MESSAGE_BYTES_MAX, [bytes]);
    assert_eq!(decode_pieces(MESSAGE_BYTES_MAX, bytes.chunks(1)), at_once);
    at_once
}

fn accepts(frames: &[Vec<u8>], expected: &[Incoming]) {
    assert_eq!(decode(&frames.concat()), (expected.to_vec(), None));
}

fn refuses(frames: &[Vec<u8>], violation: Violation) {
    assert_eq!(decode(&frames.concat()), (vec![], Some(violation)), "{frames:x?}");
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

fn ping(payload: &[u8]) -> Incoming {
    Incoming::Ping(payload.to_vec())
}

#[test]
fn the_examples_of_section_5_7_that_a_client_sends_are_read() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    accepts(&[hello.to_vec()], &[text("Hello")]);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    accepts(&[pong.to_vec()], &[Incoming::Pong]);
    // In the RFC these are unmasked; a client masks them.
    accepts(&[frame(TEXT_BEGINS, b"Hel"), frame(ENDS, b"lo")], &[text("Hello")]);
    accepts(&[frame(PING, b"Hello")], &[ping(b"Hello")]);
    accepts(&[frame(BINARY, &[7; 256])], &[Incoming::Binary]);
    accepts(&[frame(BINARY, &[7; 65_536])], &[Incoming::Binary]);
}

#[test]
fn the_examples_of_section_5_7_that_a_server_sends_are_written() {
    let mut out = Vec::new();
    encode_text("Hello", &mut out);
    assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    out.clear();
    encode_pong(b"Hello", &mut out);
    assert_eq!(out, [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

#[test]
fn what_the_server_sends_is_whole_unmasked_and_in_the_shortest_form() {
    let heads: [(usize, &[u8]); 6] = [
        (0, &[0x81, 0]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (255, &[0x81, 126, 0, 255]),
        (65_535, &[0x81, 126, 0xff, 0xff]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ];
    for (length, head) in heads {
        let text = "x".repeat(length);
        let mut out = Vec::new();
        encode_text(&text, &mut out);
        assert_eq!(out, [head, text.as_bytes()].concat());
    }
}

#[test]
fn what_is_encoded_is_appended() {
    let mut out = Vec::new();
    encode_pong(b"", &mut out);
    encode_close(1001, &mut out);
    encode_close_answer(Some(4999), &mut out);
    encode_close_answer(None, &mut out);
    let frames = [0x8a, 0, 0x88, 2, 0x03, 0xe9, 0x88, 2, 0x13, 0x87, 0x88, 0];
    assert_eq!(out, frames);
}

#[test]
fn an_unmasked_frame_is_a_violation() {
    for first in [TEXT, BINARY, CLOSE, PING, PONG] {
        refuses(&[vec![first, 0]], Protocol);
        refuses(&[vec![first, 2, 0x03, 0xe8]], Protocol);
    }
}

#[test]
fn every_mask_is_taken_off_the_zero_one_too() {
    let zero = [&[0x81, 0x85, 0, 0, 0, 0], "Hello".as_bytes()].concat();
    accepts(&[zero, frame(TEXT, b"Hello")], &[text("Hello"), text("Hello")]);
}

#[test]
fn a_reserved_bit_is_a_violation() {
    for bit in [0x10, 0x20, 0x40] {
        for first in [TEXT, TEXT_BEGINS, BINARY, CLOSE, PING, PONG] {
            refuses(&[frame(first | bit, b"")], Protocol);
        }
    }
}

#[test]
fn a_reserved_opcode_is_a_violation() {
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        refuses(&[frame(FIN | opcode, b"")], Protocol);
        refuses(&[frame(opcode, b"")], Protocol);
    }
}

#[test]
fn a_length_comes_in_its_shortest_form_only() {
    for length in [0, 125, 126, 127, 65_535, 65_536] {
        let payload = "x".repeat(length);
        accepts(&[frame(TEXT, payload.as_bytes())], &[text(&payload)]);
    }
    refuses(&[head(TEXT, &[126, 0, 0])], Protocol);
    refuses(&[head(TEXT, &[126, 0, 125])], Protocol);
    refuses(&[head(TEXT, &[127, 0, 0, 0, 0, 0, 0, 0, 125])], Protocol);
    refuses(&[head(TEXT, &[127, 0, 0, 0, 0, 0, 0, 255, 255])], Protocol);
}

#[test]
fn a_length_with_its_topmost_bit_set_is_a_violation() {
    refuses(&[head(TEXT, &[127, 0x80, 0, 0, 0, 0, 0, 0, 1])], Protocol);
    let longest = [127, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    refuses(&[head(TEXT, &longest)], TooBig);
}

#[test]
fn fragments_are_joined_in_their_order() {
    let frames = [
        frame(TEXT_BEGINS, "a\u{e9}".as_bytes()),
        frame(GOES_ON, b""),
        frame(GOES_ON, &"\u{20ac}".as_bytes()[..1]), // a character may be divided
        frame(GOES_ON, &"\u{20ac}".as_bytes()[1..]),
        frame(ENDS, b"z"),
        frame(TEXT, b"next"),
    ];
    accepts(&frames, &[text("a\u{e9}\u{20ac}z"), text("next")]);
    accepts(&[frame(TEXT_BEGINS, b""), frame(ENDS, b"")], &[text("")]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let frames = [
        frame(TEXT_BEGINS, b"Hel"),
        frame(PING, b"1"),
        frame(PONG, b"2"),
        frame(GOES_ON, b"l"),
        frame(PING, b""),
        frame(ENDS, b"o"),
    ];
    let came = [ping(b"1"), Incoming::Pong, ping(b""), text("Hello")];
    accepts(&frames, &came);
    let frames = [frame(BINARY_BEGINS, &[0xff]), frame(CLOSE, &1000u16.to_be_bytes())];
    accepts(&frames, &[Incoming::Close(Some(1000))]);
}

#[test]
fn a_binary_message_is_one_event_and_need_not_be_utf8() {
    let frames = [
        frame(BINARY, b""),
        frame(BINARY_BEGINS, &[0xff; 200]),
        frame(GOES_ON, &[0xfe]),
        frame(ENDS, &[0xc0]),
        frame(TEXT, b"text"),
    ];
    accepts(&frames, &[Incoming::Binary, Incoming::Binary, text("text")]);
}

#[test]
fn a_continuation_of_nothing_is_a_violation() {
    refuses(&[frame(ENDS, b"x")], Protocol);
    refuses(&[frame(GOES_ON, b"x")], Protocol);
    let (came, violation) = decode(&[frame(TEXT, b"x"), frame(ENDS, b"y")].concat());
    assert_eq!((came, violation), (vec![text("x")], Some(Protocol)));
}

#[test]
fn a_message_inside_a_fragmented_one_is_a_violation() {
    for begins in [TEXT_BEGINS, BINARY_BEGINS] {
        for inside in [TEXT, TEXT_BEGINS, BINARY, BINARY_BEGINS] {
            refuses(&[frame(begins, b"x"), frame(inside, b"y")], Protocol);
        }
    }
}

#[test]
fn a_fragmented_control_frame_is_a_violation() {
    for first in [CLOSE, PING, PONG] {
        refuses(&[frame(first & !FIN, b"")], Protocol);
    }
}

#[test]
fn a_control_frame_carries_at_most_125_bytes() {
    accepts(&[frame(PING, &[9; 125])], &[ping(&[9; 125])]);
    accepts(&[frame(PONG, &[9; 125])], &[Incoming::Pong]);
    for first in [CLOSE, PING, PONG] {
        refuses(&[frame(first, &[b'x'; 126])], Protocol);
        refuses(&[head(first, &[127])], Protocol);
    }
}

#[test]
fn a_ping_brings_back_its_payload() {
    let payload: Vec<u8> = (0..=124).collect();
    accepts(&[frame(PING, &payload)], &[ping(&payload)]);
    let mut out = Vec::new();
    encode_pong(&payload, &mut out);
    assert_eq!(out, [&[0x8a, 125], payload.as_slice()].concat());
}

#[test]
fn a_close_frame_may_have_no_payload_or_a_code_and_a_reason() {
    accepts(&[frame(CLOSE, b"")], &[Incoming::Close(None)]);
    let close = [&1001u16.to_be_bytes(), "ad\u{e9}".as_bytes()].concat();
    accepts(&[frame(CLOSE, &close)], &[Incoming::Close(Some(1001))]);
    let longest = [&1000u16.to_be_bytes()[..], &[b'x'; 123]].concat();
    accepts(&[frame(CLOSE, &longest)], &[Incoming::Close(Some(1000))]);
}

#[test]
fn a_close_frame_of_one_byte_is_a_violation() {
    refuses(&[frame(CLOSE, &[3])], Protocol);
}

#[test]
fn every_close_code_is_allowed_or_refused_as_section_7_4_has_it() {
    for code in 0..=u16::MAX {
        let reserved = matches!(code, 0..=999 | 1004..=1006 | 1015..=2999 | 5000..);
        let close = frame(CLOSE, &code.to_be_bytes());
        if reserved {
            refuses(&[close], Protocol);
        } else {
            accepts(&[close], &[Incoming::Close(Some(code))]);
        }
    }
}

#[test]
fn the_reason_of_a_close_frame_is_utf8() {
    refuses(&[frame(CLOSE, &[0x03, 0xe8, 0xff])], NotUtf8);
    refuses(&[frame(CLOSE, &[0x03, 0xe8, 0xe2, 0x82])], NotUtf8);
}

#[test]
fn text_that_is_not_utf8_is_a_violation() {
    let wrong: [&[u8]; 7] = [
        &[0xff],
        &[0x80],
        &[0xe2, 0x82],             // cut off
        &[0xc0, 0xaf],             // longer than it need be
        &[0xed, 0xa0, 0x80],       // a surrogate
        &[0xf4, 0x90, 0x80, 0x80], // past U+10FFFF
        &[0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xcf, 0xed, 0xa0, 0x80],
    ];
    for text in wrong {
        refuses(&[frame(TEXT, text)], NotUtf8);
        let (front, back) = text.split_at(text.len() / 2);
        refuses(&[frame(TEXT_BEGINS, front), frame(ENDS, back)], NotUtf8);
    }
}

#[test]
fn the_bound_holds_for_a_frame_before_its_payload() {
    let longest = "x".repeat(MESSAGE_BYTES_MAX);
    accepts(&[frame(TEXT, longest.as_bytes())], &[text(&longest)]);
    let past = (MESSAGE_BYTES_MAX as u64 + 1).to_be_bytes();
    for first in [TEXT, TEXT_BEGINS, BINARY, BINARY_BEGINS] {
        refuses(&[head(first, &[&[127], &past[..]].concat())], TooBig);
    }
}

#[test]
fn the_bound_holds_for_the_sum_of_the_fragments() {
    let (front, back) = (vec![b'x'; MESSAGE_BYTES_MAX - 10], [b'x'; 10]);
    let whole = "x".repeat(MESSAGE_BYTES_MAX);
    let frames = [frame(TEXT_BEGINS, &front), frame(GOES_ON, &back), frame(ENDS, b"")];
    accepts(&frames, &[text(&whole)]);
    for begins in [TEXT_BEGINS, BINARY_BEGINS] {
        refuses(&[frame(begins, &front), head(ENDS, &[11])], TooBig);
        let frames = [frame(begins, &front), frame(GOES_ON, &back), head(GOES_ON, &[1])];
        refuses(&frames, TooBig);
    }
}

#[test]
fn the_bound_is_for_each_message_and_not_for_control_frames() {
    let mut decoder = Decoder::new(3);
    let mut inbox = [frame(TEXT, b"abc"), frame(TEXT, b"def"), frame(PING, b"long")].concat();
    for expected in [text("abc"), text("def"), ping(b"long")] {
        assert_eq!(decoder.decode(&mut inbox), Ok(Some(expected)));
    }
}

#[test]
fn a_declared_length_takes_no_memory() {
    let mut decoder = Decoder::new(usize::MAX);
    let mut inbox = head(TEXT, &[127, 0, 0x7f, 255, 255, 255, 255, 255, 255]);
    inbox.extend(MASK);
    inbox.extend([0; 20]);
    assert_eq!(decoder.decode(&mut inbox), Ok(None));
    assert!(inbox.is_empty());
    assert!(kept_bytes(&decoder) <= 64);
}

#[test]
fn empty_fragments_and_binary_payload_take_no_memory() {
    for begins in [TEXT_BEGINS, BINARY_BEGINS] {
        let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
        let mut inbox = frame(begins, b"");
        for _ in 0..10_000 {
            inbox.extend(frame(GOES_ON, b""));
        }
        assert_eq!(decoder.decode(&mut inbox), Ok(None));
        assert_eq!((inbox.len(), kept_bytes(&decoder)), (0, 0));
    }
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut inbox = frame(BINARY_BEGINS, &[1; MESSAGE_BYTES_MAX]);
    assert_eq!(decoder.decode(&mut inbox), Ok(None));
    assert_eq!((inbox.len(), kept_bytes(&decoder)), (0, 0));
}

#[test]
fn nothing_is_kept_between_messages() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut inbox =
        [frame(TEXT, &[b'x'; MESSAGE_BYTES_MAX]), frame(PING, &[1; 125]), frame(PONG, &[1; 125])]
            .concat();
    while decoder.decode(&mut inbox).unwrap().is_some() {
        assert_eq!(kept_bytes(&decoder), 0);
    }
}

fn kept_bytes(decoder: &Decoder) -> usize {
    let text = decoder.message.as_ref().and_then(|it| it.text.as_ref());
    text.map_or(0, Vec::capacity) + decoder.control.capacity()
}

/// With a drain for each frame this would move 2 * 10^12 bytes, and never end.
#[test]
fn small_frames_in_one_large_piece_take_linear_time() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let count = 1_000_000;
    let mut inbox = frame(PONG, b"").repeat(count);
    for _ in 0..count {
        assert_eq!(decoder.decode(&mut inbox), Ok(Some(Incoming::Pong)));
    }
    assert_eq!(decoder.decode(&mut inbox), Ok(None));
    assert!(inbox.is_empty());
}

#[test]
fn what_was_consumed_leaves_the_inbox() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut unfinished = head(TEXT, &[127, 0, 0, 0, 0, 0, 1, 0, 0]);
    unfinished.extend(&MASK[..3]);
    let mut inbox = [frame(PONG, b""), unfinished.clone()].concat();
    assert_eq!(decoder.decode(&mut inbox), Ok(Some(Incoming::Pong)));
    assert_eq!(decoder.decode(&mut inbox), Ok(None));
    assert_eq!(inbox, unfinished);

    // Also of a caller that always appends before it has taken everything out.
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut inbox = frame(PONG, b"").repeat(10);
    for _ in 0..1000 {
        inbox.extend(frame(PONG, b""));
        assert_eq!(decoder.decode(&mut inbox), Ok(Some(Incoming::Pong)));
        assert!(inbox.len() <= 2 * 11 * 6);
    }
}

#[test]
fn a_violation_ends_what_came_before_it_in_order() {
    let frames = [frame(TEXT, b"a"), frame(PING, b"b"), vec![TEXT, 0]];
    let came = vec![text("a"), ping(b"b")];
    assert_eq!(decode(&frames.concat()), (came, Some(Protocol)));
}

#[test]
fn violations_have_the_close_codes_of_section_7_4_1() {
    let codes = [Protocol, NotUtf8, TooBig].map(Violation::close_code);
    assert_eq!(codes, [1002, 1007, 1009]);
}

#[test]
fn the_key_of_section_1_3_is_accepted() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_deref(),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
}

#[test]
fn a_key_that_is_not_base64_of_16_bytes_is_none() {
    let wrong = [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",        // no padding
        "dGhlIHNhbXBsZSBub25j",          // 15 bytes
        "dGhlIHNhbXBsZSBub25jZSE=",      // 17 bytes
        "dGhlIHNhbXBsZSBub25jZQ== ",     // a space
        "dGhlIHNhbXBs\u{e9}SBub25jZQ==", // not of the alphabet
    ];
    for key in wrong {
        assert_eq!(accept_key(key), None, "{key:?}");
    }
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A conversation as a client may hold it, fragments and control frames mixed, and what
/// must come of it.
fn conversation(random: &mut Xorshift) -> (Vec<u8>, Vec<Incoming>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..1 + random.below(6) {
        let (kind, count) = (random.below(2), random.below(400));
        let payload = "\u{20ac}a".repeat(count).into_bytes();
        let cuts = random.below(4);
        let mut rest = payload.as_slice();
        for index in 0..=cuts {
            while random.below(3) == 0 {
                let count = random.below(126);
                let control = random.bytes(count);
                let first = [PING, PONG][random.below(2)];
                bytes.extend(frame(first, &control));
                expected.push(
                    [Incoming::Ping(control), Incoming::Pong][usize::from(first - PING)].clone(),
                );
            }
            let cut = if index == cuts { rest.len() } else { random.below(rest.len() + 1) };
            let (front, back) = rest.split_at(cut);
            let opcode = if index == 0 { [TEXT_BEGINS, BINARY_BEGINS][kind] } else { GOES_ON };
            let fin = if index == cuts { FIN } else { 0 };
            bytes.extend(frame(fin | opcode, front));
            rest = back;
        }
        let message = String::from_utf8(payload).unwrap();
        expected.push([Incoming::Text(message), Incoming::Binary][kind].clone());
    }
    (bytes, expected)
}

#[test]
fn a_conversation_reads_the_same_in_any_pieces() {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let (bytes, expected) = conversation(&mut random);
        assert_eq!(decode(&bytes), (expected.clone(), None));
        let pieces = bytes.chunks(1 + random.below(40));
        assert_eq!(decode_pieces(MESSAGE_BYTES_MAX, pieces), (expected, None));
    }
}

#[test]
fn a_damaged_conversation_reads_the_same_byte_by_byte() {
    let mut random = Xorshift(0xd1b5_4a32_d192_ed03);
    for _ in 0..1000 {
        let (mut bytes, _) = conversation(&mut random);
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        bytes.truncate(random.below(bytes.len() + 1));
        decode(&bytes);
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
    for round in 0..20_000 {
        let count = random.below(200);
        let mut bytes = random.bytes(count);
        // Most of pure noise fails at its first byte: let half of it begin like a frame.
        if let (0, [first, second, ..]) = (round % 2, bytes.as_mut_slice()) {
            *first &= FIN | 0x0b;
            *second |= MASKED;
        }
        decode(&bytes);
        for message_bytes_max in [0, 1, usize::MAX] {
            decode_pieces(message_bytes_max, [bytes.as_slice()]);
        }
    }
}
