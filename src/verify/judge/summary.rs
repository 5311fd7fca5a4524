//! Configuration Summary: how source, checkpoint and sink fit together.

use std::time::Duration;

use indicatif::HumanCount;

use super::without;
use crate::checkpoint::marker::Marker;
use crate::config::OnTopicRecreated;
use crate::inspect::{Checkpoint, History};
use crate::verify::facts::{Brokers, Facts, TableFacts};
use crate::verify::outage::Outage;
use crate::verify::report::Item;
use crate::verify::words::{bytes, count, span};

/// Figures are taken from so many of the last checkpoints,
const LAST: usize = 20;
/// if they took so long: a backlog that was read in a second is no load.
const LOAD_MIN: Duration = Duration::from_secs(10);

/// | item | warns | fails |
/// |---|---|---|
/// | belong together | the marker knows a topic that is not read any more | the marker is of another Kafka cluster, or of a topic that was made anew |
/// | latency | a commit takes more than half of the interval | |
/// | replay | | |
/// | progress | records wait, and nothing was committed for three intervals | |
/// | room | `memory.uncommitted` is full before the timeout, at the present rate | |
pub(super) fn items(facts: &Facts) -> Vec<Item> {
    vec![
        path(facts),
        together(facts),
        latency(facts),
        replay(facts),
        progress(facts),
        room(facts),
    ]
}

fn path(facts: &Facts) -> Item {
    let settings = &facts.settings;
    Item::pass(
        "the way",
        format!(
            "{} → every {} one commit, with its offsets → {}",
            settings.kafka.topics.join(", "),
            span(settings.checkpoint.interval),
            facts.table_name
        ),
    )
}

/// The marker and the brokers, if both are known.
fn both<'a>(facts: &'a Facts, title: &'static str) -> Result<(&'a Marker, &'a Brokers), Item> {
    let Some(table) = facts.table.seen() else {
        return Err(without(title, &facts.table, "the table"));
    };
    let Some(marker) = &table.marker else {
        return Err(Item::unchecked(
            title,
            "the pipeline has never written to the table",
        ));
    };
    match facts.kafka.brokers.seen() {
        Some(brokers) => Ok((marker, brokers)),
        None => Err(without(title, &facts.kafka.brokers, "the brokers")),
    }
}

fn together(facts: &Facts) -> Item {
    const TITLE: &str = "table and topics belong together";
    let (marker, brokers) = match both(facts, TITLE) {
        Ok(both) => both,
        Err(item) => return item,
    };
    if let (Some(recorded), Some(found)) = (&marker.cluster_id, &brokers.cluster_id)
        && recorded != found
    {
        return Item::fail(
            TITLE,
            format!(
                "the table's offsets are of Kafka cluster {recorded}, the brokers are cluster {found}"
            ),
            "check kafka.brokers; to read another cluster into this table, use another pipeline.name",
        );
    }
    let remade: Vec<String> = marker
        .topic_ids
        .iter()
        .filter_map(|(name, recorded)| {
            let found = brokers.topics.get(name)?.id.as_ref()?;
            (found != recorded)
                .then(|| format!("{name}: the table knows {recorded}, the brokers have {found}"))
        })
        .collect();
    if !remade.is_empty() {
        let evidence = "a topic was deleted and made anew";
        return match facts.settings.on_topic_recreated {
            OnTopicRecreated::Halt => Item::fail(
                TITLE,
                evidence,
                "the next start stops there: if the new topic is the right one, `calve run --set \
                 on-topic-recreated=restart` reads it from its beginning",
            ),
            OnTopicRecreated::Restart => Item::warn(
                TITLE,
                evidence,
                "the next start reads it from its beginning, as on-topic-recreated says",
            ),
        }
        .details(remade);
    }
    let mut gone: Vec<&str> = marker
        .next
        .iter()
        .map(|(topic, ..)| topic)
        .filter(|topic| !brokers.topics.contains_key(*topic))
        .collect();
    gone.dedup();
    if !gone.is_empty() {
        return Item::warn(
            TITLE,
            format!("not read any more: {}", gone.join(", ")),
            "if that was meant to be, well: the marker keeps their offsets; else add them to kafka.topic",
        );
    }
    Item::pass(
        TITLE,
        match marker.topic_ids.is_empty() {
            true => "the same cluster; the brokers tell no ids of topics",
            false => "the same cluster, the same topics by their ids",
        },
    )
}

fn latency(facts: &Facts) -> Item {
    const TITLE: &str = "latency";
    let interval = facts.settings.checkpoint.interval;
    let Some(commit) = facts.probe.seen().and_then(|probe| probe.commit) else {
        return Item::pass(
            TITLE,
            format!(
                "a record is in the table after {} and a commit, at most",
                span(interval)
            ),
        );
    };
    let evidence = format!(
        "a record is in the table after {} on average, {} at most: the interval, and a commit of {} or more",
        span(interval / 2 + commit),
        span(interval + commit),
        span(commit)
    );
    match commit > interval / 2 {
        false => Item::pass(TITLE, evidence),
        true => Item::warn(
            TITLE,
            evidence,
            "commits fill most of the time: raise checkpoint.interval, or make the catalog faster",
        ),
    }
}

