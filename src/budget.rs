//! Back-pressure: how much a worker may hold between Kafka and the table.
//!
//! Timely's channels are unbounded, so the source is the only valve. Two limits hold it:
//!
//! * **in flight**, of a worker: bytes of messages read and not yet encoded. Each batch carries a [`Charge`]; when
//!   the last holder drops it, the bytes are free again and the source is woken. Crediting when the
//!   *writer has encoded* them, not when the epoch ends, is what keeps a long epoch from
//!   deadlocking on its own budget.
//! * **uncommitted**, of all workers of the process together: bytes of staged files whose commit is not proved.
//!   They are on disk or in the object store, not in memory; the limit bounds what a dead catalog may pile up
//!   there. Rows that go to the worker that holds their key are staged by another one than has read them, so no
//!   worker's own account could hold the right source.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use timely::scheduling::Activator;

use crate::metrics::Metrics;
use crate::time::Epoch;

/// One worker's account. Cheap to clone; all clones are the same account.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Account>);

#[derive(Debug)]
struct Account {
    in_flight_max: u64,
    in_flight: Cell<u64>,
    uncommitted: Arc<Uncommitted>,
    /// Woken when the budget goes from exhausted to free.
    source: RefCell<Option<Activator>>,
    in_flight_gauge: Gauge,
}

/// What is staged by all workers of a process and not committed.
///
/// Each worker hears of each outcome, and is woken by it. Whoever is first notes it for all; the others find it noted.
#[derive(Debug)]
pub struct Uncommitted {
    max: u64,
    by_epoch: Mutex<BTreeMap<Epoch, u64>>,
    /// Of all epochs: asked for each time something is read.
    total: AtomicU64,
    gauge: Gauge,
}

impl Uncommitted {
    /// Nothing is staged yet; the limit is in bytes.
    pub fn new(max: u64, metrics: &Metrics) -> Self {
        Self {
            max,
            by_epoch: Mutex::default(),
            total: AtomicU64::new(0),
            gauge: metrics.uncommitted_bytes.clone(),
        }
    }

    fn by_epoch(&self) -> MutexGuard<'_, BTreeMap<Epoch, u64>> {
        // Every statement under this lock leaves the map valid.
        self.by_epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a worker's memory that is in use until this is dropped.
///
/// It stays on the worker whose account it is on. Rows that go to another worker leave it behind and take
/// one along that [stands for it](Charge::until): when the rows are written, wherever that is, the first
/// one is dropped.
pub struct Charge(Held);

enum Held {
    /// Bytes on an account of this worker.
    Bytes { account: Rc<Account>, bytes: u64 },
    /// Whoever holds the bytes waits for this call.
    Call(Option<Box<dyn FnOnce()>>),
}

impl Charge {
    /// A charge on somebody else's account, who is told when it is dropped.
    pub fn until(dropped: impl FnOnce() + 'static) -> Self {
        Self(Held::Call(Some(Box::new(dropped))))
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Held::Bytes { bytes, .. } => write!(f, "Charge({bytes} bytes)"),
            Held::Call(_) => write!(f, "Charge(elsewhere)"),
        }
    }
}

impl Budget {
    /// An account with nothing on it; the limit is in bytes.
    pub fn new(in_flight_max: u64, uncommitted: Arc<Uncommitted>, metrics: &Metrics) -> Self {
        Self(Rc::new(Account {
            in_flight_max,
            in_flight: Cell::new(0),
            uncommitted,
            source: RefCell::default(),
            in_flight_gauge: metrics.in_flight_bytes.clone(),
        }))
    }

    /// Names the operator that waits for room.
    pub fn wake(&self, source: Activator) {
        *self.0.source.borrow_mut() = Some(source);
    }

    /// True while the source may read more. The check comes before the read, so the limit can be
    /// passed by one batch; a message larger than the limit is read when nothing else is in flight.
    pub fn has_room(&self) -> bool {
        self.0.in_flight.get() < self.0.in_flight_max && !self.is_uncommitted_full()
    }

    /// True when so much is staged for the open epoch, and rides with it, that only its commit can
    /// help; what is staged for earlier epochs is being committed already.
    pub fn needs_commit_of(&self, open: Epoch) -> bool {
        let staged = self.0.uncommitted.by_epoch().get(&open).copied();
        staged.unwrap_or(0) >= self.0.uncommitted.max
    }

    fn is_uncommitted_full(&self) -> bool {
        self.0.uncommitted.total.load(Ordering::Relaxed) >= self.0.uncommitted.max
    }

    /// The in-flight limit in bytes.
    pub fn in_flight_max(&self) -> u64 {
        self.0.in_flight_max
    }

    /// Puts bytes in flight.
    pub fn charge(&self, bytes: u64) -> Charge {
        self.0.in_flight.set(self.0.in_flight.get() + bytes);
        self.0.in_flight_gauge.inc_by(bytes as i64);
        Charge(Held::Bytes {
            account: Rc::clone(&self.0),
            bytes,
        })
    }

    /// Records that `bytes` more are staged for `epoch`.
    pub fn staged(&self, epoch: Epoch, bytes: u64) {
        let uncommitted = &self.0.uncommitted;
        *uncommitted.by_epoch().entry(epoch).or_default() += bytes;
        uncommitted.total.fetch_add(bytes, Ordering::Relaxed);
        uncommitted.gauge.inc_by(bytes as i64);
    }

    /// What was staged up to and including `epoch` now waits for the commit of the epoch after it.
    pub fn rides_on(&self, epoch: Epoch) {
        let mut by_epoch = self.0.uncommitted.by_epoch();
        let later = by_epoch.split_off(&epoch.next());
        let riding = std::mem::replace(&mut *by_epoch, later);
        *by_epoch.entry(epoch.next()).or_default() += riding.values().sum::<u64>();
    }

    /// Forgets what was staged up to and including `epoch`: its commit is proved.
    pub fn committed(&self, epoch: Epoch) {
        let uncommitted = &self.0.uncommitted;
        let mut by_epoch = uncommitted.by_epoch();
        let later = by_epoch.split_off(&epoch.next());
        let committed = std::mem::replace(&mut *by_epoch, later);
        let bytes: u64 = committed.values().sum();
        uncommitted.total.fetch_sub(bytes, Ordering::Relaxed);
        uncommitted.gauge.dec_by(bytes as i64);
    }
}

/// What is left when a dataflow fails is staged again by the next one: here it counts no more.
impl Drop for Uncommitted {
    fn drop(&mut self) {
        self.gauge.dec_by(*self.total.get_mut() as i64);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        match &mut self.0 {
            Held::Bytes { account, bytes } => account.give_back(*bytes),
            Held::Call(dropped) => {
                if let Some(dropped) = dropped.take() {
                    dropped();
                }
            }
        }
    }
}

impl Account {
    fn give_back(&self, bytes: u64) {
        let before = self.in_flight.get();
        let after = before - bytes;
        self.in_flight.set(after);
        self.in_flight_gauge.dec_by(bytes as i64);
        if before >= self.in_flight_max
            && after < self.in_flight_max
            && let Some(source) = self.source.borrow().as_ref()
        {
            source.activate();
        }
    }
}

#[cfg(test)]
mod tests;
