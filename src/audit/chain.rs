//! What the markers of a lineage cover, partition by partition.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use super::offset_set::OffsetSet;
use crate::checkpoint::marker::Marker;
use crate::iceberg::Link;
use crate::offsets::TopicPartition;

/// A partition, in one life of its topic: offsets begin again when a topic is made anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub at: TopicPartition,
    /// How often the topic was made anew before, as far as the retained markers tell.
    pub life: u32,
}

impl Place {
    /// A partition of a topic's first life.
    pub fn first(at: TopicPartition) -> Self {
        Self { at, life: 0 }
    }
}

/// `samples[0]`, and behind it which topic of that name, if it is not the first.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            0 => self.at.fmt(f),
            life => write!(f, "{} (topic {} of that name)", self.at, life + 1),
        }
    }
}

/// One partition's part in a chain of markers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Covered {
    /// The ranges, oldest first, each with the index of its marker in the chain.
    pub ranges: Vec<(usize, Range<i64>)>,
    /// Offsets that are missing by decision.
    pub gaps: OffsetSet,
    /// Where the property's marker goes on; `None` if it does not know the partition.
    pub next: Option<i64>,
}

impl Covered {
    /// Where the retained markers begin.
    pub fn first(&self) -> Option<i64> {
        self.ranges.first().map(|(_, range)| range.start)
    }

    /// Where reading goes on: by the property, else by the newest range.
    pub fn end(&self) -> Option<i64> {
        self.next
            .or_else(|| self.ranges.last().map(|(_, range)| range.end))
    }
}

/// What a pipeline's retained markers say they cover.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// By partition.
    pub partitions: BTreeMap<Place, Covered>,
    /// True if the very first marker is among those that are retained.
    pub complete: bool,
    /// For topics that were made anew: the markers, by their index, that were the first to know.
    remade: BTreeMap<String, Vec<usize>>,
}

impl Coverage {
    /// Of a chain, oldest marker first, and the marker in the table property.
    pub fn new(chain: &[Link], property: Option<&Marker>) -> Self {
        let mut coverage = Self {
            partitions: BTreeMap::new(),
            complete: chain
                .first()
                .is_some_and(|oldest| oldest.marker.parent.is_none()),
            remade: remade(chain),
        };
        for (index, link) in chain.iter().enumerate() {
            for (topic, partition, start, end) in link.marker.moved.iter() {
                let covered = coverage.entry(topic, partition, index);
                covered.ranges.push((index, start.0..end.0));
            }
            for (topic, partition, from, to) in link.marker.gaps.iter() {
                let covered = coverage.entry(topic, partition, index);
                covered.gaps.insert(from.0..to.0);
            }
        }
        for (topic, partition, next) in property.into_iter().flat_map(|m| m.next.iter()) {
            coverage.entry(topic, partition, usize::MAX).next = Some(next.0);
        }
        coverage
    }

    fn entry(&mut self, topic: &str, partition: i32, link: usize) -> &mut Covered {
        let place = self.place(TopicPartition::new(topic, partition), link);
        self.partitions.entry(place).or_default()
    }

    /// The partition as the marker with this index knows it.
    pub fn place(&self, at: TopicPartition, link: usize) -> Place {
        let remade = self.remade.get(&at.topic).into_iter().flatten();
        let life = remade.filter(|first| **first <= link).count();
        Place {
            life: u32::try_from(life).unwrap_or(u32::MAX),
            at,
        }
    }

    /// The partition as it is now.
    pub fn current(&self, at: TopicPartition) -> Place {
        self.place(at, usize::MAX)
    }

    /// True if the topic was made anew, as far as the retained markers tell.
    pub fn was_remade(&self, topic: &str) -> bool {
        self.remade.contains_key(topic)
    }

    /// True if a partition of `topic` is covered.
    pub fn knows_topic(&self, topic: &str) -> bool {
        self.partitions.keys().any(|place| place.at.topic == topic)
    }

    /// The offsets that may have rows written before the oldest retained marker.
    pub fn expired(&self, place: &Place) -> Range<i64> {
        match self.complete {
            true => 0..0,
            false => self.before(place),
        }
    }

    /// The offsets before the oldest range.
    fn before(&self, place: &Place) -> Range<i64> {
        match self.partitions.get(place) {
            Some(covered) if place.life == 0 => 0..covered.first().or(covered.next).unwrap_or(0),
            _ => 0..0,
        }
    }

    /// All offsets that may have rows in files of other programs: those of the ranges, whose rows a compaction may
    /// have moved, and those before them, of which another engine may have written the rows before the pipeline began.
    pub fn union(&self, place: &Place) -> OffsetSet {
        let covered = self.partitions.get(place).into_iter();
        let ranges = covered.flat_map(|covered| &covered.ranges);
        let ranges = ranges.map(|(_, range)| range.clone());
        OffsetSet::of(ranges.chain([self.before(place)]))
    }
}

/// The place in the chain of each snapshot that carries one of its markers.
pub(super) fn index_of(chain: &[Link]) -> HashMap<i64, usize> {
    let links = chain.iter().enumerate();
    links
        .map(|(index, link)| (link.snapshot_id, index))
        .collect()
}

/// Where the known id of a topic changes. Ids that the brokers did not tell change nothing.
fn remade(chain: &[Link]) -> BTreeMap<String, Vec<usize>> {
    let mut ids = BTreeMap::<&str, &str>::new();
    let mut remade = BTreeMap::<String, Vec<usize>>::new();
    for (index, link) in chain.iter().enumerate() {
        for (topic, id) in &link.marker.topic_ids {
            if ids.insert(topic, id).is_some_and(|before| before != id) {
                remade.entry(topic.clone()).or_default().push(index);
            }
        }
    }
    remade
}
