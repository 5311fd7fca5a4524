//! `commit`: the one operator that makes records visible.
//!
//! It runs on worker 0. An epoch is ready when the frontiers of all three inputs have passed it: then
//! all its files, the cut of every worker and the verdict on every reject are there. The commit itself
//! is I/O and runs on the async runtime; the operator keeps the epoch's capability until the commit is
//! *proved*, so its output frontier is the durable frontier.
//!
//! A dataflow that keeps state has a fourth input: the reports of its stateful operators. Their parts are made
//! into one snapshot, and the commit follows when that is durable; its marker names it. An epoch that makes no
//! commit makes no snapshot either: the marker's offsets stay what they are, and the state that belongs to
//! them stays the marker's, whatever the operators hold by now. After a proved commit, and in the background,
//! snapshots that nothing can go back to are deleted.
//!
//! | the commit of an epoch | what becomes of it |
//! |---|---|
//! | is proved | [`Outcome::Committed`], the capability goes |
//! | is refused for good | the process fails |
//! | can't begin, because the state is not durable in time | the same as the next two |
//! | can't be proved in time | [`Outcome::Failed`]; all that belongs to the epoch, its capability too, waits for the next one and is committed with it |
//! | the same, and it is the last epoch of the run | the process fails: there is no next one |
//! | can't be proved, and the process drains | the process fails after [`DRAIN_PATIENCE`] |

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, InputCapability};
use tokio::time::timeout;

use super::committer::{Committed, Staged};
use super::{CommitFailure, Committer, Sink, StagedFile, StateGate, StateSnapshots};
use crate::alarm::Alarm;
use crate::checkpoint::marker::Marker;
use crate::checkpoint::state::{self, Part, Report};
use crate::checkpoint::{Cut, Outcome};
use crate::control::{Answer, Durable, Proof};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::offsets::Offsets;
use crate::process::Process;
use crate::time::Epoch;

/// The committer itself gives up after `checkpoint.timeout`, with the better error. This is for storage
/// that hangs within a single request.
const GRACE: Duration = Duration::from_secs(15);

/// How long a process that drains waits for a commit: less than the 30 s that supervisors usually give.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// When to commit what.
#[derive(Clone, Copy, Debug)]
pub struct CommitOptions {
    /// An epoch without rows makes no snapshot unless offsets moved and the marker is older than this.
    pub marker_max_age: Duration,
    /// How long a commit may take until it is proved.
    pub timeout: Duration,
}

/// Commits staged files.
pub trait CommitStaged<'scope> {
    /// Makes one table commit per epoch: all its files, and the offsets its cuts reach.
    ///
    /// `gates` are streams whose frontier must also have passed, `state` is there if the dataflow keeps some.
    /// The returned stream carries one [`Outcome`] per epoch, on worker 0; its frontier is the durable frontier.
    fn commit(
        self,
        options: CommitOptions,
        sink: Sink,
        process: Arc<Process>,
        cuts: StreamVec<'scope, Epoch, Cut>,
        gates: StreamVec<'scope, Epoch, u64>,
        state: Option<StateGate<'scope>>,
    ) -> StreamVec<'scope, Epoch, Outcome>;
}

/// What has arrived of one epoch.
struct Pending {
    capability: Capability<Epoch>,
    /// When its first cut came: a checkpoint begins with its end.
    since: Instant,
    files: Vec<StagedFile>,
    cuts: Vec<Cut>,
    reports: Vec<Report>,
    skipped: u64,
}

impl Pending {
    fn new(capability: Capability<Epoch>) -> Self {
        Self {
            capability,
            since: Instant::now(),
            files: Vec::new(),
            cuts: Vec::new(),
            reports: Vec::new(),
            skipped: 0,
        }
    }

    fn rows(&self) -> u64 {
        self.files.iter().map(StagedFile::rows).sum()
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(StagedFile::bytes).sum()
    }

    /// Takes along what belongs to an earlier epoch whose commit failed. Its cuts are covered by ours, and its
    /// state has become ours.
    fn take_along(&mut self, mut earlier: Pending) {
        self.capability = earlier.capability;
        self.skipped += earlier.skipped;
        earlier.files.append(&mut self.files);
        self.files = earlier.files;
    }

    fn is_last(&self) -> bool {
        self.cuts.iter().any(|cut| cut.last)
    }

