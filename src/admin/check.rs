//! What is wrong, in plain words, before it does harm. Changes nothing and makes nothing.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};

use crate::admin::Failure;
use crate::config::{Config, Limits};
use crate::date::{DAY_S, counted, date};
use crate::id::now_s;
use crate::log;
use crate::store::{Inspection, inspect};
use crate::tls::Paths;

/// Days after which a backup is old.
const BACKUP_DAYS_MAX: i64 = 7;
/// Room that is to be left beside a copy of the database.
const SPARE_BYTES: u64 = 64 << 20;
/// Open files that no client takes, as the server counts them.
const FILES_RESERVED: u64 = 64;
/// The most bytes that one byte of a message becomes on the wire: `\u0001`.
const BYTES_ENCODED: usize = 6;
/// By how much a clock may have been set back.
const CLOCK_TOLERANCE_S: i64 = 60;
/// The day of Rust 1.85, without which this program cannot have been built.
const BUILT_AFTER_S: i64 = 1_740_009_600;
/// Permissions of everybody else on this machine.
const MODE_OTHERS: u32 = 0o007;

/// Looks at all that an owner would have to, and says a line for each area, and one for each
/// problem. Refused if there is any.
pub fn check(config_file: &Path) -> Result<(), Failure> {
    let mut report = Report::default();
    if let Some(config) = check_configuration(&mut report, config_file) {
        let now_s = now_s();
        check_certificate(&mut report, &config, now_s);
        let inspection = check_database(&mut report, &config.database_file);
        check_space(&mut report, &config.database_file);
        if let Some(inspection) = &inspection {
            check_backup(&mut report, inspection, now_s);
        }
        let newest_message = inspection.and_then(|inspection| inspection.newest_message);
        check_clock(&mut report, newest_message, now_s);
    }
    match report.problems {
        0 => Ok(()),
        count => Err(Failure::Refused(counted(count, "problem"))),
    }
}

/// What is printed, and how many problems that were.
#[derive(Default)]
struct Report {
    problems: i64,
}

impl Report {
    fn well(&self, area: &str, words: impl fmt::Display) {
        log::answer(format_args!("{area}: {words}"));
    }

    fn problem(&mut self, area: &str, words: impl fmt::Display) {
        self.problems += 1;
        // What it is about may hold line ends.
        let words = words.to_string().replace(['\n', '\r'], " ");
        log::answer(format_args!("PROBLEM {area}: {words}"));
    }
}

/// The configuration, as far as it can be read.
fn check_configuration(report: &mut Report, file: &Path) -> Option<Config> {
    const AREA: &str = "configuration";
    let shown = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            report
                .problem(AREA, format_args!("{shown} is not there; is this the server's folder?"));
            return None;
        }
        Err(error) => {
            report.problem(AREA, format_args!("{shown}: {error}"));
            return None;
        }
    };
    let (mut problems, config) =
        Config::list_mistakes(&text, file.parent().unwrap_or(Path::new("")));
    problems.extend(config.iter().flat_map(|config| list_odd_limits(&config.limits)));
    for problem in &problems {
        report.problem(AREA, format_args!("{shown}: {problem}"));
    }
    if let (Some(config), true) = (&config, problems.is_empty()) {
        let (address, clients) = (config.address, config.limits.connections_max);
        report.well(AREA, format_args!("{shown}, for {address} and {clients} clients at most"));
    }
    config
}

/// Limits that each are in their bounds, but make no sense together.
fn list_odd_limits(limits: &Limits) -> Vec<String> {
    let files_max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let clients_max = files_max.saturating_sub(FILES_RESERVED);
    let mut problems = Vec::new();
    if clients_max < u64::try_from(limits.connections_max).unwrap_or(u64::MAX) {
        problems.push(format!(
            "limits.max_connections: more than the {clients_max} that {files_max} open files, the \
             limit here, are enough for; lower it, or raise that (LimitNOFILE of systemd)"
        ));
    }
    if limits.connections_per_address_max > limits.connections_max {
        problems.push(
            "limits.max_connections_per_address: above max_connections, so that one address can \
             take every place"
                .to_owned(),
        );
    }
    if limits.login_timeout <= limits.handshake_timeout {
        problems.push(
            "limits.login_timeout_s: begins with the handshake; must be above handshake_timeout_s"
                .to_owned(),
        );
    }
    if limits.backlog_bytes_max / BYTES_ENCODED < limits.message_bytes_max {
        problems.push(format!(
            "limits.max_backlog_bytes: one message can fill it; at least {BYTES_ENCODED} times \
             max_message_bytes"
        ));
    }
    problems
}

