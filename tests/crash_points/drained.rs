//! SIGTERM at each point, and while each fault lasts: the process ends within bounded time, with the exit code
//! that is documented, and nothing is lost or there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{PATIENCE, Scene};
use crate::support::{Action, Proxy, Request, Services, eventually};

/// SIGTERM arrives at this very point: the process drains, commits what it has read, and says so.
#[track_caller]
fn drained_at(point: &str, passes: u32) {
    let scene = Scene::new("drained");
    let running = scene.run(6).failpoint(point, passes, "term").start();
    let drained = running.wait(PATIENCE).expect_code(0);
    let drained = drained.expect_output(&[&format!("failpoint {point}: term"), "draining"]);
    assert_eq!(scene.pipeline.read().count, drained.committed_rows());
    scene.assert_exactly_once();
}

#[test]
fn sigterm_in_the_middle_of_a_file_drains() {
    drained_at("write", 8);
}

#[test]
fn sigterm_with_staged_files_that_nobody_knows_of_drains() {
    drained_at("staged", 8);
}

#[test]
fn sigterm_with_everything_durable_and_no_commit_begun_drains() {
    drained_at("commit", 2);
}

#[test]
fn sigterm_between_manifests_and_swap_drains() {
    drained_at("before-swap", 3);
}

#[test]
fn sigterm_between_the_swap_and_its_answer_drains() {
    drained_at("after-swap", 3);
}

#[test]
fn sigterm_with_a_proved_commit_that_nobody_was_told_of_drains() {
    drained_at("proved", 2);
}

#[test]
fn sigterm_before_the_group_offsets_are_written_drains() {
    drained_at("group-offsets", 8);
}

#[test]
fn sigterm_in_the_middle_of_the_claim_drains() {
    drained_at("before-swap", 0);
}

/// SIGTERM while every pass of this point fails.
#[track_caller]
fn drained_while_failing(point: &str, code: i32) {
    let scene = Scene::new("failing");
    // The claim and the first commits succeed.
    let run = scene.run(6).set("checkpoint.timeout", "3s");
    let running = run
        .env("FAILPOINTS", &format!("{point}=3*off->return(error)"))
        .start();
    let failing = format!("failpoint {point}: error");
    eventually("the point fails", || running.output().contains(&failing));
    running.sigterm();
    let ended = running.wait(Duration::from_secs(20)).expect_code(code);
    assert!(ended.committed_rows() > 0, "it had done some work before");
    scene.assert_exactly_once();
}

#[test]
fn sigterm_while_no_swap_reaches_the_catalog_ends_with_4() {
    drained_while_failing("before-swap", 4);
}

#[test]
fn sigterm_while_every_answer_of_the_catalog_is_lost_drains() {
    drained_while_failing("after-swap", 0);
}

#[test]
fn sigterm_while_the_group_takes_no_offsets_drains() {
    drained_while_failing("group-offsets", 0);
}

/// A fault that a test switches on.
fn switchable(
    upstream: &str,
    fault: Action,
    matches: fn(&Request) -> bool,
) -> (Proxy, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let is_on = Arc::clone(&switch);
    let proxy = Proxy::start(upstream, move |request| {
        if is_on.load(Ordering::Relaxed) && matches(request) {
            fault.clone()
        } else {
            Action::Pass
        }
    });
    (proxy, switch)
}

/// SIGTERM while the catalog does this with every request.
#[track_caller]
fn drained_while_the_catalog(fault: Action) {
    let mut scene = Scene::new("catalog_fault");
    let (proxy, fault_is_on) = switchable(&scene.pipeline.rest, fault, |_| true);
    let direct = std::mem::replace(&mut scene.pipeline.rest, proxy.url());
    let running = scene.run(6).set("checkpoint.timeout", "3s").start();
    running.wait_rows(1_000);
    let before = proxy.requests().len();
    fault_is_on.store(true, Ordering::Relaxed);
    running.sigterm();
    let ended = running.wait(Duration::from_secs(20)).expect_code(4);
    ended.expect_output(&["draining", "→"]);
    assert!(proxy.requests().len() > before, "the fault was reached");
    scene.pipeline.rest = direct;
    scene.assert_exactly_once();
}

#[test]
fn sigterm_while_the_catalog_is_down_ends_with_4() {
    drained_while_the_catalog(Action::Refuse);
}

#[test]
fn sigterm_while_the_catalog_answers_503_ends_with_4() {
    drained_while_the_catalog(Action::Answer(503, "{}".to_owned()));
}

#[test]
fn sigterm_while_the_catalog_hangs_ends_with_4() {
    drained_while_the_catalog(Action::Delay(Duration::from_secs(30)));
}

/// SIGTERM, and another signal if need be, while the object store does this with every write.
#[track_caller]
fn drained_while_the_store(fault: Action, second: Option<&str>, code: i32) {
    let scene = Scene::new("store_fault");
    let store = &Services::get().s3_endpoint;
    let writes = |request: &Request| request.method != "GET" && request.method != "HEAD";
    let (proxy, fault_is_on) = switchable(store, fault, writes);
    let run = scene.run(6).env("S3_ENDPOINT", &proxy.url());
    let running = run.start();
    running.wait_rows(1_000);
    fault_is_on.store(true, Ordering::Relaxed);
    let before = proxy.requests().len();
    running.sigterm();
    if let Some(second) = second {
        eventually("the store is asked", || proxy.requests().len() > before);
        running.signal(second);
    }
    running.wait(Duration::from_secs(40)).expect_code(code);
    assert!(proxy.requests().len() > before, "the fault was reached");
    scene.assert_exactly_once();
}

#[test]
fn sigterm_while_the_object_store_is_slow_drains() {
    drained_while_the_store(Action::Delay(Duration::from_millis(700)), None, 0);
}

#[test]
fn sigterm_while_the_object_store_answers_503_ends_with_4() {
    let slow = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";
    drained_while_the_store(Action::Answer(503, slow.to_owned()), None, 4);
}

#[test]
fn sigterm_while_the_object_store_resets_connections_ends_with_4() {
    drained_while_the_store(Action::Reset, None, 4);
}

#[test]
fn a_second_signal_ends_it_at_once_while_the_object_store_hangs() {
    let hangs = Action::Delay(Duration::from_secs(60));
    drained_while_the_store(hangs, Some("TERM"), 143);
}
