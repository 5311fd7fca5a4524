//! The coordinator: closes epochs, one at a time, from worker 0.
//!
//! ```text
//!   reports (sources) ──▶ ┌─────────────┐
//!                         │ coordinator │ ── Close(e) at e, to every worker ──▶ sources
//!   committed (sinks) ──▶ └─────────────┘
//! ```
//!
//! Both inputs come over feedback edges and are *disconnected* from the output: what arrives there
//! never holds an epoch back, so the graph has no cycle for timely to reason about. The output
//! follows the operator's own capability alone: it stands at the open epoch, moves on with each
//! close, and is dropped after the last one, which ends the whole dataflow in order.
//!
//! The frontier of `committed` is the durable frontier: once it has passed *e*, *e* is in the table.

use std::time::Instant;

use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, StreamVec};

use super::pace::{Observed, Pace, Step};
use super::{Close, Committed, Report};
use crate::alarm::Alarm;
use crate::metrics::Metrics;
use crate::time::Epoch;

/// Coordinates a dataflow that starts at `first`.
///
/// Returns the stream of closes, the same on every worker. A bounded run ends when the source of every
/// worker is exhausted.
pub fn coordinator<'scope>(
    scope: Scope<'scope, Epoch>,
    first: Epoch,
    pace: Pace,
    metrics: Metrics,
    reports: StreamVec<'scope, Epoch, (usize, Report)>,
    committed: StreamVec<'scope, Epoch, Committed>,
) -> StreamVec<'scope, Epoch, Close> {
    let peers = scope.peers();
    let is_coordinator = scope.index() == 0;
    let mut builder = OperatorBuilder::new("Coordinator".to_owned(), scope);
    let (output, closes) = builder.new_output::<Vec<Close>>();
    let mut output = OutputBuilder::from(output);
    let mut reports = builder.new_input_connection(reports, Exchange::new(|_| 0), []);
    let mut committed = builder.new_input_connection(committed, Pipeline, []);
    let mut alarm = Alarm::new(scope.activator_for(builder.operator_info().address));

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
        let mut last_commit = None;
        let mut closed: Option<Epoch> = None;
        metrics.epoch_open.set(first.0 as i64);

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
            committed.for_each(|_, batch| batch.clear());
            let Some(current) = &mut capability else {
                return;
            };

            // 2. Look at the durable frontier.
            let now = Instant::now();
            if let Some(epoch) = closed
                && !frontiers[1].less_equal(&epoch)
            {
                closed = None;
                last_commit = Some(now);
            }

            // 3. Decide.
            let step = pace.step(
                &Observed {
                    last_close,
                    last_commit,
                    outstanding: closed.is_some(),
                    finish: finish || exhausted.iter().all(|&done| done),
                    urgent,
                },
                now,
            );

            // 4. Act, 5. downgrade.
            let last = match step {
                Step::WaitForCommit => return,
                Step::WaitFor(left) => return alarm.after(left),
                Step::Close => false,
                Step::CloseLast => true,
            };
            let epoch = *current.time();
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
                metrics.epoch_open.set(epoch.next().0 as i64);
            }
        }
    });
    closes.broadcast()
}

#[cfg(test)]
mod tests;
