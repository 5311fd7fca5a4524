use std::time::Duration;

use super::*;

#[test]
fn turns_are_spread_evenly_and_do_not_drift_in_long_runs() {
    assert_eq!(due_after(0, 3), Duration::ZERO);
    assert_eq!(due_after(1, 3), Duration::from_nanos(333_333_333));
    assert_eq!(due_after(3, 3), Duration::from_secs(1));
    assert_eq!(
        due_after(50_000 * 86_400, 50_000),
        Duration::from_secs(86_400)
    );
    assert_eq!(due_after(u64::MAX, 1), Duration::from_nanos(u64::MAX));
}

#[test]
fn a_record_does_not_leave_before_its_turn_and_bears_its_time() {
    let offer = Offer::per_second(100);
    let Offer::Rate {
        begin, begin_ms, ..
    } = offer
    else {
        panic!("a rate was asked for");
    };
    assert_eq!(offer.await_turn(5), Some(begin_ms + 50));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    // Its turn is over: it leaves at once, and says when it should have.
    assert_eq!(offer.await_turn(1), Some(begin_ms + 10));
    assert_eq!(Offer::Unlimited.await_turn(1), None);
}
