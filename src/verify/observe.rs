//! Asks everybody. No question stops another one: what fails is a fact.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iceberg::table::Table;
use iceberg::{Catalog, TableIdent};

use super::facts::{
    Brokers, ClientSettings, Facts, KafkaFacts, Located, Snapshots, TableFacts, Work,
};
use crate::audit::{self, DIGESTS_MAX};
use crate::config::Settings;
use crate::control::now_ms;
use crate::error::{Error, Result};
use crate::format::Provenance;
use crate::iceberg::{self as room, masked};
use crate::inspect;
use crate::kafka::{self, Cluster};
use crate::runtime::table as configured;

/// Why nothing was asked of a catalog.
const UNOPENED: &str = "the catalog can't be opened";
/// Removals of rows that are named.
const REMOVALS_NAMED: usize = 10;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the catalog's swap is tried on a scratch table.
    pub probe: bool,
    /// The columns of a key that no two rows may share; none is not asked for.
    pub key: Vec<String>,
}

/// Looks at everything that the settings name.
///
/// The table comes first: the pipeline may run, and what the brokers have must not be older than what the table says.
pub async fn observe(settings: &Settings, options: &Options) -> Result<Facts> {
    settings.require_ingest()?;
    let ident = configured::ident(settings)?;
    let began = Instant::now();
    let catalog = configured::existing_catalog(settings).await;
    let took = began.elapsed();
    let table = match &catalog {
        Ok(catalog) => room::load(&**catalog, &ident).await.into(),
        Err(_) => Work::Omitted(UNOPENED),
    };
    let now_ms = now_ms();
    let state = &settings.state;
    let (kafka, checkpoint_dir, savepoint_dir, table, probe) = tokio::join!(
        source(settings),
        located(settings, state.checkpoints_dir.as_deref()),
        located(settings, state.savepoints_dir.as_deref()),
        sink(settings, table, options),
        probe(catalog.as_ref().ok(), &ident, options),
    );
    let address = settings.catalog.uri.as_ref().map_or("", |uri| uri.reveal());
    Ok(Facts {
        settings: settings.clone(),
        table_name: ident.to_string(),
        now_ms,
        kafka,
        checkpoint_dir,
        savepoint_dir,
        catalog_address: masked(address),
        catalog: catalog.map(|_| took).into(),
        table,
        probe,
    })
}

async fn source(settings: &Settings) -> KafkaFacts {
    let (kafka, pipeline) = (settings.kafka.clone(), settings.pipeline.name.clone());
    // The questions to the cluster block.
    let brokers = tokio::task::spawn_blocking(move || brokers(&kafka, &pipeline)).await;
    let brokers = brokers.unwrap_or_else(|error| {
        Err(Error::internal("asking the brokers panicked").caused_by(error))
    });
    let topics = match &brokers {
        Ok(_) => kafka::topic_settings(&settings.kafka, &settings.pipeline.name)
            .await
            .into(),
        Err(_) => Work::Omitted("the brokers do not answer"),
    };
    KafkaFacts {
        client: client(settings).into(),
        brokers: brokers.into(),
        topics,
    }
}

fn client(settings: &Settings) -> Result<ClientSettings> {
    let names = [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "isolation.level",
    ];
    let [auto_commit, auto_offset_store, offset_reset, isolation] =
        kafka::effective_config(&settings.kafka, names)?;
    Ok(ClientSettings {
        auto_commit,
        auto_offset_store,
        offset_reset,
        isolation,
    })
}

fn brokers(kafka: &crate::config::Kafka, pipeline: &str) -> Result<Brokers> {
    let cluster = Cluster::open(kafka, pipeline)?;
    let partitions = cluster.partitions()?;
    Ok(Brokers {
        cluster_id: cluster.id(),
        topics: cluster.topics(&partitions)?,
    })
}

