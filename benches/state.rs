//! State at the size of 1 GB: what a snapshot stalls the dataflow, what it uploads, how long a restore
//! takes, and what deduplication costs a record. Every figure has a check of the data beside it.
//!
//! `cargo bench --bench state [-- all|snapshots|dedup [FOLDER]]`

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use calve::iceberg::S3Options;
use calve::state::{
    Assignment, BackendKind, Backends, MaxParallelism, Owner, Share, SnapshotHead, SnapshotId,
    SnapshotStore, StatePart, StateStore,
};
use calve::time::{Epoch, Generation};

/// Values that do not compress: 1 GB is 1 GB.
const VALUE_BYTES: usize = 100;
const KEYS: u64 = 9_000_000;
/// One percent.
const CHANGED: u64 = KEYS / 100;
const BATCH: u64 = 8_192;
const MEMORY: u64 = 256 << 20;
const DEDUP_KEYS: u64 = 10_000_000;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A number that looks random and is the same every time (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key of a record, as a producer makes them: a UUID in text.
fn key(number: u64) -> String {
    let bits = (u128::from(mix(number)) << 64) | u128::from(mix(!number));
    uuid::Uuid::from_u128(bits).to_string()
}

/// The value of a key in a round.
fn value(number: u64, round: u64) -> Vec<u8> {
    let words = (0..).flat_map(|word| mix(number ^ mix(round) ^ mix(word)).to_le_bytes());
    words.take(VALUE_BYTES).collect()
}

struct Bench {
    snapshots: SnapshotStore,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Puts the values of these keys.
    fn put(&self, store: &mut StateStore, numbers: Range<u64>, round: u64) -> Outcome {
        let state = store.value::<str, Vec<u8>>("values", None)?;
        let mut next = numbers.start;
        while next < numbers.end {
            let end = numbers.end.min(next + BATCH);
            let batch: Vec<_> = (next..end).map(|n| (key(n), value(n, round))).collect();
            let batch = batch.iter().map(|(key, value)| (key.as_str(), value));
            state.put_many(store, batch)?;
            next = end;
        }
        Ok(())
    }

    /// Reads every key back.
    fn check(&self, store: &mut StateStore, rounds: u64) -> Outcome {
        let state = store.value::<str, Vec<u8>>("values", None)?;
        let mut next = 0;
        while next < KEYS {
            let numbers: Vec<u64> = (next..KEYS.min(next + BATCH)).collect();
            let keys: Vec<String> = numbers.iter().map(|n| key(*n)).collect();
            let found = state.get_many(store, keys.iter().map(String::as_str))?;
            for (number, found) in numbers.iter().zip(found) {
                let round = (1..=rounds)
                    .rev()
                    .find(|round| changed(*round).contains(number));
                let expected = value(*number, round.unwrap_or(0));
                if found.as_ref() != Some(&expected) {
                    return Err(format!("key {number} is not what was put").into());
                }
            }
            next += BATCH;
        }
        println!("    all {KEYS} keys read back: as they were put");
        Ok(())
    }

    fn checkpoint(
        &self,
        store: &mut StateStore,
        epoch: u64,
    ) -> Outcome<(SnapshotId, StatePart, Duration)> {
        let started = Instant::now();
        let local = store.snapshot(Epoch(epoch))?;
        let stall = started.elapsed();
        let head = SnapshotHead {
            generation: Generation(1),
            epoch: Epoch(epoch),
            max_parallelism: MaxParallelism::default(),
            about: serde_json::Value::Null,
        };
        let (id, part) = self.runtime.block_on(async {
            let part = self.snapshots.upload(Generation(1), &local).await?;
            let id = self.snapshots.complete(head, vec![part.clone()]).await?;
            Ok::<_, calve::Error>((id, part))
        })?;
        Ok((id, part, stall))
    }
}

/// The keys that a round changes.
fn changed(round: u64) -> Range<u64> {
    let first = mix(round) % (KEYS - CHANGED);
    first..first + CHANGED
}

fn main() -> Outcome {
    let arguments = std::env::args().skip(1);
    let arguments: Vec<String> = arguments.filter(|argument| argument != "--bench").collect();
    let (what, folder) = match &arguments[..] {
        [] => ("all", tempfile::tempdir()?),
        [what] => (what.as_str(), tempfile::tempdir()?),
        [what, folder, ..] => (what.as_str(), tempfile::tempdir_in(folder)?),
    };
    if matches!(what, "all" | "snapshots") {
        snapshots(folder.path())?;
    }
    if matches!(what, "all" | "dedup") {
        dedup(&folder.path().join("dedup"))?;
    }
    Ok(())
}

fn snapshots(folder: &Path) -> Outcome {
    let location = folder.join("checkpoints");
    let owner = Owner {
        pipeline: "bench".to_owned(),
        table: uuid::Uuid::nil(),
    };
    let s3 = S3Options::default();
    let bench = Bench {
        snapshots: SnapshotStore::open(&location.to_string_lossy(), &s3, owner, true)?,
        runtime: tokio::runtime::Runtime::new()?,
    };
    let assignment = Assignment::new("bench", MaxParallelism::default(), 0, 1);
    let backends = Backends::new(BackendKind::Rocksdb, MEMORY);
    let mut store = StateStore::create(assignment.clone(), &backends, &folder.join("home"))?;

    let started = Instant::now();
    bench.put(&mut store, 0..KEYS, 0)?;
    let (_, part, stall) = bench.checkpoint(&mut store, 1)?;
    println!("{KEYS} keys put in {:.1?}", started.elapsed());
    println!(
        "  first snapshot: stall {stall:.1?}, {} MB",
        part.bytes() >> 20
    );

    println!("{CHANGED} keys changed before each:");
    const ROUNDS: u64 = 20;
    let (mut worst, mut uploaded, mut last) = (Duration::ZERO, 0.0, None);
    for round in 1..=ROUNDS {
        bench.put(&mut store, changed(round), round)?;
        let (id, part, stall) = bench.checkpoint(&mut store, 1 + round)?;
        let percent = 100.0 * part.uploaded_bytes as f64 / part.bytes() as f64;
        println!(
            "  snapshot {round}: stall {stall:.1?}, uploaded {:.1} MB of {} MB, {percent:.2} %",
            part.uploaded_bytes as f64 / 1e6,
            part.bytes() / 1_000_000,
        );
        worst = worst.max(stall);
        uploaded += percent / ROUNDS as f64;
        last = Some(id);
    }
    println!("  longest stall {worst:.1?}, uploaded on average {uploaded:.2} %");
    drop(store);

    let id = last.ok_or("no snapshot")?;
    let restore = |assignment: Assignment, home: &str| -> Outcome<(StateStore, Duration)> {
        let started = Instant::now();
        let store = bench.runtime.block_on(async {
            let snapshot = bench.snapshots.read(&id).await?;
            let home = folder.join(home);
            snapshot
                .restore(assignment, &backends, &home, Share::Newest)
                .await
        })?;
        Ok((store, started.elapsed()))
    };
    let (mut store, took) = restore(assignment, "again")?;
    println!("  restored, every checksum verified: {took:.1?}");
    bench.check(&mut store, ROUNDS)?;
    drop(store);
    let half = Assignment::new("bench", MaxParallelism::default(), 0, 2);
    let (_, took) = restore(half, "half")?;
    println!("  one of two workers, out of the snapshot of one: {took:.1?}");
    Ok(())
}

/// New keys against keys that are there: what a deduplication pays for each record.
fn dedup(home: &Path) -> Outcome {
    let assignment = Assignment::new("dedup", MaxParallelism::default(), 0, 1);
    let backends = Backends::new(BackendKind::Rocksdb, MEMORY);
    let mut store = StateStore::create(assignment, &backends, home)?;
    let seen = store.value::<str, ()>("seen", None)?;
    let (mut new, mut cpu, mut made) = (0, Duration::ZERO, Duration::ZERO);
    let mut pass = |store: &mut StateStore, numbers: Range<u64>| -> Outcome<Duration> {
        let (before, keys_before) = (cpu_time()?, made);
        let mut next = numbers.start;
        while next < numbers.end {
            let keys_started = Instant::now();
            let keys: Vec<String> = (next..numbers.end.min(next + BATCH)).map(key).collect();
            made += keys_started.elapsed();
            seen.update_many(store, keys.iter().map(String::as_str), |_, before| {
                new += u64::from(before.is_none());
                before.is_none().then_some(())
            })?;
            next += BATCH;
        }
        cpu = cpu_time()? - before;
        Ok(cpu.saturating_sub(made - keys_before))
    };
    let per_million = |cpu: Duration, keys: u64| cpu.as_secs_f64() * 1e6 / keys as f64;
    let fill = pass(&mut store, 0..DEDUP_KEYS)?;
    println!(
        "deduplication, {DEDUP_KEYS} distinct keys of 36 bytes, all threads, compaction included:"
    );
    println!(
        "  new keys: {:.2} CPU s per million",
        per_million(fill, DEDUP_KEYS)
    );
    let more = pass(&mut store, DEDUP_KEYS..DEDUP_KEYS + 1_000_000)?;
    println!(
        "  new keys beside {DEDUP_KEYS} others: {:.2} CPU s per million",
        per_million(more, 1_000_000)
    );
    let again = pass(&mut store, 0..1_000_000)?;
    println!(
        "  duplicates: {:.2} CPU s per million",
        per_million(again, 1_000_000)
    );
    println!(
        "  RSS {} MB, of which {} MB are configured",
        rss_mb()?,
        MEMORY >> 20
    );
    match new == DEDUP_KEYS + 1_000_000 {
        true => println!("    each key was new once"),
        false => return Err(format!("{new} keys were new").into()),
    }
    Ok(())
}

/// CPU time of all threads of this process.
fn cpu_time() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux there is.
    Ok(Duration::from_millis(10 * ticks))
}

fn rss_mb() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("VmRSS")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .ok_or("VmRSS")?
        .parse::<u64>()?
        >> 10)
}
