//! Certificates: read, or made on a first start. What clients are offered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use ring::digest;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Config;
use crate::error::StartupError;
use crate::files::write_new;
use crate::log;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years, leap days included. Clients of today do not check it; a person would not renew.
const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// What clients are offered. Shared by all connections.
pub(crate) type Offer = Arc<ServerConfig>;

/// Reads what clients are offered: TLS 1.2 and 1.3, `http/1.1` by ALPN, no client certificates.
/// A self-signed certificate is made where neither file is there. Also gives the SHA-256
/// fingerprint of the certificate, as browsers show it.
pub(crate) fn load(config: &Config) -> Result<(Offer, String), StartupError> {
    let (chain_file, key_file) = (&config.certificate_chain, &config.private_key);
    let alone = "is not there, though the other is; put it back, or remove both for new ones";
    match (chain_file.exists(), key_file.exists()) {
        (true, true) => {}
        (false, false) => make_self_signed(chain_file, key_file)?,
        (false, true) => return Err(named("certificate_chain", chain_file, alone)),
        (true, false) => return Err(named("private_key", key_file, alone)),
    }
    let chain = read_chain(chain_file)
        .map_err(|problem| named("certificate_chain", chain_file, problem))?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|problem| named("private_key", key_file, problem))?;
    let fingerprint = chain.first().map(|certificate| fingerprint(certificate)).unwrap_or_default();
    let mut offered = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|problem| StartupError::new("TLS", problem))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|problem| named("certificate_chain", chain_file, problem))?;
    offered.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(offered), fingerprint))
}

fn named(key: &str, file: &Path, problem: impl std::fmt::Display) -> StartupError {
    StartupError(format!("{key}: {}: {problem}", file.display()))
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if chain.is_empty() => Err("no certificate in it".to_owned()),
        Ok(chain) => Ok(chain),
        Err(problem) => Err(problem.to_string()),
    }
}

/// SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint` show it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = digest::digest(&digest::SHA256, certificate);
    let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
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
        .map_err(|error| named("private_key", key_file, error))?;
    write_pem(chain_file, "CERTIFICATE", certificate.der(), 0o644)
        .map_err(|error| named("certificate_chain", chain_file, error))?;
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
