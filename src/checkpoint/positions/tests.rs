//! The outcome table of `begin`, row by row.

use super::*;
use crate::error::Kind;

const LENIENT: Policies = Policies {
    reset: OffsetReset::Earliest,
    on_gap: OnGap::Earliest,
    on_topic_recreated: OnTopicRecreated::Restart,
};
const STRICT: Policies = Policies {
    reset: OffsetReset::Earliest,
    on_gap: OnGap::Halt,
    on_topic_recreated: OnTopicRecreated::Halt,
};

/// Topic `t` with the id `id` and one partition from 100 to 200.
fn kafka(id: Option<&str>) -> BTreeMap<String, Topic> {
    let marks = Watermarks {
        low: 100,
        high: 200,
    };
    let topic = Topic {
        id: id.map(str::to_owned),
        partitions: BTreeMap::from([(0, marks)]),
    };
    BTreeMap::from([("t".to_owned(), topic)])
}

fn offsets(entries: &[(i32, i64)]) -> Offsets {
    let mut offsets = Offsets::new();
    for &(partition, next) in entries {
        offsets.set("t", partition, NextOffset(next));
    }
    offsets
}

fn carried(id: Option<&str>, next: &[(i32, i64)]) -> Carried {
    Carried {
        generation: Generation(1),
        epoch: Epoch(1),
        parent: None,
        next: offsets(next),
        known: offsets(next),
        topic_ids: id.map(|id| ("t".into(), id.into())).into_iter().collect(),
        cluster_id: None,
        gaps: Ranges::default(),
        gaps_unknown: false,
        state_snapshot: None,
    }
}

/// Where partition 0 begins, or the error.
fn decide(
    carried: Option<Carried>,
    id: Option<&str>,
    policies: Policies,
) -> Result<(i64, Beginning)> {
    let beginning = begin(carried.as_ref(), &kafka(id), policies)?;
    let next = beginning.next.get("t", 0).expect("every partition begins");
    Ok((next.0, beginning))
}

#[test]
fn the_first_start_begins_where_it_is_told() {
    assert_eq!(decide(None, Some("A"), STRICT).unwrap().0, 100);
    let latest = Policies {
        reset: OffsetReset::Latest,
        ..STRICT
    };
    let (next, beginning) = decide(None, Some("A"), latest).unwrap();
    assert_eq!(next, 200);
    assert_eq!(beginning.topic_ids["t"], "A");
    // Later starts do not ask.
    let resumed = decide(Some(carried(Some("A"), &[(0, 150)])), Some("A"), latest);
    assert_eq!(resumed.unwrap().0, 150);
    // A partition that is new is read from its beginning.
    let joined = decide(Some(carried(Some("A"), &[])), Some("A"), latest);
    assert_eq!(joined.unwrap().0, 100);
}

#[test]
fn an_offset_within_the_topic_is_resumed_from_whatever_the_policies() {
    for policies in [STRICT, LENIENT] {
        for next in [100, 150, 200] {
            for (recorded, found) in [(Some("A"), Some("A")), (None, Some("A")), (Some("A"), None)]
            {
                let carried = carried(recorded, &[(0, next)]);
                let (resumed, beginning) = decide(Some(carried), found, policies).unwrap();
                assert_eq!(resumed, next);
                assert!(beginning.recreated.is_empty() && beginning.skipped.is_empty());
            }
        }
    }
}

#[test]
fn a_gap_follows_its_policy() {
    let at_90 = || Some(carried(Some("A"), &[(0, 90)]));
    let with = |on_gap| Policies { on_gap, ..STRICT };
    let error = decide(at_90(), Some("A"), STRICT).unwrap_err();
    assert_eq!(error.kind(), Kind::Diverged);
    let text = error.to_string();
    for part in ["t[0]", "90", "100", "10 offsets", "--set on-gap=earliest"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let skipped = |to| {
        let mut ranges = Ranges::default();
        ranges.insert("t", 0, (NextOffset(90), NextOffset(to)));
        ranges
    };
    let cases = [
        (OnGap::Earliest, 100, Ranges::default()),
        (OnGap::Latest, 200, Ranges::default()),
        (OnGap::RecordGap, 100, skipped(100)),
    ];
    for (policy, expected, gaps) in cases {
        let (next, beginning) = decide(at_90(), Some("A"), with(policy)).unwrap();
        assert_eq!((next, beginning.gaps), (expected, gaps), "{policy:?}");
        assert_eq!(beginning.skipped, skipped(expected), "{policy:?}");
    }
}

#[test]
fn an_offset_behind_the_end_is_refused_whatever_the_policies() {
    for (recorded, found) in [(Some("A"), Some("A")), (None, None)] {
        let error = decide(Some(carried(recorded, &[(0, 201)])), found, LENIENT).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("201") && text.contains("ends at 200"),
            "{text}"
        );
    }
}

#[test]
fn a_partition_that_is_not_there_any_more_is_refused_whatever_the_policies() {
    let carried = carried(Some("A"), &[(0, 150), (1, 7)]);
    let error = decide(Some(carried), Some("A"), LENIENT).unwrap_err();
    assert!(
        error.to_string().contains("t[1] (next offset 7)"),
        "{error}"
    );
}

#[test]
fn a_topic_that_was_made_anew_follows_its_policy_whatever_its_offsets() {
    // Before, within and behind the new topic; and with a partition that it does not have.
    for next in [
        &[(0, 90)][..],
        &[(0, 150)],
        &[(0, 500)],
        &[(0, 150), (1, 7)],
    ] {
        let error = decide(Some(carried(Some("A"), next)), Some("B"), STRICT).unwrap_err();
        assert_eq!(error.kind(), Kind::Diverged);
        let text = error.to_string();
        for part in ["id A", "is B", "--set on-topic-recreated=restart"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let restart = Policies {
            on_gap: OnGap::Halt,
            ..LENIENT
        };
        let (first, beginning) =
            decide(Some(carried(Some("A"), next)), Some("B"), restart).unwrap();
        assert_eq!(first, 100);
        assert_eq!(beginning.recreated, ["t"]);
        assert_eq!(beginning.topic_ids["t"], "B");
        assert!(beginning.skipped.is_empty());
    }
}

#[test]
fn a_running_process_may_be_started_again_if_a_policy_can_help_it() {
    assert!(!STRICT.bear_lost_offsets() && !STRICT.bear_recreation());
    assert!(LENIENT.bear_lost_offsets() && LENIENT.bear_recreation());
    let gaps_only = Policies {
        on_gap: OnGap::RecordGap,
        ..STRICT
    };
    assert!(gaps_only.bear_lost_offsets() && !gaps_only.bear_recreation());
}
