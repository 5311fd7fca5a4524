//! Launching the workers of one process, waiting for them, and launching them again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};
use tokio::runtime::Runtime;

use super::restarts::{Failure, History, Verdict, decide};
use super::{Dataflow, Job};
use super::{peers, signals, start};
use crate::config::{Restart, Settings};
use crate::control::Phase;
use crate::error::{Error, Result};
use crate::observe::graph::Graph;
use crate::observe::{ProfileFile, Progress, Watched, http, serve_metrics};
use crate::process::Process;
use crate::time::Epoch;

/// Threads of the async runtime: they do I/O, encoding runs on the workers.
const ASYNC_THREADS: usize = 2;
/// How long the end waits for what still writes to Kafka (the group's offsets).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Which processes make up the run: timely's `-n`, `-p` and `-h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// This process, from 0.
    pub process: usize,
    /// `host:port` of every process; one alone needs none.
    pub addresses: Vec<String>,
}

impl Default for Cluster {
    /// One process.
    fn default() -> Self {
        Self {
            process: 0,
            addresses: Vec::new(),
        }
    }
}

impl Cluster {
    /// True for a run of one process.
    fn is_alone(&self) -> bool {
        self.addresses.len() <= 1
    }
}

/// What a run is told besides its settings.
pub struct RunOptions {
    /// The processes.
    pub cluster: Cluster,
    /// Read to the ends seen at the start (the last one, if there are restarts), then finish.
    pub bounded: bool,
    /// The savepoint to begin at; `None` goes on from the table's marker.
    pub from: Option<String>,
    /// Where to write at the end what each operator took.
    pub profile: Option<ProfileFile>,
    /// Where to draw the live line.
    pub screen: MultiProgress,
    /// Called once, before any work, with the process: to watch it or to ask it to drain.
    pub watch: Box<dyn FnOnce(Arc<Process>) + Send>,
}

/// What a run did, for the last line on the screen.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Records made visible.
    pub records: u64,
    /// Data files made visible.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Proved commits.
    pub commits: u64,
    /// Records that could not be decoded and were skipped.
    pub rejected: u64,
    /// From launch to the last proof.
    pub took: Duration,
}

/// What I/O runs on: that of a run, and that of a command which looks at a table.
pub(crate) fn async_runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ASYNC_THREADS)
        .thread_name("calve-io")
        .enable_all()
        .build()
        .map_err(|error| Error::internal("no async runtime").caused_by(error))
}

/// Runs a dataflow until it has drained, reached its bound, or failed.
pub fn run(dataflow: Dataflow, settings: Settings, options: RunOptions) -> Result<Summary> {
    let RunOptions {
        cluster,
        bounded,
        from,
        profile,
        screen,
        watch,
    } = options;
    let began = Instant::now();
    let runtime = async_runtime()?;
    let process = Arc::new(Process::new(runtime.handle().clone()));
    // Coordinator and commit are in process 0.
    let leads = cluster.process == 0;
    let watched = Arc::new(Watched::new(&process, &settings, dataflow.name, leads));
    runtime.block_on(serve_metrics(&watched, &settings));
    let graph = Graph::default();
    let api = match leads {
        true => runtime.block_on(http::serve(
            &settings,
            &process,
            &watched,
            dataflow.name,
            &graph,
        )),
        false => None,
    };
    // Without a reader nobody need listen.
    let graph = (api.is_some() || profile.is_some()).then_some(graph);
    let listener = signals::listen(Arc::clone(&process))?;
    let progress = {
        let _entered = runtime.enter();
        Progress::start(process.metrics(), &screen)
    };
    watch(Arc::clone(&process));

    if !cluster.is_alone() {
        peers::quiet_lost_connections();
    }
    let outcome = supervise(&process, &settings.restart, |process| {
        // The first start has to succeed: others go on from its claim.
        let savepoint = from.as_deref().filter(|_| process.claimed().is_none());
        let preparation = start::Preparation::new(
            dataflow,
            settings.clone(),
            bounded,
            savepoint.map(str::to_owned),
            Arc::clone(process),
        );
        launch(
            dataflow,
            preparation,
            graph.clone(),
            &config(settings.parallelism, &cluster),
            process,
        )
    });
    drop(progress);
    let profiled = match (profile, &graph) {
        (Some(mut profile), Some(graph)) => profile.write(dataflow.name, began.elapsed(), graph),
        _ => Ok(()),
    };
    let unsaved = api.and_then(|api| runtime.block_on(api.settle()));
    drop(listener);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    outcome?;
    profiled?;
    if let Some(reason) = unsaved {
        return Err(Error::external(format!(
            "the pipeline was stopped with a savepoint, which is missing: {reason}"
        ))
        .advice(
            "nothing is lost: the last checkpoint is in the table, and `calve run` goes on from it without a savepoint",
        ));
    }
    let metrics = process.metrics();
    Ok(Summary {
        records: metrics.records_committed.get(),
        files: metrics.files_committed.get(),
        bytes: metrics.bytes_committed.get(),
        commits: metrics.commits.get(),
        rejected: metrics.records_rejected.get(),
        took: began.elapsed(),
    })
}

