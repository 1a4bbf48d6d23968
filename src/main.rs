//! The story of start-up: what the command line says, the configuration, the server.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use aster_server::config::Config;
use aster_server::error::StartupError;
use aster_server::wire::assets::Assets;
use aster_server::{Errand, Failure, Location, Signals, check, log, run, run_errand};

const USAGE: &str = "\
usage: aster-server [--config FILE] [--scratch-db] [--assets DIR]    run the server
       aster-server [--config FILE] ERRAND

The errands work whether or not the server runs; it notices what they changed.

  owner NAME             make NAME an owner, and the account where there is none
  owner NAME --remove    make NAME an owner no longer
  passwd NAME            give NAME a new password, and end their connections
  invite                 make a code and print it: where registration is by invite, one (--uses N)
                         can register with it within 7 days (--days N; 0: for ever)
  invite CODE --remove   withdraw it
  invites                print the codes that are open
  backup FILE            copy the database to FILE and check the copy; an older backup is replaced
  check                  say all that is wrong with configuration, certificate, database, disk
                         space, backups and clock; exit code 0 if nothing is, else 1
  audit                  print who did what to whom, when (UTC), oldest first
  why MEMBER CHANNEL     say what MEMBER may do in CHANNEL (name or uuid), and what decides it

A name that begins with a dash comes after a --.

  --config FILE   the configuration; config.json of this folder by default. Where there is
                  none, one with the defaults is written. Paths in it are relative to it.
  --scratch-db    keep the database in memory, for trying things out
  --assets DIR    serve the web client's files from DIR as they are, for working on them
  --version       say which version this is
  --help          say this";

/// An errand could not be done, or `check` found something wrong.
const EXIT_REFUSED: u8 = 1;
/// The server cannot start: command line, configuration, certificate, database, address.
const EXIT_CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::line(&failure);
            ExitCode::from(match failure {
                Failure::CannotStart(_) => EXIT_CANNOT_START,
                Failure::Refused(_) => EXIT_REFUSED,
            })
        }
    }
}

