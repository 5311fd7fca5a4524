//! What the manifests say: the live files, and which files each commit added.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{
    DataFile, Datum, ManifestContentType, ManifestFile, ManifestStatus, PrimitiveLiteral,
    SnapshotRef,
};
use iceberg::table::Table;

use super::chain::index_of;
use super::facts::Written;
use super::rows::Columns;
use crate::error::{Error, Result};
use crate::iceberg::{Link, external, names};

/// Manifests read at a time.
const MANIFESTS_AT_ONCE: usize = 8;

/// A data file of the current snapshot.
#[derive(Clone, Debug)]
pub(super) struct LiveFile {
    pub(super) path: String,
    /// The snapshot that added it; it may have expired.
    pub(super) added_by: i64,
    pub(super) rows: u64,
    pub(super) bounds: Bounds,
}

/// The lowest and the highest value of the provenance columns, as far as the manifest tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    topic: Option<(String, String)>,
    partition: Option<(i32, i32)>,
    offset: Option<(i64, i64)>,
}

impl Bounds {
    fn of(file: &DataFile, columns: &Columns) -> Self {
        let both = |id: i32| {
            let bound = |bounds: &HashMap<i32, Datum>| Some(bounds.get(&id)?.literal().clone());
            Some((bound(file.lower_bounds())?, bound(file.upper_bounds())?))
        };
        use PrimitiveLiteral::{Int, Long, String};
        let topic = columns.topic.as_ref().ok();
        Self {
            topic: match topic.and_then(|id| both(*id)) {
                Some((String(low), String(high))) => Some((low, high)),
                _ => None,
            },
            partition: match both(columns.partition) {
                Some((Int(low), Int(high))) => Some((low, high)),
                _ => None,
            },
            offset: match both(columns.offset) {
                Some((Long(low), Long(high))) => Some((low, high)),
                _ => None,
            },
        }
    }

    /// False if the file can't hold the record.
    pub(super) fn may_hold(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let within = |low: &str, high: &str| low <= topic && topic <= high;
        self.topic
            .as_ref()
            .is_none_or(|(low, high)| within(low, high))
            && self
                .partition
                .is_none_or(|(low, high)| (low..=high).contains(&partition))
            && self
                .offset
                .is_none_or(|(low, high)| (low..=high).contains(&offset))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    /// The files of the current snapshot.
    pub(super) live: Vec<LiveFile>,
    /// What each commit of the chain added.
    pub(super) written: Vec<Written>,
    /// True if there are delete files.
    pub(super) has_deletes: bool,
}

/// Reads the manifests of the current snapshot, and as few others as possible.
///
/// An entry names the snapshot that added its file, also in a manifest that was merged from others, so the
/// current list mostly tells of all commits. Where another engine has rewritten the files themselves, the newest
/// commit before that still does: its list is read, and so on downwards, until each commit has been seen as it
/// was made.
pub(super) async fn read(
    table: &Table,
    chain: &[Link],
    columns: Option<&Columns>,
) -> Result<Manifests> {
    let mut found = Manifests::default();
    let Some(current) = table.metadata().current_snapshot() else {
        found.written = chain.iter().map(|_| Written::default()).collect();
        return Ok(found);
    };
    let mut added = Added::new(chain);
    let list = list_of(table, current).await?;
    found.has_deletes = list
        .iter()
        .any(|manifest| manifest.content == ManifestContentType::Deletes);
    let mut manifests = entries(table, list);
    while let Some((_, files)) = manifests.try_next().await? {
        found.live.extend(live_files(&files, columns));
        added.take_live(&files);
    }
    drop(manifests);
    for (index, link) in chain.iter().enumerate().rev() {
        if added.agrees(index, link) {
            continue;
        }
        let Some(snapshot) = table.metadata().snapshot_by_id(link.snapshot_id) else {
            continue;
        };
        let mut list = list_of(table, snapshot).await?;
        // The commit itself in any case, older ones as far as they are still unknown.
        let open = |id: &i64| {
            added.index.get(id).is_some_and(|older| {
                *older == index || (*older < index && !added.agrees(*older, &chain[*older]))
            })
        };
        list.retain(|manifest| open(&manifest.added_snapshot_id));
        for manifest in &list {
            added.forget(manifest.added_snapshot_id);
        }
        let mut manifests = entries(table, list);
        while let Some((manifest, files)) = manifests.try_next().await? {
            added.take_made(&manifest, &files);
        }
    }
    found.written = added.finish();
    Ok(found)
}

/// The files of a snapshot.
pub(super) async fn live(
    table: &Table,
    snapshot: &SnapshotRef,
    columns: &Columns,
) -> Result<Vec<LiveFile>> {
    let mut live = Vec::new();
    let mut manifests = entries(table, list_of(table, snapshot).await?);
    while let Some((_, files)) = manifests.try_next().await? {
        live.extend(live_files(&files, Some(columns)));
    }
    Ok(live)
}

fn live_files<'a>(
    entries: &'a Entries,
    columns: Option<&'a Columns>,
) -> impl Iterator<Item = LiveFile> + 'a {
    let live = entries
        .iter()
        .filter(|(status, ..)| *status != ManifestStatus::Deleted);
    live.map(move |(_, added_by, file)| LiveFile {
        path: file.file_path().to_owned(),
        added_by: *added_by,
        rows: file.record_count(),
        bounds: columns.map_or_else(Bounds::default, |columns| Bounds::of(file, columns)),
    })
}

