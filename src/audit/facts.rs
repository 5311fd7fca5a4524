//! The facts that an audit is judged by, and how they are read from a table.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use futures::TryStreamExt;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;

use super::chain::{Coverage, Place, index_of};
use super::manifests::{self, LiveFile};
use super::offset_set::{OffsetSet, Tally};
use super::report::Sample;
use super::rows::{self, Columns, FileRows};
use crate::checkpoint::decisions::{Observed, Start, decide_start};
use crate::config::OnRollback;
use crate::error::{Error, Result};
use crate::iceberg::names::{self, FileOrigin};
use crate::iceberg::{Link, chain as chain_of, observe as observe_markers};

/// The columns by which a changelog is known.
const CHANGELOG: [&str; 2] = ["_diff", "_epoch"];

/// Strays are listed up to this many files and partitions.
const STRAYS_MAX: usize = 20;

/// What one snapshot added, by its manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// A digest of their paths, as markers have it.
    pub digest: String,
}

/// The files of the current snapshot, by their manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// All files.
    pub files: u64,
    /// Rows in them, deleted ones included.
    pub rows: u64,
    /// Files that neither this pipeline nor another one added.
    pub foreign_files: u64,
    /// Files of other pipelines.
    pub other_files: u64,
    /// True if there are delete files.
    pub has_deletes: bool,
}

/// Rows that lie where their file's origin has no business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where they claim to come from.
    pub at: Place,
    /// Which offsets; none if they are negative.
    pub offsets: Sample,
    /// The file.
    pub file: String,
    /// Who added it, in words.
    pub added_by: String,
}

/// What the rows say, file by file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The rows of the pipeline's topics, whoever wrote them.
    pub partitions: BTreeMap<Place, Tally>,
    /// Rows outside of the ranges they may lie in.
    pub strays: Vec<Stray>,
    /// True if there were more of them than are listed.
    pub more_strays: bool,
    /// Rows without provenance.
    pub anonymous: u64,
    /// Rows in files of other programs, of topics that were made anew: of which of them can't be told.
    pub indistinct: u64,
    /// Rows of topics that this pipeline has never read.
    pub unrelated: u64,
    /// Rows of other pipelines.
    pub others: u64,
    /// Data files that are not there.
    pub missing: Vec<String>,
}

/// All that the judgement rests on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The table's name.
    pub table: String,
    /// The pipeline's.
    pub pipeline: String,
    /// The two places of the marker.
    pub observed: Observed,
    /// The markers in the lineage of `main`, oldest first.
    pub chain: Vec<Link>,
    /// What the snapshot of each of them added.
    pub written: Vec<Written>,
    /// The live files.
    pub live: Live,
    /// The rows; `None` if the table has no provenance columns.
    pub rows: Option<Rows>,
    /// True if the table's rows are changes (`_diff`, `_epoch`) and no records.
    pub changelog: bool,
}

impl Facts {
    /// What the markers say they cover.
    pub fn coverage(&self) -> Coverage {
        coverage(&self.observed, &self.chain)
    }
}

pub(super) fn coverage(observed: &Observed, chain: &[Link]) -> Coverage {
    let property = observed.property.as_ref();
    Coverage::new(chain, property.map(|recorded| &recorded.marker))
}

/// Who added a live file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The commit of this marker of the chain.
    Marker(usize),
    /// This pipeline, in a snapshot that has expired.
    Expired,
    /// Another pipeline.
    Other,
    /// A program without markers: an append, or a rewrite of rows that were there.
    Foreign,
}

/// Tells who added a file.
///
/// | its snapshot | and | origin |
/// |---|---|---|
/// | has a marker of this pipeline | | that marker |
/// | has a marker of another one | | other |
/// | has none | | foreign |
/// | has expired | the file is named as this pipeline names files | expired |
/// | has expired | it is named as another pipeline does | other |
/// | has expired | it has another name | foreign |
pub(super) struct Origins<'a> {
    metadata: &'a TableMetadata,
    pipeline: &'a str,
    links: HashMap<i64, usize>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(metadata: &'a TableMetadata, pipeline: &'a str, chain: &[Link]) -> Self {
        Self {
            metadata,
            pipeline,
            links: index_of(chain),
        }
    }

    pub(super) fn of(&self, file: &LiveFile) -> Origin {
        if let Some(index) = self.links.get(&file.added_by) {
            return Origin::Marker(*index);
        }
        match self.metadata.snapshot_by_id(file.added_by) {
            Some(snapshot) => {
                let summary = &snapshot.summary().additional_properties;
                match names::pipelines(summary.keys()).is_empty() {
                    true => Origin::Foreign,
                    false => Origin::Other,
                }
            }
            None => match FileOrigin::of(&file.path) {
                Some(origin) if origin.pipeline == self.pipeline => Origin::Expired,
                Some(_) => Origin::Other,
                None => Origin::Foreign,
            },
        }
    }
}

