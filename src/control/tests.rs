use super::history::REMEMBERED;
use super::*;

fn proof(records: u64) -> Proof {
    Proof {
        records,
        ..Proof::default()
    }
}

fn durable(epoch: u64) -> Durable {
    Durable {
        epoch: Epoch(epoch),
        marker: "{}".to_owned(),
        snapshot_id: None,
    }
}

/// A desk with an ask that is waiting, whether or not a coordinator runs.
fn asked(ask: Ask) -> (Control, oneshot::Receiver<Answer>) {
    let control = Control::default();
    let (answer, answered) = oneshot::channel();
    control.state().waiting.push(Waiting { ask, answer });
    (control, answered)
}

#[test]
fn without_a_dataflow_an_ask_is_refused_with_the_reason() {
    let control = Control::default();
    let refused = |phase| {
        control.enter(phase);
        control.ask(Ask::Checkpoint).unwrap_err()
    };
    assert!(refused(Phase::Starting).contains("starting"));
    assert!(refused(Phase::Restarting).contains("restart"));
    assert!(refused(Phase::Finished).contains("ended"));
}

#[test]
fn an_ask_is_answered_by_the_epoch_that_was_closed_for_it_and_no_other() {
    let (control, mut answered) = asked(Ask::Checkpoint);
    assert!(control.is_asked());
    control.closed(Epoch(5), false);
    assert!(!control.is_asked());
    assert!(control.is_awaited(Epoch(5)) && !control.is_awaited(Epoch(4)));
    control.durable(Epoch(4), proof(1), || panic!("nobody waits for it"));
    assert!(answered.try_recv().is_err(), "not yet");
    control.durable(Epoch(5), proof(1), || Ok(durable(5)));
    assert_eq!(answered.try_recv().unwrap(), Ok(durable(5)));
}

#[test]
fn a_failed_checkpoint_answers_with_its_reason() {
    let (control, mut answered) = asked(Ask::Savepoint);
    control.closed(Epoch(5), false);
    control.failed(Epoch(5), "the catalog is away");
    let answer = answered.try_recv().unwrap();
    assert_eq!(answer, Err("the catalog is away".to_owned()));
    control.read_history(|history| {
        let failed = history.last_failed().unwrap();
        assert_eq!(failed.trigger, Trigger::Savepoint);
        assert_eq!(
            failed.status,
            Status::Failed("the catalog is away".to_owned())
        );
    });
}

#[test]
fn the_end_of_the_dataflow_answers_all_that_are_left() {
    let (control, mut waiting) = asked(Ask::Checkpoint);
    control.closed(Epoch(5), false);
    let (answer, mut late) = oneshot::channel();
    control.state().waiting.push(Waiting {
        ask: Ask::Savepoint,
        answer,
    });
    control.dataflow_ended(Some("it broke"));
    for answered in [&mut waiting, &mut late] {
        assert_eq!(answered.try_recv().unwrap(), Err("it broke".to_owned()));
    }
    assert_eq!(control.failures()[0].reason, "it broke");
    control.read_history(|history| {
        assert_eq!(history.in_progress(), 0);
        assert_eq!(history.counts().failed, 1);
    });
}

#[test]
fn a_savepoint_among_the_asks_makes_the_checkpoint_one() {
    let (control, _first) = asked(Ask::Checkpoint);
    control.closed(Epoch(1), false);
    let (answer, _second) = oneshot::channel();
    let ask = Ask::Savepoint;
    control.state().waiting.push(Waiting { ask, answer });
    control.closed(Epoch(2), false);
    control.closed(Epoch(3), false);
    control.read_history(|history| {
        let triggers: Vec<_> = history.records().map(|r| (r.epoch.0, r.trigger)).collect();
        let expected = [
            (3, Trigger::Periodic),
            (2, Trigger::Savepoint),
            (1, Trigger::Manual),
        ];
        assert_eq!(triggers, expected);
    });
}

#[test]
fn the_history_is_bounded_and_its_counts_are_not() {
    let control = Control::default();
    let many = 3 * REMEMBERED as u64;
    for epoch in 1..=many {
        control.closed(Epoch(epoch), false);
        if epoch % 3 == 0 {
            control.failed(Epoch(epoch), "no");
        } else {
            control.durable(Epoch(epoch), proof(epoch), || Ok(durable(epoch)));
        }
    }
    control.closed(Epoch(many + 1), false);
    control.read_history(|history| {
        assert_eq!(history.records().count(), REMEMBERED);
        let counts = Counts {
            triggered: many + 1,
            completed: 2 * many / 3,
            failed: many / 3,
            restored: 0,
        };
        assert_eq!(history.counts(), counts);
        assert_eq!(history.in_progress(), 1);
        assert_eq!(history.last_completed().unwrap().proof.records, many - 1);
        assert!(history.get(Epoch(1)).is_none());
    });
}

#[test]
fn an_epoch_that_is_made_again_after_a_restart_is_a_checkpoint_of_its_own() {
    let control = Control::default();
    control.closed(Epoch(7), false);
    control.dataflow_ended(Some("it broke"));
    control.restored(Epoch(6), None);
    control.closed(Epoch(7), false);
    control.durable(Epoch(7), proof(3), || Ok(durable(7)));
    control.read_history(|history| {
        let statuses: Vec<_> = history.records().map(|r| r.status.clone()).collect();
        let expected = [Status::Completed, Status::Failed("it broke".to_owned())];
        assert_eq!(statuses, expected);
        assert_eq!(history.counts().restored, 1);
        assert_eq!(history.last_restored().unwrap().epoch, Epoch(6));
    });
}

#[test]
fn a_savepoint_is_being_made_until_the_last_one_is_through() {
    let control = Control::default();
    assert!(!control.makes_savepoint());
    let (one, two) = (control.savepoint_begins(), control.savepoint_begins());
    drop(one);
    assert!(control.makes_savepoint());
    drop(two);
    assert!(!control.makes_savepoint());
}

#[test]
fn who_waits_for_the_last_checkpoint_gets_no_other() {
    let (control, mut last) = asked(Ask::LastSavepoint);
    let (answer, mut any) = oneshot::channel();
    assert!(!control.is_asked(), "the end of the run closes it");
    let ask = Ask::Checkpoint;
    control.state().waiting.push(Waiting { ask, answer });
    assert!(control.is_asked());
    control.closed(Epoch(5), false);
    control.durable(Epoch(5), proof(1), || Ok(durable(5)));
    assert_eq!(any.try_recv().unwrap(), Ok(durable(5)));
    assert!(last.try_recv().is_err(), "not yet");
    control.closed(Epoch(6), true);
    control.durable(Epoch(6), proof(1), || Ok(durable(6)));
    assert_eq!(last.try_recv().unwrap(), Ok(durable(6)));
    control.read_history(|history| {
        let triggers = history.records().map(|record| record.trigger);
        assert_eq!(
            triggers.collect::<Vec<_>>(),
            [Trigger::Savepoint, Trigger::Manual]
        );
    });
}
