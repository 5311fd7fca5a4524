//! State on a real S3 server: what is uploaded, what comes back, what damage does. What lies in the bucket is
//! looked at, and damaged, through a client of its own.

use calve::iceberg::S3Options;
use calve::state::{
    Assignment, BackendKind, Backends, MaxParallelism, Owner, Share, Snapshot, SnapshotHead,
    SnapshotId, SnapshotStore, StatePart, StateStore,
};
use calve::time::{Epoch, Generation};
use opendal::Operator;
use opendal::services::S3;
use tempfile::TempDir;

use crate::support::{Random, Services, unique};

/// A folder in the bucket, and a disk.
struct Bucket {
    prefix: String,
    client: Operator,
    snapshots: SnapshotStore,
    disk: TempDir,
}

fn s3() -> S3Options {
    let services = Services::get();
    S3Options {
        endpoint: Some(services.s3_endpoint.clone()),
        access_key: Some(services.s3_access_key.clone()),
        secret_key: Some(services.s3_secret_key.clone()),
        session_token: None,
        region: Some("us-east-1".to_owned()),
        path_style: true,
    }
}

impl Bucket {
    fn new() -> Bucket {
        let services = Services::get();
        let prefix = unique("state");
        let location = format!("s3://{}/{prefix}", services.s3_bucket);
        let owner = Owner {
            pipeline: "dedup".to_owned(),
            table: uuid::Uuid::new_v4(),
        };
        let client = S3::default()
            .endpoint(&services.s3_endpoint)
            .bucket(&services.s3_bucket)
            .access_key_id(&services.s3_access_key)
            .secret_access_key(&services.s3_secret_key)
            .region("us-east-1");
        Bucket {
            client: Operator::new(client).expect("a client").finish(),
            snapshots: SnapshotStore::open(&location, &s3(), owner, true).expect("a bucket"),
            disk: TempDir::new().expect("a disk"),
            prefix,
        }
    }

    async fn store(&self, worker: usize, peers: usize, from: Option<&Snapshot>) -> StateStore {
        let assignment = Assignment::new("seen", MaxParallelism::default(), worker, peers);
        let backends = Backends::new(BackendKind::Rocksdb, 32 << 20);
        let home = self.disk.path().join(unique("home"));
        match from {
            None => StateStore::create(assignment, &backends, &home).expect("a store"),
            Some(snapshot) => snapshot
                .restore(assignment, &backends, &home, Share::Newest)
                .await
                .expect("the snapshot"),
        }
    }

    async fn checkpoint(
        &self,
        stores: &mut [StateStore],
        generation: u64,
        epoch: u64,
    ) -> (SnapshotId, Vec<StatePart>) {
        let mut parts = Vec::new();
        for store in stores {
            let local = store.snapshot(Epoch(epoch)).expect("a local snapshot");
            let part = self.snapshots.upload(Generation(generation), &local).await;
            parts.push(part.expect("uploaded"));
        }
        let head = SnapshotHead {
            generation: Generation(generation),
            epoch: Epoch(epoch),
            max_parallelism: MaxParallelism::default(),
            about: serde_json::Value::Null,
        };
        let id = self.snapshots.complete(head, parts.clone()).await;
        (id.expect("a manifest"), parts)
    }

    /// The objects in the bucket, as another client lists them.
    async fn objects(&self) -> Vec<String> {
        let prefix = format!("{}/", self.prefix);
        let listed = self.client.list_with(&prefix).recursive(true).await;
        let objects = listed.expect("a listing").into_iter();
        let files = objects.filter(|object| object.metadata().is_file());
        files.map(|object| object.path().to_owned()).collect()
    }
}

