//! What an audit says: a verdict for each check, and a finding for each thing that is wrong.

use std::fmt;
use std::ops::Range;

use indicatif::HumanCount;
use serde::Serialize;

use super::chain::Place;
use super::offset_set::OffsetSet;
use crate::checkpoint::marker::Marker;
use crate::offsets::TopicPartition;

/// How many ranges of offsets are shown; the count is always that of all.
const RANGES_SHOWN: usize = 8;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The marker in the property and the one in the lineage are the same.
    Places,
    /// Generations and epochs grow, and each marker's parent is the marker before it.
    Order,
    /// The ranges of the markers join, up to the property's next offsets.
    Ranges,
    /// The files of each snapshot are those that its marker stands for.
    Files,
    /// No commit wrote more rows than its ranges have offsets.
    Counts,
    /// Each row lies within the ranges of the commit that wrote it.
    Placement,
    /// No record has two rows.
    Duplicates,
    /// Every row that was committed is still there, and no other.
    Completeness,
}

impl Subject {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Places,
        Self::Order,
        Self::Ranges,
        Self::Files,
        Self::Counts,
        Self::Placement,
        Self::Duplicates,
        Self::Completeness,
    ];

    /// What holds if the check passes.
    pub fn title(self) -> &'static str {
        match self {
            Self::Places => "the two places of the marker agree",
            Self::Order => "each marker follows the one before it",
            Self::Ranges => "the ranges join",
            Self::Files => "files are those of their markers",
            Self::Counts => "no commit has more rows than offsets",
            Self::Placement => "each row lies in its commit's range",
            Self::Duplicates => "no record is there twice",
            Self::Completeness => "every committed row is there",
        }
    }

    /// What to do if it fails.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Places => {
                "somebody rolled the table back or changed calve's table properties: compare the \
                 table's snapshots and undo it, or tell `calve run` what it was for (on-rollback)"
            }
            Self::Order | Self::Ranges => {
                "keep the table as it is, with its snapshots: a process wrote without the guard, \
                 or history was rewritten; `calve explain TOPIC/PARTITION/OFFSET` shows each side"
            }
            Self::Files | Self::Counts => {
                "keep the table as it is: files were added to or taken out of a snapshot after its \
                 commit, which no engine does; look for a damaged or restored catalog"
            }
            Self::Placement => {
                "another program wrote these rows under the names of Kafka records: find it by the \
                 file, delete its rows, and audit again"
            }
            Self::Duplicates => {
                "`calve explain TOPIC/PARTITION/OFFSET` names the files and snapshots; if a snapshot \
                 without a marker added one of them, delete its rows"
            }
            Self::Completeness => {
                "`calve explain TOPIC/PARTITION/OFFSET` tells what became of a record; roll back \
                 whoever deleted rows, or load all again under another pipeline.name and table.name"
            }
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It can't be told from what the table has.
    Unchecked,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unchecked => "-",
        })
    }
}

/// A marker, named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MarkerRef {
    /// Its epoch.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// Its identity.
    pub id: String,
}

impl From<&Marker> for MarkerRef {
    fn from(marker: &Marker) -> Self {
        Self {
            epoch: marker.epoch.0,
            generation: marker.generation.0,
            id: marker.id.to_string(),
        }
    }
}

/// Offsets, the first few of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sample {
    /// How many there are.
    pub count: u64,
    /// The first ranges, `[from, to)` each.
    pub ranges: Vec<(i64, i64)>,
    /// True if there are more ranges than these.
    pub more: bool,
}

impl From<&OffsetSet> for Sample {
    fn from(set: &OffsetSet) -> Self {
        let mut runs = set.runs();
        let ranges = runs.by_ref().take(RANGES_SHOWN);
        Self {
            count: set.len(),
            ranges: ranges.map(|run| (run.start, run.end)).collect(),
            more: runs.next().is_some(),
        }
    }
}

impl From<Range<i64>> for Sample {
    fn from(range: Range<i64>) -> Self {
        Self {
            count: (range.end - range.start).max(0) as u64,
            ranges: vec![(range.start, range.end)],
            more: false,
        }
    }
}

