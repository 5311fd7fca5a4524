//! Histories that were rolled back, and where the pipeline goes on in them.

use super::*;
use crate::time::{Epoch, Generation};

type Moves<'a> = &'a [(i32, i64, i64)];

fn ranges(moves: Moves) -> Ranges {
    let mut ranges = Ranges::default();
    for &(partition, start, end) in moves {
        ranges.insert("t", partition, (NextOffset(start), NextOffset(end)));
    }
    ranges
}

fn offsets(entries: &[(i32, i64)]) -> Offsets {
    let mut offsets = Offsets::new();
    for &(partition, next) in entries {
        offsets.set("t", partition, NextOffset(next));
    }
    offsets
}

fn ids(id: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("t".into(), id.into())])
}

/// The summary's copy of a marker.
fn marker(id: &str, parent: Option<&str>, moves: Moves) -> Marker {
    Marker {
        id: id.into(),
        pipeline: "p".into(),
        table_uuid: "u".into(),
        generation: Generation(2),
        epoch: Epoch(5),
        parent: parent.map(MarkerId::from),
        moved: ranges(moves),
        topic_ids: ids("A"),
        state_snapshot: Some(format!("state of {id}")),
        ..Marker::default()
    }
}

/// A claim at 3 and 7, then two epochs; partition 1 stood still in the last one.
fn history() -> [Marker; 3] {
    [
        marker("claim", None, &[(0, 3, 3), (1, 7, 7)]),
        marker("first", Some("claim"), &[(0, 3, 10), (1, 7, 20)]),
        marker("second", Some("first"), &[(0, 10, 30)]),
    ]
}

/// The property's copy of the last of them.
fn recorded() -> Marker {
    Marker {
        next: offsets(&[(0, 30), (1, 20)]),
        moved: Ranges::default(),
        ..history()[2].clone()
    }
}

fn recovered(
    retained: &[Marker],
    recorded: Marker,
    newest: Option<&Marker>,
    policy: OnRollback,
) -> Recovery {
    let newest = newest.cloned().map(Box::new);
    match recover(retained, Box::new(recorded), newest, policy) {
        Start::Recover(recovery) => *recovery,
        other => panic!("{other:?}"),
    }
}

fn refused(retained: &[Marker], newest: Option<&Marker>, policy: OnRollback) -> Refusal {
    let newest = newest.cloned().map(Box::new);
    match recover(retained, Box::new(recorded()), newest, policy) {
        Start::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

use OnRollback::{Continue, Halt, Rewind};

#[test]
fn halt_refuses_whatever_is_known() {
    let [claim, first, second] = history();
    let refusal = refused(&[claim, first.clone(), second], Some(&first), Halt);
    assert!(matches!(refusal, Refusal::RolledBack { .. }), "{refusal}");
}

#[test]
fn rewind_undoes_what_the_rolled_back_commits_had_read() {
    let [claim, first, second] = history();
    let retained = [first.clone(), second.clone(), claim.clone()];
    let recovery = recovered(&retained, recorded(), Some(&first), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 10), (1, 20)]));
    assert_eq!(recovery.left_out, Ranges::default());
    assert_eq!(recovery.state_snapshot.as_deref(), Some("state of first"));

    let recovery = recovered(&retained, recorded(), Some(&claim), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 3), (1, 7)]));

    // To before the first claim: nothing is in the table, so nothing comes before.
    let recovery = recovered(&retained, recorded(), None, Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 3), (1, 7)]));
    assert_eq!(recovery.newest, None);
    assert_eq!(recovery.state_snapshot.as_deref(), Some(EMPTY_STATE));
    assert_eq!(recovery.topic_ids, ids("A"));
}

#[test]
fn rewind_needs_only_what_was_rolled_back_or_only_what_was_not() {
    let [claim, first, second] = history();
    let expected = offsets(&[(0, 10), (1, 20)]);
    // The lineage is expired up to the newest marker, but what was cut off is retained.
    let recovery = recovered(&[first.clone(), second], recorded(), Some(&first), Rewind);
    assert_eq!(recovery.next, expected);
    // What was cut off is expired, but the lineage is there from its beginning.
    let recovery = recovered(&[claim, first.clone()], recorded(), Some(&first), Rewind);
    assert_eq!(recovery.next, expected);
}

