//! Conversations as tests. A transcript is a text like this:
//!
//! ```text
//! # A sentence that says what is shown.
//! alice and bob log in
//!
//! alice> {"command":"send","channel":"$general","content":"Kettle is on."}
//! alice< {"command":"send","status":200,"message":"$m"}
//! bob!   {"command":"content","status":200,"uuid":"$m","date":"*", ...}
//! ```
//!
//! A `#` line opens a transcript. `>` sends a request, `>>` sends text as it stands, `<` expects
//! a response, `!` expects an event. `"*"` stands for any value. `"$m"` takes whatever value is
//! there at its first use and stands for that value from then on; also inside the name of a
//! field. Known from the start are the members, channels, groups, emoji and messages that the
//! sentences above the first packet name, `$general`, and the pictures of `pictures.rs`. All other lines are
//! sentences: see `steps.rs`. What they want in the database is written before the server starts.
//!
//! *Strict:* every packet that comes must stand there, with exactly those fields, and what a
//! client is told of each kind must come in the order in which it stands. At the end every
//! client leaves and is read to the end of its stream; a leftover fails.
//!
//! *Exempt* are `online` events, because the server joins them as it finds time: an expected
//! one waits until that set of members comes, in whatever order, and others do no harm.
//!
//! The runner labels every request that has no label of its own, and so tells responses
//! from events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::client::{Client, Framing, same_set};
use super::server::{Folder, Server};
use super::steps::{self, Preparation, Step};
use super::tls::End;
use super::world::World;
use super::{DEADLINE, pictures};

/// One conversation.
#[derive(Debug)]
pub struct Transcript {
    pub file: String,
    pub title: String,
    lines: Vec<(usize, Line)>,
}

#[derive(Debug)]
enum Line {
    Step(Step),
    Request { client: String, packet: Value },
    Raw { client: String, text: String },
    Response { client: String, packet: Value },
    Event { client: String, packet: Value },
}

/// Reads a file of transcripts.
pub fn parse(file: &str, text: &str) -> Result<Vec<Transcript>, String> {
    let mut transcripts: Vec<Transcript> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(title) = line.strip_prefix('#') {
            if !title.starts_with(' ') {
                return Err(format!("{file}:{number}: a title or a sentence? {line}"));
            }
            match transcripts.last_mut() {
                Some(last) if last.lines.is_empty() => last.title.push_str(title),
                _ => transcripts.push(Transcript {
                    file: file.into(),
                    title: title.trim().into(),
                    lines: Vec::new(),
                }),
            }
        } else if !line.trim().is_empty() {
            let last = transcripts
                .last_mut()
                .ok_or(format!("{file}:{number}: a transcript begins with a # line"))?;
            let parsed =
                parse_line(line.trim()).map_err(|error| format!("{file}:{number}: {error}"))?;
            last.lines.extend(parsed.into_iter().map(|line| (number, line)));
        }
    }
    Ok(transcripts)
}

/// The transcripts of a Markdown file: its blocks marked `transcript`.
pub fn parse_document(file: &str, text: &str) -> Result<Vec<Transcript>, String> {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        // Every line stays where it is, so that an error names the right one.
        match line {
            "```transcript" => {
                inside = true;
                kept.push_str("# An example of the document.");
            }
            "```" => inside = false,
            _ if inside => kept.push_str(line),
            _ => {}
        }
        kept.push('\n');
    }
    parse(file, &kept)
}

fn parse_line(line: &str) -> Result<Vec<Line>, String> {
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let at = line.find(['>', '<', '!']);
    let Some((client, at)) = at.map(|at| (&line[..at], at)).filter(|(client, _)| is_name(client))
    else {
        return Ok(steps::parse(line)?.into_iter().map(Line::Step).collect());
    };
    let client = client.to_owned();
    if let Some(text) = line[at..].strip_prefix(">>") {
        return Ok(vec![Line::Raw { client, text: text.trim_start().to_owned() }]);
    }
    let packet =
        serde_json::from_str(&line[at + 1..]).map_err(|error| format!("no JSON: {error}"))?;
    Ok(vec![match line.as_bytes()[at] {
        b'>' => Line::Request { client, packet },
        b'<' => Line::Response { client, packet },
        _ => Line::Event { client, packet },
    }])
}

