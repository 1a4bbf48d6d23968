//! What a certificate says, and what is wrong with it and its chain. Pure: the time is passed in.
//!
//! There is no parser of X.509 here beside the one that rustls has. That one tells no dates and no
//! names, but it refuses a certificate at a time or for a name that it is not for, and says why.

use std::net::IpAddr;
use std::time::Duration;

use ring::digest;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use crate::date::{DAY_S, counted, date};

/// From so many days before the end on, somebody is told. Whatever renews certificates by itself
/// has done so long before.
const WARNING_DAYS: i64 = 14;
/// A time before all certificates, and one after them (in the year 11970).
const LONG_AGO_S: u64 = 0;
const FAR_AHEAD_S: u64 = 10_000 * 366 * 24 * 60 * 60;

/// What a certificate says. Dates in Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// SHA-256, as browsers and `openssl x509 -fingerprint` show it.
    pub fingerprint: String,
    names: Vec<String>,
    not_before: i64,
    /// The last second of it.
    pub(super) not_after: i64,
    is_self_signed: bool,
}

impl Certificate {
    /// Fails on what is no certificate of a kind that TLS clients take.
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let parsed = ParsedCertificate::try_from(der).map_err(shown)?;
        let refusal = |time_s| match verify(&parsed, None, &[], time_s) {
            Err(Error::InvalidCertificate(refusal)) => Some(refusal),
            Err(_) | Ok(()) => None,
        };
        let not_before = match refusal(LONG_AGO_S) {
            Some(CertificateError::NotValidYetContext { not_before, .. }) => not_before.as_secs(),
            Some(_) | None => LONG_AGO_S,
        };
        let not_after = match refusal(FAR_AHEAD_S) {
            Some(CertificateError::ExpiredContext { not_after, .. }) => not_after.as_secs(),
            Some(_) | None => FAR_AHEAD_S,
        };
        if not_before > not_after {
            return Err("it ends before it begins".to_owned());
        }
        Ok(Self {
            fingerprint: fingerprint(der),
            names: names(&parsed),
            not_before: signed(not_before),
            not_after: signed(not_after),
            is_self_signed: verify(&parsed, Some(der), &[], not_before).is_ok(),
        })
    }

    /// Whole days until it expires; below zero once it has.
    pub(crate) fn days_left(&self, now_s: i64) -> i64 {
        self.not_after.saturating_sub(now_s).div_euclid(DAY_S)
    }

    /// `for chat.example.org, expires 2027-01-02 (38 days)`
    pub(crate) fn describe(&self, now_s: i64) -> String {
        let names = if self.names.is_empty() { "no name" } else { &self.names.join(", ") };
        let (end, left) = (date(self.not_after), self.days_left(now_s));
        match left {
            0.. => format!("for {names}, expires {end} ({})", counted(left, "day")),
            _ => format!("for {names}, expired {end}"),
        }
    }

    /// What is wrong with its dates, or soon will be, and what to do about it.
    pub(crate) fn find_date_problem(&self, now_s: i64) -> Option<String> {
        if now_s < self.not_before {
            return Some(format!(
                "is not valid before {}, and this machine's clock says {}; set the clock, or wait",
                date(self.not_before),
                date(now_s)
            ));
        }
        let left = self.days_left(now_s);
        let when = match left {
            WARNING_DAYS.. => return None,
            0 => "expires within a day".to_owned(),
            1.. => format!("expires in {}, {}", counted(left, "day"), date(self.not_after)),
            _ => format!("expired {}, and clients refuse it", date(self.not_after)),
        };
        let remedy = match self.is_self_signed {
            true => "for a new one remove it and its key, and start the server again",
            false => "renew it, as with `certbot renew`, and see why that did not happen by itself",
        };
        Some(format!("{when}; {remedy}"))
    }
}

