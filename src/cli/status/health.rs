//! Is a running pipeline well? A pure judgement of what it says of itself.
//!
//! | finding | when |
//! |---|---|
//! | `starting`, `restarting` | the dataflow does not run yet, or not again |
//! | `finished`, `cancelled`, `failed` | it does not run any more |
//! | `checkpoint-failed` | the newest checkpoint that has an outcome could not be proved |
//! | `checkpoint-late` | none was proved for three intervals, since the last one or since it runs |
//! | `restarted` | the dataflow has failed since the last proof: nothing shows yet that the restart was of help |
//! | `lag` | more records lie before the readers than are allowed |
//!
//! Of a pipeline that does not run only that is said: what follows from it is no news.

use indicatif::HumanCount;
use serde::Serialize;

use crate::cli::state::{Phase, State};
use crate::verify::words::{ago, span_ms};

/// The lag that is allowed if nobody says anything else.
pub(in crate::cli) const MAX_LAG: u64 = 100_000;
/// So many intervals may pass without a proof.
const INTERVALS: u64 = 3;

/// Why it is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Finding {
    /// In one word, for programs.
    pub(in crate::cli) is: &'static str,
    /// For people.
    pub(in crate::cli) says: String,
}

impl Finding {
    pub(in crate::cli) fn new(is: &'static str, says: impl Into<String>) -> Self {
        Self {
            is,
            says: says.into(),
        }
    }
}

/// What is not well; nothing if it is.
pub(in crate::cli) fn findings(state: &State, max_lag: u64) -> Vec<Finding> {
    if let Some(finding) = life(state) {
        return vec![finding];
    }
    let found = [
        failed(state),
        late(state),
        restarted(state),
        lag(state, max_lag),
    ];
    found.into_iter().flatten().collect()
}

fn life(state: &State) -> Option<Finding> {
    let since = ago(state.at_ms, state.phase_since_ms);
    let says = match state.phase {
        Phase::Running => return None,
        Phase::Starting => format!("it has been starting for {since}"),
        Phase::Restarting => match state.failures.last() {
            Some(failure) => format!("it has waited {since} for its restart: {}", failure.reason),
            None => format!("it has waited {since} for its restart"),
        },
        Phase::Finished => "it has ended in order".to_owned(),
        Phase::Cancelled => "it was cancelled".to_owned(),
        Phase::Failed => match state.failures.last() {
            Some(failure) => format!("it has failed: {}", failure.reason),
            None => "it has failed".to_owned(),
        },
    };
    Some(Finding::new(state.phase.word(), says))
}

/// When the newest durable checkpoint was proved.
fn proved_ms(state: &State) -> Option<i64> {
    let newest = state.checkpoints.latest.durable()?;
    Some(newest.ended_ms())
}

fn failed(state: &State) -> Option<Finding> {
    let failed = state.checkpoints.latest.failed.as_ref()?;
    let newest = proved_ms(state).is_none_or(|proved| failed.ended_ms() > proved);
    let because = failed.failure.as_deref().unwrap_or("nobody says why");
    newest.then(|| {
        Finding::new(
            "checkpoint-failed",
            format!(
                "the last checkpoint, epoch {}, failed (nothing is lost: its files ride with the next one): {because}",
                failed.epoch
            ),
        )
    })
}

fn late(state: &State) -> Option<Finding> {
    let pace = &state.checkpoints.config;
    // The pause decides if it is longer.
    let limit = INTERVALS * pace.interval_ms.max(pace.min_pause_ms);
    let since = proved_ms(state).map_or(state.phase_since_ms, |at| at.max(state.phase_since_ms));
    let waited = u64::try_from(state.at_ms - since).unwrap_or_default();
    (waited > limit).then(|| {
        Finding::new(
            "checkpoint-late",
            format!(
                "no checkpoint for {}, where one every {} is due",
                ago(state.at_ms, since),
                span_ms(pace.interval_ms)
            ),
        )
    })
}

fn restarted(state: &State) -> Option<Finding> {
    let failure = state.failures.last()?;
    let unproved = proved_ms(state).is_none_or(|proved| failure.at_ms > proved);
    unproved.then(|| {
        Finding::new(
            "restarted",
            format!(
                "it failed {} ago and has made no checkpoint since: {}",
                ago(state.at_ms, failure.at_ms),
                failure.reason
            ),
        )
    })
}

fn lag(state: &State, max_lag: u64) -> Option<Finding> {
    let total = state.lag.total;
    (total > max_lag).then(|| {
        Finding::new(
            "lag",
            format!(
                "{} records lie before the readers, more than {} (--max-lag)",
                HumanCount(total),
                HumanCount(max_lag)
            ),
        )
    })
}
