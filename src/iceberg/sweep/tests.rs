use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::iceberg::testing::*;

const TABLE: Uuid = Uuid::from_u128(0x17);

fn file_name(pipeline: &str, generation: u64, epoch: u64) -> String {
    let origin = names::FileOrigin {
        pipeline: pipeline.into(),
        generation: Generation(generation),
        epoch: Epoch(epoch),
        worker: 0,
    };
    origin.data_file_name(TABLE)
}

#[test]
fn a_files_name_decides_as_the_table_says() {
    let facts = Facts {
        pipeline: "ingest".into(),
        table: TABLE,
        claimed: Generation(3),
        newest: Epoch(7),
    };
    for (generation, epoch, verdict) in [
        (1, 7, Verdict::Settled),
        (2, 0, Verdict::Settled),
        (2, 7, Verdict::Settled),
        (2, 8, Verdict::Dead),
        (1, 100, Verdict::Dead),
        (3, 8, Verdict::Open),
        (3, 1, Verdict::Open),
        (4, 8, Verdict::Open),
    ] {
        let name = file_name("ingest", generation, epoch);
        assert_eq!(facts.verdict(&name), verdict, "{name}");
        for other in ["inges", "ingest-2", "other"] {
            let name = file_name(other, generation, epoch);
            assert_eq!(facts.verdict(&name), Verdict::Foreign, "{name}");
        }
    }
    assert_eq!(facts.verdict("part-0.parquet"), Verdict::Foreign);
}

impl World {
    /// The folder of the data files.
    async fn data_folder(&self) -> PathBuf {
        let table = self.table().await;
        let location = table.metadata().location();
        PathBuf::from(location.trim_start_matches("file://")).join("data")
    }

    /// The names of the files on the disk.
    async fn on_disk(&self) -> BTreeSet<String> {
        let mut folders = vec![self.data_folder().await];
        let mut names = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    names.insert(entry.file_name().into_string().unwrap());
                }
            }
        }
        names
    }
}

fn names_of(files: &[crate::iceberg::StagedFile]) -> BTreeSet<String> {
    files
        .iter()
        .map(|f| names::file_name(f.path()).to_owned())
        .collect()
}

/// What a process died with: staged for the epochs after the last commit.
async fn crashed(world: &World) -> BTreeSet<String> {
    let mut process = world.start().await;
    for epoch in 1..=3 {
        let rows = (epoch as i64 - 1) * 10;
        let staged = world.staged(epoch, rows, rows + 10).await;
        process.commit(staged).await.unwrap();
    }
    let mut orphans = names_of(&world.stage(4, 30, 40).await);
    orphans.extend(names_of(&world.stage(5, 40, 50).await));
    orphans
}

#[tokio::test]
async fn what_a_crash_left_behind_is_deleted_and_nothing_else() {
    let world = World::new().await;
    let orphans = crashed(&world).await;
    let folder = world.data_folder().await;
    // Neighbours: a stranger, another pipeline, the same pipeline in another table, a note.
    let mut neighbours = vec!["part-0.parquet".to_owned(), "README".to_owned()];
    neighbours.push(file_name("ingest", 1, 4));
    for orphan in &orphans {
        neighbours.push(orphan.replacen("ingest-", "ingest-2-", 1));
        neighbours.push(orphan.replacen("ingest-", "ing-", 1));
        neighbours.push(format!("{orphan}.bak"));
        neighbours.push(orphan.replacen("-g1-", "-g2-", 1));
    }
    for neighbour in &neighbours {
        fs::write(folder.join(neighbour), "x").unwrap();
    }
    let before = world.on_disk().await;

    let process = world.start().await;
    let sweep = Sweep::after_claim(&process);
    let dry = sweep.sweep(true).await.unwrap();
    assert_eq!(world.on_disk().await, before, "a dry run deletes nothing");
    let swept = sweep.sweep(false).await.unwrap();
    assert_eq!(swept, dry);
    assert_eq!((swept.orphans, swept.failed), (2, 0));
    assert_eq!(swept.seen, before.len() as u64);
    assert!(swept.bytes > 0);
    let expected: BTreeSet<String> = before.difference(&orphans).cloned().collect();
    assert_eq!(world.on_disk().await, expected);
    world.assert_holds(30).await;
    // And there is nothing left to do.
    assert_eq!(sweep.sweep(false).await.unwrap().orphans, 0);
}

