//! A process dies, as by `kill -9`, at each point of its life; others with other numbers of workers go on.

use std::fs;
use std::path::{Path, PathBuf};

use super::{PATIENCE, Scene};
use crate::support::{Pipeline, Topic};

/// What the table holds beyond what the killed processes had reported as committed.
#[derive(PartialEq)]
enum Beyond {
    /// The epoch in question is not in the table: it is read again.
    Nothing,
    /// It is in the table, although nobody heard of it: it is not read again.
    ItsEpoch,
}

/// Two processes under load die at this point, each after so many passes of it. Their workers differ, and
/// those of the third, which does not die.
#[track_caller]
fn killed_at(point: &str, passes: [u32; 2], beyond: Beyond) {
    let scene = Scene::new("killed");
    let mut reported = 0;
    for (workers, passes) in [6, 3].into_iter().zip(passes) {
        let killed = scene.run(workers).failpoint(point, passes, "kill").start();
        let killed = killed.wait(PATIENCE).expect_killed_at(point);
        assert!(killed.committed_rows() > 0, "it had done some work before");
        reported += killed.committed_rows();
    }
    let found = scene.pipeline.read().count;
    match beyond {
        Beyond::Nothing => assert_eq!(found, reported, "rows in the table and rows reported"),
        Beyond::ItsEpoch => assert!(found > reported, "{found} rows, {reported} reported"),
    }
    scene.assert_exactly_once();
}

#[test]
fn killed_in_the_middle_of_a_file_it_reads_those_records_again() {
    killed_at("write", [8, 4], Beyond::Nothing);
}

#[test]
fn killed_with_staged_files_that_nobody_knows_of_it_reads_those_records_again() {
    killed_at("staged", [8, 4], Beyond::Nothing);
}

#[test]
fn killed_with_everything_durable_and_no_commit_begun_it_reads_the_epoch_again() {
    killed_at("commit", [2, 1], Beyond::Nothing);
}

// The claim of the generation is the first swap of every process.

#[test]
fn killed_between_manifests_and_swap_it_reads_the_epoch_again() {
    killed_at("before-swap", [3, 2], Beyond::Nothing);
}

#[test]
fn killed_after_the_swap_and_before_its_answer_it_does_not_read_the_epoch_again() {
    killed_at("after-swap", [3, 2], Beyond::ItsEpoch);
}

#[test]
fn killed_with_a_proved_commit_that_nobody_was_told_of_it_does_not_read_the_epoch_again() {
    killed_at("proved", [2, 1], Beyond::ItsEpoch);
}

#[test]
fn killed_before_the_group_offsets_are_written_it_goes_on_from_the_table() {
    killed_at("group-offsets", [8, 4], Beyond::Nothing);
}

#[test]
fn killed_in_the_middle_of_a_local_file_it_leaves_half_a_file_that_no_table_names() {
    let topic = Topic::create("half_a_file", 6);
    let pipeline = Pipeline::new(&topic);
    let scene = Scene::of(topic, pipeline);
    // Small row groups: the file is on the disk, without its footer.
    let run = scene.run(6).env("BATCH_SIZE", "20");
    let run = run.set("row-group-size", "1KB");
    let killed = run.failpoint("write", 60, "kill").start();
    killed.wait(PATIENCE).expect_killed_at("write");
    let files = parquet_files(&scene.pipeline.dir().join("warehouse"));
    let halves = files.iter().filter(|file| !has_footer(file)).count();
    assert!(halves > 0, "of {} files all are whole", files.len());
    scene.assert_exactly_once();
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => parquet_files(&path),
            path if path.extension().is_some_and(|e| e == "parquet") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

fn has_footer(file: &Path) -> bool {
    fs::read(file).expect("a file").ends_with(b"PAR1")
}

#[test]
fn killed_before_its_claim_lands_the_next_start_makes_the_same_claim() {
    let scene = Scene::new("claim_unsent");
    let killed = scene.run(6).failpoint("before-swap", 0, "kill").start();
    killed.wait(PATIENCE).expect_killed_at("before-swap");
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain()
        .expect_output(&["generation=1 ", "resumed=false"]);
    scene.assert_exactly_once();
}

#[test]
fn killed_after_its_claim_has_landed_the_next_start_claims_the_next_generation() {
    let scene = Scene::new("claim_landed");
    let killed = scene.run(6).failpoint("after-swap", 0, "kill").start();
    killed.wait(PATIENCE).expect_killed_at("after-swap");
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain()
        .expect_output(&["generation=2 ", "resumed=true"]);
    scene.assert_exactly_once();
}

#[test]
fn offsets_that_the_group_never_gets_are_not_missed_after_a_kill() {
    let scene = Scene::new("no_group_offsets");
    let deaf = |workers| {
        let run = scene.run(workers);
        run.env("FAILPOINTS", "group-offsets=return(error)")
    };
    for workers in [6, 3] {
        let running = deaf(workers).start();
        running.wait_rows(2_000);
        let killed = running.kill();
        killed.expect_output(&["offsets were not updated"]);
    }
    let group = scene.topic.committed(&scene.pipeline.group);
    assert!(group.is_empty(), "the group has none: {group:?}");
    scene.assert_exactly_once();
}

#[test]
fn killed_in_the_middle_of_its_drain_it_reads_the_last_epoch_again() {
    let scene = Scene::new("drain_killed");
    // SIGTERM while the second epoch is staged; the fourth swap, after the claim and two epochs, is the drain's.
    let faults = "staged=8*off->1*return(term);before-swap=3*off->1*return(kill)";
    let killed = scene.run(6).env("FAILPOINTS", faults).start();
    let killed = killed.wait(PATIENCE).expect_killed_at("before-swap");
    let killed = killed.expect_output(&["failpoint staged: term", "draining"]);
    assert_eq!(scene.pipeline.read().count, killed.committed_rows());
    scene.assert_exactly_once();
}
