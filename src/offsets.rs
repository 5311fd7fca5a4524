//! Positions in Kafka: where a partition's next record is, and the map of them that a cut is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The offset of the *next* record to read, never of the last one read.
///
/// With transactions and compaction the two differ by more than one, so mixing them up loses or
/// repeats records.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's first and next offset, as the broker tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The oldest offset that is still there.
    pub low: i64,
    /// The offset the next record will get (with `read_committed`: the end of what is decided).
    pub high: i64,
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The next offset of each partition: everything below it is in the table, nothing from it on is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offsets(BTreeMap<String, BTreeMap<i32, NextOffset>>);

impl Offsets {
    /// No partitions.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next offset of a partition, if it is known.
    pub fn get(&self, topic: &str, partition: i32) -> Option<NextOffset> {
        self.0.get(topic)?.get(&partition).copied()
    }

    /// Sets the next offset of a partition; returns what was there before.
    pub fn set(&mut self, topic: &str, partition: i32, next: NextOffset) -> Option<NextOffset> {
        match self.0.get_mut(topic) {
            Some(partitions) => partitions.insert(partition, next),
            None => {
                self.0
                    .insert(topic.to_owned(), BTreeMap::from([(partition, next)]));
                None
            }
        }
    }

    /// Takes every entry of `newer` over this map's.
    pub fn advance_to(&mut self, newer: &Offsets) {
        for (topic, partition, next) in newer.iter() {
            self.set(topic, partition, next);
        }
    }

    /// Forgets all partitions of a topic.
    pub fn remove_topic(&mut self, topic: &str) {
        self.0.remove(topic);
    }

    /// The partitions of `newer` whose next offset differs from this map's, with `newer`'s value.
    pub fn moved(&self, newer: &Offsets) -> Offsets {
        let mut moved = Offsets::new();
        for (topic, partition, next) in newer.iter() {
            if self.get(topic, partition) != Some(next) {
                moved.set(topic, partition, next);
            }
        }
        moved
    }

    /// All partitions in order of topic and number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i32, NextOffset)> {
        self.0.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, next)| (topic.as_str(), *partition, *next))
        })
    }

    /// True if no partition is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions are known.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

/// `topic[0]=17 topic[1]=4`, for logs and errors.
impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (topic, partition, next)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{topic}[{partition}]={next}")?;
        }
        Ok(())
    }
}
