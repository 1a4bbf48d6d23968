//! A change of permission takes effect at one point of a channel's order (protocol section 5),
//! however fast others talk.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::client::{Client, Framing};
use crate::support::record::Record;
use crate::support::server::{Folder, Server};
use crate::support::world::World;

/// How often rights are taken or given; each of the two readers goes through four steps again
/// and again, and ends with the rights that they began with.
const TOGGLES: usize = 1000;
/// How many messages others must have got in before the next.
const MESSAGES_BETWEEN: usize = 4;
/// How many requests a talker has under way.
const IN_FLIGHT: usize = 8;
const LAST_WORDS: &str = "that was all";

const READ: [u8; 3] = [0, 0b01_0000, 0];
const VIEW: [u8; 3] = [0, 0, 0b0100];
const BOTH: [u8; 3] = [0, 0b01_0000, 0b0100];
const NEITHER: [u8; 3] = [0, 0b10_0000, 0b1000];
const READ_BUT_NOT_VIEW: [u8; 3] = [0, 0b01_0000, 0b1000];

/// A right taken or given between two messages of the owner, which bound its place in history.
struct Toggle {
    before: i64,
    after: i64,
    gives: bool,
}

/// A channel that only some may read: one by an override for themself, one by groups.
struct Place {
    server: Server,
    channel: i64,
    names: BTreeMap<String, Value>,
}

impl Place {
    fn set_up() -> (Self, Client) {
        let folder = Folder::prepared_in_memory();
        let mut world = World::open(&folder);
        let owners = world.owners();
        world.join("owner", owners);
        for (group, members) in
            [("talkers", &["ann", "ben"][..]), ("readers", &["grouped"]), ("viewers", &["grouped"])]
        {
            let uuid = world.group(group);
            members.iter().for_each(|member| world.join(member, uuid));
        }
        world.member("solo");
        let names = world.names.clone();
        drop(world);
        let server = Server::start_in(folder, json!({}));
        let mut place = Self { server, channel: 0, names };
        let mut owner = place.enter("owner", Framing::Lines);
        // By the base, nobody reads anywhere; by its override, nobody sees this channel.
        owner.must(json!({"command": "set_base_permissions", "permissions": [0xaa, 0xa6, 0x05]}));
        let map = place.overrides(BOTH);
        let request = json!({"command": "create_channel", "name": "stream", "permissions": map});
        place.channel = owner.must(request)["uuid"].as_i64().unwrap();
        (place, owner)
    }

    /// A connection without a part in the server's record, which would be too long.
    fn enter(&self, name: &str, framing: Framing) -> Client {
        let record = Arc::new(Record::default());
        let mut client = Client::connect(self.server.address, name, framing, &record);
        client.enter("login");
        client
    }

    fn overrides(&self, of_solo: [u8; 3]) -> Value {
        let names = &self.names;
        json!({
            "group:0": NEITHER,
            format!("group:{}", names["talkers"]): VIEW,
            format!("group:{}", names["readers"]): READ,
            format!("group:{}", names["viewers"]): VIEW,
            format!("user:{}", names["solo"]): of_solo,
        })
    }

    /// The command for one step with solo: to read is taken and given, to view is taken and
    /// given.
    fn toggle_solo(&self, step: usize) -> Value {
        let rights = [VIEW, BOTH, READ_BUT_NOT_VIEW, BOTH][step % 4];
        json!({"command": "update_channel", "uuid": self.channel,
            "permissions": self.overrides(rights)})
    }

    /// The same by taking the other reader out of the group that may, and into it.
    fn toggle_grouped(&self, step: usize) -> Value {
        let (readers, viewers) = (&self.names["readers"], &self.names["viewers"]);
        let groups = [json!([viewers]), json!([readers, viewers]), json!([readers])];
        json!({"command": "update_user_groups", "user": self.names["grouped"],
            "groups": groups[[0, 1, 2, 1][step % 4]]})
    }

    fn send(&self, content: &str) -> Value {
        json!({"command": "send", "channel": self.channel, "content": content})
    }

