//! Taking a table over from another engine: the first claim of a pipeline, at offsets that the other one left.
//!
//! After it the table holds a marker, and the next `calve run` is a resume like any other. Everything is looked at
//! first ([`Takeover::look`]); the claim is the only thing that is written.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::async_runtime;
use super::table::{self, OpenTable};
use crate::checkpoint::marker::Marker;
use crate::checkpoint::migration::{self, Planned};
use crate::checkpoint::positions::Topic;
use crate::config::{OffsetReset, Settings};
use crate::error::{Error, Result};
use crate::iceberg::{Committer, FlinkCommit, Observation, flink_commits};
use crate::kafka::{self, Cluster};
use crate::offsets::Offsets;

/// Where the offsets come from.
#[derive(Clone, Debug)]
pub enum Left {
    /// Somebody wrote them down.
    Offsets(Offsets),
    /// The consumer group of this name has committed them.
    Group(String),
}

/// A table that can be taken over.
pub struct Takeover {
    runtime: Runtime,
    observation: Observation,
    cluster_id: Option<String>,
    topics: BTreeMap<String, Topic>,
    plan: Vec<Planned>,
    flink: Vec<FlinkCommit>,
}

impl Takeover {
    /// Looks at topic and table, and decides where each partition begins; writes nothing.
    pub fn look(settings: &Settings, left: &Left, missing: Option<OffsetReset>) -> Result<Self> {
        settings.require_ingest()?;
        let runtime = async_runtime()?;
        let OpenTable { catalog, table } = runtime.block_on(table::open_existing(settings))?;
        let observed = Committer::observe(
            catalog,
            table.identifier().clone(),
            &settings.pipeline.name,
            settings.on_rollback,
        );
        let observation = runtime
            .block_on(observed)?
            .with_patience(settings.checkpoint.timeout);
        if let Some(marker) = observation.marker() {
            return Err(begun(marker));
        }
        let cluster = Cluster::open(&settings.kafka, &settings.pipeline.name)?;
        let partitions = cluster.partitions()?;
        let offsets = match left {
            Left::Offsets(offsets) => offsets.clone(),
            Left::Group(group) => kafka::committed(&settings.kafka, group, &partitions)?,
        };
        let topics = cluster.topics(&partitions)?;
        let plan = migration::plan(&offsets, &topics, missing)?;
        Ok(Self {
            flink: flink_commits(observation.table().metadata()),
            cluster_id: cluster.id(),
            runtime,
            observation,
            topics,
            plan,
        })
    }

    /// Where each partition will begin.
    pub fn plan(&self) -> &[Planned] {
        &self.plan
    }

    /// What Flink jobs have committed to the table, the newest first.
    pub fn flink(&self) -> &[FlinkCommit] {
        &self.flink
    }

    /// Writes the first marker, and returns it.
    pub fn claim(self) -> Result<Marker> {
        let beginning = migration::beginning(&self.plan, &self.topics);
        let claim = Committer::claim(self.observation, self.cluster_id.as_deref(), |carried| {
            // Somebody else has begun since we looked.
            match carried {
                Some(carried) => Err(Error::fenced(format!(
                    "generation {} of this pipeline has begun meanwhile",
                    carried.generation
                ))
                .advice("nothing was written; it goes on from its own marker")),
                None => Ok(beginning.clone()),
            }
        });
        self.runtime.block_on(claim).map(|(_, marker)| marker)
    }
}

fn begun(marker: &Marker) -> Error {
    Error::config(format!(
        "pipeline {} has begun in this table already: it stands at {marker}, next offsets {}",
        marker.pipeline, marker.next
    ))
    .advice(
        "nothing was written: offsets are taken over once, before the first start. `calve run` goes on from there; \
         another pipeline.name would begin anew, beside what is in the table",
    )
}