/// The data manifests, and those of delete files, of a snapshot.
async fn list_of(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<ManifestFile>> {
    let list = table.manifest_list_reader(snapshot).load().await;
    let list = list.map_err(|error| unreadable(table, &error))?;
    Ok(list.entries().to_vec())
}

type Entries = Vec<(ManifestStatus, i64, DataFile)>;

/// The entries of data manifests, several manifests at a time.
fn entries(
    table: &Table,
    list: Vec<ManifestFile>,
) -> stream::BoxStream<'_, Result<(ManifestFile, Entries)>> {
    let data = list
        .into_iter()
        .filter(|manifest| manifest.content == ManifestContentType::Data);
    stream::iter(data)
        .map(move |manifest| async move {
            let loaded = manifest.load_manifest(table.file_io()).await;
            let loaded = loaded.map_err(|error| unreadable(table, &error))?;
            let entries = loaded.entries().iter().map(|entry| {
                let added_by = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
                (entry.status(), added_by, entry.data_file().clone())
            });
            let entries = entries.collect();
            Ok((manifest, entries))
        })
        .buffer_unordered(MANIFESTS_AT_ONCE)
        .boxed()
}

fn unreadable(table: &Table, error: &iceberg::Error) -> Error {
    let name = table.identifier();
    external(
        format!("the manifests of table {name} can't be read"),
        error,
    )
}

/// What the commits of a chain added, as far as it is known.
struct Added {
    index: HashMap<i64, usize>,
    files: Vec<BTreeMap<String, u64>>,
}

impl Added {
    fn new(chain: &[Link]) -> Self {
        Self {
            index: index_of(chain),
            files: vec![BTreeMap::new(); chain.len()],
        }
    }

    fn forget(&mut self, snapshot: i64) {
        if let Some(index) = self.index.get(&snapshot) {
            self.files[*index].clear();
        }
    }

    /// Takes the files that are live and that commits of the chain have added.
    fn take_live(&mut self, entries: &Entries) {
        for (status, added_by, file) in entries {
            if let Some(index) = self.index.get(added_by)
                && *status != ManifestStatus::Deleted
            {
                self.files[*index].insert(file.file_path().to_owned(), file.record_count());
            }
        }
    }

    /// Takes the files that a manifest of a commit of the chain adds in that commit.
    fn take_made(&mut self, manifest: &ManifestFile, entries: &Entries) {
        let Some(index) = self.index.get(&manifest.added_snapshot_id) else {
            return;
        };
        for (status, added_by, file) in entries {
            if *status == ManifestStatus::Added && *added_by == manifest.added_snapshot_id {
                self.files[*index].insert(file.file_path().to_owned(), file.record_count());
            }
        }
    }

    fn agrees(&self, index: usize, link: &Link) -> bool {
        self.written(index).digest == link.marker.files_digest
    }

    fn written(&self, index: usize) -> Written {
        let files = &self.files[index];
        Written {
            files: files.len() as u64,
            rows: files.values().sum(),
            digest: names::files_digest(files.keys().map(String::as_str)),
        }
    }

    fn finish(self) -> Vec<Written> {
        (0..self.files.len())
            .map(|index| self.written(index))
            .collect()
    }
}
