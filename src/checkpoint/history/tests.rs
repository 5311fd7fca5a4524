use super::*;
use crate::checkpoint::decisions::decide_start;
use crate::checkpoint::decisions::{Refusal, Start};
use crate::checkpoint::marker::{MarkerId, Ranges};
use crate::config::OnRollback;
use crate::offsets::{NextOffset, Offsets};
use crate::time::{Epoch, Generation};

/// Snapshots by id: parent, sequence number, marker. `main` is the last one.
struct Past(Vec<(i64, Option<i64>, i64, Option<Marker>)>);

impl Past {
    fn find(&self, id: i64) -> Option<&(i64, Option<i64>, i64, Option<Marker>)> {
        self.0.iter().find(|snapshot| snapshot.0 == id)
    }
}

impl History for Past {
    fn current(&self) -> Option<i64> {
        self.0.last().map(|snapshot| snapshot.0)
    }

    fn retained(&self) -> impl Iterator<Item = i64> {
        self.0.iter().map(|snapshot| snapshot.0)
    }

    fn retains(&self, snapshot: i64) -> bool {
        self.find(snapshot).is_some()
    }

    fn parent(&self, snapshot: i64) -> Option<i64> {
        self.find(snapshot)?.1
    }

    fn sequence(&self, snapshot: i64) -> i64 {
        self.find(snapshot).map_or(0, |snapshot| snapshot.2)
    }

    fn marker(&self, snapshot: i64) -> Result<Option<Marker>> {
        Ok(self.find(snapshot).and_then(|snapshot| snapshot.3.clone()))
    }
}

/// The marker of the only commit, made when the table's last sequence number was 1.
fn marker() -> Marker {
    let mut next = Offsets::new();
    next.set("t", 0, NextOffset(100));
    let mut moved = Ranges::default();
    moved.insert("t", 0, (NextOffset(0), NextOffset(100)));
    Marker {
        id: MarkerId::from("m"),
        pipeline: "p".into(),
        table_uuid: "u".into(),
        generation: Generation(1),
        epoch: Epoch(1),
        next,
        moved,
        base_sequence: 1,
        ..Marker::default()
    }
}

/// What a start decides if `main` is `head`, beside the pipeline's own snapshots.
fn start_at(head: (i64, Option<i64>, i64, Option<Marker>), policy: OnRollback) -> Start {
    let first = (1, None, 1, None);
    let ours = (2, Some(1), 2, Some(marker()));
    let mut snapshots = vec![first, ours];
    snapshots.retain(|snapshot| snapshot.0 != head.0);
    snapshots.push(head);
    let observed = observe("u".into(), Some(marker()), &Past(snapshots)).unwrap();
    decide_start(&observed, policy)
}

#[test]
fn a_table_that_was_rolled_back_to_before_the_pipeline_is_read_again_from_its_beginning() {
    let start = start_at((1, None, 1, None), OnRollback::Rewind);
    let Start::Recover(recovery) = start else {
        panic!("{start:?}");
    };
    assert_eq!(recovery.next.get("t", 0), Some(NextOffset(0)));
}

#[test]
fn no_policy_goes_on_in_a_table_that_was_replaced_by_one_made_of_its_own_rows() {
    for policy in [OnRollback::Rewind, OnRollback::Continue] {
        let start = start_at((3, None, 3, None), policy);
        assert!(
            matches!(start, Start::Refuse(Refusal::Forgotten { .. })),
            "{policy:?}: {start:?}"
        );
    }
}
