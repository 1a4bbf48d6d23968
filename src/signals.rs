//! SIGTERM, SIGINT and SIGHUP as values.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::error::StartupError;

/// The signals that are waiting to be looked at.
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

/// What came, in whatever number and order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// SIGTERM or SIGINT: the server is to stop.
    pub stop: bool,
    /// SIGHUP: the certificate is to be read again.
    pub reload: bool,
}

impl Signals {
    /// From here on none of them ends the process by itself: they wait until somebody looks. Nor
    /// does SIGXFSZ: past a limit on the size of files a write fails, as on a full disk, and no more.
    pub fn catch() -> Result<Self, StartupError> {
        let catch = || {
            flag::register(SIGXFSZ, Arc::default())?;
            let (read, write) = UnixStream::pair()?;
            SignalDelivery::with_pipe(read, write, SignalOnly, [SIGTERM, SIGINT, SIGHUP])
        };
        catch().map(Self).map_err(|error: io::Error| StartupError::new("signals", error))
    }

    /// Waits until something came, or for so long.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Arrived {
        let timeout = Timespec::try_from(timeout).ok();
        // An interruption is as good as nothing that came.
        poll(&mut [PollFd::new(self.0.get_read(), PollFlags::IN)], timeout.as_ref()).ok();
        let mut arrived = Arrived::default();
        for signal in self.0.pending() {
            match signal {
                SIGHUP => arrived.reload = true,
                _ => arrived.stop = true,
            }
        }
        arrived
    }
}
