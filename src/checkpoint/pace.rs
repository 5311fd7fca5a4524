//! When to close an epoch, and when to give up: the only place where clocks meet checkpoints.

use std::time::{Duration, Instant};

/// The pause after a failed checkpoint is at least this long (or one interval, if that is shorter): a
/// catalog that is away gains nothing from more attempts.
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// The limits that the settings `checkpoint.*` set.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one close to the next.
    pub interval: Duration,
    /// At least this long from the end of a checkpoint to the next close.
    pub min_pause: Duration,
    /// So many checkpoints may fail in a row.
    pub tolerable_failed: u32,
}

/// What the coordinator sees when it asks.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// When the previous epoch was closed, or the dataflow started.
    pub last_close: Instant,
    /// When the previous checkpoint ended, committed or failed; `None` before the first.
    pub last_end: Option<Instant>,
    /// True while a closed epoch waits for the outcome of its commit.
    pub outstanding: bool,
    /// How many checkpoints have failed since the last one that was committed.
    pub failed: u32,
    /// The run ends: everything read so far is to be committed.
    pub finish: bool,
    /// Somebody waits for a commit (a full budget): the interval need not be over.
    pub urgent: bool,
    /// Somebody has asked for a checkpoint: neither interval nor pause need be over.
    pub asked: bool,
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
    /// Nothing before the outstanding commit has ended.
    WaitForCommit,
    /// Too many failures: the dataflow ends.
    GiveUp,
}

impl Pace {
    /// | outstanding commit | failed in a row | finish | asked | interval over, or urgent | pause over | step |
    /// |---|---|---|---|---|---|---|
    /// | yes | – | – | – | – | – | wait for the commit |
    /// | no | more than tolerable | – | – | – | – | give up |
    /// | no | tolerable | yes | – | – | – | close, last |
    /// | no | tolerable | no | yes | – | – | close |
    /// | no | tolerable | no | no | yes | yes | close |
    /// | no | tolerable | no | no | otherwise | | wait for what is left of both |
    ///
    /// As in Flink, min-pause holds for the checkpoints that the interval brings, not for those that somebody wants.
    pub fn step(&self, observed: &Observed, now: Instant) -> Step {
        if observed.outstanding {
            return Step::WaitForCommit;
        }
        if observed.failed > self.tolerable_failed {
            return Step::GiveUp;
        }
        if observed.finish {
            return Step::CloseLast;
        }
        if observed.asked {
            return Step::Close;
        }
        let interval_left = if observed.urgent {
            Duration::ZERO
        } else {
            self.interval
                .saturating_sub(now.saturating_duration_since(observed.last_close))
        };
        let pause = match observed.failed {
            0 => self.min_pause,
            _ => self.min_pause.max(FAILED_PAUSE.min(self.interval)),
        };
        let pause_left = observed.last_end.map_or(Duration::ZERO, |end| {
            pause.saturating_sub(now.saturating_duration_since(end))
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