/// Reads a table's markers; an error if the pipeline has none here.
pub(super) fn markers(table: &Table, pipeline: &str) -> Result<(Observed, Vec<Link>)> {
    let metadata = table.metadata();
    let observed = observe_markers(metadata, pipeline)?;
    if decide_start(&observed, OnRollback::Halt) == Start::Fresh {
        let others = names::pipelines(metadata.properties().keys());
        let advice = match others.as_slice() {
            [] => "no pipeline has; check table.name".to_owned(),
            others => format!("these have: {}; set pipeline.name", others.join(", ")),
        };
        return Err(Error::config(format!(
            "pipeline {pipeline} has never written to table {}",
            table.identifier()
        ))
        .advice(advice));
    }
    Ok((observed, chain_of(metadata, pipeline)?))
}

/// Reads everything that an audit needs to know: metadata, manifests, provenance columns.
///
/// Memory: one bit for each offset, and what the manifests say about each live file.
pub async fn observe(table: &Table, pipeline: &str) -> Result<Facts> {
    let (observed, chain) = markers(table, pipeline)?;
    let coverage = coverage(&observed, &chain);
    let columns = Columns::find(table, &coverage)?;
    let manifests = manifests::read(table, &chain, columns.as_ref()).await?;
    let origins = Origins::new(table.metadata(), pipeline, &chain);
    let mut live = Live {
        has_deletes: manifests.has_deletes,
        ..Live::default()
    };
    let mut found = Rows::default();
    let mut files = HashMap::new();
    for file in &manifests.live {
        let origin = origins.of(file);
        live.files += 1;
        live.rows += file.rows;
        live.foreign_files += u64::from(origin == Origin::Foreign);
        if origin == Origin::Other {
            live.other_files += 1;
            found.others += file.rows;
        }
        files.insert(file.path.as_str(), origin);
    }
    let rows = match &columns {
        None => None,
        Some(columns) => {
            let is_ours = |path: &str| files.get(path) != Some(&Origin::Other);
            let mut read = pin!(rows::read(table, None, columns, is_ours).await?);
            while let Some((path, rows)) = read.try_next().await? {
                let origin = files.get(path.as_str()).copied();
                found.take(
                    &path,
                    rows,
                    origin.unwrap_or(Origin::Foreign),
                    &coverage,
                    &chain,
                );
            }
            Some(found)
        }
    };
    let schema = table.metadata().current_schema();
    Ok(Facts {
        changelog: CHANGELOG
            .iter()
            .all(|name| schema.field_id_by_name(name).is_some()),
        table: table.identifier().to_string(),
        pipeline: pipeline.to_owned(),
        observed,
        chain,
        written: manifests.written,
        live,
        rows,
    })
}

impl Rows {
    /// Takes in what one file holds; `rows` is `None` if the file is gone.
    pub(super) fn take(
        &mut self,
        path: &str,
        rows: Option<FileRows>,
        origin: Origin,
        coverage: &Coverage,
        chain: &[Link],
    ) {
        let Some(rows) = rows else {
            self.missing.push(path.to_owned());
            return;
        };
        self.anonymous += rows.anonymous;
        for (at, tally) in rows.partitions {
            if origin == Origin::Foreign && !coverage.knows_topic(&at.topic) {
                self.unrelated += tally.rows;
                continue;
            }
            if origin == Origin::Foreign && coverage.was_remade(&at.topic) {
                self.indistinct += tally.rows;
                continue;
            }
            let place = match origin {
                Origin::Marker(index) => coverage.place(at, index),
                Origin::Expired | Origin::Foreign | Origin::Other => Place::first(at),
            };
            let allowed = allowed(&place, origin, coverage, chain);
            let outside = tally.present.without(&allowed);
            if tally.negative > 0 || !outside.is_empty() {
                self.stray(Stray {
                    at: place.clone(),
                    offsets: Sample::from(&outside),
                    file: path.to_owned(),
                    added_by: match origin {
                        Origin::Marker(index) => chain[index].marker.to_string(),
                        Origin::Expired => "a commit that has expired".to_owned(),
                        Origin::Other | Origin::Foreign => "another program".to_owned(),
                    },
                });
            }
            self.partitions.entry(place).or_default().absorb(&tally);
        }
    }

    fn stray(&mut self, stray: Stray) {
        if self.strays.len() < STRAYS_MAX {
            self.strays.push(stray);
        } else {
            self.more_strays = true;
        }
    }
}

/// Where the rows of a file may lie.
///
/// | the file's origin | its rows may lie in |
/// |---|---|
/// | a marker | the ranges of that marker |
/// | an expired commit | what is before the oldest retained marker |
/// | foreign | all of that: a compaction moves rows of any commit, another engine wrote what is before the first |
fn allowed(place: &Place, origin: Origin, coverage: &Coverage, chain: &[Link]) -> OffsetSet {
    match origin {
        Origin::Marker(index) => {
            let moved = chain[index].marker.moved.iter();
            let (topic, partition) = (&place.at.topic, place.at.partition);
            let here = moved.filter(|(t, p, ..)| t == topic && *p == partition);
            OffsetSet::of(here.map(|(.., start, end)| start.0..end.0))
        }
        Origin::Expired => OffsetSet::from(coverage.expired(place)),
        Origin::Foreign | Origin::Other => coverage.union(place),
    }
}
