//! Iceberg Sink Configuration, and what the swap is worth.

use super::*;

fn property(title: &str, verdict: Verdict, key: &str, value: &str) {
    judged(Check::Iceberg, title, verdict, |facts| {
        let properties = &mut table(facts).properties;
        properties.insert(key.to_owned(), value.to_owned());
    });
}

#[test]
fn a_table_must_fit() {
    let fails = |facts: &mut Facts| table(facts).unfit = Some(trouble("format version 1"));
    judged(Check::Iceberg, "table", Verdict::Fail, fails);
    judged(Check::Iceberg, "table", Verdict::Warn, |facts| {
        table(facts).has_provenance = false;
    });
}

#[test]
fn properties_that_calve_does_not_follow_are_named() {
    property(
        "distribution",
        Verdict::Warn,
        "write.distribution-mode",
        "hash",
    );
    property("upsert", Verdict::Fail, "write.upsert.enabled", "true");
    property(
        "commit retries",
        Verdict::Warn,
        "commit.retry.num-retries",
        "0",
    );
    judged(Check::Iceberg, "distribution", Verdict::Warn, |facts| {
        table(facts).is_sorted = true;
    });
    for (key, value) in [
        ("write.distribution-mode", "none"),
        ("write.upsert.enabled", "false"),
        ("commit.retry.num-retries", "10"),
    ] {
        let mut facts = faultless();
        let properties = &mut table(&mut facts).properties;
        properties.insert(key.to_owned(), value.to_owned());
        assert_eq!(judge(&facts).verdict, Verdict::Pass, "{key}");
    }
}

#[test]
fn what_takes_rows_away_is_named() {
    let snapshot = || vec![(7, "overwrite".to_owned())];
    let item = judged(Check::Iceberg, "append-only", Verdict::Fail, |facts| {
        table(facts).snapshots.ours_otherwise = snapshot();
    });
    assert_eq!(item.details, ["snapshot 7: overwrite"]);
    judged(Check::Iceberg, "append-only", Verdict::Warn, |facts| {
        table(facts).snapshots.removals = snapshot();
    });
    let mut facts = faultless();
    table(&mut facts).snapshots.rewrites = 3;
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
}

#[test]
fn many_small_files_are_warned_of() {
    judged(Check::Iceberg, "file size", Verdict::Warn, |facts| {
        table(facts).growth.as_mut().unwrap().file_bytes = 1 << 20;
    });
}

#[test]
fn a_swap_that_does_not_compare_or_lies_about_it_fails() {
    let swap = |verdict, change: fn(&mut Probe)| {
        judged(
            Check::Iceberg,
            "compare-and-swap",
            verdict,
            |facts| match &mut facts.probe {
                Work::Done(probe) => change(probe),
                work => panic!("{work:?}"),
            },
        )
    };
    let landed = swap(Verdict::Fail, |probe| {
        probe.stale[1] = StaleCommit {
            answer: Answer::Accepted,
            landed: true,
        };
    });
    assert!(landed.evidence.contains("has landed"), "{landed:?}");
    // Even if it was said to be refused.
    swap(Verdict::Fail, |probe| probe.stale[0].landed = true);
    let lied = swap(Verdict::Fail, |probe| {
        probe.stale[0].answer = Answer::Accepted
    });
    assert!(lied.evidence.contains("success was reported"), "{lied:?}");
    swap(Verdict::Fail, |probe| {
        probe.failure = Some("no answer".to_owned())
    });
    let other = swap(Verdict::Warn, |probe| {
        probe.stale[0].answer = Answer::Other("500 out of order".to_owned());
    });
    assert_eq!(other.details, ["500 out of order"]);
    swap(Verdict::Warn, |probe| probe.left = Some("files".to_owned()));
    swap(Verdict::Warn, |probe| {
        probe.abandoned.push("db.old".to_owned())
    });
}

#[test]
fn a_swap_that_could_not_be_tried_is_no_pass() {
    let not_tried = |verdict, work: Work<Probe>| {
        judged(Check::Iceberg, "compare-and-swap", verdict, |facts| {
            facts.probe = work
        })
    };
    not_tried(Verdict::Warn, Work::Failed(trouble("may not make tables")));
    not_tried(Verdict::Unchecked, Work::Omitted("--no-probe"));
}
