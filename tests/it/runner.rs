//! The helpers' own tests: a wrong transcript must fail, and with the right words.

use std::time::Duration;

use crate::support::client::Framing;
use crate::support::transcript;

/// How long a transcript waits that must fail: long enough for a login on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a transcript that must fail, waiting little, and gives its words.
fn failure(text: &str) -> String {
    failure_over(Framing::Lines, text)
}

fn failure_over(framing: Framing, text: &str) -> String {
    let text = format!("# A test.\n{text}");
    let transcripts = match transcript::parse("test.txt", &text) {
        Ok(transcripts) => transcripts,
        Err(words) => return words,
    };
    let outcome = transcript::run(&transcripts[0], framing, PATIENCE);
    outcome.expect_err(&text)
}

#[track_caller]
fn assert_fails(text: &str, words: &str) {
    let got = failure(text);
    assert!(got.contains(words), "{words:?} is not in:\n{got}");
}

const PING: &str = r#"dave> {"command":"ping"}"#;

#[test]
fn a_transcript_that_is_right_passes() {
    let text =
        format!("# A test.\ndave connects\n{PING}\ndave< {{\"command\":\"*\",\"status\":200}}");
    let transcripts = transcript::parse("test.txt", &text).unwrap();
    transcript::run(&transcripts[0], Framing::Lines, Duration::from_secs(5)).unwrap();
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    assert_fails("dave> {\"command\"", "test.txt:2: no JSON");
    assert_fails("dave sings", "test.txt:2: no such step: dave sings");
    assert_fails("dave connects; bob sings", "test.txt:2: no such step: bob sings");
    assert_fails("alice sent many messages to #tea", "no such step");
    assert_fails("#tea denies send_messages to bob", "test.txt:2: a title or a sentence?");
    assert!(transcript::parse("x.txt", "dave connects").unwrap_err().contains("x.txt:1: "));
}

#[test]
fn a_wrong_response_fails() {
    let told = |response: &str| failure(&format!("dave connects\n{PING}\ndave< {response}"));
    for (response, words) in [
        (r#"{"command":"ping","status":400}"#, "/status: expected 400, but got 200"),
        (r#"{"command":"ping","status":200,"data":1}"#, "/data: is missing"),
        (r#"{"status":200}"#, "/command: was not expected"),
        (r#"{"command":"$x","status":"$x"}"#, r#"expected $x, which is "ping", but got 200"#),
    ] {
        let got = told(response);
        assert!(got.contains(words) && got.starts_with("test.txt:4 (Lines)"), "{words:?}: {got}");
        assert!(got.contains("server| listening on") && got.contains("dave> {"), "{got}");
    }
}

#[test]
fn what_does_not_come_fails() {
    let absent = r#"alice! {"command":"content","status":200}"#;
    assert_fails(&format!("alice logs in\n{absent}"), "nothing came in time, but an event");
    let absent = r#"alice! {"command":"online","status":200,"data":[]}"#;
    assert_fails(&format!("alice logs in\n{absent}"), "nothing came in time, but an online event");
    assert_fails("dave connects\ndave< {}", "there is no request without a response");
    assert_fails(&format!("{PING}\n"), "dave is not connected");
    let leave = r#"dave> {"command":"leave"}"#;
    let text = format!(
        "dave connects\n{leave}\n{PING}\ndave< {{\"command\":\"leave\",\"status\":200}}\ndave< {{}}"
    );
    assert_fails(&text, "the stream ended, but a response was expected");
}

#[test]
fn an_end_that_does_not_come_or_has_another_reason_fails() {
    let connected = "dave connects\n";
    assert_fails(&format!("{connected}dave was thrown out"), "nothing came in time");
    let leave = r#"dave> {"command":"leave"}"#;
    let answer = r#"dave< {"command":"leave","status":200}"#;
    let text = format!("{connected}{leave}\n{answer}\ndave was thrown out");
    let got = failure_over(Framing::WebSocket, &text);
    assert!(got.contains("Some(1000)), not (Some(CloseNotify), Some(1008))"), "{got}");
}

#[test]
fn what_is_left_over_fails() {
    assert_fails(&format!("dave connects\n{PING}"), "dave: a request whose response is not in");
    let text = r#"alice and bob log in
alice> {"command":"send","channel":"$general","content":"hello"}
alice< {"command":"send","status":200,"message":"*"}
alice! {"command":"content","status":200,"uuid":"*","channel_uuid":"*","author_uuid":"*","content":"hello","date":"*","edited":false,"reply":null}"#;
    assert_fails(text, r#"bob: left over at the end: {"author_uuid""#);
}

#[test]
fn a_name_must_be_bound_and_a_preparation_must_come_first() {
    let text = r#"dave> {"command":"get_emoji","uuid":"$party"}"#;
    assert_fails(&format!("dave connects\n{text}"), "$party stands for nothing yet");
    let late = format!("dave connects\n{PING}\nthere is a channel #tea");
    assert_fails(&late, "test.txt:4 (Lines): this must come before the first packet");
    assert_fails("dave connects\ndave connects", "dave is connected already");
}
