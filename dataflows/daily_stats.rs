//! Running statistics: count, sum, least, greatest and mean of a value, for each group and day.
//!
//! ```text
//!   kafka_source ──▶ batch ──▶ decode ──▶ statistics ──┐
//!                                └─ rejects            ├─▶ count_total ─────┐
//!                                                      │  (one entry a key) ├─▶ consolidate ──▶ stage ──▶ commit
//!   stored_rows ──▶ changes ──▶ current ── days ───────┘                    │
//!                                 └──────────── all, negated ───────────────┘
//! ```
//!
//! The table is a changelog: each epoch appends what has changed, `_diff` 1 for what holds from now on and -1
//! for what no longer does. So a late record corrects its day, and who reads the table needs one line of SQL for
//! what is true now. Weeks and months are kept in the same arrangement, under keys of their own.
//!
//! The arrangement is rebuilt at the start from the table itself, as it stood when the run took the pipeline over:
//! the offsets to go on from are in that same snapshot, so nothing else has to survive. What is written is always
//! *what is true now, less what the table says already*. In the first epoch that cancels all that was restored, and
//! leaves what the table lacks (roll-ups that were switched on) or has too much (those that were switched off).

mod changelog;
mod columns;
mod exact;
mod records;
mod statistic;

use std::sync::Arc;

use calve::prelude::*;
use calve::process::Process;
use differential_dataflow::operators::CountTotal;
use differential_dataflow::{AsCollection, VecCollection};
use iceberg::arrow::schema_to_arrow_schema;
use timely::dataflow::operators::vec::Map;

use changelog::{ChangeRows, Changelog, Changes, Current, CurrentOnly};
use columns::{Columns, internal};
use records::{Records, Statistics};
use statistic::{Key, Period, Statistic};

/// Statistics of a value, by group and day, as a changelog table.
pub const DAILY_STATS: Dataflow = Dataflow::new(
    "daily_stats",
    "Count, sum, min, max and mean by group and day, kept up to date as a changelog table",
    build,
)
.with_table(Columns::table);

fn build(job: &Job<'_>) -> Result<()> {
    let columns = Columns::new(job.settings())?;
    let schema = Arc::new(schema_to_arrow_schema(job.sink().schema()).map_err(internal)?);
    let changelog = || Changelog::new(&columns, Arc::clone(&schema));

    let decoder = job.input_decoder()?;
    let records = Records::new(&columns, decoder.schema())?;
    let messages = job.kafka_source()?.batch(job.batching());
    let (rows, rejects) = messages.decode(decoder, job.process());
    job.commits_wait_for(rejects.on_reject(job.settings().on_reject, job.process()));

    let stored = changelog()?;
    let table = job.stored_rows(&stored.stored());
    let table = table.changes(stored, job.process());
    let statistics = rows.statistics(records, job.process());
    let changes = changes(statistics, table, columns.periods.clone(), job.process());

    let rows = changes.change_rows(changelog()?, job.process());
    job.write(rows);
    Ok(())
}

/// What is true now, less what `table` says: the records' differences on top of the state that is rebuilt from it.
fn changes<'scope>(
    records: VecCollection<'scope, Epoch, Key, Statistic>,
    table: VecCollection<'scope, Epoch, Current>,
    periods: Vec<Period>,
    process: Arc<Process>,
) -> VecCollection<'scope, Epoch, Current> {
    let table = table.current_only(process);
    let state = by_period(table.clone(), periods);
    let current = records.concat(state).count_total();
    current.concat(table.negate()).consolidate()
}

/// The state that the table holds: its days, in all periods that are kept now.
fn by_period<'scope>(
    current: VecCollection<'scope, Epoch, Current>,
    periods: Vec<Period>,
) -> VecCollection<'scope, Epoch, Key, Statistic> {
    let differences = current
        .inner
        .flat_map(move |((key, statistic), epoch, _one)| {
            let periods: &[Period] = match key.period {
                Period::Day => &periods,
                Period::Week | Period::Month => &[],
            };
            let keys = Key::all(periods, &key.group, key.start);
            let state: Vec<_> = keys.map(|key| (key, epoch, statistic.clone())).collect();
            state
        });
    differences.as_collection()
}

#[cfg(test)]
mod tests;
