//! How a process takes a pipeline over: it observes the table, and claims the next generation.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use iceberg::table::Table;
use iceberg::{Catalog, ErrorKind, TableIdent};

use super::{Committer, blank_marker};
use crate::checkpoint::decisions::{Claim, Decision, Start, decide_start};
use crate::checkpoint::marker::{Marker, Ranges};
use crate::checkpoint::positions::{Beginning, Carried};
use crate::checkpoint::rollback::Recovery;
use crate::checkpoint::savepoint::{self, Savepoint};
use crate::config::OnRollback;
use crate::error::{Error, Result};
use crate::iceberg::guard::Intent;
use crate::iceberg::landing::{Landing, Target, dropped};
use crate::iceberg::merge::Merges;
use crate::iceberg::refusal::{refused, same_cluster, stopped};
use crate::iceberg::retention::Retention;
use crate::iceberg::{failure, lineage};
use crate::offsets::Offsets;
use crate::time::Generation;

/// How long a commit may take until it is proved, unless told otherwise.
const PATIENCE_DEFAULT: Duration = Duration::from_secs(60);

/// How often a start that was outrun observes again before it gives up. Each time somebody else
/// has made progress, so more than a few mean a restart loop elsewhere.
const CLAIMS_MAX: u32 = 16;

/// A table as a new process finds it.
#[derive(Debug)]
pub struct Observation {
    target: Target,
    table: Table,
    start: Start,
    carried: Option<Carried>,
}

impl Observation {
    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The marker that was recorded last; `None` for a fresh start.
    pub fn marker(&self) -> Option<&Marker> {
        match &self.start {
            Start::Fresh | Start::Refuse(_) => None,
            Start::Resume(marker) => Some(marker),
            Start::Recover(recovery) => Some(&recovery.recorded),
        }
    }

    /// What a claim will carry forward.
    pub fn carried(&self) -> Option<&Carried> {
        self.carried.as_ref()
    }

    /// Sets how long the claim and each commit may take until they are proved.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.target.patience = patience;
        self
    }

    /// Lets the claim and each commit expire snapshots.
    #[must_use]
    pub fn with_retention(mut self, retention: Option<Retention>) -> Self {
        self.target.retention = retention;
        self
    }
}

impl Committer {
    /// Loads the table and decides where a new process begins.
    ///
    /// A table that must not be touched (replaced, diverged, rolled back if the policy is to halt) is
    /// an error.
    pub async fn observe(
        catalog: Arc<dyn Catalog>,
        ident: TableIdent,
        pipeline: &str,
        on_rollback: OnRollback,
    ) -> Result<Observation> {
        Self::observe_from(None, catalog, ident, pipeline, on_rollback).await
    }

    /// The same for a process that is to begin at a savepoint. A table that can't be gone on in from there is an error.
    pub async fn observe_from(
        savepoint: Option<Savepoint>,
        catalog: Arc<dyn Catalog>,
        ident: TableIdent,
        pipeline: &str,
        on_rollback: OnRollback,
    ) -> Result<Observation> {
        Self::observe_at(Target {
            catalog,
            ident,
            pipeline: pipeline.to_owned(),
            patience: PATIENCE_DEFAULT,
            on_rollback,
            retention: None,
            merges: Merges::default(),
            savepoint,
        })
        .await
    }

