//! What Prometheus scrapes: our own figures under `calve_`, and, for what Flink's dashboards show, the same under the
//! names that Flink's Prometheus reporter gives them.
//!
//! The figures of single partitions are bounded in number: [`PARTITIONS_MAX`] of them are told one by one, in the order of
//! topic and partition; the totals count all.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::control::{Phase, Record, now_ms};
use crate::metrics::{PartitionLabels, Position};
use crate::offsets::Offsets;
use crate::process::Process;

/// So many partitions have figures of their own.
const PARTITIONS_MAX: usize = 1_000;

/// What names the job in Flink's metrics.
#[derive(Clone, Debug, EncodeLabelSet)]
struct JobLabels {
    job_id: String,
    job_name: String,
}

/// What names an operator in Flink's metrics.
#[derive(Clone, Debug, EncodeLabelSet)]
struct TaskLabels {
    job_id: String,
    job_name: String,
    task_name: &'static str,
}

/// Everything that can be scraped of a process; its workers are Flink's slots.
pub(crate) fn registry(process: &Arc<Process>, pipeline: &str, workers: usize) -> Registry {
    let mut registry = Registry::default();
    process.metrics().register(&mut registry);
    registry.register_collector(Box::new(Scraped {
        process: Arc::clone(process),
        job: JobLabels {
            job_id: super::http::job_id(pipeline),
            job_name: pipeline.to_owned(),
        },
        workers,
    }));
    registry
}

