//! The same figures under the names and labels of Flink's Prometheus reporter, for what Flink's dashboards show.
//!
//! Names, types (Flink's reporter makes gauges of its counters) and the labels `job_id`, `job_name`, `task_name`, `topic` and
//! `partition` are Flink's; what Flink also tells for each subtask is told once for the process.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::{PARTITIONS_MAX, completed_ms, each, gauge, gauges, lag, lag_max, took_ms};
use crate::control::{Phase, now_ms};
use crate::metrics::PartitionLabels;
use crate::observe::http;
use crate::process::Process;

const OF_SOURCE: &str = "flink_taskmanager_job_task_operator";

/// What names the job.
pub(super) fn job_labels(pipeline: &str) -> [(Cow<'static, str>, Cow<'static, str>); 2] {
    [
        ("job_id".into(), http::job_id(pipeline).into()),
        ("job_name".into(), pipeline.to_owned().into()),
    ]
}

/// What names an operator.
#[derive(Clone, Debug, EncodeLabelSet)]
struct TaskLabel {
    task_name: &'static str,
}

/// What Flink measures of a job, by its names; −1 where there is nothing yet.
pub(in crate::observe) fn of_job(process: &Process) -> [(&'static str, i64); 23] {
    let control = process.control();
    let (phase, since) = control.phase();
    let in_phase = |wanted: Phase| match since.get(&wanted) {
        Some(since) if phase == wanted => now_ms() - since,
        _ => 0,
    };
    let (counts, in_progress, last, restored) = control.read_history(|history| {
        let last = history.newest().map(|record| {
            [
                record.proof.bytes as i64,
                took_ms(record),
                completed_ms(record),
                record.epoch.0 as i64,
                // Nothing is in flight when an epoch has passed.
                0,
            ]
        });
        (
            history.counts(),
            history.in_progress(),
            last,
            history.last_restored().map(|restored| restored.at_ms),
        )
    });
    let [size, took, completed, epoch, in_flight] = last.unwrap_or([-1; 5]);
    [
        ("lastCheckpointSize", size),
        ("lastCheckpointFullSize", size),
        ("lastCheckpointDuration", took),
        ("lastCheckpointCompletedTimestamp", completed),
        ("lastCompletedCheckpointId", epoch),
        ("lastCheckpointProcessedData", in_flight),
        ("lastCheckpointPersistedData", in_flight),
        ("lastCheckpointRestoreTimestamp", restored.unwrap_or(-1)),
        ("totalNumberOfCheckpoints", counts.triggered as i64),
        ("numberOfInProgressCheckpoints", in_progress as i64),
        ("numberOfCompletedCheckpoints", counts.completed as i64),
        ("numberOfFailedCheckpoints", counts.failed as i64),
        ("numRestarts", process.metrics().restarts.get() as i64),
        ("numRescales", 0),
        ("uptime", in_phase(Phase::Running)),
        ("downtime", in_phase(Phase::Restarting)),
        ("runningTime", in_phase(Phase::Running)),
        ("restartingTime", in_phase(Phase::Restarting)),
        ("initializingTime", in_phase(Phase::Starting)),
        ("createdTime", 0),
        ("deployingTime", 0),
        ("failingTime", 0),
        ("cancellingTime", 0),
    ]
}

/// The operators that count, and what.
const TASKS: [&str; 3] = ["Kafka source", "Stage", "Commit"];
const COUNTED: [&str; 3] = ["numRecordsIn", "numRecordsOut", "numBytesOut"];
const MEAN: &str = "As Flink names it: the mean of the last minute";

/// For each of [`COUNTED`], what each of [`TASKS`] has.
type Counts = [[u64; 3]; 3];

/// Flink's meters: how much it was in a second, on average of the last minute, as far as somebody has looked.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<VecDeque<(Instant, Counts)>>);

impl Meter {
    const SPAN: Duration = Duration::from_secs(60);
    /// However often somebody looks, no more is remembered.
    const APART: Duration = Duration::from_secs(1);

    pub(super) fn per_second(&self, now: Instant, counts: Counts) -> [[f64; 3]; 3] {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.len() > 1 && seen.front().is_some_and(|(at, _)| now - *at > Self::SPAN) {
            seen.pop_front();
        }
        let (since, before) = seen.front().copied().unwrap_or((now, counts));
        if seen.back().is_none_or(|(at, _)| now - *at >= Self::APART) {
            seen.push_back((now, counts));
        }
        let seconds = (now - since).as_secs_f64();
        let mean = |now: u64, before: u64| match seconds > 0.0 {
            true => now.saturating_sub(before) as f64 / seconds,
            false => 0.0,
        };
        std::array::from_fn(|name| {
            std::array::from_fn(|task| mean(counts[name][task], before[name][task]))
        })
    }
}

/// What is told under Flink's names when somebody looks.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) process: Arc<Process>,
    /// Workers are Flink's slots.
    pub(super) workers: usize,
    pub(super) meter: Meter,
    pub(super) leads: bool,
}

