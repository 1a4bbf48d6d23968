//! The client's side of RFC 6455: what the server has to understand, and no more.

use super::tls::Tls;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The last fragment of a message (section 5.2).
pub const FIN: u8 = 0x80;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What section 1.3 gives as the answer to that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// A frame as it arrived. Servers do not mask (section 5.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

/// Asks for the upgrade and checks the answer.
pub fn upgrade(tls: &mut Tls) -> Result<(), String> {
    assert!(UPGRADE.contains(KEY));
    tls.try_write(UPGRADE.as_bytes()).map_err(|error| error.to_string())?;
    let head =
        tls.take_until(b"\r\n\r\n")?.ok_or("the stream ended before the upgrade's answer")?;
    let head = String::from_utf8(head).map_err(|error| error.to_string())?;
    let lower = head.to_lowercase();
    let accepted = head.lines().any(|line| {
        line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("sec-websocket-accept") && value == ACCEPT
        })
    });
    if !head.starts_with("HTTP/1.1 101 ") || !accepted || lower.contains("sec-websocket-extensions")
    {
        return Err(format!("not the answer to an upgrade: {head}"));
    }
    Ok(())
}

/// A masked frame with the shortest form of its length.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The payload of a close frame (section 5.5.1).
pub fn close_payload(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// The next frame, or `None` if the stream ended.
pub fn receive(tls: &mut Tls) -> Result<Option<Frame>, String> {
    let Some(head) = tls.take(2)? else { return Ok(None) };
    let more = match head[1] {
        0..=125 => 0,
        126 => 2,
        127 => 8,
        _ => return Err("the server masked a frame".into()),
    };
    let Some(length) = tls.take(more)? else { return Ok(None) };
    let length = match more {
        0 => usize::from(head[1]),
        _ => length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    };
    Ok(tls.take(length)?.map(|payload| Frame { first: head[0], payload }))
}
