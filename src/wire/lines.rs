//! JSON lines: one packet per line, UTF-8 (protocol section 1).

use crate::wire::{Incoming, Violation};

/// Takes lines off the front of what came.
#[derive(Debug)]
pub struct LineDecoder {
    line_bytes_max: usize,
    /// Bytes at the front of the inbox that are done with.
    consumed: usize,
    /// Bytes after them that hold no end of a line, so that none is looked at twice.
    searched: usize,
}

impl LineDecoder {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, consumed: 0, searched: 0 }
    }

    /// The next line that is not empty, without its end. `TooBig` as soon as a line is longer
    /// than the bound, whether or not its end has come.
    pub(super) fn decode(&mut self, inbox: &mut Vec<u8>) -> Result<Option<Incoming>, Violation> {
        loop {
            let rest = inbox.get(self.consumed..).unwrap_or_default();
            let unseen = rest.get(self.searched..).unwrap_or_default();
            let end = unseen.iter().position(|byte| *byte == b'\n').map(|end| self.searched + end);
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > self.line_bytes_max {
                return Err(Violation::TooBig);
            }
            let Some(end) = end else {
                self.searched = rest.len();
                inbox.drain(..self.consumed);
                self.consumed = 0;
                return Ok(None);
            };
            self.consumed += end + 1;
            self.searched = 0;
            if !line.is_empty() {
                let text = String::from_utf8(line.to_vec());
                return Ok(Some(text.map_or(Incoming::NotText, Incoming::Text)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(decoder: &mut LineDecoder, inbox: &mut Vec<u8>) -> Vec<Incoming> {
        std::iter::from_fn(|| decoder.decode(inbox).unwrap()).collect()
    }

    fn text(line: &str) -> Incoming {
        Incoming::Text(line.to_owned())
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let stream = b"{\"a\":1}\r\n\n\r\n{}\n\xff\n x \n{\"half".as_slice();
        let expected = vec![text("{\"a\":1}"), text("{}"), Incoming::NotText, text(" x ")];
        for piece_bytes in [1, 2, 3, 7, stream.len()] {
            let (mut decoder, mut inbox, mut seen) = (LineDecoder::new(64), Vec::new(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                inbox.extend_from_slice(piece);
                seen.extend(decode_all(&mut decoder, &mut inbox));
            }
            assert_eq!(seen, expected, "in pieces of {piece_bytes}");
            assert_eq!(inbox, b"{\"half");
        }
    }

    #[test]
    fn the_bound_holds_with_and_without_an_end() {
        let outcome = |bytes: &[u8]| LineDecoder::new(4).decode(&mut bytes.to_vec());
        assert_eq!(outcome(b"1234\n"), Ok(Some(text("1234"))));
        assert_eq!(outcome(b"1234\r\n"), Ok(Some(text("1234"))));
        assert_eq!(outcome(b"1234"), Ok(None));
        assert_eq!(outcome(b"12345\n"), Err(Violation::TooBig));
        assert_eq!(outcome(b"12345"), Err(Violation::TooBig));
    }
}
