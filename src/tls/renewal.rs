//! The certificate over time: read again when it was renewed, and a warning before it ends.
//!
//! # Threads
//! The signals' thread looks, by polling: what certbot replaces are links to links, on whatever
//! file system, and whatever a notification may miss, a look does not. Those who accept take
//! the newest offer and do nothing else.
//!
//! *Invariant:* connections keep the offer that they began with. Each offer remembers sessions to
//! resume by itself, so that no session outlives the certificate it began with.

use std::sync::Arc;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::config::Config;
use crate::error::StartupError;
use crate::tls::{Certificate, Contents, Offer, Paths};

/// How often somebody is to look. A renewal is to be seen within a minute.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What new connections are offered. Shared by whoever accepts and whoever renews.
pub(crate) struct Offers(RwLock<Offer>);

impl Offers {
    /// The newest. Waits for nothing but another thread's pointer.
    pub(crate) fn newest(&self) -> Offer {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, offer: Offer) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = offer;
    }
}

/// Keeps an eye on the certificate's files. Owned by one thread; what it returns is for the log.
pub(crate) struct Renewal {
    paths: Paths,
    offers: Arc<Offers>,
    /// The one that is offered.
    served: Certificate,
    /// What the files held, or why they could not be read, at the last look.
    seen: Result<Contents, String>,
    /// Whether nothing is left to say of that.
    is_settled: bool,
    /// How many days were left when somebody was last warned.
    warned_at_days: Option<i64>,
}

impl Renewal {
    /// Reads the certificate of a start, or makes it where there is none.
    pub(crate) fn start(config: &Config) -> Result<Self, StartupError> {
        let paths = Paths::of(config);
        let contents = paths.read_or_make()?;
        let loaded = paths.parse(&contents).map_err(StartupError)?;
        Ok(Self {
            paths,
            offers: Arc::new(Offers(RwLock::new(loaded.offer))),
            served: loaded.certificate,
            seen: Ok(contents),
            is_settled: true,
            warned_at_days: None,
        })
    }

    /// What it keeps up to date.
    pub(crate) fn offers(&self) -> Arc<Offers> {
        Arc::clone(&self.offers)
    }

    /// What is offered, in a line for the log.
    pub(crate) fn describe(&self, now_s: i64) -> String {
        let Certificate { fingerprint, .. } = &self.served;
        format!("certificate SHA-256 {fingerprint}, {}", self.served.describe(now_s))
    }

    /// Looks at the files. From here on new connections are offered what they hold, if it is any
    /// good, else still what they were offered before. Says what came of it where something
    /// did, or where it `is_asked`.
    pub(crate) fn look(&mut self, is_asked: bool, now_s: i64) -> Option<String> {
        let found = self.paths.read();
        let is_new = found != self.seen;
        if !is_asked && !is_new && self.is_settled {
            return None;
        }
        let outcome = match &found {
            Ok(contents) => self.paths.parse(contents),
            Err(problem) => Err(problem.clone()),
        };
        self.seen = found;
        match outcome {
            Ok(loaded) => {
                self.offers.replace(loaded.offer);
                self.served = loaded.certificate;
                self.is_settled = true;
                self.warned_at_days = None;
                Some(self.describe(now_s))
            }
            Err(problem) => {
                // Whoever replaces two files is between them for a moment: a second look first.
                self.is_settled = is_asked || !is_new;
                let served =
                    || format!("{problem}; what clients see is still {}", self.describe(now_s));
                self.is_settled.then(served)
            }
        }
    }

    /// What to warn of: from two weeks before the certificate expires, once for each day.
    pub(crate) fn warn(&mut self, now_s: i64) -> Option<String> {
        let problem = self.served.find_date_problem(now_s)?;
        let days_left = Some(self.served.days_left(now_s));
        if self.warned_at_days == days_left {
            return None;
        }
        self.warned_at_days = days_left;
        Some(format!("the certificate {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{env, fs, process};

    use super::*;
    use crate::date::DAY_S;

    /// What was made at the first start in a folder of its own, which is removed.
    struct Made {
        folder: PathBuf,
        renewal: Renewal,
        end_s: i64,
    }

    impl Drop for Made {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.folder).ok();
        }
    }

    fn make(name: &str) -> Made {
        let folder = env::temp_dir().join(format!("aster-renewal-{}-{name}", process::id()));
        fs::create_dir(&folder).unwrap();
        let renewal = Renewal::start(&Config::parse("{}", &folder).unwrap()).unwrap();
        let end_s = renewal.served.not_after;
        Made { folder, renewal, end_s }
    }

    #[test]
    fn a_problem_is_told_of_at_the_second_look_and_once_for_each_state_of_the_files() {
        let other = make("other");
        let mut made = make("mine");
        let write = |name: &str, text: &[u8]| fs::write(made.folder.join(name), text).unwrap();
        let taken = |name: &str| fs::read(other.folder.join(name)).unwrap();
        let mut looks = |is_asked| made.renewal.look(is_asked, 0);
        assert_eq!([(); 3].map(|()| looks(false)), [None, None, None]);
        assert!(looks(true).unwrap().starts_with("certificate SHA-256 "));

        // Between the two files of a renewal: not a word.
        write("cert.pem", &taken("cert.pem"));
        assert_eq!(looks(false), None);
        write("key.pem", &taken("key.pem"));
        let said = looks(false).unwrap();
        assert!(
            said.starts_with(&format!("certificate SHA-256 {}", other.renewal.served.fingerprint))
        );
        assert_eq!(looks(false), None);

        // It stays so: once. Another state of the files: once more.
        for broken in ["x", "y"] {
            write("key.pem", broken.as_bytes());
            assert_eq!(looks(false), None);
            let said = looks(false).unwrap();
            assert!(said.contains("key.pem: ") && said.contains(" is still certificate SHA-256 "));
            assert_eq!([(); 9].map(|()| looks(false)), [const { None }; 9]);
            assert!(looks(true).is_some(), "asked, it says nothing");
        }
        // Nothing is made anew, and what comes back is told of.
        fs::remove_file(made.folder.join("cert.pem")).unwrap();
        fs::remove_file(made.folder.join("key.pem")).unwrap();
        assert_eq!(looks(false), None);
        assert!(looks(false).unwrap().starts_with("certificate_chain: "));
        assert_eq!(looks(false), None);
        assert!(!made.folder.join("cert.pem").exists());
        write("key.pem", &taken("key.pem"));
        write("cert.pem", &taken("cert.pem"));
        assert!(looks(false).unwrap().starts_with("certificate SHA-256 "));
    }

    #[test]
    fn it_warns_daily_from_two_weeks_before_the_end_on() {
        let mut made = make("ending");
        // An hour of the server's time at each step, from 16 days before the end to 2 days after it.
        let hours = (made.end_s - 16 * DAY_S..made.end_s + 2 * DAY_S).step_by(3600);
        let said: Vec<(i64, String)> = hours
            .filter_map(|now_s| {
                let left = (made.end_s - now_s).div_euclid(DAY_S);
                made.renewal.warn(now_s).map(|line| (left, line))
            })
            .collect();
        let days: Vec<i64> = said.iter().map(|(left, _)| *left).collect();
        assert_eq!(days, (-2..14).rev().collect::<Vec<i64>>());
        assert!(said[0].1.starts_with("the certificate expires in 13 days, "), "{}", said[0].1);
        assert!(said[13].1.starts_with("the certificate expires within a day; "), "{}", said[13].1);
        assert!(said[14].1.starts_with("the certificate expired "), "{}", said[14].1);
        assert!(said.iter().all(|(_, line)| line.ends_with("start the server again")));
    }
}
