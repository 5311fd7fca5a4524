use super::*;

/// The defaults, with this strategy.
fn strategy(strategy: RestartStrategy) -> Restart {
    let settings = crate::config::load(&crate::config::Layers::default()).unwrap();
    Restart {
        strategy,
        ..settings.restart
    }
}

/// Failures, each so many seconds of running after the restart that came before it.
fn history(ran: &[u64]) -> History {
    let mut history = History::default();
    let mut at = Instant::now();
    for &seconds in ran {
        at += Duration::from_secs(seconds);
        history.add(failure(at, seconds));
    }
    history
}

fn failure(at: Instant, ran: u64) -> Failure {
    Failure {
        at,
        ran: Some(Duration::from_secs(ran)),
        permanent: false,
        draining: false,
    }
}

fn restart_in(seconds: f64) -> Verdict {
    Verdict::RestartIn(Duration::from_secs_f64(seconds))
}

fn gives_up(restart: &Restart, history: &History) -> bool {
    matches!(decide(restart, history, 0.5), Verdict::GiveUp(_))
}

const STRATEGIES: [RestartStrategy; 3] = [
    RestartStrategy::FixedDelay,
    RestartStrategy::ExponentialDelay,
    RestartStrategy::FailureRate,
];

#[test]
fn a_failure_that_does_not_pass_is_never_tried_again() {
    for kind in STRATEGIES {
        let mut history = History::default();
        history.add(Failure {
            permanent: true,
            ..failure(Instant::now(), 10)
        });
        assert!(gives_up(&strategy(kind), &history), "{kind:?}");
    }
}

#[test]
fn a_first_start_that_fails_is_told_at_once_and_later_ones_are_tried_again() {
    let unable = Failure {
        ran: None,
        ..failure(Instant::now(), 0)
    };
    for kind in STRATEGIES {
        let restart = Restart {
            max_failures_per_interval: 2,
            ..strategy(kind)
        };
        let mut history = History::default();
        history.add(unable);
        assert!(gives_up(&restart, &history), "{kind:?}");
        let mut history = History::default();
        history.add(failure(Instant::now(), 10));
        history.add(unable);
        assert!(!gives_up(&restart, &history), "{kind:?}");
    }
}

#[test]
fn who_drains_is_not_started_again_and_ends_well_only_if_nothing_was_open() {
    let restart = strategy(RestartStrategy::ExponentialDelay);
    let draining = Failure {
        draining: true,
        ..failure(Instant::now(), 10)
    };
    let mut ran = history(&[10]);
    ran.add(draining);
    assert!(gives_up(&restart, &ran));
    let mut waited = history(&[10]);
    waited.add(Failure {
        ran: None,
        ..draining
    });
    assert_eq!(decide(&restart, &waited, 0.5), Verdict::End);
}

#[test]
fn none_never_restarts() {
    assert!(gives_up(&strategy(RestartStrategy::None), &history(&[10])));
}

#[test]
fn fixed_delay_restarts_three_times_whatever_lies_between() {
    let restart = strategy(RestartStrategy::FixedDelay);
    let day = 24 * 60 * 60;
    assert_eq!(
        decide(&restart, &history(&[1, day, day]), 0.5),
        restart_in(10.0)
    );
    assert!(gives_up(&restart, &history(&[1, day, day, day])));
}

#[test]
fn exponential_delay_grows_to_its_maximum_and_never_gives_up() {
    let restart = strategy(RestartStrategy::ExponentialDelay);
    let after = |failures| decide(&restart, &history(&vec![5; failures]), 0.5);
    assert_eq!(after(1), restart_in(1.0));
    assert_eq!(after(2), restart_in(1.5));
    assert_eq!(after(3), restart_in(2.25));
    assert_eq!(after(11), restart_in(1.5_f64.powi(10)));
    assert_eq!(after(12), restart_in(60.0));
    assert_eq!(after(5_000), restart_in(60.0));
}

#[test]
fn exponential_delay_begins_anew_after_a_long_run() {
    let restart = strategy(RestartStrategy::ExponentialDelay);
    let after = |ran: &[u64]| decide(&restart, &history(ran), 0.5);
    assert_eq!(after(&[5, 5, 5, 3599]), restart_in(1.5_f64.powi(3)));
    assert_eq!(after(&[5, 5, 5, 3600]), restart_in(1.0));
    assert_eq!(after(&[5, 5, 5, 3600, 5]), restart_in(1.5));
    assert_eq!(
        after(&[3600]),
        restart_in(1.0),
        "the first has nothing before it"
    );
}

#[test]
fn chance_moves_an_exponential_delay_by_the_jitter_and_never_past_the_maximum() {
    let restart = strategy(RestartStrategy::ExponentialDelay);
    let with = |chance, failures| decide(&restart, &history(&vec![5; failures]), chance);
    assert_eq!(with(0.0, 1), restart_in(0.9));
    assert_eq!(with(1.0, 1), restart_in(1.1));
    assert_eq!(with(1.0, 50), restart_in(60.0));
}

#[test]
fn failure_rate_bears_so_many_failures_in_its_interval() {
    let restart = Restart {
        max_failures_per_interval: 2,
        ..strategy(RestartStrategy::FailureRate)
    };
    assert_eq!(decide(&restart, &history(&[1, 20]), 0.5), restart_in(1.0));
    assert!(gives_up(&restart, &history(&[1, 20, 20])));
    assert_eq!(
        decide(&restart, &history(&[1, 20, 40]), 0.5),
        restart_in(1.0),
        "the first is out of the interval"
    );
}

#[test]
fn a_long_history_forgets_its_beginning_and_still_counts() {
    let restart = Restart {
        fixed_attempts: 5_000,
        ..strategy(RestartStrategy::FixedDelay)
    };
    assert_eq!(
        decide(&restart, &history(&[1; 5_000]), 0.5),
        restart_in(10.0)
    );
    assert!(gives_up(&restart, &history(&[1; 5_001])));
}
