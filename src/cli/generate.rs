//! `calve generate`: health samples into a topic, to try and to measure with.

mod samples;

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

pub(super) use samples::{COLUMNS, Samples};

use super::args::GenerateArgs;
use crate::config::{self, Settings};
use crate::control::now_ms;
use crate::error::{Error, Result};

pub(super) fn run(args: &GenerateArgs) -> Result<()> {
    let settings = config::load(&args.settings.layers(Vec::new())?)?;
    settings.require_kafka()?;
    let Some(topic) = settings.kafka.topics.first() else {
        return Err(Error::config("kafka.topic names no topic"));
    };
    let client = client(&settings);
    create_topic(&client, topic, args.partitions)?;
    let bar = ProgressBar::new(args.records);
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} records · {per_sec} · {eta} left",
    ) {
        bar.set_style(style);
    }
    let offer = args.rate.map_or(Offer::Unlimited, Offer::per_second);
    produce(&client, topic, args.first, args.records, offer, |sent| {
        if sent % 10_000 == 0 {
            bar.set_position(sent);
        }
        true
    })?;
    bar.finish();
    Ok(())
}

/// A producer's configuration: large batches, compressed.
fn client(settings: &Settings) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in settings.kafka.properties.iter() {
        client.set(name, value);
    }
    client.set(
        "bootstrap.servers",
        settings.kafka.brokers.as_deref().unwrap_or_default(),
    );
    client
}

/// Creates the topic unless it is there.
pub(super) fn create_topic(client: &ClientConfig, topic: &str, partitions: i32) -> Result<()> {
    let refused = |error: KafkaError| {
        Error::external(format!("topic {topic} can't be created"))
            .caused_by(error)
            .advice("check kafka.brokers (KAFKA_BROKERS) and that the broker runs")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("no async runtime").caused_by(error))?;
    let admin: AdminClient<DefaultClientContext> = client.create().map_err(refused)?;
    let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let results = runtime
        .block_on(admin.create_topics(&topics, &options))
        .map_err(refused)?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(refused(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// When records are written.
#[derive(Clone, Copy)]
pub(super) enum Offer {
    /// As fast as the brokers take them.
    Unlimited,
    /// Each at its turn, at so many a second.
    Rate {
        per_second: u64,
        begin: Instant,
        /// The beginning as Kafka's timestamps have it.
        begin_ms: i64,
    },
}

impl Offer {
    /// The first record is due now.
    pub(super) fn per_second(per_second: u64) -> Self {
        Self::Rate {
            per_second,
            begin: Instant::now(),
            begin_ms: now_ms(),
        }
    }

    /// Waits for the turn of record `number`; returns the time at which it was due, if there is one.
    fn await_turn(self, number: u64) -> Option<i64> {
        let Self::Rate {
            per_second,
            begin,
            begin_ms,
        } = self
        else {
            return None;
        };
        let due = due_after(number, per_second);
        if let Some(early) = due.checked_sub(begin.elapsed())
            && !early.is_zero()
        {
            // Those of a millisecond go together: a sleep for each would cost more than the record.
            std::thread::sleep(early.max(Duration::from_millis(1)));
        }
        Some(begin_ms + due.as_millis() as i64)
    }

    /// How long the client may wait for more records to send along: a record with a turn is to leave soon.
    fn linger_ms(self) -> &'static str {
        match self {
            Self::Unlimited => "50",
            Self::Rate { .. } => "5",
        }
    }
}

/// How long after the beginning record `number` is due.
fn due_after(number: u64, per_second: u64) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(per_second);
    Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
}

/// Writes `records` samples from number `first` on, spread over the topic's partitions by user.
///
/// `go_on` is called before each record with the number sent so far; false ends early. Returns how
/// many were written, all of them acknowledged.
pub(super) fn produce(
    client: &ClientConfig,
    topic: &str,
    first: u64,
    records: u64,
    offer: Offer,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<u64> {
    let refused = |error: KafkaError| {
        Error::external(format!("records can't be written to topic {topic}")).caused_by(error)
    };
    let producer: ThreadedProducer<DefaultProducerContext> = client
        .clone()
        .set("linger.ms", offer.linger_ms())
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "131072")
        .set("compression.type", "lz4")
        .set("enable.idempotence", "true")
        .create()
        .map_err(refused)?;
    let mut samples = Samples::from_number(first);
    let mut sent = 0;
    while sent < records && go_on(sent) {
        let sample = samples.next_sample();
        let mut record = BaseRecord::to(topic)
            .key(sample.user.as_str())
            .payload(sample.json.as_str());
        record.timestamp = offer.await_turn(sent);
        // A full queue is the producer's back-pressure.
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(refused(error));
            }
            std::thread::sleep(Duration::from_millis(2));
            record = back;
        }
        sent += 1;
    }
    producer.flush(Duration::from_secs(60)).map_err(refused)?;
    Ok(sent)
}

#[cfg(test)]
mod tests;
