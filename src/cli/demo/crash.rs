//! `calve demo --crash`: the classic crash, as it happens.
//!
//! ```text
//!   this process: a mock of Kafka            a child: `calve run` on it      the table
//!   writes 0–999                             reads and commits them          checkpoint 1: 0–999
//!   writes 1000–1999                         has read and encoded them       (unchanged)
//!   kill -9, in the middle of a checkpoint   ✗                               (unchanged)
//!                                            another one resumes at 1000     the next one: 1000–1999
//!   counts                                                                   each sample once
//! ```
//!
//! Nothing is staged: each line that is printed was read in the table, in the child's metrics or in its
//! log at that moment, and if the play takes another course, it ends with an error that says so.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::child::Child;
use super::facts::{Count, Facts};
use super::{TOPIC, create_mock_topic, flags, mock_cluster, settings};
use crate::cli::generate::{Offer, produce};
use crate::error::{Error, Result};
use crate::runtime::async_runtime;

/// Records of each half.
const HALF: u64 = 1_000;
/// The checkpoint interval, and how long after a checkpoint the child is killed.
const INTERVAL: Duration = Duration::from_secs(4);
const KILLED_AFTER: Duration = Duration::from_secs(2);
const QUERY: &str = "SELECT sample_id, COUNT(*) FROM demo.health_samples GROUP BY sample_id \
    HAVING COUNT(*) > 1";
const DUPLICATES_SHOWN: usize = 5;

/// What has happened, with the time since the beginning.
struct Timeline(Instant);

impl Timeline {
    fn tell(&self, who: &str, what: impl Display) {
        println!("{:>6.2} s  {who:<8} {what}", self.0.elapsed().as_secs_f64());
    }
}

pub(super) fn run(directory: &Path, dataflow: &str) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Error::internal("signals can't be handled").caused_by(error))?;
    }
    let runtime = async_runtime()?;
    let mock = mock_cluster()?;
    create_mock_topic(&mock, 1)?;
    let brokers = mock.bootstrap_servers();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &brokers);
    let mut flags = flags(&brokers, directory, 1, INTERVAL);
    for (key, value) in [
        // Records are encoded as they come, not with the end of their checkpoint.
        ("batch.timeout", "50ms"),
        ("metrics.prometheus-port", "0"),
        ("log.format", "json"),
    ] {
        flags.push((key.to_owned(), value.to_owned()));
    }
    let settings = settings(flags.clone())?;
    let facts = || runtime.block_on(Facts::read(&settings));
    let start = || Child::start(dataflow, &flags, directory, &interrupted);
    let write = |first: u64| produce(&client, TOPIC, first, HALF, Offer::Unlimited, |_| true);
    let range = |first: u64| format!("{first}–{}", first + HALF - 1);
    let (half, all) = (HALF as i64, 2 * HALF as i64);

    let time = Timeline(Instant::now());
    time.tell(
        "demo",
        format!(
            "in {}; Kafka is a mock in this process",
            directory.display()
        ),
    );
    write(0)?;
    time.tell(
        "kafka",
        format!("records {} are written, one partition", range(0)),
    );

    let mut calve = start()?;
    calve.logs("started")?;
    time.tell(
        "calve",
        format!(
            "pid {} starts at offset {}, a checkpoint every {} s",
            calve.pid(),
            facts()?.next,
            INTERVAL.as_secs()
        ),
    );
    calve.logs("checkpoint committed")?;
    let committed = Instant::now();
    let first = facts()?;
    time.tell("table", &first);
    expect(
        first.covers == Some((0, half)),
        "checkpoint 1 holds other offsets",
    )?;

    write(HALF)?;
    time.tell("kafka", format!("records {} are written", range(HALF)));
    let staged = calve.counts(&runtime, "calve_records_staged_total", 2 * HALF)?;
    let durable = calve.counts(&runtime, "calve_records_committed_total", HALF)?;
    time.tell(
        "calve",
        format!(
            "has processed {staged} records and committed {durable}: {} are in flight",
            staged - durable
        ),
    );
    thread::sleep(KILLED_AFTER.saturating_sub(committed.elapsed()));
    let (pid, waited) = (calve.pid(), committed.elapsed());
    let status = calve.kill()?;
    time.tell(
        "kill -9",
        format!(
            "pid {pid}, {:.1} s after checkpoint {}: {status}",
            waited.as_secs_f64(),
            first.epoch
        ),
    );
    let crashed = facts()?;
    time.tell(
        "table",
        format!(
            "still snapshot {}: {} rows, next offset {}",
            crashed.snapshot, crashed.rows, crashed.next
        ),
    );
    expect(
        crashed.snapshot == first.snapshot,
        "the checkpoint was committed before the kill",
    )?;

    let mut calve = start()?;
    let started = calve.logs("started")?;
    let resumed = facts()?;
    time.tell(
        "calve",
        format!(
            "pid {} resumes at offset {}, as generation {} of the pipeline",
            calve.pid(),
            resumed.next,
            started["generation"]
        ),
    );
    expect(resumed.next == half, "it resumes elsewhere")?;
    calve.logs("checkpoint committed")?;
    let second = facts()?;
    time.tell("table", &second);
    expect(
        second.covers == Some((half, all)),
        "the next checkpoint holds other offsets",
    )?;
    let pid = calve.pid();
    let status = calve.kill()?;
    time.tell(
        "kill -9",
        format!("pid {pid}, since nothing needs a goodbye: {status}"),
    );

    let last = facts()?;
    let count = runtime.block_on(Count::read(&last.table))?;
    report(&count, &last, directory)
}

