//! What a table's metadata tells: its checkpoints, and how its files grow.
//!
//! The markers in the history of `main` are the history of the checkpoints: no other record of them is kept, and
//! none is needed. A look reads the table's metadata, and nothing else: no manifest, no data file, no Kafka.
//!
//! What this room must never do: claim, commit, create or delete anything.

mod checkpoints;
mod tables;

#[cfg(test)]
mod tests;

pub use checkpoints::{Checkpoint, Difference, History, Moved, checkpoints};
pub use tables::{Growth, TableSummary, Writer, summarize, tables};
