//! Exactly-Once Guarantee, and how fast all of it is.

use super::*;
use crate::audit::{Finding, Keys};

fn audited(facts: &mut Facts) -> &mut audit::Report {
    match &mut table(facts).audit {
        Work::Done(report) => report,
        work => panic!("{work:?}"),
    }
}

#[test]
fn what_the_audit_fails_fails_here_with_its_findings_and_its_advice() {
    for (index, subject) in Subject::ALL.into_iter().enumerate() {
        let item = judged(
            Check::ExactlyOnce,
            subject.title(),
            Verdict::Fail,
            |facts| {
                let report = audited(facts);
                report.checks[index].verdict = audit::Verdict::Fail;
                report.findings = vec![Finding::new(subject, "this is wrong")];
            },
        );
        assert_eq!(item.details, ["this is wrong"]);
        assert_eq!(item.advice.as_deref(), Some(subject.advice()));
        judged(
            Check::ExactlyOnce,
            subject.title(),
            Verdict::Warn,
            |facts| {
                audited(facts).checks[index].verdict = audit::Verdict::Unchecked;
            },
        );
    }
}

#[test]
fn an_audit_that_can_not_be_made_fails() {
    judged(Check::ExactlyOnce, "audit", Verdict::Fail, |facts| {
        table(facts).audit = Work::Failed(trouble("a manifest is gone"));
    });
}

#[test]
fn a_key_that_two_rows_have_fails_and_is_named() {
    let keys = |duplicates| Keys {
        columns: vec!["id".to_owned()],
        rows: 200,
        duplicates,
        rows_too_many: 2 * duplicates,
        sample: vec![("abc".to_owned(), 3)],
        ..Keys::default()
    };
    let item = judged(
        Check::ExactlyOnce,
        "no key is there twice",
        Verdict::Fail,
        |facts| table(facts).keys = Work::Done(keys(4)),
    );
    assert_eq!(item.details, ["abc: 3 rows", "and 3 more"]);
    let mut facts = faultless();
    table(&mut facts).keys = Work::Done(Keys {
        sample: Vec::new(),
        ..keys(0)
    });
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
    table(&mut facts).keys = Work::Failed(trouble("no such column"));
    assert_eq!(judge(&facts).verdict, Verdict::Fail);
}

#[test]
fn a_commit_that_takes_more_than_half_of_the_interval_is_warned_of() {
    judged(
        Check::Summary,
        "latency",
        Verdict::Warn,
        |facts| match &mut facts.probe {
            Work::Done(probe) => probe.commit = Some(Duration::from_secs(31)),
            work => panic!("{work:?}"),
        },
    );
}

#[test]
fn staged_files_of_an_outage_must_have_room() {
    // 600 kB a minute are 6 MB in ten minutes.
    let room = |limit| [("memory.uncommitted", limit)];
    set(
        Check::Summary,
        "room for an outage",
        Verdict::Warn,
        &room("5MB"),
    );
    let mut facts = faultless();
    facts.settings = settings(&room("6MB"));
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
}

#[test]
fn what_is_read_again_after_a_crash_is_told_by_the_load() {
    let report = judge(&faultless());
    let items = &report.checks[4].items;
    let replay = items
        .iter()
        .find(|i| i.title == "replay after a crash")
        .unwrap();
    // 100 offsets a minute; a checkpoint may take 11 minutes to fail.
    let expected = "100 ms have";
    assert!(!replay.evidence.contains(expected));
    assert!(
        replay
            .evidence
            .contains(": 101 records, 1,100 at the 2 records/s"),
        "{replay:?}"
    );
}
