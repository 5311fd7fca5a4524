//! Whether the dataflow is started again after a failure, and when: the policy, without a clock or dice of
//! its own. The loop that asks stands in [`super::launch`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::{Restart, RestartStrategy};

/// So many failures are remembered one by one: no strategy counts more of them within its interval.
const REMEMBERED: usize = 1_001;

/// The end of a dataflow that nobody had wished for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// When.
    pub at: Instant,
    /// How long it had run; `None` if its start did not succeed.
    pub ran: Option<Duration>,
    /// The error can't pass by itself.
    pub permanent: bool,
    /// The process was asked to drain.
    pub draining: bool,
}

/// All failures of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    last: VecDeque<Failure>,
    total: u64,
    started: bool,
}

impl History {
    /// Adds the newest.
    pub(super) fn add(&mut self, failure: Failure) {
        self.total += 1;
        self.started |= failure.ran.is_some();
        self.last.push_back(failure);
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// How many failures, up to the last one, came without a run of at least `threshold` before them.
    /// The very first has nothing before it.
    fn in_a_row(&self, threshold: Duration) -> usize {
        let after_the_first = self.last.iter().skip(1).rev();
        after_the_first
            .take_while(|failure| failure.ran.is_none_or(|ran| ran < threshold))
            .count()
    }

    /// How many there were in the time up to the last one.
    fn within(&self, interval: Duration, last: &Failure) -> usize {
        let is_within = |failure: &&Failure| last.at.duration_since(failure.at) < interval;
        self.last.iter().rev().take_while(is_within).count()
    }
}

/// What is done about the last failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The dataflow is started again after this time.
    RestartIn(Duration),
    /// The process ends with the error, for this reason.
    GiveUp(&'static str),
    /// The process ends in order: it was asked to, and nothing is open.
    End,
}

/// Decides about the last failure of `history`. `chance` is a random number from 0 to 1.
///
/// | permanent | any start has succeeded | draining | this start succeeded | strategy | verdict |
/// |---|---|---|---|---|---|
/// | yes | – | – | – | – | give up |
/// | no | no | – | – | – | give up: whoever starts it is there to be told |
/// | no | yes | yes | yes | – | give up: something was open and is not committed |
/// | no | yes | yes | no | – | end |
/// | no | yes | no | – | `none` | give up |
/// | no | yes | no | – | `fixed-delay` | up to `attempts` restarts, each after `delay` |
/// | no | yes | no | – | `exponential-delay` | restart after `initial-backoff` × `backoff-multiplier` ^ failures in a row, at most `max-backoff` |
/// | no | yes | no | – | `failure-rate` | restart after `delay`, unless more than `max-failures-per-interval` |
pub(super) fn decide(restart: &Restart, history: &History, chance: f64) -> Verdict {
    let Some(last) = history.last.back() else {
        return Verdict::End;
    };
    if last.permanent {
        return Verdict::GiveUp("this failure does not pass by itself");
    }
    if !history.started {
        return Verdict::GiveUp("the first start has to succeed");
    }
    if last.draining {
        return match last.ran {
            Some(_) => Verdict::GiveUp("it was about to end"),
            None => Verdict::End,
        };
    }
    match restart.strategy {
        RestartStrategy::None => Verdict::GiveUp("restart-strategy.type is none"),
        RestartStrategy::FixedDelay if history.total > u64::from(restart.fixed_attempts) => {
            Verdict::GiveUp("restart-strategy.fixed-delay.attempts are used up")
        }
        RestartStrategy::FixedDelay => Verdict::RestartIn(restart.fixed_delay),
        RestartStrategy::ExponentialDelay => {
            let steps = history.in_a_row(restart.reset_backoff_threshold);
            let longest = restart.max_backoff.as_secs_f64();
            let factor = restart
                .backoff_multiplier
                .powi(i32::try_from(steps).unwrap_or(i32::MAX));
            let delay = (restart.initial_backoff.as_secs_f64() * factor).min(longest);
            let jitter = 1.0 + restart.jitter_factor * (2.0 * chance - 1.0);
            Verdict::RestartIn(Duration::from_secs_f64((delay * jitter).min(longest)))
        }
        RestartStrategy::FailureRate => {
            let failures = history.within(restart.failure_rate_interval, last);
            if failures > restart.max_failures_per_interval as usize {
                Verdict::GiveUp("more than restart-strategy.failure-rate.max-failures-per-interval")
            } else {
                Verdict::RestartIn(restart.failure_rate_delay)
            }
        }
    }
}

#[cfg(test)]
mod tests;