fn check_certificate(report: &mut Report, config: &Config, now_s: i64) {
    const AREA: &str = "certificate";
    let paths = Paths::of(config);
    if paths.are_empty() {
        return report.well(AREA, "none yet; the first start makes one");
    }
    let before = report.problems;
    let outcome = paths.check(now_s);
    match &outcome {
        Ok((_, problems)) => problems.iter().for_each(|problem| report.problem(AREA, problem)),
        Err(problem) => report.problem(AREA, problem),
    }
    let key = &config.private_key;
    if fs::metadata(key).is_ok_and(|key| key.permissions().mode() & MODE_OTHERS != 0) {
        let key = key.display();
        let words =
            format!("private_key: {key}: open to everybody on this machine; chmod 600 {key}");
        report.problem(AREA, words);
    }
    if let (Ok((certificate, _)), true) = (&outcome, report.problems == before) {
        report.well(AREA, certificate.describe(now_s));
    }
}

/// What it holds, where it is whole.
fn check_database(report: &mut Report, file: &Path) -> Option<Inspection> {
    const AREA: &str = "database";
    let shown = file.display();
    let inspection = match inspect(file) {
        Ok(Some(inspection)) => inspection,
        Ok(None) => {
            report.well(AREA, "none yet; the first start makes it");
            return Some(Inspection::default());
        }
        Err(problem) => {
            report.problem(AREA, format_args!("{shown}: {problem}"));
            return None;
        }
    };
    for problem in &inspection.problems {
        report.problem(
            AREA,
            format_args!("{shown}: damaged: {problem}; stop the server and restore a backup"),
        );
    }
    if !inspection.problems.is_empty() {
        return None;
    }
    let Inspection { is_older, .. } = inspection;
    let members = counted(inspection.members, "member");
    let messages = counted(inspection.messages, "message");
    let later = if is_older { "; the next start brings its schema up to date" } else { "" };
    report.well(AREA, format_args!("{shown} is whole: {members}, {messages}{later}"));
    Some(inspection)
}

fn check_space(report: &mut Report, file: &Path) {
    const AREA: &str = "disk space";
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shown = folder.display();
    let free_bytes = match statvfs(folder) {
        Ok(system) => system.f_bavail.saturating_mul(system.f_frsize),
        Err(error) => return report.problem(AREA, format_args!("{shown}: {error}")),
    };
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let size = |file: &Path| fs::metadata(file).map_or(0, |file| file.len());
    let used_bytes = size(file).saturating_add(size(&PathBuf::from(log)));
    let (free, used) = (mebibytes(free_bytes), mebibytes(used_bytes));
    if free_bytes < used_bytes.saturating_add(SPARE_BYTES) {
        report.problem(
            AREA,
            format_args!(
                "{shown}: {free} free, too little for a copy of the database ({used}) and {} \
                 beside it; make room",
                mebibytes(SPARE_BYTES)
            ),
        );
    } else {
        report.well(AREA, format_args!("{free} free beside a database of {used}"));
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0..10 => format!("{}.{} MiB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20),
        whole => format!("{whole} MiB"),
    }
}

/// Before anybody has said anything there is nothing to lose.
fn check_backup(report: &mut Report, inspection: &Inspection, now_s: i64) {
    const AREA: &str = "backup";
    const REMEDY: &str = "`aster-server backup FILE` makes one, best of all daily";
    match inspection.last_backup {
        None if inspection.messages == 0 => report.well(AREA, "none yet, and nothing said yet"),
        None => report.problem(AREA, format_args!("never; {REMEDY}")),
        Some(made) => {
            let age = now_s.saturating_sub(made).div_euclid(DAY_S).max(0);
            let words = format!("the last one is of {} ({} old)", date(made), counted(age, "day"));
            match age {
                ..BACKUP_DAYS_MAX => report.well(AREA, words),
                BACKUP_DAYS_MAX.. => report.problem(AREA, format_args!("{words}; {REMEDY}")),
            }
        }
    }
}

/// Dates and uuids come from the clock.
fn check_clock(report: &mut Report, newest_message: Option<i64>, now_s: i64) {
    const AREA: &str = "clock";
    const REMEDY: &str = "set it, and let NTP keep it";
    let today = date(now_s);
    let newest = newest_message.unwrap_or(i64::MIN);
    if now_s < BUILT_AFTER_S {
        report.problem(AREA, format_args!("{today} is before this program was built; {REMEDY}"));
    } else if now_s.saturating_add(CLOCK_TOLERANCE_S) < newest {
        let newest = date(newest);
        report.problem(
            AREA,
            format_args!("{today} is before the newest message, of {newest}; {REMEDY}"),
        );
    } else {
        report.well(AREA, format_args!("{today}, later than all that was said"));
    }
}
