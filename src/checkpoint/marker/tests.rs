use super::*;

fn offsets(entries: &[(i32, i64)]) -> Offsets {
    let mut offsets = Offsets::new();
    for (partition, next) in entries {
        offsets.set("t", *partition, NextOffset(*next));
    }
    offsets
}

fn marker() -> Marker {
    let next = offsets(&[(0, 9), (1, 4)]);
    Marker {
        version: VERSION,
        id: MarkerId::from("m"),
        pipeline: "p".into(),
        table_uuid: "u".into(),
        generation: Generation(2),
        epoch: Epoch(7),
        parent: Some(MarkerId::from("l")),
        moved: Ranges::between(&offsets(&[(0, 5), (1, 4)]), &next, &Offsets::new()).unwrap(),
        next,
        gaps: Ranges::default(),
        gaps_unknown: false,
        topic_ids: BTreeMap::new(),
        cluster_id: Some("c".into()),
        state_snapshot: None,
        rows: 4,
        files: 1,
        files_digest: "d".into(),
        base_sequence: 3,
        committed_at_ms: 1,
        calve_version: "0".into(),
    }
}

fn ranges(from: &[(i32, i64)], to: &[(i32, i64)], joined: &[(i32, i64)]) -> Vec<(i32, i64, i64)> {
    Ranges::between(&offsets(from), &offsets(to), &offsets(joined))
        .unwrap()
        .iter()
        .map(|(_, partition, start, end)| (partition, start.0, end.0))
        .collect()
}

#[test]
fn ranges_hold_only_the_partitions_that_moved() {
    assert_eq!(
        ranges(&[(0, 5), (1, 4)], &[(0, 9), (1, 4)], &[]),
        [(0, 5, 9)]
    );
    assert_eq!(ranges(&[(0, 5), (1, 4)], &[(0, 9)], &[]), [(0, 5, 9)]);
}

#[test]
fn a_new_partition_starts_where_it_joined_or_at_zero() {
    assert_eq!(ranges(&[], &[(2, 9)], &[(2, 3)]), [(2, 3, 9)]);
    assert_eq!(ranges(&[], &[(2, 9)], &[]), [(2, 0, 9)]);
    // Where it joined is written down even before it moves: the audit needs the beginning.
    assert_eq!(ranges(&[], &[(2, 3)], &[(2, 3)]), [(2, 3, 3)]);
}

#[test]
fn a_cut_that_moves_backwards_is_refused() {
    let error = Ranges::between(&offsets(&[(0, 5)]), &offsets(&[(0, 4)]), &Offsets::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("t[0]") && error.contains("from 5 to 4"),
        "{error}"
    );
}

#[test]
fn each_place_carries_its_own_half_and_both_carry_the_identity() {
    let marker = marker();
    let summary = Marker::parse(&marker.to_summary().unwrap(), "test").unwrap();
    let property = Marker::parse(&marker.to_property().unwrap(), "test").unwrap();
    assert!(summary.next.is_empty() && summary.moved == marker.moved);
    assert!(property.moved.is_empty() && property.next == marker.next);
    assert_eq!(summary.id, property.id);
    assert_eq!(summary.rank(), property.rank());
}

#[test]
fn the_summary_writes_ranges_as_start_and_end() {
    let json = marker().to_summary().unwrap();
    assert!(json.contains(r#""moved":{"t":{"0":[5,9]}}"#), "{json}");
    assert!(
        !json.contains("state-snapshot"),
        "absent fields take no room: {json}"
    );
}

#[test]
fn unknown_fields_are_tolerated_and_a_newer_version_is_refused() {
    let json = marker().to_property().unwrap();
    let extended = json.replacen('{', r#"{"colour":{"t":"x"},"#, 1);
    assert!(Marker::parse(&extended, "test").is_ok());

    let newer = json.replacen(r#""version":1"#, r#""version":2"#, 1);
    let error = Marker::parse(&newer, "property x").unwrap_err().to_string();
    assert!(
        error.contains("property x") && error.contains("newer calve"),
        "{error}"
    );
}

#[test]
fn a_newer_version_is_named_even_if_its_fields_have_changed() {
    let error = Marker::parse(r#"{"version":9,"id":{"not":"a string"}}"#, "x")
        .unwrap_err()
        .to_string();
    assert!(error.contains("format 9"), "{error}");
}

#[test]
fn the_epoch_alone_is_read_from_both_places_and_from_no_newer_version() {
    let marker = marker();
    for json in [marker.to_summary().unwrap(), marker.to_property().unwrap()] {
        assert_eq!(Marker::epoch_in(&json), Some(marker.epoch));
        let newer = json.replacen(r#""version":1"#, r#""version":2"#, 1);
        assert_eq!(Marker::epoch_in(&newer), None);
    }
    assert_eq!(Marker::epoch_in("{"), None);
}

#[test]
fn a_damaged_marker_names_its_place() {
    let error = Marker::parse("{", "property x").unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Diverged);
    assert!(error.to_string().contains("property x"), "{error}");
}

/// The figures of `docs/scaling.md`: what an offset costs in the metadata, where a marker is a string in a JSON document.
#[test]
fn a_marker_of_ten_thousand_partitions_is_as_large_as_docs_scaling_says() {
    let at = |next: i64| (0..10_000).map(move |partition| (partition, next));
    let before = offsets(&at(1_234_567_890).collect::<Vec<_>>());
    let after = offsets(&at(1_234_599_999).collect::<Vec<_>>());
    let marker = Marker {
        moved: Ranges::between(&before, &after, &Offsets::new()).unwrap(),
        next: after,
        ..marker()
    };
    let stored = |text: String| serde_json::to_string(&text).unwrap().len();
    let property = stored(marker.to_property().unwrap());
    let summary = stored(marker.to_summary().unwrap());
    assert_eq!((property / 1_000, summary / 1_000), (199, 329));
}