#[test]
fn rewind_refuses_when_neither_is_there() {
    let [claim, first, second] = history();
    // What was cut off is expired, and the lineage has lost its beginning.
    let refusal = refused(std::slice::from_ref(&first), Some(&first), Rewind);
    assert!(matches!(refusal, Refusal::Forgotten { .. }), "{refusal}");
    let text = refusal.to_string();
    assert!(
        text.contains("(second)") && text.contains("(first)"),
        "{text}"
    );
    // Of two rolled-back commits the older one is expired, of the lineage only the newest is there.
    let refusal = refused(&[second], Some(&claim), Rewind);
    assert!(matches!(refusal, Refusal::Forgotten { .. }), "{refusal}");
    // Nothing at all was left in the lineage, and what was cut off is expired.
    let refusal = refused(&[], None, Rewind);
    assert!(matches!(refusal, Refusal::Forgotten { .. }), "{refusal}");
}

#[test]
fn a_partition_that_came_with_a_rolled_back_commit_goes_back_to_where_it_came() {
    let [claim, first, _] = history();
    let second = marker("second", Some("first"), &[(0, 10, 30), (2, 4, 9)]);
    let recorded = || Marker {
        next: offsets(&[(0, 30), (1, 20), (2, 9)]),
        ..recorded()
    };
    let recovery = recovered(&[first.clone(), second], recorded(), Some(&first), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 10), (1, 20), (2, 4)]));
    // From the lineage alone that can't be known: its beginning is asked for, so that a gap shows.
    let recovery = recovered(&[claim, first.clone()], recorded(), Some(&first), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 10), (1, 20), (2, 0)]));
}

#[test]
fn continue_goes_on_from_the_recorded_marker_and_says_what_it_leaves_out() {
    let [claim, first, second] = history();
    let retained = [claim.clone(), first.clone(), second];
    let recovery = recovered(&retained, recorded(), Some(&claim), Continue);
    assert_eq!(recovery.next, recorded().next);
    assert_eq!(recovery.left_out, ranges(&[(0, 3, 30), (1, 7, 20)]));
    assert_eq!(recovery.state_snapshot.as_deref(), Some("state of second"));
    assert_eq!(recovery.newest.map(|m| m.id), Some("claim".into()));

    let recovery = recovered(
        std::slice::from_ref(&first),
        recorded(),
        Some(&first),
        Continue,
    );
    assert_eq!(recovery.next, recorded().next);
    assert_eq!(recovery.left_out, Ranges::default(), "it can't be known");
}

#[test]
fn rewind_to_before_the_first_commit_is_back_at_the_empty_state() {
    let [mut claim, first, second] = history();
    claim.epoch = Epoch(0);
    let rewound = |claim: Marker, recorded: Marker| {
        let retained = [claim.clone(), first.clone(), second.clone()];
        recovered(&retained, recorded, Some(&claim), Rewind).state_snapshot
    };
    let of_claim = rewound(claim.clone(), recorded());
    assert_eq!(of_claim.as_deref(), Some("state of claim"));
    // A dataflow without state had claimed the pipeline, and written nothing.
    claim.state_snapshot = None;
    let before_all = rewound(claim.clone(), recorded());
    assert_eq!(before_all.as_deref(), Some(EMPTY_STATE));
    // A dataflow without state has none, wherever it is.
    let stateless = Marker {
        state_snapshot: None,
        ..recorded()
    };
    assert_eq!(rewound(claim, stateless), None);
}

#[test]
fn continue_refuses_where_no_state_knows_all_records() {
    let (retained, third, second) = back_and_forth();
    let start = recover(&retained, Box::new(third), Some(Box::new(second)), Continue);
    match start {
        Start::Refuse(refusal) => assert!(refusal.to_string().contains("no state"), "{refusal}"),
        start => panic!("{start:?}"),
    }
}

/// A rollback to the claim, a start that recovered from there and read up to 8, and then the rollback was
/// undone: the table holds everything up to 30 again. What is retained, what is recorded, what is newest.
fn back_and_forth() -> ([Marker; 5], Marker, Marker) {
    let [claim, first, second] = history();
    let again = Marker {
        generation: Generation(3),
        ..marker("again", Some("claim"), &[(0, 3, 3), (1, 7, 7)])
    };
    let third = Marker {
        generation: Generation(3),
        next: offsets(&[(0, 8), (1, 25)]),
        ..marker("third", Some("again"), &[(0, 3, 8), (1, 7, 25)])
    };
    let retained = [claim, first, second.clone(), again, third.clone()];
    (retained, third, second)
}

