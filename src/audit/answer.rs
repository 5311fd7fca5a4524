//! What became of one record: `calve explain TOPIC/PARTITION/OFFSET`.
//!
//! The markers say where it stands, the bounds in the manifests which files may hold it, and the
//! rows whether one does. A record that was committed and is gone is traced through the snapshots.

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::str::FromStr;

use futures::TryStreamExt;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use serde::Serialize;

use super::chain::{Coverage, Place};
use super::facts::{self, Origin, Origins};
use super::manifests;
use super::report::MarkerRef;
use super::rows::{self, Columns};
use crate::error::{Error, Result};
use crate::iceberg::names::FileOrigin;
use crate::iceberg::{Link, cut_off, of_main};
use crate::offsets::TopicPartition;

/// A record in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// `topic/0/17`
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Record {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let record = Self {
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            };
            let valid = !topic.is_empty() && record.partition >= 0 && record.offset >= 0;
            valid.then_some(record)
        };
        parse().ok_or_else(|| {
            Error::config(format!("{text:?} names no record"))
                .advice("write TOPIC/PARTITION/OFFSET, for example samples/0/17")
        })
    }
}

/// Where the markers say that a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// Its topic has never been read.
    UnknownTopic,
    /// Its partition has never been read.
    UnknownPartition,
    /// It has not been read yet.
    NotRead {
        /// Where reading goes on.
        next: i64,
    },
    /// It is missing by decision.
    Gap,
    /// The pipeline began behind it.
    BeforeFirst {
        /// Where it began.
        first: i64,
    },
    /// A commit covers it.
    Covered {
        /// The commit.
        marker: MarkerRef,
        /// Its snapshot.
        snapshot: i64,
        /// The range, from this offset …
        from: i64,
        /// … to this one, which is not in it.
        to: i64,
        /// How many topics of this name had such a record: more than one if it was made anew.
        topics: u64,
    },
    /// It lies before the oldest retained marker.
    Expired,
    /// It lies between two ranges: something is wrong.
    Uncovered,
}

impl Standing {
    /// By the markers alone; what is true first, rules.
    ///
    /// | the offset | standing |
    /// |---|---|
    /// | of a topic, or a partition, that no marker knows | unknown |
    /// | at or behind the next one to read | not read yet |
    /// | missing by decision | gap |
    /// | in the range of a marker | covered, by the newest if by two |
    /// | before the first range of all | before the first |
    /// | before the oldest range that is retained | expired |
    /// | between two ranges | uncovered |
    ///
    /// Of a topic that was made anew, the newest one counts in which the offset was committed.
    pub fn of(record: &Record, coverage: &Coverage, chain: &[Link]) -> Self {
        let at = TopicPartition::new(record.topic.clone(), record.partition);
        let newest = coverage.current(at);
        let lives = (0..=newest.life).rev().map(|life| {
            let place = Place {
                life,
                ..newest.clone()
            };
            Self::in_life(record, &place, coverage, chain)
        });
        let mut lives: Vec<_> = lives.collect();
        let committed = |life: &Self| matches!(life, Self::Covered { .. });
        let times = lives.iter().filter(|life| committed(life)).count() as u64;
        let first = lives.iter().position(committed).unwrap_or(0);
        let mut standing = lives.swap_remove(first);
        if let Self::Covered { topics, .. } = &mut standing {
            *topics = times;
        }
        standing
    }

    fn in_life(record: &Record, place: &Place, coverage: &Coverage, chain: &[Link]) -> Self {
        let Some(covered) = coverage.partitions.get(place) else {
            return match coverage.knows_topic(&record.topic) {
                true => Self::UnknownPartition,
                false => Self::UnknownTopic,
            };
        };
        if let Some(next) = covered.end().filter(|next| record.offset >= *next) {
            return Self::NotRead { next };
        }
        if covered.gaps.contains(record.offset) {
            return Self::Gap;
        }
        let ranges = covered.ranges.iter().rev();
        let mut holding = ranges.filter(|(_, range)| range.contains(&record.offset));
        if let Some((link, range)) = holding.next() {
            return Self::Covered {
                marker: (&chain[*link].marker).into(),
                snapshot: chain[*link].snapshot_id,
                from: range.start,
                to: range.end,
                topics: 1,
            };
        }
        match covered.first() {
            Some(first) if coverage.complete && record.offset < first => {
                Self::BeforeFirst { first }
            }
            _ if coverage.expired(place).contains(&record.offset) => Self::Expired,
            _ => Self::Uncovered,
        }
    }
}

