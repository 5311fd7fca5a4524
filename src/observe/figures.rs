//! What Prometheus scrapes: the figures of a process under `calve_`, and, for dashboards that were made for Flink, what
//! they show under the names of Flink's Prometheus reporter.
//!
//! ```text
//!   Metrics           counted where things happen ─┐
//!   Ours              what the desk knows           ├─▶ Registry ─▶ /metrics
//!   SystemFigures     what the kernel knows         │
//!   flink::Theirs     the same under other names   ─┘
//! ```
//!
//! * Every name and every meaning is in `docs/metrics.md`, and a test holds that page against a scrape.
//! * The figures of single partitions are bounded in number: [`PARTITIONS_MAX`] of them are told one by one, in the order
//!   of topic and partition; the totals count all. Nothing else has a label whose values come from data.
//! * Of a run of several processes only the first has coordinator and commit. The others are silent about checkpoints:
//!   a figure that stands at its beginning for ever would raise an alarm.

pub(super) mod flink;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::config::Settings;
use crate::control::{Phase, Record, Status, now_ms};
use crate::metrics::{PartitionLabels, Position};
use crate::process::Process;
use system::SystemFigures;

/// So many partitions have figures of their own.
const PARTITIONS_MAX: usize = 1_000;

/// Everything that can be scraped of a process. `leads` is true for the one with coordinator and commit.
pub(super) fn registry(
    process: &Arc<Process>,
    settings: &Settings,
    dataflow: &'static str,
    leads: bool,
) -> Registry {
    let mut registry = Registry::default();
    let pipeline = settings.pipeline.name.clone();
    let ours = registry.sub_registry_with_label(("pipeline".into(), pipeline.into()));
    process.metrics().register(ours);
    ours.register_collector(Box::new(Ours {
        process: Arc::clone(process),
        about: About {
            version: env!("CARGO_PKG_VERSION"),
            dataflow,
        },
        table: (settings.table.name.as_ref())
            .map(|name| format!("{}.{name}", settings.table.database.join("."))),
        interval_s: settings.checkpoint.interval.as_secs_f64(),
        timeout_s: settings.checkpoint.timeout.as_secs_f64(),
        leads,
    }));
    ours.register_collector(Box::new(SystemFigures));
    if settings.metrics.flink_names {
        let job = flink::job_labels(&settings.pipeline.name);
        let theirs = registry.sub_registry_with_labels(job.into_iter());
        theirs.register_collector(Box::new(flink::Theirs {
            process: Arc::clone(process),
            workers: settings.parallelism,
            meter: flink::Meter::default(),
            leads,
        }));
    }
    registry
}

