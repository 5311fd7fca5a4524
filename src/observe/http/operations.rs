//! What was asked for through the API and takes its time: checkpoints, savepoints, stops.
//!
//! As in Flink, whoever asks gets an id at once and looks later what became of it. An operation is remembered until
//! many newer ones have come; one that ends the pipeline keeps the process for a moment, so that its end can be told.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::time::Epoch;

/// So many operations are remembered.
const REMEMBERED: usize = 1_000;
/// So many may be under way at once: each waits for the same next epoch.
const UNDER_WAY_MAX: usize = 100;
/// How long it then waits for somebody to ask for the outcome: clients ask every two seconds at least.
const TELL_PATIENCE: Duration = Duration::from_secs(5);

/// A kind of operation: each is looked for where it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A savepoint, perhaps with a stop after it.
    Savepoint { stop: bool },
    /// A checkpoint.
    Checkpoint,
    /// A stop without a savepoint.
    Drain,
}

impl Kind {
    /// True if both are looked for in the same place.
    fn is_like(self, other: Kind) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// A good end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// The epoch that is durable.
    pub(super) epoch: Epoch,
    /// Where the savepoint is.
    pub(super) location: Option<String>,
}

/// `None` while it is under way.
pub(super) type Outcome = Option<Result<Done, String>>;

#[derive(Debug)]
struct Operation {
    id: String,
    kind: Kind,
    outcome: Outcome,
    /// When it ended, as long as nobody has seen the outcome.
    untold: Option<Instant>,
}

impl Operation {
    /// Nobody is waiting for the outcome: it was seen, or could have been for long.
    fn is_told(&self) -> bool {
        self.untold
            .is_none_or(|ended| ended.elapsed() > TELL_PATIENCE)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Operations {
    known: Mutex<VecDeque<Operation>>,
    changed: Notify,
}

impl Operations {
    /// Notes a new operation under its id. False if that id is known, or too many are under way.
    pub(super) fn begin(&self, id: &str, kind: Kind) -> Result<bool, &'static str> {
        let mut known = self.known();
        if known.iter().any(|operation| operation.id == id) {
            return Ok(false);
        }
        let under_way = known.iter().filter(|o| o.outcome.is_none()).count();
        if under_way >= UNDER_WAY_MAX {
            return Err("too many operations are under way: wait for some of them");
        }
        if known.len() == REMEMBERED
            && let Some(oldest) = known.iter().position(|o| o.outcome.is_some())
        {
            known.remove(oldest);
        }
        known.push_back(Operation {
            id: id.to_owned(),
            kind,
            outcome: None,
            untold: None,
        });
        Ok(true)
    }

    /// Notes how an operation has ended.
    pub(super) fn end(&self, id: &str, outcome: Result<Done, String>) {
        let mut known = self.known();
        if let Some(operation) = known.iter_mut().find(|operation| operation.id == id) {
            operation.outcome = Some(outcome);
            operation.untold = Some(Instant::now());
        }
        drop(known);
        self.changed.notify_waiters();
    }

    /// What became of an operation; `None` if it is not known in this place.
    pub(super) fn look(&self, id: &str, kind: Kind) -> Option<Outcome> {
        let mut known = self.known();
        let operation = known
            .iter_mut()
            .find(|operation| operation.id == id && operation.kind.is_like(kind))?;
        operation.untold = None;
        let outcome = operation.outcome.clone();
        drop(known);
        self.changed.notify_waiters();
        Some(outcome)
    }

    /// Waits until all have ended, but not longer than `patience`, and been told: a savepoint with its state may be on
    /// its way to S3. Returns why a stop's savepoint is missing, if one is.
    pub(super) async fn settle(&self, patience: Duration) -> Option<String> {
        let ended = self.until(|operation| operation.outcome.is_some());
        let _ = timeout(patience, ended).await;
        let told = self.until(Operation::is_told);
        let _ = timeout(TELL_PATIENCE, told).await;
        let known = self.known();
        let of_stops = known
            .iter()
            .filter(|operation| operation.kind == Kind::Savepoint { stop: true });
        let mut missing = of_stops.filter_map(|operation| match &operation.outcome {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(reason.clone()),
            None => Some(format!(
                "it was not written within {patience:?} (checkpoint.timeout)"
            )),
        });
        missing.next_back()
    }

    async fn until(&self, all: impl Fn(&Operation) -> bool) {
        loop {
            let changed = self.changed.notified();
            if self.known().iter().all(&all) {
                return;
            }
            changed.await;
        }
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Operation>> {
        // Every statement under this lock leaves the list valid.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const STOP: Kind = Kind::Savepoint { stop: true };
    const SAVEPOINT: Kind = Kind::Savepoint { stop: false };

    fn done(epoch: u64) -> Result<Done, String> {
        Ok(Done {
            epoch: Epoch(epoch),
            location: None,
        })
    }

    #[test]
    fn the_same_id_again_begins_nothing() {
        let operations = Operations::default();
        assert_eq!(operations.begin("a", Kind::Checkpoint), Ok(true));
        assert_eq!(operations.begin("a", Kind::Checkpoint), Ok(false));
        operations.end("a", done(1));
        assert_eq!(operations.begin("a", STOP), Ok(false));
    }

    #[test]
    fn an_outcome_is_found_where_it_was_asked_for_and_nowhere_else() {
        let operations = Operations::default();
        operations.begin("a", STOP).unwrap();
        assert_eq!(operations.look("a", SAVEPOINT), Some(None), "under way");
        operations.end("a", done(7));
        assert_eq!(operations.look("a", SAVEPOINT), Some(Some(done(7))));
        assert_eq!(operations.look("a", Kind::Checkpoint), None);
        assert_eq!(operations.look("b", SAVEPOINT), None);
    }

    #[test]
    fn what_is_remembered_and_what_is_under_way_is_bounded() {
        let operations = Operations::default();
        for index in 0..2 * REMEMBERED {
            let id = index.to_string();
            operations.begin(&id, Kind::Drain).unwrap();
            operations.end(&id, done(1));
        }
        assert_eq!(operations.known().len(), REMEMBERED);
        for index in 0..UNDER_WAY_MAX {
            let id = format!("open {index}");
            assert_eq!(operations.begin(&id, Kind::Drain), Ok(true));
        }
        assert!(operations.begin("one more", Kind::Drain).is_err());
        assert_eq!(operations.known().len(), REMEMBERED);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_until_a_stop_is_told_but_not_for_ever() {
        let operations = std::sync::Arc::new(Operations::default());
        operations.begin("a", STOP).unwrap();
        let ending = std::sync::Arc::clone(&operations);
        let end = tokio::spawn(async move { ending.settle(PATIENCE).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        operations.end("a", Err("no room on the disk".to_owned()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!end.is_finished(), "nobody has been told");
        operations.look("a", STOP);
        let missing = end.await.unwrap();
        assert_eq!(missing.as_deref(), Some("no room on the disk"));
        // Nobody ever asks again.
        operations.begin("b", STOP).unwrap();
        operations.end("b", done(1));
        let begin = tokio::time::Instant::now();
        operations.settle(PATIENCE).await;
        let waited = begin.elapsed();
        assert!(waited >= TELL_PATIENCE && waited < PATIENCE, "{waited:?}");
    }
}