    /// Sends as fast as the server takes it, until told to stop.
    fn talk(&self, client: &mut Client, stop: &AtomicBool) {
        let mut labels = VecDeque::new();
        while !stop.load(Ordering::Relaxed) {
            let missing = IN_FLIGHT - labels.len();
            labels.extend(client.send_all(vec![self.send("and another thing"); missing]));
            for label in labels.drain(..IN_FLIGHT / 2) {
                assert_eq!(client.answer(&label)["status"], 200);
            }
            client.events.clear();
            client.record.forget();
        }
        labels.iter().for_each(|label| assert_eq!(client.answer(label)["status"], 200));
    }

    /// Takes and gives, each between two messages of the owner, and never before others had
    /// their say since the last of these.
    fn toggle(&self, owner: &mut Client, start: i64) -> [Vec<Toggle>; 2] {
        let mut toggles = [vec![], vec![]];
        let mut last_own = start;
        for count in 0..TOGGLES {
            while owner.next_event().unwrap()["uuid"] != last_own {}
            let mut heard = 0;
            while heard < MESSAGES_BETWEEN {
                heard += usize::from(owner.next_event().unwrap()["command"] == "content");
            }
            owner.record.forget();
            let (whose, step) = (count % 2, count / 2);
            let command = match whose {
                0 => self.toggle_solo(step),
                _ => self.toggle_grouped(step),
            };
            let labels =
                owner.send_all(vec![self.send("before"), command.clone(), self.send("after")]);
            let answers: Vec<Value> = labels.iter().map(|label| owner.answer(label)).collect();
            let sent = |answer: &Value| answer["message"].as_i64().expect("a message's uuid");
            assert_eq!(answers[1]["status"], 200, "{command}");
            let (before, after) = (sent(&answers[0]), sent(&answers[2]));
            last_own = after;
            toggles[whose].push(Toggle { before, after, gives: step % 2 == 1 });
        }
        toggles
    }

    /// All that was said from a message on.
    fn history(&self, owner: &mut Client, first: i64) -> Vec<i64> {
        let mut all = vec![first];
        loop {
            let page = owner.must(json!({"command": "history", "channel": self.channel,
                "num": 500, "after_message": all[all.len() - 1]}));
            let page = page["data"].as_array().unwrap();
            all.extend(page.iter().map(|message| message["uuid"].as_i64().unwrap()));
            if page.len() < 500 {
                return all;
            }
        }
    }
}

/// Ends the talk also when the test fails.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The messages that come to a connection, in the order in which they come, to the last words.
fn listen(client: &mut Client) -> Vec<i64> {
    let mut heard = vec![];
    loop {
        let event = client.next_event().unwrap();
        client.record.forget();
        if event["command"] == "content" {
            heard.push(event["uuid"].as_i64().unwrap());
            if event["content"] == LAST_WORDS {
                client.leave().unwrap();
                assert!(client.events.is_empty(), "something came after the last words");
                return heard;
            }
        }
    }
}

/// Whether a connection heard, in the order of history and each once, what was said while its
/// member had the right, from the beginning on, and nothing else. While a right was on its way
/// some may have been heard: the first ones if it was taken, the last ones if it was given.
fn check(history: &[i64], heard: &[i64], toggles: &[Toggle]) -> Result<(), String> {
    let places: HashMap<i64, usize> =
        history.iter().enumerate().map(|(place, message)| (*message, place)).collect();
    let heard_places: Option<Vec<usize>> =
        heard.iter().map(|message| places.get(message).copied()).collect();
    let heard_places = heard_places.ok_or("a message that is not in history was heard")?;
    if let Some(pair) = heard_places.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("heard out of order or twice: the messages at {pair:?}"));
    }
    let heard: HashSet<usize> = heard_places.into_iter().collect();
    let expect = |from: usize, to: usize, may: bool| match (from..to)
        .find(|place| heard.contains(place) != may)
    {
        Some(place) if may => Err(format!("the message at {place} was missed")),
        Some(place) => Err(format!("the message at {place} was heard without the right to")),
        None => Ok(()),
    };
    let (mut from, mut may) = (0, true);
    for toggle in toggles {
        let (before, after) = (places[&toggle.before], places[&toggle.after]);
        expect(from, before + 1, may)?;
        assert_ne!(toggle.gives, may, "nothing is given or taken");
        let turn = (before + 1..after).find(|place| heard.contains(place) == toggle.gives);
        let turn = turn.unwrap_or(after);
        may = toggle.gives;
        expect(turn, after, may).map_err(|problem| format!("{problem}, amid the change"))?;
        from = after;
    }
    expect(from, history.len(), may)
}

