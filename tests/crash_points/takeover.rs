//! Zombies, starts at the same moment, and swaps that arrive when another process rules.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{PATIENCE, Scene};
use crate::support::{Action, Proxy, Request, Services, eventually};

/// A process stops at this point, sleeps through a takeover and wakes.
#[track_caller]
fn asleep_at(point: &str, passes: u32) {
    let scene = Scene::new("asleep");
    let zombie = scene.run(6).failpoint(point, passes, "stop").start();
    zombie.wait_stopped(point);
    let newer = scene.run(3).start();
    newer.wait_rows(3_000);
    zombie.signal("CONT");
    let fenced = zombie.wait(PATIENCE).expect_code(5);
    fenced.expect_output(&["generation 2 of pipeline", &scene.pipeline.group]);
    newer.drain();
    scene.assert_exactly_once();
}

#[test]
fn a_zombie_that_slept_with_staged_files_is_fenced() {
    asleep_at("staged", 8);
}

#[test]
fn a_zombie_that_slept_with_its_commit_not_begun_is_fenced() {
    asleep_at("commit", 2);
}

#[test]
fn a_zombie_that_slept_between_manifests_and_swap_is_fenced() {
    asleep_at("before-swap", 3);
}

#[test]
fn a_zombie_that_slept_after_its_swap_is_fenced_and_its_epoch_counts() {
    asleep_at("after-swap", 3);
}

#[test]
fn a_zombie_that_slept_with_a_proved_commit_is_fenced_at_its_next() {
    asleep_at("proved", 2);
}

#[test]
fn a_zombie_that_wakes_to_a_sigterm_is_fenced_all_the_same() {
    let scene = Scene::new("asleep_term");
    let zombie = scene.run(6).failpoint("before-swap", 3, "stop").start();
    zombie.wait_stopped("before-swap");
    let newer = scene.run(3).start();
    newer.wait_rows(2_000);
    zombie.sigterm();
    zombie.signal("CONT");
    zombie.wait(PATIENCE).expect_code(5);
    newer.drain();
    scene.assert_exactly_once();
}

#[test]
fn of_two_starts_at_the_same_moment_the_one_whose_claim_lands_last_goes_on() {
    let scene = Scene::new("two_starts");
    // It has looked at the table and is about to claim it; meanwhile another start does both.
    let late = scene.run(6).failpoint("before-swap", 0, "stop").start();
    late.wait_stopped("before-swap");
    let early = scene.run(3).start();
    early.wait_rows(2_000);
    late.signal("CONT");
    early.wait(PATIENCE).expect_code(5);
    let went_on = late.committed_rows();
    late.wait_rows(went_on + 2_000);
    late.drain().expect_output(&["generation=2 "]);
    scene.assert_exactly_once();
}

/// A process whose third commit is held back by the network, with the process cut off from its catalog, and
/// then killed: the commit, to be delivered when it hurts, and how many rows were committed before it.
fn killed_with_a_swap_on_its_way(scene: &mut Scene) -> (Request, u64) {
    let held: Arc<Mutex<Option<Request>>> = Arc::default();
    let (hold, commits) = (Arc::clone(&held), Mutex::new(0));
    let proxy = Proxy::start(&Services::get().rest, move |request| {
        let mut held = hold.lock().expect("no panic here");
        if held.is_some() {
            return Action::Refuse;
        }
        if request.adds_files() {
            let mut commits = commits.lock().expect("no panic here");
            *commits += 1;
            if *commits == 3 {
                *held = Some(request.clone());
                return Action::Refuse;
            }
        }
        Action::Pass
    });
    let direct = std::mem::replace(&mut scene.pipeline.rest, proxy.url());
    let running = scene.run(6).start();
    eventually("the third commit is on its way", || {
        held.lock().expect("no panic here").is_some()
    });
    let killed = running.kill();
    scene.pipeline.rest = direct;
    let request = held.lock().expect("no panic here").take();
    (request.expect("it is held"), killed.committed_rows())
}

#[test]
fn a_swap_that_arrives_after_the_takeover_is_refused_by_the_catalog() {
    let mut scene = Scene::new("late_swap");
    let (swap, _) = killed_with_a_swap_on_its_way(&mut scene);
    let newer = scene.run(3).start();
    newer.wait_rows(2_000);
    assert_eq!(swap.send(&scene.pipeline.rest), 409);
    newer.drain();
    scene.assert_exactly_once();
}

#[test]
fn a_swap_that_arrives_right_after_the_claim_is_refused_by_the_catalog() {
    let mut scene = Scene::new("swap_after_claim");
    let (swap, _) = killed_with_a_swap_on_its_way(&mut scene);
    // The claim has landed, and nothing else: it is an empty snapshot, which is all that fences.
    let newer = scene.run(3).failpoint("after-swap", 0, "stop").start();
    newer.wait_stopped("after-swap");
    assert_eq!(swap.send(&scene.pipeline.rest), 409);
    newer.signal("CONT");
    newer.wait_rows(2_000);
    newer.drain();
    scene.assert_exactly_once();
}

#[test]
fn a_swap_that_arrives_between_a_starts_look_and_its_claim_counts_as_committed() {
    let mut scene = Scene::new("swap_before_claim");
    let (swap, _) = killed_with_a_swap_on_its_way(&mut scene);
    let newer = scene.run(3).failpoint("before-swap", 0, "stop").start();
    newer.wait_stopped("before-swap");
    assert_eq!(swap.send(&scene.pipeline.rest), 200);
    newer.signal("CONT");
    newer.wait_rows(2_000);
    newer.drain();
    scene.assert_exactly_once();
}

#[test]
fn a_swap_that_arrives_after_a_rollback_to_its_base_is_refused_by_the_catalog() {
    let mut scene = Scene::new("swap_after_rollback");
    let (swap, rows) = killed_with_a_swap_on_its_way(&mut scene);
    // Somebody undoes the claim, so `main` is what the swap requires it to be, again. But sequence numbers
    // only rise, and the claim's is taken.
    let newer = scene.run(3).failpoint("after-swap", 0, "stop").start();
    newer.wait_stopped("after-swap");
    scene.pipeline.change_table(json!({"undo": true}));
    assert_ne!(swap.send(&scene.pipeline.rest), 200);
    newer.signal("CONT");
    let ended = newer.wait(PATIENCE).expect_code(6);
    ended.expect_output(&["rolled back"]);
    assert_eq!(scene.pipeline.read().count, rows);
}
