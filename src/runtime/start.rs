//! The start of a run: look at everything, decide once, claim the pipeline, tell all workers.
//!
//! Worker 0 of process 0 does it, in this order, so that a process that can't run never fences one
//! that does: topics → table → marker → offsets checked against the topics → claim. From the claim on,
//! every partition's next offset stands in the table, so a crash before the first commit changes
//! nothing, not even for a start at `latest`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::table::Table;
use serde::{Deserialize, Serialize};
use timely::worker::Worker;

use super::Dataflow;
use super::job::Shared;
use super::share;
use super::state::{Imported, RunState, States};
use super::table::{self, Columns, OpenTable};
use crate::budget::Uncommitted;
use crate::checkpoint::positions::{self, Beginning, Carried, Policies};
use crate::checkpoint::savepoint::Savepoint;
use crate::checkpoint::state;
use crate::config::{OnOrphans, Place, Settings};
use crate::error::{Error, Result};
use crate::iceberg::{
    Committer, Retention, SavepointStore, Sink, StateSnapshots, Stored, Sweep, read_savepoint,
    savepoint_folder,
};
use crate::kafka::{Cluster, Discovery, Start, TopicWatch};
use crate::process::Process;
use crate::state::Share;
use crate::time::Generation;

/// What worker 0 tells the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Said {
    Started {
        start: Start,
        generation: Generation,
        /// The state to begin with, if the dataflow keeps any.
        state: Option<BeginsWith>,
        /// The snapshot that the run builds on.
        snapshot: Option<i64>,
        /// What all processes of the run must agree on: settings by key.
        settings: Vec<(String, Option<String>)>,
    },
    Failed(String),
}

/// The state that a run begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct BeginsWith {
    /// Its name, see [`state::begin`].
    name: String,
    /// True if no newer one was ever named: a process that should not run any more, and still tidies up, keeps its
    /// files.
    is_newest: bool,
}

/// The start of one process, called by each of its workers.
pub(super) struct Preparation {
    dataflow: Dataflow,
    settings: Settings,
    bounded: bool,
    /// The savepoint to begin at.
    from: Option<String>,
    process: Arc<Process>,
    shared: Mutex<Option<Arc<Shared>>>,
}

