//! What a source operator does between two looks at its frontiers: positions, bounds, reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::Discovery;
use super::consumer::Consumer;
use super::queue::{Event, Record};
use super::source::{SourceOptions, Start};
use crate::checkpoint::positions::Policies;
use crate::checkpoint::{Close, Cut, Report};
use crate::error::{Error, Result};
use crate::messages::Messages;
use crate::metrics::PartitionLabels;
use crate::offsets::{NextOffset, Offsets};
use crate::process::Process;
use crate::time::Epoch;

/// A chunk ends at this many bytes: large enough that timely's cost per message of its own vanishes,
/// small enough to stay in the second-level cache until it is decoded.
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// A chunk ends at this many messages.
const CHUNK_MESSAGES_MAX: usize = 1024;
/// How often the lag is looked at while records flow.
pub(super) const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// One worker's share of the partitions and where it stands in each.
pub(super) struct Reader {
    pub(super) start: Start,
    topics: Arc<[Arc<str>]>,
    discovery: Arc<Discovery>,
    policies: Policies,
    process: Arc<Process>,
    consumer: Consumer,
    worker: usize,
    peers: usize,
    partitions: Vec<Partition>,
    /// Where the partitions began that were found after the start.
    joined: Offsets,
    /// Index of the partition the last record came from: records come in runs.
    last: usize,
    /// Messages and bytes of the last chunk.
    chunk_hint: (usize, usize),
    lag_seen: Option<Instant>,
    /// True if records were read since the lag was looked at.
    pub(super) lag_is_stale: bool,
    told_exhausted: bool,
    told_drain: bool,
    told_full: Option<Epoch>,
    /// A partition can't be read on. What was read of it can't be read again, perhaps, so the process ends
    /// only after it is committed.
    lost: Option<Error>,
    /// The epoch that was open then.
    lost_in: Option<Epoch>,
}

#[derive(Debug)]
struct Partition {
    topic: u32,
    /// The next offset to read: the cut.
    next: i64,
    /// The bound of a bounded run; `i64::MAX` otherwise.
    end: i64,
    labels: PartitionLabels,
}

impl Partition {
    fn id(&self) -> i32 {
        self.labels.partition
    }

    fn is_exhausted(&self) -> bool {
        self.next >= self.end
    }
}

impl Reader {
    pub(super) fn new(
        options: SourceOptions,
        process: Arc<Process>,
        consumer: Consumer,
        worker: usize,
        peers: usize,
    ) -> Self {
        let topics = options.kafka.topics.iter().map(|t| Arc::from(t.as_str()));
        Self {
            topics: topics.collect(),
            start: options.start,
            discovery: options.discovery,
            policies: options.policies,
            process,
            consumer,
            worker,
            peers,
            partitions: Vec::new(),
            joined: Offsets::new(),
            last: 0,
            chunk_hint: (0, 0),
            lag_seen: None,
            lag_is_stale: true,
            told_exhausted: false,
            told_drain: false,
            told_full: None,
            lost: None,
            lost_in: None,
        }
    }

    /// Assigns this worker's partitions that are not read yet.
    pub(super) fn adopt_new_partitions(&mut self) {
        let (worker, peers) = (self.worker, self.peers);
        let starts = self.discovery.starts(|topic, partition| {
            // The marker also remembers topics that are no longer configured.
            self.topics.iter().any(|known| &**known == topic)
                && usize::try_from(partition).is_ok_and(|p| p % peers == worker)
                && self.position_of(topic, partition).is_none()
        });
        if starts.is_empty() {
            return;
        }
        let mut assigned = Offsets::new();
        for (topic, partition, next) in starts.iter() {
            let Some(index) = self.topics.iter().position(|known| &**known == topic) else {
                continue;
            };
            // A bounded run reads what was there when it started, so a partition that came later is
            // left for the next run: its bound is its start.
            let end = match &self.start.ends {
                Some(ends) => ends.get(topic, partition).unwrap_or(next).0,
                None => i64::MAX,
            };
            if next.0 < end {
                assigned.set(topic, partition, next);
            }
            if self.start.offsets.get(topic, partition).is_none() {
                self.joined.set(topic, partition, next);
            }
            tracing::debug!(worker, topic, partition, %next, "reading partition");
            self.partitions.push(Partition {
                topic: index as u32,
                next: next.0,
                end,
                labels: PartitionLabels {
                    topic: topic.to_owned(),
                    partition,
                },
            });
        }
        if !assigned.is_empty()
            && let Err(error) = self.consumer.assign(&assigned)
        {
            self.process.fail(error);
        }
    }

