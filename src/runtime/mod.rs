//! Running a dataflow: from settings to worker threads to an exit.
//!
//! ```text
//!   launch ── process ──▶ worker 0 ── start: table, marker, claim ─┐
//!      │                  worker 1 ◀─────── resume dataflow ◀──────┤   (a broadcast: works across
//!      │                  worker … ◀───────────────────────────────┘    processes as well)
//!      │                     └─ each: build the Job's dataflow, step until it is done or has failed
//!      └─ signals: the first asks for a drain, the second stops at once
//! ```
//!
//! What must never happen here: a worker that leaves alone. Either the dataflow completes on all of
//! them, or the failure slot of the process is set and all of them drop it. Then `restarts` decides
//! whether the whole of it begins again: a fresh [`Process`](crate::process::Process), new workers, the
//! table's marker.

mod commits;
mod dataflow;
mod job;
mod launch;
mod migrate;
mod peers;
mod restarts;
mod share;
mod signals;
mod start;
mod state;
pub(crate) mod table;

pub use dataflow::{Dataflow, OwnTable};
pub use job::Job;
pub(crate) use launch::async_runtime;
pub use launch::{Cluster, RunOptions, Summary, run};
pub use migrate::{Left, Takeover};
pub use table::input_columns;