/// `offset 17`, `3 offsets: 17–18, 40`
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (1, Some((only, _))) = (self.count, self.ranges.first()) {
            return write!(f, "offset {only}");
        }
        write!(f, "{} offsets", HumanCount(self.count))?;
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match to - from {
                1 => write!(f, "{from}")?,
                _ => write!(f, "{from}–{}", to - 1)?,
            }
        }
        f.write_str(if self.more { ", …" } else { "" })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The check that found it.
    pub check: Subject,
    /// What it is.
    pub what: String,
    /// Where in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Where in the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// How often the topic had been made anew before.
    #[serde(skip_serializing_if = "is_first")]
    pub topic_life: u32,
    /// Which offsets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Sample>,
    /// The commit in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<MarkerRef>,
    /// The file in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Finding {
    /// A finding that still lacks its places.
    pub fn new(check: Subject, what: impl Into<String>) -> Self {
        Self {
            check,
            what: what.into(),
            topic: None,
            partition: None,
            topic_life: 0,
            offsets: None,
            marker: None,
            file: None,
        }
    }

    /// In this partition, these offsets.
    #[must_use]
    pub fn at(mut self, place: &Place, offsets: impl Into<Sample>) -> Self {
        self.topic = Some(place.at.topic.clone());
        self.partition = Some(place.at.partition);
        self.topic_life = place.life;
        self.offsets = Some(offsets.into());
        self
    }

    /// In this commit.
    #[must_use]
    pub fn of(mut self, marker: &Marker) -> Self {
        self.marker = Some(marker.into());
        self
    }

    /// In this file.
    #[must_use]
    pub fn file(mut self, path: &str) -> Self {
        self.file = Some(path.to_owned());
        self
    }
}

/// `samples[0], 3 offsets: 17–18, 40: what is wrong`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(topic), Some(partition)) = (&self.topic, self.partition) {
            let place = Place {
                at: TopicPartition::new(topic, partition),
                life: self.topic_life,
            };
            write!(f, "{place}")?;
            if let Some(offsets) = &self.offsets {
                write!(f, ", {offsets}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)?;
        match &self.file {
            Some(file) => write!(f, " ({file})"),
            None => Ok(()),
        }
    }
}

fn is_first(life: &u32) -> bool {
    *life == 0
}

/// One check and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What it is about.
    pub check: Subject,
    /// How it ended.
    pub verdict: Verdict,
    /// What was looked at, or why nothing could be.
    pub evidence: String,
}

/// One partition, as the table has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartitionReport {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// How often the topic had been made anew before.
    #[serde(skip_serializing_if = "is_first")]
    pub topic_life: u32,
    /// Where the retained markers begin.
    pub first: Option<i64>,
    /// Where the pipeline goes on.
    pub next: Option<i64>,
    /// Rows; like all that follows, only known with provenance columns.
    pub rows: Option<u64>,
    /// Distinct offsets.
    pub distinct: Option<u64>,
    /// The lowest offset.
    pub min: Option<i64>,
    /// The highest offset.
    pub max: Option<i64>,
    /// Covered offsets that have no row: rejects, transaction markers, gaps of compaction, or losses.
    pub without_row: Option<Sample>,
    /// The same below `first`, from the lowest row on, where markers have expired.
    pub without_row_before_first: Option<Sample>,
    /// Offsets that are missing by decision (`on-gap`, `on-rollback`).
    pub gaps: Option<Sample>,
}

/// All that an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The table.
    pub table: String,
    /// The pipeline.
    pub pipeline: String,
    /// The marker in the table property.
    pub marker: Option<MarkerRef>,
    /// The checks, in the order of [`Subject::ALL`].
    pub checks: Vec<Check>,
    /// What is wrong, in the same order.
    pub findings: Vec<Finding>,
    /// The partitions.
    pub partitions: Vec<PartitionReport>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    /// How many checks failed.
    pub fn failed(&self) -> usize {
        let failed = |check: &&Check| check.verdict == Verdict::Fail;
        self.checks.iter().filter(failed).count()
    }
}
