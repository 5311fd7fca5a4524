//! The table: opening catalogs, creating tables, writing files, and the guarded commit.
//!
//! ```text
//!  open_catalog ─▶ load_or_create ─▶ Committer::observe ─▶ claim ──────────────┐
//!                        │                                                     ▼
//!                        └─▶ TableWriter ─ rolling Parquet files ─▶ StagedFile ─▶ Committer::commit
//!                            (every worker)                                       (one worker)
//! ```
//!
//! The table commit is the checkpoint: files, offsets and the name of the state snapshot become
//! visible in one compare-and-swap of the catalog. What that rests on:
//!
//! * nothing but the [`Committer`] can append: staged files are opaque outside of this room, and
//!   inside, the way to the catalog's swap leads through the guard (but for the empty commits of a
//!   [`probe`()](probe()) to a scratch table of its own);
//! * the answer of a catalog is a hint, a reload is the proof;
//! * every file name is unique, because every storage backend overwrites in silence;
//! * what a writer holds in memory is bounded by the row-group size, whatever the data.
//!
//! What this room must never do: decide about a marker (that is [`crate::checkpoint::decisions`]),
//! read settings, or delete a file that a table may refer to (what it deletes is proved in [`Sweep`]).

mod catalog;
mod commit;
mod committer;
mod facts;
mod failure;
mod flink;
mod guard;
mod landing;
mod lineage;
mod listing;
mod merge;
mod metrics;
pub mod names;
mod outage;
mod parquet_file;
mod probe;
mod properties;
mod refusal;
mod rest;
mod retention;
mod retries;
mod savepoints;
mod scratch_file;
mod sink;
mod stage;
mod staged;
mod stale;
mod state;
mod storage;
mod stored;
mod swaps;
mod sweep;
mod table;
mod writer;

#[cfg(test)]
mod commit_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
pub(crate) mod testing;

pub use catalog::{CatalogKind, CatalogOptions, S3Options, masked, open_catalog};
pub use commit::{CommitOptions, CommitStaged};
pub use committer::{Committed, Committer, Observation, Staged};
pub(crate) use facts::figure;
pub(crate) use failure::external;
pub use flink::{FlinkCommit, flink_commits};
pub use landing::CommitFailure;
pub use lineage::{Link, chain, cut_off, observe, of_main};
pub(crate) use listing::s3_operator;
pub use probe::{Answer, Probe, StaleCommit, probe};
pub use retention::Retention;
pub use savepoints::{SavepointStore, read_savepoint, savepoint_folder};
pub use scratch_file::{Medium, try_location};
pub use sink::Sink;
pub use stage::Stage;
pub use staged::StagedFile;
pub use state::{NamedStates, StateGate, StateSnapshots};
pub(crate) use storage::local_path;
pub use stored::{Stored, StoredRows};
pub use sweep::Sweep;
pub use table::{TableOptions, check, load, load_or_create, type_name};
pub use writer::{TableWriter, WriteProgress, WriterOptions};