#[test]
fn amid_a_stream_of_messages_a_right_ends_and_begins_at_one_point() {
    let (place, mut owner) = Place::set_up();
    let mut listeners =
        [place.enter("solo", Framing::Lines), place.enter("grouped", Framing::WebSocket)];
    let mut talkers = [place.enter("ann", Framing::Lines), place.enter("ben", Framing::Lines)];
    let start = owner.say(place.channel, "start");
    let stop = AtomicBool::new(false);
    let (toggles, heard) = thread::scope(|scope| {
        let listeners = listeners.each_mut().map(|client| scope.spawn(|| listen(client)));
        let talkers = talkers.each_mut().map(|client| scope.spawn(|| place.talk(client, &stop)));
        let ends = StopWhenDropped(&stop);
        let toggles = place.toggle(&mut owner, start);
        drop(ends);
        talkers.into_iter().for_each(|talker| talker.join().unwrap());
        owner.say(place.channel, LAST_WORDS);
        (toggles, listeners.map(|listener| listener.join().unwrap()))
    });
    let history = place.history(&mut owner, start);
    for ((name, heard), toggles) in ["solo", "grouped"].iter().zip(&heard).zip(&toggles) {
        check(&history, heard, toggles).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    }

    // Without the owner's own.
    let talked = history.len() - 2 - 2 * TOGGLES;
    let places: HashMap<i64, usize> =
        history.iter().enumerate().map(|(place, message)| (*message, place)).collect();
    let amid =
        toggles.iter().flatten().map(|toggle| places[&toggle.after] - places[&toggle.before] - 1);
    let (amid, busy) =
        amid.fold((0, 0), |(sum, busy), count| (sum + count, busy + usize::from(count > 0)));
    println!("{talked} messages, {amid} of them amid {busy} of {TOGGLES} changes");
    assert!(talked >= MESSAGES_BETWEEN * TOGGLES, "too few messages to prove anything");
    assert!(busy >= TOGGLES / 10, "too few changes had messages amid them");
}

#[test]
fn the_check_finds_what_was_missed_overheard_doubled_or_swapped() {
    // Said by the owner: 20 and 40, 60 and 80. Taken between the first two, given between the
    // others.
    let history: Vec<i64> = (1..=9).map(|place| place * 10).collect();
    let toggles = [
        Toggle { before: 20, after: 40, gives: false },
        Toggle { before: 60, after: 80, gives: true },
    ];
    let outcome = |heard: &[i64]| check(&history, heard, &toggles);
    for right in [
        &[10, 20, 30, 70, 80, 90][..],
        &[10, 20, 30, 80, 90],
        &[10, 20, 70, 80, 90],
        &[10, 20, 80, 90],
    ] {
        assert_eq!(outcome(right), Ok(()));
    }
    for (wrong, words) in [
        (&[10, 30, 80, 90][..], "the message at 1 was missed"),
        (&[10, 20, 80], "the message at 8 was missed"),
        (&[10, 20, 90], "the message at 7 was missed"),
        (&[10, 20, 40, 80, 90], "the message at 3 was heard without the right to"),
        (&[10, 20, 60, 80, 90], "the message at 5 was heard without the right to"),
        (&[10, 20, 20, 80, 90], "heard out of order or twice: the messages at [1, 1]"),
        (&[20, 10, 80, 90], "heard out of order or twice: the messages at [1, 0]"),
        (&[10, 20, 80, 90, 95], "a message that is not in history was heard"),
    ] {
        assert_eq!(outcome(wrong), Err(words.to_owned()));
    }
    let wide = [Toggle { before: 20, after: 60, gives: false }];
    let amid = |heard: &[i64]| check(&history, heard, &wide);
    assert_eq!(amid(&[10, 20, 30, 40]), Ok(()));
    let words = "the message at 3 was heard without the right to, amid the change";
    assert_eq!(amid(&[10, 20, 30, 40][1..]), Err("the message at 0 was missed".to_owned()));
    assert_eq!(amid(&[10, 20, 40]), Err(words.to_owned()));
    let wide = [
        Toggle { before: 10, after: 20, gives: false },
        Toggle { before: 30, after: 70, gives: true },
    ];
    let words = "the message at 4 was missed, amid the change";
    let heard = [10, 40, 60, 70, 80, 90];
    assert_eq!(check(&history, &heard, &wide), Err(words.to_owned()));
}
