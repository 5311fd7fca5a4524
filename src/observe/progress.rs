//! What a run shows while it works: a live line on a terminal, a log line now and then elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::metrics::Metrics;

/// How often the live line is drawn.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);
/// How often a log line is written where there is no terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of a run until it is dropped.
pub struct Progress {
    task: tokio::task::JoinHandle<()>,
    line: Option<ProgressBar>,
}

impl Progress {
    /// Starts showing on `screen`. Must be called within the async runtime.
    pub fn start(metrics: &Metrics, screen: &MultiProgress) -> Self {
        let line = stderr().is_terminal().then(|| {
            let line = screen.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                line.set_style(style);
            }
            line
        });
        let task = tokio::spawn(show(metrics.clone(), line.clone()));
        Self { task, line }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// The figures at one moment.
struct Sample {
    at: Instant,
    read: u64,
}

async fn show(metrics: Metrics, line: Option<ProgressBar>) {
    let interval = if line.is_some() {
        LIVE_INTERVAL
    } else {
        LOG_INTERVAL
    };
    let mut before = Sample {
        at: Instant::now(),
        read: metrics.records_read.get(),
    };
    loop {
        tokio::time::sleep(interval).await;
        let now = Sample {
            at: Instant::now(),
            read: metrics.records_read.get(),
        };
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let rate = ((now.read - before.read) as f64 / seconds) as u64;
        // Against what was read: the consumer group's lag is against what was committed.
        let to_read = metrics.lag_total();
        match &line {
            Some(line) => {
                line.set_message(format!(
                    "{}/s · {} read · {} committed · {} to read · epoch {} · last checkpoint {} rows, \
                     {}, {} ms · {} in flight",
                    HumanCount(rate),
                    HumanCount(now.read),
                    HumanCount(metrics.records_committed.get()),
                    HumanCount(to_read),
                    metrics.epoch_open.get(),
                    HumanCount(metrics.last_checkpoint_records.get() as u64),
                    HumanBytes(metrics.last_checkpoint_bytes.get() as u64),
                    (metrics.last_checkpoint_seconds.get() * 1e3) as i64,
                    HumanBytes(metrics.in_flight_bytes.get().max(0) as u64),
                ));
                line.tick();
            }
            // A pipeline with nothing to do has nothing to say.
            None if now.read != before.read => tracing::info!(
                records_per_s = rate,
                read = now.read,
                committed = metrics.records_committed.get(),
                to_read,
                epoch = metrics.epoch_open.get(),
                in_flight_bytes = metrics.in_flight_bytes.get(),
                "progress"
            ),
            None => {}
        }
        before = now;
    }
}