/// A file that holds a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holder {
    /// Its path.
    pub file: String,
    /// The snapshot that added it.
    pub snapshot: i64,
    /// When, in milliseconds since 1970; unknown if the snapshot has expired.
    pub committed_at_ms: Option<i64>,
    /// The generation that wrote it; unknown for files of other programs.
    pub generation: Option<u64>,
    /// The epoch that it was written in.
    pub epoch: Option<u64>,
    /// How many rows of the record it has; 2 may stand for more.
    pub rows: u64,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// The record.
    pub record: Record,
    /// What the markers say.
    #[serde(flatten)]
    pub standing: Standing,
    /// The files that hold it now.
    pub held_by: Vec<Holder>,
    /// The file that held it when it was committed, if none does now.
    pub was_in: Option<String>,
    /// The snapshot that took it away.
    pub removed_by: Option<i64>,
    /// The snapshot that had committed it and is no longer in the table's history: it was rolled back.
    pub rolled_back: Option<i64>,
    /// True if everything is as it should be.
    pub ok: bool,
    /// The answer in words.
    pub says: String,
}

/// What the rows say about a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sightings {
    /// The files that hold it now; `None` without provenance columns.
    pub(super) held_by: Option<Vec<Holder>>,
    /// The file that held it when it was committed.
    pub(super) was_in: Option<String>,
    /// The snapshot that took it away, and what it did.
    pub(super) removed_by: Option<(i64, String)>,
    /// The commit that held it and was rolled back, and its snapshot.
    pub(super) rolled_back: Option<(MarkerRef, i64)>,
}

/// Puts both together.
///
/// | standing | rows | as it should be | answer |
/// |---|---|---|---|
/// | covered, expired | one | yes | there, once |
/// | any | several | no | there more than once |
/// | covered | none, and none when it was committed | yes | a reject, a transaction marker, or gone from the topic |
/// | covered | none, but one when it was committed | no | deleted since |
/// | expired | none | yes | can't be told |
/// | not read, unknown, gap, before the first | none | yes | says so |
/// | not read, unknown, gap, before the first | one | no | written by another program |
/// | uncovered | | no | between two ranges |
/// | any | no provenance columns | yes | only what the markers say |
pub(super) fn conclude(record: Record, standing: Standing, seen: Sightings) -> Answer {
    let rows = seen
        .held_by
        .as_ref()
        .map(|held| held.iter().map(|h| h.rows).sum::<u64>());
    let markers = match &standing {
        Standing::UnknownTopic => "the pipeline has never read this topic".to_owned(),
        Standing::UnknownPartition => "the pipeline has never read this partition".to_owned(),
        Standing::NotRead { next } => {
            format!("the pipeline has not read it yet: it goes on at offset {next}")
        }
        Standing::Gap => {
            "it is missing by decision (on-gap=record-gap or on-rollback=continue)".to_owned()
        }
        Standing::BeforeFirst { first } => {
            format!("the pipeline began behind it, at offset {first}")
        }
        Standing::Covered {
            marker, from, to, ..
        } => format!(
            "epoch {} of generation {} committed the offsets {from} to {}",
            marker.epoch,
            marker.generation,
            to - 1
        ),
        Standing::Expired => "the snapshot that committed it has expired".to_owned(),
        Standing::Uncovered => {
            "no marker covers it, but markers before and after it do: run calve audit".to_owned()
        }
    };
    let topics = match &standing {
        Standing::Covered { topics, .. } => *topics,
        _ => 1,
    };
    let belongs = matches!(standing, Standing::Covered { .. } | Standing::Expired);
    let (ok, says) = match (rows, belongs) {
        (None, _) => (
            standing != Standing::Uncovered,
            format!(
                "{markers}. The table has no provenance columns, so its row can't be looked for"
            ),
        ),
        (Some(0), true) => match (&standing, &seen.was_in, &seen.removed_by) {
            (Standing::Expired, ..) => (
                true,
                format!("it has no row, and {markers}: whether it ever had one can't be told"),
            ),
            (_, Some(_), Some((snapshot, what))) => (
                false,
                format!("it was committed, and removed by snapshot {snapshot} ({what})"),
            ),
            (_, Some(_), None) => (false, "it was committed, and is gone".to_owned()),
            (_, None, _) => (
                true,
                format!(
                    "it has no row, nor had it one when {markers}: it was a reject that was skipped, a \
                     transaction's marker or aborted, or compaction had removed it from the topic"
                ),
            ),
        },
        (Some(0), false) => (standing != Standing::Uncovered, markers),
        (Some(1), true) => (true, "it is in the table, once".to_owned()),
        (Some(rows), true) if rows == topics => (
            true,
            format!("it is in the table {rows} times, once for each topic of that name"),
        ),
        (Some(1), false) => (
            false,
            format!("it has a row, but {markers}: another program wrote it"),
        ),
        (Some(rows), _) => (false, format!("it is in the table {rows} times; {markers}")),
    };
    let says = match &seen.rolled_back {
        Some((marker, snapshot)) => format!(
            "{says}. Epoch {} of generation {} had committed it with snapshot {snapshot}, which was rolled back",
            marker.epoch, marker.generation
        ),
        None => says,
    };
    Answer {
        record,
        standing,
        held_by: seen.held_by.unwrap_or_default(),
        was_in: seen.was_in,
        removed_by: seen.removed_by.map(|(snapshot, _)| snapshot),
        rolled_back: seen.rolled_back.map(|(_, snapshot)| snapshot),
        ok,
        says,
    }
}

