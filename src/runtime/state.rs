//! The state of a run: where its snapshots are, and how each worker gets its part back.
//!
//! ```text
//!   marker ─ names ─▶ snapshot ─ checked before the claim ─▶ each worker, before its sources run:
//!                                                             its key groups into a fresh local folder
//! ```

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;

use iceberg::table::Table;
use serde_json::json;
use tokio::sync::Mutex;

use super::Dataflow;
use super::commits::StateCommits;
use super::table;
use crate::checkpoint::marker::EMPTY_STATE;
use crate::checkpoint::positions::Carried;
use crate::config::{self, Settings};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::iceberg::S3Options;
use crate::process::Process;
use crate::state::{
    Assignment, BackendKind, Backends, LocalFolder, MaxParallelism, Owner, Share, Snapshot,
    SnapshotStore, StateStore,
};
use crate::time::Generation;

/// The name under which a snapshot says which dataflow made it.
const DATAFLOW: &str = "dataflow";

/// The snapshots of a dataflow that keeps state.
#[derive(Clone)]
pub(super) struct States {
    identity: String,
    operators: &'static [&'static str],
    max_parallelism: MaxParallelism,
    retained: usize,
    snapshots: SnapshotStore,
    owner: Owner,
    s3: S3Options,
}

impl States {
    /// The snapshots of a dataflow; `None` if it keeps no state.
    pub(super) fn open(
        dataflow: &Dataflow,
        settings: &Settings,
        table: &Table,
    ) -> Result<Option<Self>> {
        if !dataflow.keeps_state() {
            return Ok(None);
        }
        let location = settings.state.checkpoints_dir.as_ref().ok_or_else(|| {
            Error::config(format!("dataflow {} keeps state", dataflow.name)).advice(
                "set state.checkpoints.dir to where its snapshots are kept: file:///… on one machine, \
                 s3://… for several",
            )
        })?;
        let owner = Owner {
            pipeline: settings.pipeline.name.clone(),
            table: table.metadata().uuid(),
        };
        let s3 = table::s3_options(settings);
        let incremental = settings.state.incremental;
        Ok(Some(Self {
            identity: dataflow.identity(settings),
            operators: dataflow.states,
            max_parallelism: MaxParallelism::new(settings.max_parallelism)?,
            retained: settings.state.checkpoints_retained,
            snapshots: SnapshotStore::open(location, &s3, owner.clone(), incremental)?,
            owner,
            s3,
        }))
    }

    /// The snapshot of this name, if it is one that this dataflow can go on from; `None` is the empty state.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Snapshot>> {
        if name == EMPTY_STATE {
            return Ok(None);
        }
        let snapshot = self.snapshots.read(&name.parse()?).await?;
        self.check(&snapshot, "this pipeline")?;
        Ok(Some(snapshot))
    }

    /// Makes a snapshot of the state in a savepoint, if it is one that this dataflow can go on from. It is for the claim
    /// that follows what is carried forward.
    pub(super) async fn import(&self, location: &str, carried: &Carried) -> Result<Imported> {
        let savepoint = Snapshot::open_savepoint(location, &self.s3).await?;
        self.check(&savepoint, "the savepoint")?;
        let generation = carried.generation.next();
        let import = self.snapshots.import(&savepoint, generation, carried.epoch);
        let id = import.await?;
        failpoint::pass("state-import");
        Ok(Imported {
            name: id.to_string(),
            generation,
        })
    }

    /// | the snapshot's | must be | |
    /// |---|---|---|
    /// | dataflow | this one, under settings that mean the same | else its keys are others |
    /// | operators | those that this one has | else somebody's memory is lost, or empty though it should not be |
    /// | max-parallelism | the one that is set | else keys are in other groups |
    fn check(&self, snapshot: &Snapshot, of: &str) -> Result<()> {
        let head = snapshot.head();
        let untouched = "nothing was read and nothing was touched";
        let made_by = head.about[DATAFLOW].as_str().unwrap_or("another program");
        if made_by != self.identity {
            return Err(Error::config(format!(
                "the state of {of} is that of dataflow {made_by}, this is {}",
                self.identity
            ))
            .advice(format!(
                "{untouched}. Run the dataflow that made it, under the settings that it had, or use \
                 another pipeline.name and table.name"
            )));
        }
        let operators = snapshot.operators();
        let expected: BTreeSet<&str> = self.operators.iter().copied().collect();
        if operators != expected {
            return Err(Error::config(format!(
                "the state of {of} is that of the operators {operators:?}, dataflow {} has \
                 {expected:?}",
                self.identity
            ))
            .advice(format!(
                "{untouched}. Run the program that made it, or use another pipeline.name and table.name"
            )));
        }
        if head.max_parallelism != self.max_parallelism {
            let (made, set) = (head.max_parallelism, self.max_parallelism);
            return Err(Error::config(format!(
                "max-parallelism is {set}, the state of {of} was made with {made}"
            ))
            .advice(format!(
                "{untouched}. Set max-parallelism={made}: it is fixed once there is state"
            )));
        }
        Ok(())
    }
}