/// Every command that is sent, and every command and status that is expected of a response.
pub fn exercised(transcripts: &[Transcript]) -> (BTreeSet<String>, BTreeSet<(String, i64)>) {
    let (mut commands, mut statuses) = (BTreeSet::new(), BTreeSet::new());
    for (_, line) in transcripts.iter().flat_map(|transcript| &transcript.lines) {
        match line {
            Line::Request { packet, .. } => {
                commands.extend(packet["command"].as_str().map(str::to_owned))
            }
            Line::Response { packet, .. } => {
                let (command, status) = (packet["command"].as_str(), packet["status"].as_i64());
                statuses.extend(command.map(str::to_owned).zip(status));
            }
            Line::Step(_) | Line::Raw { .. } | Line::Event { .. } => {}
        }
    }
    (commands, statuses)
}

/// Carries out one transcript against a server of its own. The error says all there is to say.
pub fn run(transcript: &Transcript, framing: Framing, deadline: Duration) -> Result<(), String> {
    let mut run = Run::prepare(transcript, framing, deadline);
    let mut at = 0;
    let outcome = transcript.lines.iter().try_for_each(|(number, line)| {
        at = *number;
        run.line(line)
    });
    let outcome = outcome.and_then(|()| run.finish());
    outcome.map_err(|error| {
        let record = run.server.record.print();
        format!("{}:{at} ({framing:?}): {error}\n  {}\n{record}", transcript.file, transcript.title)
    })
}

/// A transcript at work.
struct Run {
    server: Server,
    framing: Framing,
    deadline: Duration,
    actors: BTreeMap<String, Actor>,
    bindings: BTreeMap<String, Value>,
    /// Whether a packet of the transcript was sent or expected.
    talking: bool,
}

/// A client and what it waits for.
struct Actor {
    client: Client,
    /// For every request without a response: the label that the runner gave it.
    waiting: VecDeque<Option<String>>,
    /// Whether it asked to leave.
    leaving: bool,
    /// Whether it was answered 200 to a login; until then there must be no `online` events.
    logged_in: bool,
}

impl Run {
    /// Writes what the transcript wants to find, and starts the server.
    fn prepare(transcript: &Transcript, framing: Framing, deadline: Duration) -> Self {
        let folder = Folder::prepared();
        let mut world = World::open(&folder);
        let mut config = json!({});
        for (_, line) in
            transcript.lines.iter().take_while(|(_, line)| matches!(line, Line::Step(_)))
        {
            let Line::Step(step) = line else { continue };
            let keys = match step {
                Step::Prepare(preparation) => preparation.carry_out(&mut world),
                Step::LogIn(names) => Preparation::Members(names.clone()).carry_out(&mut world),
                _ => None,
            };
            if let Some(Value::Object(keys)) = keys {
                config.as_object_mut().unwrap().extend(keys);
            }
        }
        let mut bindings = std::mem::take(&mut world.names);
        bindings.extend(
            pictures::all().into_iter().map(|(name, picture)| (name.into(), picture.into())),
        );
        drop(world);
        let server = Server::start_in(folder, config);
        Self { server, framing, deadline, actors: BTreeMap::new(), bindings, talking: false }
    }

    fn line(&mut self, line: &Line) -> Result<(), String> {
        self.talking |= !matches!(line, Line::Step(_));
        match line {
            Line::Step(step) => self.step(step),
            Line::Raw { client, text } => {
                let actor = self.actor(client)?;
                actor.waiting.push_back(None);
                actor.client.send_text(text);
                Ok(())
            }
            Line::Request { client, packet } => self.send(client, packet),
            Line::Response { client, packet } => self.respond(client, packet),
            Line::Event { client, packet } if packet["command"] == "online" => {
                self.expect_online(client, packet)
            }
            Line::Event { client, packet } => {
                let got = self
                    .actor(client)?
                    .client
                    .next_event()
                    .map_err(|error| format!("{error}: {packet}"))?;
                self.compare(packet, &got)
            }
        }
    }

    fn actor(&mut self, name: &str) -> Result<&mut Actor, String> {
        self.actors.get_mut(name).ok_or(format!("{name} is not connected"))
    }

