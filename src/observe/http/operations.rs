//! What was asked for through the API and takes its time: checkpoints, savepoints, stops.
//!
//! As in Flink, whoever asks gets an id at once and looks later what became of it. An operation is remembered until
//! many newer ones have come; one that ends the pipeline keeps the process for a moment, so that its end can be told.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::time::Epoch;

/// So many operations are remembered.
const REMEMBERED: usize = 1_000;
/// So many may be under way at once: each waits for the same next epoch.
const UNDER_WAY_MAX: usize = 100;
/// How long the end of the process waits for operations: a savepoint may be on its way to S3.
const END_PATIENCE: Duration = Duration::from_secs(30);
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

    /// Waits until all have ended and been told. Returns why a stop's savepoint is missing, if one is.
    pub(super) async fn settle(&self) -> Option<String> {
        let ended = self.until(|operation| operation.outcome.is_some());
        let _ = timeout(END_PATIENCE, ended).await;
        let told = self.until(Operation::is_told);
        let _ = timeout(TELL_PATIENCE, told).await;
        let known = self.known();
        let of_stops = known
            .iter()
            .filter(|operation| operation.kind == Kind::Savepoint { stop: true });
        let mut missing = of_stops.filter_map(|operation| match &operation.outcome {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(reason.clone()),
            None => Some(format!("it was not written within {END_PATIENCE:?}")),
        });
        missing.next_back()
    }

    fn until(&self, all: impl Fn(&Operation) -> bool) -> impl Future<Output = ()> {
        async move {
            loop {
                let changed = self.changed.notified();
                if self.known().iter().all(&all) {
                    return;
                }
                changed.await;
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Operation>> {
        // Every statement under this lock leaves the list valid.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
