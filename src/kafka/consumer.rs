//! One worker's consumer: assigned by hand, read in batches, woken instead of polled.

use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::client::{Context, client_config};
use super::queue::{self, BatchQueue, Event};
use crate::config::Kafka;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::offsets::Offsets;

/// What a worker's consumer is configured with.
fn config(kafka: &Kafka, client_id: &str) -> ClientConfig {
    let mut config = client_config(kafka, client_id);
    config.set("group.id", &kafka.group_id);
    config
}

/// What librdkafka itself makes of a consumer's configuration: the values in force of these properties, its own
/// defaults included.
pub fn effective_config<const N: usize>(kafka: &Kafka, names: [&str; N]) -> Result<[String; N]> {
    in_force(&config(kafka, "calve"), names)
}

fn in_force<const N: usize>(config: &ClientConfig, names: [&str; N]) -> Result<[String; N]> {
    let unknown = |error: KafkaError| {
        Error::internal("librdkafka does not tell its configuration").caused_by(error)
    };
    let native = config.create_native_config().map_err(unknown)?;
    let mut values = [const { String::new() }; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = native.get(name).map_err(unknown)?;
    }
    Ok(values)
}

/// Reads the partitions it is told to read.
pub struct Consumer {
    // Before `client`: the queue handle must be released first.
    queue: BatchQueue,
    client: Arc<BaseConsumer<Context>>,
}

impl Consumer {
    /// A consumer without partitions. `wake` is called from librdkafka's threads when the queue goes
    /// from empty to non-empty.
    pub fn open(
        kafka: &Kafka,
        client_id: &str,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut client: BaseConsumer<Context> = config(kafka, client_id)
            .create_with_context(Context::default())
            .map_err(|error| {
                Error::config("the Kafka consumer can't be created")
                    .caused_by(error)
                    .advice("check the kafka.* settings with `calve config`")
            })?;
        client.set_nonempty_callback(wake);
        let queue = BatchQueue::of(&client)
            .ok_or_else(|| Error::internal("librdkafka gave a consumer without a queue"))?;
        Ok(Self {
            queue,
            client: Arc::new(client),
        })
    }

    /// Adds partitions, each to be read from its next offset.
    pub fn assign(&self, partitions: &Offsets) -> Result<()> {
        let assign =
            || -> KafkaResult<()> { self.client.incremental_assign(&to_list(partitions)?) };
        assign().map_err(|error| {
            Error::internal(format!("the partitions {partitions} can't be assigned"))
                .caused_by(error)
        })
    }

    /// Stops fetching a partition that has been read to its bound.
    pub fn pause(&self, topic: &str, partition: i32) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        if let Err(error) = self.client.pause(&list) {
            // What still arrives is skipped by its offset: pausing only saves the transfer.
            tracing::debug!(%error, topic, partition, "pausing failed");
        }
    }

    /// Visits what has arrived, up to one batch; false once the queue is empty.
    pub fn take(&mut self, visit: impl FnMut(Event<'_>)) -> bool {
        self.queue.take(visit)
    }

    /// The end of a partition as the last fetch told it.
    pub fn known_end(&self, topic: &str, partition: i32) -> Option<i64> {
        queue::known_end(&self.client, topic, partition)
    }

    /// A call that writes `offsets` to the group and waits for the broker, for a thread that may wait.
    ///
    /// They are for people and their tools (`kafka-consumer-groups --describe`); calve never reads them,
    /// so a failure is a log line.
    pub fn group_commit(&self, offsets: &Offsets) -> impl FnOnce() + Send + 'static {
        let client = Arc::clone(&self.client);
        let list = to_list(offsets);
        move || {
            let result = match failpoint::fails("group-offsets") {
                false => list.and_then(|list| client.commit(&list, CommitMode::Sync)),
                true => Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::Fail)),
            };
            if let Err(error) = result {
                tracing::warn!(
                    %error,
                    "the consumer group's offsets were not updated; they are informational, \
                     calve resumes from the table's marker"
                );
            }
        }
    }
}

fn to_list(offsets: &Offsets) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (topic, partition, next) in offsets.iter() {
        list.add_partition_offset(topic, partition, Offset::Offset(next.0))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_what_librdkafka_says_not_what_was_meant() {
        let names = ["enable.auto.commit", "isolation.level"];
        let mut config = ClientConfig::new();
        let defaults = in_force(&config, names).unwrap();
        assert_eq!(defaults, ["true", "read_committed"]);
        config.set("enable.auto.commit", "false");
        assert_eq!(in_force(&config, names).unwrap()[0], "false");
        // What belongs to topics is known only if somebody has set it.
        assert!(in_force(&config, ["auto.offset.reset"]).is_err());
        config.set("auto.offset.reset", "error");
        assert_eq!(in_force(&config, ["auto.offset.reset"]).unwrap(), ["error"]);
    }
}
