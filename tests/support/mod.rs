//! The test harness: real services, a producer that keeps its own record, calve as a process, and readers
//! that nobody here wrote.
//!
//! ```text
//!   Producer ──▶ Kafka ──▶ calve (the binary, as a user runs it) ──▶ Iceberg table
//!      │                      ▲ signals, kill                            │
//!      ▼                      │ a faulty proxy before the catalog        ▼
//!   Produced ────────────── compared with ◀──────────────── pyiceberg and DuckDB (tests/verify)
//! ```
//!
//! * [`Services`]: where the services listen that `tests/run` started, once for all tests.
//! * [`Topic`], [`Producer`], [`Load`], [`Produced`]: the input, and what the broker acknowledged of it.
//! * [`Measurements`], [`Statistics`]: the same of the dataflow `daily_stats`.
//! * [`Pipeline`]: a topic, a table and a folder that outlive a process; `Running` is one process of it.
//! * [`Table`]: what the readers found; `assert_exactly` compares it with [`Produced`].
//! * [`Prometheus`], [`promtool`]: who scrapes it, and who judges what is scraped.
//! * [`Proxy`], [`Broker`]: faults.
//!
//! Every test has a topic, a table and a group of its own, so that all of them can run at once.
//! What a test starts ends with it, also when it panics.

mod browser;
mod calve;
mod http;
mod kafka;
mod measurements;
mod pipeline;
mod producer;
mod prometheus;
mod proxy;
mod random;
mod services;
mod verify;
mod watch;

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

pub use browser::{Browser, ENTER, RIGHT, TAB};
pub use calve::{Calve, Finished, Running, Terminal};
pub use http::Rest;
pub use kafka::{Broker, Topic, free_port};
pub use measurements::{Measurements, Statistics};
pub use pipeline::{Catalog, Pipeline, Warehouse, read_savepoint};
pub use producer::{Load, Produced, Producer, SAMPLE_COLUMNS};
pub use prometheus::{Prometheus, deployed, promtool};
pub use proxy::{Action, Proxy, Request, switchable};
pub use random::Random;
pub use services::{Services, flink_jars};
pub use verify::{Table, run_script};

/// A name that no other test has.
pub fn unique(hint: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("{hint}_{}", &id[..8])
}

/// Waits, at most a minute and a half, until the condition holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(90),
            "waited 90 s in vain until {what}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Sends a signal to a process of ours.
pub fn signal(process: &Child, name: &str) {
    let pid = process.id().to_string();
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "signal {name} to {pid}");
}

/// Ends a process of ours: politely, then by force.
fn terminate(mut process: Child) {
    if let Ok(None) = process.try_wait() {
        signal(&process, "TERM");
    }
    let begin = Instant::now();
    while let Ok(None) = process.try_wait() {
        if begin.elapsed() > Duration::from_secs(10) {
            let _ = process.kill();
            let _ = process.wait();
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
