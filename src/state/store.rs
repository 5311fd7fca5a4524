//! The store of one stateful operator on one worker.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::backend::{BackendKind, Changes, Horizon, StateBackend};
use super::backends::Backends;
use super::encoding;
use super::files;
use super::key_group::{KeyGroups, MaxParallelism};
use super::keyed::{ListState, MapState, StateKind, ValueState};
use super::local::{LocalSnapshot, Uploaded};
use crate::error::{Error, Result};
use crate::time::Epoch;

#[cfg(test)]
mod tests;

/// Whose state it is, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The operator's name: unique in the dataflow, and the same in every run.
    pub operator: String,
    /// The worker.
    pub worker: usize,
    /// The number of all groups.
    pub max_parallelism: MaxParallelism,
    /// Those that this worker holds.
    pub groups: KeyGroups,
}

impl Assignment {
    /// The part of `worker`, one of `peers`.
    pub fn new(
        operator: &str,
        max_parallelism: MaxParallelism,
        worker: usize,
        peers: usize,
    ) -> Self {
        Self {
            operator: operator.to_owned(),
            worker,
            max_parallelism,
            groups: max_parallelism.groups_of(worker, peers),
        }
    }
}

/// The state of one operator on one worker: its key groups of all states that the operator declares.
///
/// The store lives in a folder of its own, its *home*, and is lost with the process: what lasts is a
/// snapshot that was uploaded.
///
/// A store has a time, which only its owner moves, and only forwards: by it, and never by a clock,
/// entries expire. So a replay of the same records finds the same state.
pub struct StateStore {
    assignment: Assignment,
    kind: BackendKind,
    backend: Box<dyn StateBackend>,
    horizon: Horizon,
    home: PathBuf,
    uploaded: Arc<Mutex<Uploaded>>,
}

/// What a store says of itself, under [`header_key`].
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    operator: String,
    max_parallelism: MaxParallelism,
}

/// What a store says of each state it holds, under [`declaration_key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Declaration {
    name: String,
    kind: StateKind,
}

/// Room for a key of usual length, such as a UUID as text, so that it is encoded without a second allocation.
const KEY_BYTES: usize = 64;

/// Where the header is.
fn header_key() -> Vec<u8> {
    [&encoding::HEADER[..], b"header"].concat()
}

/// What the keys of all declarations begin with.
fn declarations() -> Vec<u8> {
    [&encoding::HEADER[..], b"state/"].concat()
}

fn declaration_key(id: u32) -> Vec<u8> {
    [&declarations()[..], &id.to_be_bytes()].concat()
}

