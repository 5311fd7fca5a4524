//! What is particular about Kafka: transactions, compaction, growing topics, offsets that are gone.

use std::time::Duration;

use crate::support::{Pipeline, Producer, Topic, eventually};

#[test]
fn aborted_records_never_appear() {
    let topic = Topic::create("aborted", 3);
    let mut producer = Producer::transactional(&topic, &topic.name);
    for round in 0..10 {
        producer.transaction(300, round % 3 != 1);
    }
    // The topic ends with an aborted transaction: its end must be reached all the same.
    let produced = producer.transaction(300, false).finish();
    assert_eq!(produced.count, 7 * 300);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    assert!(
        !table.partitions[&0].gaps.is_empty(),
        "aborted records leave gaps"
    );
}

#[test]
fn transaction_markers_neither_stall_nor_shift_the_cut() {
    let topic = Topic::create("markers", 2);
    let mut producer = Producer::transactional(&topic, &topic.name);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.run().workers(2).start();
    for _ in 0..5 {
        producer.transaction(100, true).transaction(100, false);
        std::thread::sleep(Duration::from_millis(700));
    }
    let produced = producer.finish();
    // The committed offsets pass the markers: 50 records and a marker in each of ten transactions.
    let ends: Vec<i64> = topic.watermarks().values().map(|(_, next)| *next).collect();
    assert_eq!(ends, [510, 510]);
    // Each partition's last row is record 50 of the ninth transaction.
    pipeline.wait_committed(&topic, 2 * (8 * 51 + 50));
    running.drain();
    pipeline.assert_exactly(&produced);
    let more = producer.transaction(100, true).finish();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&more);
}

#[test]
fn an_open_transaction_holds_back_only_what_is_behind_it() {
    let topic = Topic::create("open", 1);
    let mut producer = Producer::transactional(&topic, &topic.name);
    producer.transaction(100, true);
    let mut open = Producer::transactional(&topic, &format!("{}-open", topic.name));
    open.begin(50);
    let before = producer.finish();
    let pipeline = Pipeline::new(&topic);
    // Bounded: to the last stable offset, which is before the open transaction. It must not hang.
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&before);
    open.commit();
    let produced = before.and(&open.finish());
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn compaction_gaps_neither_stall_nor_shift_the_cut() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "200"),
    ];
    let topic = Topic::create_with(
        &crate::support::Services::get().kafka,
        "compacted",
        1,
        &settings,
    );
    let mut producer = Producer::new(&topic);
    producer.keyed_samples(0, 2_000, 10).finish();
    eventually("the cleaner has left gaps", || {
        // A segment is cleaned once a later one has begun.
        std::thread::sleep(Duration::from_millis(400));
        producer.keyed_samples(0, 1, 1).finish();
        topic.remaining(0) < 1_000
    });
    let next = topic.watermarks()[&0].1;
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let table = pipeline.read();
    let offsets = &table.partitions[&0];
    assert_eq!(offsets.count, offsets.distinct, "{offsets:?}");
    assert!(!offsets.gaps.is_empty(), "{offsets:?}");
    assert_eq!(topic.committed(&pipeline.group)[&0], next);
    // It resumes behind the gaps.
    let before = table.count;
    producer.keyed_samples(0, 100, 1_000).finish();
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let offsets = pipeline.read().partitions[&0].clone();
    assert_eq!(
        (offsets.count, offsets.distinct),
        (before + 100, before + 100)
    );
    assert_eq!(offsets.last, next + 99);
}

#[test]
fn a_topic_may_grow_while_it_is_read() {
    let mut topic = Topic::create("grows", 6);
    let mut producer = Producer::new(&topic);
    let pipeline = Pipeline::new(&topic);
    producer.samples(6_000).finish();
    let running = pipeline.run().workers(6).start();
    pipeline.wait_committed(&topic, 6_000);
    topic.grow_to(9);
    producer.use_partitions(9);
    // Written before anyone can have discovered them: new partitions are read from their beginning.
    let produced = producer.samples(9_000).finish();
    assert_eq!(produced.partitions.len(), 9);
    pipeline.wait_committed(&topic, 15_000);
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn an_empty_topic_ends_a_bounded_run_at_once_with_an_empty_table() {
    let topic = Topic::create("empty", 6);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let table = pipeline.read();
    assert_eq!(table.count, 0);
    assert!(table.schema.contains_key("_offset"), "{:?}", table.schema);
    // And what comes later is read from the beginning.
    let produced = Producer::new(&topic).samples(600).finish();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_record_of_a_megabyte_goes_through_between_small_ones() {
    let topic = Topic::create("huge", 2);
    let mut producer = Producer::new(&topic);
    producer
        .samples(1_000)
        .huge_sample(0, 1_000_000)
        .samples(1_000);
    // Larger than the whole budget of a worker.
    let produced = producer.huge_sample(1, 5_000_000).samples(100).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(2).bounded();
    run.set("memory.in-flight", "1MB").run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn the_groups_offsets_show_the_true_lag() {
    let topic = Topic::create("lag", 3);
    let mut producer = Producer::new(&topic);
    producer.samples(3_000).finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let lag = topic.described_lag(&pipeline.group);
    assert_eq!(
        lag.into_iter().collect::<Vec<_>>(),
        [(0, 0), (1, 0), (2, 0)]
    );
    producer.samples(300).finish();
    let lag = topic.described_lag(&pipeline.group);
    assert_eq!(
        lag.into_iter().collect::<Vec<_>>(),
        [(0, 100), (1, 100), (2, 100)]
    );
}

#[test]
fn group_offsets_that_someone_moved_are_not_believed() {
    let topic = Topic::create("moved", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    topic.commit(&pipeline.group, &[(0, 0), (1, 7)]);
    let produced = producer.samples(1_000).finish();
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn offsets_that_kafka_no_longer_has_stop_the_pipeline() {
    let topic = Topic::create("retention", 2);
    let mut producer = Producer::new(&topic);
    let first = producer.samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    producer.samples(1_000).finish();
    // As retention would: 500 to 599 of partition 0 are gone before they were read.
    topic.delete_before(0, 600);
    let ended = pipeline.run().workers(2).bounded().run().expect_code(6);
    ended.expect_output(&[&topic.name, "500", "600"]);
    pipeline.assert_exactly(&first);
}

#[test]
fn a_topic_that_was_made_anew_stops_the_pipeline() {
    let topic = Topic::create("anew", 2);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    topic.recreate();
    Producer::new(&topic).samples(10).finish();
    let ended = pipeline.run().workers(2).bounded().run().expect_code(6);
    ended.expect_output(&[&topic.name]);
    pipeline.assert_exactly(&produced);
}

#[test]
fn two_topics_may_fill_one_table() {
    let topics = [Topic::create("left", 2), Topic::create("right", 3)];
    let produced = topics
        .clone()
        .map(|topic| Producer::new(&topic).samples(600).finish());
    let mut pipeline = Pipeline::new(&topics[0]);
    pipeline.topic = format!("{},{}", topics[0].name, topics[1].name);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let table = pipeline.read();
    assert_eq!((table.count, table.distinct_ids), (1_200, 1_200));
    let sum = produced[0].id_sum.wrapping_add(produced[1].id_sum);
    assert_eq!(table.id_sum, sum);
}
