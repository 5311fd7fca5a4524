//! Kafka Source Configuration: what is read, from where, and how long it stays there.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::HumanCount;

use super::{failed, without};
use crate::checkpoint::marker::Marker;
use crate::checkpoint::positions::Topic;
use crate::config::{OffsetReset, OnGap};
use crate::kafka::TopicSettings;
use crate::verify::facts::{Brokers, ClientSettings, Facts, Work};
use crate::verify::outage::Outage;
use crate::verify::report::Item;
use crate::verify::words::{bytes, count, span};

/// Within so long somebody has looked: an evening, a night, a morning.
const SOMEBODY_LOOKS: Duration = Duration::from_secs(24 * 3600);
/// Partitions that are named.
const NAMED: usize = 10;

/// | item | warns | fails |
/// |---|---|---|
/// | auto-commit | | librdkafka has it on, or stores offsets by itself |
/// | isolation | | records of aborted transactions are read |
/// | reset | | librdkafka would jump over a gap |
/// | reachable | | the brokers do not answer, a topic is missing |
/// | offsets | the marker lacks a partition (it is new) | the marker has none |
/// | within | the offset is gone, and `on-gap` says to go on | it is gone, or lies behind the end |
/// | retention | shorter than a day; or limited by bytes; or not told | shorter than the longest outage of the settings |
pub(super) fn items(facts: &Facts) -> Vec<Item> {
    let mut items = client(facts);
    items.push(reachable(facts));
    items.push(in_marker(facts));
    items.push(within(facts));
    items.push(retention(facts));
    items
}

fn client(facts: &Facts) -> Vec<Item> {
    let client = match &facts.kafka.client {
        Work::Done(client) => client,
        Work::Failed(trouble) => {
            return vec![failed("auto-commit", trouble, "check the kafka.* settings")];
        }
        work @ Work::Omitted(_) => return vec![without("auto-commit", work, "the client")],
    };
    vec![auto_commit(client), isolation(client), reset(facts, client)]
}

fn auto_commit(client: &ClientSettings) -> Item {
    let evidence = format!(
        "librdkafka has enable.auto.commit={}, enable.auto.offset.store={}",
        client.auto_commit, client.auto_offset_store
    );
    match client.auto_commit == "false" && client.auto_offset_store == "false" {
        true => Item::pass("auto-commit", evidence),
        false => Item::fail(
            "auto-commit",
            evidence,
            "offsets would be committed before their rows: this is a defect of calve, do not run it",
        ),
    }
}

fn isolation(client: &ClientSettings) -> Item {
    let evidence = format!("librdkafka has isolation.level={}", client.isolation);
    match client.isolation == "read_committed" {
        true => Item::pass("isolation level", evidence),
        false => Item::fail(
            "isolation level",
            evidence,
            "records of aborted transactions would become rows: remove kafka.isolation.level",
        ),
    }
}

fn reset(facts: &Facts, client: &ClientSettings) -> Item {
    let first = match facts.settings.kafka.auto_offset_reset {
        OffsetReset::Earliest => "earliest",
        OffsetReset::Latest => "latest",
    };
    let evidence = format!(
        "{first} at the very first start only; later a lost offset is an error (librdkafka has auto.offset.reset={})",
        client.offset_reset
    );
    match client.offset_reset == "error" {
        true => Item::pass("reset policy", evidence),
        false => Item::fail(
            "reset policy",
            evidence,
            "records would be skipped in silence: this is a defect of calve, do not run it",
        ),
    }
}

fn reachable(facts: &Facts) -> Item {
    const TITLE: &str = "brokers, topics";
    match &facts.kafka.brokers {
        Work::Done(brokers) => Item::pass(TITLE, described(brokers)),
        Work::Failed(trouble) => failed(TITLE, trouble, "check kafka.brokers and kafka.topic"),
        work @ Work::Omitted(_) => without(TITLE, work, "the brokers"),
    }
}

fn described(brokers: &Brokers) -> String {
    let cluster = match &brokers.cluster_id {
        Some(id) => format!("cluster {id}"),
        None => "a cluster that tells no id".to_owned(),
    };
    let topics = brokers.topics.iter().map(|(name, topic)| {
        let partitions = count(topic.partitions.len() as u64, "partition");
        let records: i64 = topic
            .partitions
            .values()
            .map(|marks| marks.high - marks.low)
            .sum();
        format!(
            "{name} with {partitions}, {} offsets",
            HumanCount(records.max(0) as u64)
        )
    });
    format!("{cluster}; {}", topics.collect::<Vec<_>>().join("; "))
}

/// The marker, if there is one, and else why there is none to look at.
fn marker<'a>(facts: &'a Facts, title: &'static str) -> Result<&'a Marker, Item> {
    let table = match &facts.table {
        Work::Done(table) => table,
        work => return Err(without(title, work, "the table")),
    };
    table.marker.as_ref().ok_or_else(|| {
        Item::unchecked(
            title,
            "the pipeline has never written: the first start puts them there",
        )
    })
}

fn in_marker(facts: &Facts) -> Item {
    const TITLE: &str = "offsets in the table";
    let marker = match marker(facts, TITLE) {
        Ok(marker) => marker,
        Err(item) => return item,
    };
    let partitions = count(marker.next.len() as u64, "partition");
    let evidence = format!("{partitions}, by the marker of {marker}");
    if marker.next.is_empty() {
        return Item::fail(
            TITLE,
            format!("the marker of {marker} has none"),
            "somebody changed calve's table property: restore it, or start under another pipeline.name",
        );
    }
    let Some(brokers) = facts.kafka.brokers.seen() else {
        return Item::pass(TITLE, evidence);
    };
    let missing = each(&brokers.topics)
        .filter(|(topic, partition, _)| marker.next.get(topic, *partition).is_none())
        .map(|(topic, partition, _)| format!("{topic}[{partition}]"));
    let missing: Vec<_> = missing.collect();
    match missing.is_empty() {
        true => Item::pass(TITLE, evidence),
        false => Item::warn(
            TITLE,
            format!(
                "{evidence}; {} not in it",
                count(missing.len() as u64, "partition")
            ),
            "new partitions are read from their beginning, and then stand in the marker",
        )
        .details(named(missing)),
    }
}

