//! What the workers of one operating-system process share: a failure slot, the wish to drain, the
//! async runtime and the figures.
//!
//! A timely worker that fails alone leaves its siblings parked for ever, waiting for progress that
//! never comes. So nothing in a dataflow panics or returns early: it calls [`Process::fail`], which
//! keeps the *first* error and wakes every worker, and each leaves its loop by itself.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use timely::scheduling::SyncActivator;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// Shared by the workers, the signal handler and the async tasks of one process.
#[derive(Debug)]
pub struct Process {
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    draining: AtomicBool,
    workers: Mutex<Vec<Thread>>,
    drain_listeners: Mutex<Vec<SyncActivator>>,
    chores: Mutex<Vec<oneshot::Receiver<()>>>,
    runtime: Handle,
    metrics: Metrics,
}

impl Process {
    /// A process that has not failed and does not drain.
    pub fn new(runtime: Handle) -> Self {
        Self {
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            draining: AtomicBool::new(false),
            workers: Mutex::new(Vec::new()),
            drain_listeners: Mutex::new(Vec::new()),
            chores: Mutex::new(Vec::new()),
            runtime,
            metrics: Metrics::default(),
        }
    }

    /// Stops all workers of this process because of `error`. The first error is kept: later ones
    /// are mostly its consequences.
    pub fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        for worker in lock(&self.workers).iter() {
            worker.unpark();
        }
    }

    /// True once [`Process::fail`] was called.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Takes the error that stopped the process.
    pub fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// Asks for an orderly end: the sources report it to the coordinator, which closes a last epoch.
    pub fn request_drain(&self) {
        self.draining.store(true, Ordering::Release);
        for listener in lock(&self.drain_listeners).iter() {
            // An error means the worker is gone, which is what draining is for.
            let _ = listener.activate();
        }
    }

    /// True once [`Process::request_drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Registers the calling thread as a worker, to be woken when the process fails.
    pub fn register_worker(&self) {
        lock(&self.workers).push(std::thread::current());
    }

    /// True once a worker runs: before that the processes of the run are still being connected.
    pub fn has_workers(&self) -> bool {
        !lock(&self.workers).is_empty()
    }

    /// Registers an operator that wants to run when draining begins.
    pub fn on_drain(&self, listener: SyncActivator) {
        lock(&self.drain_listeners).push(listener);
    }

    /// Runs a future on the async runtime while this worker waits for it.
    ///
    /// For work that belongs to the worker, such as encoding a batch: the worker's thread polls it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs a future on the runtime's own threads. A panic in it stops the process: whoever waits for
    /// what the future was to do would wait for ever.
    pub fn spawn<F>(self: &Arc<Self>, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.runtime.spawn(future);
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
        lock(&self.chores).push(ended);
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
        if tokio::time::timeout(patience, all).await.is_err() {
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
}

/// A poisoned lock means another thread panicked while it held one of these short lists, which are
/// valid after every statement; the panic itself is reported elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
