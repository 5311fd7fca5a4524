//! What the workers of one operating-system process share: a failure slot, the wish to drain, the
//! async runtime, the figures and the desk at which outsiders ask.
//!
//! A dataflow that is started again after a failure gets a [`Process`] of its own, so that nothing that
//! is left of the one before can fail it; all the rest stays the same.
//!
//! A timely worker that fails alone leaves its siblings parked for ever, waiting for progress that
//! never comes. So nothing in a dataflow panics or returns early: it calls [`Process::fail`], which
//! keeps the *first* error and wakes every worker, and each leaves its loop by itself.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use timely::scheduling::SyncActivator;
use tokio::runtime::Handle;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::control::{Control, Phase};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::time::Generation;

#[cfg(test)]
mod tests;

/// Shared by the workers, the signal handler and the async tasks of one process.
#[derive(Debug)]
pub struct Process {
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    started: OnceLock<Instant>,
    /// True once the dataflow is over: its tasks end.
    over: watch::Sender<bool>,
    workers: Arc<Mutex<Vec<Thread>>>,
    has_workers: AtomicBool,
    drain: Arc<Drain>,
    /// The newest generation that this process has tried to claim; 0 is none.
    claimed: Arc<AtomicU64>,
    chores: Mutex<Vec<oneshot::Receiver<()>>>,
    runtime: Handle,
    metrics: Metrics,
    control: Arc<Control>,
    notices: Arc<Notices>,
}

/// The wish to end in order.
#[derive(Debug, Default)]
struct Drain {
    wished: watch::Sender<bool>,
    /// True if whoever wishes it will not wait for long.
    soon: watch::Sender<bool>,
    listeners: Mutex<Vec<SyncActivator>>,
}

impl Process {
    /// A process that has not failed and does not drain.
    pub fn new(runtime: Handle) -> Self {
        Self {
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            started: OnceLock::new(),
            over: watch::Sender::new(false),
            workers: Arc::default(),
            has_workers: AtomicBool::new(false),
            drain: Arc::default(),
            claimed: Arc::default(),
            chores: Mutex::new(Vec::new()),
            runtime,
            metrics: Metrics::default(),
            control: Arc::default(),
            notices: Arc::default(),
        }
    }

    /// The same process for the next start of its dataflow: not failed, without workers. Whoever holds
    /// the old one can still ask for a drain or an end, and read the figures.
    #[must_use]
    pub fn restarted(&self) -> Self {
        lock(&self.drain.listeners).clear();
        lock(&self.workers).clear();
        Self {
            drain: Arc::clone(&self.drain),
            claimed: Arc::clone(&self.claimed),
            workers: Arc::clone(&self.workers),
            metrics: self.metrics.clone(),
            control: Arc::clone(&self.control),
            notices: Arc::clone(&self.notices),
            ..Self::new(self.runtime.clone())
        }
    }

    /// Notes that the dataflow runs.
    pub fn has_started(&self) {
        if self.started.set(Instant::now()).is_ok() {
            self.control.enter(Phase::Running);
        }
    }

    /// How long the dataflow has run; `None` if it never came to that.
    pub fn ran(&self) -> Option<Duration> {
        self.started.get().map(Instant::elapsed)
    }

    /// Notes that `generation` of the pipeline is about to be claimed, or was.
    pub fn claims(&self, generation: Generation) {
        self.claimed.fetch_max(generation.0, Ordering::AcqRel);
    }

    /// The newest generation that may be ours; `None` before the first claim.
    pub fn claimed(&self) -> Option<Generation> {
        let generation = Generation(self.claimed.load(Ordering::Acquire));
        (generation != Generation::default()).then_some(generation)
    }

