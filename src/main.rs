//! The story of start-up: what the command line says, the configuration, the server.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use aster_server::config::Config;
use aster_server::error::StartupError;
use aster_server::{Location, log, run};

const USAGE: &str = "\
usage: aster-server [--config FILE] [--scratch-db]

  --config FILE   the configuration; config.json of this folder by default. Where there is
                  none, one with the defaults is written. Paths in it are relative to it.
  --scratch-db    keep the database in memory, for trying things out
  --version       say which version this is
  --help          say this";

/// The server cannot start: command line, configuration, certificate, database, address.
const EXIT_CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line(error);
            ExitCode::from(EXIT_CANNOT_START)
        }
    }
}

fn start() -> Result<(), StartupError> {
    match parse_arguments(env::args_os().skip(1))? {
        Order::Say(text) => {
            log::answer(text);
            Ok(())
        }
        Order::Run { config_file, scratch_db } => {
            let config = Config::load(&config_file)?;
            let location = match scratch_db {
                true => Location::Memory,
                false => Location::File(config.database_file.clone()),
            };
            run(config, &location)
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Run { config_file: PathBuf, scratch_db: bool },
    Say(&'static str),
}

fn parse_arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<Order, StartupError> {
    let mut config_file = PathBuf::from("config.json");
    let mut scratch_db = false;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => {
                let file = arguments.next().filter(|file| !file.is_empty());
                config_file = file
                    .map(PathBuf::from)
                    .ok_or_else(|| StartupError("--config: names no file".to_owned()))?;
            }
            Some("--scratch-db") => scratch_db = true,
            Some("--help" | "-h") => return Ok(Order::Say(USAGE)),
            Some("--version") => {
                return Ok(Order::Say(concat!("aster-server ", env!("CARGO_PKG_VERSION"))));
            }
            Some(_) | None => {
                let shown = argument.to_string_lossy();
                return Err(StartupError(format!("{shown}: unknown argument; see --help")));
            }
        }
    }
    Ok(Order::Run { config_file, scratch_db })
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
            Ok(Order::Run { config_file: config_file.into(), scratch_db })
        };
        assert_eq!(order(&[]), run("config.json", false));
        assert_eq!(order(&["--scratch-db", "--config", "a/b.json"]), run("a/b.json", true));
        assert_eq!(order(&["--help"]), Ok(Order::Say(USAGE)));
        assert!(order(&["--config"]).is_err());
        assert!(order(&["serve"]).is_err());
    }
}