/// What the last checkpoints say of the load.
struct Load {
    records_per_s: f64,
    bytes_per_s: f64,
    over: Duration,
}

impl Load {
    fn of(table: &TableFacts) -> Option<Self> {
        let checkpoints = &table.history.as_ref()?.checkpoints;
        let commits: Vec<&Checkpoint> = checkpoints.iter().filter(|c| !c.claim).collect();
        let last = &commits[commits.len().saturating_sub(LAST + 1)..];
        let (first, newest) = (last.first()?, last.last()?);
        let over = u64::try_from(newest.committed_at_ms - first.committed_at_ms).ok()?;
        let over = Duration::from_millis(over);
        if over < LOAD_MIN {
            return None;
        }
        // What the first of them brought came before that time.
        let sum = |of: fn(&Checkpoint) -> u64| last[1..].iter().map(|c| of(c)).sum::<u64>() as f64;
        Some(Self {
            records_per_s: sum(|c| c.offsets) / over.as_secs_f64(),
            bytes_per_s: sum(|c| c.bytes) / over.as_secs_f64(),
            over,
        })
    }

    fn records_in(&self, time: Duration) -> u64 {
        (self.records_per_s * time.as_secs_f64()).ceil() as u64
    }
}

fn replay(facts: &Facts) -> Item {
    const TITLE: &str = "replay after a crash";
    let checkpoint = &facts.settings.checkpoint;
    let commit = facts.probe.seen().and_then(|probe| probe.commit);
    let usual = checkpoint.interval + commit.unwrap_or_default();
    let outage = Outage::of(checkpoint, &facts.settings.restart);
    let worst = outage.each.saturating_mul(outage.failures);
    let times = format!(
        "what {} have brought, {} if checkpoints fail up to the limit",
        span(usual),
        span(worst)
    );
    match facts.table.seen().and_then(Load::of) {
        None => Item::pass(
            TITLE,
            format!("{times}; none of it is in the table, so none is there twice"),
        ),
        Some(load) => Item::pass(
            TITLE,
            format!(
                "{times}: {} records, {} at the {} records/s of the last {}",
                HumanCount(load.records_in(usual)),
                HumanCount(load.records_in(worst)),
                HumanCount(load.records_per_s.round() as u64),
                span(load.over),
            ),
        ),
    }
}

fn last_commit(history: &History) -> Option<&Checkpoint> {
    history.checkpoints.last()
}

fn progress(facts: &Facts) -> Item {
    const TITLE: &str = "progress";
    let (marker, brokers) = match both(facts, TITLE) {
        Ok(both) => both,
        Err(item) => return item,
    };
    let history = facts.table.seen().and_then(|table| table.history.as_ref());
    let at = history
        .and_then(last_commit)
        .map_or(marker.committed_at_ms, |last| last.committed_at_ms);
    let age = Duration::from_millis(u64::try_from(facts.now_ms - at).unwrap_or(0));
    let mut waiting = 0;
    for (name, topic) in &brokers.topics {
        for (partition, marks) in &topic.partitions {
            let next = marker
                .next
                .get(name, *partition)
                .map_or(marks.low, |next| next.0);
            waiting += (marks.high - next.max(marks.low)).max(0) as u64;
        }
    }
    let evidence = format!(
        "last commit {} ago, {} waiting",
        span(age),
        count(waiting, "offset")
    );
    match waiting > 0 && age > facts.settings.checkpoint.interval * 3 {
        false => Item::pass(TITLE, evidence),
        true => Item::warn(
            TITLE,
            evidence,
            "if `calve run` is not up, start it; if it is, its log tells why it does not commit. (Transaction markers \
             have offsets too: they alone are committed once in marker.max-age)",
        ),
    }
}

fn room(facts: &Facts) -> Item {
    const TITLE: &str = "room for an outage";
    let settings = &facts.settings;
    let limit = settings.memory.uncommitted;
    let Some(load) = facts.table.seen().and_then(Load::of) else {
        return Item::pass(
            TITLE,
            format!("reading goes on until {} wait for a commit", bytes(limit)),
        );
    };
    let timeout = settings.checkpoint.timeout;
    let needed = (load.bytes_per_s * timeout.as_secs_f64()) as u64;
    let evidence = format!(
        "reading goes on until {} wait for a commit; {} of this load make {}",
        bytes(limit),
        span(timeout),
        bytes(needed)
    );
    match needed <= limit {
        true => Item::pass(TITLE, evidence),
        false => Item::warn(
            TITLE,
            evidence,
            "in a longer outage of the catalog reading pauses before the checkpoint fails: raise memory.uncommitted \
             (files in the warehouse, not memory)",
        ),
    }
}
