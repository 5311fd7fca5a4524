//! Finds partitions that are added while the pipeline runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timely::scheduling::SyncActivator;

use super::Cluster;
use crate::offsets::{NextOffset, Offsets};
use crate::process::Process;

/// The partitions of one process's view of the cluster; sources take theirs from it.
///
/// Every process discovers for itself: what is needed is only that the owner of a partition (worker
/// *p mod peers*) learns of it.
#[derive(Debug, Default)]
pub struct Discovery {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Where reading of each known partition starts.
    starts: Offsets,
    sources: Vec<SyncActivator>,
}

impl Discovery {
    /// Starts from the partitions known at the start of the pipeline, and looks for more every
    /// `interval` until the process ends; without an interval it never looks.
    pub fn start(
        process: &Arc<Process>,
        cluster: Arc<Cluster>,
        known: Offsets,
        interval: Option<Duration>,
    ) -> Arc<Self> {
        let discovery = Arc::new(Self {
            found: Mutex::new(Found {
                starts: known,
                sources: Vec::new(),
            }),
        });
        if let Some(interval) = interval {
            let task = Arc::clone(&discovery);
            process.spawn(async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let (task, cluster) = (Arc::clone(&task), Arc::clone(&cluster));
                    // Metadata calls block, so they get a thread of their own.
                    let look = tokio::task::spawn_blocking(move || task.look(&cluster));
                    match look.await {
                        Ok(()) => {}
                        // Without it new partitions would stay unread, without a sign.
                        Err(error) if error.is_panic() => {
                            std::panic::resume_unwind(error.into_panic())
                        }
                        Err(_) => return,
                    }
                }
            });
        }
        discovery
    }

    /// Registers a source, to be woken when there is something new.
    pub(super) fn register(&self, source: SyncActivator) {
        self.lock().sources.push(source);
    }

    /// Where reading starts for those known partitions that `wanted` asks for.
    pub(super) fn starts(&self, mut wanted: impl FnMut(&str, i32) -> bool) -> Offsets {
        let mut starts = Offsets::new();
        for (topic, partition, next) in self.lock().starts.iter() {
            if wanted(topic, partition) {
                starts.set(topic, partition, next);
            }
        }
        starts
    }

    fn look(&self, cluster: &Cluster) {
        let partitions = match cluster.partitions() {
            Ok(partitions) => partitions,
            // A broker that is away is reported by the consumers; the next look finds what is new.
            Err(error) => return tracing::warn!("looking for new partitions failed: {error}"),
        };
        let mut any = false;
        for (topic, partition) in partitions {
            if self.lock().starts.get(&topic, partition).is_some() {
                continue;
            }
            // A new partition is read from its beginning, whatever the first start was told.
            match cluster.watermarks(&topic, partition) {
                Ok(marks) => {
                    tracing::info!(topic, partition, offset = marks.low, "new partition");
                    self.lock()
                        .starts
                        .set(&topic, partition, NextOffset(marks.low));
                    any = true;
                }
                Err(error) => {
                    tracing::warn!("new partition {topic}[{partition}] not readable yet: {error}");
                }
            }
        }
        if any {
            for source in &self.lock().sources {
                // An error means that the worker is gone.
                let _ = source.activate();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