/// What Flink measures of a job, by its names; −1 where there is nothing yet.
pub(crate) fn of_job(process: &Process) -> [(&'static str, i64); 23] {
    let control = process.control();
    let (phase, since) = control.phase();
    let in_phase = |wanted: Phase| match since.get(&wanted) {
        Some(since) if phase == wanted => now_ms() - since,
        _ => 0,
    };
    let (counts, in_progress, last, restored) = control.read_history(|history| {
        (
            history.counts(),
            history.in_progress(),
            history.newest().cloned(),
            history.last_restored().map(|restored| restored.at_ms),
        )
    });
    let of_last = |value: &dyn Fn(&Record) -> i64| last.as_ref().map_or(-1, value);
    let took = |record: &Record| record.took.map_or(0, |took| took.as_millis() as i64);
    let size = of_last(&|record| record.proof.bytes as i64);
    [
        ("lastCheckpointSize", size),
        ("lastCheckpointFullSize", size),
        ("lastCheckpointDuration", of_last(&took)),
        (
            "lastCheckpointCompletedTimestamp",
            of_last(&|record| record.triggered_at_ms + took(record)),
        ),
        (
            "lastCompletedCheckpointId",
            of_last(&|record| record.epoch.0 as i64),
        ),
        // Nothing is in flight when an epoch has passed.
        ("lastCheckpointProcessedData", of_last(&|_| 0)),
        ("lastCheckpointPersistedData", of_last(&|_| 0)),
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

/// What is computed when somebody looks.
#[derive(Debug)]
struct Scraped {
    process: Arc<Process>,
    job: JobLabels,
    workers: usize,
}

impl Collector for Scraped {
    fn encode(&self, mut to: DescriptorEncoder) -> fmt::Result {
        let metrics = self.process.metrics();
        let positions = metrics.positions();
        self.partitions(&mut to, &positions)?;
        for (name, figure) in of_job(&self.process) {
            let name = format!("flink_jobmanager_job_{name}");
            gauges(
                &mut to,
                &name,
                "As Flink names it",
                [(self.job.clone(), figure)],
            )?;
        }
        let running = self.process.control().phase().0 == Phase::Running;
        for (name, figure) in [
            ("numRunningJobs", i64::from(running)),
            ("numRegisteredTaskManagers", 1),
            ("taskSlotsTotal", self.workers as i64),
            ("taskSlotsAvailable", 0),
        ] {
            let name = format!("flink_jobmanager_{name}");
            gauges(
                &mut to,
                &name,
                "As Flink names it",
                [(self.job.clone(), figure)],
            )?;
        }
        let task = |task_name| TaskLabels {
            job_id: self.job.job_id.clone(),
            job_name: self.job.job_name.clone(),
            task_name,
        };
        let (read, staged) = (metrics.records_read.get(), metrics.records_staged.get());
        for (name, figures) in [
            (
                "numRecordsIn",
                [("Kafka source", 0), ("Stage", staged), ("Commit", staged)],
            ),
            (
                "numRecordsOut",
                [
                    ("Kafka source", read),
                    ("Stage", staged),
                    ("Commit", metrics.records_committed.get()),
                ],
            ),
            (
                "numBytesOut",
                [
                    ("Kafka source", metrics.bytes_read.get()),
                    ("Stage", 0),
                    ("Commit", metrics.bytes_committed.get()),
                ],
            ),
        ] {
            let name = format!("flink_taskmanager_job_task_{name}");
            let figures = figures.map(|(name, figure)| (task(name), figure as i64));
            gauges(&mut to, &name, "As Flink names it", figures)?;
        }
        Ok(())
    }
}

impl Scraped {
    fn partitions(
        &self,
        to: &mut DescriptorEncoder,
        positions: &[(PartitionLabels, Position)],
    ) -> fmt::Result {
        const OF_READER: &str = "flink_taskmanager_job_task_operator_KafkaSourceReader";
        let told = || positions.iter().take(PARTITIONS_MAX);
        gauges(
            to,
            "calve_lag",
            "Records between the source's position and the end of the partition",
            told().map(|(labels, position)| (labels.clone(), position.lag)),
        )?;
        let total = positions.iter().map(|(_, position)| position.lag).sum();
        let most = positions.iter().map(|(_, position)| position.lag).max();
        let most = most.unwrap_or(0);
        for (name, help, figure) in [
            ("calve_lag_all", "The same over all partitions", total),
            ("calve_lag_max", "The greatest of all partitions", most),
            (
                "calve_partitions",
                "Partitions that this process reads",
                positions.len() as i64,
            ),
        ] {
            gauges(to, name, help, [(self.job.clone(), figure)])?;
        }
        for name in [
            format!("{OF_READER}_KafkaConsumer_records_lag_max"),
            format!("{OF_READER}_pendingRecords"),
        ] {
            let figure = if name.ends_with("max") { most } else { total };
            gauges(to, &name, "As Flink names it", [(self.job.clone(), figure)])?;
        }
        gauges(
            to,
            &format!("{OF_READER}_topic_partition_currentOffset"),
            "As Flink names it: the last offset that was read",
            told().map(|(labels, position)| (labels.clone(), position.next - 1)),
        )?;
        let committed = self.process.control().read_history(|history| {
            let newest = history.newest();
            newest.map_or_else(Offsets::new, |record| record.proof.offsets.clone())
        });
        gauges(
            to,
            &format!("{OF_READER}_topic_partition_committedOffset"),
            "As Flink names it: the next offset after the last checkpoint",
            committed
                .iter()
                .take(PARTITIONS_MAX)
                .map(|(topic, partition, next)| {
                    let topic = topic.to_owned();
                    (PartitionLabels { topic, partition }, next.0)
                }),
        )
    }
}

/// One metric, a gauge for each set of labels.
fn gauges<L: EncodeLabelSet>(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    figures: impl IntoIterator<Item = (L, i64)>,
) -> fmt::Result {
    let mut figures = figures.into_iter().peekable();
    // A name without figures would be a type without a metric.
    if figures.peek().is_none() {
        return Ok(());
    }
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, figure) in figures {
        ConstGauge::new(figure).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use prometheus_client::encoding::text::encode;

    use super::*;

    /// A process that reads so many partitions.
    fn scraped(partitions: i32) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let process = Arc::new(Process::new(runtime.handle().clone()));
        for partition in 0..partitions {
            let topic = "topic".to_owned();
            let labels = PartitionLabels { topic, partition };
            process.metrics().set_position(&labels, 100, 7);
        }
        let registry = registry(&process, "p", 6);
        let begin = Instant::now();
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        println!(
            "{partitions} partitions: {} bytes in {:?}",
            text.len(),
            begin.elapsed()
        );
        text
    }

    #[test]
    fn partitions_beyond_the_bound_count_in_the_totals_only() {
        let text = scraped(2_500);
        let told = text.matches("calve_lag{").count();
        assert_eq!(told, PARTITIONS_MAX);
        assert!(text.lines().count() < 3 * PARTITIONS_MAX, "in all");
        let total = format!("}} {}\n", 2_500 * 7);
        let line = text.lines().find(|line| line.starts_with("calve_lag_all{"));
        assert!(format!("{}\n", line.unwrap()).ends_with(&total));
        assert!(text.contains("_KafkaConsumer_records_lag_max{"));
        assert!(text.contains("_currentOffset{topic=\"topic\",partition=\"0\"} 99\n"));
    }

    #[test]
    fn what_there_is_none_of_is_no_metric() {
        let text = scraped(0);
        assert!(!text.contains("committedOffset"));
        assert!(text.contains("flink_jobmanager_job_lastCheckpointSize{"));
        assert!(text.contains("flink_jobmanager_taskSlotsTotal{job_id="));
    }
}
