//! The dataflow `daily_stats`, against a GROUP BY of DuckDB over what was produced.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Calve, Catalog, Measurements, Pipeline, SAMPLE_COLUMNS, Statistics, Topic, Warehouse,
};

/// How long a process may take to reach its point.
const PATIENCE: Duration = Duration::from_secs(120);

/// A checkpoint each 300 ms.
fn run(pipeline: &Pipeline, workers: usize) -> Calve {
    pipeline
        .daily_stats()
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "300")
        .workers(workers)
}

fn pipeline(topic: &Topic, catalog: Catalog, warehouse: Warehouse) -> Pipeline {
    let mut pipeline = Pipeline::with(topic, catalog, warehouse);
    pipeline.table = "daily".to_owned();
    pipeline
}

/// Compares the documented view with a GROUP BY over the records.
#[track_caller]
fn assert_right(pipeline: &Pipeline, produced: &Measurements) -> Statistics {
    let found = Statistics::read(pipeline, &[produced]);
    let complaints = found.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    found
}

/// A process that is killed at this point, while measurements are produced.
#[track_caller]
fn killed_at(calve: Calve, point: &str, passes: u32, measured: &mut Measurements) {
    let mut running = calve.failpoint(point, passes, "kill").start();
    while running.is_running() {
        measured.produce(150);
        std::thread::sleep(Duration::from_millis(50));
    }
    let killed = running.wait(PATIENCE).expect_killed_at(point);
    assert!(killed.committed_rows() > 0, "it had done some work before");
}

#[test]
fn the_view_is_what_group_by_gives_across_kills_late_records_and_other_workers() {
    let topic = Topic::create("daily_stats", 6);
    let pipeline_here = pipeline(&topic, Catalog::Rest, Warehouse::S3);
    let mut measured = Measurements::new(&topic, 1);
    measured.produce(2_000);
    killed_at(run(&pipeline_here, 6), "write", 40, &mut measured);
    killed_at(run(&pipeline_here, 4), "staged", 12, &mut measured);
    killed_at(run(&pipeline_here, 9), "before-swap", 3, &mut measured);
    killed_at(run(&pipeline_here, 4), "after-swap", 3, &mut measured);
    killed_at(run(&pipeline_here, 6), "proved", 2, &mut measured);
    run(&pipeline_here, 9).bounded().run().expect_code(0);
    let killed = assert_right(&pipeline_here, &measured);
    assert!(
        killed.taken_back > 1_000,
        "{} rows corrected",
        killed.taken_back
    );

    // Another pipeline, that nobody disturbs, on one worker and in one epoch: the same to the last bit.
    let undisturbed = pipeline(&topic, Catalog::Sqlite, Warehouse::Local);
    let once = run(&undisturbed, 1).env("FLINK_CHECKPOINT_INTERVAL_MS", "600000");
    once.bounded().run().expect_code(0);
    let found = assert_right(&undisturbed, &measured);
    assert_eq!(found.taken_back, 0);
    assert_eq!(found.rows, found.view.len() as u64);
    assert_eq!(found.exact, killed.exact);
}

#[test]
fn two_processes_of_one_run_keep_the_statistics_together() {
    let topic = Topic::create("daily_two", 6);
    let pipeline = pipeline(&topic, Catalog::Sqlite, Warehouse::Local);
    let mut measured = Measurements::new(&topic, 2);
    measured.produce(3_000);
    run(&pipeline, 3).bounded().run().expect_code(0);
    for _ in 0..2 {
        measured.produce(3_000);
        let processes = pipeline.two(|| run(&pipeline, 2).bounded());
        for process in processes.map(Calve::start) {
            process.wait(PATIENCE).expect_code(0);
        }
    }
    assert_right(&pipeline, &measured);
}

#[test]
fn a_compacted_changelog_is_as_good_and_a_foreign_row_is_refused() {
    let topic = Topic::create("daily_foreign", 3);
    let pipeline = pipeline(&topic, Catalog::Sqlite, Warehouse::Local);
    let mut measured = Measurements::new(&topic, 3);
    measured.produce(1_000);
    run(&pipeline, 2).bounded().run().expect_code(0);
    pipeline.change_table(json!({"rewrite": true}));
    measured.produce(1_000);
    run(&pipeline, 3).bounded().run().expect_code(0);
    assert_right(&pipeline, &measured);

    // What the audit can say of such a table is true.
    let audit = pipeline.calve(&["audit"]).run().expect_code(0);
    audit.expect_output(&["PASS  each marker follows", "the table is a changelog"]);

    pipeline.change_table(json!({"copy": "period = 'week'"}));
    measured.produce(1_000);
    let refused = run(&pipeline, 2).bounded().run().expect_code(6);
    refused.expect_output(&["another program", "→"]);
}