    /// Every worker must have spoken exactly once: the frontier says that all has arrived, the cuts say
    /// that it was sent.
    fn check(&self, epoch: Epoch, peers: usize) -> Result<()> {
        let mut workers: Vec<usize> = self.cuts.iter().map(|cut| cut.worker).collect();
        workers.sort_unstable();
        if workers.into_iter().eq(0..peers) && self.cuts.iter().all(|cut| cut.epoch == epoch) {
            return Ok(());
        }
        Err(Error::internal(format!(
            "checkpoint {epoch} ended without the cuts of all {peers} workers: {:?}",
            self.cuts
        )))
    }

    /// The offsets that all cuts together reach.
    fn next(&self) -> Offsets {
        let mut next = Offsets::new();
        for cut in &self.cuts {
            next.advance_to(&cut.next);
        }
        next
    }

    fn staged(&self, epoch: Epoch) -> Staged {
        let mut joined = Offsets::new();
        for cut in &self.cuts {
            joined.advance_to(&cut.joined);
        }
        Staged {
            epoch,
            files: self.files.clone(),
            next: self.next(),
            joined,
            state_snapshot: None,
        }
    }
}

impl<'scope> CommitStaged<'scope> for StreamVec<'scope, Epoch, StagedFile> {
    fn commit(
        self,
        options: CommitOptions,
        sink: Sink,
        process: Arc<Process>,
        cuts: StreamVec<'scope, Epoch, Cut>,
        gates: StreamVec<'scope, Epoch, u64>,
        state: Option<StateGate<'scope>>,
    ) -> StreamVec<'scope, Epoch, Outcome> {
        let scope = self.scope();
        let (peers, is_committer) = (scope.peers(), scope.index() == 0);
        let mut builder = OperatorBuilder::new("Commit".to_owned(), scope);
        let mut staged = builder.new_input(self, Exchange::new(|_: &StagedFile| 0));
        let mut cuts = builder.new_input(cuts, Exchange::new(|_: &Cut| 0));
        let mut gates = builder.new_input(gates, Exchange::new(|_: &u64| 0));
        let (mut reports, state) = match state {
            None => (None, None),
            Some(gate) => {
                let reports = builder.new_input(gate.reports, Exchange::new(|_: &Report| 0));
                (Some(reports), Some((gate.operators, gate.snapshots)))
            }
        };
        let (output, outcomes) = builder.new_output::<Vec<Outcome>>();
        let mut output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
        let address = builder.operator_info().address;
        let mut alarm = Alarm::new(scope.activator_for(Rc::clone(&address)));
        let wake = scope.worker().sync_activator_for(address.to_vec());
        process.on_drain(wake.clone());

        builder.build(move |_capabilities| {
            let mut arrived = Arrived::default();
            // Worker 0 finds the committer here; nothing arrives at the others.
            let mut committer = is_committer.then(|| sink.take_committer()).flatten();
            if let Some(committer) = &committer {
                process.notices().table_is(sink.facts(committer.table()));
                // A start has decided what the dataflow before it had left open.
                process.metrics().commits_undecided.set(0);
            }
            let mut committing: Option<(Epoch, Pending)> = None;
            let mut draining_since = None;
            // What could not be committed and rides with the next epoch.
            let mut riding: Option<Pending> = None;
            let mut last_commit = Instant::now();
            let (done, results) = mpsc::channel::<(Committer, Result<Committed, CommitFailure>)>();
            move |frontiers| {
                // 1. Read all input.
                staged.for_each(|capability, files| {
                    arrived.at(&capability, |epoch| epoch.files.append(files));
                });
                cuts.for_each(|capability, cuts| {
                    arrived.at(&capability, |epoch| {
                        if epoch.cuts.is_empty() {
                            epoch.since = Instant::now();
                        }
                        epoch.cuts.append(cuts);
                    });
                });
                gates.for_each(|capability, skipped| {
                    arrived.at(&capability, |epoch| {
                        epoch.skipped += skipped.drain(..).sum::<u64>()
                    });
                });
                if let Some(reports) = &mut reports {
                    reports.for_each(|capability, reports| {
                        arrived.at(&capability, |epoch| epoch.reports.append(reports));
                    });
                }
                if process.has_failed() {
                    return;
                }

                // 2. The result of the commit under way.
                let mut output = output.activate();
                if let Ok((back, result)) = results.try_recv() {
                    let Some((epoch, pending)) = committing.take() else {
                        return;
                    };
                    process.notices().table_is(sink.facts(back.table()));
                    let undecided = back.undecided() as i64;
                    process.metrics().commits_undecided.set(undecided);
                    committer = Some(back);
                    match result {
                        Ok(made) => {
                            last_commit = Instant::now();
                            let proof = proof(&pending, &made);
                            let offsets = Some(proof.offsets.clone());
                            report(&process, epoch, &pending, &made, &proof);
                            process.control().durable(epoch, proof, || {
                                answer(epoch, &made.marker, made.snapshot_id)
                            });
                            output
                                .session(&pending.capability)
                                .give(Outcome::Committed { epoch, offsets });
                        }
                        Err(CommitFailure::Unknown(error)) if !pending.is_last() => {
                            process.metrics().checkpoints_failed.inc();
                            let reason = error.to_string();
                            process.control().failed(epoch, &reason);
                            output.session(&pending.capability).give(Outcome::Failed {
                                epoch,
                                files: pending.files.len(),
                                reason,
                            });
                            riding = Some(pending);
                        }
                        // The capability is kept with the failure: this epoch is not durable.
                        Err(failure) => {
                            process.metrics().checkpoints_failed.inc();
                            committing = Some((epoch, pending));
                            return process.fail(failure.into());
                        }
                    }
                }

                // 3. The next epoch that has wholly arrived: commit it, or let an empty one pass.
                while let Some(mut ready) = committer.take() {
                    let passed = |epoch: &Epoch| frontiers.iter().all(|f| !f.less_equal(epoch));
                    let Some((epoch, mut pending)) = arrived.pop_first_if(passed) else {
                        committer = Some(ready);
                        break;
                    };
                    if let Err(error) = pending.check(epoch, peers) {
                        committing = Some((epoch, pending));
                        return process.fail(error);
                    }
                    if let Some(earlier) = riding.take() {
                        pending.take_along(earlier);
                    }
                    let next = pending.next();
                    let due = pending.is_last()
                        || last_commit.elapsed() >= options.marker_max_age
                        || process.control().is_awaited(epoch);
                    let moved = !ready.marker().next.moved(&next).is_empty();
                    if pending.files.is_empty() && !(moved && due) {
                        process.metrics().epoch_committed.set(epoch.0 as i64);
                        let nothing = Proof {
                            offsets: next,
                            snapshot_id: ready.snapshot_id(),
                            ..Proof::default()
                        };
                        process.control().durable(epoch, nothing, || {
                            answer(epoch, ready.marker(), ready.snapshot_id())
                        });
                        committer = Some(ready);
                        output
                            .session(&pending.capability)
                            .give(Outcome::Committed {
                                epoch,
                                offsets: None,
                            });
                        continue;
                    }
                    let staged = pending.staged(epoch);
                    let state = match &state {
                        None => None,
                        Some((operators, snapshots)) => {
                            match state::parts(&pending.reports, epoch, operators, peers) {
                                Ok(parts) => Some((Arc::clone(snapshots), parts)),
                                Err(error) => {
                                    committing = Some((epoch, pending));
                                    return process.fail(error);
                                }
                            }
                        }
                    };
                    let (done, wake) = (done.clone(), wake.clone());
                    let tidying = Arc::clone(&process);
                    process.spawn(async move {
                        failpoint::pass("commit");
                        // The committer takes a commit that was dropped for one of unknown outcome.
                        let snapshots = state.as_ref().map(|(snapshots, _)| Arc::clone(snapshots));
                        let commit = commit(&mut ready, staged, state);
                        let commit = timeout(options.timeout + GRACE, commit);
                        let result = commit.await.unwrap_or_else(|_| {
                            Err(CommitFailure::Unknown(overdue(epoch, options.timeout)))
                        });
                        failpoint::pass("proved");
                        if let (Ok(_), Some(snapshots)) = (&result, snapshots) {
                            let named = ready.named_states();
                            tidying.spawn_chore(async move { snapshots.tidy(named()).await });
                        }
                        // Errors mean that the worker is gone, and with it everybody who would care.
                        let _ = done.send((ready, result));
                        let _ = wake.activate();
                    });
                    committing = Some((epoch, pending));
                    draining_since = None;
                }

                // 4. A drain waits for a commit, but not for ever.
                if let Some((epoch, _)) = &committing
                    && process.is_draining()
                {
                    let since = draining_since.get_or_insert_with(Instant::now);
                    match DRAIN_PATIENCE.checked_sub(since.elapsed()) {
                        Some(left) => alarm.after(left),
                        None => process.fail(undrained(*epoch)),
                    }
                }
            }
        });
        outcomes
    }
}

