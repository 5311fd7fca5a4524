use std::collections::BTreeMap;

use super::*;
use crate::checkpoint::decisions::Refusal;
use crate::checkpoint::marker::{MarkerId, Ranges};
use crate::checkpoint::rollback::Recovery;
use crate::error::Kind;
use crate::offsets::NextOffset;

const TABLE: &str = "uuid-1";

fn offsets(list: &[(i32, i64)]) -> Offsets {
    let mut offsets = Offsets::new();
    for &(partition, next) in list {
        offsets.set("t", partition, NextOffset(next));
    }
    offsets
}

fn marker(id: &str, generation: u64, epoch: u64, next: &[(i32, i64)]) -> Marker {
    Marker {
        id: MarkerId::from(id),
        pipeline: "p".to_owned(),
        table_uuid: TABLE.to_owned(),
        generation: Generation(generation),
        epoch: Epoch(epoch),
        next: offsets(next),
        topic_ids: BTreeMap::from([("t".to_owned(), "topic-id".to_owned())]),
        cluster_id: Some("cluster".to_owned()),
        ..Marker::default()
    }
}

fn savepoint() -> Savepoint {
    Savepoint {
        version: VERSION,
        calve_version: "0".to_owned(),
        created_at_ms: 0,
        table: "db.t".to_owned(),
        snapshot_id: Some(17),
        marker: marker("s", 2, 5, &[(0, 100), (1, 50)]),
        state: None,
    }
}

fn on(uuid: &str) -> Target<'_> {
    Target {
        name: "db.t",
        uuid,
        pipeline: "p",
    }
}

fn resume(marker: Marker) -> Start {
    Start::Resume(Box::new(marker))
}

fn recover(
    policy: OnRollback,
    newest: Option<Marker>,
    next: &[(i32, i64)],
    left_out: Ranges,
) -> Start {
    Start::Recover(Box::new(Recovery {
        policy,
        recorded: marker("r", 3, 9, &[(0, 300), (1, 80)]),
        newest,
        next: offsets(next),
        topic_ids: BTreeMap::new(),
        left_out,
        left_out_unknown: false,
        state_snapshot: None,
    }))
}

#[track_caller]
fn refused(start: &Start, uuid: &str, why: &str, remedy: &str) {
    let error = decide(&savepoint(), start, on(uuid)).expect_err("it is refused");
    assert_eq!(error.kind(), Kind::Diverged);
    let error = error.to_string();
    assert!(error.contains(why), "{why:?} in {error}");
    assert!(error.contains(remedy), "{remedy:?} in {error}");
}

#[test]
fn a_table_that_knows_nothing_of_the_pipeline_begins_at_the_savepoints_offsets() {
    let carried = decide(&savepoint(), &Start::Fresh, on("uuid-2")).unwrap();
    assert_eq!(carried.next, offsets(&[(0, 100), (1, 50)]));
    // The claim must mention all of them, follows nobody and begins the count of generations anew.
    assert!(carried.known.is_empty() && carried.parent.is_none());
    assert_eq!(carried.generation, Generation::default());
    assert_eq!(carried.epoch, Epoch::default());
    // What tells another topic or another cluster from the savepoint's comes along.
    assert_eq!(carried.cluster_id.as_deref(), Some("cluster"));
    assert_eq!(carried.topic_ids["t"], "topic-id");
}

#[test]
fn under_another_name_the_savepoints_own_table_is_refused() {
    refused(
        &Start::Fresh,
        TABLE,
        "written by pipeline p",
        "set pipeline.name",
    );
}

#[test]
fn another_table_with_a_place_of_its_own_is_refused() {
    let start = resume(marker("s", 2, 5, &[(0, 100), (1, 50)]));
    refused(&start, "uuid-2", "not the savepoint's table", "table.name");
}

#[test]
fn at_the_savepoints_marker_it_is_a_plain_resume() {
    let start = resume(savepoint().marker);
    let carried = decide(&savepoint(), &start, on(TABLE)).unwrap();
    assert_eq!(Some(carried), start.carried());
}

#[test]
fn at_a_claim_that_followed_the_savepoint_it_is_a_plain_resume_too() {
    let start = resume(marker("claim", 3, 5, &[(0, 100), (1, 50), (2, 0)]));
    let carried = decide(&savepoint(), &start, on(TABLE)).unwrap();
    assert_eq!(Some(carried), start.carried());
}

#[test]
fn a_table_that_is_ahead_is_refused_with_the_snapshot_to_roll_back_to() {
    let start = resume(marker("m", 2, 6, &[(0, 101), (1, 50)]));
    refused(&start, TABLE, "would be there twice", "snapshot 17");
    refused(&start, TABLE, "would be there twice", "on-rollback=rewind");
}

#[test]
fn a_table_that_is_behind_is_refused() {
    let behind = resume(marker("m", 2, 4, &[(0, 100), (1, 49)]));
    refused(&behind, TABLE, "would be missing", "without --from");
    let unknown = resume(marker("m", 2, 4, &[(0, 100)]));
    refused(&unknown, TABLE, "would be missing", "without --from");
}

