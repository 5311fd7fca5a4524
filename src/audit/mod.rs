//! Is each record in the table exactly once? Asked of the table alone.
//!
//! ```text
//!   metadata ── the markers in the lineage of main ──┐
//!   manifests ─ which files each commit added ───────┼─▶ Facts ─▶ judge ─▶ Report    calve audit
//!   data files ─ _topic, _partition, _offset ────────┘   └──────▶ conclude ─▶ Answer   calve explain
//!          (reading: effects)                              (pure: facts → findings)
//! ```
//!
//! Every commit of a pipeline says which offsets it covers and how many rows it wrote. If these
//! ranges join, if each row lies in the range of its commit, and if no offset has two rows, then
//! nothing is there twice. If each range still holds as many rows as its commit wrote, nothing was
//! lost since. What this can't see is whether the ranges match what is in Kafka: offsets without a
//! row are listed, for rejects, transaction markers and compaction leave such holes rightly.
//!
//! What rests on the provenance columns rests on the rows themselves, whoever wrote the files that
//! hold them now. So a table that another engine has compacted is checked as well as any other.
//!
//! What this room must never do: claim, commit, create or delete anything, or ask Kafka.

mod answer;
mod chain;
mod facts;
mod judge;
mod keys;
mod manifests;
mod offset_set;
mod report;
mod rows;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Holder, Record, Standing, explain};
pub use chain::{Coverage, Covered, Place};
pub use facts::{Facts, Live, Rows, Stray, Written, observe};
pub use judge::judge;
pub use keys::{DIGESTS_MAX, Keys, duplicate_keys};
pub use offset_set::{OffsetSet, Tally};
pub use report::{Check, Finding, MarkerRef, PartitionReport, Report, Sample, Subject, Verdict};