/// All partitions of topics, with where they begin and end.
fn each(
    topics: &BTreeMap<String, Topic>,
) -> impl Iterator<Item = (&str, i32, crate::offsets::Watermarks)> {
    topics.iter().flat_map(|(name, topic)| {
        let partitions = topic.partitions.iter();
        partitions.map(move |(partition, marks)| (name.as_str(), *partition, *marks))
    })
}

/// The first few of many lines.
fn named(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn within(facts: &Facts) -> Item {
    const TITLE: &str = "offsets still in Kafka";
    let marker = match marker(facts, TITLE) {
        Ok(marker) => marker,
        Err(item) => return item,
    };
    let Some(brokers) = facts.kafka.brokers.seen() else {
        return without(TITLE, &facts.kafka.brokers, "the brokers");
    };
    let (mut gone, mut beyond, mut waiting) = (Vec::new(), Vec::new(), 0);
    for (topic, partition, marks) in each(&brokers.topics) {
        let Some(next) = marker.next.get(topic, partition) else {
            continue;
        };
        waiting += (marks.high - next.0.max(marks.low)).max(0) as u64;
        if next.0 < marks.low {
            let lost = marks.low - next.0;
            gone.push(format!(
                "{topic}[{partition}] goes on at {next}, the topic begins at {}: {lost} offsets are gone",
                marks.low
            ));
        } else if next.0 > marks.high {
            beyond.push(format!(
                "{topic}[{partition}] goes on at {next}, the topic ends at {}",
                marks.high
            ));
        }
    }
    if !beyond.is_empty() {
        return Item::fail(
            TITLE,
            format!(
                "{} behind the end of the topic",
                count(beyond.len() as u64, "partition")
            ),
            "the brokers have lost records that are in the table, or the topic was made anew: see \
             on-topic-recreated",
        )
        .details(named(beyond));
    }
    if !gone.is_empty() {
        let evidence = format!(
            "the next records of {} were deleted before they were read",
            count(gone.len() as u64, "partition")
        );
        let item = match facts.settings.on_gap {
            OnGap::Halt => Item::fail(
                TITLE,
                evidence,
                "the next start stops there; say what to do about the gap with on-gap (record-gap writes it \
                 down), and raise the topic's retention",
            ),
            OnGap::Earliest | OnGap::Latest | OnGap::RecordGap => Item::warn(
                TITLE,
                evidence,
                "the next start goes on behind the gap, as on-gap says; raise the topic's retention",
            ),
        };
        return item.details(named(gone));
    }
    Item::pass(
        TITLE,
        format!(
            "all of them; {} not committed yet",
            count(waiting, "offset")
        ),
    )
}

fn retention(facts: &Facts) -> Item {
    const TITLE: &str = "retention";
    let topics = match &facts.kafka.topics {
        Work::Done(topics) => topics,
        Work::Failed(trouble) => {
            let remedy = trouble.remedy.clone();
            return Item::warn(
                TITLE,
                trouble.says.clone(),
                remedy.unwrap_or("look at retention.ms of the topics yourself".to_owned()),
            );
        }
        work @ Work::Omitted(_) => return without(TITLE, work, "the brokers"),
    };
    let outage = Outage::of(&facts.settings.checkpoint, &facts.settings.restart);
    let shortest = topics
        .values()
        .filter(|topic| topic.deletes)
        .filter_map(|topic| topic.retention)
        .min();
    let longest_outage = format!("the longest outage of the settings: {}", outage.says());
    let lines = || {
        topics
            .iter()
            .map(|(name, topic)| kept(name, topic))
            .collect()
    };
    let advice = "records could be deleted before they are read: raise retention.ms of the topic, to 7 d for example";
    let evidence = match shortest {
        Some(kept) => format!("{}; {longest_outage}", span(kept)),
        None => format!("without limit; {longest_outage}"),
    };
    match shortest {
        Some(kept) if kept < outage.total() => {
            Item::fail(TITLE, evidence, advice).details(lines())
        }
        Some(kept) if kept < SOMEBODY_LOOKS => Item::warn(
            TITLE,
            format!("{evidence}, but less than a day"),
            format!("{advice}; nobody may look for a night"),
        )
        .details(lines()),
        _ if topics.values().any(|topic| topic.deletes && topic.retention_bytes.is_some()) => {
            Item::warn(
                TITLE,
                format!("{evidence}; but limited by bytes too"),
                "a burst of records can push others out before they are read: set retention.bytes to -1, or \
                 to much more than a day's bytes",
            )
            .details(lines())
        }
        _ => Item::pass(TITLE, evidence),
    }
}

fn kept(name: &str, topic: &TopicSettings) -> String {
    let time = match topic.retention {
        Some(time) if topic.deletes => span(time),
        _ => "for ever".to_owned(),
    };
    let limit = match topic.retention_bytes {
        Some(limit) if topic.deletes => format!(", {} a partition", bytes(limit)),
        _ => String::new(),
    };
    let compacted = match topic.compacts {
        true => ", compacted",
        false => "",
    };
    format!("{name}: {time}{limit}{compacted}")
}
