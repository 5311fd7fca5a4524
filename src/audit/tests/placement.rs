use super::super::facts::Origin;
use super::super::rows::FileRows;
use super::*;

/// The rows of one file of topic `t`, partition 0.
fn file(run: std::ops::Range<i64>) -> FileRows {
    let mut rows = FileRows::default();
    let partition = rows.partitions.entry(TopicPartition::new("t", 0));
    partition.or_default().add(run);
    rows
}

fn taken(facts: &Facts, rows: FileRows, origin: Origin) -> Rows {
    let mut taken = Rows::default();
    taken.take("file", Some(rows), origin, &facts.coverage(), &facts.chain);
    taken
}

/// The offsets that lie where they must not.
fn outside(facts: &Facts, run: std::ops::Range<i64>, origin: Origin) -> Vec<(i64, i64)> {
    let taken = taken(facts, file(run.clone()), origin);
    assert_eq!(taken.partitions[&at(0)].present, OffsetSet::from(run));
    let strays = taken.strays.iter();
    strays
        .flat_map(|stray| stray.offsets.ranges.clone())
        .collect()
}

#[test]
fn the_rows_of_a_file_may_lie_where_its_origin_says() {
    let whole = faultless();
    let mut expired = faultless();
    expired.chain.drain(..3);
    // The chain covers 5 to 30; the marker at index 2 covers 10 to 20. Of the expired one 20 to 30 is left.
    for (facts, run, origin, expected) in [
        (&whole, 10..20, Origin::Marker(2), vec![]),
        (&whole, 9..21, Origin::Marker(2), vec![(9, 10), (20, 21)]),
        (&whole, 10..20, Origin::Marker(4), vec![(10, 20)]),
        (&whole, 5..30, Origin::Foreign, vec![]),
        // What is before the pipeline's beginning another engine may have written.
        (&whole, 4..32, Origin::Foreign, vec![(30, 32)]),
        (&whole, 5..6, Origin::Expired, vec![(5, 6)]),
        (&expired, 0..20, Origin::Expired, vec![]),
        (&expired, 18..22, Origin::Expired, vec![(20, 22)]),
        (&expired, 0..31, Origin::Foreign, vec![(30, 31)]),
    ] {
        let case = format!("{run:?} of {origin:?}");
        assert_eq!(outside(facts, run, origin), expected, "{case}");
    }
}

#[test]
fn rows_of_other_topics_without_provenance_and_in_lost_files_are_counted_apart() {
    let facts = faultless();
    let mut other = FileRows {
        anonymous: 3,
        ..FileRows::default()
    };
    let partition = other.partitions.entry(TopicPartition::new("u", 0));
    partition.or_default().add(0..7);
    let rows = taken(&facts, other.clone(), Origin::Foreign);
    assert_eq!((rows.anonymous, rows.unrelated), (3, 7));
    assert!(rows.partitions.is_empty() && rows.strays.is_empty());
    // In a file of our own they are out of place.
    let rows = taken(&facts, other, Origin::Marker(2));
    assert_eq!((rows.unrelated, rows.strays.len()), (0, 1));

    let rows = taken(&facts, file(-2..3), Origin::Marker(1));
    assert_eq!(rows.partitions[&at(0)].negative, 2);
    assert_eq!(rows.strays.len(), 1);

    let mut gone = Rows::default();
    let coverage = facts.coverage();
    gone.take("gone", None, Origin::Marker(2), &coverage, &facts.chain);
    assert_eq!(gone.missing, ["gone"]);
}

#[test]
fn rows_of_a_topic_that_was_made_anew_belong_to_the_life_of_their_marker() {
    let mut facts = faultless();
    for (link, id) in facts.chain.iter_mut().zip(["a", "a", "a", "b", "b"]) {
        link.marker.topic_ids = BTreeMap::from([("t".to_owned(), id.to_owned())]);
    }
    let of = |link| taken(&facts, file(20..21), Origin::Marker(link));
    assert!(of(1).partitions.contains_key(&Place { life: 0, ..at(0) }));
    assert!(of(4).partitions.contains_key(&Place { life: 1, ..at(0) }));
    let mixed = taken(&facts, file(20..21), Origin::Foreign);
    assert_eq!((mixed.indistinct, mixed.partitions.len()), (1, 0));
}

#[test]
fn only_so_many_places_are_listed() {
    let facts = faultless();
    let mut rows = Rows::default();
    for _ in 0..30 {
        let file = file(99..100);
        rows.take(
            "file",
            Some(file),
            Origin::Foreign,
            &facts.coverage(),
            &facts.chain,
        );
    }
    assert_eq!((rows.strays.len(), rows.more_strays), (20, true));
}
