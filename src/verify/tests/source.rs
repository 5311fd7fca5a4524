//! Kafka Source Configuration, and what table and topics have to do with each other.

use super::*;

fn client(facts: &mut Facts) -> &mut ClientSettings {
    match &mut facts.kafka.client {
        Work::Done(client) => client,
        work => panic!("{work:?}"),
    }
}

fn brokers(facts: &mut Facts) -> &mut Brokers {
    match &mut facts.kafka.brokers {
        Work::Done(brokers) => brokers,
        work => panic!("{work:?}"),
    }
}

fn kept(facts: &mut Facts) -> &mut TopicSettings {
    match &mut facts.kafka.topics {
        Work::Done(topics) => topics.get_mut("t").unwrap(),
        work => panic!("{work:?}"),
    }
}

fn marks(facts: &mut Facts, low: i64, high: i64) {
    let topic = brokers(facts).topics.get_mut("t").unwrap();
    topic.partitions.insert(0, Watermarks { low, high });
}

#[test]
fn a_client_that_would_lose_or_skip_records_fails() {
    let fails = |title: &str, change: fn(&mut ClientSettings)| {
        judged(Check::Kafka, title, Verdict::Fail, |facts| {
            change(client(facts))
        });
    };
    fails("auto-commit", |client| client.auto_commit = "true".into());
    fails("auto-commit", |client| {
        client.auto_offset_store = "true".into()
    });
    fails("isolation level", |c| {
        c.isolation = "read_uncommitted".into()
    });
    fails("reset policy", |client| {
        client.offset_reset = "earliest".into()
    });
}

#[test]
fn brokers_that_do_not_answer_fail_and_hide_nothing_else() {
    let mut facts = faultless();
    facts.kafka.brokers = Work::Failed(trouble("no answer"));
    facts.kafka.topics = Work::Omitted("the brokers do not answer");
    let report = judge(&facts);
    assert_eq!(report.count(Verdict::Fail), 1);
    assert_eq!(report.checks[1].verdict, Verdict::Fail);
    assert_eq!(report.checks[3].verdict, Verdict::Pass);
}

#[test]
fn a_new_partition_is_warned_of_and_a_marker_without_offsets_fails() {
    judged(
        Check::Kafka,
        "offsets in the table",
        Verdict::Warn,
        |facts| {
            let topic = brokers(facts).topics.get_mut("t").unwrap();
            topic.partitions.insert(2, Watermarks { low: 0, high: 0 });
        },
    );
    let mut facts = faultless();
    table(&mut facts).marker.as_mut().unwrap().next = Offsets::new();
    assert_eq!(judge(&facts).checks[1].verdict, Verdict::Fail);
}

#[test]
fn records_that_are_gone_fail_unless_a_policy_bears_it() {
    const TITLE: &str = "offsets still in Kafka";
    let item = judged(Check::Kafka, TITLE, Verdict::Fail, |f| marks(f, 101, 101));
    assert_eq!(
        item.details,
        ["t[0] goes on at 100, the topic begins at 101: 1 offsets are gone"]
    );
    judged(Check::Kafka, TITLE, Verdict::Warn, |facts| {
        marks(facts, 101, 101);
        facts.settings = settings(&[("on-gap", "record-gap")]);
    });
    judged(Check::Kafka, TITLE, Verdict::Fail, |facts| {
        marks(facts, 0, 99)
    });
    // The very next record is still there.
    let mut facts = faultless();
    marks(&mut facts, 100, 100);
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
}

#[test]
fn retention_must_outlast_the_longest_outage_and_should_outlast_a_day() {
    let retained = |verdict, seconds| {
        judged(Check::Kafka, "retention", verdict, |facts| {
            kept(facts).retention = Some(Duration::from_secs(seconds));
        })
    };
    retained(Verdict::Fail, 1);
    retained(Verdict::Fail, 23 * 60 - 1);
    retained(Verdict::Warn, 23 * 60);
    retained(Verdict::Warn, 86_399);
    judged(Check::Kafka, "retention", Verdict::Warn, |facts| {
        kept(facts).retention_bytes = Some(1 << 30);
    });
    judged(Check::Kafka, "retention", Verdict::Warn, |facts| {
        facts.kafka.topics = Work::Failed(trouble("not authorized"));
    });
    for forever in [
        |topic: &mut TopicSettings| topic.retention = None,
        |topic: &mut TopicSettings| {
            (topic.retention, topic.deletes) = (Some(Duration::from_secs(1)), false);
        },
    ] {
        let mut facts = faultless();
        forever(kept(&mut facts));
        assert_eq!(judge(&facts).verdict, Verdict::Pass);
    }
}

#[test]
fn offsets_of_another_cluster_or_topic_do_not_belong_to_the_table() {
    const TITLE: &str = "table and topics belong together";
    let together = |verdict, change: fn(&mut Facts)| {
        judged(Check::Summary, TITLE, verdict, change);
    };
    together(Verdict::Fail, |facts| {
        brokers(facts).cluster_id = Some("cluster-2".to_owned());
    });
    let remade = |facts: &mut Facts| {
        brokers(facts).topics.get_mut("t").unwrap().id = Some("topic-2".to_owned());
    };
    together(Verdict::Fail, remade);
    judged(Check::Summary, TITLE, Verdict::Warn, |facts| {
        remade(facts);
        facts.settings = settings(&[("on-topic-recreated", "restart")]);
    });
    together(Verdict::Warn, |facts| {
        let next = &mut table(facts).marker.as_mut().unwrap().next;
        next.set("old", 0, NextOffset(5));
    });
}

#[test]
fn records_that_wait_and_are_not_committed_are_warned_of() {
    let waiting = |facts: &mut Facts, age_ms| {
        marks(facts, 0, 150);
        facts.now_ms += age_ms;
    };
    let item = judged(Check::Summary, "progress", Verdict::Warn, |facts| {
        waiting(facts, 181_000);
    });
    assert!(item.evidence.contains("50 offsets waiting"), "{item:?}");
    let mut facts = faultless();
    waiting(&mut facts, 179_000);
    assert_eq!(judge(&facts).verdict, Verdict::Pass);
}
