//! Is a pipeline set up so that each record is there exactly once, and stays so? Five checks, each with its evidence.
//!
//! ```text
//!   settings ──────────────────────────────────────────────┐
//!   librdkafka: the configuration in force ────────────────┤
//!   brokers: topics, watermarks, retention ────────────────┼─▶ Facts ─▶ judge ─▶ Report     calve verify
//!   directories of checkpoints and savepoints: a file ──────┤     (pure)
//!   catalog: the table, and a scratch table for the swap ──┤
//!   the table itself: markers, rows (the audit) ───────────┘
//! ```
//!
//! Everything that is a matter of fact is asked of whoever knows: the client's configuration of librdkafka, the
//! offsets of the table, the comparison of the catalog's swap by a commit that must be refused. The pipeline may run
//! or not; it notices nothing.
//!
//! What this room must never do: claim, write to the pipeline's table, join a consumer group, or leave anything behind.

mod facts;
mod judge;
mod observe;
mod outage;
mod report;
pub(crate) mod words;

#[cfg(test)]
mod tests;

pub use facts::{
    Brokers, ClientSettings, Facts, KafkaFacts, Located, Snapshots, TableFacts, Trouble, Work,
};
pub use judge::judge;
pub use observe::{Options, observe};
pub use outage::Outage;
pub use report::{Check, Item, Report, Section, Verdict};
