//! No epoch is committed before its topics were seen to be those that it was read from.
//!
//! A topic that is deleted and made anew while it is read keeps its name. If the new one is shorter than the position,
//! Kafka says that the offset is out of range. If it is longer, librdkafka takes note of the new id and
//! reads on at the old position, without a word. So the ids are asked for once more after every cut and
//! before its commit: if they are still those of the marker, all of the epoch came from these topics,
//! because an id is never used again.
//!
//! | the broker says | the epoch |
//! |---|---|
//! | the marker's id, or that it tells no ids | may be committed |
//! | another id | ends the process: nothing of it is committed |
//! | there is no such topic | may be committed: there is no other topic it could have come from |
//! | nothing | waits until the broker answers; not longer than a moment when the run is to end |
//!
//! An epoch in which nothing moved is not checked, so an idle pipeline does not mind a Kafka that is away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::{Cluster, Identity};
use crate::checkpoint::Cut;
use crate::checkpoint::positions::made_anew;
use crate::error::{Error, Result};
use crate::offsets::Offsets;
use crate::process::Process;
use crate::time::Epoch;

/// Between two questions to brokers that do not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two words about it.
const REMINDER: Duration = Duration::from_secs(60);
/// How long the end of a run waits for the answer.
const LAST_WAIT: Duration = Duration::from_secs(15);

/// The topics of a run, as its marker knows them.
pub struct TopicWatch {
    cluster: Arc<Cluster>,
    ids: BTreeMap<String, String>,
    recreation_is_borne: bool,
}

/// What has arrived of one epoch.
struct Pending {
    _capability: Capability<Epoch>,
    next: Offsets,
    last: bool,
}

impl TopicWatch {
    /// Watches the topics with these ids. `recreation_is_borne` says that a fresh start goes on with a
    /// topic that was made anew.
    pub fn new(
        cluster: Arc<Cluster>,
        ids: BTreeMap<String, String>,
        recreation_is_borne: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            ids,
            recreation_is_borne,
        })
    }

    /// A stream whose frontier passes an epoch when the topics were found unchanged after its cuts. The check is
    /// worker 0's.
    pub fn gate<'scope>(
        self: &Arc<Self>,
        process: Arc<Process>,
        cuts: StreamVec<'scope, Epoch, Cut>,
    ) -> StreamVec<'scope, Epoch, u64> {
        let watch = Arc::clone(self);
        let scope = cuts.scope();
        let mut builder = OperatorBuilder::new("Topics unchanged".to_owned(), scope);
        let mut cuts = builder.new_input(cuts, Exchange::new(|_: &Cut| 0));
        let (output, passed) = builder.new_output::<Vec<u64>>();
        // Nothing is ever sent: the frontier says it all.
        let _output = OutputBuilder::<_, CapacityContainerBuilder<Vec<u64>>>::from(output);
        let address = builder.operator_info().address;
        let answered = scope.worker().sync_activator_for(address.to_vec());

        builder.build(move |_capabilities| {
            let mut arrived = BTreeMap::<Epoch, Pending>::new();
            let mut checking: Option<Pending> = None;
            let mut checked = Offsets::new();
            let (done, results) = mpsc::channel::<Result<()>>();
            move |frontiers| {
                cuts.for_each(|capability, cuts| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    let pending = arrived.entry(epoch).or_insert_with(|| Pending {
                        _capability: capability.delayed(&epoch, 0),
                        next: Offsets::new(),
                        last: false,
                    });
                    for cut in cuts.drain(..) {
                        pending.next.advance_to(&cut.next);
                        pending.last |= cut.last;
                    }
                });
                if process.has_failed() {
                    return;
                }
                if let Ok(result) = results.try_recv() {
                    match (result, checking.take()) {
                        (Ok(()), Some(pending)) => checked.advance_to(&pending.next),
                        // The capability is kept: the epoch can't become durable.
                        (Err(error), pending) => {
                            checking = pending;
                            return process.fail(error);
                        }
                        (Ok(()), None) => {}
                    }
                }
                while checking.is_none()
                    && let Some(first) = arrived.first_entry()
                    && !frontiers[0].less_equal(first.key())
                {
                    let pending = first.remove();
                    if watch.ids.is_empty() || checked.moved(&pending.next).is_empty() {
                        continue;
                    }
                    let (watch, done) = (Arc::clone(&watch), done.clone());
                    let (waiting, answered) = (Arc::clone(&process), answered.clone());
                    let last = pending.last;
                    process.spawn(async move {
                        let result = watch.until_answered(&waiting, last).await;
                        // Errors mean that the worker is gone.
                        let _ = done.send(result);
                        let _ = answered.activate();
                    });
                    checking = Some(pending);
                }
            }
        });
        passed
    }

    /// Asks until there is an answer. An error means that the epoch must not be committed.
    async fn until_answered(self: &Arc<Self>, process: &Process, last: bool) -> Result<()> {
        let mut ending: Option<Instant> = last.then(Instant::now);
        let mut told: Option<Instant> = None;
        loop {
            let watch = Arc::clone(self);
            // It blocks, so it gets a thread of its own.
            let asked = tokio::task::spawn_blocking(move || watch.cluster.identities()).await;
            let error = match asked {
                Ok(Ok(found)) => return self.compare(&found),
                Ok(Err(error)) => error,
                Err(error) => {
                    return Err(
                        Error::internal("the check of the topics' ids failed").caused_by(error)
                    );
                }
            };
            if process.is_draining() {
                ending.get_or_insert_with(Instant::now);
            }
            let too_late = ending.is_some_and(|since| since.elapsed() >= LAST_WAIT);
            if too_late || process.has_failed() {
                return Err(error);
            }
            if told.is_none_or(|at| at.elapsed() >= REMINDER) {
                told = Some(Instant::now());
                tracing::warn!(
                    "a checkpoint waits until Kafka says that its topics were not made anew: {error}"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn compare(&self, found: &BTreeMap<String, Identity>) -> Result<()> {
        for (topic, recorded) in &self.ids {
            match found.get(topic) {
                Some(Identity::Id(id)) if id != recorded => {
                    let spared = "nothing that was read since the last checkpoint was committed";
                    let error = made_anew(topic, " while it was read", recorded, id, spared);
                    return Err(match self.recreation_is_borne {
                        true => error.restartable(),
                        false => error,
                    });
                }
                Some(Identity::Gone) => {
                    tracing::warn!(topic, "the topic does not exist any more");
                }
                Some(Identity::Id(_) | Identity::Untold) | None => {}
            }
        }
        Ok(())
    }
}
