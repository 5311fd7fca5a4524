//! `stateful`: an operator with a memory that is part of every checkpoint.
//!
//! ```text
//!             ┌──────────────────────────────┐  what the logic makes of it
//!  rows of    │  logic(state, rows) of one   │────────────────────────────▶
//!  my keys ──▶│  epoch after the other       │
//!             │  end of e: local snapshot ───┼─▶ upload ─▶ report of e      the commit of e waits
//!             └──────────────────────────────┘  (async)   ───────────────▶  for those of all workers
//! ```
//!
//! * Epochs never mix in the state: what arrives of a later epoch waits until the frontier has passed the
//!   earlier one, and its snapshot is taken. It waits within the sources' budgets.
//! * Every worker reports at the end of every epoch, rows or not, as every source emits a cut. The operator
//!   holds the open epoch's capability for its reports itself, so an epoch can't become durable unless its
//!   report is there, whatever fails.
//! * A snapshot stops nobody: its files are written and uploaded beside the next epoch. The upload keeps a capability for the
//!   report; the operator goes on with the next epoch meanwhile.
//! * An epoch in which nothing arrived has the state of the one before: the last part is reported once more,
//!   and nothing is taken or uploaded.
//! * An upload is tried again until `checkpoint.timeout`, or for a while after a signal to end; then the report
//!   says so, and the checkpoint has failed as by a commit that can't be proved: its files ride with the next one,
//!   whose state counts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Stream, StreamVec};
use tokio::time::sleep;

use crate::checkpoint::state::{Part, Report};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::process::Process;
use crate::retry;
use crate::state::{LocalSnapshot, MaxParallelism, SnapshotStore, StatePart, StateStore};
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// How long an upload may take after a signal to end: that of the last epoch may follow on one that hangs, and both are
/// to be over before a supervisor kills the process, which most do after 30 s.
const DRAIN_PATIENCE: Duration = Duration::from_secs(12);

/// One worker's part of the state of one operator, until the operator takes it. A dataflow gets it from `Job::state`.
pub struct State<'scope> {
    pub(crate) store: StateStore,
    /// Where its snapshots go.
    pub(crate) snapshots: SnapshotStore,
    /// The generation that makes them.
    pub(crate) generation: Generation,
    /// The number of workers.
    pub(crate) peers: usize,
    /// The first epoch of this run.
    pub(crate) first: Epoch,
    /// How long an upload may take.
    pub(crate) timeout: Duration,
    pub(crate) process: Arc<Process>,
    /// Where the commit finds the operator's reports.
    pub(crate) reports: Reports<'scope>,
}

/// The reports of a dataflow's stateful operators, one stream each.
pub(crate) type Reports<'scope> = Rc<RefCell<Vec<StreamVec<'scope, Epoch, Report>>>>;

impl State<'_> {
    /// The store, to declare what is in it: values, maps and lists by key.
    pub fn store(&mut self) -> &mut StateStore {
        &mut self.store
    }

    /// Which worker holds which key.
    pub(super) fn owners(&self) -> Owners {
        Owners {
            max_parallelism: self.store.assignment().max_parallelism,
            peers: self.peers,
        }
    }

    pub(super) fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process)
    }
}

/// Which worker holds which key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners {
    pub(super) max_parallelism: MaxParallelism,
    pub(super) peers: usize,
}

impl Owners {
    pub(super) fn of<K: Serialize + ?Sized>(&self, key: &K) -> Result<usize> {
        let group = self.max_parallelism.group_of_key(key)?;
        Ok(self.max_parallelism.worker_of(group, self.peers))
    }
}

