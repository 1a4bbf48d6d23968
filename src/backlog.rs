//! Ciphertext on its way: into the kernel while that takes it, and what waits for it to.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::ops::Range;

use memmap2::MmapMut;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::pieces::PIECE_BYTES;

/// What is left to do for a connection that was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// Nothing.
    All,
    /// Something waits; `Connection::flush` tries again.
    Waiting,
}

/// Whose fault it is when bytes wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The client asked for it.
    Answer,
    /// Nobody asked for it.
    Event,
}

/// Ciphertext that the kernel did not take yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    segments: VecDeque<Segment>,
    /// Of these, answers.
    pub answer_bytes: usize,
    /// Of these, events.
    pub event_bytes: usize,
    /// Bytes that waited and were sent since, of both kinds.
    pub sent_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    kind: Kind,
    /// From the system itself, and at once back to it: freed blocks of this size are kept by the C
    /// library, as many as ever waited.
    block: MmapMut,
    /// What of it waits.
    left: Range<usize>,
}

impl Backlog {
    /// Whether anything waits.
    pub(crate) fn state(&self) -> Sent {
        if self.segments.is_empty() { Sent::All } else { Sent::Waiting }
    }

    fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Answer => &mut self.answer_bytes,
            Kind::Event => &mut self.event_bytes,
        }
    }

    fn push(&mut self, kind: Kind, mut bytes: &[u8]) -> io::Result<()> {
        *self.count(kind) += bytes.len();
        while !bytes.is_empty() {
            match self.segments.back_mut() {
                Some(last) if last.kind == kind && last.left.end < last.block.len() => {
                    let mut room = last.block.get_mut(last.left.end..).unwrap_or_default();
                    let written_bytes = room.write(bytes)?;
                    last.left.end += written_bytes;
                    bytes = bytes.get(written_bytes..).unwrap_or_default();
                }
                Some(_) | None => {
                    let block = MmapMut::map_anon(PIECE_BYTES)?;
                    self.segments.push_back(Segment { kind, block, left: 0..0 });
                }
            }
        }
        Ok(())
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn send(&mut self, socket: &TcpStream) -> io::Result<()> {
        while let Some(first) = self.segments.front_mut() {
            let left = first.block.get(first.left.clone()).unwrap_or_default();
            if left.is_empty() {
                self.segments.pop_front();
                continue;
            }
            let sent_bytes = send_now(socket, &[IoSlice::new(left)])?;
            if sent_bytes == 0 {
                break;
            }
            first.left.start += sent_bytes;
            self.sent_bytes += sent_bytes as u64;
            let kind = first.kind;
            *self.count(kind) -= sent_bytes;
        }
        Ok(())
    }
}

/// Where TLS puts its records: into the kernel while that takes them, then into the backlog.
pub(crate) struct Outgoing<'a> {
    /// Over which.
    pub socket: &'a TcpStream,
    /// What waits already.
    pub backlog: &'a mut Backlog,
    /// What the records hold.
    pub kind: Kind,
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sent_bytes = match self.backlog.state() {
            Sent::All => send_now(self.socket, slices)?,
            Sent::Waiting => 0,
        };
        let total_bytes = slices.iter().map(|slice| slice.len()).sum();
        for slice in slices {
            let skipped_bytes = sent_bytes.min(slice.len());
            sent_bytes -= skipped_bytes;
            self.backlog.push(self.kind, slice.get(skipped_bytes..).unwrap_or_default())?;
        }
        Ok(total_bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends what the kernel takes without waiting; 0 when it is full.
fn send_now(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = match slices {
            // Most often, and a little cheaper.
            [only] => send(socket, only, flags),
            _ => sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags),
        };
        match sent {
            Ok(sent_bytes) => return Ok(sent_bytes),
            Err(rustix::io::Errno::AGAIN) => return Ok(0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
