//! State, as a table's commits see it: a snapshot that is made of everybody's parts before a commit names it, and
//! snapshots that nothing names any more after it.
//!
//! A commit can fail, or land late, after its snapshot was made. So nothing is ever deleted because of what was
//! *sent*: after a proved commit the table says which snapshots its history names by then.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use timely::dataflow::StreamVec;

use crate::checkpoint::state::{Part, Report};
use crate::error::Result;
use crate::time::{Epoch, Generation};

/// The state of a dataflow, as its commits see it.
pub struct StateGate<'scope> {
    /// What the stateful operators say at the end of each epoch.
    pub reports: StreamVec<'scope, Epoch, Report>,
    /// The names of these operators.
    pub operators: &'static [&'static str],
    /// What makes snapshots of their parts.
    pub snapshots: Arc<dyn StateSnapshots>,
}

/// Makes, copies and deletes snapshots of state.
#[async_trait]
pub trait StateSnapshots: Send + Sync + fmt::Debug {
    /// Makes one snapshot of the parts of all workers. When this returns it is durable; the name is for the marker.
    async fn complete(
        &self,
        generation: Generation,
        epoch: Epoch,
        parts: Vec<Part>,
    ) -> Result<String>;

    /// Copies the snapshot of this name to a new folder, for a savepoint. When this returns the copy is durable, whole,
    /// and needs nothing else.
    async fn copy(&self, name: &str, location: &str) -> Result<()>;

    /// Deletes what nothing can go back to. Nothing depends on its success: the next commit tries again.
    async fn tidy(&self, named: NamedStates);
}

/// What a table says of state snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedStates {
    /// Named by the markers in the table's history, the newest first, each once.
    pub committed: Vec<String>,
    /// Named by attempts whose outcome is not known.
    pub possible: Vec<String>,
}
