//! The wish to stop, raised once, that any thread may look at or wait for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether the server is on its way out. Shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct Stopping {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    /// From here on the server stops. Wakes all that pause.
    pub(crate) fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether the server stops.
    pub(crate) fn is_raised(&self) -> bool {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, but not into the stop.
    pub(crate) fn pause(&self, duration: Duration) {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(raised, duration, |raised| !*raised));
    }
}
