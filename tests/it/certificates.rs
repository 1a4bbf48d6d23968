//! The certificate over time: renewed beside clients that chat, broken, and near its end.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::certificates::{Made, chain};
use crate::support::server::{Folder, Server};
use crate::support::tls::{Tls, config_of};

/// What an operator is promised.
const RELOAD_DEADLINE: Duration = Duration::from_secs(60);

fn fingerprint(made: &Made) -> String {
    let bytes = digest(&SHA256, made.der());
    let pairs: Vec<String> = bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Whether a new client is shown this certificate.
fn is_shown(address: SocketAddr, made: &Made) -> bool {
    Tls::connect(address).connection().peer_certificates().unwrap()[0].as_ref() == made.der()
}

fn wait_until_shown(server: &Server, made: &Made) {
    let until = Instant::now() + RELOAD_DEADLINE;
    while !is_shown(server.address, made) {
        assert!(Instant::now() < until, "new clients are not shown the new certificate");
        thread::sleep(Duration::from_millis(100));
    }
}

/// How many lines of the log hold these words.
fn count(server: &Server, words: &str) -> usize {
    server.record.log().iter().filter(|line| line.contains(words)).count()
}

#[track_caller]
fn wait_for_line(server: &Server, from: usize, words: &str) {
    let found = server.record.wait_for(from, |line| line.contains(words).then_some(()));
    assert!(found.is_some(), "the log never said: {words}");
}

fn keys() -> Value {
    json!({"certificate_chain": "c.pem", "private_key": "k.pem"})
}

fn folder_with(made: &Made) -> Folder {
    let folder = Folder::prepared();
    folder.write("c.pem", made.pem());
    folder.write("k.pem", made.key_pem());
    folder
}

/// As certbot does: a new pair in the archive, then one link after the other is replaced.
fn renew_like_certbot(folder: &Folder, number: u32, full_chain: &str, key: &str) {
    let path = folder.path();
    for name in ["archive/chat", "live/chat"] {
        fs::create_dir_all(path.join(name)).unwrap();
    }
    for (name, text) in [("privkey", key), ("fullchain", full_chain)] {
        folder.write(&format!("archive/chat/{name}{number}.pem"), text);
        let (link, draft) = (format!("live/chat/{name}.pem"), path.join("live/chat/draft"));
        symlink(format!("../../archive/chat/{name}{number}.pem"), &draft).unwrap();
        fs::rename(draft, path.join(link)).unwrap();
    }
}

#[test]
fn a_renewal_by_certbot_reaches_new_clients_while_old_ones_chat_on() {
    let root = Made::authority("root");
    let issuer = root.authority_below("issuer");
    let [old, new] = [(); 2].map(|()| issuer.server("localhost", -1, 89));
    let folder = Folder::prepared();
    renew_like_certbot(&folder, 1, &chain(&[&old, &issuer]), &old.key_pem());
    let config = json!({
        "certificate_chain": "live/chat/fullchain.pem", "private_key": "live/chat/privkey.pem",
    });
    let server = Server::start_in(folder, config);
    assert!(is_shown(server.address, &old));
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "before");

    renew_like_certbot(&server.folder, 2, &chain(&[&new, &issuer]), &new.key_pem());
    wait_until_shown(&server, &new);
    alice.say(channel, "after");
    let mut bob = server.member("bob");
    bob.say(channel, "hello");
    let said: Vec<Value> = alice.history(channel, 9);
    assert_eq!(said.len(), 3);
    let shown_to_alice = alice.tls.connection().peer_certificates().unwrap();
    assert_eq!(shown_to_alice[0].as_ref(), old.der());
    assert_eq!(shown_to_alice.len(), 2);
    let line = format!("certificate SHA-256 {}, for localhost, expires ", fingerprint(&new));
    assert_eq!(count(&server, &line), 1);
    assert_eq!(count(&server, "still"), 0);
}

#[test]
fn sighup_reads_it_at_once_and_says_what_is_served() {
    let [old, new] = [30, 40].map(|days| Made::alone("localhost", -1, days));
    let server = Server::start_in(folder_with(&old), keys());
    let mut alice = server.member("alice");
    let line = |made| format!("certificate SHA-256 {}", fingerprint(made));
    assert_eq!(count(&server, &line(&old)), 1);
    let from = server.record.len();
    server.signal("HUP");
    wait_for_line(&server, from, &format!("{}, for localhost, expires ", line(&old)));
    wait_for_line(&server, from, "(30 days)");

    server.folder.write("k.pem", new.key_pem());
    server.folder.write("c.pem", new.pem());
    let from = server.record.len();
    server.signal("HUP");
    wait_for_line(&server, from, &line(&new));
    assert!(is_shown(server.address, &new));
    alice.must(json!({"command": "ping"}));
}

#[test]
fn a_broken_renewal_is_told_of_and_the_old_one_stays() {
    let [old, other] = [(); 2].map(|()| Made::alone("localhost", -1, 30));
    let mut server = Server::start_in(folder_with(&old), keys());
    let mut alice = server.member("alice");
    let still = format!("what clients see is still certificate SHA-256 {}", fingerprint(&old));

    // Without being asked.
    server.folder.write("c.pem", "no certificate");
    wait_for_line(&server, 0, &format!("c.pem: no certificate in it; {still}"));
    let (c, k) = (server.folder.path().join("c.pem"), server.folder.path().join("k.pem"));
    let cases: [(&str, &dyn Fn()); 4] = [
        ("k.pem: is not the key of the first certificate in ", &|| {
            fs::write(&c, other.pem()).unwrap();
        }),
        ("private_key: ", &|| fs::write(&k, "no key").unwrap()),
        ("certificate_chain: ", &|| {
            fs::remove_file(&c).unwrap();
            fs::remove_file(&k).unwrap();
        }),
        ("c.pem: not a file", &|| fs::create_dir(&c).unwrap()),
    ];
    for (words, break_it) in cases {
        break_it();
        let from = server.record.len();
        server.signal("HUP");
        let told = |line: &str| (line.contains(words) && line.contains(&still)).then_some(());
        assert!(server.record.wait_for(from, told).is_some(), "the log never said: {words}");
        assert!(is_shown(server.address, &old));
    }
    assert_eq!(count(&server, "no certificate in it"), 1);
    assert!(!k.exists(), "a key was made");
    alice.must(json!({"command": "ping"}));

    fs::remove_dir(&c).unwrap();
    server.folder.write("k.pem", other.key_pem());
    server.folder.write("c.pem", other.pem());
    wait_until_shown(&server, &other);
    alice.must(json!({"command": "ping"}));
    assert_eq!(server.stop("TERM"), Some(0));
}

