//! What a running pipeline can be asked from outside, and what it tells: the desk between the REST API
//! and the dataflow.
//!
//! ```text
//!   REST API, CLI ── ask ──▶ ┌─────────┐ ── is anybody asking? ──▶ coordinator (closes an epoch for it)
//!                            │ Control │
//!            answer ◀─────── └─────────┘ ◀── durable, failed ───── commit (has proved it, or not)
//! ```
//!
//! An ask is answered when its epoch is *durable*, never before; or with the reason why it will not be. Every ask is
//! answered: one that nothing came of is answered by the end of the dataflow ([`Control::dataflow_ended`]). Asks that
//! come while a commit is under way share the next epoch.
//!
//! One [`Control`] lives as long as the operating-system process, across restarts of the dataflow, and nothing in it
//! ever blocks: the dataflow takes a short lock once a checkpoint. It belongs to process 0 of a run, where coordinator
//! and commit are; the others have one that nobody asks.

mod graph;
mod history;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use timely::scheduling::SyncActivator;
use tokio::sync::oneshot;

use crate::error::Result;
use crate::time::Epoch;

pub use graph::{Graph, Operator};
pub use history::{Counts, History, Proof, Record, Restored, Status, Trigger, now_ms};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A checkpoint now, whatever interval and pause say.
    Checkpoint,
    /// The same, to be kept as a savepoint.
    Savepoint,
    /// The last checkpoint of the run, which somebody ends: no other is good enough, for records may follow it.
    LastCheckpoint,
    /// The same, to be kept as a savepoint.
    LastSavepoint,
}

impl Ask {
    fn is_of_the_last(self) -> bool {
        matches!(self, Self::LastCheckpoint | Self::LastSavepoint)
    }

    fn is_for_a_savepoint(self) -> bool {
        matches!(self, Self::Savepoint | Self::LastSavepoint)
    }
}

/// The answer: an epoch that is in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The epoch that was closed for the ask.
    pub epoch: Epoch,
    /// The marker that the table stands at, as its property says it.
    pub marker: String,
    /// The snapshot with which that marker was committed, if it is retained.
    pub snapshot_id: Option<i64>,
}

/// The answer, or why there is none.
pub type Answer = Result<Durable, String>;

/// Where savepoints are written.
#[async_trait]
pub trait Savepoints: Send + Sync + fmt::Debug {
    /// Makes a place for a new savepoint in `directory`, and makes sure that something can be written there: better
    /// found out before the pipeline is stopped for it.
    async fn prepare(&self, directory: &str) -> Result<String>;

    /// Writes it to its place: afterwards it is whole and durable.
    async fn complete(&self, location: &str, durable: &Durable) -> Result<()>;
}

/// Where the life of a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The first start is under way.
    Starting,
    /// The dataflow runs.
    Running,
    /// It has failed, and waits for its next start or begins it.
    Restarting,
    /// It has ended in order.
    Finished,
    /// It was cancelled.
    Cancelled,
    /// It has failed for good.
    Failed,
}

/// A failure of the dataflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What happened.
    pub reason: String,
}

/// A savepoint that is being made, from before its checkpoint is asked for until it is written or has failed.
#[derive(Debug)]
pub struct SavepointUnderWay {
    _counted: Arc<()>,
}

/// So many failures are remembered.
const FAILURES_MAX: usize = 20;

/// The desk. See the [module](self).
#[derive(Debug)]
pub struct Control {
    cancelled: AtomicBool,
    /// Counts the savepoints that are being made.
    savepoints: Arc<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When each phase began last.
    since: BTreeMap<Phase, i64>,
    coordinator: Option<SyncActivator>,
    /// Asks that no epoch was closed for yet.
    waiting: Vec<Waiting>,
    /// Asks by the epoch that was closed for them.
    closed: BTreeMap<Epoch, Vec<Waiting>>,
    history: History,
    failures: Vec<Failure>,
    savepoints: Option<Arc<dyn Savepoints>>,
    graph: Arc<Graph>,
}

#[derive(Debug)]
struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Answer>,
}

impl Default for Control {
    fn default() -> Self {
        let phase = Phase::Starting;
        Self {
            cancelled: AtomicBool::new(false),
            savepoints: Arc::default(),
            state: Mutex::new(State {
                phase,
                since: BTreeMap::from([(phase, now_ms())]),
                coordinator: None,
                waiting: Vec::new(),
                closed: BTreeMap::new(),
                history: History::default(),
                failures: Vec::new(),
                savepoints: None,
                graph: Arc::default(),
            }),
        }
    }
}

/// For whoever asks.
impl Control {
    /// Asks; the answer comes when the epoch is durable. Refused at once if no dataflow runs.
    pub fn ask(&self, ask: Ask) -> Result<oneshot::Receiver<Answer>, String> {
        let mut state = self.state();
        let Some(coordinator) = &state.coordinator else {
            return Err(match state.phase {
                Phase::Starting => "the pipeline is still starting",
                Phase::Running | Phase::Restarting => "the pipeline waits for its restart",
                Phase::Finished | Phase::Cancelled | Phase::Failed => "the pipeline has ended",
            }
            .to_owned());
        };
        // An error means that the dataflow is ending: its end will answer.
        let _ = coordinator.activate();
        let (answer, answered) = oneshot::channel();
        state.waiting.push(Waiting { ask, answer });
        Ok(answered)
    }

