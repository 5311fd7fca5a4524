//! `calve demo`: the main job on embedded defaults, without any service.
//!
//! librdkafka's mock cluster stands in for Kafka. It keeps only some 5 MB a partition, so the
//! generator paces itself by what was read. With `--brokers` the same runs on a real Kafka.
//! `calve demo --crash` is another play on the same stage: [`crash`].

mod child;
mod crash;
mod facts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use iceberg::table::Table;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::args::DemoArgs;
use super::generate::{COLUMNS, Offer, create_topic, produce};
use super::{find, run};
use crate::config::{self, Layers, Settings};
use crate::error::{Error, Result};
use crate::observe::logging;
use crate::process::Process;
use crate::runtime::table::{self, Columns, OpenTable};
use crate::runtime::{self, Cluster, Dataflow, RunOptions};

/// Records written ahead of the reader: what the mock cluster can keep of six partitions.
const AHEAD_MAX: u64 = 60_000;
const PARTITIONS: i32 = 6;
const INTERVAL: Duration = Duration::from_secs(2);
const ROWS_SHOWN: usize = 5;
const TOPIC: &str = "health-samples";
const PIPELINE: &str = "demo";

pub(super) fn run(args: &DemoArgs, dataflows: &[Dataflow]) -> Result<()> {
    let dataflow = find(dataflows, None)?;
    let directory = directory(args.directory.as_deref())?;
    if args.crash {
        return crash::run(&directory, dataflow.name);
    }
    // The mock cluster lives as long as this value.
    let mock = match &args.brokers {
        Some(_) => None,
        None => Some(mock_cluster()?),
    };
    let brokers = match (&args.brokers, &mock) {
        (Some(brokers), _) => brokers.clone(),
        (None, Some(mock)) => mock.bootstrap_servers(),
        (None, None) => String::new(),
    };
    let client = {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &brokers);
        client
    };
    match &mock {
        Some(mock) => create_mock_topic(mock, PARTITIONS)?,
        None => create_topic(&client, TOPIC, PARTITIONS)?,
    }

    let settings = settings(flags(&brokers, &directory, args.threads, INTERVAL))?;
    let screen = logging::init(&settings.log.level, settings.log.format)?;
    eprintln!(
        "{} generated health samples → {} → {} workers → Iceberg table demo.health_samples",
        args.records,
        if mock.is_some() {
            "mock Kafka"
        } else {
            "Kafka"
        },
        args.threads,
    );
    let (hand_over, handed_over) = mpsc::channel::<Arc<Process>>();
    let generator = {
        let (records, paced) = (args.records, mock.is_some());
        thread::Builder::new()
            .name("calve-generator".to_owned())
            .spawn(move || generate(&client, records, paced, &handed_over))
            .map_err(|error| Error::internal("no thread for the generator").caused_by(error))?
    };
    let summary = runtime::run(
        dataflow,
        settings.clone(),
        RunOptions {
            cluster: Cluster::default(),
            bounded: false,
            from: None,
            profile: None,
            screen,
            watch: Box::new(move |process| {
                // An error means that the generator has ended, with an error of its own.
                let _ = hand_over.send(process);
            }),
        },
    )?;
    match generator.join() {
        Ok(generated) => generated?,
        Err(_) => return Err(Error::internal("the generator panicked")),
    }
    run::tell(&summary);
    show(&settings, &directory)
}

/// Writes the samples, waits until all were read, and ends the run.
fn generate(
    client: &ClientConfig,
    records: u64,
    paced: bool,
    process: &mpsc::Receiver<Arc<Process>>,
) -> Result<()> {
    let Ok(process) = process.recv() else {
        return Ok(());
    };
    let read = || process.metrics().records_read.get();
    let wait = || thread::sleep(Duration::from_millis(1));
    let ended = || process.has_failed() || process.is_draining();
    let result = produce(client, TOPIC, 0, records, Offer::Unlimited, |sent| {
        while paced && sent >= read() + AHEAD_MAX && !ended() {
            wait();
        }
        !ended()
    });
    match result {
        Ok(sent) => {
            while read() < sent && !ended() {
                wait();
            }
            process.request_drain();
            Ok(())
        }
        Err(error) => {
            process.request_drain();
            Err(error)
        }
    }
}

