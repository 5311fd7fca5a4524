//! Produces health samples, and keeps the record that every check compares with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use serde::Deserialize;

use super::Random;
use super::kafka::{Topic, client};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The columns of a sample, as calve is told them.
pub const SAMPLE_COLUMNS: &str = "sample_id string not null, user_id string, device_id string, \
     data_type string, value double, unit string, start_time timestamptz, end_time timestamptz, \
     source_bundle string";

/// What was produced, by the broker's own acknowledgements.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Produced {
    /// Records.
    pub count: u64,
    /// The sum, modulo 2^64, of the first 64 bits of each record's id. Ids are random, so this is a
    /// sum of hashes: a record that is missing, changed or there twice changes it.
    pub id_sum: u64,
    /// The offsets in each partition.
    pub partitions: BTreeMap<i32, Vec<i64>>,
    /// How many of the records had been sent before.
    #[serde(default)]
    pub repeated: u64,
    /// The sum of their ids.
    #[serde(default)]
    pub repeated_id_sum: u64,
}

impl Produced {
    fn add(&mut self, (partition, offset, id): (i32, i64, u64)) {
        self.count += 1;
        self.id_sum = self.id_sum.wrapping_add(id);
        self.partitions.entry(partition).or_default().push(offset);
    }

    /// This and that.
    pub fn and(mut self, other: &Produced) -> Produced {
        self.count += other.count;
        self.id_sum = self.id_sum.wrapping_add(other.id_sum);
        self.repeated += other.repeated;
        self.repeated_id_sum = self.repeated_id_sum.wrapping_add(other.repeated_id_sum);
        for (partition, offsets) in &other.partitions {
            self.partitions
                .entry(*partition)
                .or_default()
                .extend(offsets);
        }
        self
    }
}

/// What the broker has acknowledged since the last look.
#[derive(Default)]
struct Acknowledged {
    records: Vec<(i32, i64, u64)>,
    failure: Option<KafkaError>,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Acknowledged>>);

impl ClientContext for Recorder {}

impl ProducerContext for Recorder {
    /// The record's id, see [`Produced::id_sum`].
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, id: usize) {
        let mut acknowledged = self.0.lock().expect("no panic in a callback");
        match result {
            Ok(message) => {
                let record = (message.partition(), message.offset(), id as u64);
                acknowledged.records.push(record);
            }
            Err((error, _)) => acknowledged.failure = Some(error.clone()),
        }
    }
}

/// A producer to one topic, partition after partition.
pub struct Producer {
    topic: Topic,
    inner: ThreadedProducer<Recorder>,
    recorder: Recorder,
    produced: Produced,
    samples: Samples,
    /// The last samples that may be sent again.
    sent: Vec<(u64, String)>,
    next_partition: i32,
}

impl Producer {
    pub fn new(topic: &Topic) -> Producer {
        Self::with(topic, &[], seed())
    }

    /// A producer that can open transactions.
    pub fn transactional(topic: &Topic, id: &str) -> Producer {
        Self::transactional_with(topic, id, seed())
    }

    fn transactional_with(topic: &Topic, id: &str, seed: u64) -> Producer {
        let producer = Self::with(topic, &[("transactional.id", id)], seed);
        producer
            .inner
            .init_transactions(TIMEOUT)
            .expect("transactions are there");
        producer
    }

    fn with(topic: &Topic, settings: &[(&str, &str)], seed: u64) -> Producer {
        let recorder = Recorder::default();
        let mut config = client(&topic.brokers);
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("topic.metadata.refresh.interval.ms", "500")
            .set("message.max.bytes", "16000000")
            .set("message.timeout.ms", "60000")
            .set("queue.buffering.max.messages", "500000");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Producer {
            topic: topic.clone(),
            inner: config
                .create_with_context(recorder.clone())
                .expect("a producer"),
            recorder,
            produced: Produced::default(),
            samples: Samples::new(seed),
            sent: Vec::new(),
            next_partition: 0,
        }
    }

