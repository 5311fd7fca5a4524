//! What it takes to turn records that cross workers into bytes and back: what calve uses (nothing within a process, bincode
//! by timely and Arrow's IPC between processes, postcard for state) beside columnar and abomonation.
//!
//! `cargo bench --bench encodings` prints a line an encoding: nanoseconds and bytes a record, the best of many rounds.
//! Reading is decoding, and looking at every field of every record: an encoding that only puts a view over the bytes
//! pays for it there. Before anything is timed, each encoding must give back what it was given.
//!
//! abomonation is here as a comparator only. It writes memory as it is, padding too, and makes references to types from
//! bytes that nobody has checked: RUSTSEC-2021-0120.
#![allow(deprecated)] // the macro that needs no further crate

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abomonation::{Abomonation, unsafe_abomonate};
use arrow::array::{AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use columnar::bytes::indexed;
use columnar::{Borrow, BorrowedOf, Columnar, ContainerOf, FromBytes, Index, Len, Push};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Rows of a batch that is exchanged by key.
const ROWS: usize = 8_192;
/// Cuts in one message; a checkpoint has one of each worker.
const CUTS: usize = 6;
const TIME: Duration = Duration::from_millis(500);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A health sample, as the table has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Columnar)]
struct Row {
    sample_id: String,
    user_id: String,
    data_type: String,
    value: f64,
    unit: String,
    start_us: i64,
    end_us: i64,
    source: String,
    partition: i32,
    offset: i64,
}
unsafe_abomonate!(Row: sample_id, user_id, data_type, value, unit, start_us, end_us, source, partition, offset);

/// A control record: where the partitions of a worker stand at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Columnar)]
struct Cut {
    epoch: u64,
    worker: u64,
    next: Vec<(String, i32, i64)>,
    last: bool,
}
unsafe_abomonate!(Cut: epoch, worker, next, last);