fn start() -> Result<(), Failure> {
    match parse_arguments(env::args_os().skip(1))? {
        Order::Say(text) => {
            log::answer(text);
            Ok(())
        }
        Order::Run { config_file, scratch_db, assets } => {
            // Order: before anything that takes time. A signal waits until the server can heed it.
            let signals = Signals::catch()?;
            let config = Config::load(&config_file)?;
            let assets = match assets {
                Some(folder) => Assets::in_folder(&folder)
                    .map_err(|error| StartupError::new(folder.display(), error))?,
                None => Assets::default(),
            };
            let location = match scratch_db {
                true => Location::Memory,
                false => Location::File(config.database_file.clone()),
            };
            Ok(run(config, &location, assets, signals)?)
        }
        Order::Check { config_file } => check(&config_file),
        Order::DoErrand { config_file, errand } => {
            // Only that makes what a first start makes; in the wrong folder others find nothing.
            let may_begin = matches!(errand, Errand::Owner { remove: false, .. });
            if !may_begin && !config_file.exists() {
                let problem = "not there; is this the server's folder?";
                return Err(StartupError::new(config_file.display(), problem).into());
            }
            run_errand(&Config::load(&config_file)?, &errand)
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Run { config_file: PathBuf, scratch_db: bool, assets: Option<PathBuf> },
    Check { config_file: PathBuf },
    DoErrand { config_file: PathBuf, errand: Errand },
    Say(&'static str),
}

fn parse_arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<Order, StartupError> {
    let mut config_file = PathBuf::from("config.json");
    let (mut scratch_db, mut remove) = (false, false);
    let (mut uses, mut days) = (None, None);
    let mut assets = None;
    let mut words = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => config_file = parse_path("--config", arguments.next())?,
            Some("--assets") => assets = Some(parse_path("--assets", arguments.next())?),
            Some("--scratch-db") => scratch_db = true,
            Some("--help" | "-h") => return Ok(Order::Say(USAGE)),
            Some("--version") => {
                return Ok(Order::Say(concat!("aster-server ", env!("CARGO_PKG_VERSION"))));
            }
            Some("--remove") => remove = true,
            Some(option @ "--uses") => uses = Some(parse_number(option, arguments.next())?),
            Some(option @ "--days") => days = Some(parse_number(option, arguments.next())?),
            Some(word) if !word.starts_with('-') => words.push(word.to_owned()),
            // From here on words may begin with a dash: names do as they like.
            Some("--") => {
                for word in arguments.by_ref() {
                    words.push(word.into_string().map_err(|word| {
                        StartupError(format!("{}: not UTF-8", word.to_string_lossy()))
                    })?);
                }
            }
            Some(_) | None => {
                let shown = argument.to_string_lossy();
                return Err(StartupError(format!("{shown}: unknown argument; see --help")));
            }
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_invite = uses.is_some() || days.is_some();
    let is_run_only = scratch_db || assets.is_some();
    let errand = match (words.as_slice(), remove, is_run_only || is_invite) {
        ([], false, _) if !is_invite => {
            return Ok(Order::Run { config_file, scratch_db, assets });
        }
        (["check"], false, false) => return Ok(Order::Check { config_file }),
        (["owner", name], _, false) => Errand::Owner { name: (*name).to_owned(), remove },
        (["passwd", name], false, false) => Errand::Passwd { name: (*name).to_owned() },
        (["invite"], false, _) if !is_run_only => Errand::Invite { uses, days },
        (["invite", code], true, false) => Errand::RemoveInvite { code: (*code).to_owned() },
        (["invites"], false, false) => Errand::Invites,
        (["backup", file], false, false) => Errand::Backup { file: PathBuf::from(file) },
        (["audit"], false, false) => Errand::Audit,
        (["why", member, channel], false, false) => {
            Errand::Why { member: (*member).to_owned(), channel: (*channel).to_owned() }
        }
        _ => return Err(StartupError(format!("{}: no such errand; see --help", words.join(" ")))),
    };
    Ok(Order::DoErrand { config_file, errand })
}

fn parse_path(option: &str, argument: Option<OsString>) -> Result<PathBuf, StartupError> {
    let named = argument.filter(|path| !path.is_empty()).map(PathBuf::from);
    named.ok_or_else(|| StartupError::new(option, "names nothing"))
}

fn parse_number(option: &str, argument: Option<OsString>) -> Result<u32, StartupError> {
    let number = argument.and_then(|argument| argument.to_str()?.parse().ok());
    number.ok_or_else(|| StartupError::new(option, "must be a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(arguments: &[&str]) -> Result<Order, StartupError> {
        parse_arguments(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_understood_or_refused() {
        let run = |config_file: &str, scratch_db| {
            Ok(Order::Run { config_file: config_file.into(), scratch_db, assets: None })
        };
        assert_eq!(order(&[]), run("config.json", false));
        assert_eq!(order(&["--scratch-db", "--config", "a/b.json"]), run("a/b.json", true));
        let run_with = |assets: &str| {
            let (config_file, assets) = ("a/b.json".into(), Some(assets.into()));
            Ok(Order::Run { config_file, scratch_db: true, assets })
        };
        let with_assets = ["--config", "a/b.json", "--assets", "web", "--scratch-db"];
        assert_eq!(order(&with_assets), run_with("web"));
        assert_eq!(order(&["--help"]), Ok(Order::Say(USAGE)));
        assert!(order(&["--config"]).is_err());
        assert!(order(&["serve"]).is_err());
        let check = |config_file: &str| Ok(Order::Check { config_file: config_file.into() });
        assert_eq!(order(&["check"]), check("config.json"));
        assert_eq!(order(&["--config", "a/b.json", "check"]), check("a/b.json"));
        assert!(order(&["check", "aster.db"]).is_err());
        assert!(order(&["check", "--scratch-db"]).is_err());
        let errand = |errand| Ok(Order::DoErrand { config_file: "config.json".into(), errand });
        let owner = |name: &str, remove| Errand::Owner { name: name.to_owned(), remove };
        assert_eq!(order(&["owner", "me"]), errand(owner("me", false)));
        assert_eq!(order(&["owner", "--remove", "me"]), errand(owner("me", true)));
        assert_eq!(order(&["owner", "--", "--me"]), errand(owner("--me", false)));
        assert_eq!(order(&["audit"]), errand(Errand::Audit));
        assert_eq!(order(&["invite"]), errand(Errand::Invite { uses: None, days: None }));
        assert_eq!(
            order(&["invite", "--uses", "3", "--days", "0"]),
            errand(Errand::Invite { uses: Some(3), days: Some(0) })
        );
        let remove = Errand::RemoveInvite { code: "abc".to_owned() };
        assert_eq!(order(&["invite", "--remove", "abc"]), errand(remove));
        assert_eq!(order(&["invites"]), errand(Errand::Invites));
        assert_eq!(order(&["backup", "a/b"]), errand(Errand::Backup { file: "a/b".into() }));
        let wrong: [&[&str]; 23] = [
            &["backup"],
            &["backup", "a", "b"],
            &["invite", "abc"],
            &["invite", "--remove"],
            &["invite", "abc", "--remove", "--uses", "3"],
            &["invite", "--uses"],
            &["invite", "--uses", "-1"],
            &["invite", "--days", "soon"],
            &["invite", "--scratch-db"],
            &["invites", "--days", "3"],
            &["--days", "3"],
            &["owner"],
            &["owner", "a", "b"],
            &["passwd", "me", "--remove"],
            &["audit", "--scratch-db"],
            &["why", "me"],
            &["--remove"],
            &["--assets"],
            &["--assets", ""],
            &["--assets", "web", "--remove"],
            &["check", "--assets", "web"],
            &["invite", "--assets", "web"],
            &["owner", "me", "--assets", "web"],
        ];
        for arguments in wrong {
            assert!(order(arguments).is_err(), "{arguments:?}");
        }
    }
}