    /// Produces this many samples, evenly over the partitions.
    pub fn samples(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            let (id, json) = self.samples.next();
            let partition = self.turn();
            self.enqueue(partition, id, None, Some(json.as_bytes()));
        }
        self
    }

    /// Produces this many records, of which every `every`th is one of the last ten thousand samples once more, in
    /// whatever partition it is: what a producer does that sends again what it has no answer to.
    pub fn repeating_samples(&mut self, count: usize, every: u64) -> &mut Self {
        const REMEMBERED: usize = 10_000;
        for _ in 0..count {
            let draw = self.samples.random.next();
            if draw.is_multiple_of(every) && !self.sent.is_empty() {
                let index = (draw / every) as usize % self.sent.len();
                let (id, json) = self.sent[index].clone();
                self.again(id, &json);
                continue;
            }
            let (id, json) = self.samples.next();
            let partition = self.turn();
            self.enqueue(partition, id, None, Some(json.as_bytes()));
            match self.sent.len() < REMEMBERED {
                true => self.sent.push((id, json)),
                false => self.sent[draw as usize % REMEMBERED] = (id, json),
            }
        }
        self
    }

    /// Sends the last samples of [`Producer::repeating_samples`] once more, all of them.
    pub fn repeat_all(&mut self) -> &mut Self {
        for (id, json) in self.sent.clone() {
            self.again(id, &json);
        }
        self
    }

    fn again(&mut self, id: u64, json: &str) {
        let partition = self.turn();
        self.enqueue(partition, id, None, Some(json.as_bytes()));
        self.produced.repeated += 1;
        self.produced.repeated_id_sum = self.produced.repeated_id_sum.wrapping_add(id);
    }

    /// Produces one payload that is no sample; it counts, with an id of 0.
    pub fn raw(&mut self, partition: i32, payload: &[u8]) -> &mut Self {
        self.enqueue(partition, 0, None, Some(payload));
        self
    }

    /// The same with a timestamp of the caller's.
    pub fn raw_at(&mut self, partition: i32, timestamp_ms: i64, payload: &[u8]) -> &mut Self {
        self.enqueue_at(partition, 0, Some(timestamp_ms), None, Some(payload));
        self
    }

    /// Produces samples, two of three under a few keys, each replacing the one before (for compacted topics).
    pub fn keyed_samples(&mut self, partition: i32, count: usize, keys: usize) -> &mut Self {
        for n in 0..count {
            let (id, json) = self.samples.next();
            let key = match n % 3 {
                0 => format!("own-{id}"),
                _ => format!("key-{}", n % keys),
            };
            self.enqueue(partition, id, Some(key.as_bytes()), Some(json.as_bytes()));
        }
        self
    }

    /// Produces one sample whose `source_bundle` is this long.
    pub fn huge_sample(&mut self, partition: i32, bytes: usize) -> &mut Self {
        let (id, json) = self.samples.next();
        let padding = "x".repeat(bytes);
        let json = json.replace("com.example.health.watch", &padding);
        self.enqueue(partition, id, None, Some(json.as_bytes()));
        self
    }

    /// One transaction of this many samples. An aborted one leaves no trace in the record.
    pub fn transaction(&mut self, count: usize, commit: bool) -> &mut Self {
        self.begin(count);
        match commit {
            true => self.commit(),
            false => self.abort(),
        }
    }

    /// Opens a transaction and writes this many samples in it.
    pub fn begin(&mut self, count: usize) {
        self.settle();
        self.inner
            .begin_transaction()
            .expect("a transaction begins");
        self.samples(count);
        self.inner.flush(TIMEOUT).expect("the broker takes all");
    }

    /// Commits the open transaction.
    pub fn commit(&mut self) -> &mut Self {
        self.inner.commit_transaction(TIMEOUT).expect("it commits");
        self.settle();
        self
    }

    /// Aborts the open transaction, all of which the broker has by then.
    pub fn abort(&mut self) -> &mut Self {
        self.inner.flush(TIMEOUT).expect("the broker takes all");
        self.inner.abort_transaction(TIMEOUT).expect("it aborts");
        *self.recorder.0.lock().expect("no panic") = Acknowledged::default();
        self
    }

    /// Waits for all acknowledgements, and says what was produced so far.
    pub fn finish(&mut self) -> Produced {
        self.inner.flush(TIMEOUT).expect("the broker takes all");
        self.settle();
        self.produced.clone()
    }

    /// The topic has grown.
    pub fn use_partitions(&mut self, partitions: i32) {
        self.topic.partitions = partitions;
    }

    fn turn(&mut self) -> i32 {
        let partition = self.next_partition % self.topic.partitions;
        self.next_partition = partition + 1;
        partition
    }

    fn settle(&mut self) {
        let acknowledged = std::mem::take(&mut *self.recorder.0.lock().expect("no panic"));
        if let Some(error) = acknowledged.failure {
            panic!("the broker did not take a record: {error}");
        }
        for record in acknowledged.records {
            self.produced.add(record);
        }
    }

    fn enqueue(&mut self, partition: i32, id: u64, key: Option<&[u8]>, payload: Option<&[u8]>) {
        self.enqueue_at(partition, id, None, key, payload);
    }

    fn enqueue_at(
        &mut self,
        partition: i32,
        id: u64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) {
        let mut record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topic.name, id as usize)
                .partition(partition);
        record.key = key;
        record.payload = payload;
        record.timestamp = timestamp_ms;
        while let Err((error, rejected)) = self.inner.send(record) {
            match error {
                // A new partition is known after the next refresh of the metadata.
                KafkaError::MessageProduction(
                    RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::UnknownPartition,
                ) => {
                    thread::sleep(Duration::from_millis(5));
                    record = rejected;
                }
                other => panic!("a record could not be sent: {other}"),
            }
        }
    }
}

