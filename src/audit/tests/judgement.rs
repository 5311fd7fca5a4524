use super::*;

/// The verdicts that are not a pass.
fn exceptions(report: &Report) -> Vec<(Subject, Verdict)> {
    let verdicts = report
        .checks
        .iter()
        .map(|check| (check.check, check.verdict));
    verdicts
        .filter(|(_, verdict)| *verdict != Verdict::Pass)
        .collect()
}

/// Changes the faultless pipeline; exactly `subject` must fail. Returns what was found.
#[track_caller]
fn fails(subject: Subject, change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = faultless();
    change(&mut facts);
    let report = judge(&facts);
    assert_eq!(
        exceptions(&report),
        [(subject, Verdict::Fail)],
        "{report:?}"
    );
    assert_eq!(report.failed(), 1);
    report.findings
}

fn moved(facts: &mut Facts, link: usize, moved: &[(i32, i64, i64)]) {
    facts.chain[link].marker.moved = ranges(moved);
}

fn next(facts: &mut Facts, partitions: &[(i32, i64)]) {
    let recorded = facts.observed.property.as_mut().unwrap();
    recorded.marker.next = offsets(partitions);
}

/// Where the one finding is.
#[track_caller]
fn place(findings: &[Finding]) -> (i32, Vec<(i64, i64)>) {
    let [finding] = findings else {
        panic!("{findings:?}");
    };
    let offsets = finding.offsets.clone().unwrap();
    (finding.partition.unwrap(), offsets.ranges)
}

#[test]
fn a_faultless_pipeline_passes_every_check_and_its_rejects_are_listed() {
    let report = judge(&faultless());
    assert_eq!(exceptions(&report), []);
    assert_eq!(report.findings, []);
    assert_eq!(report.notes, Vec::<String>::new());
    let first = &report.partitions[0];
    assert_eq!((first.first, first.next), (Some(5), Some(30)));
    assert_eq!((first.rows, first.distinct), (Some(23), Some(23)));
    assert_eq!((first.min, first.max), (Some(5), Some(29)));
    let without = first.without_row.clone().unwrap();
    assert_eq!((without.count, without.ranges), (2, vec![(7, 9)]));
    assert_eq!(report.partitions[1].without_row.clone().unwrap().count, 0);
}

#[test]
fn a_table_that_was_rolled_back_fails_by_its_marker() {
    let mut facts = faultless();
    facts.chain.pop();
    facts.written.pop();
    facts.observed.lineage = facts.chain.last().map(|link| link.marker.clone());
    facts.observed.property.as_mut().unwrap().snapshot = Whereabouts::Detached;
    set(&mut facts, 0, &[5..7, 9..20]);
    let report = judge(&facts);
    let failed = [
        (Subject::Places, Verdict::Fail),
        (Subject::Ranges, Verdict::Fail),
    ];
    assert_eq!(exceptions(&report), failed);
    assert!(report.findings[0].what.contains("rolled back"));
    // The property goes on where the rows do not lead to.
    assert_eq!(place(&report.findings[1..]), (0, vec![(20, 30)]));
}

#[test]
fn ranges_that_do_not_join_are_named() {
    let missing = fails(Subject::Ranges, |facts| {
        moved(facts, 2, &[(0, 12, 20)]);
        facts.chain[2].marker.rows = 8;
        facts.written[2].rows = 8;
        set(facts, 0, &[5..7, 9..10, 12..30]);
    });
    assert_eq!(place(&missing), (0, vec![(10, 12)]));
    assert_eq!(missing[0].marker.as_ref().unwrap().epoch, 3);

    let twice = fails(Subject::Ranges, |facts| {
        moved(facts, 4, &[(0, 18, 30)]);
        facts.chain[4].marker.rows = 12;
        facts.written[4].rows = 12;
    });
    assert_eq!(place(&twice), (0, vec![(18, 20)]));

    // The property is the end of the chain.
    let ahead = fails(Subject::Ranges, |facts| next(facts, &[(0, 33), (1, 10)]));
    assert_eq!(place(&ahead), (0, vec![(30, 33)]));
    let back = fails(Subject::Ranges, |facts| next(facts, &[(0, 29), (1, 10)]));
    assert_eq!(place(&back), (0, vec![(29, 30)]));
    let unknown = fails(Subject::Ranges, |facts| next(facts, &[(0, 30)]));
    assert_eq!(place(&unknown), (1, vec![(0, 10)]));
    let never = fails(Subject::Ranges, |facts| {
        next(facts, &[(0, 30), (1, 10), (2, 4)])
    });
    assert_eq!(place(&never), (2, vec![(0, 4)]));
}

