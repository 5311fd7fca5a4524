//! What the kernel knows of the process, under the names that every Prometheus client gives it.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::gauge;

/// The kernel tells times to programs in hundredths of a second, whatever its own clock does.
const TICKS_PER_S: f64 = 100.0;

/// Where the kernel does not tell it this way, there are none.
#[derive(Debug)]
pub(super) struct SystemFigures;

impl Collector for SystemFigures {
    fn encode(&self, mut to: DescriptorEncoder) -> fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let name = "process_cpu_seconds";
            let help = "Time on the processors, of the user and of the system";
            let metric = to.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        if let Some(bytes) = resident_bytes() {
            let name = "process_resident_memory_bytes";
            gauge(&mut to, name, "Memory that the process has", bytes)?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything. The 14th and 15th of all fields are the times.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: Option<Vec<u64>> = ticks.map(|ticks| ticks.parse().ok()).collect();
    Some(ticks?.into_iter().sum::<u64>() as f64 / TICKS_PER_S)
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}
