use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use iceberg::spec::ManifestContentType;

use super::plan::Rule;
use super::*;
use crate::iceberg::Committer;
use crate::iceberg::commit_tests::{Faulty, Swap};
use crate::iceberg::testing::*;

const RULE: Rule = Rule {
    min_count: 3,
    target_bytes: 1_000,
};

/// A manifest of a partition spec, of so many bytes.
fn manifest(spec: i32, bytes: i64) -> ManifestFile {
    ManifestFile {
        manifest_path: String::new(),
        manifest_length: bytes,
        partition_spec_id: spec,
        content: ManifestContentType::Data,
        sequence_number: 1,
        min_sequence_number: 1,
        added_snapshot_id: 1,
        added_files_count: None,
        existing_files_count: None,
        deleted_files_count: None,
        added_rows_count: None,
        existing_rows_count: None,
        deleted_rows_count: None,
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

fn bins(list: &[ManifestFile]) -> Vec<Vec<usize>> {
    RULE.bins(list, |_| true)
}

#[test]
fn a_bin_is_merged_when_it_is_full_or_has_enough_manifests() {
    let of = |sizes: &[i64]| {
        sizes
            .iter()
            .map(|size| manifest(0, *size))
            .collect::<Vec<_>>()
    };
    assert!(bins(&of(&[10, 10])).is_empty(), "too few");
    assert_eq!(bins(&of(&[10, 10, 10])), [vec![0, 1, 2]]);
    // The third fits no more: the first two are merged although they are few.
    assert_eq!(bins(&of(&[500, 400, 200])), [vec![0, 1]]);
    assert_eq!(
        bins(&of(&[500, 400, 200, 10, 10])),
        [vec![0, 1], vec![2, 3, 4]]
    );
    // What is nearly full is not rewritten for the little that still fits.
    assert_eq!(bins(&of(&[750, 10, 10])), [[0_usize; 0]; 0]);
    assert_eq!(bins(&of(&[749, 10, 10])), [vec![0, 1, 2]]);
    assert_eq!(bins(&of(&[2_000, 10, 2_000, 10, 10])), [vec![1, 3, 4]]);
    // One alone is never merged.
    assert!(bins(&of(&[700, 700])).is_empty());
}

#[test]
fn partition_specs_and_delete_files_are_never_mixed_and_unfit_manifests_stay() {
    let mut list: Vec<_> = [0, 1, 0, 1, 0, 1].map(|spec| manifest(spec, 10)).into();
    assert_eq!(bins(&list), [vec![0, 2, 4], vec![1, 3, 5]]);
    list[2].content = ManifestContentType::Deletes;
    assert_eq!(bins(&list), [vec![1, 3, 5]]);
    list[3].manifest_path = "unfit".to_owned();
    assert!(RULE.bins(&list, |m| m.manifest_path != "unfit").is_empty());
}

#[test]
fn the_tables_properties_rule_by_icebergs_names_and_defaults() {
    let of = |properties: &[(&str, &str)]| {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        Rule::of(&properties.iter().map(owned).collect())
    };
    let default = Rule {
        min_count: 100,
        target_bytes: 8_388_608,
    };
    assert_eq!(of(&[]).unwrap(), Some(default));
    assert_eq!(
        of(&[("commit.manifest-merge.enabled", "FALSE")]).unwrap(),
        None
    );
    let set = of(&[
        ("commit.manifest.min-count-to-merge", "7"),
        ("commit.manifest.target-size-bytes", "4096"),
    ]);
    let expected = Rule {
        min_count: 7,
        target_bytes: 4_096,
    };
    assert_eq!(set.unwrap(), Some(expected));
    let error = of(&[("commit.manifest.min-count-to-merge", "many")]).unwrap_err();
    assert!(error.to_string().contains("min-count-to-merge"), "{error}");
}

/// A table whose manifests are merged from five on.
async fn world(properties: &[(&str, &str)]) -> World {
    let world = World::without_table().await;
    let mut options = table_options();
    let five = [("commit.manifest.min-count-to-merge", "5")];
    for (key, value) in five.iter().chain(properties) {
        options.properties.insert((*key).into(), (*value).into());
    }
    world.create(&options).await;
    world
}

/// Commits epochs of ten rows.
async fn commit(world: &World, committer: &mut Committer, epochs: std::ops::Range<u64>) {
    for epoch in epochs {
        let first = (epoch as i64 - 1) * 10;
        let staged = world.staged(epoch, first, first + 10).await;
        committer.commit(staged).await.unwrap();
    }
}

async fn manifests(table: &Table) -> Vec<ManifestFile> {
    let snapshot = table.metadata().current_snapshot().unwrap();
    let list = table.manifest_list_reader(snapshot).load().await.unwrap();
    list.entries().to_vec()
}

/// Path → the snapshot that added it, its sequence number and its file sequence number.
type Attributed = BTreeMap<String, (i64, i64, i64)>;

async fn attributed(table: &Table, list: &[ManifestFile]) -> Attributed {
    let mut found = Attributed::new();
    for manifest in list {
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let told = (
                entry.snapshot_id().unwrap(),
                entry.sequence_number().unwrap(),
                entry.file_sequence_number.unwrap(),
            );
            let before = found.insert(entry.file_path().to_owned(), told);
            assert_eq!(before, None, "a file is named twice");
        }
    }
    found
}

/// What each retained snapshot says that it added itself.
async fn added(table: &Table) -> Attributed {
    let mut all = Attributed::new();
    for snapshot in table.metadata().snapshots() {
        let id = snapshot.snapshot_id();
        let list = table.manifest_list_reader(snapshot).load().await.unwrap();
        let own = list
            .entries()
            .iter()
            .filter(|m| m.added_snapshot_id == id && m.has_added_files());
        let own: Vec<_> = own.cloned().collect();
        for (path, told) in attributed(table, &own).await {
            let expected = (id, snapshot.sequence_number(), snapshot.sequence_number());
            assert_eq!(told, expected, "{path}");
            all.insert(path, told);
        }
    }
    all
}

/// Manifests in the metadata folder.
async fn manifest_files(world: &World) -> usize {
    let location = world.table().await.metadata().location().to_owned();
    let folder = PathBuf::from(location.trim_start_matches("file://")).join("metadata");
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".avro") && !name.starts_with("snap-"))
        .count()
}

