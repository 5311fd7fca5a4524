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
//! background, the manifests that no snapshot names any more since they were merged or rewritten, the
//! manifest lists, and old versions of the table's metadata if the table says
//! `write.metadata.delete-after-commit.enabled`. Files that another engine rewrote, and that only
//! expired snapshots named, are for that engine's `remove_orphan_files`.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use iceberg::spec::{SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use super::{failure, lineage};

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
        let keeps_all = |table: &Table| {
            table
                .metadata()
                .table_properties()
                .is_ok_and(|p| !p.gc_enabled)
        };
        if keeps_all(before) || keeps_all(after) {
            return;
        }
        let garbage = garbage(before.metadata(), after.metadata());
        let expired = expired(before.metadata(), after.metadata());
        if garbage.is_empty() && expired.is_empty() {
            return;
        }
        let after = after.clone();
        tokio::spawn(async move {
            // They are read from the lists, so the lists go last.
            let manifests = manifests_without_reader(&after, &expired).await;
            let manifests = manifests.unwrap_or_else(|error| {
                let error = failure::describe(&error);
                tracing::debug!(error, "manifests of expired snapshots were left behind");
                Vec::new()
            });
            // One after the other: the next commit comes first.
            for path in manifests.into_iter().chain(garbage) {
                if let Err(error) = after.file_io().delete(&path).await {
                    let error = failure::describe(&error);
                    tracing::debug!(path, error, "an old metadata file was left behind");
                }
            }
        });
    }
}

/// Metadata keeps snapshots in no order at all.
fn eldest_first<'a>(snapshots: impl Iterator<Item = &'a SnapshotRef>) -> Vec<SnapshotRef> {
    let mut snapshots: Vec<SnapshotRef> = snapshots.cloned().collect();
    snapshots.sort_unstable_by_key(|snapshot| snapshot.sequence_number());
    snapshots
}

/// The snapshots that are gone.
fn expired(before: &TableMetadata, after: &TableMetadata) -> Vec<SnapshotRef> {
    let is_gone = |snapshot: &&SnapshotRef| after.snapshot_by_id(snapshot.snapshot_id()).is_none();
    eldest_first(before.snapshots().filter(is_gone))
}

/// The manifests that only expired snapshots name.
///
/// A manifest is in the list of the snapshot that added it, and in those of its descendants up to one that
/// merged or rewrote it; none takes it in again. So whoever still names it is the snapshot that added it, or
/// descends from it; and if that one is gone, one of the snapshots on the way, the eldest that is left, names it
/// too. Of all lists only those of the eldest need to be read, and these only if there is something to ask.
///
/// | the snapshot that added it | an eldest retained snapshot | |
/// |---|---|---|
/// | is retained | | has a reader |
/// | is gone | names it | has a reader |
/// | is gone | none names it | has none |
async fn manifests_without_reader(
    after: &Table,
    expired: &[SnapshotRef],
) -> iceberg::Result<Vec<String>> {
    let metadata = after.metadata();
    let is_retained = |id: i64| metadata.snapshot_by_id(id).is_some();
    let mut without = BTreeSet::new();
    for snapshot in expired {
        let list = after.manifest_list_reader(snapshot).load().await?;
        let added_by_expired = list
            .entries()
            .iter()
            .filter(|m| !is_retained(m.added_snapshot_id));
        without.extend(added_by_expired.map(|m| m.manifest_path.clone()));
    }
    let has_elder = |s: &&SnapshotRef| s.parent_snapshot_id().is_some_and(is_retained);
    // The history of `main` first: it names nearly all there is.
    let of_main = lineage::of_main(metadata).last().cloned();
    let eldest = eldest_first(metadata.snapshots().filter(|s| !has_elder(s)));
    for snapshot in of_main.into_iter().chain(eldest) {
        if without.is_empty() {
            break;
        }
        for manifest in after
            .manifest_list_reader(&snapshot)
            .load()
            .await?
            .entries()
        {
            without.remove(&manifest.manifest_path);
        }
    }
    Ok(without.into_iter().collect())
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
    let lists = expired(before, after);
    let lists = lists.iter().map(list);
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
