//! The manifest of a snapshot: which files hold what.

use serde::{Deserialize, Serialize};

use super::backend::BackendKind;
use super::key_group::KeyGroups;

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StateFile {
    /// What it is called in the store's own folder.
    pub local: String,
    /// What it is called beside the manifest.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its XXH64.
    pub checksum: String,
}

/// What one worker adds to a snapshot: the state of one operator, in some key groups. It is small, and
/// goes to the worker that completes the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatePart {
    /// The operator.
    pub operator: String,
    /// The worker that held it.
    pub worker: usize,
    /// The key groups.
    pub groups: KeyGroups,
    /// What wrote the files.
    pub backend: BackendKind,
    /// The store's time.
    pub now_ms: u64,
    /// The files.
    pub files: Vec<StateFile>,
}