/// The number that stands for a state in every key: of its name alone, so that stores which declared
/// their states in another order can be joined.
fn state_id(name: &str) -> u32 {
    let hash = XxHash64::oneshot(0, name.as_bytes());
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// The folder of the backend's files in a home.
pub(super) fn database(home: &Path) -> PathBuf {
    home.join("db")
}

impl StateStore {
    /// An empty store. What lies in its home is removed: it is of an earlier run, which uploaded what
    /// is to last.
    pub fn create(assignment: Assignment, backends: &Backends, home: &Path) -> Result<Self> {
        files::remove_folder(home)?;
        files::create_folder(home)?;
        let horizon = Horizon::default();
        let mut backend = backends.create(&database(home), &horizon)?;
        let header = Header {
            operator: assignment.operator.clone(),
            max_parallelism: assignment.max_parallelism,
        };
        let mut changes = Changes::default();
        let header = encoding::encode(&header)?;
        changes.put(header_key(), [&[encoding::VERSION][..], &header].concat());
        backend.write(changes)?;
        Ok(Self {
            assignment,
            kind: backends.kind(),
            backend,
            horizon,
            home: home.to_owned(),
            uploaded: Arc::default(),
        })
    }

    /// The store whose files lie in its home.
    pub(super) fn open(
        assignment: Assignment,
        backends: &Backends,
        home: &Path,
        now_ms: u64,
        uploaded: Uploaded,
    ) -> Result<Self> {
        let horizon = Horizon::new(now_ms);
        let backend = backends.open(&database(home), &horizon)?;
        check_header(&*backend, &assignment)?;
        Ok(Self {
            assignment,
            kind: backends.kind(),
            backend,
            horizon,
            home: home.to_owned(),
            uploaded: Arc::new(Mutex::new(uploaded)),
        })
    }

    /// Takes over what another store holds of this one's groups, but what has expired there.
    pub(super) fn take_over(&mut self, from: &dyn StateBackend, now_ms: u64) -> Result<()> {
        check_header(from, &self.assignment)?;
        let mut declared = Vec::new();
        from.scan(&declarations(), &mut |key, value| {
            declared.push((key.to_vec(), encoding::decode(value)?));
            Ok(())
        })?;
        for (key, declaration) in declared {
            self.declare_at(key, declaration)?;
        }
        let mut import = Import::new(&mut *self.backend);
        for group in self.assignment.groups.iter() {
            from.scan(&group.0.to_be_bytes(), &mut |key, entry| {
                if encoding::is_dead(key, entry, now_ms) {
                    return Ok(());
                }
                import.put(key, entry)
            })?;
        }
        import.finish()
    }

    /// Whose state it is.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The store's time, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.horizon.get()
    }

    /// Moves the store's time forwards; an earlier time changes nothing. Entries whose time has come
    /// are gone at once.
    pub fn advance_to(&mut self, now_ms: u64) {
        self.horizon.advance_to(now_ms);
    }

    /// Declares a state with one value for each key.
    ///
    /// `name` is the state's own in this operator, for ever. With a time to live, a value is gone that
    /// long after it was put; entries carry their own time, so it can be changed from one run to the next.
    pub fn value<K: ?Sized, V>(
        &mut self,
        name: &str,
        time_to_live: Option<Duration>,
    ) -> Result<ValueState<K, V>> {
        let id = self.declare(name, StateKind::Value)?;
        Ok(ValueState::new(id, time_to_live))
    }

    /// Declares a state with a map for each key. See [`StateStore::value`].
    pub fn map<K: ?Sized, UK: ?Sized, UV>(
        &mut self,
        name: &str,
        time_to_live: Option<Duration>,
    ) -> Result<MapState<K, UK, UV>> {
        let id = self.declare(name, StateKind::Map)?;
        Ok(MapState::new(id, time_to_live))
    }

    /// Declares a state with a list for each key. See [`StateStore::value`].
    pub fn list<K: ?Sized, V>(
        &mut self,
        name: &str,
        time_to_live: Option<Duration>,
    ) -> Result<ListState<K, V>> {
        let id = self.declare(name, StateKind::List)?;
        Ok(ListState::new(id, time_to_live))
    }

    fn declare(&mut self, name: &str, kind: StateKind) -> Result<u32> {
        let id = state_id(name);
        let declaration = Declaration {
            name: name.to_owned(),
            kind,
        };
        self.declare_at(declaration_key(id), declaration)?;
        Ok(id)
    }

    fn declare_at(&mut self, key: Vec<u8>, declared: Declaration) -> Result<()> {
        let Some(found) = self.backend.get(&key)? else {
            let mut changes = Changes::default();
            changes.put(key, encoding::encode(&declared)?);
            return self.backend.write(changes);
        };
        let found: Declaration = encoding::decode(&found)?;
        if found == declared {
            return Ok(());
        }
        let (operator, Declaration { name, kind }) = (&self.assignment.operator, &declared);
        Err(Error::config(format!(
            "operator {operator} declares the {kind} `{name}`, its state holds the {} `{}` in that place",
            found.kind, found.name
        ))
        .advice("declare it under another name: the old entries stay what they are"))
    }

    /// Begins to write what is there now into files of their own, which [`super::SnapshotStore::upload`] takes to
    /// where they last. Nobody waits for them: what comes next is kept apart until they are written.
    pub fn snapshot(&mut self, epoch: Epoch) -> Result<LocalSnapshot> {
        let folder = self.home.join(format!("snapshot-e{epoch}"));
        files::remove_folder(&folder)?;
        let written = self.backend.snapshot(&folder)?;
        Ok(LocalSnapshot {
            epoch,
            assignment: self.assignment.clone(),
            backend: self.kind,
            now_ms: self.horizon.get(),
            folder,
            written,
            uploaded: Arc::clone(&self.uploaded),
        })
    }

    pub(super) fn backend(&self) -> &dyn StateBackend {
        &*self.backend
    }

    pub(super) fn write(&mut self, changes: Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.backend.write(changes)
    }

    /// The bytes of a key of one of this store's states.
    pub(super) fn key<K: Serialize + ?Sized>(&self, state: u32, key: &K) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        self.key_behind(&mut bytes, state, key)?;
        Ok(bytes)
    }

    /// Writes the bytes of a key behind others.
    pub(super) fn key_behind<K: Serialize + ?Sized>(
        &self,
        bytes: &mut Vec<u8>,
        state: u32,
        key: &K,
    ) -> Result<()> {
        let start = bytes.len();
        bytes.extend([0; encoding::PREFIX_LEN]);
        *bytes = encoding::encode_after(std::mem::take(bytes), key)?;
        let (prefix, key) = bytes[start..].split_at_mut(encoding::PREFIX_LEN);
        let Assignment {
            operator,
            worker,
            max_parallelism,
            groups,
        } = &self.assignment;
        let group = max_parallelism.group_of(key);
        if !groups.contains(group) {
            return Err(Error::internal(format!(
                "operator {operator} asked worker {worker}, which holds the key groups {groups}, for a \
                 key of group {group}"
            ))
            .advice(
                "nothing was changed; its input must be exchanged by MaxParallelism::group_of_key of \
                 that very key",
            ));
        }
        prefix.copy_from_slice(&encoding::prefix(group, state));
        Ok(())
    }
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateStore")
            .field("assignment", &self.assignment)
            .field("kind", &self.kind)
            .field("now_ms", &self.horizon.get())
            .finish_non_exhaustive()
    }
}

