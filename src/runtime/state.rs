//! The state of a run: where its snapshots are, and how each worker gets its part back.
//!
//! ```text
//!   marker ─ names ─▶ snapshot ─ checked before the claim ─▶ each worker, before its sources run:
//!                                                             its key groups into a fresh local folder
//! ```

use std::collections::BTreeSet;
use std::env;

use iceberg::table::Table;
use serde_json::json;
use tokio::sync::Mutex;

use super::commits::StateCommits;
use super::job::Dataflow;
use super::table;
use crate::checkpoint::marker::EMPTY_STATE;
use crate::config::{self, Settings};
use crate::error::{Error, Result};
use crate::failpoint;
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
        }))
    }

    /// The snapshot of this name, if it is one that this dataflow can go on from; `None` is the empty state.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Snapshot>> {
        if name == EMPTY_STATE {
            return Ok(None);
        }
        let snapshot = self.snapshots.read(&name.parse()?).await?;
        self.check(&snapshot)?;
        Ok(Some(snapshot))
    }

    /// | the snapshot's | must be | |
    /// |---|---|---|
    /// | dataflow | this one, under settings that mean the same | else its keys are others |
    /// | operators | those that this one has | else somebody's memory is lost, or empty though it should not be |
    /// | max-parallelism | the one that is set | else keys are in other groups |
    fn check(&self, snapshot: &Snapshot) -> Result<()> {
        let head = snapshot.head();
        let untouched = "nothing was read and nothing was touched";
        let made_by = head.about[DATAFLOW].as_str().unwrap_or("another program");
        if made_by != self.identity {
            return Err(Error::config(format!(
                "the state of this pipeline is that of dataflow {made_by}, this is {}",
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
                "the state of this pipeline is that of the operators {operators:?}, dataflow {} has \
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
                "max-parallelism is {set}, the state of this pipeline was made with {made}"
            ))
            .advice(format!(
                "{untouched}. Set max-parallelism={made}: it is fixed once there is state"
            )));
        }
        Ok(())
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
    ) -> Result<Self> {
        let kind = match settings.state.backend {
            config::StateBackend::Rocksdb => BackendKind::Rocksdb,
            config::StateBackend::Memory => BackendKind::Memory,
        };
        let temporary = env::temp_dir().join("calve");
        let root = settings.state.local_dir.as_deref().unwrap_or(&temporary);
        Ok(Self {
            folder: LocalFolder::prepare(root, &states.owner, generation)?,
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
    pub(super) fn commits(&self) -> StateCommits {
        StateCommits {
            snapshots: self.states.snapshots.clone(),
            max_parallelism: self.states.max_parallelism,
            about: json!({ DATAFLOW: self.states.identity }),
            retained: self.states.retained,
            tidying: Mutex::default(),
        }
    }
}
