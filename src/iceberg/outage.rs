//! What is said of a catalog that does not answer: the first failure at once, then ever more seldom,
//! and once more when it is over.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

/// From the first word to the second; it doubles each time.
const SILENCE_MIN: Duration = Duration::from_secs(1);
/// An outage is never passed over in silence for longer than this.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// An outage, from its first failure on.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Ongoing>);

#[derive(Debug)]
struct Ongoing {
    since: Instant,
    silent_until: Instant,
    silence: Duration,
}

impl Outage {
    /// `what` has failed (again).
    pub(super) fn goes_on(&mut self, what: &str, subject: &dyn Display, error: &str) {
        let now = Instant::now();
        let ongoing = self.0.get_or_insert(Ongoing {
            since: now,
            silent_until: now,
            silence: SILENCE_MIN,
        });
        if now < ongoing.silent_until {
            return;
        }
        ongoing.silent_until = now + ongoing.silence;
        ongoing.silence = (ongoing.silence * 2).min(SILENCE_MAX);
        let seconds = now.duration_since(ongoing.since).as_secs();
        tracing::warn!(%subject, error, seconds, "{what}, trying again");
    }

    /// It has succeeded.
    pub(super) fn is_over(&mut self) {
        if let Some(ongoing) = self.0.take() {
            let seconds = ongoing.since.elapsed().as_secs();
            tracing::info!(seconds, "the catalog and the warehouse answer again");
        }
    }
}
