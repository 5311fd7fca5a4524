//! What a dataflow is built from: the settings made into sources, decoders and sinks, and the control
//! streams that tie them to the coordinator.
//!
//! A dataflow names only what flows; the closes, cuts, reports and commits behind it are wired here, so
//! that a user's own dataflow gets checkpoints without a line about them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concatenate, ConnectLoop, Feedback};
use timely::dataflow::{Scope, Stream, StreamVec};

use super::Dataflow;
use super::start::policies;
use super::state::RunState;
use super::table::input_columns;
use crate::budget::{Budget, Uncommitted};
use crate::checkpoint::coordinator::coordinator;
use crate::checkpoint::pace::Pace;
use crate::checkpoint::{Close, Cut, Outcome, Report};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::format::{Decoder, JsonDecoder, Provenance, arrow_schema};
use crate::iceberg::{
    CommitOptions, CommitStaged, Sink, Stage, StagedFile, StateGate, Stored, StoredRows,
};
use crate::kafka::{Chunk, Discovery, KafkaSource, SourceOptions, Start, TopicWatch};
use crate::operators::{Batch, Batching, Decode, Rejected, Reports, State};
use crate::process::Process;
use crate::rows::{KeyColumns, RowStream, Watermark};
use crate::time::{Epoch, Epochs};

/// What all workers of a run share: read-only, or internally synchronized.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) process: Arc<Process>,
    pub(super) discovery: Arc<Discovery>,
    pub(super) topics: Arc<TopicWatch>,
    pub(super) start: Start,
    pub(super) sink: Sink,
    pub(super) stored: Arc<Stored>,
    pub(super) uncommitted: Arc<Uncommitted>,
    /// There if the dataflow keeps state.
    pub(super) state: Option<RunState>,
}

/// A dataflow under construction on one worker.
pub struct Job<'scope> {
    scope: Scope<'scope, Epoch>,
    shared: Arc<Shared>,
    budget: Budget,
    closes: StreamVec<'scope, Epoch, Close>,
    outcomes: StreamVec<'scope, Epoch, Outcome>,
    cuts: RefCell<Vec<StreamVec<'scope, Epoch, Cut>>>,
    reports: RefCell<Vec<StreamVec<'scope, Epoch, (usize, Report)>>>,
    gates: RefCell<Vec<StreamVec<'scope, Epoch, u64>>>,
    commits: RefCell<Vec<StreamVec<'scope, Epoch, Outcome>>>,
    /// The names of the states that were asked for, and what their operators report.
    states: RefCell<Vec<String>>,
    state_reports: Reports<'scope>,
}

impl<'scope> Job<'scope> {
    /// Builds `dataflow` in `scope`, with a coordinator and the feedback edges around it.
    pub(super) fn build(
        dataflow: &Dataflow,
        shared: &Arc<Shared>,
        scope: Scope<'scope, Epoch>,
    ) -> Result<()> {
        let checkpoint = &shared.settings.checkpoint;
        let pace = Pace {
            interval: checkpoint.interval,
            min_pause: checkpoint.min_pause(),
            tolerable_failed: checkpoint.tolerable_failed,
        };
        // Neither edge adds to an epoch: nothing that arrives over them goes on from there.
        let (reports_edge, reports) = scope.feedback(Epochs::default());
        let (outcomes_edge, outcomes) = scope.feedback(Epochs::default());
        let outcomes = outcomes.broadcast();
        let closes = coordinator(
            scope,
            shared.start.epoch,
            pace,
            Arc::clone(&shared.process),
            reports,
            outcomes.clone(),
        );
        let job = Self {
            scope,
            budget: Budget::new(
                shared.settings.memory.in_flight,
                Arc::clone(&shared.uncommitted),
                shared.process.metrics(),
            ),
            shared: Arc::clone(shared),
            closes,
            outcomes,
            cuts: RefCell::default(),
            reports: RefCell::default(),
            gates: RefCell::default(),
            commits: RefCell::default(),
            states: RefCell::default(),
            state_reports: Reports::default(),
        };
        let built = (dataflow.build)(&job).and_then(|()| job.check(dataflow));
        // Whatever has failed, timely wants every edge closed.
        scope
            .concatenate(job.reports.take())
            .connect_loop(reports_edge);
        scope
            .concatenate(job.commits.take())
            .connect_loop(outcomes_edge);
        built
    }