/// The newest commit among those that were cut off that had brought the record, if none in the table's history
/// has.
pub(super) fn rolled_back(
    record: &Record,
    standing: &Standing,
    cut_off: &[Link],
) -> Option<(MarkerRef, i64)> {
    if matches!(standing, Standing::Covered { .. }) {
        return None;
    }
    let brought = |link: &&Link| {
        let range = link.marker.moved.get(&record.topic, record.partition);
        range.is_some_and(|(from, to)| (from.0..to.0).contains(&record.offset))
    };
    let newest = cut_off
        .iter()
        .filter(brought)
        .max_by_key(|link| link.marker.rank())?;
    Some(((&newest.marker).into(), newest.snapshot_id))
}

/// Finds out what became of a record.
pub async fn explain(table: &Table, pipeline: &str, record: Record) -> Result<Answer> {
    let (observed, chain) = facts::markers(table, pipeline)?;
    let coverage = facts::coverage(&observed, &chain);
    let standing = Standing::of(&record, &coverage, &chain);
    let mut seen = Sightings {
        rolled_back: rolled_back(&record, &standing, &cut_off(table.metadata(), pipeline)?),
        ..Sightings::default()
    };
    let Some(columns) = Columns::find(table, &coverage)? else {
        return Ok(conclude(record, standing, seen));
    };
    let search = Search {
        table,
        columns: &columns,
        record: &record,
        origins: Origins::new(table.metadata(), pipeline, &chain),
        chain: &chain,
    };
    let held_by = match table.metadata().current_snapshot() {
        Some(current) => search.as_of(current).await?,
        None => Vec::new(),
    };
    if let Standing::Covered { snapshot, .. } = &standing
        && held_by.is_empty()
        && let Some(committed) = table.metadata().snapshot_by_id(*snapshot)
    {
        let was_in = search.as_of(committed).await?;
        seen.was_in = was_in.first().map(|holder| holder.file.clone());
        if seen.was_in.is_some() {
            seen.removed_by = search.removed_after(committed).await?;
        }
    }
    seen.held_by = Some(held_by);
    Ok(conclude(record, standing, seen))
}

/// The search for one record's rows.
struct Search<'a> {
    table: &'a Table,
    columns: &'a Columns,
    record: &'a Record,
    origins: Origins<'a>,
    chain: &'a [Link],
}

impl Search<'_> {
    /// The files that hold the record in this snapshot.
    async fn as_of(&self, snapshot: &SnapshotRef) -> Result<Vec<Holder>> {
        let Record {
            topic,
            partition,
            offset,
        } = self.record;
        let live = manifests::live(self.table, snapshot, self.columns).await?;
        let candidates = live.into_iter().filter(|file| {
            file.bounds.may_hold(topic, *partition, *offset)
                && self.origins.of(file) != Origin::Other
        });
        let candidates: Vec<_> = candidates.collect();
        let paths: HashSet<_> = candidates.iter().map(|file| file.path.as_str()).collect();
        let wanted = |path: &str| paths.contains(path);
        let found = rows::read(self.table, Some(snapshot), self.columns, wanted).await?;
        let mut found = pin!(found);
        let mut holders = Vec::new();
        while let Some((path, rows)) = found.try_next().await? {
            let at = TopicPartition::new(topic.clone(), *partition);
            let rows = rows.unwrap_or_default();
            let Some(tally) = rows.partitions.get(&at) else {
                continue;
            };
            if !tally.present.contains(*offset) {
                continue;
            }
            let Some(file) = candidates.iter().find(|file| file.path == path) else {
                continue;
            };
            let (generation, epoch) = match self.origins.of(file) {
                Origin::Marker(index) => {
                    let marker = &self.chain[index].marker;
                    (Some(marker.generation.0), Some(marker.epoch.0))
                }
                _ => {
                    let origin = FileOrigin::of(&path);
                    let (generation, epoch) = origin.map(|o| (o.generation.0, o.epoch.0)).unzip();
                    (generation, epoch)
                }
            };
            let snapshot = self.table.metadata().snapshot_by_id(file.added_by);
            holders.push(Holder {
                snapshot: file.added_by,
                committed_at_ms: snapshot.map(|snapshot| snapshot.timestamp_ms()),
                generation,
                epoch,
                rows: 1 + u64::from(tally.repeated.contains(*offset)),
                file: path,
            });
        }
        Ok(holders)
    }

    /// The first snapshot after this one that does not hold the record any more. Appends remove
    /// nothing, so only others are looked at.
    async fn removed_after(&self, committed: &SnapshotRef) -> Result<Option<(i64, String)>> {
        let later = of_main(self.table.metadata())
            .take_while(|snapshot| snapshot.snapshot_id() != committed.snapshot_id());
        for snapshot in later.collect::<Vec<_>>().into_iter().rev() {
            let operation = &snapshot.summary().operation;
            if *operation != iceberg::spec::Operation::Append
                && self.as_of(snapshot).await?.is_empty()
            {
                return Ok(Some((
                    snapshot.snapshot_id(),
                    operation.as_str().to_owned(),
                )));
            }
        }
        Ok(None)
    }
}
