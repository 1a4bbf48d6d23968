//! WebSocket as a server speaks it (RFC 6455), without I/O: bytes in, messages out, and back.
//!
//! # Limits
//! A message is bounded by what [`Decoder::new`] is given, however many fragments bring it,
//! and a control frame by [`CONTROL_BYTES_MAX`]. Memory grows with the bytes that came, never
//! with a length that was only declared.
//!
//! # Not done here
//! No extension is negotiated. The order of the closing handshake (section 5.5.1) is the
//! caller's: after [`Incoming::Close`] or a [`Violation`] the decoder is not called again.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest;

/// The most payload that a control frame may carry (section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// The longest head of a frame that a server sends: no mask (section 5.2).
pub const HEAD_BYTES_MAX: usize = 10;

const FIN: u8 = 0x80; // first byte of a frame: this is the message's last fragment
const RSV: u8 = 0x70; // first byte: extensions, of which there are none
const OPCODE: u8 = 0x0f; // first byte
const MASKED: u8 = 0x80; // second byte
const LENGTH: u8 = 0x7f; // second byte: the length, or one of these two:
const LENGTH_IN_16_BITS: u8 = 126;
const LENGTH_IN_64_BITS: u8 = 127;

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message, its fragments joined.
    Text(String),
    /// A whole binary message. Its payload is not kept: the protocol has no use for it.
    Binary,
    /// To be answered by [`encode_pong`] with the same payload.
    Ping(Vec<u8>),
    /// Asks for nothing, whether or not there was a ping (section 5.5.3).
    Pong,
    /// The client's last frame, with its close code if it gave one; to be answered by
    /// [`encode_close_answer`].
    Close(Option<u16>),
}

/// Why the connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame that RFC 6455 forbids.
    Protocol,
    /// A text message, or the reason of a close frame, that is not UTF-8.
    NotUtf8,
    /// A message past the bound. It comes as soon as the length is declared.
    TooBig,
}

impl Violation {
    /// The close code that says so to the client (section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
        }
    }
}

/// Takes a client's bytes apart. One for each connection; it joins fragments.
///
/// Between messages it owns no memory on the heap.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: usize,
    /// How many bytes at the front of the inbox are done with; see [`Decoder::decode`].
    consumed: usize,
    /// The frame whose head was read and whose payload is still coming.
    frame: Option<Frame>,
    /// The data message that has begun and whose last fragment has not ended.
    message: Option<Message>,
    /// Payload of the control frame that is coming. *Invariant:* at most
    /// [`CONTROL_BYTES_MAX`]; empty between control frames.
    control: Vec<u8>,
}

#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// Turned as the payload comes, so that its first byte is for the next byte to come.
    mask: [u8; 4],
    bytes_left: usize,
}