/// A new folder, or the given one if it is new or empty: a mock cluster begins at offset 0 each time,
/// so an older demo's table would rightly refuse it.
fn directory(given: Option<&Path>) -> Result<PathBuf> {
    let directory = match given {
        Some(given) => given.to_path_buf(),
        None => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            std::env::temp_dir().join(format!("calve-demo-{}", now.as_millis()))
        }
    };
    let failed = |error: std::io::Error| {
        Error::config(format!("folder {} can't be used", directory.display())).caused_by(error)
    };
    std::fs::create_dir_all(&directory).map_err(failed)?;
    if std::fs::read_dir(&directory)
        .map_err(failed)?
        .next()
        .is_some()
    {
        return Err(
            Error::config(format!("folder {} is not empty", directory.display()))
                .advice("name another one: the demo's Kafka begins anew each time"),
        );
    }
    std::path::absolute(&directory).map_err(failed)
}

fn mock_cluster() -> Result<MockCluster<'static, DefaultProducerContext>> {
    MockCluster::new(1).map_err(|error| {
        Error::internal("the mock Kafka cluster can't be started").caused_by(error)
    })
}

fn create_mock_topic(
    mock: &MockCluster<'static, DefaultProducerContext>,
    partitions: i32,
) -> Result<()> {
    mock.create_topic(TOPIC, partitions, 1).map_err(|error| {
        Error::internal("the mock cluster's topic can't be created").caused_by(error)
    })
}

/// What both demos set.
fn flags(
    brokers: &str,
    directory: &Path,
    threads: usize,
    interval: Duration,
) -> Vec<(String, String)> {
    let directory = directory.display();
    let flag = |key: &str, value: String| (key.to_owned(), value);
    vec![
        flag("pipeline.name", PIPELINE.to_owned()),
        flag("parallelism", threads.to_string()),
        flag("kafka.brokers", brokers.to_owned()),
        flag("kafka.topic", TOPIC.to_owned()),
        flag("catalog.uri", format!("sqlite://{directory}/catalog.db")),
        flag("warehouse", format!("file://{directory}/warehouse")),
        flag("table.database", "demo".to_owned()),
        flag("table.name", "health_samples".to_owned()),
        flag("table.columns", COLUMNS.to_owned()),
        flag("checkpoint.interval", format!("{}ms", interval.as_millis())),
        flag("restart-strategy.type", "none".to_owned()),
        // The mock cluster answers a fetch only when this time is over.
        flag("kafka.fetch.wait.max.ms", "10".to_owned()),
    ]
}

fn settings(flags: Vec<(String, String)>) -> Result<Settings> {
    config::load(&Layers {
        flags,
        ..Layers::default()
    })
}

/// What is in the table, where it is, and how to look at it with other programs.
fn show(settings: &Settings, directory: &Path) -> Result<()> {
    let runtime = runtime::async_runtime()?;
    let OpenTable { table, .. } =
        runtime.block_on(table::open(settings, Columns::declared(settings)?))?;
    let rows = runtime.block_on(first_rows(&table))?;
    let metadata = table.metadata();
    let total = metadata.current_snapshot().and_then(|snapshot| {
        snapshot
            .summary()
            .additional_properties
            .get("total-records")
    });
    println!(
        "\nTable {}: {} records in {} snapshots, at {}\n{rows}\n",
        table.identifier(),
        total.map_or("no", String::as_str),
        metadata.snapshots().len(),
        metadata.location(),
    );
    let directory = directory.display();
    println!(
        "Look at it with DuckDB:\n  duckdb -c \"INSTALL iceberg; LOAD iceberg; SELECT data_type, \
         count(*), avg(value) FROM iceberg_scan('{metadata}') GROUP BY ALL\"\n\
         or with pyiceberg:\n  python3 -c \"from pyiceberg.catalog.sql import SqlCatalog; \
         print(SqlCatalog('default', uri='sqlite:///{directory}/catalog.db', \
         warehouse='file://{directory}/warehouse').load_table('demo.health_samples').scan(limit=5)\
         .to_arrow())\"",
        metadata = table.metadata_location().unwrap_or_default(),
    );
    Ok(())
}

/// A few rows, read back through the table.
async fn first_rows(table: &Table) -> Result<String> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::external("the table can't be read back").caused_by(error.to_string())
    };
    // Without provenance: the library takes `_partition` for a metadata column of its own.
    let schema = table.metadata().current_schema();
    let names = schema
        .as_struct()
        .fields()
        .iter()
        .map(|field| field.name.clone());
    let names = names.filter(|name| !name.starts_with('_'));
    let scan = table
        .scan()
        .select(names)
        .build()
        .map_err(|e| unreadable(&e))?;
    let mut batches = scan.to_arrow().await.map_err(|e| unreadable(&e))?;
    let Some(batch) = batches.try_next().await.map_err(|e| unreadable(&e))? else {
        return Ok("(no rows)".to_owned());
    };
    let few = batch.slice(0, batch.num_rows().min(ROWS_SHOWN));
    let text = pretty_format_batches(&[few]).map_err(|e| unreadable(&e))?;
    Ok(text.to_string())
}
