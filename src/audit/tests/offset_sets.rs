use std::collections::BTreeMap;
use std::ops::Range;

use super::*;

#[test]
fn a_set_counts_and_lists_its_runs() {
    let set = OffsetSet::of([3..5, 9..10, 5..7]);
    assert_eq!(set.runs().collect::<Vec<_>>(), [3..7, 9..10]);
    assert_eq!((set.len(), set.first(), set.last()), (5, Some(3), Some(9)));
    assert_eq!(set.common(&OffsetSet::from(4..10)), 4);
    assert!(set.contains(9) && !set.contains(7) && !set.contains(-1));
    let rest = set.without(&OffsetSet::from(4..9));
    assert_eq!(rest.runs().collect::<Vec<_>>(), [3..4, 9..10]);
    let backwards = Range { start: 7, end: 2 };
    assert!(OffsetSet::of([5..5, backwards, -9..-3]).is_empty());
}

#[test]
fn a_hundred_million_offsets_take_little_memory_even_with_a_hole_after_each() {
    // One bit an offset of the span: containers of 65,536 offsets in 8 kB each.
    let mut tally = Tally::default();
    for offset in (0..2_000_000).step_by(2) {
        tally.add(offset..offset + 1);
    }
    let spans = 2_000_000_u64.div_ceil(65_536);
    let bytes = tally.present.serialized_bytes();
    assert!(bytes < spans * 8_200 + 1_000, "{bytes}");
    assert_eq!((tally.rows, tally.present.len()), (1_000_000, 1_000_000));
}

#[test]
fn a_tally_agrees_with_counting_one_by_one() {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..300 {
        let mut counts = BTreeMap::<i64, u64>::new();
        let mut whole = Tally::default();
        for _ in 0..random(6) {
            let mut file = Tally::default();
            for _ in 0..random(6) {
                // Around the border of two containers, and now and then below zero.
                let start = [65_500, 0, -5][random(3) as usize] + random(80) as i64;
                let run = start..start + 1 + random(20) as i64;
                for offset in run.clone() {
                    *counts.entry(offset).or_default() += 1;
                }
                file.add(run);
            }
            whole.absorb(&file);
        }
        let offsets = |at_least: u64| {
            let some = counts
                .iter()
                .filter(|(offset, n)| **offset >= 0 && **n >= at_least);
            OffsetSet::of(some.map(|(offset, _)| *offset..offset + 1))
        };
        assert_eq!(whole.rows, counts.values().sum::<u64>());
        assert_eq!(
            whole.negative,
            counts.range(..0).map(|(_, n)| n).sum::<u64>()
        );
        assert_eq!(whole.present, offsets(1));
        assert_eq!(whole.repeated, offsets(2));
    }
}

#[test]
fn a_sample_shows_the_first_ranges_and_counts_all() {
    let few = Sample::from(&OffsetSet::of([17..19, 40..41]));
    assert_eq!(few.to_string(), "3 offsets: 17–18, 40");
    let many = Sample::from(&OffsetSet::of((0..100).map(|n| 2 * n..2 * n + 1)));
    assert_eq!(
        many.to_string(),
        "100 offsets: 0, 2, 4, 6, 8, 10, 12, 14, …"
    );
    assert_eq!(Sample::from(&OffsetSet::from(5..6)).to_string(), "offset 5");
}
