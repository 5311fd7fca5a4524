//! The coordinator: closes epochs, one at a time, from worker 0.
//!
//! ```text
//!   reports (sources) ──▶ ┌─────────────┐
//!                         │ coordinator │ ── Close(e) at e, to every worker ──▶ sources
//!   outcomes (sinks) ───▶ └─────────────┘
//! ```
//!
//! Both inputs come over feedback edges and are *disconnected* from the output: what arrives there
//! never holds an epoch back, so the graph has no cycle for timely to reason about. The output
//! follows the operator's own capability alone: it stands at the open epoch, moves on with each
//! close, and is dropped after the last one, which ends the whole dataflow in order.
//!
//! Asks for a checkpoint come from outside the dataflow, through [`crate::control`]: the epoch that is closed for
//! them is an epoch like any other.
//!
//! The frontier of `outcomes` is the durable frontier: once it has passed *e*, *e* is in the table. The
//! frontier can't tell that *e* has failed, since the sink keeps its capability; the message says it, and
//! the next epoch, with which the files of *e* ride, may close although the frontier stands.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, StreamVec};

use super::pace::{Observed, Pace, Step};
use super::{Close, Outcome, Report};
use crate::alarm::Alarm;
use crate::error::Error;
use crate::process::Process;
use crate::time::Epoch;

/// Coordinates a dataflow that starts at `first`.
///
/// Returns the stream of closes, the same on every worker. A bounded run ends when the source of every
/// worker is exhausted. More failed checkpoints in a row than `pace` tolerates fail the process.
pub fn coordinator<'scope>(
    scope: Scope<'scope, Epoch>,
    first: Epoch,
    pace: Pace,
    process: Arc<Process>,
    reports: StreamVec<'scope, Epoch, (usize, Report)>,
    outcomes: StreamVec<'scope, Epoch, Outcome>,
) -> StreamVec<'scope, Epoch, Close> {
    let peers = scope.peers();
    let is_coordinator = scope.index() == 0;
    let mut builder = OperatorBuilder::new("Coordinator".to_owned(), scope);
    let (output, closes) = builder.new_output::<Vec<Close>>();
    let mut output = OutputBuilder::from(output);
    let mut reports = builder.new_input_connection(reports, Exchange::new(|_| 0), []);
    let mut outcomes = builder.new_input_connection(outcomes, Pipeline, []);
    let address = builder.operator_info().address;
    let mut alarm = Alarm::new(scope.activator_for(Rc::clone(&address)));
    if is_coordinator {
        let wake = scope.worker().sync_activator_for(address.to_vec());
        process.control().take_asks(wake);
    }

    builder.build(move |mut capabilities| {
        // Only worker 0 speaks; the others' capabilities would hold every epoch open for ever.
        let mut capability = capabilities.pop().filter(|_| is_coordinator);
        if let Some(capability) = &mut capability {
            capability.downgrade(&first);
        }
        let mut exhausted = vec![false; peers];
        let mut finish = false;
        let mut urgent = false;
        let mut last_close = Instant::now();
        let mut last_end = None;
        let mut closed: Option<Epoch> = None;
        // Failed checkpoints in a row, and what is to be said of the last one.
        let mut failed = 0;
        let mut failure = String::new();
        let tolerable = pace.tolerable_failed;
        process.metrics().epoch_open.set(first.0 as i64);

        move |frontiers| {
            // 1. Read all input.
            reports.for_each(|_, batch| {
                for (worker, report) in batch.drain(..) {
                    match report {
                        Report::Exhausted => exhausted[worker] = true,
                        Report::Drain => finish = true,
                        Report::Full => urgent = true,
                    }
                }
            });
            let now = Instant::now();
            outcomes.for_each(|_, batch| {
                for outcome in batch.drain(..) {
                    let Outcome::Failed {
                        epoch,
                        files,
                        reason,
                    } = outcome
                    else {
                        continue;
                    };
                    if closed == Some(epoch) {
                        (closed, last_end) = (None, Some(now));
                        failed += 1;
                        if failed <= tolerable {
                            tracing::warn!(
                                "checkpoint {epoch} failed ({failed} of {tolerable} tolerated); its \
                                 {files} files ride with the next: {reason}"
                            );
                        }
                        failure = format!(
                            "checkpoint {epoch} failed, the {failed}. in a row \
                             (checkpoint.tolerable-failed-checkpoints is {tolerable}): {reason}"
                        );
                    }
                }
            });
            let Some(current) = capability.as_mut().filter(|_| !process.has_failed()) else {
                return;
            };

            // 2. Look at the durable frontier.
            if let Some(epoch) = closed
                && !frontiers[1].less_equal(&epoch)
            {
                (closed, last_end, failed) = (None, Some(now), 0);
            }

            // 3. Decide.
            let step = pace.step(
                &Observed {
                    last_close,
                    last_end,
                    outstanding: closed.is_some(),
                    failed,
                    finish: finish || exhausted.iter().all(|&done| done),
                    urgent,
                    asked: process.control().is_asked(),
                },
                now,
            );

            // 4. Act, 5. downgrade.
            let last = match step {
                Step::WaitForCommit => return,
                Step::WaitFor(left) => return alarm.after(left),
                Step::GiveUp => return process.fail(Error::external(&failure)),
                Step::Close => false,
                Step::CloseLast => true,
            };
            let epoch = *current.time();
            process.control().closed(epoch, last);
            output
                .activate()
                .session(current)
                .give(Close { epoch, last });
            closed = Some(epoch);
            last_close = now;
            urgent = false;
            if last {
                capability = None;
            } else {
                current.downgrade(&epoch.next());
                process.metrics().epoch_open.set(epoch.next().0 as i64);
            }
        }
    });
    closes.broadcast()
}

#[cfg(test)]
mod tests;
