//! `stage`: rows into Parquet files that no reader sees yet.
//!
//! Encoding runs on the worker's own thread, so `-w` decides how many cores it may take. Files of an
//! epoch are closed when its frontier has passed: a data file never spans two epochs, so a commit is a
//! list of whole files.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::{Stream, StreamVec};

use super::{Sink, StagedFile, TableWriter};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::process::Process;
use crate::rows::Rows;
use crate::time::Epoch;

/// Writes rows to files.
pub trait Stage<'scope> {
    /// Writes the rows of each epoch to files of `sink`'s table; one record per closed file.
    fn stage(
        self,
        sink: Sink,
        process: Arc<Process>,
        budget: Budget,
    ) -> StreamVec<'scope, Epoch, StagedFile>;
}

/// The files of one epoch.
struct Open {
    capability: Capability<Epoch>,
    writer: TableWriter,
    written: u64,
}

impl<'scope> Stage<'scope> for Stream<'scope, Epoch, Vec<Rows>> {
    fn stage(
        self,
        sink: Sink,
        process: Arc<Process>,
        budget: Budget,
    ) -> StreamVec<'scope, Epoch, StagedFile> {
        let worker = self.scope().index();
        self.unary_frontier(Pipeline, "Stage", move |_capability, _info| {
            let mut open: BTreeMap<Epoch, Open> = BTreeMap::new();
            // The epochs of what was not written: kept for ever, so that none of them is committed.
            let mut held = Vec::new();
            move |(input, frontier), output| {
                if process.has_failed() {
                    return;
                }
                // 1. Read all input, writing as it comes.
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    for rows in data.flat_map(|batches| batches.drain(..)) {
                        let kept = || capability.delayed(&epoch, output.output_index());
                        if process.has_failed() {
                            held.push(kept());
                            return;
                        }
                        let epoch_open = match open.entry(epoch) {
                            Entry::Occupied(entry) => entry.into_mut(),
                            Entry::Vacant(entry) => match sink.writer(epoch, worker) {
                                Ok(writer) => entry.insert(Open {
                                    capability: kept(),
                                    writer,
                                    written: 0,
                                }),
                                Err(error) => {
                                    held.push(kept());
                                    return process.fail(error);
                                }
                            },
                        };
                        let count = rows.batch.num_rows() as u64;
                        let written = process.block_on(epoch_open.writer.write(rows.batch));
                        match written.and_then(|progress| broken("write").map(|()| progress)) {
                            Ok(progress) => {
                                budget.staged(epoch, progress.bytes_written - epoch_open.written);
                                epoch_open.written = progress.bytes_written;
                                process.metrics().records_staged.inc_by(count);
                            }
                            Err(error) => return process.fail(error),
                        }
                        // `rows.charges` ends here: its bytes are free again.
                    }
                });
                // 2. Close the files of every epoch that has wholly arrived.
                for (epoch, done) in open.extract_if(.., |epoch, _| !frontier.less_equal(epoch)) {
                    let closed = process.block_on(done.writer.close());
                    match closed.and_then(|files| broken("staged").map(|()| files)) {
                        Ok(files) => {
                            let bytes: u64 = files.iter().map(StagedFile::bytes).sum();
                            budget.staged(epoch, bytes.saturating_sub(done.written));
                            output
                                .session(&done.capability)
                                .give_iterator(files.into_iter());
                        }
                        Err(error) => {
                            held.push(done.capability);
                            return process.fail(error);
                        }
                    }
                }
            }
        })
    }
}

/// What a test makes of a write.
fn broken(point: &str) -> Result<()> {
    match failpoint::fails(point) {
        false => Ok(()),
        true => Err(Error::external(format!("failpoint {point}"))),
    }
}
