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
    committed: &'a mut Handle<Committed>,
    /// Lets the worker work; returns the closes since the last call.
    settle: &'a mut dyn FnMut() -> Vec<(u64, bool)>,
}

fn coordinate(interval: Duration, test: impl FnOnce(Edges<'_>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let pace = Pace {
            interval,
            min_pause: Duration::ZERO,
        };
        let (mut reports, mut committed) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (reports, report_stream) = scope.new_input();
            let (committed, committed_stream) = scope.new_input();
            let seen = Rc::clone(&seen);
            coordinator(
                scope,
                Epoch(7),
                pace,
                Metrics::default(),
                report_stream,
                committed_stream,
            )
            .inspect(move |close| seen.borrow_mut().push((close.epoch.0, close.last)));
            (reports, committed)
        });
        let mut settle = || {
            for _ in 0..20 {
                worker.step();
            }
            seen.take()
        };
        test(Edges {
            reports: &mut reports,
            committed: &mut committed,
            settle: &mut settle,
        });
        // Whatever is open or outstanding ends, or the worker would wait for it for ever.
        committed.advance_to(Epoch(1_000));
        reports.send((0, Report::Drain));
        reports.close();
        committed.close();
        settle();
    });
}

#[test]
fn the_next_epoch_closes_only_after_the_commit_of_the_one_before() {
    coordinate(Duration::ZERO, |edges| {
        assert_eq!((edges.settle)(), [(7, false)]);
        assert_eq!((edges.settle)(), []);
        edges.committed.advance_to(Epoch(8));
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
        edges.committed.advance_to(Epoch(8));
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
        edges.committed.advance_to(Epoch(8));
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
