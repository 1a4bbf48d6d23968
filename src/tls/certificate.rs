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
const LONG_AGO_S: i64 = 0;
const FAR_AHEAD_S: i64 = 10_000 * 366 * 24 * 60 * 60;

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
        let parsed = ParsedCertificate::try_from(der).map_err(|error| error.to_string())?;
        let date = |time_s| match verify(&parsed, None, &[], time_s) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidYetContext { not_before: date, .. }
                | CertificateError::ExpiredContext { not_after: date, .. },
            )) => date.as_secs() as i64,
            Err(_) | Ok(()) => time_s,
        };
        let not_before = date(LONG_AGO_S);
        Ok(Self {
            fingerprint: fingerprint(der),
            names: names(&parsed),
            not_before,
            not_after: date(FAR_AHEAD_S),
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

/// What clients do not like about a chain, or soon will not, each in words.
pub(super) fn list_problems(chain: &[CertificateDer<'_>], now_s: i64) -> Vec<String> {
    let mut problems = Vec::new();
    let mut begun_s = LONG_AGO_S;
    for (number, der) in (1..).zip(chain) {
        match Certificate::read(der) {
            Ok(certificate) => {
                let dates = certificate.find_date_problem(now_s);
                problems.extend(dates.map(|problem| format!("certificate {number} {problem}")));
                if number == 1 && certificate.names.is_empty() {
                    problems.push("it is for no name (subjectAltName); clients refuse it".into());
                }
                begun_s = begun_s.max(certificate.not_before);
            }
            Err(problem) => problems.push(format!("certificate {number}: {problem}")),
        }
    }
    problems.extend(find_broken_link(chain, begun_s));
    problems
}

/// The first place where a certificate is not signed by the next one, or a single one by itself.
/// Clients before TLS 1.3 need that order (RFC 8446 section 4.4.2). `time_s` is one at which all
/// were valid.
fn find_broken_link(chain: &[CertificateDer<'_>], time_s: i64) -> Option<String> {
    let parsed = ParsedCertificate::try_from(chain.first()?).ok()?;
    for place in chain.len().min(2) - 1..chain.len() {
        // The chain up to here, with its last one taken for an authority that clients know.
        let issuers = chain.get(1..place).unwrap_or_default();
        let problem = match verify(&parsed, chain.get(place), issuers, time_s) {
            Ok(()) => continue,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if place == 0 => {
                "whoever signed it is missing behind it".to_owned()
            }
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                format!("certificate {} did not sign the one before it", place + 1)
            }
            Err(error) if error.to_string().contains("CaUsedAsEndEntity") => {
                return Some(
                    "it is an authority's (CA:TRUE), no server's; clients refuse it".into(),
                );
            }
            Err(error) => return Some(format!("clients refuse it: {error}")),
        };
        let remedy = "many clients refuse it so; use the whole chain, as certbot's fullchain.pem";
        return Some(format!("{problem}; {remedy}"));
    }
    None
}

/// Whether clients that know `authority` would take it, at that time.
fn verify(
    certificate: &ParsedCertificate<'_>,
    authority: Option<&CertificateDer<'_>>,
    issuers: &[CertificateDer<'_>],
    time_s: i64,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    if let Some(authority) = authority {
        roots.add(authority.clone().into_owned())?;
    }
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time_s.unsigned_abs()));
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
