//! Bytes to the text of one request and back: lines, WebSocket, and the head of an HTTP
//! request; what a browser gets. No I/O, but for the folder of `--assets`.

pub mod assets;
pub mod http;
mod lines;
pub mod websocket;

use crate::pieces::Pieces;

pub use lines::LineDecoder;
pub use websocket::Violation;

/// How packets are told apart on a connection (protocol section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One packet per line.
    Lines,
    /// One packet per text message (RFC 6455).
    WebSocket,
}

impl Framing {
    /// Appends one packet.
    pub fn encode(self, packet: &str, out: &mut Vec<u8>) {
        match self {
            Self::Lines => {
                out.extend_from_slice(packet.as_bytes());
                out.push(b'\n');
            }
            Self::WebSocket => websocket::encode_text(packet, out),
        }
    }

    /// One packet, in its own memory where that can be.
    pub fn frame(self, packet: String) -> Vec<u8> {
        match self {
            Self::Lines => {
                let mut bytes = packet.into_bytes();
                bytes.push(b'\n');
                bytes
            }
            Self::WebSocket => {
                let mut bytes = Vec::with_capacity(packet.len() + websocket::HEAD_BYTES_MAX);
                websocket::encode_text(&packet, &mut bytes);
                bytes
            }
        }
    }

    /// One packet, framed.
    pub fn frame_pieces(self, mut packet: Pieces) -> Pieces {
        match self {
            Self::Lines => packet.push(b"\n"),
            Self::WebSocket => {
                let mut head = Vec::with_capacity(websocket::HEAD_BYTES_MAX);
                websocket::encode_text_head(packet.bytes(), &mut head);
                packet.put_in_front(&head);
            }
        }
        packet
    }

    /// Appends what says farewell with a close code of RFC 6455 section 7.4.1. Lines have
    /// no word for it: there the end of the stream says it.
    pub fn encode_farewell(self, close_code: u16, out: &mut Vec<u8>) {
        match self {
            Self::Lines => {}
            Self::WebSocket => websocket::encode_close(close_code, out),
        }
    }
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The text of one request.
    Text(String),
    /// A packet that cannot be text: a line that is not UTF-8, a binary message.
    NotText,
    /// To be sent as it is, in place of a response: pong.
    Echo(Vec<u8>),
    /// To be sent as it is, then the connection ends: the answer to a close frame.
    Close(Vec<u8>),
}

/// Takes a client's bytes apart. One for each connection.
#[derive(Debug)]
pub enum Decoder {
    /// One packet per line.
    Lines(LineDecoder),
    /// One packet per text message.
    WebSocket(websocket::Decoder),
}

impl Decoder {
    /// For packets of up to `packet_bytes_max` bytes.
    pub fn new(framing: Framing, packet_bytes_max: usize) -> Self {
        match framing {
            Framing::Lines => Self::Lines(LineDecoder::new(packet_bytes_max)),
            Framing::WebSocket => Self::WebSocket(websocket::Decoder::new(packet_bytes_max)),
        }
    }

    /// Takes the next thing said from the front of `inbox`, or `None` if it has not come
    /// whole. Between calls bytes may only be appended to `inbox`.
    pub fn decode(&mut self, inbox: &mut Vec<u8>) -> Result<Option<Incoming>, Violation> {
        let decoder = match self {
            Self::Lines(decoder) => return decoder.decode(inbox),
            Self::WebSocket(decoder) => decoder,
        };
        while let Some(incoming) = decoder.decode(inbox)? {
            let mut bytes = Vec::new();
            return Ok(Some(match incoming {
                websocket::Incoming::Text(text) => Incoming::Text(text),
                websocket::Incoming::Binary => Incoming::NotText,
                websocket::Incoming::Ping(payload) => {
                    websocket::encode_pong(&payload, &mut bytes);
                    Incoming::Echo(bytes)
                }
                websocket::Incoming::Close(code) => {
                    websocket::encode_close_answer(code, &mut bytes);
                    Incoming::Close(bytes)
                }
                websocket::Incoming::Pong => continue,
            }));
        }
        Ok(None)
    }
}