/// A savepoint's state that was made a snapshot of this pipeline.
pub(super) struct Imported {
    name: String,
    /// The only claim that may name it: to processes of later ones it is garbage.
    generation: Generation,
}

impl Imported {
    /// Its name, for the claim that follows what is carried forward.
    pub(super) fn for_claim_after(&self, carried: Option<&Carried>) -> Result<String> {
        if carried.is_some_and(|carried| carried.generation.next() == self.generation) {
            return Ok(self.name.clone());
        }
        Err(Error::fenced(
            "another start of this pipeline was faster than this one from a savepoint",
        )
        .advice("nothing was read; see which of the two you want, and start that one alone"))
    }
}

/// The state that a run begins with, on one process.
pub(super) struct RunState {
    states: States,
    generation: Generation,
    /// `None` is the empty state.
    begins_with: Option<Snapshot>,
    share: Share,
    backends: Backends,
    folder: LocalFolder,
    commits: Arc<StateCommits>,
}

impl RunState {
    /// Prepares this process for the state of `generation`. `share` says whether the next snapshots may share the
    /// files of the first.
    pub(super) fn new(
        states: States,
        begins_with: Option<Snapshot>,
        share: Share,
        settings: &Settings,
        generation: Generation,
        control: &Arc<Control>,
    ) -> Result<Self> {
        let kind = match settings.state.backend {
            config::StateBackend::Rocksdb => BackendKind::Rocksdb,
            config::StateBackend::Memory => BackendKind::Memory,
        };
        let temporary = env::temp_dir().join("calve");
        let root = settings.state.local_dir.as_deref().unwrap_or(&temporary);
        Ok(Self {
            folder: LocalFolder::prepare(root, &states.owner, generation)?,
            commits: Arc::new(StateCommits {
                snapshots: states.snapshots.clone(),
                s3: states.s3.clone(),
                max_parallelism: states.max_parallelism,
                about: json!({ DATAFLOW: states.identity }),
                timeout: settings.checkpoint.timeout,
                retained: states.retained,
                tidying: Mutex::default(),
                control: Arc::clone(control),
            }),
            backends: Backends::new(kind, settings.state.rocksdb_memory),
            states,
            generation,
            begins_with,
            share,
        })
    }

    /// One worker's part of the state of an operator.
    pub(super) fn store(
        &self,
        operator: &str,
        worker: usize,
        peers: usize,
        process: &Process,
    ) -> Result<StateStore> {
        let assignment = Assignment::new(operator, self.states.max_parallelism, worker, peers);
        let home = self.folder.home(operator, worker);
        let store = match &self.begins_with {
            None => StateStore::create(assignment, &self.backends, &home)?,
            Some(snapshot) => {
                let restore = snapshot.restore(assignment, &self.backends, &home, self.share);
                process.block_on(restore)?
            }
        };
        failpoint::pass("state-restore");
        Ok(store)
    }

    /// Where a worker's snapshots go.
    pub(super) fn snapshots(&self) -> (SnapshotStore, Generation) {
        (self.states.snapshots.clone(), self.generation)
    }

    /// The names of the operators that keep state.
    pub(super) fn operators(&self) -> &'static [&'static str] {
        self.states.operators
    }

    /// What makes everybody's part one snapshot for each commit.
    pub(super) fn commits(&self) -> Arc<StateCommits> {
        Arc::clone(&self.commits)
    }
}
