//! Facts made by hand: a faultless pipeline, and one thing wrong with it at a time.

mod guarantee;
mod sink;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::audit::{self, Subject};
use crate::checkpoint::marker::Marker;
use crate::checkpoint::positions::Topic;
use crate::config::{self, Layers, Settings};
use crate::iceberg::{Answer, Medium, Probe, StaleCommit};
use crate::inspect::{Checkpoint, Growth, History};
use crate::kafka::TopicSettings;
use crate::offsets::{NextOffset, Offsets, Watermarks};
use crate::time::{Epoch, Generation};

const NOW_MS: i64 = 1_764_000_000_000;

fn settings(more: &[(&str, &str)]) -> Settings {
    let set = [
        ("kafka.brokers", "localhost:9092"),
        ("kafka.topic", "t"),
        ("catalog.uri", "sqlite:///tmp/catalog.db"),
        ("warehouse", "file:///tmp/warehouse"),
        ("table.name", "t"),
        ("table.columns", "id string"),
    ];
    let flags = set.iter().chain(more);
    let flags = flags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let layers = Layers {
        flags: flags.collect(),
        ..Layers::default()
    };
    config::load(&layers).unwrap()
}

fn trouble(says: &str) -> Trouble {
    Trouble {
        says: says.to_owned(),
        remedy: None,
        is_missing: false,
    }
}

/// A topic of two partitions, wholly read.
fn topic() -> Topic {
    let marks = |high| Watermarks { low: 0, high };
    Topic {
        id: Some("topic-1".to_owned()),
        partitions: BTreeMap::from([(0, marks(100)), (1, marks(200))]),
    }
}

fn checkpoint(epoch: u64) -> Checkpoint {
    Checkpoint {
        epoch,
        generation: 1,
        claim: epoch == 0,
        snapshot: 1_000 + epoch as i64,
        committed_at_ms: NOW_MS - 60_000 * (3 - epoch as i64),
        records: if epoch == 0 { 0 } else { 100 },
        files: u64::from(epoch > 0),
        bytes: if epoch == 0 { 0 } else { 600_000 },
        offsets: if epoch == 0 { 0 } else { 100 },
        moved: Vec::new(),
        gaps: Vec::new(),
        state_snapshot: None,
        marker: epoch.to_string(),
        parent: (epoch > 0).then(|| (epoch - 1).to_string()),
        cluster_id: Some("cluster-1".to_owned()),
        topic_ids: BTreeMap::new(),
        table_records: Some(100 * epoch),
        calve_version: "0.1.0".to_owned(),
    }
}

fn marker() -> Marker {
    let mut next = Offsets::new();
    next.set("t", 0, NextOffset(100));
    next.set("t", 1, NextOffset(200));
    Marker {
        pipeline: "calve".to_owned(),
        generation: Generation(1),
        epoch: Epoch(3),
        next,
        topic_ids: BTreeMap::from([("t".to_owned(), "topic-1".to_owned())]),
        cluster_id: Some("cluster-1".to_owned()),
        committed_at_ms: NOW_MS,
        ..Marker::default()
    }
}

fn audit_report() -> audit::Report {
    let check = |check| audit::Check {
        check,
        verdict: audit::Verdict::Pass,
        evidence: "seen".to_owned(),
    };
    audit::Report {
        table: "default.t".to_owned(),
        pipeline: "calve".to_owned(),
        marker: None,
        checks: Subject::ALL.map(check).into(),
        findings: Vec::new(),
        partitions: Vec::new(),
        notes: Vec::new(),
    }
}

