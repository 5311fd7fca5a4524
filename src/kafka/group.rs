//! The offsets that a consumer group has committed. Of another program's group: calve never reads its own.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::Offset;

use super::client::{Context, client_config};
use crate::config::Kafka;
use crate::error::{Error, Result};
use crate::offsets::{NextOffset, Offsets};

/// The group's coordinator may have to be found first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What `group` has committed of these partitions; those of which it has not are left out. Joins nothing.
pub fn committed(kafka: &Kafka, group: &str, partitions: &[(String, i32)]) -> Result<Offsets> {
    let failed = |error| {
        Error::external(format!(
            "the offsets of consumer group {group} can't be read"
        ))
        .caused_by(error)
        .advice("check that this user may describe the group (ACLs), and the kafka.* settings")
    };
    let client: BaseConsumer<Context> = client_config(kafka, "calve-migrate")
        .set("group.id", group)
        .create_with_context(Context::default())
        .map_err(failed)?;
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    let found = client
        .committed_offsets(list, ANSWER_TIMEOUT)
        .map_err(failed)?;
    let mut offsets = Offsets::new();
    for element in found.elements() {
        element.error().map_err(failed)?;
        if let Offset::Offset(next) = element.offset() {
            offsets.set(element.topic(), element.partition(), NextOffset(next));
        }
    }
    Ok(offsets)
}
