//! A client that speaks packets: over JSON lines or over a WebSocket, alike to the test.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::Record;
use super::tls::{End, Tls};
use super::websocket::{self, CLOSE, FIN, PING, PONG, TEXT};

/// The two framings of protocol section 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Lines,
    WebSocket,
}

/// The events of protocol section 5. What has no label, status 200 and one of these names is
/// taken for an event; everything else answers a request.
const EVENTS: [&str; 10] = [
    "content",
    "message_edited",
    "message_deleted",
    "online",
    "get_metadata",
    "list_channels",
    "list_groups",
    "get_name",
    "get_icon",
    "list_emoji",
];

/// One connection. Packets that come while something else is waited for are kept.
pub struct Client {
    pub name: String,
    pub tls: Tls,
    pub record: Arc<Record>,
    framing: Framing,
    greeted: bool,
    requests: u32,
    pub responses: VecDeque<Value>,
    /// All but `online`, which comes when the server finds time and so has no place among them.
    pub events: VecDeque<Value>,
    pub onlines: VecDeque<Value>,
    /// The close code, once a WebSocket was closed by the server.
    pub closed: Option<u16>,
}

impl Client {
    pub fn connect(
        address: SocketAddr,
        name: &str,
        framing: Framing,
        record: &Arc<Record>,
    ) -> Self {
        let mut tls = Tls::connect(address);
        if framing == Framing::WebSocket {
            websocket::upgrade(&mut tls).unwrap();
        }
        record.note(name, "", "connects");
        Self {
            name: name.to_owned(),
            tls,
            record: Arc::clone(record),
            framing,
            greeted: false,
            requests: 0,
            responses: VecDeque::new(),
            events: VecDeque::new(),
            onlines: VecDeque::new(),
            closed: None,
        }
    }

    /// Sends one packet as it is.
    pub fn send_text(&mut self, text: &str) {
        let bytes = self.frame(text);
        self.tls.write(&bytes);
    }

    /// Sends a request with a label of its own, and says which.
    pub fn send(&mut self, mut request: Value) -> String {
        let label = self.label(&mut request);
        self.send_text(&request.to_string());
        label
    }

    /// Sends requests in one piece, each with a label of its own, and says which.
    pub fn send_all(&mut self, requests: Vec<Value>) -> Vec<String> {
        let (mut labels, mut bytes) = (Vec::new(), Vec::new());
        for mut request in requests {
            labels.push(self.label(&mut request));
            bytes.extend(self.frame(&request.to_string()));
        }
        self.tls.write(&bytes);
        labels
    }

    fn label(&mut self, request: &mut Value) -> String {
        self.requests += 1;
        let label = format!("{}-{}", self.name, self.requests);
        request["label"] = label.as_str().into();
        label
    }

    /// A packet as it goes over the connection.
    fn frame(&self, text: &str) -> Vec<u8> {
        self.record.note(&self.name, ">", text);
        match self.framing {
            Framing::Lines => format!("{text}\n").into_bytes(),
            Framing::WebSocket => websocket::frame(FIN | TEXT, text.as_bytes()),
        }
    }

    /// The next packet, or `None` at the end of the stream. The first must be the greeting.
    pub fn receive(&mut self) -> Result<Option<Value>, String> {
        let text = match self.framing {
            Framing::Lines => self
                .tls
                .take_until(b"\n")
                .map(|line| line.map(|line| line[..line.len() - 1].to_vec())),
            Framing::WebSocket => self.receive_text(),
        };
        let Some(text) = text.map_err(|error| format!("{}: {error}", self.name))? else {
            self.record.note(
                &self.name,
                "",
                &format!("sees the end: {:?} {:?}", self.tls.end, self.closed),
            );
            return if self.tls.buffer.is_empty() {
                Ok(None)
            } else {
                Err(format!("{}: half a packet", self.name))
            };
        };
        let text = String::from_utf8(text).map_err(|error| error.to_string())?;
        self.record.note(&self.name, "<", &text);
        let packet = serde_json::from_str(&text)
            .map_err(|error| format!("{}: no JSON: {error}: {text}", self.name))?;
        if !std::mem::replace(&mut self.greeted, true) {
            let greeting = json!({"command": "API_version", "status": 200, "version": [1, 1, 0]});
            return if packet == greeting {
                self.receive()
            } else {
                Err(format!("no greeting but {packet}"))
            };
        }
        Ok(Some(packet))
    }

    fn receive_text(&mut self) -> Result<Option<Vec<u8>>, String> {
        while let Some(frame) = websocket::receive(&mut self.tls)? {
            match frame.first ^ FIN {
                TEXT => return Ok(Some(frame.payload)),
                PING => self.tls.write(&websocket::frame(FIN | PONG, &frame.payload)),
                CLOSE => {
                    self.closed = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.tls.try_write(&websocket::frame(FIN | CLOSE, &frame.payload)).ok();
                }
                _ => return Err(format!("an unexpected frame: {frame:?}")),
            }
        }
        Ok(None)
    }

