//! One commit, until its outcome is proved: attempt, read back, decide; again if it did not land.
//!
//! ```text
//!   ┌─▶ attempt (guarded transaction; its answer is only a hint) ─▶ read back ─▶ decide
//!   │                                                                              │
//!   └── not there, time left: pause ◀──────────────────────────────────────────────┤
//!       not there, refused for good: Fatal   not there, time is up: Unknown   ◀────┤
//!       there: Proved                        something else is there: Elsewhere ◀──┘
//! ```
//!
//! The answer of an attempt is never believed, in either direction. A conflict may have been
//! caused by our own success, an error may hide one, and the SQL catalog can report success for a
//! failed COMMIT. Only a reload proves. Sending the same marker again is always safe, because the
//! guard looks for it first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::DataFile;
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, ErrorKind, TableIdent};
use tokio::time::{Instant, sleep, timeout_at};

use super::failure;
use super::guard::{GuardedCatalog, Intent};
use super::lineage;
use super::merge::Merges;
use super::names;
use super::outage::Outage;
use super::retention::Retention;
use super::retries::Retries;
use super::staged::StagedFile;
use crate::checkpoint::decisions::Decision;
use crate::checkpoint::marker::Marker;
use crate::checkpoint::savepoint::Savepoint;
use crate::config::OnRollback;
use crate::error::{Error, Result};

/// The first pause between two attempts; it doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a request may stay without an answer at first. It doubles with each that was cut off: a
/// connection that has died in silence must not cost all the time there is, and a catalog that is slow
/// gets its time in the end.
const ANSWER_MIN: Duration = Duration::from_secs(30);
/// How long a start tries to claim the pipeline.
const CLAIM_PATIENCE: Duration = Duration::from_secs(20);
/// A read-back gets this long (or as long as the commit itself) even if the attempt has used all the time there was: an outcome
/// that can be known should not be called unknown.
const READ_BACK_MIN: Duration = Duration::from_secs(10);

/// Why a commit did not succeed.
#[derive(Debug)]
pub enum CommitFailure {
    /// It did not land and never will; the process must not go on as it is.
    Fatal(Error),
    /// It could not be proved in time. It may still land, even late; the next commit finds out, and
    /// takes its files along if not.
    Unknown(Error),
}

/// Either way a failure; for whoever treats both alike.
impl From<CommitFailure> for Error {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::Fatal(error) | CommitFailure::Unknown(error) => error,
        }
    }
}

/// How a commit ended, proved by a reload.
#[derive(Debug)]
pub(super) enum Landing {
    /// The table holds it.
    Proved {
        /// The table as it was read back.
        table: Table,
        /// True if no answer said so, only the reload.
        answer_lost: bool,
    },
    /// The table stands elsewhere: landed, outrun, fenced or refused.
    Elsewhere {
        /// The table as it was read back.
        table: Table,
        /// Where.
        decision: Decision,
    },
}

/// The table that is committed to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) ident: TableIdent,
    pub(super) pipeline: String,
    /// How long a commit may take until it is proved.
    pub(super) patience: Duration,
    /// What a rollback of the table leads to.
    pub(super) on_rollback: OnRollback,
    /// How long snapshots are kept; `None` leaves that to others.
    pub(super) retention: Option<Retention>,
    /// What the commits so far have merged.
    pub(super) merges: Merges,
    /// Where a start is to begin.
    pub(super) savepoint: Option<Savepoint>,
}

/// What happened in one attempt.
struct Attempt {
    sent: u32,
    failure: Option<iceberg::Error>,
}