/// What is read when somebody looks.
#[derive(Debug)]
struct Ours {
    process: Arc<Process>,
    about: About,
    /// Namespace and name.
    table: Option<String>,
    interval_s: f64,
    timeout_s: f64,
    leads: bool,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct About {
    version: &'static str,
    dataflow: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct TableLabel {
    table: String,
}

impl Collector for Ours {
    fn encode(&self, mut to: DescriptorEncoder) -> fmt::Result {
        let to = &mut to;
        let running = self.process.control().phase().0 == Phase::Running;
        gauges(
            to,
            "calve_info",
            "Always 1; the labels say what runs",
            [(self.about.clone(), 1_i64)],
        )?;
        gauge(
            to,
            "calve_running",
            "1 while records are read and committed, 0 while the dataflow starts, waits for its restart or has ended",
            i64::from(running),
        )?;
        self.partitions(to)?;
        if self.leads {
            self.checkpoints(to)?;
            self.table(to)?;
        }
        Ok(())
    }
}

impl Ours {
    fn partitions(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let positions = self.process.metrics().positions();
        gauge(
            to,
            "calve_partitions",
            "Partitions that this process reads",
            positions.len() as i64,
        )?;
        gauge(
            to,
            "calve_lag_records",
            "Records to read: from the source's position to the ends of all partitions of this process",
            lag(&positions),
        )?;
        gauge(
            to,
            "calve_lag_records_max",
            "Records to read in the partition that has most",
            lag_max(&positions),
        )?;
        gauges(
            to,
            "calve_partition_lag_records",
            "Records to read in one partition; of 1000 partitions at most",
            each(&positions).map(|(labels, position)| (labels.clone(), position.lag)),
        )
    }

    fn checkpoints(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let control = self.process.control();
        let now = now_ms();
        let began = control.phase().1.get(&Phase::Starting).copied();
        let (last, open) = control.read_history(|history| {
            let mut records = history.records();
            (
                history.newest().map(completed_ms),
                records
                    .find(|record| record.status == Status::InProgress)
                    .map(|record| record.triggered_at_ms),
            )
        });
        for (name, help, seconds) in [
            (
                "calve_checkpoint_interval_seconds",
                "The setting checkpoint.interval",
                self.interval_s,
            ),
            (
                "calve_checkpoint_timeout_seconds",
                "The setting checkpoint.timeout",
                self.timeout_s,
            ),
            (
                "calve_last_checkpoint_timestamp_seconds",
                "When the last checkpoint was durable, in seconds since 1970; before the first one, when the process began",
                last.or(began).unwrap_or(now) as f64 / 1e3,
            ),
            (
                "calve_checkpoint_age_seconds",
                "How long the checkpoint under way has been waiting for its proof; 0 if there is none",
                open.map_or(0, |since| (now - since).max(0)) as f64 / 1e3,
            ),
        ] {
            gauge(to, name, help, seconds)?;
        }
        Ok(())
    }

    fn table(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        if let (Some(generation), Some(table)) = (self.process.claimed(), self.table.clone()) {
            let of = TableLabel { table };
            gauges(
                to,
                "calve_generation",
                "The newest generation of the pipeline that this process has claimed; another process has a higher one if it has taken over",
                [(of, generation.0 as i64)],
            )?;
        }
        let Some(table) = self.process.notices().table() else {
            return Ok(());
        };
        for (name, help, figure) in [
            (
                "calve_table_rows",
                "Rows of the table, as its current snapshot counts them",
                table.rows,
            ),
            (
                "calve_table_files",
                "Data files of the table, as its current snapshot counts them",
                table.files,
            ),
            (
                "calve_table_bytes",
                "Size of the table's data files, as its current snapshot counts it",
                table.bytes,
            ),
            (
                "calve_table_snapshots",
                "Snapshots in the table's metadata",
                table.snapshots as u64,
            ),
        ] {
            gauge(to, name, help, figure as i64)?;
        }
        Ok(())
    }
}

/// When a checkpoint was durable, in milliseconds since 1970.
fn completed_ms(record: &Record) -> i64 {
    record.triggered_at_ms + took_ms(record)
}

fn took_ms(record: &Record) -> i64 {
    record.took.map_or(0, |took| took.as_millis() as i64)
}

type Positions = [(PartitionLabels, Position)];

/// The partitions that are told one by one.
fn each(positions: &Positions) -> impl Iterator<Item = &(PartitionLabels, Position)> {
    positions.iter().take(PARTITIONS_MAX)
}

fn lag(positions: &Positions) -> i64 {
    positions.iter().map(|(_, position)| position.lag).sum()
}

fn lag_max(positions: &Positions) -> i64 {
    let lags = positions.iter().map(|(_, position)| position.lag);
    lags.max().unwrap_or(0)
}

/// One gauge without labels of its own.
fn gauge<V>(to: &mut DescriptorEncoder, name: &str, help: &str, figure: V) -> fmt::Result
where
    ConstGauge<V>: EncodeMetric,
{
    let metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(figure).encode(metric)
}

/// One metric, a gauge for each set of labels.
fn gauges<L: EncodeLabelSet, V>(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    figures: impl IntoIterator<Item = (L, V)>,
) -> fmt::Result
where
    ConstGauge<V>: EncodeMetric,
{
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
