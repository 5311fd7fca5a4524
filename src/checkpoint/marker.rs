//! The marker: what one commit says about itself, inside the table it changed.
//!
//! A marker is written to two places by the same atomic commit. The snapshot summary travels with
//! the lineage, so a rollback takes it away together with the rows; the table property survives
//! the expiry of snapshots. Comparing the two is how a rollback, an expiry and a zombie are told
//! apart (see [`super::decisions`]).
//!
//! | place | key | carries |
//! |---|---|---|
//! | snapshot summary | `calve.marker.<pipeline>` | the partitions that moved, as `[start, end)`; gaps |
//! | table property | `calve.marker.<pipeline>` | the next offset of every partition |
//!
//! The format is JSON with a version. Fields this program does not know are ignored, so a newer
//! program may add some; a newer *version* means the old meaning no longer holds and is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::offsets::{NextOffset, Offsets};
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// The newest marker format this program reads, and the one it writes.
pub const VERSION: u32 = 1;

/// The name of the state that a pipeline begins with, in place of a snapshot's: nothing. A marker without any
/// name is that of a dataflow without state.
pub const EMPTY_STATE: &str = "empty";

/// A marker's identity: a random UUID, so that two attempts at the same epoch never look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkerId(String);

impl MarkerId {
    /// A new identity.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

impl From<&str> for MarkerId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for MarkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The offsets that one commit covers: `[start, end)` for each partition that moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(BTreeMap<String, BTreeMap<i32, (NextOffset, NextOffset)>>);

impl Ranges {
    /// The way from `from` to `to`, for the partitions of `to` that moved or are new.
    ///
    /// A partition that `from` does not know begins where `joined` says; one that neither knows
    /// begins at offset 0, the beginning of every Kafka partition.
    ///
    /// | in `from` | in `to` | range |
    /// |---|---|---|
    /// | 5 | 5 | none |
    /// | 5 | 9 | `[5, 9)` |
    /// | – (joined at 3) | 9 | `[3, 9)` |
    /// | – | 9 | `[0, 9)` |
    /// | 5 | 4 | error: a cut never moves backwards |
    /// | 5 | – | none: a cut may leave a partition out |
    pub fn between(from: &Offsets, to: &Offsets, joined: &Offsets) -> Result<Self> {
        let mut ranges = BTreeMap::<String, BTreeMap<i32, _>>::new();
        for (topic, partition, end) in to.iter() {
            let known = from.get(topic, partition);
            let start = known
                .or_else(|| joined.get(topic, partition))
                .unwrap_or(NextOffset(0));
            if end < start {
                return Err(Error::internal(format!(
                    "the cut of {topic}[{partition}] moved backwards, from {start} to {end}"
                ))
                .advice("nothing was committed; restart resumes from the last marker"));
            }
            if known != Some(end) {
                ranges
                    .entry(topic.to_owned())
                    .or_default()
                    .insert(partition, (start, end));
            }
        }
        Ok(Self(ranges))
    }

    /// An empty range `[n, n)` for each partition: it stands there, wherever it stood before.
    pub fn standing_at(offsets: &Offsets) -> Self {
        let mut ranges = Self::default();
        for (topic, partition, next) in offsets.iter() {
            ranges.insert(topic, partition, (next, next));
        }
        ranges
    }

    /// Adds the range of one partition; returns what was there before.
    pub fn insert(
        &mut self,
        topic: &str,
        partition: i32,
        range: (NextOffset, NextOffset),
    ) -> Option<(NextOffset, NextOffset)> {
        let topic = self.0.entry(topic.to_owned()).or_default();
        topic.insert(partition, range)
    }

    /// The range of a partition, if there is one.
    pub fn get(&self, topic: &str, partition: i32) -> Option<(NextOffset, NextOffset)> {
        self.0.get(topic)?.get(&partition).copied()
    }