#[test]
fn a_storm_of_sighups_harms_nobody() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    for number in 0..100 {
        server.signal("HUP");
        alice.say(channel, &number.to_string());
    }
    let _another = Tls::connect(server.address);
    assert_eq!(alice.history(channel, 500).len(), 100);
    assert_eq!(server.stop("TERM"), Some(0));
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_signal_before_the_configuration_is_read_waits_until_it_can_be_heeded() {
    for (signal, expected) in [("HUP", "listening on "), ("TERM", "stopped")] {
        let folder = Folder::prepared();
        // It reads this for as long as somebody holds the other end.
        let path = folder.path().join("config.json");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_aster-server"));
        command.current_dir(folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = Killed(command.spawn().unwrap());
        let until = Instant::now() + DEADLINE;
        let mut config = loop {
            let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
            match OpenOptions::new().write(true).custom_flags(nonblocking).open(&path) {
                Ok(config) => break config,
                Err(error) => assert!(Instant::now() < until, "it never opened: {error}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        let id = child.0.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -$0 $1", signal, &id]).status().unwrap();
        assert!(sent.success());
        config.write_all(br#"{"addr":"127.0.0.1","port":0}"#).unwrap();
        drop(config);
        let mut log = BufReader::new(child.0.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(log.any(|line| line.starts_with(expected)), "{signal} has ended it");
    }
}

#[test]
fn a_start_warns_of_an_end_that_is_near_or_past() {
    for (days, words) in [
        (5, Some("the certificate expires in 5 days, ")),
        (0, Some("the certificate expires within a day; ")),
        (-2, Some("the certificate expired ")),
        (15, None),
    ] {
        let server = Server::start_in(folder_with(&Made::alone("localhost", -9, days)), keys());
        assert_eq!(count(&server, "the certificate "), usize::from(words.is_some()), "{days}");
        assert!(words.is_none_or(|words| count(&server, words) == 1), "{days}");
    }
}

#[test]
fn a_renewal_is_warned_of_anew() {
    let [old, new] = [15, 5].map(|days| Made::alone("localhost", -1, days));
    let server = Server::start_in(folder_with(&old), keys());
    server.folder.write("k.pem", new.key_pem());
    server.folder.write("c.pem", new.pem());
    wait_for_line(&server, 0, "the certificate expires in 5 days, ");
}

#[test]
fn resumed_sessions_end_with_the_certificate_they_began_with() {
    use rustls::HandshakeKind;
    use rustls::client::Resumption;
    let [old, new] = [(); 2].map(|()| Made::alone("localhost", -1, 30));
    let server = Server::start_in(folder_with(&old), keys());
    for (version, number) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut config = config_of(&[version], &[]).as_ref().clone();
        config.resumption = Resumption::in_memory_sessions(8);
        let config = std::sync::Arc::new(config);
        let connect = || {
            let mut tls = Tls::try_connect(server.address, config.clone()).unwrap();
            // The ticket comes with or before the greeting.
            tls.write(b"{\"command\":\"ping\"}\n");
            tls.take_until(b"\n").unwrap();
            assert_eq!(tls.connection().protocol_version(), Some(number));
            tls.connection().handshake_kind()
        };
        assert_eq!(connect(), Some(HandshakeKind::Full));
        assert_eq!(connect(), Some(HandshakeKind::Resumed));
        server.folder.write("k.pem", new.key_pem());
        server.folder.write("c.pem", new.pem());
        let from = server.record.len();
        server.signal("HUP");
        wait_for_line(&server, from, &fingerprint(&new));
        assert_eq!(connect(), Some(HandshakeKind::Full));
    }
}

/// A ClientHello that knows no more than `version`, with cipher suites of its time.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = vec![version[0], version[1]];
    hello.extend([7; 32]);
    hello.push(0);
    // ECDHE-ECDSA and ECDHE-RSA with AES-128-CBC-SHA, and AES-128-CBC-SHA.
    hello.extend([0, 6, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f]);
    hello.extend([1, 0]);
    // supported_groups: secp256r1; ec_point_formats: uncompressed.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    hello.extend([0, extensions.len() as u8]);
    hello.extend(extensions);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

#[test]
fn older_versions_of_tls_are_refused_with_an_alert_and_no_line_in_the_log() {
    let server = Server::start();
    let before = server.record.log().len();
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(&old_hello(version)).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        // A fatal alert: handshake_failure, as such a client names no signatures that there are in
        // TLS 1.2, or protocol_version (RFC 8446 section 6).
        assert_eq!((answer[0], answer[5]), (21, 2), "{version:?}: {answer:?}");
        assert!([40, 70].contains(&answer[6]), "{version:?}: {answer:?}");
    }
    server.member("alice").leave().unwrap();
    assert_eq!(server.record.log().len(), before, "strangers fill the log");
}
