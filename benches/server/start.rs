//! How soon the server listens, and how large its program is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::database::{keep_history, size_mib};
use crate::history::lengths;
use crate::report::{Report, Row};
use crate::server::make_folder;
use crate::{Bench, Outcome, machine, median};

const SERVER: &str = env!("CARGO_BIN_EXE_aster-server");
const CONFIG: &str = r#"{"addr": "127.0.0.1", "port": 0, "database_file": "bench.db"}"#;

const START_MS_MAX: f64 = 100.0;
const BINARY_MIB_MAX: f64 = 6.0;

/// With an empty database, and with as long a history as there is.
pub(crate) fn measure_start(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let folder = make_folder(&bench.folder)?;
    measure_starts(bench, report, &folder, "an empty database".to_owned())?;
    fs::remove_dir_all(folder)?;
    let messages = lengths(bench)[2];
    let folder = keep_history(bench, messages)?;
    measure_starts(bench, report, &folder, format!("{messages} messages"))
}

/// The first start, and then those after a clean stop.
fn measure_starts(bench: &Bench, report: &mut Report, folder: &Path, case: String) -> Outcome<()> {
    fs::write(folder.join("config.json"), CONFIG)?;
    let first_ms = time_start(bench, folder)?;
    let rounds = (0..bench.plan.rounds).map(|_| time_start(bench, folder));
    let ms = median(rounds.collect::<Outcome<_>>()?);
    report.add(Row {
        measure: "start",
        case: format!("{case}, {:.0} MiB, after a clean stop", size_mib(folder)?),
        figures: vec![("ms to `listening`", ms), ("ms at the first start here", first_ms)],
        limit: None,
        ratio: None,
        goal: Some(("under 100 ms".to_owned(), ms < START_MS_MAX)),
    });
    Ok(())
}

/// Milliseconds from making the process to its line that it listens. Then it is stopped, cleanly.
fn time_start(bench: &Bench, folder: &Path) -> Outcome<f64> {
    // A process inherits the core of the thread that makes it.
    machine::pin(&[bench.server_core])?;
    let begun = Instant::now();
    let mut command = Command::new(SERVER);
    let process = command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    machine::pin(&[bench.own_core])?;
    let mut process = process?;
    let mut log = BufReader::new(process.stderr.take().ok_or("no log")?).lines();
    let mut said = Vec::new();
    let listens = loop {
        match log.next() {
            Some(line) => said.push(line?),
            None => break false,
        }
        if said.last().is_some_and(|line| line.starts_with("listening on ")) {
            break true;
        }
    };
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    if listens {
        kill_process(Pid::from_child(&process), Signal::TERM)?;
    }
    let status = process.wait()?;
    match listens && status.success() {
        true => Ok(ms),
        false => Err(format!("{status}: {}", said.join("\n")).into()),
    }
}

/// As it is built, and stripped of its symbols.
pub(crate) fn measure_binary(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let mib = |file: &Path| {
        Ok::<_, std::io::Error>(fs::metadata(file)?.len() as f64 / f64::from(1 << 20))
    };
    let folder = make_folder(&bench.folder)?;
    let stripped = folder.join("aster-server");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(SERVER).status();
    let (built_mib, mut figures) = (mib(Path::new(SERVER))?, Vec::new());
    // Not every machine has binutils.
    let smallest_mib = match strip.is_ok_and(|status| status.success()) {
        true => mib(&stripped)?,
        false => built_mib,
    };
    figures.push(("MiB stripped", smallest_mib));
    figures.push(("MiB as built", built_mib));
    fs::remove_dir_all(folder)?;
    report.add(Row {
        measure: "binary",
        case: "the release build".to_owned(),
        figures,
        limit: None,
        ratio: None,
        goal: Some(("at most 6 MiB".to_owned(), smallest_mib <= BINARY_MIB_MAX)),
    });
    Ok(())
}