    fn send(&mut self, client: &str, packet: &Value) -> Result<(), String> {
        let packet = fill_in(packet, &self.bindings)?;
        let actor = self.actor(client)?;
        actor.leaving |= packet["command"] == "leave";
        if packet.is_object() && packet.get("label").is_none() {
            let label = actor.client.send(packet);
            actor.waiting.push_back(Some(label));
        } else {
            actor.client.send_text(&packet.to_string());
            actor.waiting.push_back(None);
        }
        Ok(())
    }

    /// Expects the response to the oldest request without one.
    fn respond(&mut self, client: &str, packet: &Value) -> Result<(), String> {
        let actor = self.actor(client)?;
        let label = actor.waiting.pop_front().ok_or("there is no request without a response")?;
        let mut got = actor.client.next_response().map_err(|error| format!("{error}: {packet}"))?;
        if let Some(label) = label {
            let got_label = got.as_object_mut().and_then(|fields| fields.remove("label"));
            if got_label.as_ref() != Some(&Value::from(label.as_str())) {
                return Err(format!("the response's label is not {label}: {got_label:?} of {got}"));
            }
        }
        let enters = ["login", "register"].iter().any(|command| got["command"] == *command);
        actor.logged_in |= enters && got["status"] == 200;
        self.compare(packet, &got)
    }

    fn compare(&mut self, expected: &Value, got: &Value) -> Result<(), String> {
        compare(expected, got, &mut self.bindings, "")
            .map_err(|error| format!("{error}\n  expected {expected}\n  but got  {got}"))
    }