#[derive(Debug)]
struct Message {
    /// The payload so far, or `None` for a binary message.
    text: Option<Vec<u8>>,
    /// The sum of what its frames declared. *Invariant:* at most `message_bytes_max`.
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Decoder {
    /// For messages of up to `message_bytes_max` bytes of payload.
    pub fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, consumed: 0, frame: None, message: None, control: Vec::new() }
    }

    /// Takes the next whole message or control frame from the front of `inbox`, or `None` if
    /// more bytes are needed; then `inbox` is down to the head of a frame at most (13 bytes).
    /// It must be the same `inbox` each time, and between calls bytes may only be appended.
    ///
    /// The payload of an unfinished frame moves into the decoder as it comes. What was
    /// consumed leaves `inbox` once it is at least as long as what follows: so no more bytes
    /// are moved than leave, and thousands of small frames in one piece take linear time.
    pub fn decode(&mut self, inbox: &mut Vec<u8>) -> Result<Option<Incoming>, Violation> {
        let mut rest = inbox.get(self.consumed..).unwrap_or_default();
        let outcome = self.advance(&mut rest);
        let rest_bytes = rest.len();
        self.consumed = inbox.len() - rest_bytes;
        if self.consumed >= rest_bytes || outcome == Ok(None) {
            inbox.drain(..self.consumed);
            self.consumed = 0;
        }
        outcome
    }

    /// Reads frames off the front of `rest` until one of them completes something.
    fn advance(&mut self, rest: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => Some(frame),
                None => self.begin_frame(rest)?,
            };
            let Some(mut frame) = frame else {
                return Ok(None);
            };
            self.take_payload(&mut frame, rest);
            if frame.bytes_left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.finish_frame(&frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Reads the head of a frame (section 5.2), or nothing if it is not all there.
    fn begin_frame(&mut self, rest: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        let Some((&[first, second], after)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let opcode = Opcode::parse(first & OPCODE).ok_or(Violation::Protocol)?;
        let fin = first & FIN != 0;
        let length = second & LENGTH;
        let in_order = match opcode {
            Opcode::Continuation => self.message.is_some(),
            Opcode::Text | Opcode::Binary => self.message.is_none(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                fin && usize::from(length) <= CONTROL_BYTES_MAX
            }
        };
        if first & RSV != 0 || second & MASKED == 0 || !in_order {
            return Err(Violation::Protocol);
        }
        let Some((length, after)) = parse_length(length, after)? else {
            return Ok(None);
        };
        // Before the mask is there, and so before anything of the frame is kept.
        let room = if opcode.is_data() {
            let so_far = self.message.as_ref().map_or(0, |message| message.bytes);
            self.message_bytes_max.saturating_sub(so_far)
        } else {
            CONTROL_BYTES_MAX
        };
        let bytes_left =
            usize::try_from(length).ok().filter(|&bytes| bytes <= room).ok_or(Violation::TooBig)?;
        let Some((&mask, after)) = after.split_first_chunk() else {
            return Ok(None);
        };
        *rest = after;
        if opcode.is_data() {
            let message = self.message.get_or_insert_with(|| Message {
                text: (opcode == Opcode::Text).then(Vec::new),
                bytes: 0,
            });
            message.bytes += bytes_left;
        }
        Ok(Some(Frame { opcode, fin, mask, bytes_left }))
    }

    /// Moves as much of the frame's payload as has come to where it belongs, unmasked.
    fn take_payload(&mut self, frame: &mut Frame, rest: &mut &[u8]) {
        let (payload, after) = rest.split_at(frame.bytes_left.min(rest.len()));
        *rest = after;
        frame.bytes_left -= payload.len();
        let kept = match &mut self.message {
            Some(Message { text: None, .. }) if frame.opcode.is_data() => return,
            Some(Message { text: Some(text), .. }) if frame.opcode.is_data() => text,
            Some(_) | None => &mut self.control,
        };
        let start = kept.len();
        kept.extend_from_slice(payload);
        for chunk in kept.get_mut(start..).unwrap_or_default().chunks_mut(4) {
            for (byte, mask) in chunk.iter_mut().zip(frame.mask) {
                *byte ^= mask;
            }
        }
        frame.mask.rotate_left(payload.len() % 4);
    }

    /// What a frame that is all there has completed: nothing, if it is a fragment.
    fn finish_frame(&mut self, frame: &Frame) -> Result<Option<Incoming>, Violation> {
        if !frame.fin {
            return Ok(None);
        }
        let control = std::mem::take(&mut self.control);
        let incoming = match frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                let text = self.message.take().and_then(|message| message.text);
                let text = text.map(String::from_utf8).transpose();
                let text = text.map_err(|_| Violation::NotUtf8)?;
                text.map_or(Incoming::Binary, Incoming::Text)
            }
            Opcode::Close => Incoming::Close(parse_close(&control)?),
            Opcode::Ping => Incoming::Ping(control),
            Opcode::Pong => Incoming::Pong,
        };
        Ok(Some(incoming))
    }
}