    async fn observe_at(target: Target) -> Result<Observation> {
        let table = target
            .catalog
            .load_table(&target.ident)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::TableNotFound => dropped(&target.ident),
                _ => failure::external(format!("table {} can't be loaded", target.ident), &error),
            })?;
        let observed = lineage::observe(table.metadata(), &target.pipeline)?;
        let start = match decide_start(&observed, target.on_rollback) {
            Start::Refuse(refusal) => return Err(refused(&target, &refusal)),
            start => start,
        };
        let carried = match &target.savepoint {
            None => start.carried(),
            Some(savepoint) => {
                let table = savepoint::Target {
                    name: &target.ident.to_string(),
                    uuid: &observed.table_uuid,
                    pipeline: &target.pipeline,
                };
                Some(savepoint::decide(savepoint, &start, table)?)
            }
        };
        Ok(Observation {
            target,
            table,
            start,
            carried,
        })
    }

    /// Takes the pipeline over: claims the next generation with an empty snapshot that carries the
    /// marker forward. It must be a snapshot, since a mere change of properties would not
    /// invalidate a swap that a zombie has in flight.
    ///
    /// `begin` says where reading begins, given what is carried forward; the claim writes it down. Of two
    /// starts at once, one wins a generation; the other observes again, is asked again and claims the
    /// next, so the marker returned may be a newer one than was observed.
    pub async fn claim(
        mut observation: Observation,
        cluster_id: Option<&str>,
        mut begin: impl FnMut(Option<&Carried>) -> Result<Beginning>,
    ) -> Result<(Self, Marker)> {
        for _ in 0..CLAIMS_MAX {
            let Observation {
                target,
                table,
                start,
                carried,
            } = &observation;
            let carried = carried.clone();
            same_cluster(carried.as_ref(), cluster_id)?;
            let beginning = begin(carried.as_ref())?;
            let marker = claim_marker(target, table, carried, beginning, cluster_id);
            let intent = Intent::Claim(Claim {
                id: marker.id.clone(),
                table_uuid: marker.table_uuid.clone(),
                from: start.clone(),
                on_rollback: target.on_rollback,
            });
            let landing = target.land(table, &intent, &marker, &[], &mut 0).await?;
            match landing {
                Landing::Proved { table, .. } => {
                    if let Start::Recover(recovery) = &observation.start {
                        tell(recovery);
                    }
                    let committer = Self {
                        target: observation.target,
                        table,
                        head: marker.clone(),
                        unproved: Vec::new(),
                        riding: Vec::new(),
                        riding_joined: Offsets::new(),
                        landed: HashSet::new(),
                    };
                    return Ok((committer, marker));
                }
                Landing::Elsewhere { decision, .. } => match decision {
                    Decision::Outrun => {}
                    decision => {
                        return Err(stopped(&observation.target, marker.generation, decision));
                    }
                },
            }
            observation = Self::observe_at(observation.target).await?;
        }
        Err(Error::fenced(format!(
            "other starts of pipeline {} were faster {CLAIMS_MAX} times in a row",
            observation.target.pipeline
        ))
        .advice("run one process per pipeline; give another one another pipeline name"))
    }
}

/// The claim's marker: what is carried forward, changed where the start begins elsewhere. A partition that
/// does not go on where the parent left it gets an empty range that says where it stands.
fn claim_marker(
    target: &Target,
    table: &Table,
    carried: Option<Carried>,
    beginning: Beginning,
    cluster_id: Option<&str>,
) -> Marker {
    let mut marker = blank_marker(target, table, &[]);
    marker.generation = Generation(1);
    let mut known = Offsets::new();
    if let Some(carried) = carried {
        marker.generation = carried.generation.next();
        marker.epoch = carried.epoch;
        marker.parent = carried.parent;
        marker.next = carried.next;
        marker.gaps = carried.gaps;
        marker.gaps_unknown = carried.gaps_unknown;
        marker.topic_ids = carried.topic_ids;
        marker.cluster_id = carried.cluster_id;
        known = carried.known;
    }
    for topic in &beginning.recreated {
        known.remove_topic(topic);
        marker.next.remove_topic(topic);
    }
    marker.next.advance_to(&beginning.next);
    marker.moved = Ranges::standing_at(&known.moved(&marker.next));
    for (topic, partition, from, to) in beginning.gaps.iter() {
        // What was left out ends where this gap begins.
        let from = marker
            .gaps
            .get(topic, partition)
            .map_or(from, |(from, _)| from);
        marker.gaps.insert(topic, partition, (from, to));
    }
    marker.topic_ids.extend(beginning.topic_ids);
    marker.state_snapshot = beginning.state;
    if let Some(cluster_id) = cluster_id {
        marker.cluster_id = Some(cluster_id.to_owned());
    }
    marker
}

/// What was decided by a policy is said.
fn tell(recovery: &Recovery) {
    tracing::warn!(
        recorded = %recovery.recorded,
        newest = recovery.newest.as_ref().map(tracing::field::display),
        next = %recovery.next,
        left_out = recovery.left_out.iter().count(),
        "the table was rolled back: the pipeline goes on from these offsets (on-rollback)"
    );
}
