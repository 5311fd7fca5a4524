//! The engine alone, in the manner of timely's `openloop`: the graph of `calve run` with its coordinator, `batch`, `decode`
//! and control streams, but with a source that makes its records and a commit that only counts.
//!
//! ```text
//!   coordinator ─▶ source ─▶ batch ─▶ decode ─▶ count ─▶ commit (worker 0)
//!        ▲            └──────────── cuts ────────────────▲   │
//!        └───────────────────── outcomes ────────────────────┘
//! ```
//!
//! * `progress`: no records at all. What an epoch costs: the close to all workers, a cut from each, the frontiers of
//!   every edge, the outcome to all. By epochs per second and by workers.
//! * `latency`: records are offered at a fixed rate, whatever becomes of those before. From the moment at which a
//!   record was due until its worker has heard that its epoch is durable; nothing waits for disk or network.
//!
//! `cargo bench --bench engine [-- progress|latency]`

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use calve::alarm::Alarm;
use calve::budget::{Budget, Uncommitted};
use calve::checkpoint::coordinator::coordinator;
use calve::checkpoint::pace::Pace;
use calve::checkpoint::{Close, Cut, Outcome, Report};
use calve::config::OnReject;
use calve::format::{JsonDecoder, columns};
use calve::kafka::{Chunk, Source};
use calve::messages::Messages;
use calve::offsets::{NextOffset, Offsets};
use calve::operators::{Batch, Batching, Decode, Rejected};
use calve::process::Process;
use calve::rows::Rows;
use calve::time::{Epoch, Epochs};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Capability, ConnectLoop, Feedback};
use timely::dataflow::{Scope, Stream, StreamVec};

#[path = "shared/cpu.rs"]
mod cpu;

const COLUMNS: &str = include_str!("../src/cli/generate/samples.columns");
const RECORD: &[u8] = br#"{"sample_id":"5a0c3c55-6a57-4f0e-9d8e-123456789abc","user_id":"user-004711","device_id":"device-14133","data_type":"heart_rate","value":72.25,"unit":"count/min","start_time":"2026-03-01T12:00:00.125Z","end_time":"2026-03-01T12:00:05.125Z","source_bundle":"com.example.health.watch"}"#;
/// The source makes what is due this often.
const TICK: Duration = Duration::from_millis(1);
const CHUNK_RECORDS: u64 = 512;
const SECONDS: u64 = 5;
/// Of the histogram of latencies: its step, and where it ends.
const STEP_US: u64 = 10;
const STEPS: usize = 1_000_000;

/// What is offered.
#[derive(Clone, Copy)]
struct Load {
    workers: usize,
    /// From one close to the next; zero closes as soon as the epoch before is durable.
    interval: Duration,
    /// Records a second, all workers together.
    rate: u64,
}

/// What came out.
struct Figures {
    epochs: u64,
    records: u64,
    wall: Duration,
    cpu: Duration,
    latencies: Vec<u64>,
}

