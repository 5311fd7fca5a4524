//! The REST API beside Flink's own answers.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Pipeline, Producer, Rest, Running, Topic, eventually};

/// What Flink 2.0.2 answered for a job from Kafka to Iceberg (lists cut to their first element).
fn flink(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/flink-rest");
    let text = fs::read(path.join(format!("{name}.json"))).expect("an answer of Flink's");
    serde_json::from_slice(&text).expect("JSON")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What of `ours` has another shape than `theirs`. Objects whose keys are ids are compared by their values.
fn differences(place: &str, ours: &Value, theirs: &Value, all: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let is_id = |key: &String| key.len() == 32;
            if theirs.keys().any(is_id) {
                for (id, our) in ours {
                    let their = theirs.values().next().expect("one");
                    differences(&format!("{place}.{id}"), our, their, all);
                }
                return;
            }
            for key in ours.keys().filter(|key| !theirs.contains_key(*key)) {
                all.push(format!("{place}.{key}: Flink has no such field"));
            }
            for (key, their) in theirs {
                match ours.get(key) {
                    Some(our) => differences(&format!("{place}.{key}"), our, their, all),
                    // The first of a chain has none in Flink either.
                    None if key == "inputs" => {}
                    None => all.push(format!("{place}.{key}: is missing")),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let Some(their) = theirs.first() {
                assert!(!ours.is_empty(), "{place}: nothing to compare");
                for (index, our) in ours.iter().enumerate() {
                    differences(&format!("{place}[{index}]"), our, their, all);
                }
            }
        }
        // Flink says so of a percentile that it does not have.
        (Value::String(nan), Value::Number(_)) | (Value::Number(_), Value::String(nan))
            if nan == "NaN" => {}
        // What may be there and was not.
        (_, Value::Null) => {}
        (ours, theirs) if kind(ours) == kind(theirs) => {}
        (ours, theirs) => all.push(format!(
            "{place}: {} in place of {}",
            kind(ours),
            kind(theirs)
        )),
    }
}

#[track_caller]
fn assert_same_shape(name: &str, ours: &Value) {
    let mut all = Vec::new();
    differences(name, ours, &flink(name), &mut all);
    assert!(all.is_empty(), "{all:#?}\nours: {ours:#}");
}

/// A pipeline with a checkpoint behind it.
fn running(pipeline: &Pipeline) -> (Running, Rest) {
    let run = pipeline.run().workers(2).set("rest.port", "0");
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000").start();
    let rest = running.rest();
    rest.ask("/checkpoints", "", "/checkpoints");
    (running, rest)
}

#[test]
fn every_answer_has_the_fields_and_types_of_flinks() {
    let topic = Topic::create("shapes", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let (running, rest) = running(&pipeline);
    for (name, path) in [
        ("overview", "/overview"),
        ("config", "/config"),
        ("jobs", "/jobs"),
        ("jobs-overview", "/jobs/overview"),
        ("taskmanagers", "/taskmanagers"),
    ] {
        assert_same_shape(name, &rest.get(path));
        assert_same_shape(name, &rest.get(&format!("/v1{path}")));
    }
    for (name, path) in [
        ("job", ""),
        ("plan", "/plan"),
        ("job-config", "/config"),
        ("exceptions", "/exceptions"),
        ("accumulators", "/accumulators"),
        ("checkpoints", "/checkpoints"),
        ("checkpoints-config", "/checkpoints/config"),
        ("checkpoint-details", "/checkpoints/details/1"),
        ("job-metrics", "/metrics"),
        (
            "job-metrics-get",
            "/metrics?get=uptime,lastCheckpointDuration,numberOfCompletedCheckpoints",
        ),
    ] {
        assert_same_shape(name, &rest.job(path));
    }
    let job = rest.job("");
    let vertices = job["vertices"].as_array().expect("vertices");
    for vertex in vertices {
        let id = vertex["id"].as_str().expect("an id");
        assert_same_shape("vertex", &rest.job(&format!("/vertices/{id}")));
        assert_same_shape(
            "watermarks",
            &rest.job(&format!("/vertices/{id}/watermarks")),
        );
        let subtasks = format!("/checkpoints/details/1/subtasks/{id}");
        assert_same_shape("checkpoint-subtasks", &rest.job(&subtasks));
    }
    // All that Flink measures of a job can be asked for here.
    let names = |metrics: &Value| -> Vec<String> {
        let metrics = metrics.as_array().expect("a list").iter();
        let mut names: Vec<String> = metrics
            .map(|m| m["id"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&rest.job("/metrics")), names(&flink("job-metrics")));
    running.drain();
}

#[test]
fn the_answers_say_what_is_so() {
    let topic = Topic::create("answers", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let (running, rest) = running(&pipeline);
    rest.wait_read(1_000);
    let outcome = rest.ask(
        "/checkpoints",
        r#"{"checkpointType":"FULL"}"#,
        "/checkpoints",
    );
    let number = outcome["checkpointId"].as_u64().expect("a number");
    let directory = pipeline.savepoints();
    let body =
        json!({ "target-directory": directory, "cancel-job": false, "formatType": "CANONICAL" });
    let savepoint = rest.ask("/savepoints", &body.to_string(), "/savepoints");
    let location = savepoint["location"].as_str().expect("a location");
    assert!(location.starts_with(&directory), "{location}");
    let checkpoints = rest.job("/checkpoints");
    assert_eq!(checkpoints["counts"]["completed"], number + 1);
    assert_eq!(checkpoints["latest"]["completed"]["id"], number);
    let latest = &checkpoints["latest"]["savepoint"];
    assert_eq!(latest["id"], number + 1);
    assert_eq!(latest["is_savepoint"], true);
    assert_eq!(latest["external_path"], *location);
    let snapshot = pipeline.current_snapshot().to_string();
    let path = checkpoints["latest"]["completed"]["external_path"].as_str();
    assert!(
        path.is_some_and(|path| path.ends_with(&snapshot)),
        "{path:?}"
    );
    // The operators, each with its workers; the picture leads from the source to the commit.
    let job = rest.job("");
    let vertices = job["vertices"].as_array().expect("vertices");
    let parallelism = |name: &str| {
        let mut found = vertices.iter().filter(|vertex| vertex["name"] == name);
        found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {job:#}"))["parallelism"]
            .clone()
    };
    for name in ["Kafka source", "Batch", "Decode", "Stage"] {
        assert_eq!(parallelism(name), 2, "{name}");
    }
    assert_eq!(parallelism("Commit"), 1);
    let nodes = job["plan"]["nodes"].as_array().expect("nodes");
    let node = |name: &str| {
        nodes
            .iter()
            .find(|node| node["description"] == name)
            .expect("a node")
    };
    for (from, to) in [
        ("Kafka source", "Batch"),
        ("Batch", "Decode"),
        ("Decode", "Stage"),
        ("Stage", "Commit"),
    ] {
        let inputs = node(to)["inputs"].as_array().expect("inputs");
        let found = inputs.iter().any(|input| input["id"] == node(from)["id"]);
        assert!(found, "{from} → {to} in {:#}", job["plan"]);
    }
    // The settings, without secrets.
    let settings = rest.get("/jobmanager/config");
    let settings = settings.as_array().expect("a list");
    let name = settings
        .iter()
        .find(|setting| setting["key"] == "pipeline.name");
    assert_eq!(name.expect("a name")["value"], *pipeline.group);
    // What is not there.
    assert_eq!(rest.call("GET", "/jobs/nosuch", &[], "").0, 400);
    let zeros = "0".repeat(32);
    let (status, body) = rest.call("GET", &format!("/jobs/{zeros}"), &[], "");
    assert_eq!(status, 404);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert!(
        body["errors"][0]
            .as_str()
            .expect("a reason")
            .contains("not found")
    );
    running.drain();
}

#[test]
fn supervisors_and_dashboards_find_what_they_look_for() {
    let topic = Topic::create("scrape", 3);
    let mut producer = Producer::new(&topic);
    producer.samples(900).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(2).set("rest.port", "0");
    let run = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "500");
    let running = run.env("PROMETHEUS_PORT", "0").start();
    running.wait_rows(900);
    let rest = running.rest();
    assert_eq!(rest.call("GET", "/healthz", &[], "").0, 200);
    assert_eq!(
        rest.call("GET", "/readyz", &[], ""),
        (200, "ready\n".to_owned())
    );
    let mut text = String::new();
    let figure = |text: &str, name: &str| -> Option<i64> {
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        })?;
        line.rsplit_once(' ')?.1.parse().ok()
    };
    /// The sum over all partitions.
    fn offsets(text: &str, name: &str) -> i64 {
        let lines = text.lines().filter(|line| line.contains(name));
        let figures = lines.map(|line| line.rsplit_once(' ').expect("a figure").1);
        figures
            .map(|figure| figure.parse::<i64>().expect("a number"))
            .sum()
    }
    eventually("all that was read and committed is told", || {
        text = rest.call("GET", "/metrics", &[], "").1;
        let read = offsets(&text, "_topic_partition_currentOffset{");
        // The last offset of each of the three, and the next one.
        (read, offsets(&text, "_topic_partition_committedOffset{")) == (897, 900)
    });
    let lag = "flink_taskmanager_job_task_operator_KafkaSourceReader_KafkaConsumer_records_lag_max";
    assert_eq!(figure(&text, lag), Some(0));
    let completed = figure(&text, "flink_jobmanager_job_numberOfCompletedCheckpoints");
    assert!(completed >= Some(1), "{text}");
    for name in [
        "flink_jobmanager_job_lastCheckpointDuration",
        "flink_jobmanager_job_lastCheckpointSize",
        "flink_jobmanager_job_uptime",
        "calve_checkpoint_duration_seconds_count",
        "calve_commit_duration_seconds_sum",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
    }
    assert_eq!(
        figure(&text, "flink_jobmanager_job_numberOfFailedCheckpoints"),
        Some(0)
    );
    let rows = text
        .lines()
        .find(|line| line.contains("numRecordsOut{") && line.contains("Commit"));
    assert!(rows.is_some_and(|line| line.ends_with(" 900")), "{rows:?}");
    // The endpoint of its own says the same.
    assert_eq!(running.metric("calve_records_committed_total"), 900);
    running.drain();
}

#[test]
fn changing_needs_the_token_and_no_secret_is_told() {
    let topic = Topic::create("token", 1);
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().set("rest.port", "0");
    let run = run
        .env("CALVE_REST_TOKEN", "open-sesame-7")
        .env("CALVE_CATALOG_TOKEN", "hidden-77");
    let running = run.set("kafka.sasl.password", "hidden-78").start();
    let rest = running.rest();
    assert_eq!(rest.post("/checkpoints", "").0, 401);
    let path = format!("/jobs/{}/checkpoints", rest.job);
    let wrong = [("Authorization", "Bearer open-sesame-8")];
    assert_eq!(rest.call("POST", &path, &wrong, "").0, 401);
    let right = [("Authorization", "Bearer open-sesame-7")];
    assert_eq!(rest.call("POST", &path, &right, "").0, 202);
    let cancel = format!("/jobs/{}?mode=cancel", rest.job);
    assert_eq!(rest.call("PATCH", &cancel, &wrong, "").0, 401);
    for foreign in [
        ("Origin", "http://evil.example"),
        ("Host", "evil.example"),
        ("Origin", "null"),
    ] {
        let headers = [foreign, right[0]];
        assert_eq!(rest.call("POST", &path, &headers, "").0, 403, "{foreign:?}");
        assert_eq!(
            rest.call("GET", "/jobs", &[foreign], "").0,
            403,
            "{foreign:?}"
        );
    }
    for path in [
        "/jobmanager/config",
        "/jobs/overview",
        "/taskmanagers",
        "/calve/checkpoints",
    ] {
        let (status, body) = rest.call("GET", path, &[], "");
        assert_eq!(status, 200);
        for secret in ["open-sesame", "hidden-7"] {
            assert!(!body.contains(secret), "{path}: {body}");
        }
    }
    // The command brings the token that it is told.
    let stop = pipeline.calve(&["stop", "--url", &rest.url()]);
    let refused = stop.clone().run().expect_code(2);
    refused.expect_output(&["rest.token"]);
    stop.env("CALVE_REST_TOKEN", "open-sesame-7")
        .run()
        .expect_code(0);
    running.wait(Duration::from_secs(20)).expect_code(0);
}