impl Preparation {
    pub(super) fn new(
        dataflow: Dataflow,
        settings: Settings,
        bounded: bool,
        from: Option<String>,
        process: Arc<Process>,
    ) -> Self {
        Self {
            dataflow,
            settings,
            bounded,
            from,
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
                state,
                snapshot,
                settings,
            }) => {
                self.agree(&settings)?;
                self.follow(start, generation, state, snapshot).map(Some)
            }
            // Worker 0 is about to say it itself, with the kind of the error. It wakes us then.
            Some(Said::Failed(_)) if worker.index() < self.settings.parallelism => {
                while !self.process.has_failed() {
                    std::thread::park();
                }
                Ok(None)
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
        // What is wrong with the settings alone is said before anybody is asked.
        let columns = Columns::of(&self.dataflow, settings)?;
        let cluster = Arc::new(Cluster::open(&settings.kafka, &settings.pipeline.name)?);
        let partitions = cluster.partitions().map_err(|error| {
            // A topic that is being made anew is away for a moment.
            match policies(settings).bear_recreation() {
                true => error.restartable(),
                false => error,
            }
        })?;
        let OpenTable { catalog, table } = self.process.block_on(table::open(settings, columns))?;
        let savepoint = self.savepoint(&table)?;
        let observed = self
            .process
            .block_on(Committer::observe_from(
                savepoint.clone(),
                catalog,
                table.identifier().clone(),
                &settings.pipeline.name,
                settings.on_rollback,
            ))?
            .with_patience(settings.checkpoint.timeout)
            .with_retention(settings.snapshots.max_age.map(|max_age| Retention {
                max_age,
                min_to_keep: settings.snapshots.min_to_keep,
            }));
        let resumed = observed.marker().map(|marker| marker.epoch);
        let states = States::open(&self.dataflow, settings, &table)?;
        // A state that can't be restored must not fence a process that runs. If the claim is outrun, and the
        // state becomes another one, its restore is what looks at it.
        let carried = observed.carried();
        let newest = observed.marker().and_then(|m| m.state_snapshot.clone());
        let imported = self.import(savepoint.as_ref(), carried, states.as_ref())?;
        if imported.is_none() {
            let begun = state::begin(carried, self.dataflow.name, states.is_some())?;
            if let (Some(states), Some(name)) = (&states, begun) {
                self.process.block_on(states.find(&name))?;
            }
        }
        let cluster_id = cluster.id();
        let ours = self.process.claimed();
        let mut beginning = Beginning::default();
        let mut ends = None;
        let begin = |carried: Option<&Carried>| {
            let found = carried.map_or(Generation::default(), |carried| carried.generation);
            self.claims_after(found, ours)?;
            let topics = cluster.topics(&partitions)?;
            ends = self.bounded.then(|| positions::ends(&topics));
            beginning = positions::begin(carried, &topics, policies(settings))?;
            beginning.state = match &imported {
                Some(imported) => Some(imported.for_claim_after(carried)?),
                None => state::begin(carried, self.dataflow.name, states.is_some())?,
            };
            Ok(beginning.clone())
        };
        let claim = Committer::claim(observed, cluster_id.as_deref(), begin);
        let (committer, marker) = self.process.block_on(claim)?;
        tell(&beginning);
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
            resumed = resumed.is_some(),
            from = self.from,
            partitions = partitions.len(),
            table = %table.identifier(),
            "started"
        );
        if ours.is_some_and(|ours| generation <= ours) {
            // What this process has committed since belongs to the newer version of the table.
            tracing::warn!("the table is older than this process: orphans are not looked for");
        } else {
            self.sweep(&committer);
        }
        let control = self.process.control();
        if resumed.is_some() || self.from.is_some() {
            control.restored(resumed.unwrap_or(marker.epoch), self.from.as_deref());
        }
        let table = committer.table().clone();
        let snapshot = table.metadata().current_snapshot_id();
        let stored = Stored::new(table.clone(), snapshot);
        let sink = self.sink(table.clone(), generation, Some(committer));
        let state = marker.state_snapshot.map(|name| BeginsWith {
            is_newest: imported.is_some() || newest.as_ref() == Some(&name),
            name,
        });
        let run_state = self.state(states, generation, state.as_ref())?;
        let copied = run_state
            .as_ref()
            .map(|state| state.commits() as Arc<dyn StateSnapshots>);
        let savepoints = SavepointStore::beside(&table, &settings.pipeline.name, copied);
        control.write_savepoints_with(Arc::new(savepoints));
        let begins = start.clone();
        let shared = self.share(cluster, sink, stored, begins, marker.topic_ids, run_state);
        *self.slot() = Some(Arc::new(shared));
        Ok(Said::Started {
            start,
            generation,
            state,
            snapshot,
            settings: agreed(&self.settings),
        })
    }

    /// The savepoint to begin at, if one was asked for.
    fn savepoint(&self, table: &Table) -> Result<Option<Savepoint>> {
        let Some(location) = &self.from else {
            return Ok(None);
        };
        let savepoint = self.process.block_on(read_savepoint(table, location))?;
        let its_own = savepoint.marker.table_uuid == table.metadata().uuid().to_string();
        if self.dataflow.table.is_some() && !its_own {
            return Err(Error::diverged(format!(
                "the savepoint {location} is of table {}, and the state of {} is in its table",
                savepoint.table, self.dataflow.name
            ))
            .advice("go on with that table, or begin a new one without --from, at the topics' beginning"));
        }
        Ok(Some(savepoint))
    }

    /// The state of the savepoint as a snapshot of this pipeline, if that is what the run begins with.
    fn import(
        &self,
        savepoint: Option<&Savepoint>,
        carried: Option<&Carried>,
        states: Option<&States>,
    ) -> Result<Option<Imported>> {
        let (Some(from), Some(savepoint), Some(carried)) = (&self.from, savepoint, carried) else {
            return Ok(None);
        };
        let copy = savepoint.state_copy(carried, self.dataflow.name, states.is_some())?;
        let (Some(states), Some(copy)) = (states, copy) else {
            return Ok(None);
        };
        let location = format!("{}/{copy}", savepoint_folder(from));
        tracing::info!(
            location,
            "the state of the savepoint is copied to state.checkpoints.dir"
        );
        self.process
            .block_on(states.import(&location, carried))
            .map(Some)
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
    fn follow(
        &self,
        start: Start,
        generation: Generation,
        state: Option<BeginsWith>,
        snapshot: Option<i64>,
    ) -> Result<Arc<Shared>> {
        let mut slot = self.slot();
        if let Some(shared) = &*slot {
            return Ok(Arc::clone(shared));
        }
        let cluster = Arc::new(Cluster::open(
            &self.settings.kafka,
            &self.settings.pipeline.name,
        )?);
        let columns = Columns::of(&self.dataflow, &self.settings)?;
        let opened = self.process.block_on(table::open(&self.settings, columns));
        let table = opened?.table;
        let states = States::open(&self.dataflow, &self.settings, &table)?;
        let run_state = self.state(states, generation, state.as_ref())?;
        let stored = Stored::new(table.clone(), snapshot);
        let sink = self.sink(table, generation, None);
        // The check of the topics is worker 0's.
        let shared = self.share(cluster, sink, stored, start, BTreeMap::new(), run_state);
        let shared = Arc::new(shared);
        *slot = Some(Arc::clone(&shared));
        Ok(shared)
    }

    /// What the dataflow's states are restored from, if it keeps any.
    fn state(
        &self,
        states: Option<States>,
        generation: Generation,
        begins_with: Option<&BeginsWith>,
    ) -> Result<Option<RunState>> {
        let (Some(states), Some(BeginsWith { name, is_newest })) = (states, begins_with) else {
            return Ok(None);
        };
        let share = match is_newest {
            true => Share::Newest,
            false => Share::Nothing,
        };
        let snapshot = self.process.block_on(states.find(name))?;
        let control = self.process.control();
        RunState::new(states, snapshot, share, &self.settings, generation, control).map(Some)
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

    fn share(
        &self,
        cluster: Arc<Cluster>,
        sink: Sink,
        stored: Stored,
        start: Start,
        topic_ids: BTreeMap<String, String>,
        state: Option<RunState>,
    ) -> Shared {
        let uncommitted =
            Uncommitted::new(self.settings.memory.uncommitted, self.process.metrics());
        Shared {
            state,
            uncommitted: Arc::new(uncommitted),
            topics: TopicWatch::new(
                Arc::clone(&cluster),
                topic_ids,
                policies(&self.settings).bear_recreation(),
            ),
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
            stored: Arc::new(stored),
        }
    }

    /// Notes the generation that this start is about to claim, given the one it found. `ours` is the newest that
    /// this process had tried to claim before: a start from within never takes the pipeline over from a
    /// process that was started meanwhile, because that one is what somebody wanted.
    fn claims_after(&self, found: Generation, ours: Option<Generation>) -> Result<()> {
        if let Some(ours) = ours
            && found > ours
        {
            return Err(Error::fenced(format!(
                "generation {found} of pipeline {} has taken over while this process, generation \
                 {ours}, was waiting for its restart",
                self.settings.pipeline.name
            ))
            .advice("nothing is lost: the newer process goes on from the last marker"));
        }
        self.process.claims(found.next());
        Ok(())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings that decide what is read and what is written; secrets are masked.
fn agreed(settings: &Settings) -> Vec<(String, Option<String>)> {
    const PREFIXES: [&str; 12] = [
        "pipeline.",
        "kafka.topic",
        "catalog.",
        "warehouse",
        "table.",
        "input.",
        "stats.",
        "on-",
        "checkpoint.",
        "state.checkpoints.",
        "dedup.",
        "max-parallelism",
    ];
    let decides = |key: &str| PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    let effective = settings.effective().into_iter();
    effective
        .filter(|setting| decides(&setting.key))
        .map(|setting| (setting.key, setting.value))
        .collect()
}

/// What a start may do about offsets.
pub(super) fn policies(settings: &Settings) -> Policies {
    Policies {
        reset: settings.kafka.auto_offset_reset,
        on_gap: settings.on_gap,
        on_topic_recreated: settings.on_topic_recreated,
    }
}

/// What was decided by a policy is said: nothing is skipped, or read anew, in silence.
fn tell(beginning: &Beginning) {
    for topic in &beginning.recreated {
        tracing::warn!(
            topic,
            id = beginning.topic_ids.get(topic),
            "the topic was made anew: it is read from its beginning (on-topic-recreated)"
        );
    }
    for (topic, partition, from, to) in beginning.skipped.iter() {
        tracing::warn!(
            topic,
            partition,
            from = from.0,
            to = to.0,
            written_down = beginning.gaps.get(topic, partition).is_some(),
            "records were deleted before they were read: these offsets are skipped (on-gap)"
        );
    }
    if beginning.topic_ids.is_empty() {
        tracing::info!(
            "the brokers do not tell the ids of topics: a topic that is deleted and made anew can be \
             recognized only if it is shorter than the first"
        );
    }
}
