//! `decode`: bytes to rows of the table, and what can't be decoded to a stream of rejects.

use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Stream, StreamVec};
use timely::progress::operate::FrontierInterest;

use super::MessageBatch;
use crate::config::OnReject;
use crate::error::Error;
use crate::format::{Decoder, Reject};
use crate::process::Process;
use crate::rows::Rows;
use crate::time::Epoch;

/// Decodes messages.
pub trait Decode<'scope> {
    /// Decodes each batch with `decoder`; both streams keep the epoch of their messages.
    fn decode(
        self,
        decoder: Box<dyn Decoder>,
        process: Arc<Process>,
    ) -> (
        Stream<'scope, Epoch, Vec<Rows>>,
        StreamVec<'scope, Epoch, Reject>,
    );
}

impl<'scope> Decode<'scope> for Stream<'scope, Epoch, Vec<MessageBatch>> {
    fn decode(
        self,
        mut decoder: Box<dyn Decoder>,
        process: Arc<Process>,
    ) -> (
        Stream<'scope, Epoch, Vec<Rows>>,
        StreamVec<'scope, Epoch, Reject>,
    ) {
        let mut builder = OperatorBuilder::new("Decode".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::Never);
        let (rows_output, rows) = builder.new_output::<Vec<Rows>>();
        let (rejects_output, rejects) = builder.new_output::<Vec<Reject>>();
        let mut rows_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows_output);
        let mut rejects_output =
            OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rejects_output);

        builder.build(move |_capabilities| {
            // The epochs of what was not decoded: kept for ever, so that none of them is committed.
            let mut held = Vec::new();
            move |_frontiers| {
                let mut rows_output = rows_output.activate();
                let mut rejects_output = rejects_output.activate();
                input.for_each(|capability, data| {
                    for MessageBatch { messages, charges } in data.drain(..) {
                        let decoded = if process.has_failed() {
                            None
                        } else {
                            let decoded = decoder.decode(&messages);
                            decoded.map_err(|error| process.fail(error)).ok()
                        };
                        let Some(decoded) = decoded else {
                            held.push((capability.retain_least(0), capability.retain_least(1)));
                            return;
                        };
                        if decoded.rows.num_rows() > 0 {
                            rows_output.session(&capability).give(Rows {
                                batch: decoded.rows,
                                charges,
                            });
                        }
                        rejects_output
                            .session(&capability)
                            .give_iterator(decoded.rejects.into_iter());
                    }
                });
            }
        });
        (rows, rejects)
    }
}

/// Deals with what could not be decoded.
pub trait Rejected<'scope> {
    /// Applies the policy: `halt` stops the process with an error that names the record, `skip` logs
    /// and counts it.
    ///
    /// The returned stream carries how many records of an epoch were skipped. Sinks wait for its
    /// frontier, so no epoch is committed before the policy has seen all of its rejects; a halt keeps
    /// its epoch open for ever.
    fn on_reject(self, policy: OnReject, process: Arc<Process>) -> StreamVec<'scope, Epoch, u64>;
}

/// So many skipped records are logged one by one; later ones are only counted.
const SKIPPED_LOGGED_MAX: u64 = 100;

impl<'scope> Rejected<'scope> for StreamVec<'scope, Epoch, Reject> {
    fn on_reject(self, policy: OnReject, process: Arc<Process>) -> StreamVec<'scope, Epoch, u64> {
        self.unary(Pipeline, "Rejected", move |_capability, _info| {
            let mut held = Vec::new();
            let mut logged = 0;
            move |input, output| {
                input.for_each(|capability, rejects| {
                    process
                        .metrics()
                        .records_rejected
                        .inc_by(rejects.len() as u64);
                    match policy {
                        OnReject::Halt => {
                            held.push(capability.retain_least(output.output_index()));
                            if let Some(reject) = rejects.drain(..).next() {
                                post(&process, &reject);
                                process.fail(undecodable(&reject));
                            }
                        }
                        OnReject::Skip => {
                            output.session(&capability).give(rejects.len() as u64);
                            for reject in rejects.drain(..) {
                                post(&process, &reject);
                                if logged < SKIPPED_LOGGED_MAX {
                                    tracing::warn!("skipped: {reject}");
                                }
                                logged += 1;
                            }
                        }
                    }
                });
            }
        })
    }
}

/// For people who look: where it stands and why, but not what is in it.
fn post(process: &Process, reject: &Reject) {
    let (topic, reason) = (&reject.topic, &reject.reason);
    process
        .notices()
        .rejected(topic, reject.partition, reject.offset, reason);
}

fn undecodable(reject: &Reject) -> Error {
    Error::data(format!("a record can't be decoded: {reject}")).advice(
        "nothing was lost: no record of this checkpoint was committed, and the next start reads \
         them again. Correct the declared columns or the table's schema, or set on-reject=skip to \
         count and log such records and go on",
    )
}