#[test]
fn offsets_that_were_accepted_as_lost_are_no_gap() {
    // Once as a jump between two ranges, once as part of the claim's own range.
    for moves in [false, true] {
        let mut facts = faultless();
        let claim = &mut facts.chain[3].marker;
        claim.gaps = ranges(&[(0, 20, 26)]);
        if moves {
            claim.moved = ranges(&[(0, 20, 26)]);
        }
        moved(&mut facts, 4, &[(0, 26, 30)]);
        facts.chain[4].marker.rows = 4;
        facts.written[4].rows = 4;
        set(&mut facts, 0, &[5..7, 9..20, 26..30]);
        let report = judge(&facts);
        assert_eq!(exceptions(&report), [], "moves: {moves}");
        let first = &report.partitions[0];
        assert_eq!(first.gaps.clone().unwrap().ranges, [(20, 26)]);
        assert_eq!(first.without_row.clone().unwrap().ranges, [(7, 9)]);
        // A larger jump than was accepted is a gap all the same.
        facts.chain[3].marker.gaps = ranges(&[(0, 20, 25)]);
        facts.chain[3].marker.moved = Ranges::default();
        let report = judge(&facts);
        assert_eq!(exceptions(&report), [(Subject::Ranges, Verdict::Fail)]);
        assert_eq!(place(&report.findings), (0, vec![(25, 26)]));
    }
}

#[test]
fn a_start_that_skipped_offsets_without_a_record_is_named() {
    let findings = fails(Subject::Ranges, |facts| {
        moved(facts, 3, &[(0, 26, 26)]);
        moved(facts, 4, &[(0, 26, 30)]);
        facts.chain[4].marker.rows = 4;
        facts.written[4].rows = 4;
        set(facts, 0, &[5..7, 9..20, 26..30]);
    });
    assert_eq!(place(&findings), (0, vec![(20, 26)]));
    assert!(findings[0].what.starts_with("skipped by a start"));
    assert_eq!(findings[0].marker.clone().unwrap().generation, 2);
}

#[test]
fn markers_out_of_order_and_missing_parents_are_named() {
    for (link, generation, epoch) in [(2, 1, 1), (3, 1, 3), (4, 1, 4), (4, 2, 3), (3, 2, 2)] {
        let findings = fails(Subject::Order, |facts| {
            facts.chain[link].marker.generation = Generation(generation);
            facts.chain[link].marker.epoch = Epoch(epoch);
        });
        let marker = findings[0].marker.clone().unwrap();
        assert_eq!((marker.generation, marker.epoch), (generation, epoch));
    }
    for parent in [None, Some("1".into()), Some("stranger".into())] {
        let findings = fails(Subject::Order, |facts| {
            facts.chain[2].marker.parent = parent
        });
        assert!(findings[0].what.contains("parent"), "{findings:?}");
        assert_eq!(findings[0].marker.clone().unwrap().id, "3");
    }
}

#[test]
fn files_that_are_not_those_of_their_marker_are_found() {
    let other = fails(Subject::Files, |facts| {
        facts.written[2].digest = files_digest(["other"])
    });
    assert_eq!(other[0].marker.clone().unwrap().epoch, 3);
    fails(Subject::Files, |facts| facts.written[2].rows += 1);
    fails(Subject::Files, |facts| facts.written[2].files += 1);
    let gone = fails(Subject::Files, |facts| {
        facts.rows.as_mut().unwrap().missing.push("gone".into());
    });
    assert_eq!(gone[0].file.as_deref(), Some("gone"));
}

#[test]
fn more_rows_than_offsets_can_not_be() {
    let mut facts = faultless();
    facts.chain[4].marker.rows = 11;
    facts.written[4].rows = 11;
    let report = judge(&facts);
    assert!(exceptions(&report).contains(&(Subject::Counts, Verdict::Fail)));
}

