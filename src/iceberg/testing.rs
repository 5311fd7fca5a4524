//! What the tests of this room share: a catalog in a temporary folder, rows with known sums, the
//! outside world's doings (foreign appends, rollback, expiry), and a look at what a table holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use iceberg::spec::{
    NestedField, PrimitiveType, Schema, SnapshotReference, SnapshotRetention, TableMetadataBuilder,
    Type,
};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, MetadataLocation, TableIdent};

use super::*;
use crate::checkpoint::positions::{Beginning, Carried};
use crate::config::OnRollback;
use crate::offsets::{NextOffset, Offsets};
use crate::time::{Epoch, Generation};

pub const PIPELINE: &str = "ingest";

/// For commits that shall be proved in the end.
pub const PATIENT: Duration = Duration::from_secs(30);
/// For commits that shall end in an unknown outcome.
pub const IMPATIENT: Duration = Duration::from_secs(1);

/// A warehouse with a SQLite catalog, gone when dropped.
pub struct World {
    _dir: tempfile::TempDir,
    pub catalog: Arc<dyn Catalog>,
    pub ident: TableIdent,
}

pub fn catalog_options(dir: &tempfile::TempDir) -> CatalogOptions {
    let root = dir.path().display();
    CatalogOptions {
        kind: CatalogKind::Sql,
        uri: format!("sqlite://{root}/catalog.db"),
        name: "default".into(),
        warehouse: format!("file://{root}/warehouse"),
        token: None,
        credential: None,
        oauth2_server_uri: None,
        scope: None,
        headers: BTreeMap::new(),
        properties: BTreeMap::new(),
        s3: S3Options::default(),
        create: true,
    }
}

pub fn schema() -> Schema {
    let field = |id, name: &str, of| NestedField::required(id, name, Type::Primitive(of)).into();
    Schema::builder()
        .with_fields([
            field(1, "id", PrimitiveType::Long),
            field(2, "name", PrimitiveType::String),
        ])
        .build()
        .unwrap()
}

/// Options of a table whose commits are retried at once.
pub fn table_options() -> TableOptions {
    let quick = [
        ("commit.retry.min-wait-ms", "1"),
        ("commit.retry.max-wait-ms", "2"),
    ];
    TableOptions {
        schema: Some(schema()),
        create: true,
        properties: quick.map(|(k, v)| (k.into(), v.into())).into(),
        ..TableOptions::default()
    }
}

impl World {
    /// With an empty, unpartitioned table of `id long, name string`.
    pub async fn new() -> Self {
        let world = Self::without_table().await;
        world.create(&table_options()).await;
        world
    }

    pub async fn without_table() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open_catalog(&catalog_options(&dir)).await.unwrap();
        Self {
            _dir: dir,
            catalog,
            ident: TableIdent::from_strs(["db", "events"]).unwrap(),
        }
    }

    pub async fn create(&self, options: &TableOptions) -> Table {
        load_or_create(self.catalog.as_ref(), &self.ident, options)
            .await
            .unwrap()
    }

    pub async fn table(&self) -> Table {
        self.catalog.load_table(&self.ident).await.unwrap()
    }

    pub async fn observe(&self) -> crate::Result<Observation> {
        observe(Arc::clone(&self.catalog), &self.ident, PATIENT).await
    }

    /// Starts a process: observes and claims.
    pub async fn start(&self) -> Committer {
        self.start_with(Arc::clone(&self.catalog), PATIENT).await
    }

    /// The same, through a catalog that may fail.
    pub async fn start_with(&self, catalog: Arc<dyn Catalog>, patience: Duration) -> Committer {
        let observation = observe(catalog, &self.ident, patience).await.unwrap();
        Committer::claim(observation, None, at(0)).await.unwrap().0
    }

    /// Writes rows `from..to` into a staged file.
    pub async fn stage(&self, epoch: u64, from: i64, to: i64) -> Vec<StagedFile> {
        let table = self.table().await;
        let mut writer = TableWriter::new(&table, writer_options(epoch)).unwrap();
        writer.write(batch(from, to)).await.unwrap();
        writer.close().await.unwrap()
    }

    /// What an epoch with the rows `from..to` hands in; the cut is `to`.
    pub async fn staged(&self, epoch: u64, from: i64, to: i64) -> Staged {
        Staged {
            epoch: Epoch(epoch),
            files: self.stage(epoch, from, to).await,
            next: offsets(to),
            ..Staged::default()
        }
    }

    /// Another program appends rows, without a marker.
    pub async fn foreign_append(&self, from: i64, to: i64) {
        foreign_append(
            self.catalog.as_ref(),
            &self.ident,
            &self.stage(0, from, to).await,
        )
        .await;
    }

    /// What an operator's tools do to the metadata.
    pub async fn rewrite(&self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        let table = self.table().await;
        let location = table.metadata_location().unwrap().to_owned();
        let builder = table
            .metadata()
            .clone()
            .into_builder(Some(location.clone()));
        let metadata = change(builder).build().unwrap().metadata;
        let next = location
            .parse::<MetadataLocation>()
            .unwrap()
            .with_next_version();
        metadata.write_to(table.file_io(), &next).await.unwrap();
        self.catalog.drop_table(&self.ident).await.unwrap();
        self.catalog
            .register_table(&self.ident, next.to_string())
            .await
            .unwrap();
    }

    /// `rollback_to_snapshot`: `main` names an older snapshot, properties stay.
    pub async fn roll_back_to(&self, snapshot_id: i64) {
        let retention = SnapshotRetention::branch(None, None, None);
        self.rewrite(|builder| {
            builder
                .set_ref("main", SnapshotReference::new(snapshot_id, retention))
                .unwrap()
        })
        .await;
    }

    /// `expire_snapshots`: all but the current one.
    pub async fn expire(&self) {
        let table = self.table().await;
        let current = table.metadata().current_snapshot_id();
        let old: Vec<i64> = table
            .metadata()
            .snapshots()
            .map(|s| s.snapshot_id())
            .filter(|id| Some(*id) != current)
            .collect();
        self.rewrite(|builder| builder.remove_snapshots(&old)).await;
    }

    /// The rows, and the check that nothing is there twice: each id once, each file once, and the
    /// manifests tell of the same rows as the scan.
    pub async fn ids(&self) -> Vec<i64> {
        let table = self.table().await;
        let rows = scan(&table).await;
        let files = files(&table).await;
        let paths: BTreeSet<_> = files.iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths.len(),
            files.len(),
            "a file is in the table twice: {files:?}"
        );
        let told: u64 = files.iter().map(|(_, rows)| rows).sum();
        assert_eq!(told, rows.len() as u64, "manifests and scan disagree");
        let distinct: BTreeSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len(), "a row is in the table twice");
        distinct.into_iter().copied().collect()
    }

    /// Asserts that the table holds exactly the rows `0..to`.
    pub async fn assert_holds(&self, to: i64) {
        assert_eq!(self.ids().await, (0..to).collect::<Vec<_>>());
    }

    pub async fn snapshots(&self) -> usize {
        self.table().await.metadata().snapshots().len()
    }
}

