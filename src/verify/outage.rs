//! The longest time that the settings let a pipeline go on without a commit: what Kafka must keep its records for.

use std::time::Duration;

use super::words::span;
use crate::config::{Checkpoint, Restart, RestartStrategy};

/// How that time comes about.
///
/// ```text
///   (tolerable failed + 1) × (interval or pause + timeout)   each checkpoint waits its turn, and fails at its timeout
/// + the longest delay before a restart                       of the strategy
/// + interval + timeout                                       the first checkpoint after it is the last that may succeed
/// ```
///
/// An outage may last longer: `exponential-delay` goes on for ever, and a process that has ended waits for somebody.
/// But within this time nobody is to blame for anything, so records must not go in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Checkpoints that fail, one after the other.
    pub failures: u32,
    /// From the start of one checkpoint to its failure.
    pub each: Duration,
    /// The longest delay before the restart; nothing if the process ends.
    pub restart: Option<Duration>,
}

impl Outage {
    /// Of these settings.
    pub fn of(checkpoint: &Checkpoint, restart: &Restart) -> Self {
        let waits = checkpoint.interval.max(checkpoint.min_pause());
        Self {
            failures: checkpoint.tolerable_failed.saturating_add(1),
            each: waits.saturating_add(checkpoint.timeout),
            restart: match restart.strategy {
                RestartStrategy::None => None,
                RestartStrategy::FixedDelay => Some(restart.fixed_delay),
                RestartStrategy::ExponentialDelay => Some(restart.max_backoff),
                RestartStrategy::FailureRate => Some(restart.failure_rate_delay),
            },
        }
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        let failing = self.each.saturating_mul(self.failures);
        let again = self
            .restart
            .map_or(Duration::ZERO, |delay| delay.saturating_add(self.each));
        failing.saturating_add(again)
    }

    /// In words, with how it comes about.
    pub fn says(&self) -> String {
        let failing = format!("{} × {}", self.failures, span(self.each));
        let restart = match self.restart {
            Some(delay) => format!(" + restart {} + {}", span(delay), span(self.each)),
            None => ", then the process ends".to_owned(),
        };
        format!("{} ({failing}{restart})", span(self.total()))
    }
}