/// The duplicate query, and how to ask it elsewhere.
fn report(count: &Count, facts: &Facts, directory: &Path) -> Result<()> {
    let duplicates = count.duplicates();
    println!("\nThe duplicate query, asked of the table as it is now:");
    println!("  {QUERY}\n  → {} rows", duplicates.len());
    for (id, times) in duplicates.iter().take(DUPLICATES_SHOWN) {
        println!("    {id}: {times}");
    }
    println!(
        "{} rows in the table, {} different samples; offsets 0–{} {}\n",
        count.rows,
        count.distinct_samples(),
        2 * HALF - 1,
        match count.offsets_are_all_below(2 * HALF as i64) {
            true => "are all there",
            false => "are NOT all there",
        }
    );
    let directory = directory.display();
    println!(
        "Ask DuckDB:\n  duckdb -c \"INSTALL iceberg; LOAD iceberg; SELECT sample_id, COUNT(*) FROM \
         iceberg_scan('{metadata}') GROUP BY sample_id HAVING COUNT(*) > 1\"\n\
         or pyiceberg:\n  python3 -c \"from pyiceberg.catalog.sql import SqlCatalog; \
         ids = SqlCatalog('default', uri='sqlite:///{directory}/catalog.db', \
         warehouse='file://{directory}/warehouse').load_table('demo.health_samples').scan()\
         .to_arrow()['sample_id'].to_pylist(); print(len(ids), len(set(ids)))\"",
        metadata = facts.table.metadata_location().unwrap_or_default(),
    );
    if duplicates.is_empty()
        && count.rows == 2 * HALF
        && count.offsets_are_all_below(2 * HALF as i64)
    {
        return Ok(());
    }
    Err(Error::internal("the table does not hold each record once")
        .advice("this is a defect of calve, please report it with the lines above"))
}

impl Display for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "checkpoint {} is snapshot {}: ",
            self.epoch, self.snapshot
        )?;
        if let Some((start, end)) = self.covers {
            write!(f, "offsets {start}–{}, ", end - 1)?;
        }
        write!(f, "{} new rows of {}", self.added, self.rows)
    }
}

/// The play depends on timing: on a machine that is busy for seconds it may take another course.
fn expect(condition: bool, otherwise: &str) -> Result<()> {
    match condition {
        true => Ok(()),
        false => Err(
            Error::external(format!("the demo took another course: {otherwise}")).advice(
                "no record is lost or doubled; the machine may have been too busy, try it again",
            ),
        ),
    }
}
