//! Bytes in pieces of a bounded size. A block of megabytes, once freed, teaches the system's
//! allocator to keep as much for each of its arenas from then on; pieces go back.

use std::io;

/// The size of a piece: below what glibc takes from the system one by one (128 KiB).
pub const PIECE_BYTES: usize = 64 * 1024;

/// What was written, in order. Of several pieces all but the last are full.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pieces(Vec<Vec<u8>>);

impl Pieces {
    /// How many bytes they are together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Appends a few bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Most are small, and then take what they need.
            let new_bytes = if self.0.is_empty() { 128 } else { PIECE_BYTES };
            match self.0.last_mut() {
                Some(last) if last.len() < PIECE_BYTES => {
                    let room = PIECE_BYTES - last.len();
                    let (now, later) = bytes.split_at(room.min(bytes.len()));
                    last.extend_from_slice(now);
                    bytes = later;
                }
                Some(_) | None => self.0.push(Vec::with_capacity(new_bytes)),
            }
        }
    }

    /// Puts a few bytes in front.
    pub fn put_in_front(&mut self, bytes: &[u8]) {
        match self.0.first_mut() {
            Some(first) => drop(first.splice(..0, bytes.iter().copied())),
            None => self.push(bytes),
        }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![bytes])
    }
}

impl From<String> for Pieces {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_what_was_written_and_none_is_large() {
        let written: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
        for step in [1, 7, PIECE_BYTES, 100_000] {
            let mut pieces = Pieces::default();
            written.chunks(step).for_each(|chunk| pieces.push(chunk));
            assert_eq!(pieces.0.concat(), written, "{step} at a time");
            assert!(pieces.0.iter().all(|piece| piece.capacity() < 2 * PIECE_BYTES));
            pieces.put_in_front(b"head");
            assert_eq!(pieces.0.concat(), [b"head", &written[..]].concat());
            assert_eq!(pieces.bytes(), written.len() + 4);
        }
    }
}
