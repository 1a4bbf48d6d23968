//! TLS streams of which the caller owns the buffers: rustls decrypts what lies in one that all
//! streams share, and encrypts into one that is kept.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use crate::Outcome;

/// What records may add to the plaintext: a head, a tag and a type for each 16 KiB, and once more.
const RECORD_BYTES: usize = 16 << 10;
const OVERHEAD_BYTES: usize = 64;

/// Whose end it is.
pub(crate) trait End {
    /// Looks at the ciphertext that came. What is done, and how much of the ciphertext that was.
    fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        take: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<(Step, usize)>;
}

impl End for UnbufferedClientConnection {
    fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        take: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<(Step, usize)> {
        follow(self.process_tls_records(incoming), outgoing, take)
    }
}

impl End for UnbufferedServerConnection {
    fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        take: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<(Step, usize)> {
        follow(self.process_tls_records(incoming), outgoing, take)
    }
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    Going,
    /// More must come, for the handshake is not done.
    Shaking,
    /// All is done that can be.
    Resting,
}

/// What goes to the peer.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// Not encrypted yet.
    plaintext: Vec<u8>,
    /// Not taken by the socket yet.
    ciphertext: Vec<u8>,
}

impl Outgoing {
    /// Lets `write` append to the ciphertext, of which it says how much.
    fn append<E>(
        &mut self,
        plaintext_bytes: usize,
        write: impl FnOnce(&mut [u8], &[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let before = self.ciphertext.len();
        let room = plaintext_bytes + OVERHEAD_BYTES * (2 + plaintext_bytes / RECORD_BYTES);
        self.ciphertext.resize(before + room, 0);
        let written = write(&mut self.ciphertext[before..], &self.plaintext)?;
        self.ciphertext.truncate(before + written);
        Ok(())
    }
}

fn follow<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outgoing,
    take: &mut impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<(Step, usize)> {
    let step = match status.state? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                take(record?.payload)?;
            }
            Step::Going
        }
        ConnectionState::EncodeTlsData(mut data) => {
            // A handshake's record is at most this long.
            let encoded = outgoing.append(RECORD_BYTES, |room, _| data.encode(room));
            encoded.map_err(|error: EncodeError| error.to_string())?;
            Step::Going
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Step::Going
        }
        ConnectionState::WriteTraffic(mut traffic) => {
            if !outgoing.plaintext.is_empty() {
                let bytes = outgoing.plaintext.len();
                let encrypted = outgoing.append(bytes, |room, text| traffic.encrypt(text, room));
                encrypted.map_err(|error: EncryptError| error.to_string())?;
                outgoing.plaintext.clear();
            }
            Step::Resting
        }
        ConnectionState::BlockedHandshake => Step::Shaking,
        ConnectionState::PeerClosed | ConnectionState::Closed => {
            return Err("close_notify from the server".into());
        }
        state => return Err(format!("an unexpected state of TLS: {state:?}").into()),
    };
    Ok((step, status.discard))
}

/// A stream over a socket.
pub(crate) struct Stream<E> {
    /// The socket.
    pub(crate) socket: TcpStream,
    tls: E,
    outgoing: Outgoing,
    /// The beginning of a record.
    partial: Vec<u8>,
    /// Whether the handshake is done.
    pub(crate) is_ready: bool,
}

impl Stream<UnbufferedClientConnection> {
    /// Connects; the handshake is only begun.
    pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Outcome<Self> {
        let tls = UnbufferedClientConnection::new(config.clone(), address.ip().into())?;
        let mut stream = Self::new(TcpStream::connect(address)?, tls)?;
        stream.pump(&mut [], &mut |_| Ok(()))?;
        stream.flush()?;
        Ok(stream)
    }
}

impl Stream<UnbufferedServerConnection> {
    /// Encrypts into `buffer`, which is kept, and sends it all in one write. Where the socket is
    /// full, waits.
    pub(crate) fn tell(&mut self, plaintext: &[u8], buffer: &mut [u8]) -> Outcome<()> {
        let state = self.tls.process_tls_records(&mut []).state?;
        let ConnectionState::WriteTraffic(mut traffic) = state else {
            return Err("TLS has something else to say".into());
        };
        let encrypted = traffic.encrypt(plaintext, buffer);
        let bytes = encrypted.map_err(|error: EncryptError| error.to_string())?;
        let mut left = &buffer[..bytes];
        while !left.is_empty() {
            match send(&self.socket, left, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => left = &left[count..],
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], None)?;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl<E: End> Stream<E> {
    /// Over a socket, which nobody waits for from here on.
    pub(crate) fn new(socket: TcpStream, tls: E) -> Outcome<Self> {
        socket.set_nodelay(true)?;
        let (outgoing, partial) = (Outgoing::default(), Vec::new());
        Ok(Self { socket, tls, outgoing, partial, is_ready: false })
    }

    /// Has this to send: [`Stream::flush`] does.
    pub(crate) fn write(&mut self, plaintext: &[u8]) {
        self.outgoing.plaintext.extend_from_slice(plaintext);
    }

    /// What there is to send and not encrypted.
    pub(crate) fn plaintext_bytes(&self) -> usize {
        self.outgoing.plaintext.len()
    }

    /// Encrypts what there is to send, in a record of its own.
    pub(crate) fn encrypt(&mut self) -> Outcome<()> {
        if self.is_ready && !self.outgoing.plaintext.is_empty() {
            self.pump(&mut [], &mut |_| Ok(()))?;
        }
        Ok(())
    }

    /// Encrypts what there is to send, and sends what the socket takes; the rest goes another
    /// time.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.encrypt()?;
        let ciphertext = &mut self.outgoing.ciphertext;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut sent = 0;
        while sent < ciphertext.len() {
            match send(&self.socket, &ciphertext[sent..], flags) {
                Ok(count) => sent += count,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if sent == ciphertext.len() {
            ciphertext.clear();
        } else {
            ciphertext.drain(..sent);
        }
        Ok(())
    }

    /// Reads once, into the buffer of all streams, and lets `take` have each record's plaintext.
    /// How many bytes came; none if there are none now.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        flags: RecvFlags,
        mut take: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<usize> {
        let partial = self.partial.len();
        let (kept, room) = buffer.split_at_mut(partial);
        let count = match recv(&self.socket, &mut *room, flags) {
            Ok((_, 0)) => return Err("closed by the server".into()),
            Ok((_, count)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        kept.copy_from_slice(&self.partial);
        self.partial.clear();
        let all = partial + count;
        let used = self.pump(&mut buffer[..all], &mut take)?;
        self.partial.extend_from_slice(&buffer[used..all]);
        if !self.outgoing.ciphertext.is_empty() {
            self.flush()?;
        }
        Ok(count)
    }

    /// Does what can be done with the ciphertext that came. How much of it was used.
    fn pump(
        &mut self,
        incoming: &mut [u8],
        take: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<usize> {
        let mut used = 0;
        loop {
            let (step, count) = self.tls.step(&mut incoming[used..], &mut self.outgoing, take)?;
            used += count;
            match step {
                Step::Going => {}
                Step::Shaking => return Ok(used),
                Step::Resting => {
                    self.is_ready = true;
                    return Ok(used);
                }
            }
        }
    }
}
