//! Hostile bytes: thousands of inputs, made from good ones by a seeded change here and there, for
//! each target of `tests/fuzz/targets.rs`. `make fuzz` goes on from there.

use std::env;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::model::chance::Chance;
use crate::support::pictures;
use crate::support::websocket::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, UPGRADE, frame,
};

#[path = "../fuzz/targets.rs"]
mod targets;

const SEED: u64 = 4;
/// Inputs for each target, unless these take longer than that: then there are fewer.
const INPUTS: usize = 10_000;
const TIME_MAX: Duration = Duration::from_secs(20);

/// Pieces that matter to a parser.
const TOKENS: [&[u8]; 31] = [
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff",
    b"\xf0\x9f\x92\x80",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"9007199254740992",
    b"\"\\ud800\"",
    b"\"label\":",
    b"\"command\":\"send\",",
    b"\x7f",
    b"\x80",
    b"IDAT",
    b"gAMA",
    b"\0\0\0\x04gAMA\0\0\x01\x01\0\0\0\0",
    b"\0\0\0\x03gAMA\0\0\x01\0\0\0\0",
    b"\0\0\0\x01sRGB\0\0\0\0\0",
    b"\0\0\0\x02eXIfMM\0\0\0\0",
];

/// Good inputs for a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "lines" => {
            let lines = |lines: &[String]| format!("\u{40}{}\n", lines.join("\r\n")).into_bytes();
            requests().chunks(7).map(lines).collect()
        }
        "http" => [
            UPGRADE,
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
            "HEAD https://a/b?c HTTP/1.1\r\nhost: a\r\nX-Y: \u{e9}\r\n\r\n",
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        "websocket" => {
            let long = "x".repeat(300);
            [
                vec![frame(FIN | TEXT, b"hello"), frame(FIN | CLOSE, &[3, 232])],
                vec![frame(TEXT, b"hel"), frame(FIN | PING, b"?"), frame(FIN | CONTINUATION, b"lo")],
                vec![frame(FIN | BINARY, &[7; 70]), frame(FIN | PONG, b""), frame(FIN | TEXT, b"")],
                vec![frame(FIN | TEXT, long.as_bytes()), frame(FIN | CLOSE, b"")],
            ]
            .map(|frames| [&[2, 0][..], &frames.concat()].concat())
            .to_vec()
        }
        "requests" => requests().into_iter().map(String::into_bytes).collect(),
        "png" => vec![
            pictures::png(1, 1, 0),
            pictures::png(9, 5, 10),
            coloured(png::ColorType::Indexed, png::BitDepth::Two),
            coloured(png::ColorType::Rgba, png::BitDepth::Sixteen),
            coloured(png::ColorType::GrayscaleAlpha, png::BitDepth::Eight),
        ],
        _ => panic!("{target} has no seeds"),
    }
}

/// Every request of the transcripts, with some number for what a name stands for there.
fn requests() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut requests = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let sent = text.lines().filter_map(|line| line.split_once("> {").map(|(_, sent)| sent));
        for sent in sent {
            if let Ok(mut request) = serde_json::from_str(&format!("{{{sent}")) {
                name_nothing(&mut request);
                requests.push(request.to_string());
            }
        }
    }
    requests.dedup();
    assert!(requests.len() > 100, "{} requests", requests.len());
    requests
}

fn name_nothing(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("$png") => {
            *value = pictures::all()[0].1.clone().into();
        }
        Value::String(text) if text.starts_with('$') => *value = 1_700_000_000_000_000_u64.into(),
        Value::Array(items) => items.iter_mut().for_each(name_nothing),
        Value::Object(fields) => fields.values_mut().for_each(name_nothing),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A small picture of this kind, with a palette where it needs one.
fn coloured(colour: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 5, 4);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette(&[0, 0, 0, 255, 0, 0, 0, 255, 0, 1, 2, 3][..]);
        encoder.set_trns(&[0, 255][..]);
    }
    let row_bytes = (5 * colour.samples() * depth as usize).div_ceil(8);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0x1b; row_bytes * 4]).unwrap();
    writer.finish().unwrap();
    bytes
}

/// One of the seeds, with a few changes.
fn change(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = chance.pick(seeds);
    for _ in 0..chance.between(0, 4) {
        let at = chance.below(input.len() + 1);
        let end = (at + chance.below(9)).min(input.len());
        match chance.below(8) {
            0 if at < input.len() => input[at] ^= 1 << chance.below(8),
            1 if at < input.len() => input[at] = chance.below(256) as u8,
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].repeat(chance.between(1, 300));
                input.splice(at..at, piece).for_each(drop);
            }
            5 => {
                let other = chance.pick(seeds);
                let from = chance.below(other.len() + 1);
                input.splice(at..end, other[from..].iter().copied()).for_each(drop);
            }
            _ => input.splice(at..end, chance.pick(&TOKENS).iter().copied()).for_each(drop),
        }
    }
    input
}

fn try_target(name: &str) {
    let (_, target) = targets::ALL.into_iter().find(|(candidate, _)| *candidate == name).unwrap();
    let (seeds, mut chance, begun) = (seeds(name), Chance::new(SEED), Instant::now());
    let mut tried = 0;
    while tried < INPUTS && begun.elapsed() < TIME_MAX {
        let input = change(&mut chance, &seeds);
        let outcome = catch_unwind(|| target(&input));
        assert!(outcome.is_ok(), "{name}, input {tried}: b\"{}\"", input.escape_ascii());
        tried += 1;
    }
}

#[test]
fn any_lines_are_decoded_alike_however_they_are_cut() {
    try_target("lines");
}

#[test]
fn any_heads_are_parsed_alike_however_they_are_cut() {
    try_target("http");
}

#[test]
fn any_frames_are_decoded_alike_however_they_are_cut() {
    try_target("websocket");
}

#[test]
fn any_text_is_a_request_or_refused() {
    try_target("requests");
}

#[test]
fn any_picture_is_whole_and_stays_or_is_refused() {
    try_target("png");
}

#[test]
fn the_seeds_are_good_input() {
    use aster_server::config::Config;
    let limits = Config::parse("{}", Path::new("")).unwrap().limits;
    let recognised =
        requests().iter().filter_map(|text| aster_server::recognise(text, &limits)).count();
    assert!(recognised > 100, "{recognised} requests");
    for picture in seeds("png") {
        aster_server::protocol::Picture::from_png(&picture).unwrap();
    }
}

/// For `make fuzz`, which says where.
#[test]
#[ignore = "writes files"]
fn write_the_seeds() {
    let folder = env::var_os("FUZZ_CORPUS").expect("FUZZ_CORPUS names no folder");
    for (name, _) in targets::ALL {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds(name).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}
