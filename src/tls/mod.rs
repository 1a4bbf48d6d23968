//! Certificates: read, or made on a first start. What clients are offered.

mod certificate;
mod renewal;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::crypto::ring::{default_provider, sign};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};

use crate::config::Config;
use crate::error::StartupError;
use crate::files::write_new;
use crate::log;

pub(crate) use certificate::Certificate;
pub(crate) use renewal::{LOOK_INTERVAL, Offers, Renewal};

/// What a PEM file says of a key that needs a passphrase (RFC 1421 and RFC 7468).
const ENCRYPTED: &[u8] = b"ENCRYPTED";
const UNSUPPORTED_KEY: &str = "not of a supported kind: ECDSA on P-256 or P-384, RSA of 2,048 bits \
                               or more, Ed25519";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years, leap days included. Clients of today do not check it; a person would not renew.
const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// Bytes of a file at most: far more than any chain has.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What clients are offered: TLS 1.2 and 1.3, `http/1.1` by ALPN, no client certificates. Shared
/// by the connections that came while it stood.
pub(crate) type Offer = Arc<ServerConfig>;

/// Where the certificate is.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    chain: PathBuf,
    key: PathBuf,
}

/// What the two files hold, not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate that can be offered.
pub(crate) struct Loaded {
    /// What it says.
    pub certificate: Certificate,
    offer: Offer,
    chain: Vec<CertificateDer<'static>>,
}

impl Paths {
    /// As the configuration has them.
    pub(crate) fn of(config: &Config) -> Self {
        Self { chain: config.certificate_chain.clone(), key: config.private_key.clone() }
    }

    /// Whether there is neither file: the next start makes a certificate.
    pub(crate) fn are_empty(&self) -> bool {
        !self.chain.exists() && !self.key.exists()
    }

    /// A self-signed certificate is made where neither file is there.
    fn read_or_make(&self) -> Result<Contents, StartupError> {
        let alone = "is not there, though the other is; put it back, or remove both for new ones";
        match (self.chain.exists(), self.key.exists()) {
            (true, true) => {}
            (false, false) => make_self_signed(&self.chain, &self.key)?,
            (false, true) => return Err(StartupError(self.chain_is(alone))),
            (true, false) => return Err(StartupError(self.key_is(alone))),
        }
        self.read().map_err(StartupError)
    }

    /// Fails with key, file and problem.
    fn read(&self) -> Result<Contents, String> {
        let chain = read_file(&self.chain).map_err(|problem| self.chain_is(problem))?;
        let key = read_file(&self.key).map_err(|problem| self.key_is(problem))?;
        Ok(Contents { chain, key })
    }

    /// Fails with key, file and problem, also where key and certificate are not of a pair.
    fn parse(&self, contents: &Contents) -> Result<Loaded, String> {
        let chain = parse_chain(&contents.chain).map_err(|problem| self.chain_is(problem))?;
        let leaf = chain.first().ok_or_else(|| self.chain_is("no certificate in it"))?;
        let certificate = Certificate::read(leaf).map_err(|problem| self.chain_is(problem))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| self.key_is(unreadable_key(&contents.key)))?;
        let key = sign::any_supported_type(&key).map_err(|_| self.key_is(UNSUPPORTED_KEY))?;
        let certified = CertifiedKey::new(chain.clone(), key);
        let chain_file = self.chain.display();
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let problem = format!("is not the key of the first certificate in {chain_file}");
                return Err(self.key_is(problem));
            }
        }
        let mut offered = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|problem| format!("TLS: {problem}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        offered.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded { certificate, offer: Arc::new(offered), chain })
    }

    /// Reads what is there and makes nothing. `Err` is why no server could start with it, else
    /// what the certificate says, and all that clients will not like about it.
    pub(crate) fn check(&self, now_s: i64) -> Result<(Certificate, Vec<String>), String> {
        let loaded = self.parse(&self.read()?)?;
        let problems = certificate::list_problems(&loaded.chain, now_s);
        let problems = problems.into_iter().map(|problem| self.chain_is(problem)).collect();
        Ok((loaded.certificate, problems))
    }

    fn chain_is(&self, problem: impl fmt::Display) -> String {
        named("certificate_chain", &self.chain, problem)
    }

    fn key_is(&self, problem: impl fmt::Display) -> String {
        named("private_key", &self.key, problem)
    }
}

fn named(key: &str, file: &Path, problem: impl fmt::Display) -> String {
    format!("{key}: {}: {problem}", file.display())
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe, reading a device: who watches this file would wait for ever.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    chain.map_err(|_| "not whole, or no PEM".to_owned())
}

fn unreadable_key(pem: &[u8]) -> &'static str {
    if pem.windows(ENCRYPTED.len()).any(|bytes| bytes == ENCRYPTED) {
        return "it is encrypted, and there is nobody to ask; `openssl pkey` writes it without that";
    }
    "there is no whole private key in it"
}

/// For localhost, the machine's name and the loopback addresses, ten years.
fn make_self_signed(chain_file: &Path, key_file: &Path) -> Result<(), StartupError> {
    let failed = |problem| StartupError::new("self-signed certificate", problem);
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut params = CertificateParams::new(["localhost".to_owned()]).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Aster server");
    if machine != "localhost" {
        // A machine may have a name that no certificate can hold; then it goes without.
        params.subject_alt_names.extend(machine.try_into().ok().map(SanType::DnsName));
    }
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
    let now = SystemTime::now();
    // A day back, for clients whose clocks are behind.
    params.not_before = (now - DAY).into();
    params.not_after = (now + SELF_SIGNED_LIFETIME).into();
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    // Order: the key first. A stop in between leaves a key alone, which the next start
    // reports, rather than a certificate that nobody has the key of.
    write_pem(key_file, "PRIVATE KEY", key.serialized_der(), 0o600)
        .map_err(|error| StartupError(named("private_key", key_file, error)))?;
    write_pem(chain_file, "CERTIFICATE", certificate.der(), 0o644)
        .map_err(|error| StartupError(named("certificate_chain", chain_file, error)))?;
    log::line(format_args!(
        "made a self-signed certificate, {}; browsers warn about it until it is accepted there, \
         or replaced by one that they trust",
        chain_file.display()
    ));
    Ok(())
}

/// RFC 7468. Never over a file that is there.
fn write_pem(file: &Path, label: &str, der: &[u8], mode: u32) -> std::io::Result<()> {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    write_new(file, pem.as_bytes(), mode)
}
