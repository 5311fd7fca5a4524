//! The commit operator in a dataflow of one worker, over a catalog that fails: what it says of a closed
//! epoch, and where its frontier stands.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Inspect, Probe};
use timely::worker::Worker;
use tokio::runtime::Runtime;

use super::faulty::{Faulty, Swap};
use crate::checkpoint::{Cut, Outcome};
use crate::iceberg::testing::*;
use crate::iceberg::{CommitOptions, CommitStaged, Sink, StagedFile};
use crate::offsets::Offsets;
use crate::process::Process;
use crate::time::{Epoch, Generation};

/// The operator's surroundings.
struct Edges<'a> {
    runtime: &'a Runtime,
    world: &'a World,
    faulty: &'a Faulty,
    process: &'a Process,
    staged: &'a mut InputHandleVec<Epoch, StagedFile>,
    cuts: &'a mut InputHandleVec<Epoch, Cut>,
    gates: &'a mut InputHandleVec<Epoch, u64>,
    /// Lets the worker work until there is an outcome or the process has failed.
    settle: &'a mut dyn FnMut() -> Vec<Outcome>,
    /// True if the operator's frontier has passed an epoch.
    is_durable: &'a dyn Fn(u64) -> bool,
}

impl Edges<'_> {
    /// All of an epoch arrives: the rows `from..to` in one file, and the cut `to`.
    fn arrive(&mut self, epoch: u64, from: i64, to: i64, last: bool) {
        self.staged.advance_to(Epoch(epoch));
        self.cuts.advance_to(Epoch(epoch));
        if from < to {
            let mut files = self.runtime.block_on(self.world.stage(epoch, from, to));
            self.staged.send_batch(&mut files);
        }
        self.cuts.send(Cut {
            epoch: Epoch(epoch),
            worker: 0,
            next: offsets(to),
            joined: Offsets::new(),
            last,
        });
        self.staged.advance_to(Epoch(epoch + 1));
        self.cuts.advance_to(Epoch(epoch + 1));
        self.gates.advance_to(Epoch(epoch + 1));
    }

    fn holds(&self, to: i64) {
        self.runtime.block_on(self.world.assert_holds(to));
    }
}

