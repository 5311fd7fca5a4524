//! The checkpoints of a pipeline, from the snapshots of its table.

use std::collections::{BTreeMap, HashSet};

use iceberg::spec::{Snapshot, TableMetadata};
use serde::Serialize;

use crate::checkpoint::marker::Ranges;
use crate::error::{Error, Result};
use crate::iceberg::{self as room, Link, figure, names};

/// One checkpoint: one commit of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checkpoint {
    /// Its epoch. A claim has that of the checkpoint before it.
    pub epoch: u64,
    /// The incarnation of the pipeline that made it.
    pub generation: u64,
    /// True for the empty commit with which a process begins: it takes the pipeline over, and moves nothing.
    pub claim: bool,
    /// Its snapshot.
    pub snapshot: i64,
    /// When it was committed, in milliseconds since 1970.
    pub committed_at_ms: i64,
    /// Rows that it added.
    pub records: u64,
    /// Files that it added.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// How many offsets it covers.
    pub offsets: u64,
    /// Which.
    pub moved: Vec<Moved>,
    /// Offsets that are missing from the table by decision.
    pub gaps: Vec<Moved>,
    /// The state that belongs to it, if the pipeline keeps some.
    pub state_snapshot: Option<String>,
    /// Its marker's identity.
    pub marker: String,
    /// The marker that it follows.
    pub parent: Option<String>,
    /// The Kafka cluster that the offsets belong to.
    pub cluster_id: Option<String>,
    /// The ids of the topics.
    pub topic_ids: BTreeMap<String, String>,
    /// Rows in the table after it, whoever wrote them.
    pub table_records: Option<u64>,
    /// The version of calve that made it.
    pub calve_version: String,
}

/// Offsets of one partition, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moved {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset …
    pub from: i64,
    /// … and the one behind the last.
    pub to: i64,
}

/// All checkpoints that a table still tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct History {
    /// The table.
    pub table: String,
    /// The pipeline.
    pub pipeline: String,
    /// The oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// True if there were earlier ones, whose snapshots have expired.
    pub expired: bool,
}

/// What happened from one checkpoint to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The earlier one.
    pub from: Checkpoint,
    /// The later one.
    pub to: Checkpoint,
    /// Checkpoints behind the earlier one, up to the later one; claims are not counted.
    pub checkpoints: u64,
    /// How many processes have taken the pipeline over in between.
    pub claims: u64,
    /// Rows that they added.
    pub records: u64,
    /// Files that they added.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// How far each partition went.
    pub moved: Vec<Moved>,
    /// Offsets that were left out by decision.
    pub gaps: Vec<Moved>,
    /// Snapshots of other programs in between, each with what it did.
    pub others: Vec<(i64, String)>,
}

/// The checkpoints of a pipeline that the history of a table's `main` retains.
pub fn checkpoints(metadata: &TableMetadata, table: &str, pipeline: &str) -> Result<History> {
    let chain = room::chain(metadata, pipeline)?;
    if chain.is_empty() {
        let others = names::pipelines(metadata.properties().keys());
        return Err(Error::config(format!(
            "table {table} has no checkpoint of pipeline {pipeline}"
        ))
        .advice(match others.as_slice() {
            [] => "no pipeline has one there; check table.name".to_owned(),
            others if others.iter().any(|other| other == pipeline) => {
                "the snapshots that carried them have expired, or the table was rolled back: \
                 `calve verify` tells which"
                    .to_owned()
            }
            others => format!("these have: {}; set pipeline.name", others.join(", ")),
        }));
    }
    let mut generation = None;
    let checkpoints = chain.iter().filter_map(|link| {
        let snapshot = metadata.snapshot_by_id(link.snapshot_id)?;
        let before = generation.replace(link.marker.generation);
        let claims = match before {
            Some(before) => link.marker.generation > before,
            None => link.marker.parent.is_none(),
        };
        Some(Checkpoint::of(
            link,
            snapshot,
            claims && link.marker.files == 0,
        ))
    });
    Ok(History {
        table: table.to_owned(),
        pipeline: pipeline.to_owned(),
        checkpoints: checkpoints.collect(),
        expired: chain
            .first()
            .is_some_and(|oldest| oldest.marker.parent.is_some()),
    })
}

impl Checkpoint {
    fn of(link: &Link, snapshot: &Snapshot, claim: bool) -> Self {
        let marker = &link.marker;
        Self {
            epoch: marker.epoch.0,
            generation: marker.generation.0,
            claim,
            snapshot: link.snapshot_id,
            committed_at_ms: snapshot.timestamp_ms(),
            records: marker.rows,
            files: marker.files.into(),
            bytes: figure(snapshot, "added-files-size").unwrap_or(0),
            offsets: covered(&marker.moved),
            moved: listed(&marker.moved),
            gaps: listed(&marker.gaps),
            state_snapshot: marker.state_snapshot.clone(),
            marker: marker.id.to_string(),
            parent: marker.parent.as_ref().map(ToString::to_string),
            cluster_id: marker.cluster_id.clone(),
            topic_ids: marker.topic_ids.clone(),
            table_records: figure(snapshot, "total-records"),
            calve_version: marker.calve_version.clone(),
        }
    }
}

