//! Certificates made for a test: authorities, what they sign, and what is wrong with it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key.
pub struct Made {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Made {
    /// One that signs others, and itself.
    pub fn authority(name: &str) -> Self {
        let params = authority_params(name);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), params, key }
    }

    /// One that signs others, and is signed by this one.
    pub fn authority_below(&self, name: &str) -> Self {
        self.sign(authority_params(name))
    }

    /// A server's, that this authority signs; from and until so many days from now.
    pub fn server(&self, name: &str, from: i64, until: i64) -> Self {
        self.sign(server_params(name, from, until))
    }

    /// A server's, signed by itself.
    pub fn alone(name: &str, from: i64, until: i64) -> Self {
        let params = server_params(name, from, until);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), params, key }
    }

    fn sign(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), params, key }
    }

    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.der())
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.serialized_der())
    }
}

/// A file with one after the other.
pub fn chain(certificates: &[&Made]) -> String {
    certificates.iter().map(|made| made.pem()).collect()
}

fn params(names: &[&str], common_name: &str, from: i64, until: i64) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = days_from_now(from).into();
    params.not_after = days_from_now(until).into();
    params
}

fn server_params(name: &str, from: i64, until: i64) -> CertificateParams {
    let names = if name.is_empty() { &[][..] } else { &[name] };
    params(names, "a server", from, until)
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(&[], name, -30, 1000);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// And an hour, so that a test that takes its time sees the same count of days.
fn days_from_now(days: i64) -> SystemTime {
    let seconds = Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
    let now = SystemTime::now() + Duration::from_secs(60 * 60);
    if days < 0 { now - seconds } else { now + seconds }
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