    /// The cut that answers `close`.
    pub(super) fn cut(&self, close: Close) -> Cut {
        // Where records and the ends between them have led: an end (`Event::End`) stands behind the
        // transaction markers and gaps that no record tells of. `rd_kafka_position` would be wrong:
        // `rd_kafka_consume_batch_queue` counts the end itself as one more offset, and a cut with it
        // would skip the record that is written there next.
        let mut next = Offsets::new();
        for partition in &self.partitions {
            let topic = &partition.labels.topic;
            next.set(topic, partition.id(), NextOffset(partition.next));
        }
        Cut {
            epoch: close.epoch,
            worker: self.worker,
            next,
            joined: self.joined.clone(),
            last: close.last,
        }
    }

    /// Reads one chunk of what has arrived. The flag says that there is probably more.
    pub(super) fn read(&mut self) -> (Messages, bool) {
        let mut chunk = Messages::new(Arc::clone(&self.topics));
        // Streams are steady: with the size of the last chunk this one needs no growing.
        chunk.reserve(self.chunk_hint.0, self.chunk_hint.1);
        let mut more = true;
        // The closure borrows the other fields while the consumer is borrowed mutably.
        let Self {
            consumer,
            partitions,
            topics,
            last,
            process,
            policies,
            lost,
            ..
        } = self;
        while more && chunk.len() < CHUNK_MESSAGES_MAX && chunk.byte_len() < CHUNK_BYTES_MAX {
            more = consumer.take(|event| match event {
                Event::Message(record) => {
                    let Some(index) =
                        find(partitions, topics, *last, record.topic, record.partition)
                    else {
                        return;
                    };
                    *last = index;
                    if let Err(error) = accept(&mut partitions[index], &record, &mut chunk) {
                        process.fail(error);
                    }
                }
                Event::End {
                    topic,
                    partition,
                    offset,
                } => {
                    if let Some(index) = find(partitions, topics, *last, topic, partition) {
                        let partition = &mut partitions[index];
                        partition.next = partition.next.max(offset.min(partition.end));
                    }
                }
                Event::Error {
                    topic,
                    partition,
                    offset,
                    code,
                    reason,
                } => {
                    let place = topic.map(|topic| (topic, partition, offset));
                    if let Some(error) = gone(place, code, &reason, *policies) {
                        tracing::warn!(
                            topic,
                            partition,
                            offset,
                            "the record to read next is gone; what was read is committed first"
                        );
                        lost.get_or_insert(error);
                    } else if let Some(error) = fatal(place, code, &reason) {
                        process.fail(error);
                    } else {
                        tracing::warn!(?code, topic, partition, "Kafka: {reason}");
                    }
                }
            });
        }
        if !chunk.is_empty() {
            self.chunk_hint = (chunk.len(), chunk.byte_len());
            self.lag_is_stale = true;
        }
        let metrics = self.process.metrics();
        metrics.records_read.inc_by(chunk.len() as u64);
        metrics.bytes_read.inc_by(chunk.byte_len() as u64);
        self.observe_lag();
        (chunk, more)
    }

    /// What the coordinator does not know yet.
    pub(super) fn news(&mut self, full: bool, open: Epoch) -> Vec<Report> {
        let mut news = Vec::new();
        if self.start.ends.is_some()
            && !self.told_exhausted
            && self.partitions.iter().all(Partition::is_exhausted)
        {
            self.told_exhausted = true;
            for partition in &self.partitions {
                self.consumer.pause(&partition.labels.topic, partition.id());
            }
            news.push(Report::Exhausted);
        }
        if self.process.is_draining() && !self.told_drain {
            self.told_drain = true;
            news.push(Report::Drain);
        }
        if self.lost.is_some() {
            self.lost_in.get_or_insert(open);
        }
        if (full || self.lost.is_some()) && self.told_full != Some(open) {
            self.told_full = Some(open);
            news.push(Report::Full);
        }
        news
    }

    /// Writes what is committed of this worker's partitions to the consumer group, and ends the process if
    /// it was only waiting for this commit.
    pub(super) fn committed(&mut self, epoch: Epoch, offsets: Option<&Offsets>) {
        if self.lost_in.is_some_and(|lost_in| lost_in <= epoch)
            && let Some(error) = self.lost.take()
        {
            self.process.fail(error);
        }
        let mut mine = Offsets::new();
        for (topic, partition, next) in offsets.into_iter().flat_map(Offsets::iter) {
            if self.position_of(topic, partition).is_some() {
                mine.set(topic, partition, next);
            }
        }
        if !mine.is_empty() {
            self.process
                .spawn_blocking(self.consumer.group_commit(&mine));
        }
    }