    /// Waits until the set of members that are online is the expected one.
    fn expect_online(&mut self, client: &str, packet: &Value) -> Result<(), String> {
        let expected = fill_in(packet, &self.bindings)?;
        let members = expected["data"].as_array().ok_or("an online event has a list of members")?;
        loop {
            let got = self
                .actor(client)?
                .client
                .next_online()
                .map_err(|error| format!("{error}: {packet}"))?;
            if same_set(&got["data"], members) {
                let data = got["data"].clone();
                return self.compare(&with(&expected, "data", data), &got);
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Prepare(_) if self.talking => {
                Err("this must come before the first packet".into())
            }
            Step::Prepare(_) => Ok(()),
            Step::LogIn(names) => names.iter().try_for_each(|name| self.log_in(name, name)),
            Step::LogInAgain { member, client } => self.log_in(member, client),
            Step::Connect(names) => names.iter().try_for_each(|name| self.connect(name)),
            Step::Leave(names) => names.iter().try_for_each(|name| self.end(name, Actor::leave)),
            Step::Ended(name) => {
                self.end(name, |actor| actor.client.read_to_end(End::CloseNotify, 1000))
            }
            Step::ThrownOut(name) => {
                self.end(name, |actor| actor.client.read_to_end(End::CloseNotify, 1008))
            }
            Step::Drop(name) => self.remove(name).map(drop),
            Step::Reset(name) => self.remove(name).map(|actor| actor.client.tls.reset()),
            Step::Restart(signal) => {
                self.server.restart(signal);
                let names: Vec<String> = self.actors.keys().cloned().collect();
                names.iter().try_for_each(|name| match *signal {
                    "KILL" => self.end(name, |actor| actor.client.drain()),
                    _ => self.end(name, |actor| actor.client.read_to_end(End::CloseNotify, 1001)),
                })
            }
            Step::Bytes { name, count } => {
                self.bindings.insert(name.clone(), "x".repeat(*count).into());
                Ok(())
            }
        }
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        if self.actors.contains_key(name) {
            return Err(format!("{name} is connected already"));
        }
        let mut client = self.server.connect(name, self.framing);
        client.set_deadline(self.deadline);
        self.actors.insert(
            name.to_owned(),
            Actor { client, waiting: VecDeque::new(), leaving: false, logged_in: false },
        );
        Ok(())
    }

    fn log_in(&mut self, member: &str, client: &str) -> Result<(), String> {
        self.connect(client)?;
        self.send(client, &json!({"command": "login", "uname": member, "passwd": member}))?;
        self.respond(
            client,
            &json!({"command": "login", "status": 200, "uuid": format!("${member}")}),
        )
    }

    fn remove(&mut self, name: &str) -> Result<Actor, String> {
        self.actors.remove(name).ok_or(format!("{name} is not connected"))
    }

    /// Reads a client to its end, after which there must be nothing that was not expected.
    fn end(
        &mut self,
        name: &str,
        read: impl Fn(&mut Actor) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut actor = self.remove(name)?;
        if !actor.waiting.is_empty() {
            return Err(format!("{name}: a request whose response is not in the transcript"));
        }
        read(&mut actor)?;
        let onlines = actor.client.onlines.iter().filter(|_| !actor.logged_in);
        match actor.client.responses.iter().chain(&actor.client.events).chain(onlines).next() {
            Some(packet) => Err(format!("{name}: left over at the end: {packet}")),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.actors.keys().cloned().collect();
        names.iter().try_for_each(|name| self.end(name, Actor::leave))
    }
}

impl Actor {
    fn leave(&mut self) -> Result<(), String> {
        if self.leaving {
            self.client.read_to_end(End::CloseNotify, 1000)
        } else {
            self.client.leave()
        }
    }
}

/// A packet with other data in one field.
fn with(packet: &Value, field: &str, data: Value) -> Value {
    let mut packet = packet.clone();
    packet[field] = data;
    packet
}

/// Puts bound values in the place of their names.
fn fill_in(value: &Value, bindings: &BTreeMap<String, Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => {
                bindings.get(name).ok_or(format!("${name} stands for nothing yet"))?.clone()
            }
            None => value.clone(),
        },
        Value::Array(list) => {
            list.iter().map(|value| fill_in(value, bindings)).collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                filled.insert(fill_in_name(name, bindings)?, fill_in(value, bindings)?);
            }
            Value::Object(filled)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// `user:$alice` with the uuid of alice.
fn fill_in_name(name: &str, bindings: &BTreeMap<String, Value>) -> Result<String, String> {
    let Some((start, name)) = name.split_once('$') else { return Ok(name.to_owned()) };
    let value = bindings.get(name).ok_or(format!("${name} stands for nothing yet"))?;
    Ok(format!("{start}{value}"))
}

/// Whether a packet is the expected one; `path` says where in it we are.
fn compare(
    expected: &Value,
    got: &Value,
    bindings: &mut BTreeMap<String, Value>,
    path: &str,
) -> Result<(), String> {
    match (expected, got) {
        (Value::String(text), _) if text == "*" => Ok(()),
        (Value::String(text), _) if text.starts_with('$') => {
            let bound = bindings.entry(text[1..].to_owned()).or_insert_with(|| got.clone());
            if bound == got {
                Ok(())
            } else {
                Err(format!("{path}: expected {text}, which is {bound}, but got {got}"))
            }
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            let mut pairs = expected.iter().zip(got).enumerate();
            pairs.try_for_each(|(index, (expected, got))| {
                compare(expected, got, bindings, &format!("{path}/{index}"))
            })
        }
        (Value::Object(expected), Value::Object(got)) => {
            let mut names = BTreeSet::new();
            for (name, value) in expected {
                let name = fill_in_name(name, bindings)?;
                let got = got.get(&name).ok_or(format!("{path}/{name}: is missing"))?;
                compare(value, got, bindings, &format!("{path}/{name}"))?;
                names.insert(name);
            }
            match got.keys().find(|name| !names.contains(*name)) {
                Some(name) => Err(format!("{path}/{name}: was not expected")),
                None => Ok(()),
            }
        }
        _ if expected == got => Ok(()),
        _ => Err(format!("{path}: expected {expected}, but got {got}")),
    }
}

/// Runs transcripts one after the other and panics with the words of all that failed.
pub fn run_all(transcripts: &[Transcript], framing: Framing) {
    let outcomes = transcripts.iter().map(|transcript| run(transcript, framing, DEADLINE));
    let failures: Vec<String> = outcomes.filter_map(Result::err).collect();
    assert!(
        failures.is_empty(),
        "{} of {} failed\n{}",
        failures.len(),
        transcripts.len(),
        failures.join("\n")
    );
}
