//! Those who take up room and give nothing: they cost themselves, are cut off in time, and leave
//! nothing behind (protocol section 8).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde_json::json;

use crate::support::DEADLINE;
use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server, command, run_after};
use crate::support::tls::{Tls, config};
use crate::support::websocket::{self, CONTINUATION, TEXT};
use crate::support::world::World;

/// What is logged when no further client can be taken in.
const SHORT: &str = "cannot take in another client: ";

/// What is logged of one who is in others' way.
const NO_READER: &str = "closed a client that did not read its answer";

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// How often the server logged something that begins so.
fn count_logged(server: &Server, start: &str) -> usize {
    server.record.log().iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn the_newest_is_closed_where_the_system_allows_few_files() {
    // The hard limit is what counts.
    let server = Server::start_after("ulimit -Sn 20 && ulimit -Hn 80", json!({}));
    let room = server.record.log().into_iter().find_map(|line| {
        line.strip_prefix("room for ")?.strip_suffix(" clients at once")?.parse().ok()
    });
    let room: usize = room.expect("it does not say for how many there is room");
    assert!((10..80).contains(&room), "room for {room}");
    let mut clients: Vec<Client> =
        (0..room).map(|_| server.connect("dave", Framing::Lines)).collect();
    clients.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    let mut newest = TcpStream::connect(server.address).unwrap();
    newest.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(newest.read(&mut [0]).unwrap_or(0), 0);
    // With all of them there, the database still is.
    clients[0].name = "alice".to_owned();
    clients[0].enter("register");
    let channel = clients[0].general();
    clients[0].say(channel, "hello");
    clients.pop().unwrap().leave().unwrap();
    wait_until("a place is free", || Tls::try_connect(server.address, config()).is_ok());
    assert_eq!(count_logged(&server, SHORT), 0);
}

#[test]
fn a_system_that_allows_no_client_is_one_line() {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    let (code, log) = run_after("ulimit -n 40", &folder);
    assert_eq!((code, log.lines().count()), (Some(2), 1), "{log}");
    assert!(log.contains("open files: the system allows 40"), "{log}");
}

#[test]
fn running_out_of_files_is_logged_once_and_passes() {
    let server = Server::configured(json!({"limits": {"handshake_timeout_s": 600}}));
    let mut alice = server.member("alice");
    let channel = alice.general();
    let mut watcher = Tls::connect(server.address);
    let health = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
    let mut works = move || {
        alice.say(channel, "hello");
        assert_eq!(alice.history(channel, 1).len(), 1);
        watcher.write(health);
        assert!(watcher.take_until(b"{\"status\":\"ok\"}").unwrap().is_some());
    };
    works();
    let Some([_, files]) = server.threads_and_files() else { return };
    for episode in 1..3 {
        server.allow_more_files(3);
        let mut crowd: Vec<TcpStream> =
            (0..10).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        wait_until("it is out of files", || count_logged(&server, SHORT) == episode);
        works();
        let full = server.threads_and_files();
        // Whoever goes makes room for one of those who wait, and for no second line.
        for _ in 0..4 {
            drop(crowd.remove(0));
            wait_until("the next one is in", || server.threads_and_files() == full);
        }
        works();
        server.allow_more_files(100);
        wait_until("all are in", || {
            server.threads_and_files().is_some_and(|[_, now]| now == files + 6)
        });
        drop(crowd);
        server.connect("dave", Framing::Lines).must(json!({"command": "ping"}));
        wait_until("all are gone", || {
            server.threads_and_files().is_some_and(|[_, now]| now == files)
        });
        assert_eq!(count_logged(&server, SHORT), episode);
    }
}

/// One who logs in and from then on never reads, with as little room for what comes as can be.
fn deaf(server: &Server, name: &str) -> Client {
    let client = server.login(name);
    client.tls.hold_little();
    client
}

#[test]
fn a_hundred_who_never_read_are_closed_and_take_no_more_than_their_bounds() {
    const DEAF: usize = 100;
    const BOUND: usize = 512 << 10;
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    ["alice", "bob", "deaf"].iter().for_each(|name| _ = world.member(name));
    drop(world);
    let server = Server::start_in(folder, json!({"limits": {"max_backlog_bytes": BOUND}}));
    let (mut alice, mut bob) = (server.login("alice"), server.login("bob"));
    let channel = alice.general();
    let _deaf: Vec<Client> = (0..DEAF).map(|_| deaf(&server, "deaf")).collect();
    let before_kib = server.memory_kib("VmRSS");
    let text = "x".repeat(16 << 10);
    let closed = || count_logged(&server, "closed a client that did not read its events");
    let until = Instant::now() + 3 * DEADLINE;
    let mut sent = 0;
    while closed() < DEAF {
        let message = alice.say(channel, &text);
        assert_eq!(bob.next_event().unwrap()["uuid"], message);
        alice.record.forget_packets();
        sent += 1;
        assert!(Instant::now() < until, "only {} are closed after {sent} messages", closed());
    }
    alice.must(json!({"command": "ping"}));
    if let (Some(before), Some(peak)) = (before_kib, server.memory_kib("VmHWM")) {
        let bounds_kib = (DEAF * BOUND) as u64 >> 10;
        println!("{sent} messages; {} KiB for {bounds_kib} KiB of bounds", peak - before);
        assert!(peak - before < bounds_kib * 5 / 4, "{} KiB in memory", peak - before);
    }
}

/// A folder with a member `bob` and these, where an answer of `history` has 12 MB: each byte of
/// the text takes six in JSON.
fn folder_of_long_answers(names: &[String]) -> Folder {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("bob", 500, "general", &"\u{1}".repeat(4 << 10));
    names.iter().for_each(|name| _ = world.member(name));
    folder
}

/// These ask for 12 MB each and do not read; when so many of them were cut off, `bob` asks, and
/// must get it.
fn ask_and_do_not_read(names: &[String], cut_off_min: usize) {
    let server = Server::start_in(folder_of_long_answers(names), json!({}));
    let mut bob = server.login("bob");
    let request = json!({"command": "history", "channel": bob.general(), "num": 500});
    let mut askers: Vec<Client> = names.iter().map(|name| deaf(&server, name)).collect();
    let before_kib = server.memory_kib("VmRSS");
    askers.iter_mut().for_each(|asker| _ = asker.send(request.clone()));
    wait_until("some are cut off", || count_logged(&server, NO_READER) >= cut_off_min);
    let label = bob.send(request);
    bob.set_deadline(2 * DEADLINE);
    assert_eq!(bob.answer(&label)["data"].as_array().unwrap().len(), 500);
    // Those who have no room are in each other's way, too.
    wait_until("some are cut off", || count_logged(&server, NO_READER) > 0);
    if let (Some(before), Some(peak)) = (before_kib, server.memory_kib("VmHWM")) {
        println!("{} answers of 12 MB: {} MiB in memory", names.len(), (peak - before) >> 10);
        // What may wait and be made, and what was freed and is not used again yet.
        assert!(peak - before < 250 << 10, "{} MiB in memory", (peak - before) >> 10);
    }
}

#[test]
fn a_member_who_asks_on_many_connections_and_does_not_read_keeps_no_other_waiting() {
    ask_and_do_not_read(&vec!["deaf".to_owned(); 50], 0);
}

#[test]
fn many_members_who_ask_and_do_not_read_are_cut_off_once_others_have_no_room() {
    let names: Vec<String> = (0..14).map(|number| format!("deaf {number}")).collect();
    ask_and_do_not_read(&names, 1);
}

/// Ten members ask for 500 messages of 16 KiB on three connections each, and do not read.
fn thirty_who_do_not_read(server: &Server, channel: i64) -> Vec<Client> {
    let request = json!({"command": "history", "channel": channel, "num": 500});
    let names = (0..30).map(|number| format!("deaf {}", number % 10));
    let mut askers: Vec<Client> = names.map(|name| deaf(server, &name)).collect();
    askers.iter_mut().for_each(|asker| _ = asker.send(request.clone()));
    askers
}

/// With what those ask for, and these members.
fn server_of_much_to_read(names: &[&str]) -> Server {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    world.messages("bob", 500, "general", &"x".repeat(16_000));
    (0..10).for_each(|number| _ = world.member(&format!("deaf {number}")));
    names.iter().for_each(|name| _ = world.member(name));
    drop(world);
    Server::start_in(folder, json!({}))
}

#[test]
fn a_few_messages_are_there_at_once_while_many_ask_for_much_and_do_not_read() {
    let server = server_of_much_to_read(&[]);
    let mut bob = server.login("bob");
    let channel = bob.general();
    let _askers = thirty_who_do_not_read(&server, channel);
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(bob.history(channel, 1).len(), 1);
        thread::sleep(Duration::from_millis(100));
    }
    println!("{:?} for ten, with a rest after each", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn those_who_wait_their_turn_and_hang_up_wait_no_longer_and_hold_up_no_stop() {
    let mut server = server_of_much_to_read(&[]);
    let mut bob = server.login("bob");
    let channel = bob.general();
    let mut askers = thirty_who_do_not_read(&server, channel);
    // By now there is no room; most of them wait for it, and for nobody to be cut off yet.
    thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    askers.drain(10..).for_each(|asker| asker.tls.reset());
    server.wait_for_client_threads(1 + 10);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(server.stop("TERM"), Some(0));
}

#[test]
fn one_who_reads_slowly_but_steadily_is_not_cut_off_for_those_who_do_not() {
    let server = server_of_much_to_read(&["slow"]);
    let mut bob = server.login("bob");
    let channel = bob.general();
    let online = |bob: &mut Client| {
        let response = bob.must(json!({"command": "online"}));
        response["data"].as_array().unwrap().clone()
    };
    let alone = online(&mut bob);
    let mut slow = server.login("slow");
    let slow_id = online(&mut bob).into_iter().find(|id| !alone.contains(id)).unwrap();
    slow.tls.hold(16 << 10);
    slow.send(json!({"command": "history", "channel": channel, "num": 500}));
    let _askers = thirty_who_do_not_read(&server, channel);
    let begun = Instant::now();
    let mut taken_bytes = 0;
    // Until somebody is cut off, whenever the server has made as much as may wait.
    while begun.elapsed() < Duration::from_millis(8500)
        || count_logged(&server, NO_READER) == 0 && begun.elapsed() < DEADLINE
    {
        taken_bytes += slow.tls.read_beneath(2 << 10).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    println!("{taken_bytes} bytes; {} are cut off", count_logged(&server, NO_READER));
    assert!(taken_bytes > 80 << 10, "only {taken_bytes} bytes came");
    assert!(count_logged(&server, NO_READER) > 0, "nobody is cut off");
    assert!(online(&mut bob).contains(&slow_id), "the slow one is cut off");
}

/// Writes a byte to each again and again, for so long.
fn trickle(clients: &mut [Vec<Trickling>], duration: Duration) {
    let until = Instant::now() + duration;
    while Instant::now() < until {
        for client in clients.iter_mut().flatten() {
            // Those that are closed already are read from later.
            client.write_more();
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A client that never gets to the end of what it says.
enum Trickling {
    Handshake(TcpStream, std::vec::IntoIter<u8>),
    Tls(Box<Tls>, Vec<u8>),
}

impl Trickling {
    fn write_more(&mut self) {
        match self {
            Self::Handshake(socket, hello) => {
                _ = hello.next().map(|byte| socket.write_all(&[byte]));
            }
            Self::Tls(tls, more) => drop(tls.try_write(more)),
        }
    }

    /// Whether the server has closed it.
    fn is_closed(&mut self) -> bool {
        match self {
            Self::Handshake(socket, _) => {
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                // The alert, then the end, in whatever way.
                let ended = socket.read_to_end(&mut Vec::new());
                ended.map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true)
            }
            Self::Tls(tls, _) => {
                while tls.fill().unwrap() {}
                tls.end.is_some()
            }
        }
    }
}

/// The beginning of a TLS connection, as a client writes it.
fn client_hello() -> Vec<u8> {
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    let mut hello = Vec::new();
    ClientConnection::new(config(), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn two_hundred_of_each_kind_that_never_ends_are_cut_off_and_hold_up_nobody() {
    const EACH: usize = 200;
    let limits = json!({"handshake_timeout_s": 2, "login_timeout_s": 4});
    let server = Server::configured(json!({"limits": limits}));
    let mut alice = server.member("alice");
    let channel = alice.general();
    let begun = Instant::now();
    let address = server.address;
    // What each says first, and then again and again.
    let frame = [websocket::UPGRADE.as_bytes(), &websocket::frame(TEXT, b"{")].concat();
    let kinds: [(&[u8], Vec<u8>); 3] = [
        (b"{\"command\":\"ping\",\"x\":\"", b"x".to_vec()),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x".to_vec()),
        (&frame, websocket::frame(CONTINUATION, b" ")),
    ];
    let hello = client_hello();
    thread::scope(|scope| {
        let handshakes = scope.spawn(|| {
            let connect = || TcpStream::connect(address).unwrap();
            (0..EACH).map(|_| Trickling::Handshake(connect(), hello.clone().into_iter())).collect()
        });
        let others = kinds.map(|(first, more)| {
            scope.spawn(move || {
                let connect = || {
                    let mut tls = Tls::connect(address);
                    tls.try_write(first).ok();
                    Trickling::Tls(Box::new(tls), more.clone())
                };
                (0..EACH).map(|_| connect()).collect::<Vec<_>>()
            })
        });
        let mut clients = vec![handshakes.join().unwrap()];
        clients.extend(others.into_iter().map(|others| others.join().unwrap()));
        println!("{} connections in {:?}", 4 * EACH, begun.elapsed());
        let trickling = scope.spawn(move || {
            trickle(&mut clients, Duration::from_secs(4));
            assert!(clients.iter_mut().flatten().all(Trickling::is_closed));
        });
        let mut slowest = Duration::ZERO;
        while !trickling.is_finished() {
            let asked = Instant::now();
            alice.say(channel, "hello");
            slowest = slowest.max(asked.elapsed());
            alice.record.forget_packets();
        }
        trickling.join().unwrap();
        println!("all cut off within {:?}; {slowest:?} at most for another", begun.elapsed());
    });
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    wait_until("only alice is left", || {
        server.threads_and_files().is_none_or(|[_, files]| files < 2 * EACH)
    });
    server.wait_for_client_threads(1);
    alice.must(json!({"command": "ping"}));
}

#[test]
fn three_thousand_who_come_and_go_leave_nothing_behind() {
    const ROUNDS: usize = 30;
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let [alice, bob] = ["alice", "bob"].map(|name| world.member(name));
    drop(world);
    let server = Server::start_in(folder, json!({"limits": {"max_connections": 1000}}));
    let mut alice_client = server.login("alice");
    server.login("bob").leave().unwrap();
    let hello = client_hello();
    let come_and_go = |rounds: usize| {
        for _ in 0..rounds {
            // Each of these is over before it began, ends half way, or is reset.
            let sockets: Vec<TcpStream> =
                (0..90).map(|_| TcpStream::connect(server.address).unwrap()).collect();
            for (number, mut socket) in sockets.into_iter().enumerate() {
                match number % 3 {
                    0 => {}
                    1 => _ = socket.write_all(&hello[..hello.len() / 2]),
                    _ => set_socket_linger(&socket, Some(Duration::ZERO)).unwrap(),
                }
            }
            let mut tls: Vec<Tls> = (0..8).map(|_| Tls::connect(server.address)).collect();
            tls[0].write(b"{\"command\":\"ping\"}\n{\"comm");
            tls[1].write(b"GET / HT");
            tls[2].write(&[websocket::UPGRADE.as_bytes(), &websocket::frame(TEXT, b"{")].concat());
            tls.drain(..4).for_each(Tls::reset);
            // One who was online is dropped, and another reset.
            drop(server.login("bob"));
            server.login("bob").tls.reset();
        }
    };
    let settle = || {
        server.wait_for_client_threads(1);
        (server.threads_and_files(), server.memory_kib("VmRSS"))
    };
    come_and_go(2);
    let (before, before_kib) = settle();
    come_and_go(ROUNDS);
    let (after, after_kib) = settle();
    assert_eq!(after, before);
    if let (Some(before), Some(after)) = (before_kib, after_kib) {
        println!("{} connections: {before} KiB before, {after} after", 100 * ROUNDS);
        assert!(after < before + (8 << 10), "{before} KiB before, {after} after");
    }
    let online = |client: &mut Client| client.must(json!({"command": "online"}))["data"].clone();
    assert_eq!(online(&mut alice_client), json!([alice]));
    let mut bob_client = server.login("bob");
    assert_eq!(online(&mut bob_client), json!([bob, alice]));
    bob_client.leave().unwrap();
    assert_eq!(online(&mut alice_client), json!([alice]));
}

#[test]
fn a_storm_of_logins_right_and_wrong_takes_the_gates_share_of_memory() {
    const LOGINS: usize = 200;
    const HASHES: u64 = 2;
    let server = Server::configured(json!({"limits": {"max_password_hashes": HASHES}}));
    let mut alice = server.member("alice");
    let mut stormers: Vec<Client> =
        (0..LOGINS).map(|_| server.connect("stormer", Framing::Lines)).collect();
    stormers.iter_mut().for_each(|client| _ = client.must(json!({"command": "ping"})));
    let before_kib = server.memory_kib("VmRSS");
    let requests = stormers.iter_mut().enumerate().map(|(number, client)| {
        let password = ["alice", "wrong"][number % 2];
        client.send(json!({"command": "login", "uname": "alice", "passwd": password}))
    });
    let labels: Vec<String> = requests.collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let asked = Instant::now();
        alice.must(json!({"command": "ping"}));
        slowest = slowest.max(asked.elapsed());
    }
    for (number, (client, label)) in stormers.iter_mut().zip(&labels).enumerate() {
        client.set_deadline(3 * DEADLINE);
        assert_eq!(client.answer(label)["status"], [200, 403][number % 2]);
    }
    if let (Some(before), Some(peak)) = (before_kib, server.memory_kib("VmHWM")) {
        println!("{LOGINS} logins: {} KiB; a ping took {slowest:?} at most", peak - before);
        // One block to hash in was there already.
        assert!(peak - before < HASHES * 19 * 1024 + LOGINS as u64 * 64, "{}", peak - before);
    }
}

#[test]
fn one_who_reads_the_log_too_slowly_holds_up_nobody() {
    let folder = Folder::prepared();
    folder.write("config.json", r#"{"addr":"127.0.0.1","port":0}"#);
    // Each refusal is a line of 3,000 bytes in the log.
    let database = rusqlite::Connection::open(folder.path().join("aster.db")).unwrap();
    let fault = format!(
        "CREATE TRIGGER fault AFTER INSERT ON messages BEGIN SELECT RAISE(ABORT, '{}'); END",
        "x".repeat(3000)
    );
    database.execute_batch(&fault).unwrap();
    drop(database);
    let mut process = command(&folder, &[]).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server did not start");
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.trim().parse().unwrap();
        }
    };
    // Two such lines fill it. Not before: one line that was not read yet fills it then, and the
    // line that this test waits for would be dropped.
    fcntl_setpipe_size(log.get_ref(), 4096).unwrap();
    let mut alice = Client::connect(address, "alice", Framing::Lines, &Arc::default());
    alice.enter("register");
    let channel = alice.general();
    // More than the pipe holds, which nobody reads.
    for _ in 0..300 {
        let send = json!({"command": "send", "channel": channel, "content": "x"});
        assert_eq!(alice.ask(send)["status"], 500);
    }
    alice.must(json!({"command": "get_metadata"}));
    rustix::process::kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    wait_until("it ends", || process.try_wait().unwrap().is_some());
    let mut left = String::new();
    log.read_to_string(&mut left).unwrap();
    assert!(left.lines().all(|line| line.len() > 3000), "a line is not whole");
    assert!((1..5).contains(&left.lines().count()), "{} lines", left.lines().count());
}