impl Figures {
    /// The latency in ms that so many of a thousand records did not exceed.
    fn quantile(&self, per_mille: u64) -> f64 {
        let wanted = (self.records * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let step = self.latencies.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        (step.unwrap_or(STEPS) as u64 * STEP_US) as f64 / 1_000.0
    }
}

fn main() -> calve::Result<()> {
    let which = std::env::args().skip(1).find(|a| a != "--bench");
    if which.as_deref() != Some("latency") {
        println!(
            "| workers | offered epochs/s | epochs/s | CPU µs per epoch | % of a core |\n|---|---|---|---|---|"
        );
        for workers in [1, 2, 6, 12] {
            for offered in [1, 10, 100, 1_000, 0] {
                let interval =
                    Duration::from_micros(1_000_000 / offered.max(1)) * u32::from(offered > 0);
                let figures = run(Load {
                    workers,
                    interval,
                    rate: 0,
                })?;
                let (wall, cpu) = (figures.wall.as_secs_f64(), figures.cpu.as_secs_f64());
                println!(
                    "| {workers} | {} | {:.0} | {:.0} | {:.2} |",
                    if offered > 0 {
                        offered.to_string()
                    } else {
                        "any".to_owned()
                    },
                    figures.epochs as f64 / wall,
                    cpu * 1e6 / figures.epochs as f64,
                    cpu * 100.0 / wall,
                );
            }
        }
    }
    if which.as_deref() != Some("progress") {
        println!(
            "\n| workers | offered records/s | p50 ms | p90 | p99 | max | CPU s per million |\n|---|---|---|---|---|---|---|"
        );
        for workers in [1, 6] {
            for rate in [10_000, 50_000, 200_000, 1_000_000] {
                let interval = Duration::from_millis(10);
                let figures = run(Load {
                    workers,
                    interval,
                    rate,
                })?;
                println!(
                    "| {workers} | {rate} | {:.2} | {:.2} | {:.2} | {:.2} | {:.3} |",
                    figures.quantile(500),
                    figures.quantile(900),
                    figures.quantile(990),
                    figures.quantile(1_000),
                    figures.cpu.as_secs_f64() * 1e6 / figures.records as f64,
                );
            }
        }
    }
    Ok(())
}

fn run(load: Load) -> calve::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| calve::Error::internal("no async runtime").caused_by(error))?;
    let process = Arc::new(Process::new(runtime.handle().clone()));
    let (told, results) = mpsc::channel();
    let begin = Instant::now();
    let shared = Arc::clone(&process);
    let workers = timely::execute(timely::Config::process(load.workers), move |worker| {
        let cpu = cpu::nanos();
        let seen = Rc::new(RefCell::new(Seen::new(load, begin)));
        worker.dataflow::<Epoch, _, _>(|scope| {
            if let Err(error) = build(scope, load, &shared, &seen) {
                shared.fail(error);
            }
        });
        while !shared.has_failed() && worker.step_or_park(None) {}
        for index in worker.installed_dataflows() {
            worker.drop_dataflow(index);
        }
        let cpu = Duration::from_nanos(cpu::nanos() - cpu);
        // Received until every worker has ended.
        let _ = told.send((seen.take(), cpu));
    });
    drop(workers.map_err(calve::Error::internal)?);
    if let Some(error) = process.take_failure() {
        return Err(error);
    }
    let mut figures = Figures {
        epochs: 0,
        records: 0,
        wall: begin.elapsed(),
        cpu: Duration::ZERO,
        latencies: vec![0; STEPS + 1],
    };
    let mut sent = 0;
    for (seen, cpu) in results {
        sent += seen.sent;
        figures.cpu += cpu;
        figures.epochs = figures.epochs.max(seen.epochs);
        figures.records += seen.latencies.iter().sum::<u64>();
        for (sum, count) in figures.latencies.iter_mut().zip(&seen.latencies) {
            *sum += count;
        }
    }
    assert_eq!(
        figures.records, sent,
        "every record that was sent became durable"
    );
    Ok(figures)
}

/// What one worker's source has sent and heard of.
#[derive(Default)]
struct Seen {
    rate: u64,
    begin: Option<Instant>,
    epochs: u64,
    sent: u64,
    /// The records of epochs that are not durable yet: from which to which of this worker's own.
    open: VecDeque<(Epoch, u64, u64)>,
    latencies: Vec<u64>,
}

impl Seen {
    fn new(load: Load, begin: Instant) -> Self {
        Self {
            rate: load.rate,
            begin: Some(begin),
            latencies: vec![0; STEPS + 1],
            ..Self::default()
        }
    }

    fn elapsed(&self) -> Duration {
        self.begin.map(|begin| begin.elapsed()).unwrap_or_default()
    }

    /// How many records of this worker were due by now.
    fn due(&self, worker: usize, peers: usize) -> u64 {
        let all = u128::from(self.rate) * self.elapsed().as_micros() / 1_000_000;
        (all as u64).saturating_sub(worker as u64) / peers as u64
    }

    fn durable(&mut self, epoch: Epoch, worker: usize, peers: usize) {
        self.epochs += 1;
        let now = self.elapsed().as_micros() as u64;
        while let Some(&(of, first, end)) = self.open.front()
            && of <= epoch
        {
            for number in first..end {
                let due = (number * peers as u64 + worker as u64) * 1_000_000 / self.rate;
                let step = (now.saturating_sub(due) / STEP_US) as usize;
                self.latencies[step.min(STEPS)] += 1;
            }
            self.open.pop_front();
        }
    }
}

