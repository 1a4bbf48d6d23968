//! What was answered 200 is there, in order, however the server ended.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Folder, Server};
use crate::support::tls::End;
use crate::support::world::World;

/// Sends until the connection ends, telling of each answer. Gives the contents that were
/// answered 200, and how the connection ended.
fn send_until_the_end(
    client: &mut Client,
    channel: i64,
    answered: &mpsc::Sender<()>,
) -> (Vec<String>, End) {
    let mut sent = Vec::new();
    for number in 0.. {
        let content = format!("{} {number}", client.name);
        let request = json!({"command": "send", "channel": channel, "content": content});
        let bytes = format!("{request}\n").into_bytes();
        if client.tls.try_write(&bytes).is_err() {
            break;
        }
        match client.next_response() {
            Ok(response) => assert_eq!(response["status"], 200, "{response}"),
            Err(_) => break,
        }
        sent.push(content);
        answered.send(()).unwrap();
    }
    client.drain().unwrap();
    (sent, client.tls.end.unwrap())
}

/// Everything in a channel, paging from the oldest on.
pub(crate) fn whole_history(client: &mut Client, channel: i64) -> Vec<Value> {
    let mut history: Vec<Value> = Vec::new();
    let newest = client.history(channel, 1).remove(0);
    let mut page = vec![newest];
    while !page.is_empty() {
        history.splice(0..0, page);
        let request = json!({"command": "history", "channel": channel, "num": 500, "before_message": history[0]["uuid"]});
        page = client.must(request)["data"].as_array_mut().unwrap().drain(..).collect();
    }
    history
}

/// Three members send as fast as they can while the server is stopped. Gives what each was
/// answered, what each has in history afterwards, and how each connection ended.
fn stop_while_sending(signal: &str) -> Vec<(Vec<String>, Vec<String>, End)> {
    let folder = Folder::prepared();
    let mut world = World::open(&folder);
    let members = ["alice", "bob", "carol"].map(|name| (name, world.member(name)));
    drop(world);
    let mut server = Server::start_in(folder, json!({}));
    let mut clients: Vec<Client> = members.iter().map(|(name, _)| server.login(name)).collect();
    let channel = clients[0].general();
    let answered = thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let sender = sender.clone();
                scope.spawn(move || send_until_the_end(client, channel, &sender))
            })
            .collect();
        assert_eq!(receiver.iter().take(150).count(), 150);
        server.stop(signal);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    server.start_again();
    let mut stored: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for message in whole_history(&mut server.login("alice"), channel) {
        let contents = stored.entry(message["author_uuid"].as_i64().unwrap()).or_default();
        contents.push(message["content"].as_str().unwrap().to_owned());
    }
    let of = |(answered, (_, uuid)): ((Vec<String>, End), &(_, i64))| {
        (answered.0, stored[uuid].clone(), answered.1)
    };
    answered.into_iter().zip(&members).map(of).collect()
}

#[test]
fn everything_answered_is_there_after_a_kill() {
    for (answered, stored, _) in stop_while_sending("KILL") {
        assert!(stored.starts_with(&answered), "answered {answered:?}\nbut stored {stored:?}");
        assert!(stored.len() <= answered.len() + 1, "more was stored than was sent");
    }
}

#[test]
fn everything_stored_was_answered_before_an_orderly_stop() {
    for (answered, stored, end) in stop_while_sending("TERM") {
        assert_eq!(answered, stored);
        assert_eq!(end, End::CloseNotify);
    }
}

#[test]
fn names_and_history_pages_survive_many_crashes() {
    let mut server = Server::start();
    let mut alice = server.member("alice");
    let channel = alice.general();
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(alice.say(channel, &number.to_string()));
        server.restart("KILL");
        alice = server.login("alice");
    }
    let uuids: Vec<_> =
        whole_history(&mut alice, channel).iter().map(|m| m["uuid"].as_i64()).collect();
    assert_eq!(uuids, sent.into_iter().map(Some).collect::<Vec<_>>());
}