    /// Reads one packet into its queue; false at the end of the stream.
    fn pump(&mut self) -> Result<bool, String> {
        let Some(packet) = self.receive()? else { return Ok(false) };
        let command = packet["command"].as_str().unwrap_or_default();
        let queue = if packet.get("label").is_some()
            || packet["status"] != 200
            || !EVENTS.contains(&command)
        {
            &mut self.responses
        } else if command == "online" {
            &mut self.onlines
        } else {
            &mut self.events
        };
        queue.push_back(packet);
        Ok(true)
    }

    fn next(
        &mut self,
        queue: fn(&mut Self) -> &mut VecDeque<Value>,
        what: &str,
    ) -> Result<Value, String> {
        loop {
            if let Some(packet) = queue(self).pop_front() {
                return Ok(packet);
            }
            match self.pump() {
                Ok(true) => {}
                Ok(false) => {
                    return Err(format!(
                        "{}: the stream ended, but {what} was expected",
                        self.name
                    ));
                }
                Err(error) => return Err(format!("{error}, but {what} was expected")),
            }
        }
    }

    pub fn next_response(&mut self) -> Result<Value, String> {
        self.next(|client| &mut client.responses, "a response")
    }

    pub fn next_event(&mut self) -> Result<Value, String> {
        self.next(|client| &mut client.events, "an event")
    }

    pub fn next_online(&mut self) -> Result<Value, String> {
        self.next(|client| &mut client.onlines, "an online event")
    }

    /// Sends a request and gives its response, without the label.
    pub fn ask(&mut self, request: Value) -> Value {
        let label = self.send(request);
        self.answer(&label)
    }

    /// The response to the oldest request not yet answered, which must bear this label.
    pub fn answer(&mut self, label: &str) -> Value {
        let mut response = self.next_response().unwrap();
        let got = response.as_object_mut().unwrap().remove("label");
        assert_eq!(got, Some(label.into()), "{response}");
        response
    }

    /// As [`Client::ask`], for a request that must succeed.
    pub fn must(&mut self, request: Value) -> Value {
        let response = self.ask(request);
        assert_eq!(response["status"], 200, "{response}");
        response
    }

    /// `register` or `login`, with the client's name for name and password. Gives the uuid.
    pub fn enter(&mut self, command: &str) -> i64 {
        let request = json!({"command": command, "uname": self.name, "passwd": self.name});
        self.must(request)["uuid"].as_i64().unwrap()
    }

    /// The channel every new server has.
    pub fn general(&mut self) -> i64 {
        self.must(json!({"command": "list_channels"}))["data"][0]["uuid"].as_i64().unwrap()
    }

    /// Sends a message and gives its uuid.
    pub fn say(&mut self, channel: i64, content: &str) -> i64 {
        let request = json!({"command": "send", "channel": channel, "content": content});
        self.must(request)["message"].as_i64().unwrap()
    }

    /// The newest messages of a channel, oldest first.
    pub fn history(&mut self, channel: i64, num: u32) -> Vec<Value> {
        let mut response = self.must(json!({"command": "history", "channel": channel, "num": num}));
        response["data"].as_array_mut().unwrap().drain(..).collect()
    }

    /// Waits for an `online` event that lists exactly these members.
    pub fn wait_for_online(&mut self, members: &[i64]) {
        let expected: Vec<Value> = members.iter().copied().map(Value::from).collect();
        while !same_set(&self.next_online().unwrap()["data"], &expected) {}
    }

    /// Asks to leave, and reads to the end of the stream, which must be a proper one.
    pub fn leave(&mut self) -> Result<(), String> {
        let label = self.send(json!({"command": "leave"}));
        let response = self.next_response()?;
        if response != json!({"command": "leave", "status": 200, "label": label}) {
            return Err(format!("{}: no answer to leave but {response}", self.name));
        }
        self.read_to_end(End::CloseNotify, 1000)
    }

    /// Reads until the stream ends in whatever way.
    pub fn drain(&mut self) -> Result<(), String> {
        while self.pump()? {}
        Ok(())
    }

    /// Reads until the stream ends, which must be in this way, over a WebSocket with this code.
    pub fn read_to_end(&mut self, end: End, code: u16) -> Result<(), String> {
        self.drain()?;
        let expected = (Some(end), (self.framing == Framing::WebSocket).then_some(code));
        let got = (self.tls.end, self.closed);
        if got == expected {
            Ok(())
        } else {
            Err(format!("{}: the end was {got:?}, not {expected:?}", self.name))
        }
    }

    /// How long this client waits for a packet.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.tls.set_deadline(deadline);
    }
}

/// Whether a list has exactly these values, in whatever order.
pub fn same_set(list: &Value, expected: &[Value]) -> bool {
    let Some(list) = list.as_array() else { return false };
    list.len() == expected.len() && expected.iter().all(|value| list.contains(value))
}
