//! `batch`: collects messages until there are enough for one decode and one Parquet write.
//!
//! It stands *before* the decoder: handing on what was collected moves pointers, where collecting
//! Arrow batches behind the decoder would copy every array once more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use crate::alarm::Alarm;
use crate::budget::Charge;
use crate::kafka::Chunk;
use crate::messages::Messages;
use crate::time::Epoch;

/// The limits of a batch. Whatever comes first ends it, and the end of the epoch always does.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Messages (`batch.size`).
    pub rows_max: usize,
    /// Bytes in memory: a part of the memory a worker may have in flight, so that large
    /// messages can't fill the budget while the batch still waits for its number of rows.
    pub bytes_max: u64,
    /// Age of the oldest message (`batch.timeout`).
    pub timeout: Duration,
}

/// Messages of one epoch that are decoded together.
#[derive(Debug, Default)]
pub struct MessageBatch {
    /// The messages, in the order they were read.
    pub messages: Vec<Messages>,
    /// What they cost until they are written.
    pub charges: Vec<Charge>,
}

/// Collects messages into batches.
pub trait Batch<'scope> {
    /// Collects chunks until one of the limits is reached or their epoch ends.
    fn batch(self, limits: Batching) -> Stream<'scope, Epoch, Vec<MessageBatch>>;
}

/// A batch that is being filled.
struct Pending {
    capability: Capability<Epoch>,
    batch: MessageBatch,
    rows: usize,
    bytes: u64,
    since: Instant,
}

impl Pending {
    fn new(capability: Capability<Epoch>) -> Self {
        Self {
            capability,
            batch: MessageBatch::default(),
            rows: 0,
            bytes: 0,
            since: Instant::now(),
        }
    }

    fn push(&mut self, chunk: Chunk) {
        self.rows += chunk.messages.len();
        self.bytes += chunk.messages.memory_len() as u64;
        self.batch.messages.push(chunk.messages);
        self.batch.charges.push(chunk.charge);
    }
}

impl<'scope> Batch<'scope> for Stream<'scope, Epoch, Vec<Chunk>> {
    fn batch(self, limits: Batching) -> Stream<'scope, Epoch, Vec<MessageBatch>> {
        let scope = self.scope();
        self.unary_frontier(Pipeline, "Batch", |_capability, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut pending: BTreeMap<Epoch, Pending> = BTreeMap::new();
            move |(input, frontier), output| {
                // 1. Read all input; full batches go on at once.
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    for chunk in data.flat_map(|chunks| chunks.drain(..)) {
                        let batch = pending.entry(epoch).or_insert_with(|| {
                            Pending::new(capability.delayed(&epoch, output.output_index()))
                        });
                        batch.push(chunk);
                        if (batch.rows >= limits.rows_max || batch.bytes >= limits.bytes_max)
                            && let Some(full) = pending.remove(&epoch)
                        {
                            output.session(&full.capability).give(full.batch);
                        }
                    }
                });
                // 2. The end of an epoch, or of the patience, ends a batch.
                let ended = pending.extract_if(.., |epoch, batch| {
                    !frontier.less_equal(epoch) || batch.since.elapsed() >= limits.timeout
                });
                for (_, batch) in ended {
                    output.session(&batch.capability).give(batch.batch);
                }
                // 3. Come back when the oldest has waited long enough.
                if let Some(oldest) = pending.values().map(|batch| batch.since).min() {
                    alarm.after(limits.timeout.saturating_sub(oldest.elapsed()));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
