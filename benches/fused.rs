//! The limit: consume → decode → Parquet fused into one loop on one thread, without an engine, without
//! commits. What `calve run` costs beyond this is what exactly-once, workers and checkpoints cost.
//!
//! `cargo bench --bench fused -- BROKERS TOPIC FOLDER`

use std::path::Path;
use std::sync::Arc;

use calve::config::{self, Layers};
use calve::format::{Decoder, JsonDecoder, columns};
use calve::kafka::{Cluster, Consumer, Event};
use calve::messages::Messages;
use calve::offsets::{NextOffset, Offsets};

#[path = "shared/writer.rs"]
mod writer;

/// The same as the default of `batch.size`.
const BATCH_ROWS: usize = 8_192;
const COLUMNS: &str = include_str!("../src/cli/generate/samples.columns");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [brokers, topic, folder] = &arguments[..] else {
        println!("usage: fused BROKERS TOPIC FOLDER");
        return Ok(());
    };
    let flag = |key: &str, value: &String| (key.to_owned(), value.clone());
    let settings = config::load(&Layers {
        flags: vec![flag("kafka.brokers", brokers), flag("kafka.topic", topic)],
        ..Layers::default()
    })?;
    let cluster = Cluster::open(&settings.kafka, "fused")?;
    let mut starts = Offsets::new();
    let mut left = 0;
    for (topic, partition) in cluster.partitions()? {
        let marks = cluster.watermarks(&topic, partition)?;
        starts.set(&topic, partition, NextOffset(marks.low));
        left += usize::try_from(marks.high - marks.low)?;
    }
    let mut consumer = Consumer::open(&settings.kafka, "fused", || {})?;
    consumer.assign(&starts)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let writer = writer::open(Path::new(folder), "fused", COLUMNS);
    let mut writer = runtime.block_on(writer)?;
    let schema = columns::with_provenance(&columns::parse(COLUMNS)?)?;
    let mut decoder = JsonDecoder::new(&schema)?;
    let topics: Arc<[Arc<str>]> = Arc::new([Arc::from(topic.as_str())]);
    let records = left;
    let mut bytes = 0;
    while left > 0 {
        let mut batch = Messages::new(Arc::clone(&topics));
        batch.reserve(BATCH_ROWS, bytes);
        while batch.len() < BATCH_ROWS.min(left) {
            let more = consumer.take(|event| {
                if let Event::Message(m) = event {
                    batch.push(0, m.partition, m.offset, m.timestamp_ms, m.key, m.payload);
                }
            });
            if !more {
                // Nobody else has work for this thread: waiting costs nothing that matters here.
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        }
        left -= batch.len();
        bytes = batch.byte_len();
        let decoded = decoder.decode(&[batch])?;
        assert!(decoded.rejects.is_empty(), "{}", decoded.rejects[0]);
        runtime.block_on(writer.write(decoded.rows))?;
    }
    let files = runtime.block_on(writer.close())?;
    println!("{records} records, {} files", files.len());
    Ok(())
}