async fn located(settings: &Settings, location: Option<&str>) -> Located {
    let Some(location) = location else {
        return Located {
            location: None,
            medium: Work::Omitted("none is configured"),
        };
    };
    let options = configured::catalog_options(settings, false);
    Located {
        location: Some(masked(location)),
        medium: room::try_location(&options, location).await.into(),
    }
}

async fn sink(settings: &Settings, table: Work<Table>, options: &Options) -> Work<TableFacts> {
    match table {
        Work::Done(table) => look_at(settings, &table, options).await.into(),
        Work::Failed(trouble) => Work::Failed(trouble),
        Work::Omitted(why) => Work::Omitted(why),
    }
}

async fn probe(
    catalog: Option<&Arc<dyn Catalog>>,
    ident: &TableIdent,
    options: &Options,
) -> Work<room::Probe> {
    let Some(catalog) = catalog else {
        return Work::Omitted(UNOPENED);
    };
    if !options.probe {
        return Work::Omitted("left out (--no-probe)");
    }
    match catalog.namespace_exists(ident.namespace()).await {
        Ok(false) => {
            Work::Omitted("the namespace is not there yet: verify again after the first start")
        }
        // A catalog that forbids the question is asked all the same.
        Ok(true) | Err(_) => room::probe(catalog, ident.namespace()).await.into(),
    }
}

async fn look_at(settings: &Settings, table: &Table, options: &Options) -> Result<TableFacts> {
    let metadata = table.metadata();
    let pipeline = &settings.pipeline.name;
    let observed = room::observe(metadata, pipeline)?;
    let marker = observed.property.map(|recorded| recorded.marker);
    let has_written = marker.is_some() || observed.lineage.is_some();
    let schema = metadata.current_schema().as_struct();
    let has = |column| {
        let mut fields = schema.fields().iter();
        fields.any(|field| Provenance::of(field) == Some(column))
    };
    let history = inspect::checkpoints(metadata, &table.identifier().to_string(), pipeline);
    Ok(TableFacts {
        location: metadata.location().to_owned(),
        format_version: metadata.format_version() as u8,
        properties: metadata.properties().clone().into_iter().collect(),
        unfit: configured::check(settings, table).err().map(Into::into),
        is_sorted: !metadata.default_sort_order().is_unsorted(),
        has_provenance: [Provenance::Topic, Provenance::Partition, Provenance::Offset]
            .into_iter()
            .all(has),
        snapshots: snapshots(settings, table)?,
        growth: inspect::Growth::of(metadata, now_ms()),
        marker,
        history: history.ok(),
        audit: match has_written {
            true => audit::observe(table, pipeline)
                .await
                .map(|facts| audit::judge(&facts))
                .into(),
            false => Work::Omitted("the pipeline has never written to the table"),
        },
        keys: match options.key.as_slice() {
            [] => Work::Omitted("not asked for (--key COLUMN)"),
            key => audit::duplicate_keys(table, key, DIGESTS_MAX).await.into(),
        },
    })
}

fn snapshots(settings: &Settings, table: &Table) -> Result<Snapshots> {
    let metadata = table.metadata();
    let chain = room::chain(metadata, &settings.pipeline.name)?;
    let ours: HashSet<i64> = chain.iter().map(|link| link.snapshot_id).collect();
    let mut seen = Snapshots::default();
    for snapshot in room::of_main(metadata) {
        let id = snapshot.snapshot_id();
        let operation = snapshot.summary().operation.as_str();
        let is_ours = ours.contains(&id);
        seen.retained += 1;
        seen.ours += u64::from(is_ours);
        seen.oldest_age = u64::try_from(now_ms() - snapshot.timestamp_ms())
            .ok()
            .map(Duration::from_millis);
        match operation {
            "append" => {}
            _ if is_ours => seen.ours_otherwise.push((id, operation.to_owned())),
            "replace" => seen.rewrites += 1,
            _ if seen.removals.len() < REMOVALS_NAMED => {
                seen.removals.push((id, operation.to_owned()));
            }
            _ => {}
        }
    }
    Ok(seen)
}
