use std::collections::BTreeMap;

use super::*;
use crate::offsets::Watermarks;

/// Topic `t`: partition 0 holds 10 to 99, partition 1 nothing yet.
fn topics() -> BTreeMap<String, Topic> {
    let marks = |low, high| Watermarks { low, high };
    let partitions = BTreeMap::from([(0, marks(10, 100)), (1, marks(0, 0))]);
    let id = Some("id".to_owned());
    BTreeMap::from([("t".to_owned(), Topic { id, partitions })])
}

fn given(offsets: &[(i32, i64)]) -> Offsets {
    let mut given = Offsets::new();
    for &(partition, next) in offsets {
        given.set("t", partition, NextOffset(next));
    }
    given
}

fn nexts(offsets: &[(i32, i64)], missing: Option<OffsetReset>) -> Result<Vec<(i64, bool)>> {
    let plan = plan(&given(offsets), &topics(), missing)?;
    Ok(plan.iter().map(|p| (p.next.0, p.given)).collect())
}

#[test]
fn offsets_within_the_partitions_are_taken_as_they_are() {
    for (first, second) in [(10, 0), (55, 0), (100, 0)] {
        let nexts = nexts(&[(0, first), (1, second)], None).unwrap();
        assert_eq!(nexts, [(first, true), (second, true)]);
    }
}

#[test]
fn offsets_outside_of_them_are_refused_with_the_range() {
    for (offset, partition, range) in [(9, 0, "10 to 100"), (101, 0, "10 to 100"), (1, 1, "0 to 0")]
    {
        let mut offsets = vec![(0, 50), (1, 0)];
        offsets[usize::try_from(partition).unwrap()].1 = offset;
        let error = nexts(&offsets, Some(OffsetReset::Earliest))
            .unwrap_err()
            .to_string();
        let expected =
            format!("t[{partition}] holds offsets {range}, the next one to read can't be {offset}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_partition_that_is_not_mentioned_is_refused_unless_it_is_said_where_it_begins() {
    let error = nexts(&[(1, 0)], None).unwrap_err().to_string();
    assert!(error.contains("no offset is given for t[0]"), "{error}");
    assert!(error.contains("--missing earliest"), "{error}");
    let earliest = nexts(&[(1, 0)], Some(OffsetReset::Earliest)).unwrap();
    assert_eq!(earliest, [(10, false), (0, true)]);
    let latest = nexts(&[(1, 0)], Some(OffsetReset::Latest)).unwrap();
    assert_eq!(latest, [(100, false), (0, true)]);
}

#[test]
fn an_offset_of_a_partition_that_is_not_there_is_refused() {
    let error = nexts(&[(0, 10), (1, 0), (2, 5)], None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("t[2] is not there"), "{error}");
    let mut other = given(&[(0, 10), (1, 0)]);
    other.set("u", 0, NextOffset(1));
    let error = plan(&other, &topics(), None).unwrap_err().to_string();
    assert!(error.contains("u[0] is not there"), "{error}");
}

#[test]
fn no_offsets_at_all_are_a_mistake_whatever_is_said_of_missing_ones() {
    let error = nexts(&[], Some(OffsetReset::Earliest)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there are no offsets to begin at"),
        "{error}"
    );
}

#[test]
fn the_claim_gets_every_partition_and_the_topics_ids() {
    let plan = plan(&given(&[(0, 42), (1, 0)]), &topics(), None).unwrap();
    let beginning = beginning(&plan, &topics());
    assert_eq!(beginning.next, given(&[(0, 42), (1, 0)]));
    assert_eq!(beginning.topic_ids["t"], "id");
    assert!(beginning.gaps.is_empty() && beginning.recreated.is_empty());
}
