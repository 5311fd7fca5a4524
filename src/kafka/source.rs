//! The source operator: Kafka's partitions as a timely stream.
//!
//! Every worker runs one. It holds the capability of the open epoch, so the epoch stays open until the
//! operator has answered the coordinator's close with its cut. The order within one activation is the
//! same always: read the control inputs → answer closes with cuts and downgrade → read records into
//! the (then) open epoch → report. A record is therefore always at the epoch that was open when it was
//! read, and a cut never speaks of a record that was not sent.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream, StreamVec};

use super::Discovery;
use super::consumer::Consumer;
use super::reader::{LAG_INTERVAL, Reader};
use crate::alarm::Alarm;
use crate::budget::{Budget, Charge};
use crate::checkpoint::positions::Policies;
use crate::checkpoint::{Close, Cut, Outcome, Report};
use crate::config::Kafka;
use crate::error::Result;
use crate::messages::Messages;
use crate::offsets::Offsets;
use crate::process::Process;
use crate::time::Epoch;

/// Messages on their way through one worker, with their claim on its memory.
#[derive(Debug)]
pub struct Chunk {
    /// The messages.
    pub messages: Messages,
    /// What they cost until they are written.
    pub charge: Charge,
}

/// Where a run starts, and for a bounded one where it ends. Decided by worker 0, told to all.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Start {
    /// The first epoch of this run.
    pub epoch: Epoch,
    /// The next offset of every partition known at the start.
    pub offsets: Offsets,
    /// Where a bounded run ends; `None` reads for ever.
    pub ends: Option<Offsets>,
}

/// What a source needs to know.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Brokers, topics and properties.
    pub kafka: Kafka,
    /// The pipeline's name, for the client id.
    pub pipeline: String,
    /// Where the run starts and ends.
    pub start: Start,
    /// The partitions to read, now and later.
    pub discovery: Arc<Discovery>,
    /// What a start may do about offsets that are gone.
    pub policies: Policies,
}

/// The three streams of a source.
pub struct Source<'scope> {
    /// The records.
    pub messages: Stream<'scope, Epoch, Vec<Chunk>>,
    /// One [`Cut`] per worker and epoch.
    pub cuts: StreamVec<'scope, Epoch, Cut>,
    /// News for the coordinator, with the worker they come from.
    pub reports: StreamVec<'scope, Epoch, (usize, Report)>,
}

/// Reads Kafka from within a timely scope.
pub trait KafkaSource<'scope> {
    /// Reads this worker's share of the partitions.
    ///
    /// `closes` must be the coordinator's broadcast, `outcomes` the sinks' broadcast. Neither is
    /// connected to an output: the operator's own capability alone says which epoch is open.
    fn kafka_source(
        self,
        options: SourceOptions,
        process: Arc<Process>,
        budget: Budget,
        closes: StreamVec<'scope, Epoch, Close>,
        outcomes: StreamVec<'scope, Epoch, Outcome>,
    ) -> Result<Source<'scope>>;
}

impl<'scope> KafkaSource<'scope> for Scope<'scope, Epoch> {
    fn kafka_source(
        self,
        options: SourceOptions,
        process: Arc<Process>,
        budget: Budget,
        closes: StreamVec<'scope, Epoch, Close>,
        outcomes: StreamVec<'scope, Epoch, Outcome>,
    ) -> Result<Source<'scope>> {
        let (worker, peers) = (self.index(), self.peers());
        let mut builder = OperatorBuilder::new("Kafka source".to_owned(), self);
        let (messages_output, messages) = builder.new_output::<Vec<Chunk>>();
        let (cuts_output, cuts) = builder.new_output::<Vec<Cut>>();
        let (reports_output, reports) = builder.new_output::<Vec<(usize, Report)>>();
        let mut messages_output =
            OutputBuilder::<_, CapacityContainerBuilder<_>>::from(messages_output);
        let mut cuts_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(cuts_output);
        let mut reports_output =
            OutputBuilder::<_, CapacityContainerBuilder<_>>::from(reports_output);
        let mut closes = builder.new_input_connection(closes, Pipeline, []);
        let mut outcomes = builder.new_input_connection(outcomes, Pipeline, []);

        let address = builder.operator_info().address;
        let mut alarm = Alarm::new(self.activator_for(Rc::clone(&address)));
        let wake = self.worker().sync_activator_for(address.to_vec());
        budget.wake(self.activator_for(address));
        process.on_drain(wake.clone());
        options.discovery.register(wake.clone());
        let client_id = format!("calve-{}-w{worker}", options.pipeline);
        let consumer = Consumer::open(&options.kafka, &client_id, move || {
            // An error means that the worker is gone.
            let _ = wake.activate();
        })?;
        let mut reader = Reader::new(options, Arc::clone(&process), consumer, worker, peers);

        builder.build(move |capabilities| {
            let mut open = OpenEpoch::new(capabilities, reader.start.epoch);
            let mut pending = VecDeque::new();
            move |_frontiers| {
                // 1. Control inputs.
                closes.for_each(|_, batch| pending.extend(batch.drain(..)));
                outcomes.for_each(|_, batch| {
                    for outcome in batch.drain(..) {
                        match outcome {
                            Outcome::Committed { epoch, offsets } => {
                                budget.committed(epoch);
                                reader.committed(epoch, offsets.as_ref());
                            }
                            Outcome::Failed { epoch, .. } => budget.rides_on(epoch),
                        }
                    }
                });
                if process.has_failed() || open.is_none() {
                    return;
                }
                reader.adopt_new_partitions();

                // 2. Answer closes with cuts, and move on.
                while let Some(close) = pending.pop_front() {
                    let Some(current) = &mut open else { return };
                    let cut = reader.cut(close);
                    cuts_output.activate().session(&current.cuts).give(cut);
                    if close.last {
                        open = None;
                    } else {
                        current.downgrade(close.epoch.next());
                    }
                }
                let Some(epoch) = &mut open else { return };

                // 3. Read records into the open epoch.
                if budget.has_room() && !process.is_draining() {
                    let (chunk, more) = reader.read();
                    if !chunk.is_empty() {
                        let charge = budget.charge(chunk.memory_len() as u64);
                        messages_output
                            .activate()
                            .session(&epoch.messages)
                            .give(Chunk {
                                messages: chunk,
                                charge,
                            });
                    }
                    if more {
                        alarm.now();
                    } else if reader.lag_is_stale {
                        alarm.after(LAG_INTERVAL);
                    }
                }

                // 4. Tell the coordinator.
                let open_epoch = *epoch.reports.time();
                let news = reader.news(budget.needs_commit_of(open_epoch), open_epoch);
                if !news.is_empty() {
                    reports_output
                        .activate()
                        .session(&epoch.reports)
                        .give_iterator(news.into_iter().map(|report| (worker, report)));
                }
            }
        });
        Ok(Source {
            messages,
            cuts,
            reports,
        })
    }
}

/// The right to speak at the open epoch, one capability an output.
struct OpenEpoch {
    messages: Capability<Epoch>,
    cuts: Capability<Epoch>,
    reports: Capability<Epoch>,
}

impl OpenEpoch {
    fn new(capabilities: Vec<Capability<Epoch>>, first: Epoch) -> Option<Self> {
        let [messages, cuts, reports] = <[_; 3]>::try_from(capabilities).ok()?;
        let mut open = Self {
            messages,
            cuts,
            reports,
        };
        open.downgrade(first);
        Some(open)
    }

    fn downgrade(&mut self, epoch: Epoch) {
        self.messages.downgrade(&epoch);
        self.cuts.downgrade(&epoch);
        self.reports.downgrade(&epoch);
    }
}