fn faultless() -> Facts {
    let refused = StaleCommit {
        answer: Answer::Conflict,
        landed: false,
    };
    let week = Duration::from_secs(7 * 86_400);
    Facts {
        settings: settings(&[]),
        table_name: "default.t".to_owned(),
        now_ms: NOW_MS,
        kafka: KafkaFacts {
            client: Work::Done(ClientSettings {
                auto_commit: "false".to_owned(),
                auto_offset_store: "false".to_owned(),
                offset_reset: "error".to_owned(),
                isolation: "read_committed".to_owned(),
            }),
            brokers: Work::Done(Brokers {
                cluster_id: Some("cluster-1".to_owned()),
                topics: BTreeMap::from([("t".to_owned(), topic())]),
            }),
            topics: Work::Done(BTreeMap::from([(
                "t".to_owned(),
                TopicSettings {
                    retention: Some(week),
                    retention_bytes: None,
                    deletes: true,
                    compacts: false,
                },
            )])),
        },
        checkpoint_dir: Located {
            location: Some("file:///var/state".to_owned()),
            medium: Work::Done(Medium::Disk("ext4".to_owned())),
        },
        savepoint_dir: Located {
            location: None,
            medium: Work::Omitted("none is configured"),
        },
        catalog_address: "sqlite:///tmp/catalog.db".to_owned(),
        catalog: Work::Done(Duration::from_millis(3)),
        table: Work::Done(TableFacts {
            location: "file:///tmp/warehouse/t".to_owned(),
            format_version: 2,
            properties: BTreeMap::new(),
            unfit: None,
            is_sorted: false,
            has_provenance: true,
            snapshots: Snapshots {
                retained: 4,
                ours: 4,
                ..Snapshots::default()
            },
            growth: Some(Growth {
                files_per_day: 1_440,
                snapshots_per_day: 1_440,
                file_bytes: 300 << 20,
                target_file_bytes: 512 << 20,
                over_ms: 180_000,
            }),
            marker: Some(marker()),
            history: Some(History {
                table: "default.t".to_owned(),
                pipeline: "calve".to_owned(),
                checkpoints: (0..=3).map(checkpoint).collect(),
                expired: false,
            }),
            audit: Work::Done(audit_report()),
            keys: Work::Omitted("not asked for"),
        }),
        probe: Work::Done(Probe {
            table: "default.calve_verify_1_2".to_owned(),
            commit: Some(Duration::from_millis(20)),
            stale: vec![refused.clone(), refused],
            ..Probe::default()
        }),
    }
}

fn table(facts: &mut Facts) -> &mut TableFacts {
    match &mut facts.table {
        Work::Done(table) => table,
        work => panic!("{work:?}"),
    }
}

fn exceptions(report: &Report) -> Vec<(Check, &Item)> {
    let sections = report.checks.iter();
    let items = sections.flat_map(|s| s.items.iter().map(|item| (s.check, item)));
    items
        .filter(|(_, item)| item.verdict != Verdict::Pass)
        .collect()
}

/// With this change of a faultless pipeline exactly one item ends so; returns it.
#[track_caller]
fn judged(check: Check, title: &str, verdict: Verdict, change: impl FnOnce(&mut Facts)) -> Item {
    let mut facts = faultless();
    change(&mut facts);
    let report = judge(&facts);
    let exceptions = exceptions(&report);
    let [(found, item)] = exceptions.as_slice() else {
        panic!("one item should not pass: {exceptions:#?}");
    };
    assert_eq!((*found, item.title, item.verdict), (check, title, verdict));
    assert_eq!(report.verdict, verdict.max(Verdict::Pass));
    assert!(item.advice.is_some() || verdict == Verdict::Unchecked);
    (*item).clone()
}

/// The same by settings.
#[track_caller]
fn set(check: Check, title: &str, verdict: Verdict, more: &[(&str, &str)]) -> Item {
    judged(check, title, verdict, |facts| {
        facts.settings = settings(more)
    })
}

#[test]
fn a_faultless_pipeline_passes_all_five_checks() {
    let report = judge(&faultless());
    assert_eq!(exceptions(&report), []);
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.checks.len(), 5);
}

#[test]
fn a_pipeline_that_has_never_run_has_nothing_that_fails() {
    let mut facts = faultless();
    let missing = Trouble {
        is_missing: true,
        ..trouble("table default.t does not exist")
    };
    facts.table = Work::Failed(missing);
    let report = judge(&facts);
    assert_eq!(report.verdict, Verdict::Warn);
    // Unless calve may not make the table.
    facts.settings = settings(&[("table.create", "false")]);
    assert_eq!(judge(&facts).verdict, Verdict::Fail);
}

