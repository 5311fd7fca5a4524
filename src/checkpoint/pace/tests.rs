use super::*;

const PACE: Pace = Pace {
    interval: Duration::from_secs(60),
    min_pause: Duration::from_secs(30),
    tolerable_failed: 2,
};

fn observed(start: Instant) -> Observed {
    Observed {
        last_close: start,
        last_end: None,
        outstanding: false,
        failed: 0,
        finish: false,
        urgent: false,
        asked: false,
    }
}

#[test]
fn an_epoch_closes_when_the_interval_is_over() {
    let start = Instant::now();
    let at = |seconds| PACE.step(&observed(start), start + Duration::from_secs(seconds));
    assert_eq!(at(59), Step::WaitFor(Duration::from_secs(1)));
    assert_eq!(at(60), Step::Close);
}

#[test]
fn nothing_closes_while_a_commit_is_outstanding_not_even_the_last_epoch() {
    let start = Instant::now();
    let observed = Observed {
        outstanding: true,
        finish: true,
        urgent: true,
        ..observed(start)
    };
    let step = PACE.step(&observed, start + Duration::from_secs(600));
    assert_eq!(step, Step::WaitForCommit);
}

#[test]
fn a_slow_commit_pushes_the_next_close_by_the_pause() {
    let start = Instant::now();
    let observed = Observed {
        last_end: Some(start + Duration::from_secs(50)),
        ..observed(start)
    };
    let step = PACE.step(&observed, start + Duration::from_secs(60));
    assert_eq!(step, Step::WaitFor(Duration::from_secs(20)));
}

#[test]
fn finishing_does_not_wait_for_interval_or_pause() {
    let start = Instant::now();
    let observed = Observed {
        last_end: Some(start),
        finish: true,
        ..observed(start)
    };
    assert_eq!(PACE.step(&observed, start), Step::CloseLast);
}

#[test]
fn a_full_budget_closes_early_but_keeps_the_pause() {
    let start = Instant::now();
    let urgent = Observed {
        urgent: true,
        ..observed(start)
    };
    assert_eq!(PACE.step(&urgent, start), Step::Close);
    let paused = Observed {
        last_end: Some(start),
        ..urgent
    };
    let step = PACE.step(&paused, start + Duration::from_secs(1));
    assert_eq!(step, Step::WaitFor(Duration::from_secs(29)));
}

#[test]
fn as_many_failures_in_a_row_as_are_tolerable_are_borne_and_one_more_is_not() {
    let start = Instant::now();
    let after = |failed| {
        let observed = Observed {
            failed,
            ..observed(start)
        };
        PACE.step(&observed, start + PACE.interval)
    };
    assert_eq!(after(2), Step::Close);
    assert_eq!(after(3), Step::GiveUp);
}

#[test]
fn one_failure_too_many_ends_a_run_that_was_about_to_finish_as_well() {
    let start = Instant::now();
    let observed = Observed {
        failed: 3,
        finish: true,
        ..observed(start)
    };
    assert_eq!(PACE.step(&observed, start), Step::GiveUp);
}

#[test]
fn a_full_budget_does_not_hurry_a_catalog_that_has_just_failed() {
    let start = Instant::now();
    let pace = Pace {
        min_pause: Duration::ZERO,
        ..PACE
    };
    let full = Observed {
        last_end: Some(start),
        failed: 1,
        urgent: true,
        ..observed(start)
    };
    assert_eq!(pace.step(&full, start), Step::WaitFor(FAILED_PAUSE));
    let short = Pace {
        interval: Duration::from_secs(1),
        ..pace
    };
    assert_eq!(
        short.step(&full, start),
        Step::WaitFor(Duration::from_secs(1))
    );
}

#[test]
fn a_checkpoint_that_was_asked_for_waits_for_the_commit_under_way_and_for_nothing_else() {
    let start = Instant::now();
    let asked = Observed {
        last_end: Some(start),
        failed: 1,
        asked: true,
        ..observed(start)
    };
    assert_eq!(PACE.step(&asked, start), Step::Close);
    let outstanding = Observed {
        outstanding: true,
        ..asked
    };
    assert_eq!(PACE.step(&outstanding, start), Step::WaitForCommit);
    let finish = Observed {
        finish: true,
        ..asked
    };
    assert_eq!(PACE.step(&finish, start), Step::CloseLast);
}