impl Collector for Theirs {
    fn encode(&self, mut to: DescriptorEncoder) -> fmt::Result {
        if self.leads {
            self.job(&mut to)?;
        }
        self.tasks(&mut to)?;
        self.source(&mut to)
    }
}

impl Theirs {
    fn job(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        for (name, figure) in of_job(&self.process) {
            let name = format!("flink_jobmanager_job_{name}");
            gauge(to, &name, "As Flink names it", figure)?;
        }
        let running = self.process.control().phase().0 == Phase::Running;
        for (name, figure) in [
            ("numRunningJobs", i64::from(running)),
            ("numRegisteredTaskManagers", 1),
            ("taskSlotsTotal", self.workers as i64),
            ("taskSlotsAvailable", 0),
        ] {
            let name = format!("flink_jobmanager_{name}");
            gauge(to, &name, "As Flink names it", figure)?;
        }
        Ok(())
    }

    fn tasks(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let metrics = self.process.metrics();
        let (read, staged) = (metrics.records_read.get(), metrics.records_staged.get());
        let (committed, bytes) = (&metrics.records_committed, &metrics.bytes_committed);
        let counts: Counts = [
            [0, staged, staged],
            [read, staged, committed.get()],
            [metrics.bytes_read.get(), 0, bytes.get()],
        ];
        let rates = self.meter.per_second(Instant::now(), counts);
        for ((name, counts), rates) in COUNTED.iter().zip(counts).zip(rates) {
            let tasks = TASKS.map(|task_name| TaskLabel { task_name });
            let name = format!("flink_taskmanager_job_task_{name}");
            let figures = tasks.clone().into_iter().zip(counts.map(|n| n as i64));
            gauges(to, &name, "As Flink names it", figures)?;
            let figures = tasks.into_iter().zip(rates);
            gauges(to, &(name + "PerSecond"), MEAN, figures)?;
        }
        Ok(())
    }

    fn source(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let positions = self.process.metrics().positions();
        gauge(
            to,
            &format!("{OF_SOURCE}_KafkaSourceReader_KafkaConsumer_records_lag_max"),
            "As Flink names it",
            lag_max(&positions),
        )?;
        gauge(
            to,
            &format!("{OF_SOURCE}_pendingRecords"),
            "As Flink names it",
            lag(&positions),
        )?;
        gauges(
            to,
            &format!("{OF_SOURCE}_KafkaSourceReader_topic_partition_currentOffset"),
            "As Flink names it: the last offset that was read",
            each(&positions).map(|(labels, position)| (labels.clone(), position.next - 1)),
        )?;
        let committed: Vec<_> = self.process.control().read_history(|history| {
            let newest = history.newest().into_iter();
            let offsets = newest.flat_map(|record| record.proof.offsets.iter());
            let told = offsets.take(PARTITIONS_MAX);
            told.map(|(topic, partition, next)| {
                let topic = topic.to_owned();
                (PartitionLabels { topic, partition }, next.0)
            })
            .collect()
        });
        gauges(
            to,
            &format!("{OF_SOURCE}_KafkaSourceReader_topic_partition_committedOffset"),
            "As Flink names it: the next offset after the last checkpoint",
            committed,
        )
    }
}