fn operate(
    swaps: impl IntoIterator<Item = Swap> + Send + Sync + 'static,
    test: impl FnOnce(Edges<'_>) + Send + Sync + 'static,
) {
    timely::execute_directly(move |worker| operate_on(worker, swaps, test));
}

fn operate_on(
    worker: &mut Worker,
    swaps: impl IntoIterator<Item = Swap>,
    test: impl FnOnce(Edges<'_>),
) {
    let runtime = Runtime::new().unwrap();
    let (world, faulty, committer) = runtime.block_on(async {
        let world = World::new().await;
        let faulty = Faulty::new(&world.catalog, []);
        let committer = world.start_with(faulty.clone(), IMPATIENT).await;
        (world, faulty, committer)
    });
    faulty.script(swaps);
    let process = Arc::new(Process::new(runtime.handle().clone()));
    let sink = Sink::new(
        committer.table().clone(),
        PIPELINE.to_owned(),
        Generation(1),
        None,
        1 << 20,
        Some(committer),
    );
    let seen = Rc::new(RefCell::new(Vec::new()));
    let options = CommitOptions {
        marker_max_age: Duration::from_secs(3600),
        timeout: IMPATIENT,
    };
    let (mut staged, mut cuts, mut gates, durable) = worker.dataflow::<Epoch, _, _>(|scope| {
        let (staged, files) = scope.new_input();
        let (cuts, cut_stream) = scope.new_input();
        let (gates, gate_stream) = scope.new_input();
        let seen = Rc::clone(&seen);
        let (durable, _) = files
            .commit(
                options,
                sink,
                Arc::clone(&process),
                cut_stream,
                gate_stream,
                None,
            )
            .inspect(move |outcome| seen.borrow_mut().push(outcome.clone()))
            .probe();
        (staged, cuts, gates, durable)
    });
    let mut settle = || {
        let begin = Instant::now();
        while seen.borrow().is_empty() && !process.has_failed() {
            assert!(begin.elapsed() < Duration::from_secs(60), "no outcome");
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
        // What comes after the message: its frontier.
        for _ in 0..5 {
            worker.step();
        }
        seen.take()
    };
    test(Edges {
        runtime: &runtime,
        world: &world,
        faulty: &faulty,
        process: &process,
        staged: &mut staged,
        cuts: &mut cuts,
        gates: &mut gates,
        settle: &mut settle,
        is_durable: &|epoch| !durable.less_equal(&Epoch(epoch)),
    });
    for index in worker.installed_dataflows() {
        worker.drop_dataflow(index);
    }
}

/// More than can be tried within the patience of a commit.
fn all_dropped() -> impl Iterator<Item = Swap> {
    (0..50).map(|_| Swap::Dropped)
}

fn committed(epoch: u64, next: i64) -> Outcome {
    Outcome::Committed {
        epoch: Epoch(epoch),
        offsets: Some(offsets(next)),
    }
}

#[track_caller]
fn assert_failed(outcomes: &[Outcome], expected: u64, riding: usize) {
    let [
        Outcome::Failed {
            epoch,
            files,
            reason,
        },
    ] = outcomes
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!((epoch.0, *files), (expected, riding));
    assert!(reason.contains("connection reset"), "{reason}");
}

#[test]
fn a_failed_epoch_is_told_stays_undurable_and_is_committed_with_the_next() {
    operate(all_dropped(), |mut edges| {
        edges.arrive(1, 0, 10, false);
        assert_failed(&(edges.settle)(), 1, 1);
        assert!(!(edges.is_durable)(1), "the frontier stands");
        edges.holds(0);

        edges.faulty.swaps_are_over();
        edges.arrive(2, 10, 20, false);
        assert_eq!((edges.settle)(), [committed(2, 20)]);
        assert!((edges.is_durable)(2));
        edges.holds(20);
        let metrics = edges.process.metrics();
        assert_eq!(metrics.checkpoints_failed.get(), 1);
        assert_eq!(
            (metrics.commits.get(), metrics.files_committed.get()),
            (1, 2)
        );
        assert_eq!(metrics.records_committed.get(), 20);
    });
}

#[test]
fn epochs_may_fail_one_after_the_other_and_all_their_files_ride() {
    operate(all_dropped(), |mut edges| {
        for epoch in 1..=3 {
            let from = epoch as i64 * 10 - 10;
            edges.arrive(epoch, from, from + 10, false);
            assert_failed(&(edges.settle)(), epoch, epoch as usize);
            edges.faulty.script(all_dropped());
        }
        edges.faulty.swaps_are_over();
        edges.arrive(4, 30, 40, true);
        assert_eq!((edges.settle)(), [committed(4, 40)]);
        edges.holds(40);
    });
}

#[test]
fn a_failed_epoch_that_lands_late_is_not_committed_again_with_the_next() {
    operate(
        [Swap::Late].into_iter().chain(all_dropped()),
        |mut edges| {
            edges.arrive(1, 0, 10, false);
            assert_failed(&(edges.settle)(), 1, 1);
            assert_eq!(edges.runtime.block_on(edges.faulty.deliver()), [true]);

            edges.faulty.swaps_are_over();
            edges.arrive(2, 10, 20, false);
            assert_eq!((edges.settle)(), [committed(2, 20)]);
            edges.holds(20);
            assert_eq!(edges.process.metrics().records_committed.get(), 20);
        },
    );
}

#[test]
fn an_epoch_without_rows_retries_what_rides_with_it() {
    operate(all_dropped(), |mut edges| {
        edges.arrive(1, 0, 10, false);
        assert_failed(&(edges.settle)(), 1, 1);
        edges.faulty.swaps_are_over();
        edges.arrive(2, 10, 10, false);
        assert_eq!((edges.settle)(), [committed(2, 10)]);
        edges.holds(10);
    });
}

#[test]
fn the_last_epoch_of_a_run_has_no_next_one_so_its_failure_fails_the_process() {
    operate(all_dropped(), |mut edges| {
        edges.arrive(1, 0, 10, true);
        assert_eq!((edges.settle)(), []);
        assert!(!(edges.is_durable)(1));
        let error = edges.process.take_failure().unwrap();
        assert!(!error.is_permanent(), "a restart may help: {error}");
        edges.holds(0);
    });
}
