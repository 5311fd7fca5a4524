//! What Flink's Iceberg sink says of its commits in a table's snapshots.
//!
//! Its sink is a second phase: a checkpoint completes first, and its files are committed to the table afterwards. The
//! summaries name the newest checkpoint whose files are in, which is all that there is to compare offsets with.

use std::collections::HashSet;

use iceberg::spec::TableMetadata;
use serde::Serialize;

use super::lineage;

const JOB: &str = "flink.job-id";
const OPERATOR: &str = "flink.operator-id";
const CHECKPOINT: &str = "flink.max-committed-checkpoint-id";

/// The last commit of a Flink job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FlinkCommit {
    /// The job.
    pub job_id: String,
    /// The sink in it; older versions of Flink's sink do not tell.
    pub operator_id: Option<String>,
    /// The newest checkpoint whose files are in the table.
    pub checkpoint: i64,
    /// The snapshot that says so.
    pub snapshot_id: i64,
    /// When it was made.
    pub committed_at_ms: i64,
}

/// The last commit of each Flink job that the history of `main` retains, the newest first.
pub fn flink_commits(metadata: &TableMetadata) -> Vec<FlinkCommit> {
    let mut seen = HashSet::new();
    let commits = lineage::of_main(metadata).filter_map(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        Some(FlinkCommit {
            job_id: summary.get(JOB)?.clone(),
            operator_id: summary.get(OPERATOR).cloned(),
            checkpoint: summary.get(CHECKPOINT)?.parse().ok()?,
            snapshot_id: snapshot.snapshot_id(),
            committed_at_ms: snapshot.timestamp_ms(),
        })
    });
    commits
        .filter(|commit| seen.insert((commit.job_id.clone(), commit.operator_id.clone())))
        .collect()
}