/// Where state is kept, and what all workers report of one epoch, or why they can't.
type StateOf = (Arc<dyn StateSnapshots>, Result<Vec<Part>, String>);

/// One epoch into the table, its state first. Without its state an epoch is not committed: both are tried again
/// with the next one.
async fn commit(
    committer: &mut Committer,
    mut staged: Staged,
    state: Option<StateOf>,
) -> Result<Committed, CommitFailure> {
    if let Some((snapshots, parts)) = state {
        let parts = parts.map_err(|reason| CommitFailure::Unknown(Error::external(reason)))?;
        let generation = committer.marker().generation;
        let complete = snapshots.complete(generation, staged.epoch, parts);
        staged.state_snapshot = Some(complete.await.map_err(CommitFailure::Unknown)?);
    }
    committer.commit(staged).await
}

/// Epochs of which something has arrived and that are not committed.
#[derive(Default)]
struct Arrived(BTreeMap<Epoch, Pending>);

impl Arrived {
    fn at(&mut self, capability: &InputCapability<Epoch>, take: impl FnOnce(&mut Pending)) {
        let Some(&epoch) = capability.least() else {
            return;
        };
        take(
            self.0
                .entry(epoch)
                .or_insert_with(|| Pending::new(capability.delayed(&epoch, 0))),
        );
    }