    /// Where savepoints are written; none before the first start has succeeded.
    pub fn savepoints(&self) -> Option<Arc<dyn Savepoints>> {
        self.state().savepoints.clone()
    }

    /// A savepoint is about to be asked for.
    pub fn savepoint_begins(&self) -> SavepointUnderWay {
        SavepointUnderWay {
            _counted: Arc::clone(&self.savepoints),
        }
    }

    /// True while a savepoint is being made: whatever its marker may name must stay until it is copied.
    pub fn makes_savepoint(&self) -> bool {
        Arc::strong_count(&self.savepoints) > 1
    }

    /// Where the process stands, and when each phase began last, in milliseconds since 1970.
    pub fn phase(&self) -> (Phase, BTreeMap<Phase, i64>) {
        let state = self.state();
        (state.phase, state.since.clone())
    }

    /// Reads the history of the checkpoints.
    pub fn read_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.state().history)
    }

    /// The dataflow; empty before it is built.
    pub fn graph(&self) -> Arc<Graph> {
        Arc::clone(&self.state().graph)
    }

    /// The last failures of the dataflow, oldest first.
    pub fn failures(&self) -> Vec<Failure> {
        self.state().failures.clone()
    }

    /// Notes where a savepoint of `epoch` was written.
    pub fn savepoint_written(&self, epoch: Epoch, location: &str) {
        self.state().history.savepoint_written(epoch, location);
    }

    /// Notes that the run is to end at once.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// True once [`Control::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// For the coordinator.
impl Control {
    /// From now on asks are taken; each activates `coordinator`.
    pub fn take_asks(&self, coordinator: SyncActivator) {
        self.state().coordinator = Some(coordinator);
    }

    /// True if somebody waits for a close. Who waits for the last one waits for the end of the run.
    pub fn is_asked(&self) -> bool {
        let state = self.state();
        let mut waiting = state.waiting.iter();
        waiting.any(|waiting| !waiting.ask.is_of_the_last())
    }

    /// An epoch was closed, the last one of the run or not: all who are waiting for such a one wait for this one now.
    pub fn closed(&self, epoch: Epoch, last: bool) {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting).into_iter();
        let (asks, later): (Vec<_>, Vec<_>) =
            waiting.partition(|waiting| last || !waiting.ask.is_of_the_last());
        state.waiting = later;
        let trigger = if asks.iter().any(|waiting| waiting.ask.is_for_a_savepoint()) {
            Trigger::Savepoint
        } else if asks.is_empty() {
            Trigger::Periodic
        } else {
            Trigger::Manual
        };
        state.history.triggered(epoch, trigger);
        if !asks.is_empty() {
            state.closed.insert(epoch, asks);
        }
    }
}

/// For the commit operator.
impl Control {
    /// True if somebody waits for `epoch`, and wants its end in the table though it may have no rows.
    pub fn is_awaited(&self, epoch: Epoch) -> bool {
        self.state().closed.contains_key(&epoch)
    }

    /// The commit of `epoch` is proved, or it had nothing to commit. `durable` is for those who wait for it.
    pub fn durable(&self, epoch: Epoch, proof: Proof, durable: impl FnOnce() -> Answer) {
        let mut state = self.state();
        state.history.completed(epoch, proof);
        if let Some(asks) = state.closed.remove(&epoch) {
            drop(state);
            answer(asks, &durable());
        }
    }

    /// The commit of `epoch` could not be proved; its files ride with the next one.
    pub fn failed(&self, epoch: Epoch, reason: &str) {
        let mut state = self.state();
        state.history.failed(epoch, reason);
        if let Some(asks) = state.closed.remove(&epoch) {
            drop(state);
            answer(asks, &Err(reason.to_owned()));
        }
    }
}

/// For whoever starts and ends the dataflow.
impl Control {
    /// From now on savepoints can be written.
    pub fn write_savepoints_with(&self, savepoints: Arc<dyn Savepoints>) {
        self.state().savepoints = Some(savepoints);
    }

    /// The dataflow is built, and looks like this.
    pub fn built(&self, graph: Graph) {
        self.state().graph = Arc::new(graph);
    }

    /// The dataflow goes on from this epoch of the table's marker.
    pub fn restored(&self, epoch: Epoch, savepoint: Option<&str>) {
        self.state().history.restored(epoch, savepoint);
    }

    /// The process has come to another phase.
    pub fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since.insert(phase, now_ms());
    }

    /// The dataflow is over, with this failure or in order: nobody waits any longer.
    pub fn dataflow_ended(&self, failure: Option<&str>) {
        let mut state = self.state();
        state.coordinator = None;
        if let Some(reason) = failure {
            if state.failures.len() == FAILURES_MAX {
                state.failures.remove(0);
            }
            state.failures.push(Failure {
                at_ms: now_ms(),
                reason: reason.to_owned(),
            });
        }
        let reason = failure.unwrap_or("the pipeline has ended");
        state.history.abandoned(reason);
        let mut asks = std::mem::take(&mut state.waiting);
        asks.extend(std::mem::take(&mut state.closed).into_values().flatten());
        drop(state);
        answer(asks, &Err(reason.to_owned()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement under this lock leaves the state valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(asks: Vec<Waiting>, answer: &Answer) {
    for waiting in asks {
        // An error means that whoever asked has left.
        let _ = waiting.answer.send(answer.clone());
    }
}
