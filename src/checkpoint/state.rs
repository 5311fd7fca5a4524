//! State, as checkpoints see it: which one a run begins with, and what operators say of it at the end of an epoch.
//!
//! The state that belongs to a marker is what all records before the marker's offsets have made of it. It is
//! durable before the commit whose marker names it, so the two never part: where a run goes on from a marker's
//! offsets, it goes on with the marker's state.

use serde::{Deserialize, Serialize};

use super::marker::EMPTY_STATE;
use super::positions::Carried;
use crate::error::{Error, Result};
use crate::time::Epoch;

#[cfg(test)]
mod tests;

/// What one worker adds to a snapshot of state, in the words of whoever makes snapshots: nobody else reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(pub String);

/// From a stateful operator of every worker, at the end of every epoch: where its state is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The operator's name.
    pub operator: String,
    /// The worker whose keys it speaks for.
    pub worker: usize,
    /// The epoch at whose end the state was so.
    pub epoch: Epoch,
    /// What is durable of it; or why it could not be made durable, and then the checkpoint fails.
    pub part: Result<Part, String>,
}

/// The parts of a snapshot: one from every worker of every operator of these names.
///
/// The outer error is a defect: somebody did not speak, or spoke twice. The inner one says why somebody's state
/// is not durable.
pub fn parts(
    reports: &[Report],
    epoch: Epoch,
    operators: &[&str],
    peers: usize,
) -> Result<Result<Vec<Part>, String>> {
    let mut spoke: Vec<(&str, usize)> = reports
        .iter()
        .map(|report| (report.operator.as_str(), report.worker))
        .collect();
    spoke.sort_unstable();
    let mut expected: Vec<(&str, usize)> = operators
        .iter()
        .flat_map(|operator| (0..peers).map(|worker| (*operator, worker)))
        .collect();
    expected.sort_unstable();
    if spoke != expected || reports.iter().any(|report| report.epoch != epoch) {
        return Err(Error::internal(format!(
            "checkpoint {epoch} ended without the state of {operators:?} on all {peers} workers: {reports:?}"
        )));
    }
    Ok(reports.iter().map(|report| report.part.clone()).collect())
}

/// Decides which state a run begins with; `keeps_state` says whether its dataflow has any.
///
/// | carried | its last epoch | its state | the dataflow keeps state | the run begins with |
/// |---|---|---|---|---|
/// | nothing | | | no | no state |
/// | nothing | | | yes | the empty state |
/// | M | none was committed | none | yes | the empty state |
/// | M | | the empty one: no row was committed | no | no state |
/// | M | some | none | no | no state |
/// | M | | S | yes | S |
/// | M | some | none | yes | refuse: what is in the table is not in the state |
/// | M | | S | no | refuse: the state would not know what is read now |
pub fn begin(
    carried: Option<&Carried>,
    dataflow: &str,
    keeps_state: bool,
) -> Result<Option<String>> {
    let state = carried.and_then(|carried| carried.state_snapshot.as_deref());
    let has_committed = carried.is_some_and(|carried| carried.epoch > Epoch::default());
    match (state, keeps_state) {
        (Some(state), true) => Ok(Some(state.to_owned())),
        (None, false) | (Some(EMPTY_STATE), false) => Ok(None),
        (None, true) if !has_committed => Ok(Some(EMPTY_STATE.to_owned())),
        (None, true) => Err(Error::config(format!(
            "dataflow {dataflow} keeps state, and this pipeline has none: its table was written by a \
             dataflow without state"
        ))
        .advice(
            "nothing was read and nothing was touched. The state would not know the records that are \
             in the table already; to load the topic with this dataflow, use another pipeline.name \
             and table.name",
        )),
        (Some(state), false) => Err(Error::config(format!(
            "dataflow {dataflow} keeps no state, and the table's marker names one: {state}"
        ))
        .advice(
            "nothing was read and nothing was touched. The state would miss the records that are read \
             now; run the dataflow that this pipeline belongs to, or use another pipeline.name and \
             table.name",
        )),
    }
}