#[test]
fn duplicates_are_named_by_their_offsets() {
    let findings = fails(Subject::Duplicates, |facts| {
        let rows = facts.rows.as_mut().unwrap();
        add(rows, 0, 12..15);
        add(rows, 0, 13..14);
        add(rows, 0, 29..30);
    });
    assert_eq!(place(&findings), (0, vec![(12, 15), (29, 30)]));
    assert!(findings[0].what.contains('5'), "{}", findings[0]);
}

#[test]
fn rows_outside_of_their_ranges_are_named_with_their_file() {
    let findings = fails(Subject::Placement, |facts| {
        facts.rows.as_mut().unwrap().strays.push(Stray {
            at: at(0),
            offsets: Sample::from(31..32),
            file: "stranger".into(),
            added_by: "another program".into(),
        });
    });
    assert_eq!(place(&findings), (0, vec![(31, 32)]));
    assert_eq!(findings[0].file.as_deref(), Some("stranger"));
}

#[test]
fn rows_that_are_gone_are_named_by_their_offsets() {
    let exactly = fails(Subject::Completeness, |facts| {
        set(facts, 0, &[5..7, 9..12, 13..20, 21..30]);
    });
    let places: Vec<_> = exactly
        .iter()
        .map(|f| place(std::slice::from_ref(f)).1)
        .collect();
    assert_eq!(places, [[(12, 13)], [(20, 21)]]);
    assert!(exactly[0].what.starts_with("lost"), "{}", exactly[0]);
    assert_eq!(exactly[1].marker.clone().unwrap().epoch, 4);

    // Of 6, 7 and 8 one was lost and two were rejects: the counts can't tell which.
    let among = fails(Subject::Completeness, |facts| set(facts, 0, &[5..6, 9..30]));
    assert_eq!(place(&among), (0, vec![(6, 9)]));
    assert!(among[0].what.starts_with("1 of 3"), "{}", among[0]);

    // A row where the commit had none.
    let surplus = fails(Subject::Completeness, |facts| set(facts, 0, &[5..8, 9..30]));
    assert!(surplus[0].what.contains("13 rows") && surplus[0].what.contains("14"));
}

#[test]
fn of_expired_snapshots_only_the_rows_are_judged_and_the_report_says_so() {
    let expire = |keep: usize| {
        let mut facts = faultless();
        facts.chain.drain(..keep);
        facts.written.drain(..keep);
        facts
    };
    let facts = expire(2);
    let report = judge(&facts);
    assert_eq!(exceptions(&report), []);
    assert!(report.notes[0].contains("expired"), "{:?}", report.notes);
    let first = &report.partitions[0];
    assert_eq!(first.first, Some(10));
    let below = first.without_row_before_first.clone().unwrap();
    assert_eq!(below.ranges, [(7, 9)]);

    let mut doubled = expire(2);
    add(doubled.rows.as_mut().unwrap(), 0, 6..7);
    let report = judge(&doubled);
    assert_eq!(exceptions(&report), [(Subject::Duplicates, Verdict::Fail)]);

    let mut nothing_left = expire(5);
    nothing_left.observed.lineage = None;
    nothing_left.observed.property.as_mut().unwrap().snapshot = Whereabouts::Expired;
    let report = judge(&nothing_left);
    let unchecked = [
        Subject::Order,
        Subject::Ranges,
        Subject::Files,
        Subject::Counts,
        Subject::Completeness,
    ];
    assert_eq!(
        exceptions(&report),
        unchecked.map(|check| (check, Verdict::Unchecked))
    );
    assert_eq!(report.failed(), 0);
}

