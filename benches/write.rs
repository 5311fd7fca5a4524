//! What a record costs between Kafka and the file, without Kafka: decoding, and writing Parquet.
//!
//! `cargo bench --bench write -- [RECORDS]` (a million, unless told) prints CPU microseconds a record and the files' bytes; one
//! more argument, `generate` or `decode`, ends after that step, so that `perf stat -e instructions:u` can tell by
//! subtraction what the next one takes. Instructions are the better measure on a machine with other work.

use std::path::Path;
use std::sync::Arc;

use calve::format::{Decoder, JsonDecoder, columns};
use calve::iceberg::names::FileOrigin;
use calve::iceberg::{
    CatalogKind, CatalogOptions, S3Options, StagedFile, TableOptions, TableWriter, WriterOptions,
    load_or_create, open_catalog,
};
use calve::messages::Messages;
use calve::time::{Epoch, Generation};
use iceberg::{NamespaceIdent, TableIdent};

#[path = "../src/cli/generate/samples.rs"]
mod samples;

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
    let begun = cpu_nanos();
    for batch in &batches {
        let decoded = decoder.decode(batch)?;
        assert!(decoded.rejects.is_empty(), "{}", decoded.rejects[0]);
    }
    report("decode", cpu_nanos() - begun, records);
    if last_step == "decode" {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut writer = runtime.block_on(writer(folder.path()))?;
    let begun = cpu_nanos();
    for batch in &batches {
        runtime.block_on(writer.write(decoder.decode(batch)?.rows))?;
    }
    let files = runtime.block_on(writer.close())?;
    report("decode and write", cpu_nanos() - begun, records);
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

/// CPU time of this thread.
fn cpu_nanos() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|line| line.split(' ').next()?.parse().ok())
        .unwrap_or_default()
}

async fn writer(folder: &Path) -> Result<TableWriter, Box<dyn std::error::Error>> {
    let catalog = open_catalog(&CatalogOptions {
        kind: CatalogKind::Sql,
        uri: format!("sqlite://{}/write.db", folder.display()),
        name: "default".to_owned(),
        warehouse: format!("file://{}/warehouse", folder.display()),
        token: None,
        credential: None,
        oauth2_server_uri: None,
        scope: None,
        headers: Default::default(),
        properties: Default::default(),
        s3: S3Options::default(),
        create: true,
    })
    .await?;
    let ident = TableIdent::new(NamespaceIdent::new("bench".to_owned()), "write".to_owned());
    let options = TableOptions {
        schema: Some(columns::with_provenance(&columns::parse(
            samples::COLUMNS,
        )?)?),
        create: true,
        ..TableOptions::default()
    };
    let table = load_or_create(&*catalog, &ident, &options).await?;
    Ok(TableWriter::new(
        &table,
        WriterOptions {
            origin: FileOrigin {
                pipeline: "write".to_owned(),
                generation: Generation(1),
                epoch: Epoch(1),
                worker: 0,
            },
            target_file_bytes: None,
            row_group_bytes: 12 << 20,
        },
    )?)
}
