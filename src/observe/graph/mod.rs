//! The live dataflow, as timely's own log tells it: operators, what flows between them, how busy each is on
//! each worker, and who holds an epoch back.
//!
//! ```text
//!   worker 0 ── its operators, and what all say of progress ──▶ Ledger ┐
//!   worker 1 ── its operators ───────────────────────────────▶ Ledger ┼─▶ Graph::view ─▶ View ─▶ UI
//!   worker n ── its operators ───────────────────────────────▶ Ledger ┘   (when asked)
//! ```
//!
//! * Every worker books its events in a `Ledger` of its own, one uncontended lock for each buffer of
//!   events. An event is a batch that was sent or an operator that ran: nothing is done per record.
//! * Progress is the same for all workers, so only the first worker of the process listens to it.
//! * What follows from it (frontiers, who holds an epoch back) is computed by pure functions in `frontier`, on the
//!   thread of whoever looks, and only then.
//!
//! It never changes what the dataflow does, and without a listener timely logs nothing.

mod frontier;
mod ledger;
mod words;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timely::ContainerBuilder;
use timely::logging::{TimelyEventBuilder, TimelyProgressEventBuilder, TimelySummaryEventBuilder};
use timely::logging_core::Registry;
use timely::progress::reachability::logging::TrackerEventBuilder;
use timely::worker::Worker;

use crate::control;
use crate::time::{Epoch, Epochs};

pub use frontier::{Holder, Port};
use ledger::Ledger;

/// The dataflow of one process. Cheap to clone; all clones are the same graph.
#[derive(Clone, Debug, Default)]
pub struct Graph(Arc<Mutex<Vec<Arc<Mutex<Ledger>>>>>);

/// The dataflow at one moment; figures count from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The workers of this process, as timely counts them.
    pub workers: Vec<usize>,
    /// The operators, as they were built.
    pub operators: Vec<Operator>,
    /// The channels between them.
    pub edges: Vec<Edge>,
    /// The least epoch that is not over.
    pub open: Option<Epoch>,
    /// Who has to move for that epoch to end: those that wait for nobody.
    pub holders: Vec<Holder>,
}

/// An operator, over the workers of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its number in the dataflow, from 1.
    pub node: usize,
    /// Its name.
    pub name: String,
    /// How long it has run on each of [`View::workers`].
    pub busy: Vec<Duration>,
    /// How often it was scheduled, over all of them.
    pub runs: u64,
}

/// A channel between two operators, over the workers of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it begins.
    pub from: Port,
    /// Where it ends.
    pub to: Port,
    /// What it carries: the type's name without its path.
    pub item: String,
    /// Batches sent.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
    /// True once a worker has sent something to another one.
    pub exchanged: bool,
    /// The least epoch that may still arrive; `None` if nothing can.
    pub frontier: Option<Epoch>,
}

impl Graph {
    /// Forgets the dataflow before, which has ended: another one is about to be built.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Listens to a worker from now on: to be called before its dataflow is built.
    pub fn watch(&self, worker: &Worker) -> Watched {
        let ledger = Arc::new(Mutex::new(Ledger::new(worker.index(), worker.peers())));
        let first = {
            let mut ledgers = lock(&self.0);
            ledgers.push(Arc::clone(&ledger));
            ledgers.len() == 1
        };
        let watched = Watched(Arc::clone(&ledger));
        let Some(mut register) = worker.log_register() else {
            return watched;
        };
        let into = Arc::clone(&ledger);
        listen::<TimelyEventBuilder, _>(&mut register, "timely", into, |ledger, (at, event)| {
            ledger.event(at, event);
        });
        if !first {
            return watched;
        }
        let of = std::any::type_name::<Epoch>();
        let (name, into) = (format!("timely/summary/{of}"), Arc::clone(&ledger));
        listen::<TimelySummaryEventBuilder<Epochs>, _>(
            &mut register,
            &name,
            into,
            |ledger, (_, event)| ledger.summary(event),
        );
        let (name, into) = (format!("timely/progress/{of}"), Arc::clone(&ledger));
        listen::<TimelyProgressEventBuilder<Epoch>, _>(
            &mut register,
            &name,
            into,
            |ledger, (_, event)| ledger.progress(event),
        );
        let name = format!("timely/reachability/{of}");
        listen::<TrackerEventBuilder<Epoch>, _>(
            &mut register,
            &name,
            ledger,
            |ledger, (_, event)| ledger.tracked(event),
        );
        watched
    }

    /// The dataflow as it is now; empty while there is none.
    pub fn view(&self) -> View {
        // A worker waits for its own ledger only, and only while that one is read.
        let ledgers = lock(&self.0).clone();
        let Some(first) = ledgers.first() else {
            return View::default();
        };
        let (mut view, points) = {
            let first = lock(first);
            let points = first.points();
            (first.view(), points)
        };
        for other in &ledgers[1..] {
            view.add(&lock(other));
        }
        view.order_workers();
        frontier::fill_in(&mut view, &points);
        view
    }
}

/// A worker that is listened to.
#[derive(Debug)]
pub struct Watched(Arc<Mutex<Ledger>>);

impl Watched {
    /// The dataflow without its figures, as it was built on this worker.
    pub fn drawn(&self, worker: &Worker) -> control::Graph {
        if let Some(mut register) = worker.log_register() {
            register.flush();
        }
        let view = lock(&self.0).view();
        let operators = view.operators.into_iter();
        let edges = view.edges.into_iter();
        control::Graph::draw(
            &operators.map(|o| (o.node, o.name)).collect(),
            &edges.map(|e| (e.from.node, e.to.node)).collect(),
            worker.peers(),
        )
    }
}

/// Books what timely logs under `name`.
fn listen<B, E>(
    register: &mut Registry,
    name: &str,
    into: Arc<Mutex<Ledger>>,
    book: fn(&mut Ledger, E),
) where
    B: ContainerBuilder<Container = Vec<E>> + 'static,
    E: 'static,
{
    register.insert::<B, _>(name, move |_, batch: &mut Option<Vec<E>>| {
        // Without a batch it is only a flush.
        if let Some(batch) = batch {
            let mut ledger = lock(&into);
            for event in batch.drain(..) {
                book(&mut ledger, event);
            }
        }
    });
}

impl View {
    /// Adds what another worker of the same dataflow says.
    fn add(&mut self, ledger: &Ledger) {
        let other = ledger.view();
        // A worker that still builds its dataflow has fewer operators than the others.
        if other.operators.len() != self.operators.len() {
            return;
        }
        self.workers.extend(other.workers);
        for (operator, other) in self.operators.iter_mut().zip(other.operators) {
            operator.busy.extend(other.busy);
            operator.runs += other.runs;
        }
        for edge in &mut self.edges {
            let ends = (edge.from, edge.to);
            let same = other.edges.iter().find(|e| (e.from, e.to) == ends);
            if let Some(other) = same {
                edge.batches += other.batches;
                edge.items += other.items;
                edge.exchanged |= other.exchanged;
            }
        }
    }

    /// Workers register in any order; people expect them to be sorted.
    fn order_workers(&mut self) {
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        order.sort_by_key(|&place| self.workers[place]);
        let workers = order.iter().map(|&place| self.workers[place]);
        self.workers = workers.collect();
        for operator in &mut self.operators {
            let busy = order.iter().map(|&place| operator.busy[place]);
            operator.busy = busy.collect();
        }
    }
}

/// Every statement under these locks leaves the counts valid, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
