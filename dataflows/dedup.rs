//! The main job without duplicates: of records with the same key only the first comes into the table.
//!
//! ```text
//!   kafka_source ──▶ batch ──▶ decode ──▶ keyed ══▶ stateful ──▶ stage ──▶ commit
//!   └──────────── job.rows() ─────────┘       seen: key → time  └── job.write() ──┘
//! ```
//!
//! Producers that send again what they have no answer to make two records of one. `dedup.key` says which columns
//! tell that two records are the same; `dedup.ttl` how long the first of them is remembered:
//!
//! | the key was seen | the record's time | the record |
//! |---|---|---|
//! | never | | comes into the table |
//! | at *t*, no `dedup.ttl` | | is dropped |
//! | at *t* | before *t* + `dedup.ttl` | is dropped |
//! | at *t* | later | comes into the table; the key was seen at its time now |
//!
//! Times are Kafka's timestamps of the records (a record without one is of 1970). A key is forgotten when records
//! have come from every partition whose time is `dedup.ttl` later ([`Watermark`]; a partition from which nothing comes
//! is waited for ten minutes), so partitions may be apart by as much as they like. No time in the future counts for
//! that: one producer whose clock is wrong must not empty the memory. A record with a null in its key is equal to none,
//! as in SQL.
//!
//! The first is the first that is *read*: of copies in different partitions that may be any.

use std::time::Instant;

use calve::prelude::*;
use chrono::Utc;

/// Kafka topics into one Iceberg table, without the records whose key was seen before.
pub const DEDUP: Dataflow = Dataflow::new(
    "dedup",
    "The same without duplicates: of records with the same key only the first",
    build,
)
.keeping(&["dedup"])
.whose_state_means(|settings| format!("by {}", settings.dedup.key.join(", ")));

fn build(job: &Job<'_>) -> Result<()> {
    let settings = &job.settings().dedup;
    if settings.key.is_empty() {
        return Err(Error::config("dedup.key is not set")
            .advice("set dedup.key to the columns that tell that two records are the same"));
    }
    let key = job.key_columns(&settings.key)?;
    if settings.ttl.is_some() && !job.has_timestamps() {
        return Err(Error::config(
            "dedup.ttl counts by the column _timestamp, which the table does not have",
        )
        .advice("set table.provenance=true, or unset dedup.ttl"));
    }
    let mut state = job.state("dedup")?;
    let mut seen = Seen {
        at: state.store().value("seen", settings.ttl)?,
        key: key.clone(),
        ttl_ms: settings.ttl.map(|ttl| ttl.as_millis() as i64),
        watermark: job.watermark(),
    };
    let process = job.process();

    let rows = job
        .rows()?
        .keyed(key, &state)
        .stateful(state, move |store, rows: Rows| {
            let keep = seen.are_new(store, &rows)?;
            let dropped = keep.iter().filter(|keep| !**keep).count();
            process
                .metrics()
                .records_deduplicated
                .inc_by(dropped as u64);
            rows.filter(keep)
        });
    job.write(rows);
    Ok(())
}

/// When each key was seen, by the time of the record that came into the table.
struct Seen {
    at: ValueState<Key, i64>,
    key: KeyColumns,
    ttl_ms: Option<i64>,
    watermark: Watermark,
}

impl Seen {
    /// Tells for each row whether it comes into the table, and remembers those that do.
    fn are_new(&mut self, store: &mut StateStore, rows: &Rows) -> Result<Vec<bool>> {
        let keys = self.key.of(&rows.batch)?;
        let times: Vec<i64> = match rows.timestamps_ms() {
            Some(times) => times.map(Option::unwrap_or_default).collect(),
            None => vec![0; rows.batch.num_rows()],
        };
        let clock_ms = Utc::now().timestamp_millis();
        let by_now = |time: i64| time.min(clock_ms).max(0) as u64;
        let mut keep = Vec::with_capacity(times.len());
        self.at.update_many_at(store, keys.iter(), |row, seen| {
            let (time, null) = (times[row], keys.get(row).is_null());
            let is_new = null || !self.is_repeated(seen, time);
            keep.push(is_new);
            (is_new && !null).then(|| (time, by_now(time)))
        })?;
        if self.ttl_ms.is_some()
            && let Some(watermark) = self.watermark.advance(rows, Instant::now())
        {
            store.advance_to(by_now(watermark));
        }
        Ok(keep)
    }

    /// The table of this page.
    fn is_repeated(&self, seen: Option<i64>, time: i64) -> bool {
        match (seen, self.ttl_ms) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(seen), Some(ttl)) => time < seen.saturating_add(ttl),
        }
    }
}