/// Works with a memory.
///
/// A dataflow that passes on every hundredth record of each user:
///
/// ```no_run
/// use calve::prelude::*;
///
/// const SAMPLED: Dataflow = Dataflow::new("sampled", "Every hundredth record of each user", build)
///     .keeping(&["sample"]);
///
/// fn build(job: &Job<'_>) -> Result<()> {
///     let user = job.key_columns(&["user_id"])?;
///     let mut state = job.state("sample")?;
///     let counts: ValueState<Key, u64> = state.store().value("count", None)?;
///     let rows = job.rows()?.keyed(user.clone(), &state);
///     let sampled = rows.stateful(state, move |store, rows: Rows| {
///         let mut keep = Vec::new();
///         for key in user.of(&rows.batch)?.iter() {
///             let count = counts.get(store, key)?.unwrap_or(0);
///             keep.push(count % 100 == 0);
///             counts.put(store, key, &(count + 1))?;
///         }
///         rows.filter(keep)
///     });
///     job.write(sampled);
///     Ok(())
/// }
/// # fn main() { calve::cli::main(&[SAMPLED]); }
/// ```
pub trait Stateful<'scope, D> {
    /// Runs `logic` on the state and everything that arrives, epoch after epoch; what it makes of it goes on.
    ///
    /// The input must be [keyed](super::Keyed) by what the state is kept under. The state is restored before
    /// the first record comes, and is part of every checkpoint.
    fn stateful<I>(
        self,
        state: State<'scope>,
        logic: impl FnMut(&mut StateStore, D) -> Result<I> + 'static,
    ) -> Stream<'scope, Epoch, Vec<I::Item>>
    where
        I: IntoIterator<Item: 'static>;
}

impl<'scope, D: 'static> Stateful<'scope, D> for Stream<'scope, Epoch, Vec<D>> {
    fn stateful<I>(
        self,
        state: State<'scope>,
        logic: impl FnMut(&mut StateStore, D) -> Result<I> + 'static,
    ) -> Stream<'scope, Epoch, Vec<I::Item>>
    where
        I: IntoIterator<Item: 'static>,
    {
        let all_reports = Rc::clone(&state.reports);
        let (made, reports) = work(self, state, logic);
        all_reports.borrow_mut().push(reports);
        made
    }
}

/// What has arrived of an epoch and was not worked on.
struct Waiting<D> {
    capability: Capability<Epoch>,
    data: Vec<D>,
}

/// What an operator makes of its input, and a report of each worker and epoch.
type Made<'scope, T> = (
    Stream<'scope, Epoch, Vec<T>>,
    StreamVec<'scope, Epoch, Report>,
);

