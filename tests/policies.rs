//! The table was rolled back, the topic made anew, records deleted before they were read: what calve says, and what
//! each policy makes of it. On Apache Kafka, the REST catalog and S3; rollbacks are pyiceberg's.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Broker, Calve, Catalog, Finished, Pipeline, Produced, Producer, Topic, Warehouse, eventually,
};

fn pipeline(topic: &Topic) -> Pipeline {
    Pipeline::with(topic, Catalog::Rest, Warehouse::S3)
}

/// What is new in the topic goes into the table, in one commit.
fn load(pipeline: &Pipeline, topic: &Topic) -> Produced {
    let produced = Producer::new(topic).samples(600).finish();
    let run = without_checkpoints(pipeline).bounded();
    run.run().expect_code(0);
    produced
}

/// A bounded run under a policy.
fn under(pipeline: &Pipeline, policy: &str, word: &str) -> Finished {
    let run = pipeline.run().workers(2).bounded();
    run.set(policy, word).run()
}

/// A run that makes a checkpoint only when it needs one.
fn without_checkpoints(pipeline: &Pipeline) -> Calve {
    let run = pipeline.run().workers(2);
    run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000")
}

/// With the restarts from within that calve makes by default, and other tests do without.
fn restarting(run: Calve) -> Calve {
    run.set("restart-strategy.type", "exponential-delay")
}

/// What the markers say is missing by decision.
fn recorded_gaps(pipeline: &Pipeline) -> Vec<serde_json::Value> {
    let markers = pipeline.markers().into_iter();
    markers.filter_map(|m| m.get("gaps").cloned()).collect()
}

#[test]
fn a_rollback_halts_with_both_markers_and_what_to_type() {
    let topic = Topic::create("rollback_halt", 3);
    let pipeline = pipeline(&topic);
    let first = load(&pipeline, &topic);
    load(&pipeline, &topic);
    load(&pipeline, &topic);
    pipeline.change_table(json!({ "roll_back": 2 }));
    let halted = pipeline.run().workers(2).bounded().run().expect_code(6);
    halted.expect_output(&[
        "rolled back",
        // Each run claims a generation and commits one epoch.
        "epoch 3 of generation 3",
        // The snapshot before the second run's rows is that run's claim.
        "epoch 1 of generation 2",
        "calve run --set on-rollback=rewind",
        "calve run --set on-rollback=continue",
    ]);
    pipeline.assert_exactly(&first);
}

#[test]
fn rewind_reads_the_rolled_back_records_again() {
    for expired in [false, true] {
        let topic = Topic::create("rewind", 3);
        let pipeline = pipeline(&topic);
        let mut produced = load(&pipeline, &topic);
        for _ in 0..2 {
            produced = produced.and(&load(&pipeline, &topic));
        }
        pipeline.change_table(json!({ "roll_back": 2 }));
        if expired {
            // Then the lineage alone must tell where to go on.
            pipeline.change_table(json!({ "expire": true }));
        }
        produced = produced.and(&Producer::new(&topic).samples(600).finish());
        let rewound = under(&pipeline, "on-rollback", "rewind").expect_code(0);
        rewound.expect_output(&["the table was rolled back"]);
        pipeline.assert_exactly(&produced);
        // The next start needs no policy.
        let produced = produced.and(&load(&pipeline, &topic));
        pipeline.assert_exactly(&produced);
    }
}