    /// Ends what [`Process::spawn`] has begun: the workers are gone.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Stops all workers of this process because of `error`. The first error is kept: later ones
    /// are mostly its consequences.
    pub fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        self.wake_workers();
    }

    /// Ends the run at once and without an error: nothing more is committed, and a wait for a restart
    /// is over. What was read since the last checkpoint is read again by the next start.
    pub fn cancel(&self) {
        self.control.cancel();
        self.drain.wished.send_replace(true);
        self.wake_workers();
    }

    fn wake_workers(&self) {
        for worker in lock(&self.workers).iter() {
            worker.unpark();
        }
    }

    /// True once [`Process::fail`] or [`Process::cancel`] was called: the workers leave.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.control.is_cancelled()
    }

    /// Takes the error that stopped the process.
    pub fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// Asks for an orderly end: the sources report it to the coordinator, which closes a last epoch.
    pub fn request_drain(&self) {
        self.drain.wished.send_replace(true);
        for listener in lock(&self.drain.listeners).iter() {
            // An error means the worker is gone, which is what draining is for.
            let _ = listener.activate();
        }
    }

    /// The same for somebody who does not wait for long: half a minute after its SIGTERM a supervisor kills what has not
    /// ended.
    pub fn request_drain_soon(&self) {
        self.drain.soon.send_replace(true);
        self.request_drain();
    }

    /// Returns when [`Process::request_drain_soon`] was called.
    pub async fn must_drain_soon(&self) {
        let mut soon = self.drain.soon.subscribe();
        // The sender lives as long as we do.
        let _ = soon.wait_for(|&soon| soon).await;
    }

    /// True once [`Process::request_drain`] was called.
    pub fn is_draining(&self) -> bool {
        *self.drain.wished.borrow()
    }

    /// Sleeps for so long, but not beyond [`Process::request_drain`].
    pub fn sleep_unless_draining(&self, time: Duration) {
        let mut wished = self.drain.wished.subscribe();
        let drained = wished.wait_for(|&wished| wished);
        // Either the time is over or the wish is there: the caller looks.
        let _ = self
            .runtime
            .block_on(async { timeout(time, drained).await });
    }

    /// Registers the calling thread as a worker, to be woken when the process fails.
    pub fn register_worker(&self) {
        lock(&self.workers).push(std::thread::current());
        self.has_workers.store(true, Ordering::Release);
    }

    /// True once a worker runs: before that the processes of the run are still being connected.
    pub fn has_workers(&self) -> bool {
        self.has_workers.load(Ordering::Acquire)
    }

    /// Registers an operator that wants to run when draining begins.
    pub fn on_drain(&self, listener: SyncActivator) {
        lock(&self.drain.listeners).push(listener);
    }

    /// Runs a future on the async runtime while this worker waits for it.
    ///
    /// For work that belongs to the worker, such as encoding a batch: the worker's thread polls it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs a future on the runtime's own threads, until the dataflow is over at most. A panic in it stops
    /// the process: whoever waits for what the future was to do would wait for ever.
    pub fn spawn<F>(self: &Arc<Self>, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut over = self.over.subscribe();
        let task = self.runtime.spawn(async move {
            tokio::select! {
                () = future => {}
                _ = over.wait_for(|&over| over) => {}
            }
        });
        let process = Arc::clone(self);
        self.runtime.spawn(async move {
            if let Err(error) = task.await
                && error.is_panic()
            {
                process.fail(Error::internal("a background task panicked").caused_by(error));
            }
        });
    }

    /// Like [`Process::spawn`], for what only tidies up: see [`Process::chores_done`].
    pub fn spawn_chore<F>(self: &Arc<Self>, chore: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (done, ended) = oneshot::channel();
        {
            let mut chores = lock(&self.chores);
            chores.retain_mut(|chore| matches!(chore.try_recv(), Err(TryRecvError::Empty)));
            chores.push(ended);
        }
        self.spawn(async move {
            chore.await;
            let _ = done.send(());
        });
    }

    /// Waits for the chores, but not for ever; and not at all if somebody waits for the end.
    pub async fn chores_done(&self, patience: Duration) {
        if self.has_failed() || self.is_draining() {
            return;
        }
        let chores = std::mem::take(&mut *lock(&self.chores));
        let all = futures::future::join_all(chores);
        if timeout(patience, all).await.is_err() {
            tracing::warn!("the run ends, though its tidying up goes on after {patience:?}");
        }
    }

    /// Runs a call that blocks on a thread of its own. The end of the process waits for it, but not
    /// for ever: only for calls that may be lost.
    pub fn spawn_blocking(&self, call: impl FnOnce() + Send + 'static) {
        self.runtime.spawn_blocking(call);
    }

    /// The figures of this process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What people may read besides the figures.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Where outsiders ask.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }
}

/// A poisoned lock means another thread panicked while it held one of these short lists, which are
/// valid after every statement; the panic itself is reported elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
