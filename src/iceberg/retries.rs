//! The table's own `commit.retry.*` properties: how long and how often a commit may be sent.
//!
//! | property | who obeys |
//! |---|---|
//! | `num-retries`, `min-wait-ms`, `max-wait-ms` | the library, within one attempt, when somebody else was faster |
//! | `num-retries`, if the table sets it | so does the landing: no second attempt after that many conflicts |
//! | `total-timeout-ms` | the landing, if it is shorter than `checkpoint.timeout` |
//!
//! Iceberg's default of four retries is no reason to fail a checkpoint: they are over in two seconds,
//! and a conflict says that others make progress. Everything but a conflict (an outage, a lost answer)
//! is tried again while there is time.

use std::time::Duration;

use iceberg::spec::TableProperties;
use iceberg::table::Table;

use super::landing::CommitFailure;
use crate::checkpoint::marker::Marker;
use crate::error::Error;

/// The limits that a table sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    /// How long a commit may be tried.
    pub(super) total: Duration,
    /// How many conflicts are borne, if the table says so itself.
    conflicts: Option<usize>,
}

impl Retries {
    pub(super) fn of(table: &Table) -> Self {
        let metadata = table.metadata();
        // A value that can't be read makes the attempt itself fail, which says so.
        let parsed = metadata.table_properties().ok();
        let is_set = |key: &str| metadata.properties().contains_key(key);
        Self {
            total: parsed.as_ref().map_or(Duration::MAX, |properties| {
                Duration::from_millis(properties.commit_total_retry_timeout_ms)
            }),
            conflicts: parsed
                .filter(|_| is_set(TableProperties::PROPERTY_COMMIT_NUM_RETRIES))
                .map(|properties| properties.commit_num_retries),
        }
    }

    /// The end of a commit that others outran more often than the table allows.
    pub(super) fn used_up(&self, marker: &Marker, error: &iceberg::Error) -> Option<CommitFailure> {
        let retries = self.conflicts.filter(|_| error.retryable())?;
        let failure = Error::external(format!(
            "the commit of {marker} did not land: others changed the table each time, and its \
             commit.retry.num-retries allows {retries} retries"
        ));
        Some(CommitFailure::Unknown(
            failure.caused_by(error.to_string()).advice(
                "nothing is lost: the files ride with the next checkpoint, or the records are read \
             again; raise the table property, or remove it to let checkpoint.timeout decide",
            ),
        ))
    }
}
