//! `exchange`: each row to the worker that owns its key.
//!
//! ```text
//!   rows ─▶ ┌───────┐ parts, one a worker   ┌─────────┐ rows of the keys that this worker owns
//!           │ split │ ═════════════════════▶│ receive │────────────────────────────────────▶
//!           └───────┘                       └─────────┘
//!               ▲       receipts, to the worker that had split    │
//!               └─────────────────────────────────────────────────┘
//! ```
//!
//! Within a process a part is moved; between processes it travels as Arrow IPC, encoded once. Rows of one
//! worker reach another one in the order in which they were split.
//!
//! **Memory.** What rows cost stays on the account of the worker that has *read* them, whose source is the
//! valve: its charges wait in `split` until a receipt for each part has come back. A part's receipt is sent
//! when whoever holds its rows in the end drops their [`Charge`], that is when a writer has encoded them, on
//! whatever worker, in whatever process. So all workers together never hold more than all their budgets,
//! even if every key belongs to one of them. It can't deadlock: receipts depend on nothing but the writers'
//! progress, which waits neither for an epoch to end nor for a source.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::de::Visitor;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange as ExchangePact, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{ConnectLoop, Exchange as _, Feedback};
use timely::dataflow::{Stream, StreamVec};

use super::stateful::{Owners, State};
use crate::budget::Charge;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::rows::{KeyColumns, Rows};
use crate::time::{Epoch, Epochs};

#[cfg(test)]
mod tests;

/// Sends rows to the workers that own their keys.
pub trait Keyed<'scope> {
    /// Sends each row to the worker that holds its key in `state`. Rows of one partition that have the same key
    /// stay in order.
    fn keyed(self, key: KeyColumns, state: &State<'scope>) -> Stream<'scope, Epoch, Vec<Rows>>;
}

impl<'scope> Keyed<'scope> for Stream<'scope, Epoch, Vec<Rows>> {
    fn keyed(self, key: KeyColumns, state: &State<'scope>) -> Stream<'scope, Epoch, Vec<Rows>> {
        exchange(self, key, state.owners(), state.process())
    }
}

/// Sends data of any type to the workers that own its keys.
pub trait KeyedBy<'scope, D> {
    /// Sends each datum to the worker that holds its key in `state`; a key is what the state is kept under.
    fn keyed_by<K: Serialize>(
        self,
        key: impl Fn(&D) -> K + 'static,
        state: &State<'scope>,
    ) -> StreamVec<'scope, Epoch, D>;
}

impl<'scope, D: ExchangeData> KeyedBy<'scope, D> for StreamVec<'scope, Epoch, D> {
    fn keyed_by<K: Serialize>(
        self,
        key: impl Fn(&D) -> K + 'static,
        state: &State<'scope>,
    ) -> StreamVec<'scope, Epoch, D> {
        let (owners, process) = (state.owners(), state.process());
        self.exchange(move |datum| match owners.of(&key(datum)) {
            Ok(worker) => worker as u64,
            Err(error) => {
                process.fail(error);
                0
            }
        })
    }
}

/// With one worker nothing is done.
fn exchange<'scope>(
    rows: Stream<'scope, Epoch, Vec<Rows>>,
    keys: KeyColumns,
    owners: Owners,
    process: Arc<Process>,
) -> Stream<'scope, Epoch, Vec<Rows>> {
    let scope = rows.scope();
    if scope.peers() == 1 {
        return rows;
    }
    let (edge, receipts) = scope.feedback(Epochs::default());
    let parts = split(rows, receipts, keys, owners, process);
    let (rows, receipts) = receive(parts);
    receipts.connect_loop(edge);
    rows
}

/// The rows of one batch that belong to one worker.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    receipt: Receipt,
    to: usize,
    rows: Encodable,
}

/// Says that the rows of a part are written; it goes to the worker that had split the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Receipt {
    worker: usize,
    batch: u64,
}

/// The charges of a batch whose parts are on their way.
struct Lent {
    parts: usize,
    _charges: Vec<Charge>,
}

