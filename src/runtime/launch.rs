//! Launching the workers of one process and waiting for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::job::{Dataflow, Job};
use super::{peers, signals, start};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::observe::{Progress, serve_metrics};
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

/// What a run is told besides its settings.
pub struct RunOptions {
    /// The processes.
    pub cluster: Cluster,
    /// Read to the ends seen at the start, then finish.
    pub bounded: bool,
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

/// Runs a dataflow until it has drained, reached its bound, or failed.
pub fn run(dataflow: Dataflow, settings: Settings, options: RunOptions) -> Result<Summary> {
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ASYNC_THREADS)
        .thread_name("calve-io")
        .enable_all()
        .build()
        .map_err(|error| Error::internal("no async runtime").caused_by(error))?;
    let process = Arc::new(Process::new(runtime.handle().clone()));
    if let Some(port) = settings.metrics.prometheus_port {
        runtime.block_on(serve_metrics(Arc::clone(&process), port))?;
    }
    let listener = signals::listen(Arc::clone(&process))?;
    let progress = {
        let _entered = runtime.enter();
        Progress::start(&process, &options.screen)
    };
    (options.watch)(Arc::clone(&process));

    let config = config(settings.parallelism, &options.cluster);
    let alone = options.cluster.addresses.len() <= 1;
    if !alone {
        peers::quiet_lost_connections();
    }
    let preparation = start::Preparation::new(settings, options.bounded, Arc::clone(&process));
    let workers = {
        let process = Arc::clone(&process);
        timely::execute(config, move |worker| {
            work(worker, &dataflow, &process, &preparation);
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
    runtime.block_on(process.chores_done(SHUTDOWN_TIMEOUT));
    drop(progress);
    drop(listener);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    if let Some(failure) = process.take_failure() {
        return Err(failure);
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

fn config(threads: usize, cluster: &Cluster) -> Config {
    let communication = if cluster.addresses.len() > 1 {
        CommunicationConfig::Cluster {
            threads,
            process: cluster.process,
            addresses: cluster.addresses.clone(),
            report: false,
            zerocopy: false,
        }
    } else {
        CommunicationConfig::Process(threads)
    };
    Config {
        communication,
        worker: WorkerConfig::default(),
    }
}

/// Ends a failed process at once, so that its peers notice: an orderly end of its connections would
/// leave them waiting for its frontier for ever. They end too, and the whole cluster is restarted.
fn leave_the_cluster_if_failed(process: &Process) {
    if let Some(error) = process.take_failure() {
        eprintln!("error: {error}");
        std::process::exit(i32::from(error.kind().exit_code()));
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
) {
    process.register_worker();
    // A panic is a defect. It must not leave the other workers parked for ever.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Some(shared) = preparation.on_worker(worker)? else {
            return Ok(());
        };
        worker.dataflow_named::<Epoch, _, _>(dataflow.name, |scope| {
            Job::build(dataflow, &shared, scope)
        })?;
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
