//! What a scrape costs: `/metrics` of a process that reads 1,000 partitions, over the loopback, each on a connection of its own.
//!
//! `cargo bench --bench metrics`. Ends with 1 if the slowest of a hundred takes longer than promised.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use calve::config::{Layers, Settings, load};
use calve::control::Proof;
use calve::metrics::PartitionLabels;
use calve::observe::{Watched, serve_metrics};
use calve::offsets::{NextOffset, Offsets};
use calve::process::Process;
use calve::time::Epoch;

const PARTITIONS: i32 = 1_000;
const SCRAPES: usize = 500;
/// What `/metrics` is promised to take at most.
const PROMISED: Duration = Duration::from_millis(10);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// As after a checkpoint of all partitions, with everything switched on.
fn process(runtime: &tokio::runtime::Runtime) -> Arc<Process> {
    let process = Arc::new(Process::new(runtime.handle().clone()));
    let mut offsets = Offsets::new();
    for partition in 0..PARTITIONS {
        let topic = "health-samples".to_owned();
        offsets.set(&topic, partition, NextOffset(1_000_000));
        let labels = PartitionLabels { topic, partition };
        process.metrics().set_position(&labels, 1_234_567, 89);
    }
    let proof = Proof {
        offsets,
        ..Proof::default()
    };
    process.control().closed(Epoch(1), false);
    let nobody_asks = || Err(String::new());
    process.control().durable(Epoch(1), proof, nobody_asks);
    process
}

fn settings() -> Outcome<Settings> {
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Ok(load(&Layers {
        flags: vec![
            flag("table.name", "samples"),
            flag("metrics.prometheus-port", "0"),
        ],
        ..Layers::default()
    })?)
}

fn scrape(address: SocketAddr) -> Outcome<String> {
    let mut server = TcpStream::connect(address)?;
    server.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Median, 99th percentile and worst.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    (at(50), at(99), at(100))
}

fn main() -> Outcome<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (process, settings) = (process(&runtime), settings()?);
    let watched = Arc::new(Watched::new(&process, &settings, "ingest", true));
    let served = runtime.block_on(serve_metrics(&watched, &settings));
    let address = served.ok_or("no port is free")?;
    let answer = scrape(address)?;
    let told = answer.matches("calve_partition_lag_records{").count();
    assert_eq!(told, PARTITIONS as usize, "all partitions are told");

    let timed = |work: &dyn Fn() -> Outcome| -> Outcome<_> {
        let mut times = Vec::new();
        for _ in 0..SCRAPES {
            let begin = Instant::now();
            work()?;
            times.push(begin.elapsed());
        }
        Ok(spread(times))
    };
    let words = timed(&|| {
        watched.text()?;
        Ok(())
    })?;
    let answers = timed(&|| {
        scrape(address)?;
        Ok(())
    })?;
    println!(
        "{PARTITIONS} partitions, {} lines, {} kB; {SCRAPES} scrapes: median, 99 %, worst",
        answer.lines().count(),
        answer.len() / 1000
    );
    println!("| in words | {words:.2?} |\n| over the loopback | {answers:.2?} |");
    if answers.1 > PROMISED {
        println!("more than {PROMISED:?}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
