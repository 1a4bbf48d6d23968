//! The client's end of TLS, as existing clients open it: by IP address, so without SNI, and
//! with whatever certificate there is.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use rustls::{SupportedProtocolVersion, client};

use super::DEADLINE;

/// How a stream of bytes came to its end.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum End {
    /// By a close_notify: on purpose.
    CloseNotify,
    /// By the connection's end alone.
    Cut,
}

/// A TLS connection with a deadline on every read and write.
pub struct Tls {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What has arrived and was not taken.
    pub buffer: Vec<u8>,
    pub end: Option<End>,
}

impl Tls {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address, config()).unwrap()
    }

    /// Finishes the handshake before it returns.
    pub fn try_connect(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, DEADLINE)?;
        socket.set_nodelay(true)?;
        let connection = ClientConnection::new(config, ServerName::from(address.ip()))
            .map_err(io::Error::other)?;
        let mut tls =
            Self { stream: StreamOwned::new(connection, socket), buffer: Vec::new(), end: None };
        tls.set_deadline(DEADLINE);
        while tls.stream.conn.is_handshaking() {
            tls.stream.conn.complete_io(&mut tls.stream.sock)?;
        }
        Ok(tls)
    }

    pub fn set_deadline(&mut self, deadline: Duration) {
        self.stream.sock.set_read_timeout(Some(deadline)).unwrap();
        self.stream.sock.set_write_timeout(Some(deadline)).unwrap();
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// Fails once the server has closed the connection.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Writes the same bytes again and again, beneath TLS and so as fast as can be, until the
    /// server hangs up. False if it never does.
    pub fn flood(&mut self) -> bool {
        let bytes = [0; 64 << 10];
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            if self.stream.sock.write_all(&bytes).is_err() {
                return true;
            }
        }
        false
    }

    /// Waits until more bytes are in the buffer (true) or the stream has ended (false).
    pub fn fill(&mut self) -> Result<bool, String> {
        let mut bytes = [0; 16 << 10];
        if self.end.is_some() {
            return Ok(false);
        }
        match self.stream.read(&mut bytes) {
            Ok(0) => self.end = Some(End::CloseNotify),
            Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => {
                    self.end = Some(End::Cut);
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    return Err("nothing came in time".into());
                }
                _ => return Err(error.to_string()),
            },
        }
        Ok(self.end.is_none())
    }

    /// The next `count` bytes, or `None` if the stream ends before.
    pub fn take(&mut self, count: usize) -> Result<Option<Vec<u8>>, String> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.drain(..count).collect()))
    }

    /// The bytes up to and with `mark`, or `None` if the stream ends before.
    pub fn take_until(&mut self, mark: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let mut searched = 0;
        loop {
            if let Some(at) =
                self.buffer[searched..].windows(mark.len()).position(|bytes| bytes == mark)
            {
                return self.take(searched + at + mark.len());
            }
            searched = self.buffer.len().saturating_sub(mark.len() - 1);
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Everything until the end, and how the end came.
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        while self.fill().unwrap() {}
        (std::mem::take(&mut self.buffer), self.end.unwrap())
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn send_close_notify(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().unwrap();
    }

    /// As [`Tls::send_close_notify`], where the server may have closed already.
    pub fn send_close_notify_if_it_can(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().ok();
    }

    /// Ends the TCP connection with an RST, as a crashed machine or a middlebox would.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream.sock, Some(Duration::ZERO)).unwrap();
    }

    /// Makes the system keep as little of what comes, unread, as it can.
    pub fn hold_little(&self) {
        self.hold(1);
    }

    /// Makes the system keep about so many bytes of what comes, unread.
    pub fn hold(&self, bytes: usize) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.stream.sock, bytes).unwrap();
    }

    /// Reads so many bytes at most, beneath TLS, which is of no use from then on.
    pub fn read_beneath(&mut self, bytes_max: usize) -> io::Result<usize> {
        self.stream.sock.read(&mut vec![0; bytes_max])
    }

    pub fn connection(&self) -> &ClientConnection {
        &self.stream.conn
    }
}

/// TLS 1.2 and 1.3.
pub fn config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| config_of(&[&TLS12, &TLS13], &[])))
}

pub fn config_of(
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let verifier = Arc::new(AnyCertificate(provider));
    let mut config = client::danger::DangerousClientConfigBuilder { cfg: builder }
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Takes any certificate, but only with a signature that its key made.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
