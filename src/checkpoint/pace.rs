//! When to close an epoch: the only place where clocks meet checkpoints.

use std::time::{Duration, Instant};

/// The limits that the settings `checkpoint.interval` and `checkpoint.min-pause` set.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one close to the next.
    pub interval: Duration,
    /// At least this long from the proof of a commit to the next close.
    pub min_pause: Duration,
}

/// What the coordinator sees when it asks.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// When the previous epoch was closed, or the dataflow started.
    pub last_close: Instant,
    /// When the previous commit was proved; `None` before the first.
    pub last_commit: Option<Instant>,
    /// True while a closed epoch waits for its commit.
    pub outstanding: bool,
    /// The run ends: everything read so far is to be committed.
    pub finish: bool,
    /// Somebody waits for a commit (a full budget): the interval need not be over.
    pub urgent: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close the open epoch.
    Close,
    /// Close the open epoch as the last one.
    CloseLast,
    /// Nothing before this much time has passed.
    WaitFor(Duration),
    /// Nothing before the outstanding commit is proved.
    WaitForCommit,
}

impl Pace {
    /// | outstanding commit | finish | interval over, or urgent | pause over | step |
    /// |---|---|---|---|---|
    /// | yes | – | – | – | wait for the commit |
    /// | no | yes | – | – | close, last |
    /// | no | no | yes | yes | close |
    /// | no | no | otherwise | | wait for what is left of both |
    pub fn step(&self, observed: &Observed, now: Instant) -> Step {
        if observed.outstanding {
            return Step::WaitForCommit;
        }
        if observed.finish {
            return Step::CloseLast;
        }
        let interval_left = if observed.urgent {
            Duration::ZERO
        } else {
            self.interval
                .saturating_sub(now.saturating_duration_since(observed.last_close))
        };
        let pause_left = observed.last_commit.map_or(Duration::ZERO, |commit| {
            self.min_pause
                .saturating_sub(now.saturating_duration_since(commit))
        });
        let left = interval_left.max(pause_left);
        if left.is_zero() {
            Step::Close
        } else {
            Step::WaitFor(left)
        }
    }
}

#[cfg(test)]
mod tests;