    fn pop_first_if(&mut self, ready: impl Fn(&Epoch) -> bool) -> Option<(Epoch, Pending)> {
        let first = self.0.first_entry()?;
        ready(first.key()).then(|| first.remove_entry())
    }
}

fn overdue(epoch: Epoch, timeout: Duration) -> Error {
    Error::external(format!(
        "the commit of checkpoint {epoch} was not proved within {timeout:?} (checkpoint.timeout)"
    ))
    .advice(
        "nothing is lost: if it landed, the next start finds its marker, otherwise it reads the \
         records again. Check that the catalog answers",
    )
}

fn undrained(epoch: Epoch) -> Error {
    Error::external(format!(
        "the commit of checkpoint {epoch} was not proved within {DRAIN_PATIENCE:?} of draining"
    ))
    .advice(
        "nothing is lost: if it landed, the next start finds its marker, otherwise it reads the \
         records again. Check that the catalog answers",
    )
}

/// What those are told who wait for an epoch.
fn answer(epoch: Epoch, marker: &Marker, snapshot_id: Option<i64>) -> Answer {
    let marker = marker.to_property().map_err(|error| error.to_string())?;
    Ok(Durable {
        epoch,
        marker,
        snapshot_id,
    })
}

fn proof(pending: &Pending, made: &Committed) -> Proof {
    Proof {
        records: pending.rows(),
        files: pending.files.len() as u64,
        bytes: pending.bytes(),
        offsets: pending.next(),
        snapshot_id: made.snapshot_id,
    }
}

fn report(process: &Process, epoch: Epoch, pending: &Pending, made: &Committed, proof: &Proof) {
    let Proof {
        records: rows,
        files,
        bytes,
        ..
    } = *proof;
    let took = pending.since.elapsed();
    let metrics = process.metrics();
    metrics.commits.inc();
    metrics.records_committed.inc_by(rows);
    metrics.files_committed.inc_by(files);
    metrics.bytes_committed.inc_by(bytes);
    metrics.epoch_committed.set(epoch.0 as i64);
    metrics.last_checkpoint_seconds.set(took.as_secs_f64());
    metrics.checkpoint_seconds.observe(took);
    metrics.commit_seconds.observe(made.duration);
    metrics.last_checkpoint_bytes.set(bytes as i64);
    metrics.last_checkpoint_records.set(rows as i64);
    tracing::info!(
        epoch = epoch.0,
        records = rows,
        files,
        bytes,
        skipped = pending.skipped,
        duration_ms = took.as_millis() as u64,
        snapshot = made.snapshot_id,
        "checkpoint committed"
    );
}