/// The operator itself.
fn work<'scope, D, I>(
    input: Stream<'scope, Epoch, Vec<D>>,
    state: State<'scope>,
    mut logic: impl FnMut(&mut StateStore, D) -> Result<I> + 'static,
) -> Made<'scope, I::Item>
where
    D: 'static,
    I: IntoIterator<Item: 'static>,
{
    let scope = input.scope();
    let worker = scope.index();
    let State {
        mut store,
        snapshots,
        generation,
        first,
        timeout,
        process,
        ..
    } = state;
    let name = store.assignment().operator.clone();
    let mut builder = OperatorBuilder::new(name.clone(), scope);
    let mut input = builder.new_input(input, Pipeline);
    let (output, stream) = builder.new_output::<Vec<I::Item>>();
    let mut output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
    let (reports_output, reports) = builder.new_output::<Vec<Report>>();
    let mut reports_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(reports_output);
    let wake = scope
        .worker()
        .sync_activator_for(builder.operator_info().address.to_vec());

    builder.build(move |mut capabilities| {
        // The open epoch, and the right to report its end.
        let mut open = capabilities.pop();
        drop(capabilities);
        if let Some(open) = &mut open {
            open.downgrade(&first);
        }
        let mut waiting: BTreeMap<Epoch, Waiting<D>> = BTreeMap::new();
        let mut uploading: BTreeMap<Epoch, Capability<Epoch>> = BTreeMap::new();
        let (done, uploads) = mpsc::channel::<(Epoch, Result<StatePart>)>();
        let mut changed = true;
        // What the last snapshot was uploaded as.
        let mut last: Option<Part> = None;
        let report = move |epoch, part| Report {
            operator: name.clone(),
            worker,
            epoch,
            part,
        };
        move |frontiers| {
            // 1. Read all input.
            input.for_each(|capability, data| {
                if let Some(epoch) = capability.least() {
                    let waiting = waiting.entry(*epoch).or_insert_with(|| Waiting {
                        capability: capability.delayed(epoch, 0),
                        data: Vec::new(),
                    });
                    waiting.data.append(data);
                }
            });
            if process.has_failed() {
                return;
            }
            let mut reports_output = reports_output.activate();

            // 2. What was uploaded meanwhile.
            while let Ok((epoch, uploaded)) = uploads.try_recv() {
                if let Some(capability) = uploading.remove(&epoch) {
                    let part = uploaded.and_then(|part| {
                        let uploaded = &process.metrics().state_bytes_uploaded;
                        uploaded.inc_by(part.uploaded_bytes);
                        // Reported once more it has uploaded nothing.
                        let again = StatePart {
                            uploaded_bytes: 0,
                            ..part.clone()
                        };
                        last = Some(encode(&again)?);
                        encode(&part)
                    });
                    let part = part.map_err(|error| error.to_string());
                    reports_output
                        .session(&capability)
                        .give(report(epoch, part));
                }
            }

            let mut output = output.activate();
            while let Some(current) = &mut open {
                // 3. Work on the open epoch.
                let epoch = *current.time();
                if let Some(Waiting { capability, data }) = waiting.get_mut(&epoch) {
                    let mut session = output.session(&*capability);
                    for item in data.drain(..) {
                        changed = true;
                        match logic(&mut store, item) {
                            Ok(made) => session.give_iterator(made.into_iter()),
                            // The open epoch stays open for ever.
                            Err(error) => return process.fail(error),
                        }
                    }
                }
                if frontiers[0].less_equal(&epoch) {
                    return;
                }

                // 4. It has ended: keep its state, and go on.
                waiting.remove(&epoch);
                match last.clone().filter(|_| !changed) {
                    Some(part) => reports_output
                        .session(&*current)
                        .give(report(epoch, Ok(part))),
                    None => {
                        let began = Instant::now();
                        let local = match store.snapshot(epoch) {
                            Ok(local) => local,
                            Err(error) => return process.fail(error),
                        };
                        let stalled = began.elapsed();
                        process
                            .metrics()
                            .state_snapshot_seconds
                            .set(stalled.as_secs_f64());
                        (changed, last) = (false, None);
                        uploading.insert(epoch, current.clone());
                        let upload = Upload {
                            snapshots: snapshots.clone(),
                            generation,
                            timeout,
                            process: Arc::clone(&process),
                        };
                        let (done, wake) = (done.clone(), wake.clone());
                        process.spawn(async move {
                            let uploaded = upload.run(local).await;
                            // Errors mean that the worker is gone, and with it everybody who would care.
                            let _ = done.send((epoch, uploaded));
                            let _ = wake.activate();
                        });
                    }
                }
                if frontiers[0].is_empty() {
                    open = None;
                } else {
                    current.downgrade(&epoch.next());
                }
            }
        }
    });
    (stream, reports)
}

/// An upload that is tried until it succeeds or time is up.
struct Upload {
    snapshots: SnapshotStore,
    generation: Generation,
    timeout: Duration,
    process: Arc<Process>,
}

impl Upload {
    async fn run(&self, local: LocalSnapshot) -> Result<StatePart> {
        let mut over = pin!(self.over());
        // What can't be written to this disk is not to be had by trying again: the next snapshot may be.
        tokio::select! {
            done = local.written() => done?,
            late = &mut over => return Err(late),
        }
        let attempt = || self.attempt(&local);
        retry::until_over("the upload of a state snapshot", over, attempt).await
    }

    /// Returns when time is up.
    async fn over(&self) -> Error {
        let drained = async {
            self.process.must_drain_soon().await;
            sleep(DRAIN_PATIENCE).await;
        };
        tokio::select! {
            () = sleep(self.timeout) => overdue(&format!("{:?} (checkpoint.timeout)", self.timeout)),
            () = drained => overdue(&format!("{DRAIN_PATIENCE:?} of draining")),
        }
    }

    async fn attempt(&self, local: &LocalSnapshot) -> Result<StatePart> {
        if failpoint::fails("state-upload") {
            return Err(Error::external("failpoint state-upload"));
        }
        let part = self.snapshots.upload(self.generation, local).await?;
        failpoint::pass("state-uploaded");
        Ok(part)
    }
}

fn encode(part: &StatePart) -> Result<Part> {
    let json = serde_json::to_string(part);
    json.map(Part).map_err(|error| {
        Error::internal("a part of a state snapshot can't be written").caused_by(error)
    })
}

fn overdue(limit: &str) -> Error {
    Error::external(format!("a state snapshot was not uploaded within {limit}"))
        .advice("nothing is lost: check that state.checkpoints.dir answers")
}
