use super::super::answer::{Sightings, conclude, rolled_back};
use super::*;

fn record(text: &str) -> Record {
    text.parse().unwrap()
}

fn standing(facts: &Facts, text: &str) -> Standing {
    Standing::of(&record(text), &facts.coverage(), &facts.chain)
}

fn holder(rows: u64) -> Holder {
    Holder {
        file: "file".into(),
        snapshot: 101,
        committed_at_ms: None,
        generation: Some(1),
        epoch: Some(1),
        rows,
    }
}

#[test]
fn a_record_is_named_by_topic_partition_and_offset() {
    let parsed = record("a/b/3/17");
    assert_eq!(parsed.topic, "a/b");
    assert_eq!((parsed.partition, parsed.offset), (3, 17));
    for text in [
        "", "t", "t/1", "/1/2", "t/x/1", "t/1/x", "t/-1/0", "t/0/-1", "t/0/1/",
    ] {
        assert!(text.parse::<Record>().is_err(), "{text}");
    }
}

#[test]
fn a_record_stands_where_the_markers_put_it() {
    let facts = faultless();
    let covered = |text| match standing(&facts, text) {
        Standing::Covered {
            marker, from, to, ..
        } => (marker.epoch, from, to),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(covered("t/0/5"), (1, 5, 10));
    assert_eq!(covered("t/0/9"), (1, 5, 10));
    assert_eq!(covered("t/0/10"), (3, 10, 20));
    assert_eq!(covered("t/0/29"), (4, 20, 30));
    assert_eq!(covered("t/1/0"), (1, 0, 10));
    assert_eq!(standing(&facts, "t/0/30"), Standing::NotRead { next: 30 });
    assert_eq!(standing(&facts, "t/1/10"), Standing::NotRead { next: 10 });
    assert_eq!(
        standing(&facts, "t/0/4"),
        Standing::BeforeFirst { first: 5 }
    );
    assert_eq!(standing(&facts, "t/9/0"), Standing::UnknownPartition);
    assert_eq!(standing(&facts, "u/0/0"), Standing::UnknownTopic);

    let mut gap = faultless();
    gap.chain[3].marker.gaps = ranges(&[(0, 20, 26)]);
    assert_eq!(standing(&gap, "t/0/25"), Standing::Gap);

    let mut hole = faultless();
    hole.chain[2].marker.moved = ranges(&[(0, 12, 20)]);
    assert_eq!(standing(&hole, "t/0/11"), Standing::Uncovered);

    let mut expired = faultless();
    expired.chain.drain(..2);
    assert_eq!(standing(&expired, "t/0/9"), Standing::Expired);
    assert_eq!(standing(&expired, "t/0/2"), Standing::Expired);
    assert_eq!(standing(&expired, "t/1/3"), Standing::Expired);
}

#[test]
fn markers_and_rows_together_make_the_answer() {
    let facts = faultless();
    let covered = standing(&facts, "t/0/5");
    let mut of_two = covered.clone();
    if let Standing::Covered { topics, .. } = &mut of_two {
        *topics = 2;
    }
    let rows = |rows: &[u64]| Sightings {
        held_by: Some(rows.iter().map(|rows| holder(*rows)).collect()),
        ..Sightings::default()
    };
    let deleted = Sightings {
        was_in: Some("file".into()),
        removed_by: Some((9, "overwrite".into())),
        ..rows(&[])
    };
    let unknown = Sightings::default;
    let before = || Standing::BeforeFirst { first: 5 };
    for (standing, seen, ok, says) in [
        (covered.clone(), rows(&[1]), true, "once"),
        (covered.clone(), rows(&[2]), false, "2 times"),
        (covered.clone(), rows(&[1, 1]), false, "2 times"),
        (of_two.clone(), rows(&[1, 1]), true, "once for each topic"),
        (of_two, rows(&[1, 2]), false, "3 times"),
        (covered.clone(), rows(&[]), true, "a reject"),
        (
            covered.clone(),
            deleted,
            false,
            "removed by snapshot 9 (overwrite)",
        ),
        (covered, unknown(), true, "no provenance columns"),
        (Standing::Expired, rows(&[1]), true, "once"),
        (Standing::Expired, rows(&[]), true, "can't be told"),
        (Standing::NotRead { next: 30 }, rows(&[]), true, "offset 30"),
        (
            Standing::NotRead { next: 30 },
            rows(&[1]),
            false,
            "another program",
        ),
        (Standing::Gap, rows(&[]), true, "missing by decision"),
        (before(), rows(&[]), true, "began behind it, at offset 5"),
        (before(), rows(&[1]), false, "another program"),
        (
            Standing::UnknownTopic,
            rows(&[]),
            true,
            "never read this topic",
        ),
        (
            Standing::UnknownPartition,
            rows(&[]),
            true,
            "never read this partition",
        ),
        (Standing::Uncovered, rows(&[]), false, "no marker covers it"),
        (Standing::Uncovered, unknown(), false, "no marker covers it"),
    ] {
        let case = format!("{standing:?} {seen:?}");
        let answer = conclude(record("t/0/5"), standing, seen);
        assert_eq!(answer.ok, ok, "{case}: {}", answer.says);
        assert!(answer.says.contains(says), "{case}: {}", answer.says);
    }
}

#[test]
fn a_record_whose_commit_was_rolled_back_is_told_so() {
    let mut facts = faultless();
    // The last commit of the chain is cut off: offsets 20 to 29 are to be read again.
    let cut_off = facts.chain.split_off(3);
    let record = record("t/0/25");
    let next = Standing::NotRead { next: 20 };
    let seen = Sightings {
        held_by: Some(Vec::new()),
        rolled_back: rolled_back(&record, &next, &cut_off),
        ..Sightings::default()
    };
    let answer = conclude(record, next, seen);
    assert!(answer.ok, "it will be read again");
    assert_eq!(
        answer.rolled_back,
        cut_off.last().map(|link| link.snapshot_id)
    );
    assert!(
        answer.says.contains("goes on at offset 20"),
        "{}",
        answer.says
    );
    assert!(
        answer.says.contains("which was rolled back"),
        "{}",
        answer.says
    );
    // What another commit has, or nobody ever had, was not.
    let of = |text: &str| rolled_back(&text.parse().unwrap(), &Standing::Expired, &cut_off);
    assert_eq!(of("t/0/19"), None);
    assert_eq!(of("t/0/30"), None);
    let covered = standing(&faultless(), "t/0/25");
    let twice = rolled_back(&"t/0/25".parse().unwrap(), &covered, &cut_off);
    assert_eq!(twice, None, "it was committed again since");
}