impl History {
    /// Finds a checkpoint: `latest`, an epoch, or the id of a snapshot.
    ///
    /// | the word | is |
    /// |---|---|
    /// | `latest` | the newest that is no claim, or else the newest |
    /// | a number that is an epoch | the newest of that epoch that is no claim, or else its claim |
    /// | any other number | the one in the snapshot of that id |
    pub fn find(&self, word: &str) -> Result<&Checkpoint> {
        let newest = |wanted: &dyn Fn(&&Checkpoint) -> bool| {
            let found = || self.checkpoints.iter().rev().filter(|c| wanted(c));
            found().find(|c| !c.claim).or_else(|| found().next())
        };
        let found = match word.parse::<i64>() {
            _ if word == "latest" => newest(&|_| true),
            Ok(number) => newest(&|c| i64::try_from(c.epoch) == Ok(number))
                .or_else(|| newest(&|c| c.snapshot == number)),
            Err(_) => None,
        };
        found.ok_or_else(|| {
            let known = match (self.checkpoints.first(), self.checkpoints.last()) {
                (Some(first), Some(last)) => {
                    format!("epochs {} to {} are there", first.epoch, last.epoch)
                }
                _ => "there is none".to_owned(),
            };
            Error::config(format!(
                "table {} has no checkpoint {word:?} of pipeline {}",
                self.table, self.pipeline
            ))
            .advice(format!(
                "name one by its epoch, by its snapshot, or `latest`; {known}"
            ))
        })
    }

    /// What happened between two of them, whichever is named first.
    pub fn difference(
        &self,
        metadata: &TableMetadata,
        one: &Checkpoint,
        other: &Checkpoint,
    ) -> Difference {
        let place = |wanted: &Checkpoint| {
            let mut all = self.checkpoints.iter();
            all.position(|c| c.snapshot == wanted.snapshot).unwrap_or(0)
        };
        let (mut first, mut last) = (place(one), place(other));
        if first > last {
            (first, last) = (last, first);
        }
        let (from, to) = (&self.checkpoints[first], &self.checkpoints[last]);
        let between = &self.checkpoints[first + 1..=last];
        let sum = |of: fn(&Checkpoint) -> u64| between.iter().map(of).sum();
        Difference {
            from: from.clone(),
            to: to.clone(),
            checkpoints: sum(|c| u64::from(!c.claim)),
            claims: sum(|c| u64::from(c.claim)),
            records: sum(|c| c.records),
            files: sum(|c| c.files),
            bytes: sum(|c| c.bytes),
            moved: joined(between.iter().flat_map(|c| &c.moved)),
            gaps: between.iter().flat_map(|c| c.gaps.clone()).collect(),
            others: self.others(metadata, from.snapshot, to.snapshot),
        }
    }

    /// The snapshots between two that are no checkpoints of this pipeline, the oldest first.
    fn others(&self, metadata: &TableMetadata, from: i64, to: i64) -> Vec<(i64, String)> {
        let ours: HashSet<i64> = self.checkpoints.iter().map(|c| c.snapshot).collect();
        let history = room::of_main(metadata);
        let between = history
            .skip_while(|snapshot| snapshot.snapshot_id() != to)
            .take_while(|snapshot| snapshot.snapshot_id() != from);
        let mut others: Vec<_> = between
            .filter(|snapshot| !ours.contains(&snapshot.snapshot_id()))
            .map(|s| (s.snapshot_id(), s.summary().operation.as_str().to_owned()))
            .collect();
        others.reverse();
        others
    }
}

fn covered(ranges: &Ranges) -> u64 {
    let lengths = ranges.iter().map(|(_, _, from, to)| to.0 - from.0);
    lengths.map(|length| length.max(0) as u64).sum()
}

fn listed(ranges: &Ranges) -> Vec<Moved> {
    let ranges = ranges.iter().map(|(topic, partition, from, to)| Moved {
        topic: topic.to_owned(),
        partition,
        from: from.0,
        to: to.0,
    });
    ranges.collect()
}

/// Ranges one after the other as one for each partition: from where it stood to where it stands. One that does not
/// follow the one before it (a topic that was made anew, a rollback) begins a line of its own.
fn joined<'a>(ranges: impl Iterator<Item = &'a Moved>) -> Vec<Moved> {
    let mut joined: BTreeMap<(&str, i32), Vec<Moved>> = BTreeMap::new();
    for range in ranges {
        let lines = joined
            .entry((range.topic.as_str(), range.partition))
            .or_default();
        match lines.last_mut() {
            Some(line) if line.to == range.from => line.to = range.to,
            _ => lines.push(range.clone()),
        }
    }
    let mut lines: Vec<_> = joined.into_values().flatten().collect();
    // Where a partition stands, without having moved, is no news.
    lines.retain(|line| line.from != line.to);
    lines
}
