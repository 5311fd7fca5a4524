//! What can be seen of a running calve from outside: its figures, its threads, its memory, its time on the processor.

use std::fs;

use super::calve::Running;
use super::{Rest, eventually};

impl Running {
    /// A figure of `/metrics`, by its full name (whatever its labels); calve runs with `metrics.prometheus-port=0`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let value = self.metrics().metric(name);
        value.unwrap_or_else(|| panic!("no {name} in:\n{}", self.scrape()))
    }

    /// All of `/metrics`.
    #[track_caller]
    pub fn scrape(&self) -> String {
        let (status, text) = self.metrics().call("GET", "/metrics", &[], "");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// The port of its metrics.
    #[track_caller]
    pub fn metrics(&self) -> Rest {
        eventually("the figures are served", || {
            self.output().contains("/metrics")
        });
        let said = self.output();
        let (_, rest) = said.split_once("metrics at http://").expect("an endpoint");
        let (address, _) = rest.split_once("/metrics").expect("an address");
        Rest::at(address)
    }

    /// The threads it has.
    pub fn threads(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()));
        tasks.expect("a running process").count()
    }

    /// The most memory it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running process");
        let (_, rest) = status.split_once("VmHWM:").expect("a peak");
        let kib = rest.split_whitespace().next().expect("a number");
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// Its time on the processor so far, in hundredths of a second.
    pub fn processor_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("a running process");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        // The 14th and 15th of all fields, of which these are the third and following ones.
        let times = fields.split(' ').skip(11).take(2);
        times
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum()
    }
}

/// What a line of metrics says of this name, whatever its labels are.
pub fn sample<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?;
    let labelled = || rest.strip_prefix('{')?.rsplit_once("} ");
    rest.strip_prefix(' ')
        .or_else(|| labelled().map(|(_, value)| value))
}