fn split<'scope>(
    rows: Stream<'scope, Epoch, Vec<Rows>>,
    receipts: StreamVec<'scope, Epoch, Receipt>,
    keys: KeyColumns,
    owners: Owners,
    process: Arc<Process>,
) -> StreamVec<'scope, Epoch, Part> {
    let scope = rows.scope();
    let worker = scope.index();
    let mut builder = OperatorBuilder::new("Split by key".to_owned(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (output, parts) = builder.new_output::<Vec<Part>>();
    let mut output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
    let to_sender = ExchangePact::new(|receipt: &Receipt| receipt.worker as u64);
    let mut receipts = builder.new_input_connection(receipts, to_sender, []);

    builder.build(move |_capabilities| {
        let mut lent: HashMap<u64, Lent> = HashMap::new();
        let mut batches = 0;
        // The epochs of what was not sent: kept for ever, so that none of them is committed.
        let mut held = Vec::new();
        move |_frontiers| {
            receipts.for_each(|_, batch| {
                for receipt in batch.drain(..) {
                    if let Some(waiting) = lent.get_mut(&receipt.batch) {
                        waiting.parts -= 1;
                        if waiting.parts == 0 {
                            lent.remove(&receipt.batch);
                        }
                    }
                }
            });
            let mut output = output.activate();
            input.for_each(|capability, data| {
                for Rows { batch, charges } in data.drain(..) {
                    let divided = match process.has_failed() {
                        true => None,
                        false => divide(&batch, &keys, owners)
                            .map_err(|error| process.fail(error))
                            .ok(),
                    };
                    let Some(divided) = divided else {
                        return held.push(capability.retain_least(0));
                    };
                    let receipt = Receipt {
                        worker,
                        batch: batches,
                    };
                    batches += 1;
                    if !divided.is_empty() {
                        let waiting = Lent {
                            parts: divided.len(),
                            _charges: charges,
                        };
                        lent.insert(receipt.batch, waiting);
                    }
                    let parts = divided.into_iter().map(|(to, rows)| Part {
                        receipt,
                        to,
                        rows: Encodable::from(rows),
                    });
                    output.session(&capability).give_iterator(parts);
                }
            });
        }
    });
    parts
}

/// The rows of each worker that gets some, in their order.
fn divide(
    rows: &RecordBatch,
    keys: &KeyColumns,
    owners: Owners,
) -> Result<Vec<(usize, RecordBatch)>> {
    let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); owners.peers];
    for (row, key) in keys.of(rows)?.iter().enumerate() {
        rows_of[owners.of(key)?].push(row as u32);
    }
    let mut parts = Vec::new();
    for (to, of_worker) in rows_of.into_iter().enumerate() {
        if of_worker.len() == rows.num_rows() && !of_worker.is_empty() {
            return Ok(vec![(to, rows.clone())]);
        }
        if !of_worker.is_empty() {
            let part = take_record_batch(rows, &UInt32Array::from(of_worker)).map_err(|error| {
                Error::internal("rows can't be divided by their keys").caused_by(error)
            })?;
            parts.push((to, part));
        }
    }
    Ok(parts)
}

fn receive<'scope>(
    parts: StreamVec<'scope, Epoch, Part>,
) -> (
    Stream<'scope, Epoch, Vec<Rows>>,
    StreamVec<'scope, Epoch, Receipt>,
) {
    let scope = parts.scope();
    let mut builder = OperatorBuilder::new("Receive".to_owned(), scope);
    let to_owner = ExchangePact::new(|part: &Part| part.to as u64);
    let mut input = builder.new_input(parts, to_owner);
    let (rows_output, rows) = builder.new_output::<Vec<Rows>>();
    let mut rows_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows_output);
    let (receipts_output, receipts) = builder.new_output::<Vec<Receipt>>();
    let mut receipts_output =
        OutputBuilder::<_, CapacityContainerBuilder<_>>::from(receipts_output);
    let wake = scope.activator_for(builder.operator_info().address);
    let wake = Rc::new(wake);

    builder.build(move |mut capabilities| {
        // For receipts. Nobody waits for their frontier: it only has to follow that of the input.
        let mut capability = capabilities.pop();
        let written: Rc<RefCell<Vec<Receipt>>> = Rc::default();
        move |frontiers| {
            let mut rows_output = rows_output.activate();
            input.for_each(|capability, parts| {
                let mut session = rows_output.session(&capability);
                for Part { receipt, rows, .. } in parts.drain(..) {
                    let (written, wake) = (Rc::clone(&written), Rc::clone(&wake));
                    session.give(Rows {
                        batch: rows.batch,
                        charges: vec![Charge::until(move || {
                            written.borrow_mut().push(receipt);
                            wake.activate();
                        })],
                    });
                }
            });
            if let Some(current) = &mut capability {
                receipts_output
                    .activate()
                    .session(current)
                    .give_iterator(written.take().into_iter());
                match frontiers[0].frontier().first() {
                    Some(epoch) => current.downgrade(epoch),
                    // Every source has ended: nobody waits for room any more.
                    None => capability = None,
                }
            }
        }
    });
    (rows, receipts)
}

/// A batch of rows that goes as Arrow IPC where it must be bytes.
#[derive(Debug)]
struct Encodable {
    batch: RecordBatch,
    /// Timely asks for the length of a message before its bytes, so they are kept.
    encoded: OnceLock<Vec<u8>>,
}

impl From<RecordBatch> for Encodable {
    fn from(batch: RecordBatch) -> Self {
        Self {
            batch,
            encoded: OnceLock::new(),
        }
    }
}

impl Serialize for Encodable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = match self.encoded.get() {
            Some(bytes) => bytes,
            None => {
                let bytes = encode(&self.batch).map_err(S::Error::custom)?;
                self.encoded.get_or_init(|| bytes)
            }
        };
        serializer.serialize_bytes(bytes)
    }
}

impl<'de> Deserialize<'de> for Encodable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Decoding)
    }
}

struct Decoding;

impl Visitor<'_> for Decoding {
    type Value = Encodable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of rows as Arrow IPC")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Encodable, E> {
        decode(bytes).map(Encodable::from).map_err(E::custom)
    }
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn decode(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut batches = StreamReader::try_new(bytes, None)?;
    batches
        .next()
        .unwrap_or_else(|| Err(ArrowError::IpcError("a part without rows".to_owned())))
}
