use super::*;

fn budget() -> Budget {
    let metrics = Metrics::default();
    let uncommitted = Arc::new(Uncommitted::new(1000, &metrics));
    Budget::new(100, uncommitted, &metrics)
}

#[test]
fn bytes_in_flight_come_back_when_the_charge_is_dropped() {
    let budget = budget();
    let first = budget.charge(60);
    assert!(budget.has_room());
    let second = budget.charge(60);
    assert!(!budget.has_room());
    drop(first);
    assert!(budget.has_room());
    drop(second);
    assert_eq!(budget.0.in_flight_gauge.get(), 0);
}

#[test]
fn staged_bytes_hold_the_source_until_their_epoch_is_committed() {
    let budget = budget();
    budget.staged(Epoch(3), 600);
    budget.staged(Epoch(4), 600);
    assert!(!budget.has_room());
    budget.committed(Epoch(2));
    assert!(!budget.has_room());
    budget.committed(Epoch(3));
    assert!(budget.has_room());
}

#[test]
fn what_rides_with_the_open_epoch_asks_for_its_commit() {
    let budget = budget();
    budget.staged(Epoch(3), 600);
    budget.staged(Epoch(4), 600);
    assert!(!budget.needs_commit_of(Epoch(4)));
    budget.rides_on(Epoch(3));
    assert!(budget.needs_commit_of(Epoch(4)));
    assert!(!budget.has_room());
    budget.committed(Epoch(4));
    assert!(budget.has_room());
}

#[test]
fn the_gauge_counts_what_is_staged_and_not_committed_also_across_a_restart() {
    let metrics = Metrics::default();
    let gauge = metrics.uncommitted_bytes.clone();
    let uncommitted = Arc::new(Uncommitted::new(1000, &metrics));
    let budget = || Budget::new(100, Arc::clone(&uncommitted), &metrics);
    let (first, other) = (budget(), budget());
    first.staged(Epoch(3), 600);
    other.staged(Epoch(3), 50);
    first.rides_on(Epoch(3));
    first.staged(Epoch(4), 30);
    assert_eq!(gauge.get(), 680);
    // The other one hears of it, too.
    other.rides_on(Epoch(3));
    first.committed(Epoch(3));
    assert_eq!(gauge.get(), 680);
    for budget in [&first, &other] {
        budget.committed(Epoch(4));
        assert_eq!(gauge.get(), 0);
    }
    first.staged(Epoch(5), 20);
    drop((first, other, uncommitted));
    assert_eq!(gauge.get(), 0);
}

#[test]
fn what_one_worker_stages_holds_the_source_of_another() {
    let metrics = Metrics::default();
    let uncommitted = Arc::new(Uncommitted::new(1000, &metrics));
    let budget = || Budget::new(100, Arc::clone(&uncommitted), &metrics);
    let (reads, holds_the_keys) = (budget(), budget());
    holds_the_keys.staged(Epoch(3), 600);
    assert!(reads.has_room());
    holds_the_keys.staged(Epoch(3), 400);
    assert!(!reads.has_room());
    assert!(reads.needs_commit_of(Epoch(3)));
    reads.committed(Epoch(3));
    assert!(reads.has_room() && holds_the_keys.has_room());
}
