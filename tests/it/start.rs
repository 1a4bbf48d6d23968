//! From an empty folder to a ready server, and every way in which that fails.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};
use serde_json::json;

use crate::support::client::Framing;
use crate::support::pictures::png;
use crate::support::server::{Folder, Server, run};
use crate::support::tls::Tls;

const DEFAULTS: &str = include_str!("../../config.json");

/// Runs a program that must not start: one line says why, the exit code is 2.
#[track_caller]
fn assert_refused(folder: &Folder, words: &[&str]) {
    let (code, log) = run(folder, &[]);
    assert_eq!(code, Some(2), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(words.iter().all(|word| log.contains(word)), "{words:?} are not all in: {log}");
}

#[test]
fn a_first_start_writes_every_key_at_its_default_and_no_start_changes_the_file() {
    let folder = Folder::empty();
    // The default port: whether it was free or not, the program finds it taken.
    let _holder = TcpListener::bind("0.0.0.0:2345");
    let (code, log) = run(&folder, &[]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.lines().last().unwrap().contains("2345"), "{log}");
    assert_eq!(String::from_utf8(folder.read("config.json")).unwrap(), DEFAULTS);

    folder.write("config.json", " { \"addr\": \"127.0.0.1\", \"port\" : 0 }");
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    assert_eq!(server.folder.read("config.json"), b" { \"addr\": \"127.0.0.1\", \"port\" : 0 }");
}

#[test]
fn a_wrong_configuration_is_one_line_and_touches_nothing() {
    for (text, words) in [
        ("", ""),
        ("not json", ""),
        ("[]", ""),
        (r#"{"port":"2345"}"#, " port: must be"),
        (r#"{"port":65536}"#, " port: must be"),
        (r#"{"port":-1}"#, " port: must be"),
        (r#"{"voice_port":1.5}"#, " voice_port: must be"),
        (r#"{"addr":"nowhere"}"#, " addr: must be"),
        (r#"{"name":7}"#, " name: must be"),
        (r#"{"name":" "}"#, " name: must "),
        (r#"{"name":"ččččččččččččččččč"}"#, " name: must "),
        (r#"{"icon":null}"#, " icon: must be"),
        (r#"{"database_file":[]}"#, " database_file: must be"),
        (r#"{"prot":2345}"#, " prot: "),
        (r#"{"limits":7}"#, " limits: must be"),
        (r#"{"limits":{"max_conections":7}}"#, " limits.max_conections: "),
        (r#"{"limits":{"max_connections":0}}"#, " limits.max_connections: must be"),
        (r#"{"limits":{"max_connections":"many"}}"#, " limits.max_connections: must be"),
        (r#"{"limits":{"limit_loopback":1}}"#, " limits.limit_loopback: must be"),
        (r#"{"limits":{"login_timeout_s":1e9}}"#, " limits.login_timeout_s: must be"),
    ] {
        let folder = Folder::empty();
        folder.write("config.json", text);
        assert_refused(&folder, &["config.json:", words]);
        assert_eq!(folder.read("config.json"), text.as_bytes());
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "{text}: something was made");
    }
}

#[test]
fn a_wrong_command_line_is_refused_and_help_is_given() {
    let folder = Folder::empty();
    for arguments in [&["--nonsense"][..], &["nonsense"], &["--config"]] {
        assert_eq!(run(&folder, arguments).0, Some(2), "{arguments:?}");
    }
    for arguments in ["--help", "--version"] {
        assert_eq!(run(&folder, &[arguments]), (Some(0), String::new()));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");
}

/// SHA-256 as people compare it.
fn fingerprint(certificate: &[u8]) -> String {
    let bytes = digest(&SHA256, certificate);
    let pairs: Vec<String> = bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

fn shown_certificate(address: SocketAddr) -> Vec<u8> {
    let tls = Tls::connect(address);
    tls.connection().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_certificate_is_made_once_and_its_fingerprint_is_logged() {
    let mut server = Server::start_in(Folder::empty(), json!({}));
    let certificate = shown_certificate(server.address);
    let line = format!("certificate SHA-256 {}", fingerprint(&certificate));
    assert!(server.record.log().iter().any(|logged| logged.contains(&line)), "no {line}");
    let mode = fs::metadata(server.folder.path().join("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = ["cert.pem", "key.pem"].map(|name| server.folder.read(name));
    server.restart("TERM");
    assert_eq!(shown_certificate(server.address), certificate);
    assert_eq!(["cert.pem", "key.pem"].map(|name| server.folder.read(name)), files);
}

#[test]
fn the_certificate_is_good_for_this_machine() {
    let server = Server::start();
    let certificate = CertificateDer::from_pem_slice(&server.folder.read("cert.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth());
    let shake_hands = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut socket = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::flush(&mut Stream::new(&mut connection, &mut socket))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok::<_, std::io::Error>(())
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for name in ["localhost", "127.0.0.1", "::1", &host] {
        shake_hands(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(shake_hands("elsewhere.example").is_err());
}

#[test]
fn a_certificate_that_is_there_is_used_and_half_of_one_is_refused() {
    let folder = Folder::prepared();
    let config =
        r#"{"addr":"127.0.0.1","port":0,"certificate_chain":"c.pem","private_key":"k.pem"}"#;
    folder.write("config.json", config);
    folder.write("c.pem", folder.read("cert.pem"));
    assert_refused(&folder, &["private_key", "k.pem"]);
    assert!(!folder.has("k.pem"));
    folder.write("k.pem", folder.read("key.pem"));
    fs::remove_file(folder.path().join("c.pem")).unwrap();
    assert_refused(&folder, &["certificate_chain", "c.pem"]);
    assert!(!folder.has("c.pem"));
    folder.write("c.pem", "no certificate");
    assert_refused(&folder, &["certificate_chain", "c.pem"]);
    folder.write("c.pem", folder.read("cert.pem"));
    let expected = CertificateDer::from_pem_slice(&folder.read("c.pem")).unwrap();
    let server = Server::try_start(folder, &[], Arc::default()).ok().unwrap();
    assert_eq!(shown_certificate(server.address), expected.as_ref());
}

#[test]
fn a_database_that_is_not_ours_is_refused_untouched() {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let database = Connection::open(folder.path().join("aster.db")).unwrap();
    database.pragma_update(None, "user_version", 1_000_000).unwrap();
    drop(database);
    let before = folder.read("aster.db");
    assert_refused(&folder, &["aster.db"]);
    assert_eq!(folder.read("aster.db"), before);
    let text = "This is a letter, and no database at all. ".repeat(100);
    folder.write("aster.db", &text);
    assert_refused(&folder, &["aster.db"]);
    assert_eq!(folder.read("aster.db"), text.as_bytes());
}

#[test]
fn a_second_server_of_one_database_is_refused() {
    let server = Server::start();
    let mut alice = server.member("alice");
    assert_refused(&server.folder, &["aster.db", "another server"]);
    alice.must(json!({"command": "ping"}));
}

#[test]
fn a_scratch_database_leaves_nothing_behind() {
    let folder = Folder::empty();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let mut server = Server::try_start(folder, &["--scratch-db"], Arc::default()).ok().unwrap();
    let mut alice = server.member("alice");
    let channel = alice.general();
    alice.say(channel, "hello");
    assert_eq!(alice.history(channel, 9).len(), 1);
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(!server.folder.has("aster.db"));
}

#[test]
fn ipv6_is_listened_to() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // This machine has no IPv6.
    }
    let server = Server::configured(json!({"addr": "::1"}));
    assert!(server.address.is_ipv6());
    server.member("alice").leave().unwrap();
}

#[test]
fn pictures_of_the_configuration_are_used_and_others_stand_in() {
    let picture_of = |server: &Server| {
        let mut alice = server.member("alice");
        let uuid = alice.must(json!({"command": "online"}))["data"][0].clone();
        let icon = alice.must(json!({"command": "get_icon"}))["data"].clone();
        (icon, alice.must(json!({"command": "get_user", "uuid": uuid}))["data"]["pfp"].clone())
    };
    let folder = Folder::prepared();
    folder.write("mine.png", png(5, 5, 0));
    folder.write("theirs.png", png(6, 6, 0));
    let config = json!({"icon": "mine.png", "default_pfp": "theirs.png"});
    let (icon, pfp) = picture_of(&Server::start_in(folder, config));
    assert_eq!(icon, STANDARD.encode(png(5, 5, 0)));
    assert_eq!(pfp, STANDARD.encode(png(6, 6, 0)));
    let config = json!({"icon": "absent.png", "default_pfp": "absent.png"});
    let (icon, pfp) = picture_of(&Server::configured(config));
    assert_eq!(icon, STANDARD.encode(include_bytes!("../../assets/icon.png")));
    let made = STANDARD.decode(pfp.as_str().unwrap()).unwrap();
    assert!(made.starts_with(b"\x89PNG") && made.len() < 400, "{} bytes", made.len());
}

#[test]
fn a_named_configuration_brings_its_folder_along() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("tea")).unwrap();
    folder.write("tea/room.json", r#"{"addr":"127.0.0.1","port":0,"database_file":"tea.db"}"#);
    let server =
        Server::try_start(folder, &["--config", "tea/room.json"], Arc::default()).ok().unwrap();
    let mut dave = server.connect("dave", Framing::Lines);
    dave.must(json!({"command": "ping"}));
    for name in ["tea/tea.db", "tea/cert.pem", "tea/key.pem"] {
        assert!(server.folder.has(name), "no {name}");
    }
    assert_eq!(fs::read_dir(server.folder.path()).unwrap().count(), 1, "something lies outside");
}

#[test]
fn a_folder_that_cannot_be_written_is_one_line() {
    let folder = Folder::empty();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.path().join("x"), "").is_ok() {
        return; // Permissions do not bind who runs this.
    }
    assert_refused(&folder, &["config.json"]);
}
