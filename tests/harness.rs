//! Tests of the test harness: a check that can't fail proves nothing.

use std::panic::catch_unwind;

use serde_json::json;

use crate::support::{
    Action, Broker, Catalog, Pipeline, Produced, Producer, Proxy, Services, Table, Topic,
    Warehouse, run_script,
};

#[test]
fn the_verifier_sees_a_duplicate_and_a_gap() {
    for warehouse in [Warehouse::Local, Warehouse::S3] {
        let topic = Topic {
            name: "none".to_owned(),
            brokers: "none".to_owned(),
            partitions: 2,
        };
        let pipeline = Pipeline::with(&topic, Catalog::Sqlite, warehouse);
        let make = |drop: &[i64], twice: &[i64]| -> (Table, Produced) {
            let request = json!({
                "catalog": pipeline.reader_properties(),
                "table": pipeline.table_name(),
                "partitions": {"0": 50, "1": 50},
                "drop": drop,
                "twice": twice,
            });
            let faultless = run_script("make_table.py", &request);
            (pipeline.read(), faultless)
        };
        // One row less and one twice: a count alone would not see it.
        let (broken, faultless) = make(&[10], &[20]);
        assert_eq!((broken.count, broken.distinct_ids), (100, 99));
        let first = &broken.partitions[&0];
        assert_eq!((first.count, first.distinct), (50, 49));
        assert_eq!((&first.gaps, &first.duplicates), (&vec![10], &vec![20]));
        assert_eq!((broken.lost(&faultless), broken.duplicated()), (1, 1));
        let complaint = catch_unwind(|| broken.assert_exactly(&faultless));
        let complaint = complaint.expect_err("a duplicate and a gap must not pass");
        let text = complaint.downcast_ref::<String>().expect("a message");
        assert!(
            text.contains("partition 0") && text.contains("[20]"),
            "{text}"
        );

        let (lost, faultless) = make(&[49], &[]);
        assert!(catch_unwind(|| lost.assert_exactly(&faultless)).is_err());

        let (whole, faultless) = make(&[], &[]);
        whole.assert_exactly(&faultless);
        assert_eq!(whole.distinct_ids, 100);
        // The right offsets under other ids are not the right rows.
        let (mut other, faultless) = make(&[], &[]);
        other.id_sum = other.id_sum.wrapping_add(1);
        assert!(catch_unwind(|| other.assert_exactly(&faultless)).is_err());
    }
}

#[test]
fn the_producer_records_what_the_broker_acknowledged_and_no_aborted_record() {
    let topic = Topic::create("producer", 3);
    let mut producer = Producer::transactional(&topic, &topic.name);
    let produced = producer
        .transaction(30, true)
        .transaction(30, false)
        .transaction(30, true)
        .finish();
    assert_eq!(produced.count, 60);
    for (partition, (first, next)) in topic.watermarks() {
        // 10 records and a marker in each of three transactions.
        assert_eq!((first, next), (0, 33), "partition {partition}");
        let expected: Vec<i64> = (0..10).chain(22..32).collect();
        assert_eq!(produced.partitions[&partition], expected);
    }
}

#[test]
fn the_proxy_passes_requests_on_and_can_fail_them() {
    let proxy = Proxy::start(&Services::get().rest, |request| {
        if request.path.contains("broken") {
            Action::Answer(503, "{}".to_owned())
        } else {
            Action::Pass
        }
    });
    let get = |path: &str| -> (u16, String) {
        tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(async {
                let answer = reqwest::get(format!("{}{path}", proxy.url()))
                    .await
                    .expect("an answer");
                (
                    answer.status().as_u16(),
                    answer.text().await.expect("a body"),
                )
            })
    };
    let (status, body) = get("/v1/config");
    assert_eq!(status, 200);
    assert!(body.contains("defaults"), "{body}");
    assert_eq!(get("/v1/broken").0, 503);
    assert_eq!(proxy.requests().len(), 2);
}

#[test]
fn a_broker_of_a_tests_own_keeps_its_data_when_it_is_killed() {
    let mut broker = Broker::start();
    let topic = Topic::create_with(&broker.address(), "kept", 2, &[]);
    Producer::new(&topic).samples(100).finish();
    broker.kill();
    broker.restart();
    let ends: Vec<_> = topic.watermarks().into_values().collect();
    assert_eq!(ends, [(0, 50), (0, 50)]);
}

#[test]
fn topics_can_lose_records_and_groups_can_have_lag() {
    let topic = Topic::create("helpers", 2);
    Producer::new(&topic).samples(200).finish();
    topic.delete_before(0, 60);
    assert_eq!((topic.remaining(0), topic.remaining(1)), (40, 100));
    topic.commit("some-group", &[(0, 90), (1, 30)]);
    assert_eq!(topic.committed_total("some-group"), 120);
    let lag = topic.described_lag("some-group");
    assert_eq!(lag.into_iter().collect::<Vec<_>>(), [(0, 10), (1, 70)]);
    topic.recreate();
    assert_eq!(topic.watermarks()[&1], (0, 0));
}
