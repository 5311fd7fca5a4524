//! How far the records' own time has come: by it, and not by a clock, state expires.
//!
//! Partitions are read side by side and not in step: of a backlog, one may be days ahead of another. So the watermark is
//! the *earliest* of their latest times. No record that is still to come is older than it, as far as each partition is
//! in order.
//!
//! | a partition | it |
//! |---|---|
//! | of which rows came in the last ten minutes | counts with the latest time of its rows |
//! | of which none has come yet, in the first ten minutes of a run | holds the watermark where it is |
//! | of which none came for ten minutes | counts for nothing, until the next one comes |
//!
//! Nothing can be told of a partition from which nothing comes: it may be empty, or its broker may be away. Waiting costs
//! room for what could be forgotten; not waiting, what should not be. Hence the ten minutes, which are those of a clock
//! that stands still when nothing has come from any partition for a minute.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Rows;

#[cfg(test)]
mod tests;

/// So long a partition from which nothing comes is waited for.
const IDLE_AFTER: Duration = Duration::from_secs(600);

/// Of a silence of all partitions no more than this counts as idleness of each.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The watermark of the rows that come to one operator on one worker.
#[derive(Clone, Debug)]
pub struct Watermark {
    partitions: HashMap<String, HashMap<i32, Seen>>,
    /// When rows came last, of whichever partition.
    last: Instant,
}

/// What was seen of a partition.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// `None` if nothing was.
    latest_ms: Option<i64>,
    last: Instant,
}

impl Watermark {
    /// Nothing has come yet of these partitions.
    pub fn new<'t>(partitions: impl IntoIterator<Item = (&'t str, i32)>, now: Instant) -> Self {
        let mut watermark = Self {
            partitions: HashMap::new(),
            last: now,
        };
        for (topic, partition) in partitions {
            watermark.seen(topic, partition, None, now);
        }
        watermark
    }

    /// Takes note of rows, and says where the watermark stands, in milliseconds since 1970; `None` while a partition
    /// holds it. It may go back: whoever uses it keeps the latest.
    ///
    /// A row without a timestamp is of 1970. Of a table without the columns `_topic` and `_partition` all rows are those
    /// of one partition.
    pub fn advance(&mut self, rows: &Rows, now: Instant) -> Option<i64> {
        self.forgive_pause(now);
        // Neighbours are mostly of the same partition.
        let mut latest: Vec<(&str, i32, i64)> = Vec::new();
        for ((topic, partition), time_ms) in rows.origins().zip(rows.timestamps_ms()?) {
            let time_ms = time_ms.unwrap_or_default();
            let mut known = latest.iter_mut().rev();
            match known.find(|(t, p, _)| (*t, *p) == (topic, partition)) {
                Some((_, _, latest_ms)) => *latest_ms = time_ms.max(*latest_ms),
                None => latest.push((topic, partition, time_ms)),
            }
        }
        for (topic, partition, latest_ms) in latest {
            self.seen(topic, partition, Some(latest_ms), now);
        }
        let all = self.partitions.values().flat_map(HashMap::values);
        let live = all.filter(|seen| now.duration_since(seen.last) < IDLE_AFTER);
        live.map(|seen| seen.latest_ms).min().flatten()
    }

    /// A time in which nothing came at all, since the brokers were away or the process stood still, is no sign that one
    /// partition has less to say than another: whoever speaks first afterwards must not be alone.
    fn forgive_pause(&mut self, now: Instant) {
        let pause = now.duration_since(self.last);
        self.last = now;
        let beyond = pause.saturating_sub(PAUSE_MAX);
        for seen in self.partitions.values_mut().flat_map(HashMap::values_mut) {
            seen.last += beyond;
        }
    }

    fn seen(&mut self, topic: &str, partition: i32, latest_ms: Option<i64>, now: Instant) {
        if !self.partitions.contains_key(topic) {
            self.partitions.insert(topic.to_owned(), HashMap::new());
        }
        let Some(partitions) = self.partitions.get_mut(topic) else {
            return;
        };
        let seen = partitions.entry(partition).or_insert(Seen {
            latest_ms,
            last: now,
        });
        seen.latest_ms = seen.latest_ms.max(latest_ms);
        seen.last = now;
    }
}