    /// All ranges in order of topic and partition, as `(topic, partition, start, end)`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i32, NextOffset, NextOffset)> {
        self.0.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, (start, end))| (topic.as_str(), *partition, *start, *end))
        })
    }

    /// True if no partition moved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The record of one commit. Which fields are written depends on the place; see the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Marker {
    /// The format, [`VERSION`].
    pub version: u32,
    /// This commit's identity.
    pub id: MarkerId,
    /// The pipeline that wrote it; several pipelines may write to one table.
    pub pipeline: String,
    /// The table it was made for: a recreated table has another UUID under the same name.
    pub table_uuid: String,
    /// The incarnation of the pipeline that wrote it.
    pub generation: Generation,
    /// The checkpoint it commits.
    pub epoch: Epoch,
    /// The marker it follows; `None` only for the very first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MarkerId>,
    /// The partitions that moved in this commit (snapshot summary only).
    #[serde(default, skip_serializing_if = "Ranges::is_empty")]
    pub moved: Ranges,
    /// The next offset of every partition after this commit (table property only).
    #[serde(default, skip_serializing_if = "Offsets::is_empty")]
    pub next: Offsets,
    /// Records that are missing from the table by decision (snapshot summary only): offsets that were
    /// accepted as lost by `on-gap=record-gap`, or whose rows were rolled back and left out by
    /// `on-rollback=continue`.
    #[serde(default, skip_serializing_if = "Ranges::is_empty")]
    pub gaps: Ranges,
    /// True if this claim left rows out, and where they begin was not known (snapshot summary only): what it stands
    /// at says nothing about its parent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gaps_unknown: bool,
    /// The id of each topic, as far as the brokers tell it: a topic that is made anew has another one
    /// under the same name, and its offsets have nothing to do with those of the first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topic_ids: BTreeMap<String, String>,
    /// The Kafka cluster the offsets belong to, if it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The state snapshot that belongs to this cut, or [`EMPTY_STATE`]; `None` if the dataflow keeps no state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_snapshot: Option<String>,
    /// Rows in the files of this commit.
    pub rows: u64,
    /// Files of this commit.
    pub files: u32,
    /// A digest of the files' paths.
    pub files_digest: String,
    /// The table's last sequence number when the marker was made: its own snapshot's is higher,
    /// so a lineage that reaches down to this number must contain it.
    pub base_sequence: i64,
    /// When it was made, in milliseconds since 1970; for people, never for a decision.
    pub committed_at_ms: i64,
    /// The version of calve that wrote it.
    pub calve_version: String,
}

/// A marker that says nothing, for tests to say what matters to them.
#[cfg(test)]
impl Default for Marker {
    fn default() -> Self {
        Self {
            version: VERSION,
            id: MarkerId(String::new()),
            pipeline: String::new(),
            table_uuid: String::new(),
            generation: Generation::default(),
            epoch: Epoch::default(),
            parent: None,
            moved: Ranges::default(),
            next: Offsets::new(),
            gaps: Ranges::default(),
            gaps_unknown: false,
            topic_ids: BTreeMap::new(),
            cluster_id: None,
            state_snapshot: None,
            rows: 0,
            files: 0,
            files_digest: String::new(),
            base_sequence: 0,
            committed_at_ms: 0,
            calve_version: String::new(),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Only as much of a marker as every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Marker {
    /// Reads a marker; `place` names where it stood, for the error.
    pub fn parse(json: &str, place: &str) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            Error::diverged(format!("the marker in {place} can't be read"))
                .caused_by(error)
                .advice(
                    "no data was touched; restore the value, or start under another pipeline name",
                )
        };
        let Versioned { version } = serde_json::from_str(json).map_err(damaged)?;
        if version > VERSION {
            return Err(Error::diverged(format!(
                "the marker in {place} has format {version}, this program reads up to {VERSION}"
            ))
            .advice("a newer calve has written to this table: run that version"));
        }
        serde_json::from_str(json).map_err(damaged)
    }

    /// The epoch of a marker, for people: the rest, which may be long, is passed over. None where [`Self::parse`] fails
    /// for its version, or there is no such number.
    pub fn epoch_in(json: &str) -> Option<Epoch> {
        #[derive(Deserialize)]
        struct Dated {
            version: u32,
            epoch: Epoch,
        }
        let dated: Dated = serde_json::from_str(json).ok()?;
        (dated.version <= VERSION).then_some(dated.epoch)
    }

    /// The snapshot summary's copy: what moved, and what is missing.
    pub fn to_summary(&self) -> Result<String> {
        self.to_json(|marker| marker.next = Offsets::new())
    }

    /// The table property's copy: where every partition stands.
    pub fn to_property(&self) -> Result<String> {
        self.to_json(|marker| {
            marker.moved = Ranges::default();
            marker.gaps = Ranges::default();
            marker.gaps_unknown = false;
        })
    }

    fn to_json(&self, trim: impl FnOnce(&mut Self)) -> Result<String> {
        let mut copy = self.clone();
        trim(&mut copy);
        serde_json::to_string(&copy)
            .map_err(|error| Error::internal("a marker can't be written as JSON").caused_by(error))
    }

    /// Generation, then epoch: the order in which one pipeline's markers follow each other.
    pub fn rank(&self) -> (Generation, Epoch) {
        (self.generation, self.epoch)
    }
}

/// `epoch 7 of generation 2 (id)`, for logs and errors.
impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {} of generation {} ({})",
            self.epoch, self.generation, self.id
        )
    }
}
