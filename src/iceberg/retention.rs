//! Expiring snapshots, as part of the commits themselves.
//!
//! Every commit rewrites the table's metadata, which lists every snapshot: a table that is committed to
//! once a minute and never tidied gets slower by the week. Any engine can expire snapshots; a
//! pipeline that is told to does it along the way, in the same swap that brings its files in, under
//! the same guard.
//!
//! It does the marker no harm. What a commit expires is never the snapshot it builds on, and its own
//! snapshot and the table property carry the newer marker. Branches and tags are treated as Iceberg
//! says: by their own limits (`max-ref-age-ms` and the like), else by these. A table with
//! `gc.enabled=false` keeps all.
//!
//! What goes is metadata, never a data file: the snapshots; then, after the proof and in the
//! background, their manifest lists, and old versions of the table's metadata if the table says
//! `write.metadata.delete-after-commit.enabled`. Files that another engine rewrote, and that only
//! expired snapshots named, are for that engine's `remove_orphan_files`.

use std::collections::HashSet;
use std::time::Duration;

use iceberg::spec::{SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use super::failure;

#[cfg(test)]
mod tests;

/// The library knows neither the property nor the deletion.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

/// How long snapshots are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older ones are expired,
    pub max_age: Duration,
    /// but not the newest ones of each branch.
    pub min_to_keep: usize,
}

impl Retention {
    /// Adds the expiry to a transaction. It has to come before the append: both require `main` to
    /// be where it was.
    pub(super) fn apply(
        self,
        transaction: Transaction,
        table: &Table,
    ) -> iceberg::Result<Transaction> {
        if !table.metadata().table_properties()?.gc_enabled {
            return Ok(transaction);
        }
        let age = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
        let oldest = chrono::Utc::now().timestamp_millis().saturating_sub(age);
        let action = transaction.expire_snapshots().expire_older_than_ms(oldest);
        action.retain_last(self.min_to_keep).apply(transaction)
    }

    /// Deletes the metadata files that a proved commit has left without a reader.
    pub(super) fn tidy(self, before: &Table, after: &Table) {
        let garbage = garbage(before.metadata(), after.metadata());
        if garbage.is_empty() {
            return;
        }
        let file_io = after.file_io().clone();
        tokio::spawn(async move {
            // One after the other: the next commit comes first.
            for path in garbage {
                if let Err(error) = file_io.delete(&path).await {
                    let error = failure::describe(&error);
                    tracing::debug!(path, error, "an old metadata file was left behind");
                }
            }
        });
    }
}

fn versions(metadata: &TableMetadata) -> impl Iterator<Item = &String> {
    let log = metadata.metadata_log().iter();
    log.map(|entry| &entry.metadata_file)
}

/// The manifest lists of snapshots that are gone, and the versions of the metadata that the log no
/// longer leads to, if the table wants those deleted.
fn garbage(before: &TableMetadata, after: &TableMetadata) -> Vec<String> {
    let list = |snapshot: &SnapshotRef| snapshot.manifest_list().to_owned();
    let kept: HashSet<String> = after.snapshots().map(list).collect();
    let lists = before.snapshots().map(list);
    let mut garbage: Vec<String> = lists.filter(|list| !kept.contains(list)).collect();
    let wanted = |value: &String| value.eq_ignore_ascii_case("true");
    if after
        .properties()
        .get(DELETE_AFTER_COMMIT)
        .is_some_and(wanted)
    {
        let kept: HashSet<&String> = versions(after).collect();
        garbage.extend(versions(before).filter(|v| !kept.contains(v)).cloned());
    }
    garbage
}
