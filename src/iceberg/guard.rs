//! The guard: a catalog in front of the catalog that lets an append through only if the decision
//! was made on exactly the metadata that the swap compares with.
//!
//! ```text
//!  Transaction::commit ── each attempt ──▶ load_table ──▶ decide ──▶ Append: a permit is laid down
//!                                              │                     else: verdict, no permit, error
//!                                              ▼
//!                        apply the append ──▶ update_table ──▶ takes the permit, or refuses
//! ```
//!
//! Why it is needed: `Transaction::commit` reloads the table and re-applies the append on each
//! attempt. After a lost response, or a 409 that its own success caused, the same files would land
//! twice. The swap requires the table's UUID and the snapshot of `main` to be those of the load,
//! so a decision made in `load_table` holds at the swap, or the swap fails and the next attempt
//! loads, and decides, again.
//!
//! Nothing here is visible outside of this room: a [`Permit`] can be made only by `load_table`
//! below, is good for one swap, and is the only way to the inner catalog's `update_table`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{Catalog, Error, ErrorKind, Result, TableCommit, TableIdent};

use super::lineage;
use super::merge::Merges;
use super::swaps::{Swapping, Swaps};
use crate::checkpoint::decisions::{Claim, Decision, Mine, Observed, decide_claim, decide_commit};
use crate::failpoint;

/// What a transaction is for: which question is asked about the table.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// A new process takes the pipeline over.
    Claim(Claim),
    /// A process that holds a generation commits an epoch.
    Commit(Mine),
}

impl Intent {
    pub(super) fn decide(&self, observed: &Observed) -> Decision {
        match self {
            Self::Claim(claim) => decide_claim(observed, claim),
            Self::Commit(mine) => decide_commit(observed, mine),
        }
    }

    /// The table as a transaction shall see it: commits merge manifests; a claim has seconds, and begins
    /// every time without anything that an earlier one has merged, so it leaves that to the first commit.
    pub(super) fn within(&self, merges: &Merges, table: &Table) -> Result<Table> {
        match self {
            Self::Claim(_) => Ok(table.clone()),
            Self::Commit(_) => merges.within(table),
        }
    }
}

/// The right to one swap, on the metadata it was given for.
#[derive(Debug)]
struct Permit(());

#[derive(Debug, Default)]
struct State {
    permit: Option<Permit>,
    sent: u32,
}

/// The decorator; one for each transaction.
#[derive(Debug)]
pub(super) struct GuardedCatalog {
    inner: Arc<dyn Catalog>,
    table: TableIdent,
    pipeline: String,
    intent: Intent,
    merges: Merges,
    state: Mutex<State>,
}

impl GuardedCatalog {
    pub(super) fn new(
        inner: Arc<dyn Catalog>,
        table: TableIdent,
        pipeline: String,
        intent: Intent,
        merges: Merges,
    ) -> Swapping<Self> {
        Swapping(Self {
            inner,
            table,
            pipeline,
            intent,
            merges,
            state: Mutex::default(),
        })
    }

    /// How many swaps were asked of the inner catalog: with none, nothing can have landed.
    pub(super) fn sent(&self) -> u32 {
        self.state().sent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain values: a panic elsewhere can't have left it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not retryable, so that the library gives the decision back to the committer at once.
fn refusal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::PreconditionFailed, message.into()).with_retryable(false)
}

/// What a test makes of a swap: nobody can tell whether it happened.
fn lost(point: &str) -> Error {
    Error::new(ErrorKind::Unexpected, format!("failpoint {point}"))
}

#[async_trait]
impl Swaps for GuardedCatalog {
    async fn load(&self, table: &TableIdent) -> Result<Table> {
        // Whatever was permitted before was permitted on older metadata.
        self.state().permit = None;
        let loaded = self.inner.load_table(table).await?;
        let observed = lineage::observe(loaded.metadata(), &self.pipeline)
            .map_err(|error| refusal(error.to_string()))?;
        match self.intent.decide(&observed) {
            Decision::Append if *table == self.table => {
                let loaded = self.intent.within(&self.merges, &loaded)?;
                self.state().permit = Some(Permit(()));
                Ok(loaded)
            }
            _ if failpoint::is_off("guard") => Ok(loaded),
            decision => Err(refusal(format!("the guard decided: {decision:?}"))),
        }
    }

    async fn swap(&self, commit: TableCommit) -> Result<Table> {
        {
            let mut state = self.state();
            let permit = state.permit.take();
            let Some(Permit(())) =
                permit.or_else(|| failpoint::is_off("guard").then_some(Permit(())))
            else {
                return Err(refusal("a swap was asked for without a permit"));
            };
            if *commit.identifier() != self.table {
                return Err(refusal("a swap was asked for on another table"));
            }
            state.sent += 1;
        }
        if failpoint::fails("before-swap") {
            return Err(lost("before-swap"));
        }
        let answer = self.inner.update_table(commit).await;
        if failpoint::fails("after-swap") {
            return Err(lost("after-swap"));
        }
        answer
    }
}