#[test]
fn continue_leaves_the_rolled_back_rows_out_and_nothing_is_twice() {
    let topic = Topic::create("continue", 2);
    let pipeline = pipeline(&topic);
    let first = load(&pipeline, &topic);
    load(&pipeline, &topic);
    load(&pipeline, &topic);
    pipeline.change_table(json!({ "roll_back": 2 }));
    let continued = under(&pipeline, "on-rollback", "continue").expect_code(0);
    continued.expect_output(&["the table was rolled back"]);
    // What is missing is written down.
    let gaps = json!({ &topic.name: { "0": [300, 900], "1": [300, 900] } });
    assert_eq!(recorded_gaps(&pipeline), [gaps], "written once");
    pipeline.assert_exactly(&first);
    let produced = first.and(&load(&pipeline, &topic));
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_rollback_while_running_ends_the_run_or_rewinds_it() {
    for policy in ["halt", "rewind"] {
        let topic = Topic::create("rollback_running", 2);
        let pipeline = pipeline(&topic);
        let mut producer = Producer::new(&topic);
        producer.samples(600).finish();
        let run = restarting(pipeline.run().workers(2));
        let running = run.set("on-rollback", policy).start();
        pipeline.wait_committed(&topic, 600);
        producer.samples(600).finish();
        pipeline.wait_committed(&topic, 1_200);
        pipeline.change_table(json!({ "roll_back": 1 }));
        // It is found at the next commit.
        let produced = producer.samples(600).finish();
        if policy == "halt" {
            let ended = running.wait(Duration::from_secs(60)).expect_code(6);
            ended.expect_output(&["rolled back", "calve run --set on-rollback=rewind"]);
            under(&pipeline, "on-rollback", "rewind").expect_code(0);
        } else {
            // The restart from within applies the policy.
            pipeline.wait_committed(&topic, 1_800);
            let drained = running.drain();
            drained.expect_output(&["started again", "the table was rolled back"]);
        }
        pipeline.assert_exactly(&produced);
    }
}

/// Rows of a topic and of the one that was made anew under its name: their offsets are the same.
#[track_caller]
fn assert_holds_both(pipeline: &Pipeline, old: &Produced, new: &Produced) {
    let table = pipeline.read();
    let both = old.clone().and(new);
    assert_eq!((table.count, table.id_sum), (both.count, both.id_sum));
    assert_eq!(table.distinct_ids, both.count);
}

#[test]
fn a_topic_that_was_made_anew_halts_or_is_read_from_its_beginning() {
    let topic = Topic::create("recreated", 2);
    let pipeline = pipeline(&topic);
    let old = load(&pipeline, &topic);
    topic.recreate();
    // Longer than the old one: by their offsets alone nobody could tell.
    let new = Producer::new(&topic).samples(2_000).finish();
    let halted = pipeline.run().workers(2).bounded().run().expect_code(6);
    halted.expect_output(&[
        &topic.name,
        "under the id",
        "its id is",
        "calve run --set on-topic-recreated=restart",
    ]);
    pipeline.assert_exactly(&old);
    under(&pipeline, "on-topic-recreated", "restart").expect_code(0);
    assert_holds_both(&pipeline, &old, &new);
    // From now on it is this topic: the policy does nothing more, and none is needed.
    under(&pipeline, "on-topic-recreated", "restart").expect_code(0);
    assert_holds_both(&pipeline, &old, &new);
    let new = new.and(&load(&pipeline, &topic));
    assert_holds_both(&pipeline, &old, &new);
}

#[test]
fn a_topic_that_is_made_anew_while_it_is_read_is_noticed_even_if_the_new_one_is_longer() {
    for policy in ["halt", "restart"] {
        let topic = Topic::create("recreated_running", 2);
        let pipeline = pipeline(&topic);
        let old = Producer::new(&topic).samples(600).finish();
        let run = restarting(pipeline.run().workers(2));
        let running = run.set("on-topic-recreated", policy).start();
        pipeline.wait_committed(&topic, 600);
        // It sleeps through the change, and finds a topic in which its offset exists.
        running.signal("STOP");
        topic.recreate();
        let new = Producer::new(&topic).samples(2_000).finish();
        running.signal("CONT");
        let noticed = ["made anew while it was read", "under the id", "its id is"];
        if policy == "halt" {
            let ended = running.wait(Duration::from_secs(60)).expect_code(6);
            ended.expect_output(&noticed);
            pipeline.assert_exactly(&old);
            under(&pipeline, "on-topic-recreated", "restart").expect_code(0);
        } else {
            pipeline.wait_committed(&topic, 2_000);
            running.drain().expect_output(&noticed);
        }
        assert_holds_both(&pipeline, &old, &new);
    }
}

#[test]
fn what_was_read_waits_for_a_kafka_that_can_say_whether_the_topic_is_still_the_same() {
    let mut broker = Broker::start();
    let topic = Topic::create_with(&broker.address(), "unanswered", 2, &[]);
    let pipeline = pipeline(&topic);
    let produced = Producer::new(&topic).samples(600).finish();
    let running = without_checkpoints(&pipeline).start();
    // It reads all, and would commit it in an hour.
    sleep(Duration::from_secs(5));
    broker.kill();
    running.sigterm();
    let ended = running.wait(Duration::from_secs(60)).expect_code(4);
    ended.expect_output(&["does not answer", "waits until kafka says"]);
    assert_eq!(pipeline.read().count, 0, "nothing unverified is committed");

    broker.restart();
    let running = without_checkpoints(&pipeline).start();
    sleep(Duration::from_secs(5));
    broker.kill();
    running.sigterm();
    // The answer comes in time.
    broker.restart();
    running.wait(Duration::from_secs(60)).expect_code(0);
    pipeline.assert_exactly(&produced);
}

/// A table that holds offsets 0..300 of both partitions, and a topic in which 300..400 of partition 0 were deleted
/// before they were read. Also what is in the table, and what is left to read.
fn overtaken(hint: &str) -> (Topic, Pipeline, Produced, Produced) {
    let topic = Topic::create(hint, 2);
    let pipeline = pipeline(&topic);
    let first = load(&pipeline, &topic);
    let lost = Producer::new(&topic).keyed_samples(0, 100, 10).finish();
    assert_eq!(lost.partitions[&0].last(), Some(&399));
    let left = Producer::new(&topic).samples(600).finish();
    topic.delete_before(0, 400);
    (topic, pipeline, first, left)
}

#[test]
fn a_gap_halts_with_both_offsets_and_what_to_type() {
    let (topic, pipeline, first, _) = overtaken("gap_halt");
    let halted = pipeline.run().workers(2).bounded().run().expect_code(6);
    halted.expect_output(&[
        &topic.name,
        "continues at offset 300",
        "begins at 400",
        "100 offsets are gone",
        "calve run --set on-gap=earliest",
        "on-gap=latest",
        "on-gap=record-gap",
    ]);
    pipeline.assert_exactly(&first);
}

#[test]
fn earliest_goes_on_behind_the_gap() {
    let (topic, pipeline, first, left) = overtaken("gap_earliest");
    let ended = under(&pipeline, "on-gap", "earliest").expect_code(0);
    ended.expect_output(&["deleted before they were read", "from=300", "to=400"]);
    let produced = first.and(&left);
    pipeline.assert_exactly(&produced);
    let produced = produced.and(&load(&pipeline, &topic));
    pipeline.assert_exactly(&produced);
}

#[test]
fn latest_goes_on_with_what_comes_after_the_start() {
    let (topic, pipeline, _, _) = overtaken("gap_latest");
    let ended = under(&pipeline, "on-gap", "latest").expect_code(0);
    ended.expect_output(&["deleted before they were read", "from=300", "to=700"]);
    // The other partition has no gap: nothing of it is skipped.
    let table = pipeline.read();
    let offsets = |partition: i32| {
        (
            table.partitions[&partition].count,
            table.partitions[&partition].last,
        )
    };
    assert_eq!((offsets(0), offsets(1)), ((300, 299), (600, 599)));
    load(&pipeline, &topic);
    let table = pipeline.read();
    let offsets = |partition: i32| {
        let found = &table.partitions[&partition];
        (found.count, found.distinct, found.last)
    };
    assert_eq!((offsets(0), offsets(1)), ((600, 600, 999), (900, 900, 899)));
}

#[test]
fn record_gap_goes_on_behind_the_gap_and_writes_it_down() {
    let (topic, pipeline, first, left) = overtaken("gap_recorded");
    under(&pipeline, "on-gap", "record-gap").expect_code(0);
    let produced = first.and(&left);
    pipeline.assert_exactly(&produced);
    let gaps = json!({ &topic.name: { "0": [300, 400] } });
    assert_eq!(recorded_gaps(&pipeline), [gaps], "written once");
}

#[test]
fn a_gap_while_running_ends_the_run_or_is_recorded_after_what_was_read_is_committed() {
    for policy in ["halt", "record-gap"] {
        let topic = Topic::create("gap_running", 2);
        let pipeline = pipeline(&topic);
        let first = Producer::new(&topic).samples(600).finish();
        let run = restarting(without_checkpoints(&pipeline));
        let running = run.set("on-gap", policy).start();
        // It reads all, and would commit it in an hour.
        sleep(Duration::from_secs(4));
        running.signal("STOP");
        // Its last fetch must not wait at the broker any more: it would still get the records.
        sleep(Duration::from_secs(2));
        Producer::new(&topic).keyed_samples(0, 100, 10).finish();
        let left = Producer::new(&topic).samples(600).finish();
        topic.delete_before(0, 400);
        running.signal("CONT");
        if policy == "halt" {
            let ended = running.wait(Duration::from_secs(60)).expect_code(6);
            ended.expect_output(&["not in the topic any more", &topic.name, "on-gap"]);
            // Partition 1 may be further.
            let table = pipeline.read();
            let partition = &table.partitions[&0];
            assert_eq!((partition.count, partition.last), (300, 299));
            under(&pipeline, "on-gap", "earliest").expect_code(0);
        } else {
            // What was read before is committed at once, then the restart from within reads on.
            eventually("it has started again", || {
                running.output().contains("generation=2")
            });
            sleep(Duration::from_secs(5));
            running.drain().expect_output(&["started again"]);
            // Not one offset more than was lost.
            let gaps = json!({ &topic.name: { "0": [300, 400] } });
            assert_eq!(recorded_gaps(&pipeline), [gaps]);
        }
        pipeline.assert_exactly(&first.and(&left));
    }
}
