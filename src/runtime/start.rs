//! The start of a run: look at everything, decide once, claim the pipeline, tell all workers.
//!
//! Worker 0 of process 0 does it, in this order, so that a process that can't run never fences one
//! that does: topics → table → marker → offsets checked against the topics → claim. From the claim on,
//! every partition's next offset stands in the table, so a crash before the first commit changes
//! nothing, not even for a start at `latest`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::table::Table;
use serde::{Deserialize, Serialize};
use timely::worker::Worker;

use super::job::Shared;
use super::share;
use super::table::{self, OpenTable};
use crate::config::{OffsetReset, OnOrphans, Place, Settings};
use crate::error::{Error, Result};
use crate::iceberg::{Committer, Retention, Sink, Sweep};
use crate::kafka::{Cluster, Discovery, Start, Watermarks};
use crate::offsets::{NextOffset, Offsets};
use crate::process::Process;
use crate::time::Generation;

/// What worker 0 tells the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Said {
    Started {
        start: Start,
        generation: Generation,
        /// What all processes of the run must agree on: settings by key.
        settings: Vec<(String, Option<String>)>,
    },
    Failed(String),
}

/// The start of one process, called by each of its workers.
pub(super) struct Preparation {
    settings: Settings,
    bounded: bool,
    process: Arc<Process>,
    shared: Mutex<Option<Arc<Shared>>>,
}

impl Preparation {
    pub(super) fn new(settings: Settings, bounded: bool, process: Arc<Process>) -> Self {
        Self {
            settings,
            bounded,
            process,
            shared: Mutex::new(None),
        }
    }

    /// Returns what the worker's dataflow is built from; `None` if the process failed meanwhile.
    pub(super) fn on_worker(&self, worker: &mut Worker) -> Result<Option<Arc<Shared>>> {
        let mut failure = None;
        let said = (worker.index() == 0).then(|| match self.begin() {
            Ok(said) => said,
            Err(error) => {
                let said = Said::Failed(error.to_string());
                failure = Some(error);
                said
            }
        });
        let heard = share::from_worker_0(worker, &self.process, said);
        if let Some(error) = failure {
            return Err(error);
        }
        match heard {
            None => Ok(None),
            Some(Said::Started {
                start,
                generation,
                settings,
            }) => {
                self.agree(&settings)?;
                self.follow(start, generation).map(Some)
            }
            Some(Said::Failed(reason)) => Err(Error::external(format!(
                "process 0 could not start: {reason}"
            ))),
        }
    }

    /// The start itself, on worker 0.
    fn begin(&self) -> Result<Said> {
        let settings = &self.settings;
        settings.require_ingest()?;
        let cluster = Arc::new(Cluster::open(&settings.kafka, &settings.pipeline.name)?);
        let partitions = cluster.partitions()?;
        let ends = self
            .bounded
            .then(|| cluster.ends(&partitions))
            .transpose()?;
        let OpenTable { catalog, table } = self.process.block_on(table::open(settings))?;
        let observed = self
            .process
            .block_on(Committer::observe(
                catalog,
                table.identifier().clone(),
                &settings.pipeline.name,
            ))?
            .with_patience(settings.checkpoint.timeout)
            .with_retention(settings.snapshots.max_age.map(|max_age| Retention {
                max_age,
                min_to_keep: settings.snapshots.min_to_keep,
            }));
        let known = observed.marker().map(|marker| &marker.next);
        let first = first_offsets(
            &cluster,
            &partitions,
            known,
            settings.kafka.auto_offset_reset,
        )?;
        let resumed = known.is_some();
        let cluster_id = cluster.id();
        let (committer, marker) =
            self.process
                .block_on(Committer::claim(observed, &first, cluster_id.as_deref()))?;
        let start = Start {
            epoch: marker.epoch.next(),
            offsets: marker.next.clone(),
            ends,
        };
        let generation = marker.generation;
        tracing::info!(
            pipeline = settings.pipeline.name,
            generation = generation.0,
            epoch = start.epoch.0,
            resumed,
            partitions = partitions.len(),
            table = %table.identifier(),
            "started"
        );
        self.sweep(&committer);
        let sink = self.sink(committer.table().clone(), generation, Some(committer));
        let shared = self.share(cluster, sink, start.clone());
        *self.slot() = Some(Arc::new(shared));
        Ok(Said::Started {
            start,
            generation,
            settings: agreed(&self.settings),
        })
    }

    /// What crashed runs left behind goes while this one begins: nothing waits for it.
    fn sweep(&self, committer: &Committer) {
        let dry_run = match self.settings.on_orphans {
            OnOrphans::Keep => return,
            OnOrphans::DryRun => true,
            OnOrphans::Delete => false,
        };
        let sweep = Sweep::after_claim(committer);
        self.process.spawn_chore(sweep.run(dry_run));
    }

    /// Processes that read different topics, or write to different tables, are not one run.
    fn agree(&self, first: &[(String, Option<String>)]) -> Result<()> {
        let mine = agreed(&self.settings);
        let Some(((key, theirs), (_, mine))) = first.iter().zip(&mine).find(|(a, b)| a != b) else {
            return Ok(());
        };
        let or_unset = |value: &Option<String>| value.clone().unwrap_or("unset".to_owned());
        Err(Error::config(format!(
            "{key} is {} in this process and {} in process 0",
            or_unset(mine),
            or_unset(theirs)
        ))
        .advice("start all processes of a run with the same settings"))
    }

