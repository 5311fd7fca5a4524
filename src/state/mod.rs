//! State that survives: what an operator remembers of each key, and the snapshots it comes back from.
//!
//! ```text
//!   operator on a worker                       async runtime                       worker 0
//!  ┌────────────────────────┐           ┌──────────────────────┐          ┌──────────────────────┐
//!  │ ValueState … ListState │           │ SnapshotStore::upload│ StatePart│ complete ─▶ manifest │
//!  │        StateStore      │ snapshot  │  new files only, each│─────────▶│ (its id goes into the│
//!  │ (RocksDB or in memory) │──────────▶│  with its checksum   │          │  table commit of e)  │
//!  └────────────────────────┘  (e)      └──────────────────────┘          └──────────────────────┘
//! ```
//!
//! A [`StateStore`] belongs to one operator on one worker and holds the entries of the key groups that
//! the worker holds ([`MaxParallelism`]). When the operator's frontier has passed an epoch it takes a
//! [`LocalSnapshot`], whose files are written beside what comes next, as all the rest is.
//!
//! What the room rests on:
//!
//! * *A snapshot exists if and only if its manifest does*, and the manifest is written last: every file
//!   and every name is durable by then. A table commit that names a snapshot names something that is there.
//! * *Nothing is overwritten, and nothing is patched*: every file has a name of its own (`names.rs`), so a
//!   process that is a zombie by now can upload, and fail, without anybody minding. What a process of one
//!   generation may delete while another lives is argued, and tested, in `garbage.rs`.
//! * *Nothing is believed unread*: each file has a checksum in the manifest, the manifest has its own. What
//!   is torn, missing or changed is an error that names the file and the snapshots there are besides.
//! * *The same input makes the same state*: keys are hashed and encoded in one way for ever
//!   (`key_group.rs`, `encoding.rs`), and entries expire by a time that the operator gives.
//! * *Memory is bounded* by configuration for RocksDB. The other backend is the state itself.
//!
//! What this room must never do: read a clock, know of a dataflow, decide which snapshot is restored (the
//! table's marker says that), or delete a file because it is old.
//!
//! An operator declares what it remembers and uses it, in so many lines:
//!
//! ```
//! use std::time::Duration;
//! use calve::state::{Assignment, BackendKind, Backends, MaxParallelism, StateStore};
//!
//! # fn main() -> calve::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("calve-doc-{}", std::process::id()));
//! let backends = Backends::new(BackendKind::Rocksdb, 64 << 20);
//! let assignment = Assignment::new("dedup", MaxParallelism::default(), 0, 1);
//! let mut store = StateStore::create(assignment, &backends, &folder)?;
//! let seen = store.value::<str, ()>("seen", Some(Duration::from_secs(3_600)))?;
//!
//! store.advance_to(1_000);
//! let mut new = Vec::new();
//! seen.update_many(&mut store, ["a", "b", "a"], |_, before| {
//!     new.push(before.is_none());
//!     before.is_none().then_some(())
//! })?;
//! assert_eq!(new, [true, true, false]);
//! store.advance_to(1_000 + 3_600_000);
//! assert_eq!(seen.get(&store, "a")?, None);
//! # drop(store);
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok(())
//! # }
//! ```

mod backend;
mod backends;
mod encoding;
mod files;
mod folder;
mod garbage;
#[cfg(test)]
mod histories;
mod key_group;
mod keyed;
mod local;
mod manifest;
mod meanwhile;
mod memory;
mod names;
mod rocks;
mod savepoint;
mod snapshot;
mod snapshots;
mod store;
#[cfg(test)]
mod testing;
mod update;

pub use backend::{BackendKind, Changes, StateBackend, Visit};
pub use backends::Backends;
pub use garbage::Collected;
pub use key_group::{KeyGroup, KeyGroups, MaxParallelism};
pub use keyed::{ListState, MapState, ValueState};
pub use local::{LocalFolder, LocalSnapshot};
pub use manifest::{SnapshotHead, StateFile, StatePart};
pub use meanwhile::Written;
pub use names::{Owner, SnapshotId};
pub use snapshot::{Share, Snapshot};
pub use snapshots::SnapshotStore;
pub use store::{Assignment, StateStore};
