//! calve streams Kafka topics into Apache Iceberg tables, each record exactly once, as one timely
//! dataflow.
//!
//! # The idea
//!
//! 1. Every record carries a timestamp, the [`Epoch`](time::Epoch): the checkpoint it belongs to.
//! 2. A source closes an epoch by emitting its cut (the next offset of each of its partitions) and
//!    downgrading its capability. No barrier message travels: when a frontier passes *e*, all of *e* has
//!    arrived.
//! 3. Writers stage Parquet files per epoch; one committer appends all files of *e* to the table when
//!    its input frontier passes *e*, and the offsets travel in that same Iceberg commit.
//! 4. So the table commit *is* the checkpoint: one atomic commit point, held by the catalog's
//!    compare-and-swap. Everything else is made before it or derived from it.
//!
//! Recovery never asks whether both halves happened. It reads the marker in the table, seeks Kafka to
//! its offsets and goes on; an epoch that was not committed is read again, never patched.
//!
//! # The rooms
//!
//! Bottom up; nothing imports upward. [`error`], [`time`], [`offsets`], [`messages`], [`rows`],
//! [`alarm`], [`budget`], [`metrics`], [`control`], [`notices`], [`process`], `retry` and `failpoint` are what everybody uses. Above them: [`config`] and
//! [`checkpoint`]; then [`kafka`], [`mod@format`] and [`iceberg`]; then [`state`]; then [`operators`], [`audit`]
//! and [`inspect`]; then [`observe`] and [`runtime`]; then [`verify`]; then [`cli`]; and on top the dataflows, which use the [`prelude`] only.
#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod alarm;
pub mod audit;
pub mod budget;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod control;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod documentation;
pub mod error;
mod failpoint;
pub mod format;
pub mod iceberg;
pub mod inspect;
pub mod kafka;
pub mod messages;
pub mod metrics;
pub mod notices;
pub mod observe;
pub mod offsets;
pub mod operators;
pub mod prelude;
pub mod process;
mod retry;
pub mod rows;
pub mod runtime;
pub mod state;
pub mod time;
pub mod verify;

pub use error::{Error, Result};
// The crates that stand in this one's interface: whoever uses them from here has the same versions.
pub use {arrow, timely};