    /// One source and one commit: two sources would read the same partitions, a second commit would
    /// find no committer, and without one every epoch would count as durable at once. And every state that is
    /// declared is kept by an operator which the commit waits for.
    fn check(&self, dataflow: &Dataflow) -> Result<()> {
        let (mut kept, mut declared) = (self.states.borrow().clone(), dataflow.states.to_vec());
        kept.sort_unstable();
        declared.sort_unstable();
        if kept != declared || !self.state_reports.borrow().is_empty() {
            return Err(Error::internal(format!(
                "dataflow {} declares the states {declared:?} and keeps {kept:?}; each must be declared, asked \
                 for and given to a stateful operator before the commit",
                dataflow.name
            )));
        }
        match (self.reports.borrow().len(), self.commits.borrow().len()) {
            (1, 1) => Ok(()),
            (sources, commits) => Err(Error::internal(format!(
                "dataflow {} has {sources} Kafka sources and {commits} commits; it must have one of each",
                dataflow.name
            ))),
        }
    }

    /// The scope, for operators of one's own.
    pub fn scope(&self) -> Scope<'scope, Epoch> {
        self.scope
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The process: where operators report failures and figures.
    pub fn process(&self) -> Arc<Process> {
        Arc::clone(&self.shared.process)
    }

    /// This worker's memory account, for operators that hold data back.
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// The records of the configured topics.
    pub fn kafka_source(&self) -> Result<Stream<'scope, Epoch, Vec<Chunk>>> {
        let source = self.scope.kafka_source(
            SourceOptions {
                kafka: self.shared.settings.kafka.clone(),
                pipeline: self.shared.settings.pipeline.name.clone(),
                start: self.shared.start.clone(),
                discovery: Arc::clone(&self.shared.discovery),
                policies: policies(&self.shared.settings),
            },
            self.process(),
            self.budget(),
            self.closes.clone(),
            self.outcomes.clone(),
        )?;
        let unchanged = self.shared.topics.gate(self.process(), source.cuts.clone());
        self.commits_wait_for(unchanged);
        self.cuts.borrow_mut().push(source.cuts);
        self.reports.borrow_mut().push(source.reports);
        Ok(source.messages)
    }

    /// The limits of a batch (`batch.size`, `batch.timeout`).
    pub fn batching(&self) -> Batching {
        let settings = &self.shared.settings;
        Batching {
            rows_max: settings.batch.size,
            bytes_max: settings.memory.in_flight / 2,
            timeout: settings.batch.timeout,
        }
    }

    /// A decoder into the table's schema.
    pub fn decoder(&self) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(JsonDecoder::new(self.shared.sink.schema())?))
    }

    /// A decoder into the records' own columns ([`input_columns`](super::input_columns)), for a dataflow whose table
    /// has others.
    pub fn input_decoder(&self) -> Result<Box<dyn Decoder>> {
        let columns = Arc::new(input_columns(self.settings())?);
        Ok(Box::new(JsonDecoder::new(&columns)?))
    }

    /// The first epoch of this run.
    pub fn first_epoch(&self) -> Epoch {
        self.shared.start.epoch
    }

    /// What these columns of the table held when this run took the pipeline over, at the first epoch: each
    /// worker reads its share of the files.
    pub fn stored_rows(&self, columns: &[&str]) -> Stream<'scope, Epoch, Vec<RecordBatch>> {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        let stored = Arc::clone(&self.shared.stored);
        self.scope
            .stored_rows(stored, columns, self.first_epoch(), self.process())
    }

    /// Keeps every epoch from being committed until the frontier of `stream` has passed it.
    pub fn commits_wait_for(&self, stream: StreamVec<'scope, Epoch, u64>) {
        self.gates.borrow_mut().push(stream);
    }

    /// This worker's part of the state of the operator of this name, restored from the table's marker.
    pub fn state(&self, operator: &str) -> Result<State<'scope>> {
        let run = self.shared.state.as_ref().ok_or_else(|| {
            Error::internal(format!(
                "operator {operator} keeps state, which its dataflow does not declare"
            ))
            .advice("add .keeping(&[…]) to the Dataflow")
        })?;
        self.states.borrow_mut().push(operator.to_owned());
        let (snapshots, generation) = run.snapshots();
        let (worker, peers) = (self.scope.index(), self.scope.peers());
        Ok(State {
            store: run.store(operator, worker, peers, &self.shared.process)?,
            snapshots,
            generation,
            peers,
            first: self.shared.start.epoch,
            timeout: self.shared.settings.checkpoint.timeout,
            process: self.process(),
            reports: Rc::clone(&self.state_reports),
        })
    }

    /// The records of the configured topics as rows of the table: what most dataflows begin with.
    ///
    /// They are read, batched and decoded; a record that is none is dealt with as `on-reject` says, and no epoch is
    /// committed before. `dataflows/ingest.rs` has the same in full.
    pub fn rows(&self) -> Result<RowStream<'scope>> {
        let messages = self.kafka_source()?.batch(self.batching());
        let (rows, rejects) = messages.decode(self.decoder()?, self.process());
        self.commits_wait_for(rejects.on_reject(self.settings().on_reject, self.process()));
        Ok(rows)
    }

    /// Writes rows into files of the table and commits them, epoch by epoch: what most dataflows end with.
    pub fn write(&self, rows: RowStream<'scope>) {
        self.commit(rows.stage(self.sink(), self.process(), self.budget()));
    }

    /// The columns of the table that make a row's key.
    pub fn key_columns<N: AsRef<str>>(&self, names: &[N]) -> Result<KeyColumns> {
        let schema = arrow_schema(self.shared.sink.schema())?;
        KeyColumns::new(names, &schema)
    }

    /// How far the records' own time has come: a [`Watermark`] that knows which partitions there are. For one operator.
    pub fn watermark(&self) -> Watermark {
        // Partitions are told apart by columns that a table may not have.
        let told = self.has(Provenance::Topic) && self.has(Provenance::Partition);
        let offsets = self.shared.start.offsets.iter().filter(|_| told);
        let partitions = offsets.map(|(topic, partition, _)| (topic, partition));
        Watermark::new(partitions, Instant::now())
    }

    /// True if rows carry Kafka's timestamp.
    pub fn has_timestamps(&self) -> bool {
        self.has(Provenance::Timestamp)
    }

    fn has(&self, column: Provenance) -> bool {
        let fields = self.shared.sink.schema().as_struct().fields();
        let mut fields = fields.iter();
        fields.any(|field| Provenance::of(field) == Some(column))
    }

    /// Where to stage files for the table.
    pub fn sink(&self) -> Sink {
        self.shared.sink.clone()
    }

    /// Commits staged files, one commit per epoch, together with the offsets they reach.
    pub fn commit(&self, staged: StreamVec<'scope, Epoch, StagedFile>) {
        let cuts = self.scope.concatenate(self.cuts.borrow().clone());
        let gates = self.scope.concatenate(self.gates.borrow().clone());
        let outcomes = staged.commit(
            CommitOptions {
                marker_max_age: self.shared.settings.marker.max_age,
                timeout: self.shared.settings.checkpoint.timeout,
            },
            self.sink(),
            self.process(),
            cuts,
            gates,
            self.state_gate(),
        );
        self.commits.borrow_mut().push(outcomes);
    }

    /// What the commit needs to know of state, if there is any.
    fn state_gate(&self) -> Option<StateGate<'scope>> {
        let run = self.shared.state.as_ref()?;
        Some(StateGate {
            reports: self.scope.concatenate(self.state_reports.take()),
            operators: run.operators(),
            snapshots: run.commits(),
        })
    }
}