#[test]
fn a_table_with_other_columns_is_refused_and_wrong_columns_are_named() {
    let topic = Topic::create("daily_wrong", 1);
    let mut measured = Measurements::new(&topic, 4);
    measured.produce(10);
    let pipeline = pipeline(&topic, Catalog::Sqlite, Warehouse::Local);
    for (key, value, said) in [
        ("stats.key", "user", "the records have no column \"user\""),
        ("stats.value", "unit", "column unit is of type string"),
        ("stats.time", "value", "column value is of type double"),
        ("stats.key", "value", "column value is of type double"),
    ] {
        let refused = run(&pipeline, 1).set(key, value).run().expect_code(2);
        refused.expect_output(&[key, said, "→"]);
    }
    let undeclared = run(&pipeline, 1).without_env("CALVE_TABLE_COLUMNS");
    undeclared
        .run()
        .expect_code(2)
        .expect_output(&["input.columns"]);

    // Columns of the records under the setting that is meant for it, and nothing more of them than is needed.
    let declared = run(&pipeline, 1).without_env("CALVE_TABLE_COLUMNS");
    let declared = declared.set(
        "input.columns",
        "user_id string, data_type string, value double, start_time timestamptz",
    );
    declared.bounded().run().expect_code(0);
    assert_right(&pipeline, &measured);

    // Other settings make other statistics, whether their columns are the same or not.
    for (key, value, said) in [
        (
            "stats.key",
            "user_id, device_id",
            "device_id is not in the table",
        ),
        (
            "stats.key",
            "user_id",
            "holds \"daily_stats of value by user_id, data_type and",
        ),
        (
            "stats.time",
            "end_time",
            "would make \"daily_stats of value by user_id, data_type and day of end_time",
        ),
    ] {
        let other = run(&pipeline, 1).set(key, value).bounded();
        other.run().expect_code(3).expect_output(&[said, "→"]);
    }
    // Nor is a table of records one of statistics, even if it has the columns.
    let mut records = pipeline;
    records.table = "records".to_owned();
    records.columns = Some(format!(
        "{SAMPLE_COLUMNS}, period string, start_date date, count long, nulls long, sum double, min double, max double, \
         mean double, exact_sum binary, _diff int, _epoch long"
    ));
    records.run().bounded().run().expect_code(0);
    let refused = run(&records, 1).bounded().run().expect_code(3);
    refused.expect_output(&["sample_id is required and not made"]);
}

#[test]
fn a_savepoint_is_a_place_in_the_table_and_the_statistics_come_back_with_it() {
    let topic = Topic::create("daily_savepoint", 3);
    let mut pipeline = pipeline(&topic, Catalog::Rest, Warehouse::S3);
    let mut samples = Measurements::new(&topic, 5);
    samples.produce(1_000);
    let running = run(&pipeline, 3).set("rest.port", "0").start();
    pipeline.wait_committed(&topic, 1_000);
    let (rest, directory) = (running.rest(), pipeline.savepoints());
    let folder = pipeline.ask_savepoint(&rest, &["stop", "--savepoint"], &directory);
    running.wait(PATIENCE).expect_code(0);
    let from = |pipeline: &Pipeline, workers| {
        let run = run(pipeline, workers).env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000");
        run.bounded().arg("--from").arg(&folder)
    };

    samples.produce(1_000);
    from(&pipeline, 5).run().expect_code(0);
    assert_right(&pipeline, &samples);
    let ahead = from(&pipeline, 2).run().expect_code(6);
    ahead.expect_output(&["would be there twice", "on-rollback=rewind"]);

    // The one commit after the savepoint is undone: its records are counted again, with new ones.
    pipeline.change_table(json!({ "roll_back": 1 }));
    samples.produce(500);
    let rewind = from(&pipeline, 2).set("on-rollback", "rewind");
    rewind.run().expect_code(0);
    assert_right(&pipeline, &samples);

    pipeline.table = "another".to_owned();
    let refused = from(&pipeline, 2).run().expect_code(6);
    refused.expect_output(&["the state of daily_stats is in its table", "without --from"]);
    assert_eq!(pipeline.markers(), [] as [serde_json::Value; 0]);
}
