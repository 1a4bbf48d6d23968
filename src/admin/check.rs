//! What is wrong, in plain words, before it does harm. Changes nothing and makes nothing.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
/// Open files that no client takes: about what a server keeps for itself.
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
        log::answer(format_args!("PROBLEM {area}: {words}"));
    }
}

/// The configuration, as far as it can be read.
fn check_configuration(report: &mut Report, file: &Path) -> Option<Config> {
    const AREA: &str = "configuration";
    let shown = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            report.problem(AREA, format_args!("{shown}: {error}; is this the server's folder?"));
            return None;
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let (mut problems, config) = Config::list_mistakes(&text, folder);
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
fn list_odd_limits(limits: &Limits) -> impl Iterator<Item = String> {
    let files_max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let clients_max = usize::try_from(files_max.saturating_sub(FILES_RESERVED));
    let clients = limits.connections_max;
    let rules = [
        (
            clients_max.is_ok_and(|clients_max| clients_max < clients),
            "max_connections: more than the system allows open files here; lower it, or raise \
             those (LimitNOFILE of systemd)",
        ),
        (
            limits.connections_per_address_max > clients,
            "max_connections_per_address: above max_connections, so that one address can take all",
        ),
        (
            limits.login_timeout <= limits.handshake_timeout,
            "login_timeout_s: not above handshake_timeout_s, which is a part of it",
        ),
        (
            limits.backlog_bytes_max / BYTES_ENCODED < limits.message_bytes_max,
            "max_backlog_bytes: less than 6 times max_message_bytes, so that one message can fill it",
        ),
    ];
    rules.into_iter().filter(|(is_odd, _)| *is_odd).map(|(_, rule)| format!("limits.{rule}"))
}

fn check_certificate(report: &mut Report, config: &Config, now_s: i64) {
    const AREA: &str = "certificate";
    let paths = Paths::of(config);
    if paths.are_empty() {
        return report.well(AREA, "none yet; the first start makes one");
    }
    let (certificate, mut problems) = match paths.check(now_s) {
        Ok((certificate, problems)) => (Some(certificate), problems),
        Err(problem) => (None, vec![problem]),
    };
    let key = &config.private_key;
    if fs::metadata(key).is_ok_and(|key| key.permissions().mode() & MODE_OTHERS != 0) {
        let key = key.display();
        problems.push(format!("private_key: {key}: open to everybody here; chmod 600 {key}"));
    }
    problems.iter().for_each(|problem| report.problem(AREA, problem));
    if let (Some(certificate), true) = (certificate, problems.is_empty()) {
        report.well(AREA, certificate.describe(now_s));
    }
}

/// What it holds, where it is whole.
fn check_database(report: &mut Report, file: &Path) -> Option<Inspection> {
    const AREA: &str = "database";
    let shown = file.display();
    match inspect(file) {
        Ok(Some(found)) => {
            let members = counted(found.members, "member");
            let messages = counted(found.messages, "message");
            let later = if found.is_older { "; the next start updates its schema" } else { "" };
            report.well(AREA, format_args!("{shown} is whole: {members}, {messages}{later}"));
            Some(found)
        }
        Ok(None) => {
            report.well(AREA, "none yet; the first start makes it");
            Some(Inspection::default())
        }
        Err(problem) => {
            report.problem(AREA, format_args!("{shown}: {problem}"));
            None
        }
    }
}

fn check_space(report: &mut Report, file: &Path) {
    const AREA: &str = "disk space";
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let free_bytes = match statvfs(folder) {
        Ok(system) => system.f_bavail.saturating_mul(system.f_frsize),
        Err(error) => return report.problem(AREA, format_args!("{}: {error}", folder.display())),
    };
    let used_bytes = fs::metadata(file).map_or(0, |file| file.len());
    let words = format!("{} MiB free, database {} MiB", free_bytes >> 20, used_bytes >> 20);
    match free_bytes < used_bytes.saturating_add(SPARE_BYTES) {
        true => report.problem(AREA, format_args!("{words}: a copy has no room; make some")),
        false => report.well(AREA, words),
    }
}

/// Before anybody has said anything there is nothing to lose.
fn check_backup(report: &mut Report, inspection: &Inspection, now_s: i64) {
    const AREA: &str = "backup";
    const REMEDY: &str = "`aster-server backup FILE` makes one, best of all daily";
    match inspection.last_backup {
        None if inspection.is_older => {
            report.well(AREA, "none yet; the next start sets a copy aside");
        }
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
    let earliest = newest_message.unwrap_or_default().max(BUILT_AFTER_S);
    let (today, earliest_day) = (date(now_s), date(earliest));
    if now_s.saturating_add(CLOCK_TOLERANCE_S) < earliest {
        let words = "but there is something here from";
        let remedy = "set it, and let NTP keep it";
        report.problem(AREA, format_args!("{today}, {words} {earliest_day}; {remedy}"));
    } else {
        report.well(AREA, format_args!("{today}, later than all that was said"));
    }
}