#[test]
fn a_table_that_was_rolled_back_to_the_savepoint_goes_on_from_there() {
    let start = recover(
        OnRollback::Rewind,
        Some(savepoint().marker),
        &[(0, 100), (1, 50)],
        Ranges::default(),
    );
    let carried = decide(&savepoint(), &start, on(TABLE)).unwrap();
    assert_eq!(Some(carried.clone()), start.carried());
    assert_eq!(carried.next, offsets(&[(0, 100), (1, 50)]));
    assert_eq!(carried.generation, Generation(3), "everybody is fenced");
}

#[test]
fn a_table_that_was_rolled_back_to_another_place_is_refused() {
    let elsewhere = marker("m", 2, 4, &[(0, 90), (1, 50)]);
    let rewind = OnRollback::Rewind;
    let start = recover(
        rewind,
        Some(elsewhere),
        &[(0, 90), (1, 50)],
        Ranges::default(),
    );
    refused(&start, TABLE, "rolled back from", "snapshot 17");
    let start = recover(rewind, None, &[(0, 0), (1, 0)], Ranges::default());
    refused(&start, TABLE, "rolled back from", "snapshot 17");
}

#[test]
fn leaving_the_rolled_back_rows_out_is_no_start_from_the_savepoint() {
    let mut left_out = Ranges::default();
    left_out.insert("t", 0, (NextOffset(100), NextOffset(300)));
    let start = recover(
        OnRollback::Continue,
        Some(savepoint().marker),
        &[(0, 300), (1, 80)],
        left_out,
    );
    refused(&start, TABLE, "would not read on", "on-rollback=rewind");
    // The same, where what is left out could not be known.
    let start = recover(
        OnRollback::Continue,
        Some(savepoint().marker),
        &[(0, 300), (1, 80)],
        Ranges::default(),
    );
    refused(&start, TABLE, "would not read on", "on-rollback=rewind");
    // The savepoint is the very marker whose rows are gone.
    let start = recover(
        OnRollback::Continue,
        Some(marker("m", 2, 4, &[(0, 90), (1, 50)])),
        &[(0, 100), (1, 50)],
        Ranges::default(),
    );
    refused(&start, TABLE, "would not read on", "on-rollback=rewind");
}

#[test]
fn a_table_that_must_not_be_touched_is_refused_with_its_own_reason() {
    let start = Start::Refuse(Refusal::Replaced {
        expected: "a".to_owned(),
        found: "b".to_owned(),
    });
    refused(&start, TABLE, "the table was replaced", "");
}

#[test]
fn a_savepoint_is_read_as_it_was_written_and_a_torn_or_newer_one_is_refused() {
    let json = savepoint().to_json().unwrap();
    assert_eq!(Savepoint::parse(&json, "here").unwrap(), savepoint());
    let torn = Savepoint::parse(&json[..json.len() / 2], "here").unwrap_err();
    assert!(
        torn.to_string()
            .contains("the savepoint here can't be read")
    );
    let newer = br#"{"version": 3, "marker": "something else"}"#;
    let newer = Savepoint::parse(newer, "here").unwrap_err().to_string();
    assert!(newer.contains("has format 3"), "{newer}");
}

#[test]
fn no_byte_of_what_a_savepoint_says_changes_unnoticed() {
    let with_state = Savepoint {
        state: Some("state".to_owned()),
        ..savepoint()
    };
    let json = with_state.to_json().unwrap();
    for at in 0..json.len() {
        let mut changed = json.clone();
        changed[at] ^= 1;
        let found = Savepoint::parse(&changed, "here");
        assert!(
            found.is_err() || found.is_ok_and(|found| found == with_state),
            "byte {at}"
        );
    }
}

#[test]
fn a_savepoint_of_the_first_format_is_read() {
    let old = Savepoint {
        version: 1,
        ..savepoint()
    };
    let json = serde_json::to_vec_pretty(&old).unwrap();
    assert_eq!(Savepoint::parse(&json, "here").unwrap(), old);
}

#[test]
fn the_state_is_the_savepoints_where_its_offsets_are_carried_forward() {
    let of = |named: Option<&str>, copy: Option<&str>| {
        let mut savepoint = savepoint();
        savepoint.marker.state_snapshot = named.map(str::to_owned);
        savepoint.state = copy.map(str::to_owned);
        savepoint
    };
    let decide = |savepoint: &Savepoint, next: &[(i32, i64)], keeps_state| {
        let carried = Carried::from(&marker("m", 3, 6, next));
        let copy = savepoint.state_copy(&carried, "dedup", keeps_state);
        copy.map(|copy| copy.map(str::to_owned))
            .map_err(|error| error.says())
    };
    let here = [(0, 100), (1, 50)];
    let joined = [(0, 100), (1, 50), (2, 7)];
    let whole = of(Some("g2-e5"), Some("state"));
    assert_eq!(decide(&whole, &here, true), Ok(Some("state".to_owned())));
    assert_eq!(decide(&whole, &joined, true), Ok(None));
    let refused = decide(&whole, &here, false).unwrap_err();
    assert!(refused.contains("keeps no state"), "{refused}");
    for keeps_state in [true, false] {
        let empty = of(Some(EMPTY_STATE), None);
        assert_eq!(decide(&empty, &here, keeps_state), Ok(None));
    }
    assert_eq!(decide(&of(None, None), &here, false), Ok(None));
    let refused = decide(&of(None, None), &here, true).unwrap_err();
    assert!(refused.contains("without state"), "{refused}");
    let refused = decide(&of(Some("g2-e5"), None), &here, true).unwrap_err();
    assert!(refused.contains("no copy"), "{refused}");
}
