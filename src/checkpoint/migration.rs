//! The offsets that another engine has left, held against what Kafka has: where a pipeline that takes over begins.
//!
//! Pure: the offsets come from a file or a consumer group, Kafka's answers as [`Topic`]s. What is decided goes into
//! the first claim of the pipeline, and from then on stands in the table like any other marker.

use std::collections::BTreeMap;

use serde::Serialize;

use super::positions::{Beginning, Topic};
use crate::config::OffsetReset;
use crate::error::{Error, Result};
use crate::offsets::{NextOffset, Offsets};

#[cfg(test)]
mod tests;

/// Where one partition will be read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The oldest offset that is still there.
    pub begins: i64,
    /// The offset that the next record will get.
    pub ends: i64,
    /// The next offset to read.
    pub next: NextOffset,
    /// False if nobody said it, and the partition is read from its beginning or its end.
    pub given: bool,
}

/// Decides where each partition begins.
///
/// | offset given | partition | `--missing` | next |
/// |---|---|---|---|
/// | within the partition, its end included | there | | that offset |
/// | before its beginning, or behind its end | there | | refuse |
/// | any | not there | | refuse |
/// | none | there | | refuse |
/// | none | there | `earliest` | the beginning |
/// | none | there | `latest` | the end |
///
/// No offset at all is refused whatever `--missing` says: that is a mistyped name, not a partition more.
pub fn plan(
    given: &Offsets,
    topics: &BTreeMap<String, Topic>,
    missing: Option<OffsetReset>,
) -> Result<Vec<Planned>> {
    let mut faults = Vec::new();
    for (topic, partition, next) in given.iter() {
        let known = topics.get(topic);
        if known.is_none_or(|known| !known.partitions.contains_key(&partition)) {
            let text =
                format!("{topic}[{partition}] is not there, and offset {next} is given for it");
            faults.push(text);
        }
    }
    let mut plan = Vec::new();
    for (name, topic) in topics {
        for (&partition, marks) in &topic.partitions {
            let offset = given.get(name, partition);
            let next = match (offset, missing) {
                (Some(offset), _) => offset,
                (None, Some(OffsetReset::Earliest)) => NextOffset(marks.low),
                (None, Some(OffsetReset::Latest)) => NextOffset(marks.high),
                (None, None) => {
                    faults.push(format!("no offset is given for {name}[{partition}]"));
                    continue;
                }
            };
            if !(marks.low..=marks.high).contains(&next.0) {
                faults.push(format!(
                    "{name}[{partition}] holds offsets {} to {}, the next one to read can't be {next}",
                    marks.low, marks.high
                ));
            }
            plan.push(Planned {
                topic: name.clone(),
                partition,
                begins: marks.low,
                ends: marks.high,
                next,
                given: offset.is_some(),
            });
        }
    }
    let spared = "nothing was written";
    if given.is_empty() {
        return Err(
            Error::config("there are no offsets to begin at").advice(format!(
                "{spared}; check the name of the group or the file, and kafka.topic"
            )),
        );
    }
    match faults.is_empty() {
        true => Ok(plan),
        false => Err(Error::diverged(faults.join("; ")).advice(format!(
            "{spared}. An offset is that of the next record to read, one behind the last one that is in the table; \
             check kafka.topic and kafka.brokers. For partitions that are rightly not mentioned say \
             --missing earliest or --missing latest"
        ))),
    }
}

/// What the claim writes down.
pub fn beginning(plan: &[Planned], topics: &BTreeMap<String, Topic>) -> Beginning {
    let mut beginning = Beginning::default();
    for planned in plan {
        beginning
            .next
            .set(&planned.topic, planned.partition, planned.next);
    }
    let ids = topics.iter().filter_map(|(name, topic)| {
        let id = topic.id.clone()?;
        Some((name.clone(), id))
    });
    beginning.topic_ids.extend(ids);
    beginning
}
