//! A running pipeline is told what to do: over HTTP, and by the commands that use it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Calve, Catalog, Load, Pipeline, Producer, Rest, Topic, Warehouse, eventually, read_savepoint,
};

/// A command for a running pipeline.
fn command(pipeline: &Pipeline, rest: &Rest, args: &[&str]) -> Calve {
    pipeline.calve(args).arg("--url").arg(&rest.url())
}

#[test]
fn a_checkpoint_that_was_asked_for_is_in_the_table_when_the_answer_comes() {
    let topic = Topic::create("now", 3);
    let produced = Producer::new(&topic).samples(5_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    rest.wait_read(5_000);
    let outcome = rest.ask("/checkpoints", "", "/checkpoints");
    assert_eq!(outcome["checkpointId"], 1, "{outcome}");
    pipeline.assert_exactly(&produced);
    // Neither the interval (an hour) nor the pause (half a minute) is waited for; an empty one is none the less one.
    let begin = Instant::now();
    let finished = command(&pipeline, &rest, &["checkpoint"]).run();
    let finished = finished.expect_code(0);
    assert_eq!(finished.stdout, "checkpoint 2 is in the table\n");
    assert!(begin.elapsed() < Duration::from_secs(20));
    let history = rest.get("/calve/checkpoints");
    assert_eq!(history["counts"]["completed"], 2, "{history}");
    let first = &history["history"][1];
    assert_eq!(first["trigger"], "manual");
    assert_eq!(first["records"], 5_000);
    assert_eq!(first["snapshot-id"], pipeline.current_snapshot());
    running.drain();
    pipeline.assert_exactly(&produced);
}

/// Stops with a savepoint under load, goes on from it, and counts.
fn stop_and_go_on(pipeline: &Pipeline, topic: &Topic, directory: &str) -> String {
    let load = Load::start(topic, 5_000);
    let run = pipeline.run().workers(3).set("rest.port", "0").start();
    run.wait_rows(5_000);
    let folder = pipeline.ask_savepoint(&run.rest(), &["stop", "--savepoint"], directory);
    run.wait(Duration::from_secs(30)).expect_code(0);
    assert!(folder.starts_with(directory), "{folder}");
    let stands = pipeline.current_snapshot();
    // Nothing is committed behind the savepoint.
    let run = pipeline.run().workers(2).arg("--from").arg(&folder);
    let running = run.start();
    running.wait_rows(5_000);
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(1).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    assert_ne!(pipeline.current_snapshot(), stands);
    folder
}

#[test]
fn stop_with_savepoint_and_run_from_it_lose_nothing_and_double_nothing() {
    let topic = Topic::create("stop_savepoint", 4);
    let pipeline = Pipeline::new(&topic);
    let directory = pipeline.savepoints();
    let folder = stop_and_go_on(&pipeline, &topic, &directory);
    let savepoint = read_savepoint(&folder);
    assert_eq!(savepoint["version"], 2);
    assert_eq!(savepoint["table"], pipeline.table_name());
    assert_eq!(savepoint["marker"]["pipeline"], *pipeline.group);
    let files: Vec<_> = fs::read_dir(&folder).expect("a folder").collect();
    assert_eq!(files.len(), 1, "nothing else is left there: {files:?}");
    // The table is ahead of it by now.
    let again = pipeline.run().bounded().arg("--from").arg(&folder).run();
    let again = again.expect_code(6);
    let snapshot = savepoint["snapshot-id"].to_string();
    again.expect_output(&["would be there twice", "on-rollback=rewind", &snapshot]);
}

#[test]
fn a_savepoint_on_s3_is_gone_on_from_with_the_rest_catalog() {
    let topic = Topic::create("savepoint_s3", 4);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let directory = format!("{}/savepoints", pipeline.warehouse_location());
    stop_and_go_on(&pipeline, &topic, &directory);
}

#[test]
fn a_savepoint_fills_a_new_table_from_its_offsets_on() {
    let topic = Topic::create("savepoint_fork", 3);
    let mut producer = Producer::new(&topic);
    producer.samples(3_000).finish();
    let mut pipeline = Pipeline::new(&topic);
    let directory = pipeline.savepoints();
    let run = pipeline.patient().set("state.savepoints.dir", &directory);
    let running = run.start();
    let rest = running.rest();
    rest.wait_read(3_000);
    let savepoint = command(&pipeline, &rest, &["savepoint", "--json"]).run();
    let printed = savepoint.expect_code(0).stdout;
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let folder = printed["location"].as_str().expect("a location");
    let produced = producer.samples(2_000).finish();
    running.drain();
    pipeline.assert_exactly(&produced);
    // The same pipeline under the same name in another table: only what came after the savepoint.
    pipeline.table = "fork".to_owned();
    let run = pipeline.run().bounded().arg("--from").arg(folder);
    run.run().expect_code(0);
    assert_eq!(pipeline.read().count, 2_000);
    pipeline.assert_begins_at(folder);
}

#[test]
fn a_table_that_was_rolled_back_to_a_savepoint_goes_on_from_there() {
    let topic = Topic::create("savepoint_back", 3);
    let mut producer = Producer::new(&topic);
    producer.samples(2_000).finish();
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let running = pipeline.patient().start();
    let rest = running.rest();
    rest.wait_read(2_000);
    let directory = pipeline.savepoints();
    let folder = pipeline.ask_savepoint(&rest, &["savepoint"], &directory);
    let produced = producer.samples(1_000).finish();
    rest.wait_read(3_000);
    rest.ask("/checkpoints", "{}", "/checkpoints");
    running.drain();
    let from = |policy: &str| {
        let run = pipeline.run().bounded().set("on-rollback", policy);
        run.arg("--from").arg(&folder).run()
    };
    let ahead = from("rewind").expect_code(6);
    ahead.expect_output(&["would be there twice"]);
    // The commit after the savepoint is undone; the drain had none to make.
    pipeline.change_table(json!({ "roll_back": 1 }));
    let halted = from("halt").expect_code(6);
    halted.expect_output(&["was rolled back", "on-rollback=rewind"]);
    let left_out = from("continue").expect_code(6);
    left_out.expect_output(&["would not read on at the savepoint's offsets"]);
    from("rewind").expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_cancelled_run_commits_nothing_more_and_the_next_one_reads_it_again() {
    let topic = Topic::create("cancel", 3);
    let produced = Producer::new(&topic).samples(4_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    rest.wait_read(4_000);
    let cancel = command(&pipeline, &rest, &["cancel"]).run().expect_code(0);
    cancel.expect_output(&["cancelled"]);
    let ended = running.wait(Duration::from_secs(20)).expect_code(0);
    assert_eq!(ended.committed_rows(), 0);
    ended.expect_output(&["cancelled"]);
    assert_eq!(pipeline.read().count, 0);
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn stop_drains_and_tells_the_last_checkpoint() {
    let topic = Topic::create("stop", 3);
    let produced = Producer::new(&topic).samples(4_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    running.rest().wait_read(4_000);
    let stop = command(&pipeline, &running.rest(), &["stop"]).run();
    stop.expect_code(0)
        .expect_output(&["stopped: checkpoint 1"]);
    running.wait(Duration::from_secs(20)).expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_savepoint_that_could_not_be_written_stops_nothing() {
    let topic = Topic::create("unwritable", 1);
    let pipeline = Pipeline::new(&topic);
    let mut running = pipeline.patient().start();
    let rest = running.rest();
    let file = pipeline.dir().join("file");
    fs::write(&file, "no folder").expect("a file");
    let stop = |more: &[&str]| {
        let stop = command(&pipeline, &rest, &["stop", "--savepoint"]);
        more.iter().fold(stop, |stop, arg| stop.arg(arg)).run()
    };
    let file = file.display().to_string();
    let refused = stop(&["--path", &file]).expect_code(2);
    refused.expect_output(&["can't be written", "state.savepoints.dir"]);
    let refused = stop(&[]).expect_code(2);
    refused.expect_output(&["--path", "state.savepoints.dir"]);
    for directory in ["/tmp/../etc", "relative", "ftp://x/y", "/a\nb"] {
        let body = json!({ "targetDirectory": directory }).to_string();
        assert_eq!(rest.post("/stop", &body).0, 400, "{directory}");
    }
    assert!(running.is_running());
    assert_eq!(rest.get("/jobs")["jobs"][0]["status"], "RUNNING");
    running.drain();
}

#[test]
fn a_failed_checkpoint_is_told_to_those_who_asked_for_it() {
    let topic = Topic::create("failed_ask", 1);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline
        .patient()
        .set("checkpoint.timeout", "1s")
        .set("checkpoint.tolerable-failed-checkpoints", "3")
        // The first swap is the claim; the next ones are never sent, for more than a second.
        .env("FAILPOINTS", "before-swap=1*off->6*return(error)")
        .start();
    let rest = running.rest();
    rest.wait_read(1_000);
    let failed = command(&pipeline, &rest, &["checkpoint"])
        .run()
        .expect_code(4);
    failed.expect_output(&["could not do it"]);
    let history = rest.get("/calve/checkpoints");
    assert_eq!(history["history"][0]["status"], "failed", "{history}");
    assert!(history["history"][0]["failure"].is_string());
    // Its files ride with the next one.
    eventually("a later one is proved", || {
        let outcome = rest.ask("/checkpoints", "", "/checkpoints");
        outcome["checkpointId"].is_u64()
    });
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn the_commands_say_what_is_wrong_when_they_reach_nobody_or_another_pipeline() {
    let topic = Topic::create("nobody", 1);
    let pipeline = Pipeline::new(&topic);
    let free = crate::support::free_port();
    let nobody = pipeline.calve(&["savepoint", "--url", &format!("http://127.0.0.1:{free}")]);
    let nobody = nobody.run().expect_code(4);
    nobody.expect_output(&["no pipeline answers", "--url"]);
    let off = pipeline.calve(&["cancel"]).run().expect_code(2);
    off.expect_output(&["rest.port"]);
    let running = pipeline.patient().start();
    let rest = running.rest();
    let other = Pipeline::new(&topic);
    let stranger = command(&other, &rest, &["stop"]).run().expect_code(2);
    stranger.expect_output(&["is not pipeline", "pipeline.name"]);
    running.drain();
}

#[test]
fn of_a_range_each_pipeline_takes_a_port_of_its_own_and_is_found_by_its_name() {
    let topic = Topic::create("ports", 1);
    let first = crate::support::free_port();
    let range = format!("{first}-{}", first + 9);
    let (one, two) = (Pipeline::new(&topic), Pipeline::new(&topic));
    let start = |pipeline: &Pipeline| pipeline.patient().set("rest.port", &range).start();
    let (running_one, running_two) = (start(&one), start(&two));
    assert_ne!(running_one.rest().address, running_two.rest().address);
    let stop = two.calve(&["stop", "--set", &format!("rest.port={range}")]);
    stop.run().expect_code(0);
    running_two.wait(Duration::from_secs(20)).expect_code(0);
    // A port that is taken is a warning, and the pipeline runs.
    let taken = running_one.rest().address.port().to_string();
    let run = two.run().bounded().set("rest.port", &taken);
    let third = run.run().expect_code(0);
    third.expect_output(&["no REST API", "rest.port", &taken]);
    running_one.drain();
}