/// The graph, wired as `Job` does it.
fn build<'scope>(
    scope: Scope<'scope, Epoch>,
    load: Load,
    process: &Arc<Process>,
    seen: &Rc<RefCell<Seen>>,
) -> calve::Result<()> {
    let (reports_edge, reports) = scope.feedback(Epochs::default());
    let (outcomes_edge, outcomes) = scope.feedback(Epochs::default());
    let outcomes = outcomes.broadcast();
    let pace = Pace {
        interval: load.interval,
        min_pause: Duration::ZERO,
        tolerable_failed: 0,
    };
    let closes = coordinator(
        scope,
        Epoch(1),
        pace,
        Arc::clone(process),
        reports,
        outcomes.clone(),
    );
    let uncommitted = Arc::new(Uncommitted::new(u64::MAX, process.metrics()));
    let budget = Budget::new(64 << 20, uncommitted, process.metrics());
    let source = source(scope, budget, closes, outcomes, Rc::clone(seen));
    let schema = columns::with_provenance(&columns::parse(COLUMNS)?)?;
    let limits = Batching {
        rows_max: 8_192,
        bytes_max: 32 << 20,
        timeout: Duration::from_secs(1),
    };
    let (rows, rejects) = source
        .messages
        .batch(limits)
        .decode(Box::new(JsonDecoder::new(&schema)?), Arc::clone(process));
    let skipped = rejects.on_reject(OnReject::Halt, Arc::clone(process));
    source.reports.connect_loop(reports_edge);
    commit(count(rows), source.cuts, skipped).connect_loop(outcomes_edge);
    Ok(())
}

/// The source of [`calve::kafka`], with records from a clock.
fn source<'scope>(
    scope: Scope<'scope, Epoch>,
    budget: Budget,
    closes: StreamVec<'scope, Epoch, Close>,
    outcomes: StreamVec<'scope, Epoch, Outcome>,
    seen: Rc<RefCell<Seen>>,
) -> Source<'scope> {
    let (worker, peers) = (scope.index(), scope.peers());
    let mut builder = OperatorBuilder::new("Source".to_owned(), scope);
    let (messages_output, messages) = builder.new_output::<Vec<Chunk>>();
    let (cuts_output, cuts) = builder.new_output::<Vec<Cut>>();
    let (reports_output, reports) = builder.new_output::<Vec<(usize, Report)>>();
    let mut messages_output =
        OutputBuilder::<_, CapacityContainerBuilder<_>>::from(messages_output);
    let mut cuts_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(cuts_output);
    let mut reports_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(reports_output);
    let mut closes = builder.new_input_connection(closes, Pipeline, []);
    let mut outcomes = builder.new_input_connection(outcomes, Pipeline, []);
    let address = builder.operator_info().address;
    let mut alarm = Alarm::new(scope.activator_for(Rc::clone(&address)));
    budget.wake(scope.activator_for(address));
    let topics: Arc<[Arc<str>]> = Arc::from([Arc::from("generated")]);

    builder.build(move |capabilities| {
        let mut open = <[Capability<Epoch>; 3]>::try_from(capabilities).ok();
        let first = Epoch(1);
        open.iter_mut()
            .flatten()
            .for_each(|capability| capability.downgrade(&first));
        let mut drained = false;
        move |_frontiers| {
            let mut seen = seen.borrow_mut();
            // 1. Control inputs.
            outcomes.for_each(|_, batch| {
                for outcome in batch.drain(..) {
                    if let Outcome::Committed { epoch, .. } = outcome {
                        seen.durable(epoch, worker, peers);
                    }
                }
            });
            // 2. Answer closes with cuts, and move on.
            closes.for_each(|_, batch| {
                for close in batch.drain(..) {
                    let Some([messages, cuts, reports]) = &mut open else {
                        return;
                    };
                    let mut next = Offsets::new();
                    next.set("generated", worker as i32, NextOffset(seen.sent as i64));
                    cuts_output.activate().session(cuts).give(Cut {
                        epoch: close.epoch,
                        worker,
                        next,
                        joined: Offsets::new(),
                        last: close.last,
                    });
                    if close.last {
                        open = None;
                    } else {
                        let next = close.epoch.next();
                        for capability in [messages, cuts, reports] {
                            capability.downgrade(&next);
                        }
                    }
                }
            });
            let Some([messages, _, reports]) = &open else {
                return;
            };
            // 3. Into the open epoch, whatever is due by now.
            let left = Duration::from_secs(SECONDS).saturating_sub(seen.elapsed());
            if left.is_zero() {
                if !drained {
                    drained = true;
                    reports_output
                        .activate()
                        .session(reports)
                        .give((worker, Report::Drain));
                }
                return;
            }
            let due = seen.due(worker, peers);
            let epoch = *messages.time();
            while seen.sent < due && budget.has_room() {
                let (first, end) = (seen.sent, due.min(seen.sent + CHUNK_RECORDS));
                let mut chunk = Messages::new(Arc::clone(&topics));
                for number in first..end {
                    chunk.push(0, worker as i32, number as i64, Some(0), None, Some(RECORD));
                }
                let charge = budget.charge(chunk.memory_len() as u64);
                messages_output.activate().session(messages).give(Chunk {
                    messages: chunk,
                    charge,
                });
                seen.open.push_back((epoch, first, end));
                seen.sent = end;
            }
            alarm.after(if seen.rate > 0 { TICK.min(left) } else { left });
        }
    });
    Source {
        messages,
        cuts,
        reports,
    }
}

