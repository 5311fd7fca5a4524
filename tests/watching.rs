//! A running pipeline is looked at: `calve status`, and `calve top` in a terminal.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Calve, Finished, Pipeline, Producer, Rest, Terminal, Topic, eventually, free_port,
};

/// A run with two workers and a REST API on a free port, whose checkpoints are late after nine seconds.
fn lively(pipeline: &Pipeline) -> Calve {
    let run = pipeline.run().workers(2).set("rest.port", "0");
    run.set("checkpoint.interval", "3s")
}

fn status(pipeline: &Pipeline, rest: &Rest, more: &[&str]) -> Finished {
    let status = pipeline.calve(&["status"]).arg("--url").arg(&rest.url());
    more.iter()
        .fold(status, |status, arg| status.arg(arg))
        .run()
}

fn parse(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).expect("JSON")
}

/// What is found, in words for programs.
fn found(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter_map(|finding| finding["is"].as_str())
        .collect()
}

#[test]
fn the_status_of_a_healthy_pipeline_is_that_of_its_table_and_its_exit_code_is_0() {
    let topic = Topic::create("status", 3);
    let produced = Producer::new(&topic).samples(3_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = lively(&pipeline).start();
    running.wait_rows(3_000);
    let rest = running.rest();
    let told = status(&pipeline, &rest, &[]).expect_code(0);
    assert!(told.stderr.is_empty(), "{}", told.stderr);
    let told = told.expect_output(&[
        &format!("Pipeline {}: healthy", pipeline.group),
        "running for ",
        "ingest with 2 workers",
        &rest.url(),
        "3,000 records in ",
        "one every 3 s",
        "0 records in 3 partitions",
        "(on-reject=halt)",
    ]);
    assert!(
        !told.stdout.contains('\x1b'),
        "no colours where no terminal is"
    );
    let report = parse(&status(&pipeline, &rest, &["--json"]).expect_code(0));
    assert_eq!(
        (report["verdict"].as_str(), found(&report)),
        (Some("healthy"), vec![])
    );
    assert_eq!(report["url"], rest.url());
    let state = &report["state"];
    assert_eq!(state["pipeline"], *pipeline.group);
    assert_eq!(state["phase"], "running");
    assert_eq!(state["figures"]["records-committed"], 3_000);
    assert_eq!(state["lag"]["partitions"], 3);
    assert_eq!(state["lag"]["total"], 0);
    let history = state["checkpoints"]["history"]
        .as_array()
        .expect("a history");
    let rows: u64 = history.iter().filter_map(|c| c["records"].as_u64()).sum();
    assert_eq!(rows, 3_000, "what the checkpoints say that they committed");
    let snapshots = history.iter().filter_map(|c| c["snapshot-id"].as_str());
    let current = pipeline.current_snapshot().to_string();
    assert!(
        snapshots.clone().any(|id| id == current),
        "{current}: {history:?}"
    );
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn only_terminals_are_shown_colours_and_only_those_of_people_who_want_them() {
    let topic = Topic::create("colours", 1);
    let produced = Producer::new(&topic).samples(100).finish();
    let pipeline = Pipeline::new(&topic);
    let running = lively(&pipeline).start();
    running.wait_rows(100);
    let url = running.rest().url();
    let one = Pipeline::new(&topic);
    for (refused, coloured) in [("", true), ("1", false)] {
        let status = pipeline.calve(&["status", "--url", &url]);
        let log = one.run().workers(1).bounded();
        for shown in [status, log] {
            let shown = shown
                .env("NO_COLOR", refused)
                .in_terminal((24, 80), &json!([]));
            assert_eq!((shown.code, shown.coloured), (0, coloured), "{shown:?}");
        }
    }
    running.drain();
    one.assert_exactly(&produced);
}

#[test]
fn a_pipeline_that_can_not_commit_or_is_behind_is_told_so_and_the_exit_code_is_7() {
    let topic = Topic::create("status_bad", 1);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = lively(&pipeline)
        .set("checkpoint.interval", "1s")
        .set("checkpoint.timeout", "2s")
        .set("checkpoint.tolerable-failed-checkpoints", "1000")
        // The first swap is the claim; the next ones are never sent.
        .env("FAILPOINTS", "before-swap=1*off->40*return(error)")
        .start();
    let rest = running.rest();
    let mut report = Value::Null;
    eventually("a failed checkpoint is told", || {
        let told = status(&pipeline, &rest, &["--json"]);
        report = parse(&told);
        told.code == Some(7) && found(&report).contains(&"checkpoint-failed")
    });
    assert_eq!(report["verdict"], "unhealthy");
    eventually("it is told how late it is", || {
        let told = status(&pipeline, &rest, &[]);
        told.code == Some(7)
            && told.stdout.contains("not healthy")
            && told.stdout.contains("no checkpoint for ")
            && told.stderr.contains("checkpoint-late")
    });
    eventually("it is well again when commits are", || {
        status(&pipeline, &rest, &[]).code == Some(0)
    });
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_lag_beyond_what_is_allowed_is_behind() {
    let topic = Topic::create("status_lag", 2);
    Producer::new(&topic).samples(20_000).finish();
    let pipeline = Pipeline::new(&topic);
    // The writer takes a second for five hundred records, and the reader may be one megabyte ahead of it.
    let running = pipeline
        .run()
        .workers(1)
        .set("rest.port", "0")
        .set("batch.size", "500")
        .set("memory.in-flight", "1MB")
        .env("FAILPOINTS", "write=sleep(1000)")
        .start();
    let rest = running.rest();
    let lag = || parse(&status(&pipeline, &rest, &["--json"]))["state"]["lag"]["total"].as_u64();
    eventually("some of it stays before the readers", || {
        lag().is_some_and(|lag| lag > 0)
    });
    let lag = lag().expect("a lag");
    let behind = status(&pipeline, &rest, &["--json", "--max-lag", "0"]).expect_code(7);
    let report = parse(&behind);
    assert!(found(&report).contains(&"lag"), "{report}");
    let told = status(&pipeline, &rest, &["--max-lag", &lag.to_string()]);
    assert!(
        !told.stdout.contains("lie before the readers"),
        "{}",
        told.stdout
    );
    running.kill();
}

#[test]
fn a_pipeline_that_does_not_run_is_told_so_and_the_exit_code_is_4() {
    let topic = Topic::create("status_off", 1);
    let pipeline = Pipeline::new(&topic);
    let free = free_port();
    let nobody = Rest::at(&format!("127.0.0.1:{free}"));
    let asked = |more: &[&str]| status(&pipeline, &nobody, more);
    asked(&[])
        .expect_code(4)
        .expect_output(&["no pipeline answers", "--url"]);
    let report = parse(&asked(&["--json"]).expect_code(4));
    assert_eq!(report["verdict"], "not-running");
    assert_eq!(found(&report), ["not-running"]);
    assert!(report["state"].is_null() && report["url"].is_null());
    // Of a range of ports another pipeline may have taken one.
    let range = format!("rest.port={free}-{}", free + 3);
    let neighbour = Pipeline::new(&topic);
    let running = neighbour.run().workers(1).arg("--set").arg(&range).start();
    let rest = running.rest();
    let absent = pipeline
        .calve(&["status", "--set", &range])
        .run()
        .expect_code(4);
    absent.expect_output(&["others are at", &rest.url()]);
    neighbour
        .calve(&["status", "--set", &range])
        .run()
        .expect_code(0);
    running.drain();
}

#[test]
fn top_shows_a_running_pipeline_and_gives_the_terminal_back() {
    let topic = Topic::create("top", 3);
    Producer::new(&topic).samples(3_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = lively(&pipeline).start();
    running.wait_rows(3_000);
    let rest = running.rest();
    let top = || pipeline.calve(&["top"]).arg("--url").arg(&rest.url());
    let steps = json!([
        { "until": "3,000 records in" },
        // The shares of the workers are known with the second look.
        { "until": " %" },
        { "type": "\t" },
        { "until": &format!("{}[2]", topic.name) },
        { "type": "3" },
        { "until": "Coordinator" },
        { "type": "4" },
        { "until": "took" },
        { "type": "5" },
        { "until": "checkpoint committed" },
        { "resize": [40, 140] },
        { "until": "healthy" },
        { "type": "q" },
    ]);
    let seen = top().in_terminal((24, 80), &steps);
    assert_eq!(seen.code, 0, "{seen:?}");
    assert_given_back(&seen);
    assert!(seen.coloured);
    let first = &seen.screens[1];
    for text in [
        &*pipeline.group,
        "healthy",
        "Lag of 3 partitions",
        "Workers, busy",
        "q end",
    ] {
        assert!(first.contains(text), "{text} in:\n{first}");
    }
    // Colours are a matter of taste; a signal is no reason to leave a mess.
    let steps = json!([{ "until": "healthy" }, { "signal": "TERM" }]);
    let plain = top().env("NO_COLOR", "1").in_terminal((24, 80), &steps);
    assert_eq!(plain.code, 0, "{plain:?}");
    assert_given_back(&plain);
    assert!(!plain.coloured);
    // The pipeline ends while it is watched.
    let steps = json!([{ "until": "healthy" }, { "until": "no answer" }, { "type": "q" }]);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| top().in_terminal((24, 100), &steps));
        std::thread::sleep(Duration::from_secs(2));
        running.drain();
        let left = watcher.join().expect("no panic");
        assert_eq!(left.code, 0, "{left:?}");
        assert_given_back(&left);
    });
}

#[track_caller]
fn assert_given_back(seen: &Terminal) {
    let back = (seen.restored, seen.main_screen, seen.cursor);
    assert_eq!(back, (true, true, true), "{seen:?}");
    assert_eq!(seen.last.trim(), "", "nothing is left on the screen");
}

#[test]
fn top_needs_a_terminal_and_a_pipeline_and_says_which_of_them_is_missing() {
    let topic = Topic::create("top_needs", 1);
    let pipeline = Pipeline::new(&topic);
    let url = format!("http://127.0.0.1:{}", free_port());
    let top = || pipeline.calve(&["top", "--url", &url]);
    let piped = top().env("TERM", "xterm").run().expect_code(2);
    piped.expect_output(&["calve top draws in a terminal", "calve status"]);
    let dumb = top().env("TERM", "dumb").in_terminal((24, 80), &json!([]));
    assert_eq!(dumb.code, 2, "{dumb:?}");
    let nobody = top().in_terminal((24, 80), &json!([]));
    assert_eq!(nobody.code, 4, "{nobody:?}");
    assert!(nobody.last.contains("no pipeline answers"), "{nobody:?}");
    assert!(nobody.restored && nobody.main_screen);
}