async fn observe(
    catalog: Arc<dyn Catalog>,
    ident: &TableIdent,
    patience: Duration,
) -> crate::Result<Observation> {
    let observation =
        Committer::observe(catalog, ident.clone(), PIPELINE, OnRollback::Halt).await?;
    Ok(observation.with_patience(patience))
}

pub async fn foreign_append(catalog: &dyn Catalog, ident: &TableIdent, files: &[StagedFile]) {
    let table = catalog.load_table(ident).await.unwrap();
    let files = files.iter().map(|file| file.decode(&table).unwrap());
    let transaction = Transaction::new(&table);
    let append = transaction.fast_append().add_data_files(files);
    let transaction = append.apply(transaction).unwrap();
    transaction.commit(catalog).await.unwrap();
}

pub fn writer_options(epoch: u64) -> WriterOptions {
    WriterOptions {
        origin: names::FileOrigin {
            pipeline: PIPELINE.into(),
            generation: Generation(1),
            epoch: Epoch(epoch),
            worker: 0,
        },
        target_file_bytes: None,
        row_group_bytes: 1 << 20,
    }
}

/// Rows `from..to` of `id long, name string`.
pub fn batch(from: i64, to: i64) -> RecordBatch {
    let arrow = iceberg::arrow::schema_to_arrow_schema(&schema()).unwrap();
    let ids = Int64Array::from_iter_values(from..to);
    let names = StringArray::from_iter_values((from..to).map(|id| format!("name {}", id % 7)));
    RecordBatch::try_new(Arc::new(arrow), vec![Arc::new(ids), Arc::new(names)]).unwrap()
}

/// One partition, at `next`.
pub fn offsets(next: i64) -> Offsets {
    let mut offsets = Offsets::new();
    offsets.set("t", 0, NextOffset(next));
    offsets
}

/// A start that lets partitions begin at `next` of which nothing is carried forward.
pub fn at(next: i64) -> impl FnMut(Option<&Carried>) -> crate::Result<Beginning> {
    at_offsets(offsets(next))
}

/// The same, of several partitions.
pub fn at_offsets(first: Offsets) -> impl FnMut(Option<&Carried>) -> crate::Result<Beginning> {
    move |carried| {
        let mut first = first.clone();
        if let Some(carried) = carried {
            first.advance_to(&carried.next);
        }
        Ok(Beginning {
            state: carried.and_then(|carried| carried.state_snapshot.clone()),
            ..first.into()
        })
    }
}

/// The ids a scan finds.
pub async fn scan(table: &Table) -> Vec<i64> {
    let stream = table
        .scan()
        .select(["id"])
        .build()
        .unwrap()
        .to_arrow()
        .await
        .unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect()
}

/// The live files of the manifests, with their row counts.
pub async fn files(table: &Table) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return files;
    };
    let list = table.manifest_list_reader(snapshot).load().await.unwrap();
    for manifest in list.entries() {
        for entry in manifest
            .load_manifest(table.file_io())
            .await
            .unwrap()
            .entries()
        {
            if entry.is_alive() {
                let file = entry.data_file();
                files.push((file.file_path().to_owned(), file.record_count()));
            }
        }
    }
    files
}
