//! What the judgement rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::{self, Keys};
use crate::checkpoint::marker::Marker;
use crate::checkpoint::positions::Topic;
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::iceberg::{Medium, Probe};
use crate::inspect::{Growth, History};
use crate::kafka::TopicSettings;

/// A question that got no answer: why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub says: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// True if there is nothing yet to ask: a catalog, or a table, that a first start makes.
    pub is_missing: bool,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self {
            says: error.says(),
            remedy: error.remedy().map(str::to_owned),
            is_missing: error.kind() == Kind::Config,
        }
    }
}

/// What came of one piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work<T> {
    /// This was seen.
    Done(T),
    /// It failed.
    Failed(Trouble),
    /// It was not tried, for this reason.
    Omitted(&'static str),
}

impl<T> Work<T> {
    /// What was seen, if anything.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Done(seen) => Some(seen),
            Self::Failed(_) | Self::Omitted(_) => None,
        }
    }
}

impl<T> From<crate::Result<T>> for Work<T> {
    fn from(result: crate::Result<T>) -> Self {
        match result {
            Ok(seen) => Self::Done(seen),
            Err(error) => Self::Failed(error.into()),
        }
    }
}

/// What librdkafka has in force for a consumer of this pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// `enable.auto.commit`
    pub auto_commit: String,
    /// `enable.auto.offset.store`
    pub auto_offset_store: String,
    /// `auto.offset.reset`
    pub offset_reset: String,
    /// `isolation.level`
    pub isolation: String,
}

/// What the brokers say of themselves and of the topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brokers {
    /// The cluster's id, if they tell it.
    pub cluster_id: Option<String>,
    /// Where the partitions begin and end, and the ids of the topics.
    pub topics: BTreeMap<String, Topic>,
}

/// The source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaFacts {
    /// The client's configuration.
    pub client: Work<ClientSettings>,
    /// The cluster.
    pub brokers: Work<Brokers>,
    /// The topics' own settings.
    pub topics: Work<BTreeMap<String, TopicSettings>>,
}

/// A directory that checkpoints or savepoints are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where it is, secrets masked; none if none is configured.
    pub location: Option<String>,
    /// What keeps it.
    pub medium: Work<Medium>,
}

/// What the snapshots in the history of `main` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// How many are retained.
    pub retained: u64,
    /// Those of this pipeline.
    pub ours: u64,
    /// Those of this pipeline that are no appends: there must be none.
    pub ours_otherwise: Vec<(i64, String)>,
    /// Those of others that rewrote files and left the rows as they are.
    pub rewrites: u64,
    /// Those of others that took rows away.
    pub removals: Vec<(i64, String)>,
    /// The age of the oldest.
    pub oldest_age: Option<Duration>,
}

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFacts {
    /// Where its files lie.
    pub location: String,
    /// Iceberg's format version.
    pub format_version: u8,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// Why it can't be written, or lacks declared columns.
    pub unfit: Option<Trouble>,
    /// True if it has a sort order.
    pub is_sorted: bool,
    /// True if it has the columns `_topic`, `_partition` and `_offset`.
    pub has_provenance: bool,
    /// What its snapshots did.
    pub snapshots: Snapshots,
    /// How it grows.
    pub growth: Option<Growth>,
    /// The marker in the table property; none if the pipeline has never written.
    pub marker: Option<Marker>,
    /// The checkpoints that it tells of.
    pub history: Option<History>,
    /// The audit.
    pub audit: Work<audit::Report>,
    /// Duplicates by key, if they were asked for.
    pub keys: Work<Keys>,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The settings.
    pub settings: Settings,
    /// The table's name.
    pub table_name: String,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// The source.
    pub kafka: KafkaFacts,
    /// The checkpoint directory.
    pub checkpoint_dir: Located,
    /// The directory of savepoints.
    pub savepoint_dir: Located,
    /// Where the catalog is, secrets masked.
    pub catalog_address: String,
    /// How long the catalog took to open and answer.
    pub catalog: Work<Duration>,
    /// The table.
    pub table: Work<TableFacts>,
    /// What became of the scratch table.
    pub probe: Work<Probe>,
}
