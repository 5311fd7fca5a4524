//! A process that keeps state dies at each point of its state's life: `calve run dedup` under a load in which every
//! third record was sent before. Others, with other numbers of workers, go on with the state that the table names.

use super::PATIENCE;
use crate::support::{Calve, Catalog, Load, Pipeline, Topic, Warehouse};

/// A pipeline without duplicates, on the REST catalog; files and state are on S3.
struct Scene {
    pipeline: Pipeline,
    load: Load,
}

impl Scene {
    fn new(hint: &str) -> Scene {
        let topic = Topic::create(hint, 6);
        Scene {
            pipeline: Pipeline::with(&topic, Catalog::Rest, Warehouse::S3),
            load: Load::repeating(&topic, 2_000, 3, 7),
        }
    }

    /// A process with a checkpoint each 300 ms.
    fn run(&self, workers: usize) -> Calve {
        let run = self.pipeline.dedup().workers(workers);
        run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300")
    }

    /// The load ends, another process with other workers brings the rest: then every record is there once, however
    /// often it was sent.
    #[track_caller]
    fn assert_deduplicated(self) {
        let produced = self.load.stop();
        assert!(produced.repeated > 1_000, "{} repeated", produced.repeated);
        self.pipeline
            .dedup()
            .workers(2)
            .bounded()
            .run()
            .expect_code(0);
        self.pipeline.read().assert_deduplicated(&produced);
    }
}

/// Two processes under load die at this point, each after so many passes of it.
#[track_caller]
fn killed_at(point: &str, passes: [u32; 2]) {
    let scene = Scene::new("state_killed");
    for (workers, passes) in [6, 3].into_iter().zip(passes) {
        let killed = scene.run(workers).failpoint(point, passes, "kill").start();
        let killed = killed.wait(PATIENCE).expect_killed_at(point);
        assert!(killed.committed_rows() > 0, "it had done some work before");
    }
    scene.assert_deduplicated();
}

#[test]
fn killed_before_the_state_is_uploaded_the_next_start_goes_on_with_the_one_before() {
    killed_at("state-upload", [14, 7]);
}

#[test]
fn killed_with_a_part_of_the_state_uploaded_the_next_start_goes_on_with_the_one_before() {
    killed_at("state-uploaded", [14, 7]);
}

#[test]
fn killed_with_a_whole_state_that_no_commit_names_the_next_start_goes_on_with_the_one_before() {
    killed_at("state-complete", [2, 2]);
}

#[test]
fn killed_between_the_swap_and_its_answer_the_next_start_goes_on_with_the_state_that_landed() {
    killed_at("after-swap", [3, 3]);
}

#[test]
fn killed_after_a_commit_and_before_the_state_is_tidied_the_next_start_goes_on_with_the_new_one() {
    killed_at("state-tidy", [2, 2]);
}

#[test]
fn killed_while_the_state_is_restored_the_next_start_restores_it_again() {
    let scene = Scene::new("restore_killed");
    let first = scene.run(6).start();
    first.wait_rows(3_000);
    first.kill();
    for workers in [4, 3] {
        // Another worker is in the middle of it.
        let run = scene.run(workers).failpoint("state-restore", 1, "kill");
        run.start().wait(PATIENCE).expect_killed_at("state-restore");
    }
    scene.assert_deduplicated();
}

#[test]
fn a_zombie_that_slept_with_an_uploaded_state_harms_nobody() {
    let scene = Scene::new("state_zombie");
    let zombie = scene.run(3).failpoint("state-complete", 2, "stop").start();
    zombie.wait_stopped("state-complete");
    let newer = scene.run(4).start();
    newer.wait_rows(3_000);
    zombie.signal("CONT");
    zombie.wait(PATIENCE).expect_code(5);
    newer.drain();
    scene.assert_deduplicated();
}
