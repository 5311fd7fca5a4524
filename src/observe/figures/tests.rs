use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::encoding::text::encode;

use super::*;
use crate::config::{Layers, load};
use crate::control::{Durable, Proof};
use crate::observe::http;
use crate::offsets::{NextOffset, Offsets};
use crate::time::Epoch;

/// A process that reads so many partitions, with a checkpoint of all of them behind it.
fn process(partitions: i32) -> (tokio::runtime::Runtime, Arc<Process>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let process = Arc::new(Process::new(runtime.handle().clone()));
    let mut offsets = Offsets::new();
    for partition in 0..partitions {
        let topic = "topic".to_owned();
        offsets.set(&topic, partition, NextOffset(90));
        let labels = PartitionLabels { topic, partition };
        process.metrics().set_position(&labels, 100, 7);
    }
    if partitions > 0 {
        let proof = Proof {
            offsets,
            ..Proof::default()
        };
        process.control().closed(Epoch(1), false);
        process.control().durable(Epoch(1), proof, || {
            Ok(Durable {
                epoch: Epoch(1),
                marker: String::new(),
                snapshot_id: None,
            })
        });
    }
    (runtime, process)
}

fn told(process: &Arc<Process>, leads: bool, more: &[(&str, &str)]) -> String {
    let settings = [("pipeline.name", "p"), ("table.name", "t")];
    let flags = settings.iter().chain(more);
    let flags = flags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let layers = Layers {
        flags: flags.collect(),
        ..Layers::default()
    };
    let settings = load(&layers).unwrap();
    let mut text = String::new();
    encode(&mut text, &registry(process, &settings, "ingest", leads)).unwrap();
    text
}

/// What a sample says; the first one if there are several.
fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// How many samples each name has, and which labels there are.
fn samples(text: &str) -> (BTreeMap<&str, usize>, BTreeSet<&str>) {
    let (mut names, mut labels) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, rest) = series.split_once('{').unwrap_or((series, ""));
        *names.entry(name).or_default() += 1;
        let pairs = rest.trim_end_matches('}').split(',');
        labels.extend(
            pairs
                .filter_map(|pair| pair.split_once('='))
                .map(|(l, _)| l),
        );
    }
    (names, labels)
}

#[test]
fn partitions_beyond_the_bound_count_in_the_totals_only() {
    let (_runtime, process) = process(2_500);
    let text = told(&process, true, &[]);
    let (names, _) = samples(&text);
    for name in [
        "calve_partition_lag_records",
        "flink_taskmanager_job_task_operator_KafkaSourceReader_topic_partition_currentOffset",
        "flink_taskmanager_job_task_operator_KafkaSourceReader_topic_partition_committedOffset",
    ] {
        assert_eq!(names.get(name), Some(&PARTITIONS_MAX), "{name}");
    }
    let others = names.values().filter(|count| **count != PARTITIONS_MAX);
    assert!(others.sum::<usize>() < 200, "{names:?}");
    assert_eq!(figure(&text, "calve_lag_records"), Some(2_500.0 * 7.0));
    assert_eq!(figure(&text, "calve_lag_records_max"), Some(7.0));
    assert_eq!(figure(&text, "calve_partitions"), Some(2_500.0));
    let job = http::job_id("p");
    let labels =
        format!("{{job_id=\"{job}\",job_name=\"p\",topic=\"topic\",partition=\"0\"}} 99\n");
    assert!(
        text.contains(&format!("_currentOffset{labels}")),
        "{labels}"
    );
}

#[test]
fn no_label_takes_its_values_from_records() {
    let (_runtime, process) = process(3);
    process.claims(crate::time::Generation(4));
    let text = told(&process, true, &[]);
    let (_, labels) = samples(&text);
    let ours = ["pipeline", "version", "dataflow", "table"];
    let theirs = ["job_id", "job_name", "task_name"];
    let bounded = ["topic", "partition", "le"];
    let known: BTreeSet<_> = ours
        .iter()
        .chain(&theirs)
        .chain(&bounded)
        .copied()
        .collect();
    assert_eq!(labels, known);
}

