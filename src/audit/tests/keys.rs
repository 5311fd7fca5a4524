use crate::audit::duplicate_keys;
use crate::error::Kind;
use crate::iceberg::testing::World;

fn id() -> Vec<String> {
    vec!["id".to_owned()]
}

/// Rows 0 to 99, and 40 to 42 and 42 once more.
async fn world() -> World {
    let world = World::new().await;
    let mut committer = world.start().await;
    committer
        .commit(world.staged(1, 0, 100).await)
        .await
        .unwrap();
    world.foreign_append(40, 43).await;
    world.foreign_append(42, 43).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_there_twice_are_found_whatever_the_memory() {
    let world = world().await;
    let table = world.table().await;
    // All at once, a few at a time, hardly any at a time.
    for digests in [1_000, 30, 1] {
        let keys = duplicate_keys(&table, &id(), digests).await.unwrap();
        assert_eq!((keys.rows, keys.null_rows), (104, 0));
        assert_eq!((keys.duplicates, keys.rows_too_many), (3, 4));
        let sample = [("40", 2), ("41", 2), ("42", 3)];
        let sample = sample.map(|(key, rows)| (key.to_owned(), rows));
        assert_eq!(keys.sample, sample);
        assert_eq!(keys.passes, 104_u64.div_ceil(digests) + 1);
    }
    let both = vec!["id".to_owned(), "name".to_owned()];
    let keys = duplicate_keys(&table, &both, 1_000).await.unwrap();
    assert_eq!(keys.duplicates, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_duplicates_is_read_once() {
    let world = World::new().await;
    let mut committer = world.start().await;
    committer
        .commit(world.staged(1, 0, 100).await)
        .await
        .unwrap();
    let table = world.table().await;
    let keys = duplicate_keys(&table, &id(), 100).await.unwrap();
    assert_eq!((keys.rows, keys.duplicates, keys.passes), (100, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let world = World::new().await;
    let table = world.table().await;
    let unknown = vec!["sample".to_owned()];
    let error = duplicate_keys(&table, &unknown, 1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("id, name"), "{error}");
}