/// Refuses a store that this program can't read, or that is another one's.
fn check_header(backend: &dyn StateBackend, assignment: &Assignment) -> Result<()> {
    let operator = &assignment.operator;
    let header = backend.get(&header_key())?.ok_or_else(|| {
        Error::diverged(format!("the state of operator {operator} has no header"))
            .advice("it is damaged: start from another snapshot")
    })?;
    let (version, header) = header.split_first().unwrap_or((&0, &[]));
    if *version > encoding::VERSION {
        return Err(Error::diverged(format!(
            "the state of operator {operator} has format {version}, this program reads up to {}",
            encoding::VERSION
        ))
        .advice("nothing was changed; a newer calve has written it: run that version"));
    }
    let header: Header = encoding::decode(header)?;
    if header.operator != *operator {
        return Err(Error::internal(format!(
            "the state of operator {} was opened as that of {operator}",
            header.operator
        )));
    }
    if header.max_parallelism != assignment.max_parallelism {
        return Err(max_parallelism_changed(
            header.max_parallelism,
            assignment.max_parallelism,
        ));
    }
    Ok(())
}

/// Keys would be looked for in groups that they are not in.
pub(super) fn max_parallelism_changed(kept: MaxParallelism, set: MaxParallelism) -> Error {
    Error::config(format!(
        "max-parallelism is {set}, but the state was made with {kept}"
    ))
    .advice(format!(
        "nothing was changed; set max-parallelism={kept}: it is fixed once there is state"
    ))
}

/// Writes many entries in batches.
struct Import<'b> {
    backend: &'b mut dyn StateBackend,
    changes: Changes,
}

impl<'b> Import<'b> {
    /// How much is written at once.
    const BATCH_BYTES: usize = 1 << 20;

    fn new(backend: &'b mut dyn StateBackend) -> Self {
        Self {
            backend,
            changes: Changes::default(),
        }
    }

    fn put(&mut self, key: &[u8], entry: &[u8]) -> Result<()> {
        self.changes.put(key, entry);
        if self.changes.bytes() < Self::BATCH_BYTES {
            return Ok(());
        }
        self.backend.write(std::mem::take(&mut self.changes))
    }

    fn finish(self) -> Result<()> {
        self.backend.write(self.changes)
    }
}
