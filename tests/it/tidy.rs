//! What holds the shape of the source: layers, where each concern may stand, and its size.

use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder imports only from those in rows above its own, and a folder's files from
/// one another. The paragraphs of `architecture.md`, "Modules".
const LAYERS: &[&[&str]] = &[
    &["error", "log", "id", "files", "pieces", "stopping", "date", "queue"],
    &["thread", "protocol", "signals", "under_way"],
    &["config"],
    &["access", "answers", "avatar", "backlog"],
    &["store", "tls", "connection", "wire"],
    &["broadcaster", "password", "throttle"],
    &["commands"],
    &["session"],
    &["server", "admin"],
    &["lib"],
];

/// A crate or language, how it is recognised, and where alone it may stand.
const PLACES: &[(&str, &[&str], &[&str])] = &[
    ("rusqlite", &["rusqlite::"], &["store/"]),
    ("rustls", &["rustls::"], &["tls/", "connection.rs"]),
    (
        "SQL",
        &["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "CREATE ", "PRAGMA "],
        &["store/"],
    ),
];

const FILE_LINES_MAX: usize = 450;
/// Without comments and empty lines: what has to be read to know what the program does.
const CODE_LINES_MAX: usize = 11_200;

/// A file of `src/`: its path there, its code without comments, its count of lines; both
/// without its tests.
struct Source {
    path: String,
    code: Vec<(usize, String)>,
    lines: usize,
}

impl Source {
    /// The file or folder that counts as one part: `store` for `store/writer.rs`.
    fn part(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// Fails a test, naming the line.
    fn fail(&self, line: usize, rule: &str) -> ! {
        panic!("src/{}:{line}: {rule}", self.path)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let rust =
        files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        // Tests stand at the end of a file, in one module.
        let (untested, tests) = text.split_once("\n#[cfg(test)]\n").unwrap_or((&text, "mod tests"));
        assert!(tests.starts_with("mod tests") || tests.starts_with("#[path = "), "{path:?}");
        let code = untested.lines().enumerate();
        let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
        Source {
            path: path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned(),
            code: code.map(|(index, line)| (index + 1, line.to_owned())).collect(),
            lines: untested.lines().count(),
        }
    })
    .collect()
}

fn layer(part: &str) -> usize {
    let found = LAYERS.iter().position(|parts| parts.contains(&part));
    found.unwrap_or_else(|| panic!("{part} has no layer: give it one in this test's table"))
}

#[test]
fn a_file_imports_only_from_the_layers_above_it() {
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.part())) {
        let own = source.part();
        for (line, text) in &source.code {
            assert!(
                !text.contains("crate::{"),
                "src/{}:{line}: one path for each part",
                source.path
            );
            for imported in text.split("crate::").skip(1) {
                let end =
                    imported.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
                let imported = &imported[..end.unwrap_or(imported.len())];
                if imported != own && layer(imported) >= layer(own) {
                    source.fail(*line, &format!("{own} may not know {imported}"));
                }
            }
        }
    }
}

#[test]
fn each_concern_stands_in_its_place_alone() {
    for source in sources() {
        for (concern, marks, places) in PLACES {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (line, text) in &source.code {
                if marks.iter().any(|mark| text.contains(mark)) {
                    source.fail(*line, &format!("{concern} belongs into {places:?}"));
                }
            }
        }
    }
}

#[test]
fn nothing_panics_on_purpose() {
    const PANICS: [&str; 7] = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "unreachable!(",
        "assert!(",
    ];
    for source in sources() {
        for (line, text) in &source.code {
            if PANICS.iter().any(|panic| text.contains(panic)) {
                source.fail(*line, "this can panic");
            }
        }
    }
}

#[test]
fn files_are_short_and_begin_with_their_purpose() {
    let sources = sources();
    for source in &sources {
        assert!(source.lines <= FILE_LINES_MAX, "src/{} has {} lines", source.path, source.lines);
        let text = fs::read_to_string(root().join("src").join(&source.path)).unwrap();
        assert!(text.starts_with("//! "), "src/{} does not say what it is for", source.path);
    }
    let is_code = |(_, line): &&(usize, String)| !line.trim().is_empty();
    let lines: usize =
        sources.iter().map(|source| source.code.iter().filter(is_code).count()).sum();
    assert!(lines <= CODE_LINES_MAX, "src has {lines} lines of code");
}

#[test]
fn every_dependency_says_what_it_replaces() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut before = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains(" = ") {
            assert!(before.starts_with("# "), "Cargo.toml: no comment above: {line}");
        }
        before = line;
    }
}