/// Launches the dataflow, and again after each failure that may pass.
fn supervise(
    process: &Arc<Process>,
    restart: &Restart,
    launch: impl Fn(&Arc<Process>) -> Result<()>,
) -> Result<()> {
    let mut history = History::default();
    let mut process = Arc::clone(process);
    loop {
        let outcome = launch(&process);
        let control = process.control();
        let failure = outcome.as_ref().err().map(ToString::to_string);
        control.dataflow_ended(failure.as_deref());
        if control.is_cancelled() {
            tracing::info!(
                "cancelled: records of the open checkpoint are read again at the next start, nothing is lost"
            );
            control.enter(Phase::Cancelled);
            return Ok(());
        }
        let Err(error) = outcome else {
            control.enter(Phase::Finished);
            return Ok(());
        };
        process.end();
        history.add(Failure {
            at: Instant::now(),
            ran: process.ran(),
            permanent: error.is_permanent(),
            draining: process.is_draining(),
        });
        match decide(restart, &history, chance()) {
            Verdict::GiveUp(reason) => {
                tracing::info!("not started again: {reason}");
                control.enter(Phase::Failed);
                return Err(error);
            }
            Verdict::End => {
                tracing::warn!("ended before the next start; the last failure was: {error}");
                control.enter(Phase::Finished);
                return Ok(());
            }
            Verdict::RestartIn(delay) => {
                tracing::warn!(
                    "the dataflow has failed and is started again in {delay:.1?} (restart {}): {error}",
                    history.total()
                );
                control.enter(Phase::Restarting);
                process.sleep_unless_draining(delay);
                if process.is_draining() {
                    control.enter(match control.is_cancelled() {
                        true => Phase::Cancelled,
                        false => Phase::Finished,
                    });
                    return Ok(());
                }
                process.metrics().restarts.inc();
                process = Arc::new(process.restarted());
            }
        }
    }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    bits as f64 / u64::MAX as f64
}

/// Runs the workers once, until all of them have ended.
fn launch(
    dataflow: Dataflow,
    preparation: start::Preparation,
    graph: Option<Graph>,
    config: &Config,
    process: &Arc<Process>,
) -> Result<()> {
    if let Some(graph) = &graph {
        graph.clear();
    }
    let alone = matches!(config.communication, CommunicationConfig::Process(_));
    let workers = {
        let process = Arc::clone(process);
        let connected = match &config.communication {
            CommunicationConfig::Cluster {
                process, addresses, ..
            } => Some(peers::await_peers(*process, addresses)),
            _ => None,
        };
        timely::execute(config.clone(), move |worker| {
            if let Some(connected) = &connected {
                // Nobody listens any more after the first one has said it.
                let _ = connected.send(());
            }
            work(worker, &dataflow, &process, &preparation, graph.as_ref());
            if !alone {
                leave_the_cluster_if_failed(&process);
            }
        })
    }
    .map_err(|error| {
        Error::external("the processes of this run can't reach each other")
            .caused_by(error)
            .advice("check -n, -p and the addresses in the host file (-h)")
    })?;
    for result in workers.join() {
        if let Err(panic) = result {
            process.fail(Error::internal(format!("a worker panicked: {panic}")));
        }
    }
    process.block_on(process.chores_done(SHUTDOWN_TIMEOUT));
    process.take_failure().map_or(Ok(()), Err)
}

fn config(threads: usize, cluster: &Cluster) -> Config {
    let communication = if cluster.is_alone() {
        CommunicationConfig::Process(threads)
    } else {
        CommunicationConfig::Cluster {
            threads,
            process: cluster.process,
            addresses: cluster.addresses.clone(),
            report: false,
            zerocopy: false,
        }
    };
    Config {
        communication,
        worker: WorkerConfig::default(),
    }
}

/// Ends a failed process at once, so that its peers notice: an orderly end of its connections would
/// leave them waiting for its frontier for ever. They end too, and the whole cluster is to be started
/// again: timely's connections can't be made anew by one process alone.
fn leave_the_cluster_if_failed(process: &Process) {
    if let Some(error) = process.take_failure() {
        tracing::info!("a run of several processes is not started again from within");
        eprintln!("{}", error.last_words());
        std::process::exit(i32::from(error.kind().exit_code()));
    }
    if process.control().is_cancelled() {
        tracing::info!("cancelled: the other processes of the run end when they notice");
        std::process::exit(0);
    }
    // Another worker has taken the error and is about to end the process.
    while process.has_failed() {
        std::thread::park();
    }
}

/// What every worker does. It must come back on all of them or on none: a failure anywhere sets the
/// failure slot, which ends the loops here, and the unfinished dataflow is dropped.
fn work(
    worker: &mut Worker,
    dataflow: &Dataflow,
    process: &Arc<Process>,
    preparation: &start::Preparation,
    graph: Option<&Graph>,
) {
    process.register_worker();
    // A panic is a defect. It must not leave the other workers parked for ever.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Some(shared) = preparation.on_worker(worker)? else {
            return Ok(());
        };
        let watched = graph.map(|graph| graph.watch(worker));
        worker.dataflow_named::<Epoch, _, _>(dataflow.name, |scope| {
            Job::build(dataflow, &shared, scope)
        })?;
        if let (0, Some(watched)) = (worker.index(), watched) {
            process.control().built(watched.drawn(worker));
        }
        process.has_started();
        while worker.has_dataflows() && !process.has_failed() {
            worker.step_or_park(None);
        }
        Ok(())
    }));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => process.fail(error),
        Err(panic) => {
            let text = peers::message(&*panic);
            if peers::is_lost_connection(text) {
                return process.fail(peers::lost());
            }
            process.fail(
                Error::internal(format!("worker {} panicked: {text}", worker.index())).advice(
                    "this is a defect of calve, please report it with the log; nothing was lost, \
                     the next start goes on from the table's marker",
                ),
            );
        }
    }
    if process.has_failed() {
        for index in worker.installed_dataflows() {
            worker.drop_dataflow(index);
        }
    }
}
