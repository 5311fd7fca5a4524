//! One run of several processes, and what signals do to one.

use std::time::{Duration, Instant};

use crate::support::{
    Action, Calve, Catalog, Load, Pipeline, Producer, Proxy, Request, Topic, Warehouse, eventually,
};

/// How soon a process must notice that another one of its run is gone.
const NOTICE: Duration = Duration::from_secs(10);

/// Both processes of a run.
fn two(pipeline: &Pipeline, complete: impl Fn(Calve) -> Calve) -> [Calve; 2] {
    pipeline.two(|| complete(pipeline.run().workers(2)))
}

/// To the end of the topic, by both.
fn finish(pipeline: &Pipeline) {
    let running = two(pipeline, Calve::bounded).map(Calve::start);
    for process in running {
        process.wait(Duration::from_secs(60)).expect_code(0);
    }
}

#[test]
fn two_processes_of_one_run_write_each_record_once() {
    let topic = Topic::create("two", 6);
    let produced = Producer::new(&topic).samples(60_000).finish();
    let pipeline = Pipeline::new(&topic);
    finish(&pipeline);
    let table = pipeline.assert_exactly(&produced);
    // Four workers, and each has written: partition p is read by worker p mod 4.
    let by_worker = |worker: &str| table.files.iter().any(|file| file.contains(worker));
    assert!(["-w0-", "-w1-", "-w2-", "-w3-"].into_iter().all(by_worker));
}

/// Kills one of two under load: the other ends soon and says why, and both resume.
fn a_killed_peer_ends_the_other(hint: &str, killed: usize) {
    let topic = Topic::create(hint, 6);
    let load = Load::start(&topic, 3_000);
    let pipeline = Pipeline::new(&topic);
    let mut running: Vec<_> = two(&pipeline, |run| run)
        .map(Calve::start)
        .into_iter()
        .collect();
    pipeline.wait_committed(&topic, 6_000);
    running.remove(killed).kill();
    let ended = running.remove(0).wait(NOTICE).expect_code(4);
    ended.expect_output(&["another process of this run has ended", "→"]);

    let resumed = two(&pipeline, |run| run).map(Calve::start);
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 6_000);
    let produced = load.stop();
    for process in &resumed {
        process.sigterm();
    }
    for process in resumed {
        process.wait(Duration::from_secs(60)).expect_code(0);
    }
    finish(&pipeline);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_killed_follower_ends_the_committing_process_within_seconds_and_both_resume() {
    a_killed_peer_ends_the_other("follower", 1);
}

#[test]
fn a_killed_committer_ends_the_following_process_within_seconds_and_both_resume() {
    a_killed_peer_ends_the_other("committer", 0);
}

/// A drain that a slow catalog holds up, and a second signal.
fn a_second_signal(hint: &str, signal: &str, code: i32) {
    let topic = Topic::create(hint, 6);
    let produced = Producer::new(&topic).samples(10_000).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let direct = pipeline.rest.clone();
    let proxy = Proxy::start(&direct, |request| match request.adds_files() {
        true => Action::Answer(503, "{}".to_owned()),
        false => Action::Pass,
    });
    pipeline.rest = proxy.url();
    let mut running = pipeline.run().workers(6).start();
    eventually("the commit is under way", || {
        proxy.requests().iter().any(Request::adds_files)
    });
    running.signal(signal);
    eventually("it drains", || running.output().contains("draining"));
    assert!(running.is_running(), "{}", running.output());
    running.signal(signal);
    let second = Instant::now();
    let ended = running.wait(Duration::from_secs(20)).expect_code(code);
    assert!(second.elapsed() < Duration::from_secs(2), "it ends at once");
    ended.expect_output(&["stopped at once", "nothing is lost"]);
    pipeline.rest = direct;
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_second_sigterm_ends_a_slow_drain_at_once_with_143_and_nothing_is_lost() {
    a_second_signal("second_term", "TERM", 143);
}

#[test]
fn a_second_sigint_ends_a_slow_drain_at_once_with_130_and_nothing_is_lost() {
    a_second_signal("second_int", "INT", 130);
}