/// What clients will not like about a chain besides the dates of its first certificate, each in
/// words. What the order of certificates is to be: RFC 8446 section 4.4.2 for TLS 1.2 and before.
pub(super) fn list_chain_problems(chain: &[CertificateDer<'_>], now_s: i64) -> Vec<String> {
    let read: Result<Vec<Certificate>, String> = chain.iter().map(Certificate::read).collect();
    let (Some(leaf), Ok(read)) = (chain.first(), read) else {
        return vec!["something in it is no certificate".to_owned()];
    };
    let mut problems = Vec::new();
    for (number, issuer) in (1..).zip(&read).skip(1) {
        if let Some(problem) = issuer.find_date_problem(now_s) {
            problems.push(format!("certificate {number} of the chain {problem}"));
        }
    }
    if read.first().is_some_and(|certificate| certificate.names.is_empty()) {
        problems.push("it is for no name at all (subjectAltName); clients refuse it".to_owned());
    }
    // When all of them were valid, if ever they were: dates are told of above.
    let time_s = read.iter().map(|certificate| certificate.not_before).max().unwrap_or_default();
    let time_s = u64::try_from(time_s).unwrap_or_default();
    problems.extend(find_broken_link(leaf, chain, time_s));
    problems
}

/// The first place in the chain where a certificate is not signed by the next one.
fn find_broken_link(
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    time_s: u64,
) -> Option<String> {
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    // A chain up to `last`, as far as it is in order, taken for an authority that clients know.
    let verify_up_to = |last: usize, issuers: &[CertificateDer<'_>]| {
        verify(&parsed, chain.get(last), issuers, time_s)
    };
    if chain.len() == 1 {
        return match verify_up_to(0, &[]).err()? {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
                "whoever signed it is missing behind it, and many clients refuse it so; use the \
                 whole chain (certbot's fullchain.pem)"
                    .to_owned(),
            ),
            error => Some(format!("clients refuse it: {}", shown(error))),
        };
    }
    for place in 1..chain.len() {
        let issuers = chain.get(1..place).unwrap_or_default();
        match verify_up_to(place, issuers) {
            Ok(()) => {}
            Err(Error::InvalidCertificate(
                CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYetContext { .. },
            )) => return None,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                let is_further_on =
                    (place + 1..chain.len()).any(|later| verify_up_to(later, issuers).is_ok());
                let reason = match is_further_on {
                    true => {
                        "it stands further on: each is to be followed by the one that signed it"
                    }
                    false => "one is missing there; use the whole chain (certbot's fullchain.pem)",
                };
                let number = place + 1;
                return Some(format!(
                    "certificate {number} of the chain did not sign the one before it; {reason}"
                ));
            }
            Err(error) => return Some(format!("clients refuse it: {}", shown(error))),
        }
    }
    None
}

/// Whether clients that know `authority` would take it, at that time.
fn verify(
    certificate: &ParsedCertificate<'_>,
    authority: Option<&CertificateDer<'_>>,
    issuers: &[CertificateDer<'_>],
    time_s: u64,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    if let Some(authority) = authority {
        roots.add(authority.clone().into_owned())?;
    }
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time_s));
    let algorithms = default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(certificate, &roots, issuers, time, algorithms)
}

fn names(certificate: &ParsedCertificate<'_>) -> Vec<String> {
    // RFC 6761: no certificate is for a name below this one.
    let Ok(nobody) = ServerName::try_from("nobody.invalid") else { return Vec::new() };
    match verify_server_name(certificate, &nobody) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) => presented.iter().map(|name| bare(name)).collect(),
        Err(_) | Ok(()) => Vec::new(),
    }
}

/// `DnsName("localhost")` and `IpAddress(::1)` without what is around them.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let inner = inner.unwrap_or(name).trim_matches('"');
    // As others write it, not `0::1`.
    inner.parse().map_or(inner.to_owned(), |address: IpAddr| address.to_string())
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = digest::digest(&digest::SHA256, certificate);
    let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

fn signed(time_s: u64) -> i64 {
    i64::try_from(time_s).unwrap_or(i64::MAX)
}

fn shown(error: Error) -> String {
    match error.to_string() {
        // Nothing but this text tells it from others.
        text if text.contains("CaUsedAsEndEntity") => {
            "it is an authority's own (CA:TRUE), not a server's".to_owned()
        }
        text => text,
    }
}