/// The value of a key: bytes that no compression shortens.
fn value(key: u64) -> Vec<u8> {
    let mut random = Random::new(key);
    (0..12).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// Each worker puts the keys of its groups.
fn put(stores: &mut [StateStore], keys: std::ops::Range<u64>) {
    let (max, peers) = (MaxParallelism::default(), stores.len());
    let worker_of = |key: &u64| max.worker_of(max.group_of_key(key).expect("a group"), peers);
    for (worker, store) in stores.iter_mut().enumerate() {
        let mine = keys.clone().filter(|key| worker_of(key) == worker);
        let mine: Vec<(u64, Vec<u8>)> = mine.map(|key| (key, value(key))).collect();
        let state = store.value::<u64, Vec<u8>>("v", None).expect("a state");
        let values = mine.iter().map(|(key, value)| (key, value));
        state.put_many(store, values).expect("written");
    }
}

fn assert_keys(stores: &mut [StateStore], expected: std::ops::Range<u64>) {
    let mut found = Vec::new();
    for store in stores {
        let state = store.value::<u64, Vec<u8>>("v", None).expect("a state");
        let note = |key, found_value| {
            assert_eq!(found_value, value(key));
            found.push(key);
            Ok(())
        };
        state.for_each(store, note).expect("readable");
    }
    found.sort_unstable();
    assert!(found.into_iter().eq(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_on_s3_is_uploaded_once_restored_rescaled_and_collected() {
    let bucket = Bucket::new();
    let mut stores = vec![
        bucket.store(0, 2, None).await,
        bucket.store(1, 2, None).await,
    ];
    // More than one part of an upload.
    put(&mut stores, 0..120_000);
    let (first, parts) = bucket.checkpoint(&mut stores, 1, 1).await;
    let largest = parts
        .iter()
        .flat_map(|part| &part.files)
        .map(|file| file.bytes)
        .max();
    assert!(largest > Some(4 << 20), "{largest:?}");
    put(&mut stores, 120_000..120_100);
    let (second, parts) = bucket.checkpoint(&mut stores, 1, 2).await;
    for part in &parts {
        assert!(part.uploaded_bytes < part.bytes() / 20, "{part:?}");
    }

    let objects = bucket.objects().await;
    let named = parts.iter().flat_map(|part| &part.files);
    for file in named {
        let path = objects.iter().find(|path| path.ends_with(&file.name));
        let object = bucket
            .client
            .stat(path.expect("an object"))
            .await
            .expect("it is there");
        assert_eq!(object.content_length(), file.bytes);
    }

    // The same two workers, then three, then one.
    drop(stores);
    let snapshot = bucket.snapshots.read(&second).await.expect("the manifest");
    for peers in [2, 3, 1] {
        let mut stores = Vec::new();
        for worker in 0..peers {
            stores.push(bucket.store(worker, peers, Some(&snapshot)).await);
        }
        assert_keys(&mut stores, 0..120_100);
    }

    bucket
        .snapshots
        .collect_garbage(&[second])
        .await
        .expect("collected");
    let left = bucket.objects().await;
    assert!(left.len() < objects.len());
    assert!(!left.iter().any(|path| path.contains(&first.to_string())));
    let mut stores = vec![bucket.store(0, 1, Some(&snapshot)).await];
    assert_keys(&mut stores, 0..120_100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_or_a_missing_object_on_s3_is_named() {
    let bucket = Bucket::new();
    let mut stores = vec![bucket.store(0, 1, None).await];
    put(&mut stores, 0..1_000);
    let (id, _) = bucket.checkpoint(&mut stores, 1, 1).await;
    drop(stores);
    let restore = async || {
        let snapshot = bucket.snapshots.read(&id).await?;
        let assignment = Assignment::new("seen", MaxParallelism::default(), 0, 1);
        let backends = Backends::new(BackendKind::Rocksdb, 32 << 20);
        let home = bucket.disk.path().join(unique("home"));
        snapshot
            .restore(assignment, &backends, &home, Share::Newest)
            .await
    };
    for object in bucket.objects().await {
        let bytes = bucket
            .client
            .read(&object)
            .await
            .expect("an object")
            .to_vec();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        bucket
            .client
            .write(&object, flipped)
            .await
            .expect("damaged");
        let error = restore().await.expect_err("damage is noticed").to_string();
        assert!(
            error.contains(&object) && error.contains("is damaged"),
            "{error}"
        );
        bucket.client.delete(&object).await.expect("deleted");
        let error = restore().await.expect_err("a hole is noticed").to_string();
        assert!(
            error.contains(&object) && error.contains("is missing"),
            "{error}"
        );
        bucket.client.write(&object, bytes).await.expect("mended");
    }
    assert_keys(&mut [restore().await.expect("whole again")], 0..1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_goes_from_s3_to_a_disk_and_back() {
    let (bucket, other) = (Bucket::new(), Bucket::new());
    let mut stores = vec![bucket.store(0, 1, None).await];
    put(&mut stores, 0..1_000);
    let (id, _) = bucket.checkpoint(&mut stores, 1, 1).await;
    let disk = bucket.disk.path().display().to_string();
    let on_s3 = format!(
        "s3://{}/{}/savepoint",
        Services::get().s3_bucket,
        other.prefix
    );
    for location in [format!("{disk}/savepoint"), on_s3] {
        let s3 = s3();
        let export = bucket.snapshots.export(&id, &location, &s3);
        export.await.expect("a copy");
        let savepoint = Snapshot::open_savepoint(&location, &s3).await;
        let savepoint = savepoint.expect("a savepoint");
        let import = other.snapshots.import(&savepoint, Generation(1), Epoch(0));
        let id = import.await.expect("a snapshot");
        let snapshot = other.snapshots.read(&id).await.expect("a snapshot");
        assert_keys(&mut [other.store(0, 1, Some(&snapshot)).await], 0..1_000);
    }
}
