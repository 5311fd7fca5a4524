//! Kafka: reading partitions into the dataflow.
//!
//! ```text
//!   Cluster ── partitions, watermarks ──▶ start offsets, Discovery
//!                                             │ new partitions
//!   closes ──▶ ┌──────────────┐ ◀─────────────┘
//!              │ kafka_source │ ── messages ─▶ …      one per worker
//!   commits ─▶ │  (Consumer)  │ ── cuts ─────▶ sinks
//!              └──────────────┘ ── reports ──▶ coordinator
//! ```
//!
//! Invariants:
//! * Partition *p* is read by worker *p mod peers*, by manual assignment. No group membership, so no
//!   rebalance can take a partition away in the middle of an epoch.
//! * Where reading starts is decided once, in the table's marker; the group's offsets are written for
//!   people to look at and never read.
//! * An epoch is committed only if its topics still have the ids that the marker knows.
//! * `auto.offset.reset` is `error`, always: a lost offset is a fact to report, not a reason to jump.
//! * The cut is the position: behind the last record, and behind the transaction markers and compaction
//!   gaps that stand between it and the partition's end.

mod client;
mod cluster;
mod consumer;
mod discovery;
mod group;
mod queue;
mod reader;
mod recreation;
mod source;
mod topic_id;
mod topic_settings;

pub use cluster::Cluster;
pub use consumer::{Consumer, effective_config};
pub use discovery::Discovery;
pub use group::committed;
pub use queue::{Event, Record};
pub use recreation::TopicWatch;
pub use source::{Chunk, KafkaSource, Source, SourceOptions, Start};
pub use topic_id::Identity;
pub use topic_settings::{TopicSettings, topic_settings};
