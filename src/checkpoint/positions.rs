//! Where reading begins in each partition: what a start carries forward, held against what Kafka has.
//!
//! Pure: Kafka's answers come in as [`Topic`]s, what is decided goes out as a [`Beginning`], which the claim
//! writes into the table before the first record is read.

use std::collections::BTreeMap;

use super::decisions::Start;
use super::marker::{Marker, MarkerId, Ranges};
use super::rollback::Recovery;
use crate::config::{OffsetReset, OnGap, OnTopicRecreated};
use crate::error::{Error, Result};
use crate::offsets::{NextOffset, Offsets, Watermarks};
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// What Kafka says of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// Its id, if the brokers tell it.
    pub id: Option<String>,
    /// Where each partition begins and ends.
    pub partitions: BTreeMap<i32, Watermarks>,
}

/// Where every partition ends.
pub fn ends(topics: &BTreeMap<String, Topic>) -> Offsets {
    let mut ends = Offsets::new();
    for (name, topic) in topics {
        for (&partition, marks) in &topic.partitions {
            ends.set(name, partition, NextOffset(marks.high));
        }
    }
    ends
}

/// The policies that a start applies to offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// `kafka.auto-offset-reset`
    pub reset: OffsetReset,
    /// `on-gap`
    pub on_gap: OnGap,
    /// `on-topic-recreated`
    pub on_topic_recreated: OnTopicRecreated,
}

impl Policies {
    /// True if a fresh start may go on where an offset has left the topic while it was read: records
    /// before it were deleted, or the topic is another one.
    pub fn bear_lost_offsets(&self) -> bool {
        self.on_gap != OnGap::Halt || self.bear_recreation()
    }

    /// True if a fresh start goes on with a topic that was made anew.
    pub fn bear_recreation(&self) -> bool {
        self.on_topic_recreated != OnTopicRecreated::Halt
    }
}

/// What a claim carries forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The highest generation that was recorded.
    pub generation: Generation,
    /// The last epoch that was recorded.
    pub epoch: Epoch,
    /// The marker in the table's history that the claim follows.
    pub parent: Option<MarkerId>,
    /// Where reading goes on.
    pub next: Offsets,
    /// Those of them at which the parent stands: the others the claim must mention.
    pub known: Offsets,
    /// The ids of the topics that these offsets belong to.
    pub topic_ids: BTreeMap<String, String>,
    /// The cluster that they belong to.
    pub cluster_id: Option<String>,
    /// What was decided to stay out of the table.
    pub gaps: Ranges,
    /// True if something of it is not in `gaps`, because where it begins can't be known.
    pub gaps_unknown: bool,
    /// The state that belongs to these offsets, see [`Marker::state_snapshot`].
    pub state_snapshot: Option<String>,
}

impl Start {
    /// What a claim carries forward; `None` if the pipeline has never committed, or must not begin.
    pub fn carried(&self) -> Option<Carried> {
        match self {
            Self::Fresh | Self::Refuse(_) => None,
            Self::Resume(marker) => Some(Carried::from(&**marker)),
            Self::Recover(recovery) => Some(Carried::from(&**recovery)),
        }
    }
}

impl From<&Recovery> for Carried {
    fn from(recovery: &Recovery) -> Self {
        Self {
            parent: recovery.newest.as_ref().map(|marker| marker.id.clone()),
            next: recovery.next.clone(),
            known: Offsets::new(),
            topic_ids: recovery.topic_ids.clone(),
            gaps: recovery.left_out.clone(),
            gaps_unknown: recovery.left_out_unknown,
            state_snapshot: recovery.state_snapshot.clone(),
            ..Carried::from(&recovery.recorded)
        }
    }
}

impl From<&Marker> for Carried {
    fn from(marker: &Marker) -> Self {
        Self {
            generation: marker.generation,
            epoch: marker.epoch,
            parent: Some(marker.id.clone()),
            next: marker.next.clone(),
            known: marker.next.clone(),
            topic_ids: marker.topic_ids.clone(),
            cluster_id: marker.cluster_id.clone(),
            gaps: Ranges::default(),
            gaps_unknown: false,
            state_snapshot: marker.state_snapshot.clone(),
        }
    }
}

/// Where a new process begins to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The next offset of every partition there is.
    pub next: Offsets,
    /// Topics that are not those of the carried offsets, which are void.
    pub recreated: Vec<String>,
    /// What was skipped because it is gone.
    pub skipped: Ranges,
    /// What of it shall be written down.
    pub gaps: Ranges,
    /// The ids of the topics, as far as the brokers tell them.
    pub topic_ids: BTreeMap<String, String>,
    /// The state to begin with, see [`super::state::begin`].
    pub state: Option<String>,
}

/// With nothing else to say than where partitions begin.
impl From<Offsets> for Beginning {
    fn from(next: Offsets) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }
}