/// Stands where `stage` does: holds an epoch's rows until it has ended, here as a number.
fn count<'scope>(rows: Stream<'scope, Epoch, Vec<Rows>>) -> StreamVec<'scope, Epoch, u64> {
    rows.unary_frontier(Pipeline, "Count", |_capability, _info| {
        let mut pending: BTreeMap<Epoch, (Capability<Epoch>, u64)> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each_stamp(|capability, data| {
                let Some(&epoch) = capability.least() else {
                    return;
                };
                let rows: usize = data
                    .flat_map(|rows| rows.drain(..))
                    .map(|rows| rows.batch.num_rows())
                    .sum();
                let entry = pending
                    .entry(epoch)
                    .or_insert_with(|| (capability.delayed(&epoch, output.output_index()), 0));
                entry.1 += rows as u64;
            });
            for (_, (capability, rows)) in
                pending.extract_if(.., |epoch, _| !frontier.less_equal(epoch))
            {
                output.session(&capability).give(rows);
            }
        }
    })
}

/// Stands where `commit` does: an epoch is durable once all of it is here.
fn commit<'scope>(
    counts: StreamVec<'scope, Epoch, u64>,
    cuts: StreamVec<'scope, Epoch, Cut>,
    skipped: StreamVec<'scope, Epoch, u64>,
) -> StreamVec<'scope, Epoch, Outcome> {
    let scope = counts.scope();
    let peers = scope.peers();
    let mut builder = OperatorBuilder::new("Commit".to_owned(), scope);
    let mut counts = builder.new_input(counts, Exchange::new(|_: &u64| 0));
    let mut cuts = builder.new_input(cuts, Exchange::new(|_: &Cut| 0));
    let mut skipped = builder.new_input(skipped, Exchange::new(|_: &u64| 0));
    let (output, outcomes) = builder.new_output::<Vec<Outcome>>();
    let mut output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
    builder.build(move |_capabilities| {
        let mut arrived: BTreeMap<Epoch, (Capability<Epoch>, Vec<Cut>)> = BTreeMap::new();
        let (mut rows, mut reached) = (0, Offsets::new());
        move |frontiers| {
            counts.for_each(|_, batch| rows += batch.drain(..).sum::<u64>());
            skipped.for_each(|_, batch| batch.clear());
            cuts.for_each(|capability, batch| {
                let Some(&epoch) = capability.least() else {
                    return;
                };
                let entry = arrived
                    .entry(epoch)
                    .or_insert_with(|| (capability.delayed(&epoch, 0), Vec::new()));
                entry.1.append(batch);
            });
            while let Some(first) = arrived.first_entry()
                && frontiers
                    .iter()
                    .all(|frontier| !frontier.less_equal(first.key()))
            {
                let (epoch, (capability, cuts)) = first.remove_entry();
                assert_eq!(cuts.len(), peers, "a cut from every worker");
                cuts.iter().for_each(|cut| reached.advance_to(&cut.next));
                if cuts.iter().any(|cut| cut.last) {
                    let sent: i64 = reached.iter().map(|(_, _, next)| next.0).sum();
                    assert_eq!(rows as i64, sent, "every record that was sent has arrived");
                }
                let offsets = None;
                output
                    .activate()
                    .session(&capability)
                    .give(Outcome::Committed { epoch, offsets });
            }
        }
    });
    outcomes
}
