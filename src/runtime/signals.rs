//! SIGTERM and SIGINT: the first drains, the second stops at once.

use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::error::{Error, Result};
use crate::process::Process;

/// Listens until dropped.
pub(super) struct Listener(Handle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Starts listening for the process.
pub(super) fn listen(process: Arc<Process>) -> Result<Listener> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Error::internal("signals can't be handled").caused_by(error))?;
    let handle = signals.handle();
    std::thread::Builder::new()
        .name("calve-signals".to_owned())
        .spawn(move || {
            let mut again = false;
            for signal in signals.forever() {
                // A drain that was asked for otherwise may still have a savepoint to write.
                if std::mem::replace(&mut again, true) {
                    tracing::warn!(
                        "stopped at once: records of the open checkpoint are read again at the \
                         next start, nothing is lost"
                    );
                    // The convention of shells for a process that a signal ended.
                    std::process::exit(128 + signal);
                }
                tracing::info!(
                    "draining: no more records are read, a last checkpoint is made (a second \
                     signal stops at once)"
                );
                if !process.has_workers() {
                    // Still waiting for the other processes: nothing was read, nothing is open.
                    std::process::exit(0);
                }
                process.request_drain_soon();
            }
        })
        .map_err(|error| Error::internal("no thread for signals").caused_by(error))?;
    Ok(Listener(handle))
}
