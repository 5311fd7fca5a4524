use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::vec::Input;

use super::*;

type Handle<D> = InputHandleVec<Epoch, D>;

/// The ends of a coordinator's edges, in one worker.
struct Edges<'a> {
    reports: &'a mut Handle<(usize, Report)>,
    outcomes: &'a mut Handle<Outcome>,
    process: &'a Process,
    /// Lets the worker work; returns the closes since the last call.
    settle: &'a mut dyn FnMut() -> Vec<(u64, bool)>,
}

fn coordinate(interval: Duration, test: impl FnOnce(Edges<'_>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let pace = Pace {
            interval,
            min_pause: Duration::ZERO,
            tolerable_failed: 1,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let process = Arc::new(Process::new(runtime.handle().clone()));
        let (mut reports, mut outcomes) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (reports, report_stream) = scope.new_input();
            let (outcomes, outcome_stream) = scope.new_input();
            let seen = Rc::clone(&seen);
            coordinator(
                scope,
                Epoch(7),
                pace,
                Arc::clone(&process),
                report_stream,
                outcome_stream,
            )
            .inspect(move |close| seen.borrow_mut().push((close.epoch.0, close.last)));
            (reports, outcomes)
        });
        let mut settle = || {
            for _ in 0..20 {
                worker.step();
            }
            seen.take()
        };
        test(Edges {
            reports: &mut reports,
            outcomes: &mut outcomes,
            process: &process,
            settle: &mut settle,
        });
        // Whatever is open or outstanding ends, or the worker would wait for it for ever.
        outcomes.advance_to(Epoch(1_000));
        reports.send((0, Report::Drain));
        reports.close();
        outcomes.close();
        settle();
        // As the workers do: a coordinator that failed keeps its capability.
        for index in worker.installed_dataflows() {
            worker.drop_dataflow(index);
        }
    });
}

#[test]
fn the_next_epoch_closes_only_after_the_commit_of_the_one_before() {
    coordinate(Duration::ZERO, |edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        assert_eq!((edges.settle)(), []);
        edges.outcomes.advance_to(Epoch(8));
        assert_eq!((edges.settle)(), [(8, false)]);
    });
}

#[test]
fn a_drain_closes_the_open_epoch_as_the_last_one_and_nothing_after_it() {
    coordinate(Duration::from_secs(3600), |edges| {
        assert_eq!((edges.settle)(), []);
        edges.reports.send((0, Report::Drain));
        edges.reports.flush();
        assert_eq!((edges.settle)(), [(7, true)]);
        edges.outcomes.advance_to(Epoch(8));
        assert_eq!((edges.settle)(), []);
    });
}

#[test]
fn a_drain_during_a_commit_waits_for_it() {
    coordinate(Duration::ZERO, |edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        edges.reports.send((0, Report::Drain));
        edges.reports.flush();
        assert_eq!((edges.settle)(), []);
        edges.outcomes.advance_to(Epoch(8));
        assert_eq!((edges.settle)(), [(8, true)]);
    });
}

#[test]
fn a_bounded_run_ends_when_every_worker_is_exhausted() {
    coordinate(Duration::from_secs(3600), |edges| {
        edges.reports.send((0, Report::Exhausted));
        edges.reports.flush();
        assert_eq!((edges.settle)(), [(7, true)]);
    });
}

#[test]
fn a_full_budget_closes_before_the_interval_is_over() {
    coordinate(Duration::from_secs(3600), |edges| {
        assert_eq!((edges.settle)(), []);
        edges.reports.send((0, Report::Full));
        edges.reports.flush();
        assert_eq!((edges.settle)(), [(7, false)]);
    });
}

impl Edges<'_> {
    /// The sink reports that the commit of `epoch` failed, and keeps its capability.
    fn fail(&mut self, epoch: u64) {
        self.outcomes.send(Outcome::Failed {
            epoch: Epoch(epoch),
            files: 12,
            reason: "the catalog is away".to_owned(),
        });
        self.outcomes.flush();
    }
}

#[test]
fn a_failed_checkpoint_lets_the_next_epoch_close_although_the_frontier_stands() {
    coordinate(Duration::ZERO, |mut edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        edges.fail(7);
        assert_eq!((edges.settle)(), [(8, false)]);
        assert!(!edges.process.has_failed());
        edges.outcomes.advance_to(Epoch(9));
        assert_eq!((edges.settle)(), [(9, false)]);
    });
}

#[test]
fn one_failure_more_than_is_tolerable_fails_the_process_with_the_last_reason() {
    coordinate(Duration::ZERO, |mut edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        edges.fail(7);
        assert_eq!((edges.settle)(), [(8, false)]);
        edges.fail(8);
        assert_eq!((edges.settle)(), [], "nothing more is closed");
        let error = edges.process.take_failure().unwrap().to_string();
        assert!(error.starts_with("checkpoint 8 failed"), "{error}");
        assert!(error.ends_with("the catalog is away"), "{error}");
    });
}

#[test]
fn a_commit_in_between_makes_failures_count_anew() {
    coordinate(Duration::ZERO, |mut edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        edges.fail(7);
        assert_eq!((edges.settle)(), [(8, false)]);
        edges.outcomes.advance_to(Epoch(9));
        assert_eq!((edges.settle)(), [(9, false)]);
        edges.fail(9);
        assert_eq!((edges.settle)(), [(10, false)]);
        assert!(!edges.process.has_failed());
    });
}

#[test]
fn a_drain_after_a_failed_checkpoint_closes_the_epoch_that_its_files_ride_with() {
    coordinate(Duration::ZERO, |mut edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        edges.reports.send((0, Report::Drain));
        edges.reports.flush();
        assert_eq!((edges.settle)(), []);
        edges.fail(7);
        assert_eq!((edges.settle)(), [(8, true)]);
    });
}
