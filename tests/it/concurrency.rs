//! Many at once: one wins a race, and all see one order.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// Runs `work` for every client at once, each in a thread of its own.
fn at_once<T: Send>(clients: &mut [Client], work: impl Fn(&mut Client) -> T + Sync) -> Vec<T> {
    let (barrier, work) = (&Barrier::new(clients.len()), &work);
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    barrier.wait();
                    work(client)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A server with so many members, all logged in, half over each framing.
fn crowd(count: usize) -> (Server, Vec<Client>) {
    let folder = Folder::prepared();
    let names: Vec<String> = (0..count).map(|number| format!("member{number}")).collect();
    let mut world = World::open(&folder);
    names.iter().for_each(|name| _ = world.member(name));
    drop(world);
    let server = Server::start_in(folder, json!({}));
    let framings = [Framing::Lines, Framing::WebSocket].into_iter().cycle();
    let mut clients: Vec<Client> =
        names.iter().zip(framings).map(|(name, framing)| server.connect(name, framing)).collect();
    at_once(&mut clients, |client| client.enter("login"));
    (server, clients)
}

/// What the next so many events say about `field`.
fn read_events(client: &mut Client, count: usize, field: &str) -> Vec<Value> {
    (0..count).map(|_| client.next_event().unwrap()[field].clone()).collect()
}

#[test]
fn of_twelve_registrations_of_one_name_one_succeeds() {
    let server = Server::start();
    let mut clients: Vec<Client> =
        (0..12).map(|_| server.connect("alice", Framing::Lines)).collect();
    let request = json!({"command": "register", "uname": "alice", "passwd": "alice"});
    let responses = at_once(&mut clients, |client| client.ask(request.clone()));
    let with = |status: i64| responses.iter().filter(move |response| response["status"] == status);
    assert_eq!((with(200).count(), with(409).count()), (1, 11));
    let winner = with(200).next().unwrap()["uuid"].as_i64();
    assert_eq!(Some(server.connect("alice", Framing::Lines).enter("login")), winner);
}

#[test]
fn twenty_clients_see_one_order_and_it_is_that_of_history() {
    const EACH: usize = 50;
    let (_server, mut clients) = crowd(20);
    let count = clients.len() * EACH;
    let channel = clients[0].general();
    let sent = at_once(&mut clients, |client| {
        let sent: Vec<i64> = (0..EACH).map(|n| client.say(channel, &n.to_string())).collect();
        sent
    });
    let seen = at_once(&mut clients, |client| read_events(client, count, "uuid"));

    let mut history = clients[0].history(channel, 500);
    let older = clients[0].must(json!({"command": "history", "channel": channel, "num": 500, "before_message": history[0]["uuid"]}));
    history.splice(0..0, older["data"].as_array().unwrap().iter().cloned());
    let order: Vec<Value> = history.iter().map(|message| message["uuid"].clone()).collect();
    assert_eq!(order.len(), count);
    assert!(seen.iter().all(|uuids| *uuids == order), "the orders differ");
    for own in sent {
        let mut places = own.iter().map(|uuid| order.iter().position(|other| other == uuid));
        assert!(places.all(|place| place.is_some()), "a message is not in history");
        assert!(own.iter().map(|uuid| order.iter().position(|other| other == uuid)).is_sorted());
    }
}

/// Requests that go out together, more of them than are under way at once; between the messages
/// are those that are refused, by the handler or before it, and those that look at what was said.
#[test]
fn requests_sent_ahead_of_the_answers_are_carried_out_and_answered_in_their_order() {
    for framing in [Framing::Lines, Framing::WebSocket] {
        let server = Server::start();
        let mut alice = server.connect("alice", framing);
        alice.enter("register");
        let channel = alice.general();
        let said = |number: usize| json!({"command": "send", "channel": channel, "content": number.to_string()});
        let requests: Vec<Value> = (0..120)
            .map(|number| match number % 20 {
                5 => json!({"command": "send", "channel": channel + 1, "content": "nowhere"}),
                9 => json!({"command": "send", "channel": channel}),
                13 => json!({"command": "history", "channel": channel, "num": 1}),
                17 => json!({"command": "ping"}),
                _ => said(number),
            })
            .collect();
        let labels = alice.send_all(requests);
        let responses: Vec<Value> = labels.iter().map(|_| alice.next_response().unwrap()).collect();
        let mut last = Value::Null;
        for (number, response) in responses.iter().enumerate() {
            assert_eq!(response["label"], labels[number], "{response}");
            let status = match number % 20 {
                5 => 404,
                9 => 400,
                _ => 200,
            };
            assert_eq!(response["status"], status, "{number}: {response}");
            match number % 20 {
                13 => assert_eq!(response["data"][0]["uuid"], last, "{response}"),
                _ if response["message"].is_i64() => last = response["message"].clone(),
                _ => {}
            }
        }
        let history = alice.history(channel, 500);
        let texts: Vec<&str> = history.iter().map(|it| it["content"].as_str().unwrap()).collect();
        let sent = (0..120).filter(|number| ![5, 9, 13, 17].contains(&(number % 20)));
        assert_eq!(texts, sent.map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn a_stop_amid_requests_sent_ahead_answers_what_it_stored_and_stores_what_it_answered() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    let said = |number: usize| json!({"command": "send", "channel": channel, "content": number.to_string()});
    let labels = alice.send_all((0..2000).map(said).collect());
    alice.answer(&labels[0]);
    assert_eq!(server.stop("TERM"), Some(0));
    let mut answered = 1;
    while let Ok(response) = alice.next_response() {
        assert_eq!(response["label"], labels[answered]);
        answered += 1;
    }
    server.start_again();
    let mut alice = server.login("alice");
    let stored = alice.history(channel, 500);
    assert_eq!(stored.last().unwrap()["content"], (answered - 1).to_string());
}

#[test]
fn who_logs_in_amid_messages_misses_none_between_history_and_events() {
    const MESSAGES: usize = 300;
    let server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    server.member("bob").leave().unwrap();
    let all_are_there = Barrier::new(5);
    let (sent, seen) = thread::scope(|scope| {
        let join = || {
            let mut bob = server.login("bob");
            let mut seen: Vec<Value> =
                bob.history(channel, 500).iter().map(|message| message["uuid"].clone()).collect();
            all_are_there.wait();
            loop {
                let event = bob.next_event().unwrap();
                // What was committed between login and history comes twice.
                if !seen.contains(&event["uuid"]) {
                    seen.push(event["uuid"].clone());
                }
                if event["content"] == "last" {
                    return seen;
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(join)).collect();
        let mut sent: Vec<i64> =
            (1..MESSAGES).map(|n| alice.say(channel, &n.to_string())).collect();
        all_are_there.wait();
        sent.push(alice.say(channel, "last"));
        (sent, threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>())
    });
    assert!(seen.iter().all(|uuids| json!(uuids) == json!(sent)), "something is missing");
}

#[test]
fn edits_of_one_message_are_seen_in_one_order_and_the_last_one_stays() {
    const EACH: usize = 20;
    let server = Server::start();
    let mut clients = vec![server.member("alice")];
    clients.extend((0..3).map(|_| server.login("alice")));
    let channel = clients[0].general();
    let message = clients[0].say(channel, "first");
    clients.iter_mut().for_each(|client| _ = read_events(client, 1, "uuid"));
    let count = clients.len() * EACH;
    let seen = at_once(&mut clients, |client| {
        for n in 0..EACH {
            let content = format!("{:?} {n}", thread::current().id());
            client.must(json!({"command": "edit", "message": message, "new_content": content}));
        }
        read_events(client, count, "new_content")
    });
    assert!(seen.iter().all(|contents| *contents == seen[0]), "the orders differ");
    assert_eq!(clients[0].history(channel, 1)[0]["content"], seen[0][count - 1]);
}

#[test]
fn a_list_of_members_is_never_older_than_what_its_asker_was_answered() {
    let (_server, mut clients) = crowd(12);
    let uuids: Vec<i64> = clients[0].must(json!({"command": "online"}))["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|uuid| uuid.as_i64().unwrap())
        .collect();
    assert_eq!(uuids.len(), clients.len());
    let last = at_once(&mut clients, |client| {
        let mut name = String::new();
        for n in 0..25 {
            name = format!("{n} {:?}", thread::current().id());
            client.must(json!({"command": "nick", "nick": name}));
            let list = client.must(json!({"command": "get_metadata"}));
            let users = list["data"].as_array().unwrap();
            assert_eq!(users.len(), uuids.len());
            assert!(users.iter().any(|user| user["name"] == *name), "{name} is not in {list}");
        }
        name
    });
    let list = clients[0].must(json!({"command": "get_metadata"}));
    let names: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect();
    assert!(last.iter().all(|name| names.contains(&name.as_str())));
}

#[test]
fn a_nonce_retried_at_once_stores_one_message() {
    let server = Server::start();
    let mut clients = vec![server.member("alice")];
    clients.extend((0..5).map(|_| server.login("alice")));
    let channel = clients[0].general();
    let request = json!({"command": "send", "channel": channel, "content": "once", "nonce": "n"});
    let responses = at_once(&mut clients, |client| client.must(request.clone()));
    assert!(responses.iter().all(|response| response["message"] == responses[0]["message"]));
    assert_eq!(clients[0].history(channel, 9).len(), 1);
    for mut client in clients {
        assert_eq!(client.next_event().unwrap()["uuid"], responses[0]["message"]);
        client.leave().unwrap();
        assert!(client.events.is_empty(), "told twice");
    }
}