#[test]
fn continue_never_goes_back_behind_what_the_table_holds() {
    let (retained, third, second) = back_and_forth();
    let third = Marker {
        state_snapshot: None,
        ..third
    };
    let recovery = recovered(&retained, third.clone(), Some(&second), Continue);
    assert_eq!(recovery.next, offsets(&[(0, 30), (1, 25)]));
    assert_eq!(recovery.left_out, ranges(&[(1, 20, 25)]));

    // Of which nothing is known when the snapshots are gone.
    let refusal = match recover(
        std::slice::from_ref(&second),
        Box::new(third),
        Some(Box::new(second.clone())),
        Continue,
    ) {
        Start::Refuse(refusal) => refusal,
        start => panic!("{start:?}"),
    };
    assert!(matches!(refusal, Refusal::Forgotten { .. }), "{refusal:?}");
}

#[test]
fn a_gap_that_was_accepted_by_a_rolled_back_claim_is_before_us_again() {
    let [claim, first, _] = history();
    let mut takeover = marker("takeover", Some("first"), &[(0, 15, 15)]);
    takeover.gaps = ranges(&[(0, 10, 15)]);
    let recorded = Marker {
        next: offsets(&[(0, 15), (1, 20)]),
        ..takeover.clone()
    };
    let retained = [claim, first.clone(), takeover];
    let recovery = recovered(&retained, recorded, Some(&first), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 10), (1, 20)]));
}

#[test]
fn offsets_of_a_topic_that_was_made_anew_are_those_of_the_first_again() {
    let [claim, first, _] = history();
    let mut restart = marker("restart", Some("first"), &[(0, 0, 0)]);
    restart.topic_ids = ids("B");
    let mut second = marker("second", Some("restart"), &[(0, 0, 12)]);
    second.topic_ids = ids("B");
    // The new topic has one partition.
    let recorded = || Marker {
        next: offsets(&[(0, 12)]),
        topic_ids: ids("B"),
        ..recorded()
    };
    let retained = [
        claim.clone(),
        first.clone(),
        restart.clone(),
        second.clone(),
    ];
    // Behind the restart: within the new topic.
    let recovery = recovered(&retained, recorded(), Some(&restart), Rewind);
    assert_eq!(
        (recovery.next, recovery.topic_ids),
        (offsets(&[(0, 0)]), ids("B"))
    );
    // Before it: the start finds another id than the table's and asks its policy.
    let recovery = recovered(&retained, recorded(), Some(&first), Rewind);
    assert_eq!(recovery.topic_ids, ids("A"));
    // Offsets of two topics make no range.
    let recovery = recovered(&retained, recorded(), Some(&first), Continue);
    assert_eq!(recovery.left_out, Ranges::default());
    assert_eq!(recovery.topic_ids, ids("B"));
    // Forwards: what the first topic's partitions had reached does not count for the second.
    let recorded = Marker {
        id: "third".into(),
        next: offsets(&[(0, 50)]),
        ..recorded()
    };
    let recovery = recovered(&retained, recorded, Some(&second), Rewind);
    assert_eq!(recovery.next, offsets(&[(0, 12)]));
}

#[test]
fn a_circle_of_parents_is_no_history() {
    let one = marker("one", Some("two"), &[]);
    let two = marker("two", Some("one"), &[]);
    assert!(matches!(
        refused(&[one.clone(), two], Some(&one), Rewind),
        Refusal::Forgotten { .. }
    ));
}

#[test]
fn a_rollback_that_was_taken_back_is_told_from_a_rollback() {
    let ranked = |id: &str, parent: Option<&str>, generation, epoch| Marker {
        generation: Generation(generation),
        epoch: Epoch(epoch),
        ..marker(id, parent, &[])
    };
    // n ◀── r was cut off; n ◀── claim went on from that.
    let n = ranked("n", None, 1, 1);
    let r = ranked("r", Some("n"), 1, 2);
    let claim = ranked("claim", Some("n"), 2, 2);
    let all = [n.clone(), r.clone(), claim.clone()];
    assert!(!is_undone(&all, &r, Some(&n)), "a rollback");
    assert!(!is_undone(&all, &claim, Some(&n)), "another one");
    assert!(!is_undone(&all, &r, None), "to before the first marker");
    assert!(
        is_undone(&all, &claim, Some(&r)),
        "the first one was taken back"
    );
    let halted = recover(
        &all,
        Box::new(claim.clone()),
        Some(Box::new(r.clone())),
        Halt,
    );
    let Start::Refuse(refusal) = halted else {
        panic!("{halted:?}");
    };
    assert!(refusal.to_string().contains("taken back"), "{refusal}");
    // Of what is not retained nothing is said.
    assert!(!is_undone(
        std::slice::from_ref(&r),
        &ranked("x", Some("y"), 3, 3),
        Some(&r)
    ));
}
