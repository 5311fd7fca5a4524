//! `calve infer`: proposes table columns from what is in the topic.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;

use serde::Serialize;

use super::args::InferArgs;
use super::table::{print, print_json};
use crate::config::{self, Settings};
use crate::error::{Error, Result};
use crate::format::infer;
use crate::kafka::Cluster;

/// How long to wait for the next record: the end of a partition is not an error.
const PATIENCE: Duration = Duration::from_secs(5);

/// `calve infer --json`.
#[derive(Serialize)]
struct Proposed {
    /// As `table.columns` takes them.
    columns: String,
    /// What a person should know before using them.
    notes: Vec<String>,
    /// How many records they were inferred from.
    records: usize,
}

pub(super) fn run(args: &InferArgs) -> Result<()> {
    let settings = config::load(&args.settings.layers(Vec::new())?)?;
    settings.require_kafka()?;
    let payloads = sample(&settings, args.records)?;
    if payloads.is_empty() {
        return Err(
            Error::data("the topic holds no records to infer columns from")
                .advice("declare the columns by hand (table.columns), or try again later"),
        );
    }
    let options = infer::Options {
        not_null: args.not_null,
    };
    let proposal = infer::infer(payloads.iter().map(Vec::as_slice), options)?;
    if args.json {
        return print_json(&Proposed {
            columns: proposal.columns,
            notes: proposal.notes,
            records: payloads.len(),
        });
    }
    print(&format!("CALVE_TABLE_COLUMNS=\"{}\"\n", proposal.columns))?;
    for note in &proposal.notes {
        eprintln!("note: {note}");
    }
    eprintln!("inferred from {} records", payloads.len());
    Ok(())
}

/// The first records of every partition, about as many of each.
fn sample(settings: &Settings, records: usize) -> Result<Vec<Vec<u8>>> {
    let cluster = Cluster::open(&settings.kafka, &settings.pipeline.name)?;
    let partitions = cluster.partitions()?;
    let unreadable = |error| Error::external("the topic can't be read").caused_by(error);
    let mut client = ClientConfig::new();
    for (name, value) in settings.kafka.properties.iter() {
        client.set(name, value);
    }
    let consumer: BaseConsumer = client
        .set(
            "bootstrap.servers",
            settings.kafka.brokers.as_deref().unwrap_or_default(),
        )
        // A group of its own, in which nothing is ever committed.
        .set("group.id", format!("{}-infer", settings.kafka.group_id))
        .set("enable.auto.commit", "false")
        .create()
        .map_err(unreadable)?;
    let share = records.div_ceil(partitions.len().max(1));
    let mut payloads = Vec::new();
    for (topic, partition) in partitions {
        let marks = cluster.watermarks(&topic, partition)?;
        if marks.low == marks.high {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(marks.low))
            .map_err(unreadable)?;
        consumer.assign(&list).map_err(unreadable)?;
        let mut taken = 0;
        while taken < share {
            let Some(message) = consumer.poll(PATIENCE) else {
                break;
            };
            let message = message.map_err(unreadable)?;
            payloads.extend(message.payload().map(<[u8]>::to_vec));
            taken += 1;
            if message.offset() + 1 >= marks.high {
                break;
            }
        }
    }
    Ok(payloads)
}