/// Decides where reading begins.
///
/// | carried | topic's id | offset carried | policy | next |
/// |---|---|---|---|---|
/// | nothing | | | `kafka.auto-offset-reset` | the beginning or the end |
/// | M | differs from M's | | `on-topic-recreated=halt` | refuse |
/// | M | differs from M's | | `on-topic-recreated=restart` | the beginning |
/// | M | M's, or unknown | none | | the beginning: the partition is new |
/// | M | M's, or unknown | within the topic | | that offset |
/// | M | M's, or unknown | before the beginning | `on-gap=halt` | refuse |
/// | M | M's, or unknown | before the beginning | `on-gap=earliest`, `record-gap` | the beginning |
/// | M | M's, or unknown | before the beginning | `on-gap=latest` | the end |
/// | M | M's, or unknown | behind the end | | refuse |
/// | M | M's, or unknown | of a partition that is not there | | refuse |
///
/// An offset behind the end is refused whatever the policy: with the topic's own id it means that the brokers have
/// lost records that are in the table, so reading the topic again would double what is left.
pub fn begin(
    carried: Option<&Carried>,
    topics: &BTreeMap<String, Topic>,
    policies: Policies,
) -> Result<Beginning> {
    let mut beginning = Beginning::default();
    let mut lost = Lost::default();
    for (name, topic) in topics {
        if let Some(id) = &topic.id {
            beginning.topic_ids.insert(name.clone(), id.clone());
        }
        let recorded_id = carried.and_then(|carried| carried.topic_ids.get(name));
        let recreated = match (recorded_id, &topic.id) {
            (Some(recorded), Some(found)) if recorded != found => {
                recreated(name, recorded, found, policies.on_topic_recreated)?;
                beginning.recreated.push(name.clone());
                true
            }
            _ => false,
        };
        for (&partition, &marks) in &topic.partitions {
            let known = carried.and_then(|carried| carried.next.get(name, partition));
            let next = match (carried, known) {
                (None, _) => match policies.reset {
                    OffsetReset::Earliest => marks.low,
                    OffsetReset::Latest => marks.high,
                },
                (Some(_), Some(next)) if !recreated => {
                    let place = Place { name, partition };
                    place.resume(next.0, marks, policies.on_gap, &mut lost, &mut beginning)
                }
                (Some(_), _) => marks.low,
            };
            beginning.next.set(name, partition, NextOffset(next));
        }
        if !recreated {
            lost.partitions(name, topic, carried);
        }
    }
    lost.refuse()?;
    if policies.on_gap == OnGap::RecordGap {
        beginning.gaps = beginning.skipped.clone();
    }
    Ok(beginning)
}

fn recreated(topic: &str, recorded: &str, found: &str, policy: OnTopicRecreated) -> Result<()> {
    let untouched = "nothing was read and nothing in the table was touched";
    match policy {
        OnTopicRecreated::Halt => Err(made_anew(topic, "", recorded, found, untouched)),
        OnTopicRecreated::Restart => Ok(()),
    }
}

/// The error of a topic that is not the one the marker knows: `when` it was made anew, if that is known, and
/// what was `spared`.
pub fn made_anew(topic: &str, when: &str, recorded: &str, found: &str, spared: &str) -> Error {
    Error::diverged(format!(
        "topic {topic} was deleted and made anew{when}: the table's marker knows it under the id \
         {recorded}, its id is {found} now"
    ))
    .advice(format!(
        "{spared}. `calve run --set on-topic-recreated=restart` reads the new topic from its beginning \
         into the same table (its offsets begin at 0 again); another pipeline.name and table.name keep \
         the two apart"
    ))
}

/// One partition.
struct Place<'a> {
    name: &'a str,
    partition: i32,
}

impl Place<'_> {
    /// Where to go on from `next`.
    fn resume(
        &self,
        next: i64,
        marks: Watermarks,
        on_gap: OnGap,
        lost: &mut Lost,
        beginning: &mut Beginning,
    ) -> i64 {
        let (topic, partition) = (self.name, self.partition);
        let place =
            || format!("{topic}[{partition}]: the table's marker continues at offset {next}");
        if next > marks.high {
            lost.behind_the_end
                .push(format!("{}, but the topic ends at {}", place(), marks.high));
            return next;
        }
        if next >= marks.low {
            return next;
        }
        let to = match on_gap {
            OnGap::Halt => {
                lost.gaps.push(format!(
                    "{}, but the topic begins at {}: {} offsets are gone",
                    place(),
                    marks.low,
                    marks.low - next
                ));
                return next;
            }
            OnGap::Earliest | OnGap::RecordGap => marks.low,
            OnGap::Latest => marks.high,
        };
        let skipped = (NextOffset(next), NextOffset(to));
        beginning.skipped.insert(topic, partition, skipped);
        to
    }
}

/// Why reading can't begin, partition by partition.
#[derive(Default)]
struct Lost {
    gaps: Vec<String>,
    behind_the_end: Vec<String>,
    gone: Vec<String>,
}

impl Lost {
    /// Partitions with an offset that the topic does not have.
    fn partitions(&mut self, name: &str, topic: &Topic, carried: Option<&Carried>) {
        for (other, partition, next) in carried.into_iter().flat_map(|c| c.next.iter()) {
            if other == name && !topic.partitions.contains_key(&partition) {
                self.gone
                    .push(format!("{name}[{partition}] (next offset {next})"));
            }
        }
    }

    fn refuse(&self) -> Result<()> {
        if !self.gone.is_empty() {
            return Err(Error::diverged(format!(
                "the table's marker knows partitions that the topic does not have: {}",
                self.gone.join(", ")
            ))
            .advice(
                "the topic was recreated with fewer partitions. Nothing was read and nothing in the \
                 table was touched; to load the new topic into this table, use another pipeline.name",
            ));
        }
        if !self.behind_the_end.is_empty() {
            return Err(Error::diverged(self.behind_the_end.join("; ")).advice(
                "the brokers have lost records that are in the table, or the topic was recreated, or \
                 kafka.brokers names another cluster. Nothing was read and nothing in the table was \
                 touched; correct kafka.brokers or kafka.topic, or load the topic under another \
                 pipeline.name",
            ));
        }
        if !self.gaps.is_empty() {
            return Err(Error::diverged(self.gaps.join("; ")).advice(
                "retention deleted records before they were read. Nothing was skipped and nothing in \
                 the table was touched. `calve run --set on-gap=earliest` goes on with the first \
                 record that is still there, on-gap=latest with what comes after the start, \
                 on-gap=record-gap like earliest and writes what is missing into the table's marker",
            ));
        }
        Ok(())
    }
}