/// Something that differs if any field does; it reads all of them.
fn mix(digest: u64, number: u64) -> u64 {
    (digest ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The length and both ends: what a reader touches that does not copy.
fn mix_text(digest: u64, text: &[u8]) -> u64 {
    let ends = [text.first(), text.last()].map(|byte| u64::from(byte.copied().unwrap_or(0)));
    mix(mix(digest, text.len() as u64), ends[0] << 8 | ends[1])
}

fn mix_row(digest: u64, texts: [&[u8]; 5], numbers: [i64; 4], value: f64) -> u64 {
    let digest = texts
        .iter()
        .fold(digest, |digest, text| mix_text(digest, text));
    let digest = numbers
        .iter()
        .fold(digest, |digest, n| mix(digest, *n as u64));
    mix(digest, value.to_bits())
}

/// A record that is measured.
trait Subject:
    Clone + PartialEq + Serialize + DeserializeOwned + Abomonation + Columnar + 'static
{
    fn digest(&self, digest: u64) -> u64;
    fn digest_view(view: columnar::Ref<'_, Self>, digest: u64) -> u64;
}

impl Subject for Row {
    fn digest(&self, digest: u64) -> u64 {
        let texts = [
            &self.sample_id,
            &self.user_id,
            &self.data_type,
            &self.unit,
            &self.source,
        ];
        let numbers = [
            self.start_us,
            self.end_us,
            self.partition.into(),
            self.offset,
        ];
        mix_row(
            digest,
            texts.map(|text| text.as_bytes()),
            numbers,
            self.value,
        )
    }

    fn digest_view(view: columnar::Ref<'_, Self>, digest: u64) -> u64 {
        let texts = [
            view.sample_id,
            view.user_id,
            view.data_type,
            view.unit,
            view.source,
        ];
        let numbers = [
            *view.start_us,
            *view.end_us,
            (*view.partition).into(),
            *view.offset,
        ];
        mix_row(digest, texts, numbers, *view.value)
    }
}

impl Subject for Cut {
    fn digest(&self, digest: u64) -> u64 {
        let digest = mix(mix(mix(digest, self.epoch), self.worker), self.last.into());
        self.next
            .iter()
            .fold(digest, |digest, (topic, partition, next)| {
                mix(
                    mix(mix_text(digest, topic.as_bytes()), *partition as u64),
                    *next as u64,
                )
            })
    }

    fn digest_view(view: columnar::Ref<'_, Self>, digest: u64) -> u64 {
        let digest = mix(
            mix(mix(digest, *view.epoch), *view.worker),
            view.last.into(),
        );
        (0..view.next.len()).fold(digest, |digest, at| {
            let (topic, partition, next) = view.next.get(at);
            mix(
                mix(mix_text(digest, topic), *partition as u64),
                *next as u64,
            )
        })
    }
}

fn digest_all<S: Subject>(records: &[S]) -> u64 {
    records
        .iter()
        .fold(0, |digest, record| record.digest(digest))
}

/// The shortest time that the work took.
fn best<T>(mut work: impl FnMut() -> Outcome<T>) -> Outcome<Duration> {
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < TIME {
        let started = Instant::now();
        black_box(work()?);
        best = best.min(started.elapsed());
    }
    Ok(best)
}

/// Measures one encoding of `count` records whose digest is known.
fn measure<B>(
    name: &str,
    (count, digest): (usize, u64),
    mut encode: impl FnMut() -> Outcome<B>,
    len: impl Fn(&B) -> usize,
    mut read: impl FnMut(&mut B) -> Outcome<u64>,
    mut again: impl FnMut(&B) -> B,
) -> Outcome {
    let encoded = encode()?;
    if read(&mut again(&encoded))? != digest {
        return Err(format!("{name} did not give back what it was given").into());
    }
    let writing = best(&mut encode)?;
    let (begin, mut reading) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < TIME {
        // Bytes that come from elsewhere are new each time; making them so is not measured.
        let mut bytes = again(&encoded);
        let started = Instant::now();
        black_box(read(&mut bytes)?);
        reading = reading.min(started.elapsed());
    }
    let each = |time: Duration| time.as_nanos() as f64 / count as f64;
    println!(
        "  {name:<34} {:>8.1} {:>8.1} {:>9.1}",
        each(writing),
        each(reading),
        len(&encoded) as f64 / count as f64
    );
    Ok(())
}

/// Bytes that lie as an allocator aligns words: abomonation's references must not point between two of them.
#[derive(Clone)]
struct Aligned {
    words: Vec<u64>,
    len: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        Self {
            words: bytes.chunks(8).map(word).collect(),
            len: bytes.len(),
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words are initialized, there are at least `len` bytes of them, and bytes have no invalid value.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len) }
    }
}

fn encodings<S: Subject>(records: &Arc<Vec<S>>) -> Outcome
where
    for<'a> ContainerOf<S>: Push<&'a S>,
    for<'a> BorrowedOf<'a, S>: FromBytes<'a> + columnar::AsBytes<'a>,
{
    let facts = (records.len(), digest_all(records));
    measure(
        "none (handed on in the process)",
        facts,
        || Ok(Arc::clone(records)),
        |_| 0,
        |records| Ok(digest_all(records)),
        Arc::clone,
    )?;
    measure(
        "bincode (timely, between processes)",
        facts,
        || Ok(bincode::serialize(&**records)?),
        Vec::len,
        |bytes| Ok(digest_all(&bincode::deserialize::<Vec<S>>(bytes)?)),
        Vec::clone,
    )?;
    measure(
        "postcard (state)",
        facts,
        || Ok(postcard::to_stdvec(&**records)?),
        Vec::len,
        |bytes| Ok(digest_all(&postcard::from_bytes::<Vec<S>>(bytes)?)),
        Vec::clone,
    )?;
    measure(
        "columnar",
        facts,
        || {
            let mut columns = ContainerOf::<S>::default();
            for record in &**records {
                columns.push(record);
            }
            let mut words: Vec<u64> = Vec::new();
            indexed::encode(&mut words, &columns.borrow());
            Ok(words)
        },
        |words| 8 * words.len(),
        |words| {
            let view = BorrowedOf::<S>::from_bytes(&mut indexed::decode(words));
            Ok((0..view.len()).fold(0, |digest, at| S::digest_view(view.get(at), digest)))
        },
        Vec::clone,
    )?;
    measure(
        "abomonation (unsound)",
        facts,
        || {
            let mut bytes = Vec::new();
            // SAFETY: none; padding is read uninitialized. Of types without it nobody has seen harm.
            unsafe { abomonation::encode(&**records, &mut bytes)? };
            Ok(Aligned::new(&bytes))
        },
        |bytes| bytes.len,
        |bytes| {
            // SAFETY: none but that the bytes are those which were written above, by this build, and are aligned.
            let decoded = unsafe { abomonation::decode::<Vec<S>>(bytes.bytes()) };
            let (records, _) = decoded.ok_or("abomonation has too few bytes")?;
            Ok(digest_all(records))
        },
        Aligned::clone,
    )
}

/// The rows as calve has them: columns, which between processes travel as Arrow's IPC.
fn arrow_ipc(rows: &[Row]) -> Outcome {
    let text = |field: fn(&Row) -> &str| {
        Arc::new(
            rows.iter()
                .map(|row| Some(field(row)))
                .collect::<StringArray>(),
        )
    };
    let long = |field: fn(&Row) -> i64| Arc::new(rows.iter().map(field).collect::<Int64Array>());
    let value: Float64Array = rows.iter().map(|row| row.value).collect();
    let partition: Int32Array = rows.iter().map(|row| row.partition).collect();
    let batch = RecordBatch::try_from_iter([
        ("sample_id", text(|row| &row.sample_id) as _),
        ("user_id", text(|row| &row.user_id) as _),
        ("data_type", text(|row| &row.data_type) as _),
        ("unit", text(|row| &row.unit) as _),
        ("source", text(|row| &row.source) as _),
        ("start_us", long(|row| row.start_us) as _),
        ("end_us", long(|row| row.end_us) as _),
        ("partition", Arc::new(partition) as _),
        ("offset", long(|row| row.offset) as _),
        ("value", Arc::new(value) as _),
    ])?;
    measure(
        "Arrow IPC (rows, between processes)",
        (rows.len(), digest_all(rows)),
        || {
            let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
            writer.write(&batch)?;
            Ok(writer.into_inner()?)
        },
        Vec::len,
        |bytes| {
            let mut batches = StreamReader::try_new(&bytes[..], None)?;
            let batch = batches.next().ok_or("no batch")??;
            let texts = [0, 1, 2, 3, 4].map(|at| batch.column(at).as_string::<i32>());
            let longs = [5, 6, 8].map(|at| batch.column(at).as_primitive::<Int64Type>());
            let partition = batch.column(7).as_primitive::<Int32Type>();
            let value = batch.column(9).as_primitive::<Float64Type>();
            Ok((0..batch.num_rows()).fold(0, |digest, row| {
                let [start, end, offset] = longs.map(|long| long.value(row));
                let numbers = [start, end, partition.value(row).into(), offset];
                let texts = texts.map(|text| text.value(row).as_bytes());
                mix_row(digest, texts, numbers, value.value(row))
            }))
        },
        Vec::clone,
    )
}

fn row(number: usize) -> Row {
    let (n, start_us) = (
        number as u64,
        1_767_225_600_000_000 + number as i64 * 20_000,
    );
    let random = mix(mix(7, n), n);
    Row {
        sample_id: uuid::Uuid::from_u64_pair(random, mix(random, 1)).to_string(),
        user_id: format!("user-{:06}", random % 100_000),
        data_type: ["heart_rate", "step_count", "sleep_analysis"][number % 3].to_owned(),
        value: (random % 1_800) as f64 / 10.0,
        unit: "count/min".to_owned(),
        start_us,
        end_us: start_us + 60_000_000,
        source: "com.example.health.watch".to_owned(),
        partition: (number % 6) as i32,
        offset: number as i64 / 6,
    }
}

fn cut(worker: usize) -> Cut {
    let next = |at: usize| {
        (
            "health-samples".to_owned(),
            at as i32,
            1_000_000 + at as i64,
        )
    };
    Cut {
        epoch: 17,
        worker: worker as u64,
        next: (0..6).map(next).collect(),
        last: false,
    }
}

fn main() -> Outcome {
    println!(
        "  {:<34} {:>8} {:>8} {:>9}",
        "ns and bytes a record", "write", "read", "bytes"
    );
    println!("{ROWS} rows of ten columns:");
    let rows = Arc::new((0..ROWS).map(row).collect::<Vec<_>>());
    encodings(&rows)?;
    arrow_ipc(&rows)?;
    println!("{CUTS} cuts, each of six partitions:");
    encodings(&Arc::new((0..CUTS).map(cut).collect::<Vec<_>>()))?;
    println!("each encoding has given back what it was given");
    Ok(())
}