#[test]
fn what_there_is_none_of_is_no_metric() {
    let (_runtime, process) = process(0);
    let text = told(&process, true, &[]);
    for name in [
        "committedOffset",
        "calve_partition_lag_records",
        "calve_generation",
        "calve_table_rows",
    ] {
        assert!(!text.contains(name), "{name}");
    }
    assert!(text.contains("flink_jobmanager_job_lastCheckpointSize{job_id="));
    assert!(text.contains("flink_jobmanager_taskSlotsTotal{job_id="));
}

#[test]
fn a_process_without_the_coordinator_is_silent_about_checkpoints() {
    let (_runtime, process) = process(2);
    let follower = told(&process, false, &[]);
    let leader = told(&process, true, &[]);
    for name in [
        "calve_last_checkpoint_timestamp_seconds",
        "calve_checkpoint_age_seconds",
        "flink_jobmanager_job_uptime",
    ] {
        assert!(figure(&leader, name).is_some(), "{name}");
        assert!(figure(&follower, name).is_none(), "{name}");
    }
    assert_eq!(figure(&follower, "calve_lag_records"), Some(14.0));
}

#[test]
fn the_names_of_flink_can_be_left_out() {
    let (_runtime, process) = process(2);
    assert!(told(&process, true, &[]).contains("flink_"));
    let text = told(&process, true, &[("metrics.flink-names", "false")]);
    assert!(!text.contains("flink_"), "{text}");
    assert_eq!(figure(&text, "calve_lag_records"), Some(14.0));
}

#[test]
fn the_last_checkpoint_and_the_one_under_way_are_told_by_the_clock() {
    let (_runtime, empty) = process(0);
    let began = figure(
        &told(&empty, true, &[]),
        "calve_last_checkpoint_timestamp_seconds",
    );
    let now = now_ms() as f64 / 1e3;
    assert!(began.is_some_and(|at| (now - 60.0..=now).contains(&at)));

    let (_runtime, process) = process(1);
    let idle = told(&process, true, &[("checkpoint.interval", "90s")]);
    assert_eq!(figure(&idle, "calve_checkpoint_age_seconds"), Some(0.0));
    assert_eq!(
        figure(&idle, "calve_checkpoint_interval_seconds"),
        Some(90.0)
    );
    process.control().closed(Epoch(2), false);
    std::thread::sleep(std::time::Duration::from_millis(5));
    let busy = told(&process, true, &[]);
    let age = figure(&busy, "calve_checkpoint_age_seconds").unwrap();
    assert!((0.005..60.0).contains(&age), "{age}");
    let last = |text: &str| figure(text, "calve_last_checkpoint_timestamp_seconds");
    assert_eq!(last(&busy), last(&idle));
}

#[test]
fn the_kernel_knows_the_process() {
    let (_runtime, process) = process(0);
    let text = told(&process, true, &[]);
    let memory = figure(&text, "process_resident_memory_bytes").unwrap();
    assert!((1e6..1e11).contains(&memory), "{memory}");
    assert!(figure(&text, "process_cpu_seconds_total").is_some());
}

#[test]
fn a_meter_of_flink_tells_the_mean_of_the_last_minute() {
    use std::time::{Duration, Instant};
    let meter = flink::Meter::default();
    let begin = Instant::now();
    let at = |second: u64, records: u64| {
        let counts = [[records, 0, 0], [0; 3], [0; 3]];
        meter.per_second(begin + Duration::from_secs(second), counts)[0][0]
    };
    assert_eq!(at(0, 0), 0.0);
    assert_eq!(at(10, 50), 5.0);
    assert_eq!(at(40, 400), 10.0);
    // From now on the first look is too old.
    assert_eq!(at(70, 1_250), 20.0);
    assert_eq!(at(1_000, 1_250), 0.0);
    assert_eq!(at(1_010, 1_350), 10.0);
}