#[test]
fn without_provenance_columns_the_number_of_rows_is_what_is_left() {
    let mut facts = faultless();
    facts.rows = None;
    let rows_unseen = [
        (Subject::Placement, Verdict::Unchecked),
        (Subject::Duplicates, Verdict::Unchecked),
    ];
    assert_eq!(exceptions(&judge(&facts)), rows_unseen);
    let report = judge(&facts);
    assert!(report.notes[0].contains("_offset"), "{:?}", report.notes);
    assert_eq!(report.partitions[0].rows, None);

    facts.live.rows = 32;
    let report = judge(&facts);
    assert!(exceptions(&report).contains(&(Subject::Completeness, Verdict::Fail)));
    // Others have written: their rows can't be told from ours.
    facts.live.foreign_files = 1;
    let report = judge(&facts);
    assert!(exceptions(&report).contains(&(Subject::Completeness, Verdict::Unchecked)));
}

/// The topic is made anew after the faultless pipeline's end: offsets begin again.
fn made_anew() -> Facts {
    let mut facts = faultless();
    for link in &mut facts.chain {
        link.marker.topic_ids = BTreeMap::from([("t".to_owned(), "first".to_owned())]);
    }
    let second = [
        marker(6, 3, 4, &[(0, 0, 0), (1, 0, 0)], 0),
        marker(7, 3, 5, &[(0, 0, 12), (1, 0, 3)], 15),
    ];
    for mut marker in second {
        marker.topic_ids = BTreeMap::from([("t".to_owned(), "second".to_owned())]);
        facts.written.push(as_written(&marker));
        facts.chain.push(link((facts.chain.len(), marker)));
    }
    let last = facts.chain[6].marker.clone();
    facts.observed.lineage = Some(last.clone());
    let recorded = facts.observed.property.as_mut().unwrap();
    recorded.marker = last;
    next(&mut facts, &[(0, 12), (1, 3)]);
    let rows = facts.rows.as_mut().unwrap();
    for (partition, end) in [(0, 12), (1, 3)] {
        let place = Place {
            life: 1,
            ..at(partition)
        };
        rows.partitions.entry(place).or_default().add(0..end);
    }
    facts
}

#[test]
fn a_topic_that_was_made_anew_is_judged_on_its_own() {
    let report = judge(&made_anew());
    assert_eq!(exceptions(&report), []);
    let ends: Vec<_> = report
        .partitions
        .iter()
        .map(|p| (p.topic_life, p.next))
        .collect();
    assert_eq!(
        ends,
        [(0, Some(30)), (1, Some(12)), (0, Some(10)), (1, Some(3))]
    );

    // The same with one id is an offset that went back, and rows twice.
    let mut set_back = made_anew();
    for link in &mut set_back.chain {
        link.marker.topic_ids = BTreeMap::new();
    }
    let report = judge(&set_back);
    assert!(exceptions(&report).contains(&(Subject::Ranges, Verdict::Fail)));

    // Rows of the second topic that are gone are not made up for by those of the first.
    let mut lost = made_anew();
    let second = Place { life: 1, ..at(0) };
    let rows = lost.rows.as_mut().unwrap();
    rows.partitions.insert(second, Tally::default());
    let report = judge(&lost);
    assert_eq!(
        exceptions(&report),
        [(Subject::Completeness, Verdict::Fail)]
    );
    assert_eq!(place(&report.findings), (0, vec![(0, 12)]));
    assert!(
        report.findings[0]
            .to_string()
            .contains("topic 2 of that name")
    );

    // Where others have mixed both, nothing is claimed.
    lost.rows.as_mut().unwrap().indistinct = 12;
    let report = judge(&lost);
    let of_rows = [
        Subject::Placement,
        Subject::Duplicates,
        Subject::Completeness,
    ];
    assert_eq!(
        exceptions(&report),
        of_rows.map(|check| (check, Verdict::Unchecked))
    );
    assert!(report.notes[0].contains("made anew"), "{:?}", report.notes);
}

#[test]
fn of_a_changelog_rows_are_not_held_against_offsets() {
    let mut facts = faultless();
    facts.rows = None;
    // More changes than records.
    facts.chain[2].marker.rows += 100;
    facts.written[2].rows += 100;
    facts.live.rows += 100;
    assert!(exceptions(&judge(&facts)).contains(&(Subject::Counts, Verdict::Fail)));
    facts.changelog = true;
    let report = judge(&facts);
    assert_eq!(report.failed(), 0, "{:?}", report.findings);
    assert!(exceptions(&report).contains(&(Subject::Counts, Verdict::Unchecked)));
}