    /// The same on every other worker: the first one of another process opens catalog and table.
    fn follow(&self, start: Start, generation: Generation) -> Result<Arc<Shared>> {
        let mut slot = self.slot();
        if let Some(shared) = &*slot {
            return Ok(Arc::clone(shared));
        }
        let cluster = Arc::new(Cluster::open(
            &self.settings.kafka,
            &self.settings.pipeline.name,
        )?);
        let OpenTable { table, .. } = self.process.block_on(table::open(&self.settings))?;
        let sink = self.sink(table, generation, None);
        let shared = Arc::new(self.share(cluster, sink, start));
        *slot = Some(Arc::clone(&shared));
        Ok(shared)
    }

    fn sink(&self, table: Table, generation: Generation, committer: Option<Committer>) -> Sink {
        // Only a setting that somebody made outranks the table's own property.
        let target_file_size = match self.settings.layer("target-file-size") {
            None | Some(Place::Default) => None,
            Some(_) => Some(self.settings.target_file_size),
        };
        Sink::new(
            table,
            self.settings.pipeline.name.clone(),
            generation,
            target_file_size,
            usize::try_from(self.settings.row_group_size).unwrap_or(usize::MAX),
            committer,
        )
    }

    fn share(&self, cluster: Arc<Cluster>, sink: Sink, start: Start) -> Shared {
        Shared {
            settings: self.settings.clone(),
            process: Arc::clone(&self.process),
            discovery: Discovery::start(
                &self.process,
                cluster,
                start.offsets.clone(),
                self.settings.kafka.partition_discovery_interval,
            ),
            start,
            sink,
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings that decide what is read and what is written; secrets are masked.
fn agreed(settings: &Settings) -> Vec<(String, Option<String>)> {
    const PREFIXES: [&str; 7] = [
        "pipeline.",
        "kafka.topic",
        "catalog.",
        "warehouse",
        "table.",
        "on-reject",
        "checkpoint.",
    ];
    let decides = |key: &str| PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    let effective = settings.effective().into_iter();
    effective
        .filter(|setting| decides(&setting.key))
        .map(|setting| (setting.key, setting.value))
        .collect()
}

/// Where reading starts in each partition that exists: the marker's offset, if it is still there.
///
/// | marker | partition in it | start |
/// |---|---|---|
/// | none | | `kafka.auto-offset-reset` |
/// | M | yes | M's offset, which must lie within the topic |
/// | M | no | the beginning: the partition is new |
fn first_offsets(
    cluster: &Cluster,
    partitions: &[(String, i32)],
    marker: Option<&Offsets>,
    reset: OffsetReset,
) -> Result<Offsets> {
    let mut offsets = Offsets::new();
    for (topic, partition) in partitions {
        let marks = cluster.watermarks(topic, *partition)?;
        let next = match (marker, marker.and_then(|m| m.get(topic, *partition))) {
            (Some(_), Some(next)) => {
                within(topic, *partition, next, marks)?;
                next
            }
            (Some(_), None) => NextOffset(marks.low),
            (None, _) => match reset {
                OffsetReset::Earliest => NextOffset(marks.low),
                OffsetReset::Latest => NextOffset(marks.high),
            },
        };
        offsets.set(topic, *partition, next);
    }
    let gone: Vec<String> = marker
        .into_iter()
        .flat_map(Offsets::iter)
        .filter(|(topic, partition, _)| {
            partitions.iter().any(|(t, _)| t == topic)
                && !partitions.iter().any(|(t, p)| t == topic && p == partition)
        })
        .map(|(topic, partition, next)| format!("{topic}[{partition}] (next offset {next})"))
        .collect();
    if gone.is_empty() {
        return Ok(offsets);
    }
    Err(Error::diverged(format!(
        "the table's marker knows partitions that the topic does not have: {}",
        gone.join(", ")
    ))
    .advice(
        "the topic was recreated with fewer partitions. Nothing was read and nothing in the table \
         was touched; to load the new topic into this table, use another pipeline.name",
    ))
}

fn within(topic: &str, partition: i32, next: NextOffset, marks: Watermarks) -> Result<()> {
    let place = format!("{topic}[{partition}]: the table's marker continues at offset {next}");
    if next.0 < marks.low {
        return Err(Error::diverged(format!(
            "{place}, but the topic begins at {}: {} offsets are gone",
            marks.low,
            marks.low - next.0
        ))
        .advice(
            "retention deleted records before they were read (or the topic was recreated). \
             Nothing was skipped and nothing in the table was touched; restore the records, or \
             accept the gap by starting under another pipeline.name",
        ));
    }
    if next.0 > marks.high {
        return Err(Error::diverged(format!(
            "{place}, but the topic ends at {}",
            marks.high
        ))
        .advice(
            "the topic was recreated, or kafka.brokers names another cluster. Nothing was read and \
             nothing in the table was touched; correct kafka.brokers or kafka.topic, or load the \
             new topic under another pipeline.name",
        ));
    }
    Ok(())
}
