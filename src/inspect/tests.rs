use super::*;
use crate::error::Kind;
use crate::iceberg::testing::{PIPELINE, World};

/// Epochs 1 to 3 of ten rows by a first process, another program's append of five, epoch 4 by a second process.
async fn world() -> World {
    let world = World::new().await;
    let mut first = world.start().await;
    for epoch in 1..=3 {
        let rows = (epoch as i64 - 1) * 10;
        let staged = world.staged(epoch, rows, rows + 10).await;
        first.commit(staged).await.unwrap();
    }
    world.foreign_append(1_000, 1_005).await;
    let mut second = world.start().await;
    second.commit(world.staged(4, 30, 40).await).await.unwrap();
    world
}

async fn history(world: &World) -> History {
    let table = world.table().await;
    checkpoints(table.metadata(), "db.events", PIPELINE).unwrap()
}

#[tokio::test]
async fn checkpoints_are_told_by_the_snapshots_and_claims_are_told_apart() {
    let world = world().await;
    let history = history(&world).await;
    let told = history.checkpoints.iter();
    let told: Vec<_> = told
        .map(|c| (c.generation, c.epoch, c.claim, c.records))
        .collect();
    assert_eq!(
        told,
        [
            (1, 0, true, 0),
            (1, 1, false, 10),
            (1, 2, false, 10),
            (1, 3, false, 10),
            (2, 3, true, 0),
            (2, 4, false, 10)
        ]
    );
    assert!(!history.expired);
    let last = &history.checkpoints[5];
    assert_eq!(
        (last.offsets, last.files, last.table_records),
        (10, 1, Some(45))
    );
    assert!(last.bytes > 0);
    assert_eq!(last.parent.as_ref(), Some(&history.checkpoints[4].marker));
    let other = checkpoints(world.table().await.metadata(), "db.events", "other").unwrap_err();
    assert_eq!(other.kind(), Kind::Config);
    assert!(other.to_string().contains(PIPELINE), "{other}");
}

#[tokio::test]
async fn a_checkpoint_is_found_by_epoch_snapshot_or_as_the_latest() {
    let history = history(&world().await).await;
    let rank = |word: &str| history.find(word).map(|c| (c.generation, c.epoch, c.claim));
    assert_eq!(rank("latest").unwrap(), (2, 4, false));
    // Epoch 3 is that of a commit and of the claim after it.
    assert_eq!(rank("3").unwrap(), (1, 3, false));
    assert_eq!(rank("0").unwrap(), (1, 0, true));
    let claim = history.checkpoints[4].snapshot.to_string();
    assert_eq!(rank(&claim).unwrap(), (2, 3, true));
    for unknown in ["5", "first", "-1", ""] {
        let error = rank(unknown).unwrap_err().to_string();
        assert!(error.contains("epochs 0 to 4"), "{error}");
    }
}

#[tokio::test]
async fn a_difference_adds_up_what_lies_between_whichever_is_named_first() {
    let world = world().await;
    let history = history(&world).await;
    let table = world.table().await;
    let (one, four) = (history.find("1").unwrap(), history.find("4").unwrap());
    let difference = history.difference(table.metadata(), one, four);
    assert_eq!(history.difference(table.metadata(), four, one), difference);
    assert_eq!((difference.from.epoch, difference.to.epoch), (1, 4));
    assert_eq!((difference.checkpoints, difference.claims), (3, 1));
    assert_eq!((difference.records, difference.files), (30, 3));
    let moved = difference.moved.iter().map(|m| (m.from, m.to));
    assert_eq!(moved.collect::<Vec<_>>(), [(10, 40)]);
    let others: Vec<_> = difference
        .others
        .iter()
        .map(|(_, what)| what.as_str())
        .collect();
    assert_eq!(others, ["append"]);
    let none = history.difference(table.metadata(), four, four);
    assert_eq!(
        (none.checkpoints, none.records, none.others.len()),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn tables_are_summed_up_with_their_writers() {
    let world = world().await;
    let now = chrono::Utc::now().timestamp_millis();
    let hour = 3_600_000;
    let namespace = world.ident.namespace();
    let found = tables(&*world.catalog, namespace, now + hour)
        .await
        .unwrap();
    let [summary] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(summary.table, "db.events");
    assert_eq!((summary.rows, summary.files), (Some(45), Some(5)));
    assert_eq!(summary.snapshots, 7);
    let writers: Vec<_> = summary
        .pipelines
        .iter()
        .map(|w| (w.pipeline.as_str(), w.generation, w.epoch))
        .collect();
    assert_eq!(writers, [(PIPELINE, 2, 4)]);
    // Five files in an hour are 120 a day, and tiny.
    let growth = summary.growth.clone().unwrap();
    assert!((118..=120).contains(&growth.files_per_day), "{growth:?}");
    assert!(growth.is_of_small_files());
    // Of a table without a history nothing is foretold.
    let fresh = summarize("db.events", world.table().await.metadata(), now).unwrap();
    assert_eq!(fresh.growth, None);
}

#[test]
fn few_files_and_large_files_are_no_small_files() {
    let growth = |files_per_day, file_bytes| Growth {
        files_per_day,
        snapshots_per_day: 1,
        file_bytes,
        target_file_bytes: 400,
        over_ms: 1,
    };
    assert!(growth(101, 99).is_of_small_files());
    assert!(!growth(100, 99).is_of_small_files());
    assert!(!growth(101, 100).is_of_small_files());
}
