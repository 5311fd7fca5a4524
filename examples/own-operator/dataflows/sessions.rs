//! Numbers the sessions of each user.
//!
//! ```text
//!   kafka_source ──▶ batch ──▶ decode ──▶ keyed ══▶ stateful ──▶ stage ──▶ commit
//!   └──────────── job.rows() ─────────┘    last: user → session └── job.write() ──┘
//! ```
//!
//! A session ends when its user has been silent for `own.session-gap`, by the records' own `start_time`, in the order in
//! which the records of a user come. Of each record the column `session` says in which one it lies, from 1.

use std::sync::Arc;
use std::time::Duration;

use calve::arrow::array::{Array, AsArray, Int64Builder};
use calve::arrow::datatypes::TimestampMicrosecondType;
use calve::prelude::*;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Kafka topics into one Iceberg table, each record with the number of its session.
pub const SESSIONS: Dataflow = Dataflow::new("sessions", "Number the sessions of each user", build)
    .keeping(&["sessions"])
    .reading(&["session-gap"]);

fn build(job: &Job<'_>) -> Result<()> {
    let rows = job.rows()?.sessions(job)?;
    job.write(rows);
    Ok(())
}

/// The operator, as a method of every stream of rows.
pub trait SessionNumbers<'scope> {
    /// Fills in the column `session`.
    fn sessions(self, job: &Job<'scope>) -> Result<RowStream<'scope>>;
}

impl<'scope> SessionNumbers<'scope> for RowStream<'scope> {
    fn sessions(self, job: &Job<'scope>) -> Result<RowStream<'scope>> {
        let user = job.key_columns(&["user_id"])?;
        let mut state = job.state("sessions")?;
        let gap = job.settings().own("session-gap").duration()?;
        let mut sessions = Sessions {
            last: state.store().value("last", None)?,
            user: user.clone(),
            gap: gap.unwrap_or(Duration::from_secs(30 * 60)),
        };
        let keyed = self.keyed(user, &state);
        Ok(keyed.stateful(state, move |store, rows| sessions.number(store, rows)))
    }
}

/// The last session of a user: its number, and when the last record of it began.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Session {
    number: i64,
    until_us: i64,
}

struct Sessions {
    last: ValueState<Key, Session>,
    user: KeyColumns,
    gap: Duration,
}

impl Sessions {
    /// What the operator does with a batch of rows: all of it but the dataflow, so that it can be tested without one.
    fn number(&mut self, store: &mut StateStore, rows: Rows) -> Result<Option<Rows>> {
        let gap_us = i64::try_from(self.gap.as_micros()).unwrap_or(i64::MAX);
        let users = self.user.of(&rows.batch)?;
        let times = rows.batch.column_by_name("start_time");
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(|| Error::config("start_time is no column of timestamps"))?;
        let mut numbers = Int64Builder::with_capacity(times.len());
        self.last.update_many(store, users.iter(), |row, last| {
            let in_session = !users.get(row).is_null() && times.is_valid(row);
            let session = in_session.then(|| session_at(times.value(row), last, gap_us));
            numbers.append_option(session.map(|session| session.number));
            session
        })?;
        let numbers = Arc::new(numbers.finish());
        rows.with_column("session", numbers).map(Some)
    }
}

/// The session that a record at this time lies in, after the last one of its user.
fn session_at(time_us: i64, last: Option<Session>, gap_us: i64) -> Session {
    match last {
        Some(last) if time_us.saturating_sub(last.until_us) <= gap_us => Session {
            until_us: last.until_us.max(time_us),
            ..last
        },
        last => Session {
            number: last.map_or(1, |last| last.number + 1),
            until_us: time_us,
        },
    }
}