#[tokio::test]
async fn forty_commits_leave_few_manifests_and_each_file_is_still_its_commits() {
    let world = world(&[]).await;
    let mut committer = world.start().await;
    commit(&world, &mut committer, 1..41).await;
    world.assert_holds(400).await;

    let table = world.table().await;
    let list = manifests(&table).await;
    assert!(list.len() <= 5, "{} manifests", list.len());
    let all = attributed(&table, &list).await;
    assert_eq!(all.len(), 40);
    assert_eq!(all, added(&table).await);
    // The counts in the list are those of the entries, and the lowest sequence number is the first commit's.
    let files = |m: &ManifestFile| m.added_files_count.unwrap() + m.existing_files_count.unwrap();
    let rows = |m: &ManifestFile| m.added_rows_count.unwrap() + m.existing_rows_count.unwrap();
    assert_eq!(list.iter().map(files).sum::<u32>(), 40);
    assert_eq!(list.iter().map(rows).sum::<u64>(), 400);
    let lowest = all.values().map(|(_, sequence, _)| *sequence).min();
    assert_eq!(list.iter().map(|m| m.min_sequence_number).min(), lowest);
    // Nothing was written that no snapshot names: forty of the commits, and one for each merge.
    assert_eq!(manifest_files(&world).await, 40 + 9);
}

#[tokio::test]
async fn a_table_that_does_not_want_it_keeps_a_manifest_for_each_commit() {
    let world = world(&[("commit.manifest-merge.enabled", "false")]).await;
    let mut committer = world.start().await;
    commit(&world, &mut committer, 1..13).await;
    world.assert_holds(120).await;
    assert_eq!(manifests(&world.table().await).await.len(), 12);
}

#[tokio::test]
async fn whatever_happens_to_a_swap_a_merge_neither_loses_nor_doubles_a_file() {
    let world = world(&[("commit.manifest.min-count-to-merge", "2")]).await;
    let faulty = Faulty::new(&world.catalog, []);
    let mut committer = world.start_with(faulty.clone(), PATIENT).await;
    for (round, swap) in (0..).zip([
        Swap::AnswerLost,
        Swap::ConflictOfItsOwn,
        Swap::Lie,
        Swap::Dropped,
        Swap::AfterForeignAppend(world.stage(0, 1_000, 1_010).await),
        Swap::Late,
    ]) {
        faulty.script([swap]);
        commit(&world, &mut committer, round * 3 + 1..round * 3 + 4).await;
        faulty.deliver().await;
    }
    let mut expected: Vec<i64> = (0..180).collect();
    expected.extend(1_000..1_010);
    assert_eq!(world.ids().await, expected);
    let table = world.table().await;
    let list = manifests(&table).await;
    assert!(list.len() <= 3, "{} manifests", list.len());
    assert_eq!(attributed(&table, &list).await, added(&table).await);
}

#[tokio::test]
async fn attempts_that_do_not_land_merge_once() {
    let world = world(&[]).await;
    let faulty = Faulty::new(&world.catalog, []);
    let mut committer = world.start_with(faulty.clone(), PATIENT).await;
    commit(&world, &mut committer, 1..6).await;
    let before = manifest_files(&world).await;
    faulty.script((0..4).map(|_| Swap::Dropped));
    commit(&world, &mut committer, 6..7).await;
    world.assert_holds(60).await;
    assert_eq!(manifests(&world.table().await).await.len(), 2);
    // Five attempts with a manifest of their own, and one merge.
    assert_eq!(manifest_files(&world).await, before + 5 + 1);
}

#[tokio::test]
async fn a_manifest_that_cant_be_read_stays_in_the_list_and_the_commit_lands() {
    let world = world(&[]).await;
    let mut committer = world.start().await;
    commit(&world, &mut committer, 1..6).await;
    let list = manifests(&world.table().await).await;
    let path = PathBuf::from(list[2].manifest_path.trim_start_matches("file://"));
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    commit(&world, &mut committer, 6..8).await;
    assert_eq!(manifests(&world.table().await).await.len(), 7);
    fs::rename(&away, &path).unwrap();
    world.assert_holds(70).await;
    commit(&world, &mut committer, 8..9).await;
    world.assert_holds(80).await;
    assert_eq!(manifests(&world.table().await).await.len(), 2);
}
