use super::*;
use crate::checkpoint::marker::{Marker, MarkerId};

fn carried(epoch: u64, state: Option<&str>) -> Carried {
    Carried::from(&Marker {
        id: MarkerId::from("m"),
        epoch: Epoch(epoch),
        state_snapshot: state.map(str::to_owned),
        ..Marker::default()
    })
}

fn begin_with(carried: Option<Carried>, keeps_state: bool) -> Result<Option<String>, String> {
    let begun = begin(carried.as_ref(), "dedup", keeps_state);
    begun.map_err(|error| error.to_string())
}

#[test]
fn a_pipeline_that_has_committed_nothing_begins_with_the_empty_state_or_none() {
    let empty = Ok(Some(EMPTY_STATE.to_owned()));
    for nothing in [
        None,
        Some(carried(0, None)),
        Some(carried(0, Some(EMPTY_STATE))),
    ] {
        assert_eq!(begin_with(nothing.clone(), true), empty);
        assert_eq!(begin_with(nothing, false), Ok(None));
    }
    // After a rollback to before everything epochs go on, and so does the empty state.
    assert_eq!(begin_with(Some(carried(7, Some(EMPTY_STATE))), true), empty);
    assert_eq!(
        begin_with(Some(carried(7, Some(EMPTY_STATE))), false),
        Ok(None)
    );
}

#[test]
fn a_run_goes_on_with_the_state_of_its_marker() {
    let snapshot = Some("s".to_owned());
    assert_eq!(begin_with(Some(carried(7, Some("s"))), true), Ok(snapshot));
    assert_eq!(begin_with(Some(carried(7, None)), false), Ok(None));
}

#[test]
fn a_dataflow_with_state_and_one_without_can_not_follow_each_other() {
    let error = begin_with(Some(carried(7, None)), true).unwrap_err();
    assert!(
        error.contains("dataflow dedup keeps state, and this pipeline has none"),
        "{error}"
    );
    let error = begin_with(Some(carried(7, Some("s"))), false).unwrap_err();
    assert!(
        error.contains("keeps no state, and the table's marker names one: s"),
        "{error}"
    );
}

fn report(operator: &str, worker: usize) -> Report {
    Report {
        operator: operator.to_owned(),
        worker,
        epoch: Epoch(7),
        part: Ok(Part(format!("{operator}-{worker}"))),
    }
}

#[test]
fn a_snapshot_needs_a_part_of_every_worker_of_every_operator_once() {
    let all = [("a", 0), ("b", 1), ("b", 0), ("a", 1)].map(|(name, worker)| report(name, worker));
    let of = |reports: &[Report]| parts(reports, Epoch(7), &["a", "b"], 2);
    let found = of(&all).unwrap().unwrap();
    assert_eq!(found.len(), 4);
    assert!(of(&all[..3]).is_err(), "one has not spoken");
    let mut twice = all.to_vec();
    twice[3] = report("a", 0);
    assert!(of(&twice).is_err(), "one has spoken twice");
    let mut late = all.to_vec();
    late[1].epoch = Epoch(6);
    assert!(of(&late).is_err(), "one has spoken of another epoch");
    assert!(parts(&all, Epoch(7), &["a"], 2).is_err(), "nobody knows b");

    let mut failed = all.to_vec();
    failed[2].part = Err("the disk is full".into());
    assert_eq!(of(&failed).unwrap(), Err("the disk is full".to_owned()));
}
