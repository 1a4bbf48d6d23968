//! Runs the conversations in `tests/transcripts/` and in `docs/protocol.md`, and holds that
//! document to its promise: what it lists is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::client::Framing;
use crate::support::transcript::{self, Transcript};

const DOCUMENT: &str = "docs/protocol.md";

/// A test for each file of the folder, over each framing.
macro_rules! files {
    ($($file:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];
        $(mod $file {
            use super::*;

            #[test]
            fn over_lines() {
                transcript::run_all(&load(stringify!($file)), Framing::Lines);
            }

            #[test]
            fn over_websocket() {
                transcript::run_all(&load(stringify!($file)), Framing::WebSocket);
            }
        })*
    };
}

files! {
    accounts channels face groups history messages moderation online packets reading restart server sessions sync
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn load(file: &str) -> Vec<Transcript> {
    let path = format!("tests/transcripts/{file}.txt");
    transcript::parse(&path, &read(&path)).unwrap()
}

fn load_document() -> Vec<Transcript> {
    transcript::parse_document(DOCUMENT, &read(DOCUMENT)).unwrap()
}

#[test]
fn the_examples_of_the_document_run_over_lines() {
    transcript::run_all(&load_document(), Framing::Lines);
}

#[test]
fn the_examples_of_the_document_run_over_websocket() {
    transcript::run_all(&load_document(), Framing::WebSocket);
}

#[test]
fn no_file_of_transcripts_was_forgotten() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts"));
    let names = files.unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = names.collect();
    assert_eq!(found, FILES.iter().map(|file| format!("{file}.txt")).collect());
}

/// The commands of the document, by its headings, each with the statuses that it lists.
fn documented() -> BTreeMap<String, BTreeSet<i64>> {
    let text = read(DOCUMENT);
    let mut commands = BTreeMap::new();
    let mut command = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### `").and_then(|line| line.strip_suffix('`')) {
            let new = commands.insert(name.to_owned(), BTreeSet::new()).is_none();
            assert!(new, "{DOCUMENT} has two headings for {name}");
            command = Some(name);
        } else if line.starts_with('#') {
            command = None;
        } else if let Some((list, name)) = line.strip_prefix("Statuses: ").zip(command) {
            let statuses = list.split(' ').map(|status| status.parse::<i64>().unwrap());
            commands.get_mut(name).unwrap().extend(statuses);
        }
    }
    commands
}

#[test]
fn the_document_has_the_commands_of_the_server_and_no_others() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(documented, aster_server::command_names().map(str::to_owned).collect());
}

#[test]
fn every_command_and_status_of_the_document_is_shown() {
    let examples = load_document();
    let (shown, mut statuses) = transcript::exercised(&examples);
    for file in FILES {
        statuses.extend(transcript::exercised(&load(file)).1);
    }
    let documented = documented();
    for (command, status) in &statuses {
        let listed = documented.get(command).is_none_or(|listed| listed.contains(status));
        assert!(listed, "{DOCUMENT} does not list status {status} of {command}");
    }
    for (command, listed) in documented {
        assert!(listed.contains(&200), "{DOCUMENT} lists no statuses of {command}");
        assert!(shown.contains(&command), "{DOCUMENT} has no example of {command}");
        for status in listed {
            let exercised = statuses.contains(&(command.clone(), status));
            assert!(exercised, "no transcript shows {command} with status {status}");
        }
    }
}