    fn position_of(&self, topic: &str, partition: i32) -> Option<usize> {
        find(&self.partitions, &self.topics, self.last, topic, partition)
    }

    fn observe_lag(&mut self) {
        if !self.lag_is_stale || self.lag_seen.is_some_and(|at| at.elapsed() < LAG_INTERVAL) {
            return;
        }
        self.lag_seen = Some(Instant::now());
        self.lag_is_stale = false;
        for partition in &self.partitions {
            if let Some(end) = self
                .consumer
                .known_end(&partition.labels.topic, partition.id())
            {
                let lag = (end - partition.next).max(0);
                let metrics = self.process.metrics();
                metrics.set_position(&partition.labels, partition.next, lag);
            }
        }
    }
}

/// Takes a record in, unless it lies behind the bound. A record before the position would be a
/// duplicate: nothing explains it, so nothing may be committed on top of it.
fn accept(partition: &mut Partition, record: &Record<'_>, chunk: &mut Messages) -> Result<()> {
    if record.offset >= partition.end {
        partition.next = partition.end;
        return Ok(());
    }
    if record.offset < partition.next {
        return Err(Error::internal(format!(
            "{}[{}]: offset {} came after the position had reached {}",
            record.topic, record.partition, record.offset, partition.next
        )));
    }
    partition.next = record.offset + 1;
    chunk.push(
        partition.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.key,
        record.payload,
    );
    Ok(())
}

fn find(
    partitions: &[Partition],
    topics: &[Arc<str>],
    last: usize,
    topic: &str,
    partition: i32,
) -> Option<usize> {
    let is_it = |candidate: &Partition| {
        candidate.id() == partition && &*topics[candidate.topic as usize] == topic
    };
    match partitions.get(last) {
        Some(candidate) if is_it(candidate) => Some(last),
        _ => partitions.iter().position(is_it),
    }
}

/// The partition or the client that an error is about.
fn place_name(place: Option<(&str, i32, i64)>) -> String {
    match place {
        Some((topic, partition, offset)) if offset >= 0 => {
            format!("{topic}[{partition}] at offset {offset}")
        }
        Some((topic, partition, _)) => format!("{topic}[{partition}]"),
        None => "the Kafka client".to_owned(),
    }
}

/// The error to stop with, after a commit, when the records to read next are not there any more. Whether a
/// fresh start may go on behind them is for the policies to say.
fn gone(
    place: Option<(&str, i32, i64)>,
    code: RDKafkaErrorCode,
    reason: &str,
    policies: Policies,
) -> Option<Error> {
    use RDKafkaErrorCode as Code;
    let where_ = place_name(place);
    let (error, borne) = match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange => (
            Error::diverged(format!(
                "{where_}: the offset to read next is not in the topic any more ({reason})"
            ))
            .advice(
                "retention deleted records before they were read, or the topic was made anew; nothing \
                 was skipped, and what was read is in the table. The next start says which of the two \
                 it is, and what to do about it (on-gap, on-topic-recreated)",
            ),
            policies.bear_lost_offsets(),
        ),
        Code::UnknownTopicOrPartition | Code::UnknownTopic => (
            Error::diverged(format!("{where_}: it does not exist any more ({reason})")).advice(
                "the topic was deleted while it was read; what was read is in the table",
            ),
            policies.bear_recreation(),
        ),
        _ => return None,
    };
    Some(if borne { error.restartable() } else { error })
}

/// The error to stop with at once, or nothing for what librdkafka mends by itself (a broker that is away).
fn fatal(place: Option<(&str, i32, i64)>, code: RDKafkaErrorCode, reason: &str) -> Option<Error> {
    use RDKafkaErrorCode as Code;
    let where_ = place_name(place);
    match code {
        Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed => Some(
            Error::external(format!("{where_}: Kafka refuses access ({reason})")).advice(
                "grant READ on the topic and the group to this user; nothing was lost, the next \
                 start goes on from the table's marker",
            ),
        ),
        // Reading on would skip the batch, or ask for it for ever.
        Code::BadMessage
        | Code::BadCompression
        | Code::InvalidMessage
        | Code::MessageSizeTooLarge
        | Code::NotImplemented
            if place.is_some() =>
        {
            Some(
                Error::data(format!("{where_}: the records can't be read ({reason})")).advice(
                    "nothing was skipped: compare the topic's files with another replica, and \
                     check kafka.fetch.message.max.bytes and the compression of the producers",
                ),
            )
        }
        Code::Fatal => Some(
            Error::external(format!("{where_}: {reason}"))
                .advice("nothing was lost: the next start goes on from the table's marker"),
        ),
        _ => None,
    }
}