impl Target {
    /// Brings `marker` and `files` into the table, built on `table`; counts swaps in `sent`.
    pub(super) async fn land(
        &self,
        table: &Table,
        intent: &Intent,
        marker: &Marker,
        files: &[StagedFile],
        sent: &mut u32,
    ) -> Result<Landing, CommitFailure> {
        // A start that can't write is told so soon: nothing waits for it yet.
        let patience = match intent {
            Intent::Claim(_) => self.patience.min(CLAIM_PATIENCE),
            Intent::Commit(_) => self.patience,
        };
        let retries = Retries::of(table);
        let began = Instant::now();
        let deadline = began + patience.min(retries.total);
        let before = table;
        let mut table = table.clone();
        let mut pause = PAUSE_MIN;
        let mut answer = ANSWER_MIN;
        let mut outage = Outage::default();
        loop {
            let limit = deadline.min(Instant::now() + answer);
            let attempt = self
                .attempt(&table, intent, marker, files, limit)
                .await
                .map_err(CommitFailure::Fatal)?;
            if Instant::now() >= limit {
                answer *= 2;
            }
            *sent += attempt.sent;
            let grace = deadline.max(Instant::now() + READ_BACK_MIN.min(self.patience));
            let (fresh, decision) = self.read_back(intent, grace, &mut outage).await?;
            table = fresh;
            match decision {
                Decision::AlreadyCommitted => {
                    let answer_lost = attempt.failure.is_some();
                    outage.is_over();
                    self.merges.proved();
                    if let Some(retention) = self.retention {
                        retention.tidy(before, &table);
                    }
                    return Ok(Landing::Proved { table, answer_lost });
                }
                Decision::Append => {}
                decision => return Ok(Landing::Elsewhere { table, decision }),
            }
            if let Some(error) = &attempt.failure
                && let Some(failure) = retries.used_up(marker, error)
            {
                return Err(failure);
            }
            match &attempt.failure {
                Some(error) if failure::is_definite(error) => {
                    return Err(CommitFailure::Fatal(failure::external(
                        format!("the catalog refused the commit of {marker}; nothing was written"),
                        error,
                    )));
                }
                _ if Instant::now() + pause >= deadline => {
                    return Err(CommitFailure::Unknown(self.unproved(
                        marker,
                        began.elapsed(),
                        attempt.failure.as_ref(),
                    )));
                }
                Some(error) => {
                    let error = failure::describe(error);
                    outage.goes_on("a commit did not land", marker, &error);
                }
                None => outage.goes_on(
                    "a commit is not in the table",
                    marker,
                    "the catalog had reported success",
                ),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One guarded transaction. Errors of the catalog are part of the result: only what makes an
    /// attempt impossible is an error here.
    async fn attempt(
        &self,
        table: &Table,
        intent: &Intent,
        marker: &Marker,
        files: &[StagedFile],
        limit: Instant,
    ) -> Result<Attempt> {
        let files = files
            .iter()
            .map(|file| file.decode(table))
            .collect::<Result<Vec<DataFile>>>()?;
        let key = names::marker_key(&self.pipeline);
        let summary = HashMap::from([
            (key.clone(), marker.to_summary()?),
            (
                names::SUMMARY_GENERATION.to_owned(),
                marker.generation.to_string(),
            ),
            (names::SUMMARY_EPOCH.to_owned(), marker.epoch.to_string()),
        ]);
        let property = marker.to_property()?;
        let guard = GuardedCatalog::new(
            Arc::clone(&self.catalog),
            self.ident.clone(),
            self.pipeline.clone(),
            intent.clone(),
            self.merges.clone(),
        );
        let transaction = || {
            let mut transaction = Transaction::new(&intent.within(&self.merges, table)?);
            if let Some(retention) = self.retention {
                transaction = retention.apply(transaction, table)?;
            }
            let transaction = transaction
                .fast_append()
                // The guard proves that nothing lands twice; this check reads every manifest.
                .with_check_duplicate(false)
                .set_snapshot_properties(summary)
                .add_data_files(files)
                .apply(transaction)?;
            transaction
                .update_table_properties()
                .set(key, property)
                .apply(transaction)
        };
        let failure = match transaction() {
            Err(error) => Some(error),
            Ok(transaction) => match timeout_at(limit, transaction.commit(&guard)).await {
                Ok(answer) => answer.err(),
                Err(_elapsed) => Some(iceberg::Error::new(
                    ErrorKind::Unexpected,
                    "no answer in time".to_owned(),
                )),
            },
        };
        Ok(Attempt {
            sent: guard.sent(),
            failure,
        })
    }

    /// Loads the table, again and again until `deadline`, and decides about what it says.
    async fn read_back(
        &self,
        intent: &Intent,
        deadline: Instant,
        outage: &mut Outage,
    ) -> Result<(Table, Decision), CommitFailure> {
        let mut pause = PAUSE_MIN;
        let mut answer = ANSWER_MIN;
        loop {
            let limit = deadline.min(Instant::now() + answer);
            let loaded = timeout_at(limit, self.catalog.load_table(&self.ident)).await;
            let error = match loaded {
                Ok(Ok(table)) => {
                    let observed = lineage::observe(table.metadata(), &self.pipeline)
                        .map_err(CommitFailure::Fatal)?;
                    return Ok((table, intent.decide(&observed)));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::TableNotFound => {
                    return Err(CommitFailure::Fatal(dropped(&self.ident)));
                }
                Ok(Err(error)) => Some(error),
                Err(_elapsed) => {
                    answer *= 2;
                    None
                }
            };
            if Instant::now() + pause >= deadline {
                let unknown = format!(
                    "table {} can't be read back, so the outcome of a commit is unknown",
                    self.ident
                );
                return Err(CommitFailure::Unknown(match &error {
                    Some(error) => failure::external(unknown, error),
                    None => Error::external(unknown).advice("the catalog does not answer"),
                }));
            }
            let said = error.as_ref().map(failure::describe);
            outage.goes_on(
                "a table can't be read back",
                &self.ident,
                said.as_deref().unwrap_or("no answer"),
            );
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn unproved(&self, marker: &Marker, waited: Duration, error: Option<&iceberg::Error>) -> Error {
        let message = format!(
            "the commit of {marker} to table {} did not land within {} s",
            self.ident,
            waited.as_secs()
        );
        match error {
            Some(error) => failure::external(message, error),
            None => Error::external(message)
                .advice("the catalog reports success but the table does not change: check it"),
        }
    }
}

/// The table is gone while a pipeline runs.
pub(super) fn dropped(ident: &TableIdent) -> Error {
    Error::diverged(format!("table {ident} was dropped")).advice(
        "nothing was committed since; restart to begin with a new table, or restore the old one",
    )
}