/// A seed for random ids. It is printed; `CALVE_TEST_SEED` replays it.
fn seed() -> u64 {
    let seed = match std::env::var("CALVE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("CALVE_TEST_SEED is a number"),
        Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
    };
    println!("producer seed: {seed}");
    seed
}

/// Samples with random ids.
struct Samples {
    random: Random,
    number: u64,
}

impl Samples {
    fn new(seed: u64) -> Samples {
        Samples {
            random: Random::new(seed),
            number: 0,
        }
    }

    fn next(&mut self) -> (u64, String) {
        let bits = (u128::from(self.random.next()) << 64) | u128::from(self.random.next());
        let uuid = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        let r = self.random.next();
        self.number += 1;
        let start = 1_767_225_600 + self.number % 31_536_000;
        let mut json = String::with_capacity(300);
        write!(
            json,
            r#"{{"sample_id":"{uuid}","user_id":"user-{:06}","device_id":"watch-{:05}","data_type":"{}","value":{}.{},"unit":"count/min","start_time":"{}","end_time":"{}","source_bundle":"com.example.health.watch"}}"#,
            r % 100_000,
            (r >> 20) % 20_000,
            ["HeartRate", "StepCount", "OxygenSaturation", "RestingHeartRate"][(r >> 40) as usize % 4],
            40 + (r >> 44) % 140,
            (r >> 52) % 10,
            timestamp(start),
            timestamp(start + 60),
        )
        .expect("a string takes text");
        (uuid.as_u64_pair().0, json)
    }
}

fn timestamp(seconds: u64) -> String {
    chrono::DateTime::from_timestamp(seconds as i64, 0)
        .expect("a date in range")
        .format("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// A producer that goes on, at a steady rate, until it is stopped.
pub struct Load<T = Produced> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<T>>,
}

impl Load {
    /// Starts to produce `rate` samples a second.
    pub fn start(topic: &Topic, rate: u64) -> Load {
        Self::seeded(topic, rate, seed())
    }

    /// The same with ids from a seed of the caller's.
    pub fn seeded(topic: &Topic, rate: u64, seed: u64) -> Load {
        Self::steady(topic, rate, seed, |producer, count| {
            producer.samples(count);
        })
    }

    /// The same with every `every`th record sent before.
    pub fn repeating(topic: &Topic, rate: u64, every: u64, seed: u64) -> Load {
        Self::steady(topic, rate, seed, move |producer, count| {
            producer.repeating_samples(count, every);
        })
    }

    fn steady(
        topic: &Topic,
        rate: u64,
        seed: u64,
        produce: impl Fn(&mut Producer, usize) + Send + 'static,
    ) -> Load {
        let mut producer = Producer::with(topic, &[], seed);
        Self::spawn(move |stopped| {
            pace(rate, stopped, |count| produce(&mut producer, count));
            producer.finish()
        })
    }

    /// Starts to produce about `rate` samples a second in transactions of up to a hundred, every third
    /// of which is aborted.
    pub fn transactions(topic: &Topic, rate: u64, seed: u64) -> Load {
        let mut producer = Producer::transactional_with(topic, &topic.name, seed);
        let mut random = Random::new(seed);
        Self::spawn(move |stopped| {
            let begin = Instant::now();
            let mut sent = 0;
            while !stopped() {
                if sent <= begin.elapsed().as_millis() as u64 * rate / 1000 {
                    let count = random.between(1, 100);
                    producer.transaction(count as usize, random.below(3) > 0);
                    sent += count;
                }
                thread::sleep(Duration::from_millis(10));
            }
            producer.finish()
        })
    }
}

/// Calls `produce` with what is due at so many a second, until it is stopped.
fn pace(rate: u64, stopped: &dyn Fn() -> bool, mut produce: impl FnMut(usize)) {
    let begin = Instant::now();
    let mut sent = 0;
    while !stopped() {
        let due = begin.elapsed().as_millis() as u64 * rate / 1000;
        produce((due - sent) as usize);
        sent = due;
        thread::sleep(Duration::from_millis(10));
    }
}

impl<T: Send + 'static> Load<T> {
    /// Starts to produce by any producer, at so many a second.
    pub fn of(
        mut producer: T,
        rate: u64,
        mut produce: impl FnMut(&mut T, usize) + Send + 'static,
    ) -> Load<T> {
        Self::spawn(move |stopped| {
            pace(rate, stopped, |count| produce(&mut producer, count));
            producer
        })
    }

    fn spawn(work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static) -> Load<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || work(&|| stopped.load(Ordering::Relaxed)));
        Load {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops it, and says what was produced.
    pub fn stop(mut self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs");
        thread.join().expect("the producer did not fail")
    }
}

impl<T> Drop for Load<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