#[test]
fn nothing_is_blamed_for_a_catalog_that_does_not_answer_but_the_catalog() {
    let mut facts = faultless();
    facts.catalog = Work::Failed(trouble("no answer"));
    facts.table = Work::Omitted("the catalog can't be opened");
    facts.probe = Work::Omitted("the catalog can't be opened");
    let report = judge(&facts);
    assert_eq!(report.count(Verdict::Fail), 1);
    assert_eq!(report.count(Verdict::Warn), 0);
    let guarantee = &report.checks[3];
    assert_eq!(guarantee.verdict, Verdict::Unchecked);
}

#[test]
fn checkpoints_that_come_at_odd_times_are_warned_of() {
    use Verdict::{Fail, Warn};
    let checkpoint = Check::Checkpoint;
    set(
        checkpoint,
        "interval",
        Warn,
        &[("checkpoint.interval", "1s")],
    );
    let often = [
        ("checkpoint.interval", "20min"),
        ("checkpoint.timeout", "30min"),
    ];
    set(checkpoint, "interval", Warn, &often);
    set(
        checkpoint,
        "timeout",
        Warn,
        &[("checkpoint.timeout", "30s")],
    );
    let longer = [("checkpoint.interval", "14min")];
    set(checkpoint, "timeout", Warn, &longer);
    set(
        checkpoint,
        "min-pause",
        Warn,
        &[("checkpoint.min-pause", "60s")],
    );
    set(
        checkpoint,
        "failures",
        Warn,
        &[("restart-strategy.type", "none")],
    );
    for (key, value) in [
        ("state.backend.type", "memory"),
        ("state.backend.incremental", "false"),
    ] {
        set(checkpoint, "state backend", Warn, &[(key, value)]);
    }
    let item = judged(checkpoint, "timeout", Fail, |facts| {
        facts.settings = settings(&[("checkpoint.timeout", "15ms")]);
    });
    assert!(item.evidence.contains("took 20 ms"), "{item:?}");
}

#[test]
fn a_directory_must_be_writable_and_durable() {
    fn directory(title: &str, of: fn(&mut Facts) -> &mut Located) {
        let located = |verdict, medium| {
            judged(Check::Checkpoint, title, verdict, |facts| {
                *of(facts) = Located {
                    location: Some("file:///var/state".to_owned()),
                    medium,
                };
            })
        };
        located(Verdict::Fail, Work::Failed(trouble("permission denied")));
        let medium = Medium::Memory("tmpfs".to_owned());
        located(Verdict::Warn, Work::Done(medium));
    }
    directory("directory", |facts| &mut facts.checkpoint_dir);
    directory("savepoints", |facts| &mut facts.savepoint_dir);
}

#[test]
fn thousands_of_snapshots_that_nothing_expires_are_warned_of() {
    let many = |facts: &mut Facts| table(facts).snapshots.retained = 2_001;
    judged(Check::Checkpoint, "retained", Verdict::Warn, many);
    let mut facts = faultless();
    many(&mut facts);
    facts.settings = settings(&[("snapshots.max-age", "5d")]);
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
}

#[test]
fn the_longest_outage_is_what_the_settings_add_up_to() {
    let outage = |more: &[(&str, &str)]| {
        let settings = settings(more);
        Outage::of(&settings.checkpoint, &settings.restart)
    };
    // 60 s + 10 min, a minute, and again 60 s + 10 min.
    assert_eq!(outage(&[]).total(), Duration::from_secs(660 + 60 + 660));
    assert_eq!(
        outage(&[]).says(),
        "23 min (1 × 11 min + restart 60 s + 11 min)"
    );
    let borne = [
        ("checkpoint.tolerable-failed-checkpoints", "2"),
        ("restart-strategy.type", "none"),
    ];
    assert_eq!(outage(&borne).total(), Duration::from_secs(3 * 660));
    assert_eq!(
        outage(&borne).says(),
        "33 min (3 × 11 min, then the process ends)"
    );
    let endless = [("checkpoint.tolerable-failed-checkpoints", "1000000")];
    assert!(outage(&endless).total() > Duration::from_secs(660_000_000));
}