#[tokio::test]
async fn files_that_rode_with_a_later_epoch_stay() {
    let world = World::new().await;
    let mut process = world.start().await;
    // Files of epochs 1 and 2 are committed by epoch 3.
    let mut staged = world.staged(3, 20, 30).await;
    staged.files.extend(world.stage(1, 0, 10).await);
    staged.files.extend(world.stage(2, 10, 20).await);
    process.commit(staged).await.unwrap();
    let before = world.on_disk().await;

    let successor = world.start().await;
    let swept = Sweep::after_claim(&successor).sweep(false).await.unwrap();
    assert_eq!(swept.orphans, 0);
    assert_eq!(world.on_disk().await, before);
    world.assert_holds(30).await;
}

#[tokio::test]
async fn what_a_process_stages_itself_stays_even_if_it_is_a_zombie_by_then() {
    let world = World::new().await;
    crashed(&world).await;
    let zombie = Sweep::after_claim(&world.start().await);
    world.start().await;
    // As the successor and the zombie itself would call what they write.
    let folder = world.data_folder().await;
    let staged = names_of(&world.stage(4, 30, 40).await);
    let own: Vec<String> = ["-g2-", "-g3-"]
        .iter()
        .flat_map(|of| staged.iter().map(|file| file.replacen("-g1-", of, 1)))
        .collect();
    for file in &own {
        fs::write(folder.join(file), "x").unwrap();
    }
    zombie.sweep(false).await.unwrap();
    for file in &own {
        assert!(folder.join(file).exists(), "{file}");
    }
}

/// Files of snapshots that `main` has left, whoever made them.
#[tokio::test]
async fn files_of_rolled_back_snapshots_stay() {
    let world = World::new().await;
    let orphans = crashed(&world).await;
    let back_to = world.table().await.metadata().current_snapshot_id();
    // A stranger brings a file in that bears our name, and is rolled back.
    let foreign = world.stage(6, 100, 110).await;
    foreign_append(world.catalog.as_ref(), &world.ident, &foreign).await;
    world.roll_back_to(back_to.unwrap()).await;
    let before = world.on_disk().await;

    let process = world.start().await;
    let swept = Sweep::after_claim(&process).sweep(false).await.unwrap();
    assert_eq!(swept.orphans, orphans.len() as u64);
    let expected: BTreeSet<String> = before.difference(&orphans).cloned().collect();
    assert_eq!(world.on_disk().await, expected);
    assert!(names_of(&foreign).is_subset(&expected));
}

/// By the markers alone: a claim that went back behind a commit that is still retained.
#[tokio::test]
async fn files_of_our_own_rolled_back_commits_stay() {
    let world = World::new().await;
    let mut process = world.start().await;
    process.commit(world.staged(1, 0, 10).await).await.unwrap();
    let back_to = world.table().await.metadata().current_snapshot_id();
    process.commit(world.staged(2, 10, 20).await).await.unwrap();
    world.roll_back_to(back_to.unwrap()).await;
    let before = world.on_disk().await;
    // As a start would be that goes on from the older snapshot.
    let sweep = Sweep {
        table: world.table().await,
        pipeline: PIPELINE.into(),
        claimed: Generation(2),
    };
    assert_eq!(sweep.sweep(false).await.unwrap().orphans, 0);
    assert_eq!(world.on_disk().await, before);
}

#[tokio::test]
async fn a_table_without_files_is_swept_in_vain() {
    let world = World::new().await;
    let process = world.start().await;
    let swept = Sweep::after_claim(&process).sweep(false).await.unwrap();
    assert_eq!(swept, Swept::default());
}

#[tokio::test]
async fn folders_are_searched_and_links_are_not_followed() {
    let world = World::new().await;
    let orphans = crashed(&world).await;
    let folder = world.data_folder().await;
    let outside = tempfile::tempdir().unwrap();
    let moved = |from: &str, to: &Path| fs::rename(folder.join(from), to.join(from)).unwrap();
    let mut orphans = orphans.iter();
    let (one, two) = (orphans.next().unwrap(), orphans.next().unwrap());
    let deep = folder.join("day=2026-01-02/city=%2E%2E");
    fs::create_dir_all(&deep).unwrap();
    moved(one, &deep);
    moved(two, outside.path());
    std::os::unix::fs::symlink(outside.path(), folder.join("link")).unwrap();

    let process = world.start().await;
    let swept = Sweep::after_claim(&process).sweep(false).await.unwrap();
    assert_eq!(swept.orphans, 1);
    assert!(!deep.join(one).exists());
    assert!(outside.path().join(two).exists());
}