impl Opcode {
    /// `None` for the reserved ones (section 5.2).
    fn parse(bits: u8) -> Option<Self> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        let known = [Continuation, Text, Binary, Close, Ping, Pong];
        known.into_iter().find(|&opcode| opcode as u8 == bits)
    }

    /// Control frames have the opcode's topmost bit set (section 5.5).
    fn is_data(self) -> bool {
        self as u8 & 0x8 == 0
    }
}

/// The length of a payload and what follows it, or `None` if it is not all there. `Protocol`
/// for a length in a longer form than it needs, or with its topmost bit set (section 5.2).
fn parse_length(length: u8, after: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let parsed = match length {
        LENGTH_IN_16_BITS => after
            .split_first_chunk()
            .map(|(&bytes, after)| (u16::from_be_bytes(bytes).into(), 126, after)),
        LENGTH_IN_64_BITS => after
            .split_first_chunk()
            .map(|(&bytes, after)| (u64::from_be_bytes(bytes), 1 << 16, after)),
        short => Some((short.into(), 0, after)),
    };
    let Some((length, length_min, after)) = parsed else {
        return Ok(None);
    };
    if length < length_min || length >> 63 != 0 {
        return Err(Violation::Protocol);
    }
    Ok(Some((length, after)))
}

/// The code in a close frame's payload, if it has one (sections 5.5.1 and 7.4). A code is
/// allowed if the RFC or the registry names it for use on the wire, or from 3000 on.
fn parse_close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (&code, reason) = payload.split_first_chunk().ok_or(Violation::Protocol)?;
    let code = u16::from_be_bytes(code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol);
    }
    std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(code))
}

/// Appends `text` as one message in one frame.
pub fn encode_text(text: &str, out: &mut Vec<u8>) {
    encode_frame(Opcode::Text, text.as_bytes(), out);
}

/// Appends the answer to a ping. `payload` is the ping's, hence at most
/// [`CONTROL_BYTES_MAX`].
pub fn encode_pong(payload: &[u8], out: &mut Vec<u8>) {
    encode_frame(Opcode::Pong, payload, out);
}

/// Appends a close frame with a `code` of section 7.4.1 and no reason. Nothing may be sent
/// after it.
pub fn encode_close(code: u16, out: &mut Vec<u8>) {
    encode_frame(Opcode::Close, &code.to_be_bytes(), out);
}

/// Appends the answer to a client's close frame: its own code, or none if it gave none
/// (section 5.5.1). Nothing may be sent after it.
pub fn encode_close_answer(code: Option<u16>, out: &mut Vec<u8>) {
    match code {
        Some(code) => encode_close(code, out),
        None => encode_frame(Opcode::Close, &[], out),
    }
}

/// Appends the head of a text message in one frame, whose payload has so many bytes.
pub fn encode_text_head(payload_bytes: usize, out: &mut Vec<u8>) {
    encode_head(Opcode::Text, payload_bytes, out);
}

/// One unfragmented, unmasked frame.
fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    encode_head(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// The head of such a frame, its length in the shortest form (section 5.2).
fn encode_head(opcode: Opcode, payload_bytes: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode as u8);
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(length), _) if length < LENGTH_IN_16_BITS => out.push(length),
        (_, Ok(length)) => {
            out.push(LENGTH_IN_16_BITS);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(LENGTH_IN_64_BITS);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
}

/// The `Sec-WebSocket-Accept` that answers a client's `Sec-WebSocket-Key`, or `None` if the
/// key is not the base64 of 16 bytes (sections 4.2.1 and 4.2.2).
pub fn accept_key(key: &str) -> Option<String> {
    if STANDARD.decode(key).ok()?.len() != 16 {
        return None;
    }
    // No secret hangs on SHA-1 here: it only proves that the server knows the protocol.
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Some(STANDARD.encode(hash.finish()))
}

// As long as the rest: each MUST of the RFC is a case.
#[cfg(test)]
#[path = "../../tests/unit/websocket.rs"]
mod tests;
