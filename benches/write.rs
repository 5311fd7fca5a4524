//! What a record costs between Kafka and the file, without Kafka: decoding, and writing Parquet.
//!
//! `cargo bench --bench write -- [RECORDS]` (a million, unless told) prints CPU microseconds a record and the files' bytes; one
//! more argument, `generate` or `decode`, ends after that step, so that `perf stat -e instructions:u` can tell by
//! subtraction what the next one takes. Instructions are the better measure on a machine with other work.

use std::sync::Arc;

use calve::format::{Decoder, JsonDecoder, columns};
use calve::iceberg::StagedFile;
use calve::messages::Messages;

#[path = "shared/cpu.rs"]
mod cpu;
#[path = "../src/cli/generate/samples.rs"]
mod samples;
#[path = "shared/writer.rs"]
mod writer;

/// The same as the default of `batch.size`.
const BATCH_ROWS: u64 = 8_192;
/// Records that one chunk of the source holds at most.
const CHUNK_ROWS: u64 = 1_024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let records = match arguments.first() {
        Some(records) => records.parse()?,
        None => 1_000_000,
    };
    let last_step = arguments.get(1).map_or("write", String::as_str);
    let batches = generate(records);
    if last_step == "generate" {
        return Ok(());
    }
    let schema = columns::with_provenance(&columns::parse(samples::COLUMNS)?)?;
    let mut decoder = JsonDecoder::new(&schema)?;
    let begun = cpu::nanos();
    for batch in &batches {
        let decoded = decoder.decode(batch)?;
        assert!(decoded.rejects.is_empty(), "{}", decoded.rejects[0]);
    }
    report("decode", cpu::nanos() - begun, records);
    if last_step == "decode" {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let writer = writer::open(folder.path(), "write", samples::COLUMNS);
    let mut writer = runtime.block_on(writer)?;
    let begun = cpu::nanos();
    for batch in &batches {
        runtime.block_on(writer.write(decoder.decode(batch)?.rows))?;
    }
    let files = runtime.block_on(writer.close())?;
    report("decode and write", cpu::nanos() - begun, records);
    let bytes: u64 = files.iter().map(StagedFile::bytes).sum();
    println!("{:.2} B/record", bytes as f64 / records as f64);
    Ok(())
}

fn report(what: &str, nanos: u64, records: u64) {
    println!(
        "{:.3} µs CPU/record  {what}",
        nanos as f64 / records as f64 / 1_000.0
    );
}

/// Batches as the source hands them on: records of one partition in runs.
fn generate(records: u64) -> Vec<Vec<Messages>> {
    let topics: Arc<[Arc<str>]> = Arc::from([Arc::from("health.samples")]);
    let mut samples = samples::Samples::from_number(0);
    let mut offsets = [0; 6];
    let mut batches = vec![];
    for number in 0..records {
        if number % BATCH_ROWS == 0 {
            batches.push(vec![]);
        }
        let chunks: &mut Vec<Messages> = batches.last_mut().expect("pushed above");
        if number % CHUNK_ROWS == 0 {
            let mut chunk = Messages::new(Arc::clone(&topics));
            chunk.reserve(CHUNK_ROWS as usize, CHUNK_ROWS as usize * 300);
            chunks.push(chunk);
        }
        let partition = (number / CHUNK_ROWS % 6) as usize;
        let sample = samples.next_sample();
        chunks.last_mut().expect("pushed above").push(
            0,
            partition as i32,
            offsets[partition],
            Some(1_772_000_000_000 + (number / 100) as i64),
            Some(sample.user.as_bytes()),
            Some(sample.json.as_bytes()),
        );
        offsets[partition] += 1;
    }
    batches
}
