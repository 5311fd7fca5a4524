//! `calve checkpoints`, `calve tables`, the completions and the manual.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Calve, Catalog, Finished, Pipeline, Producer, Topic, Warehouse};

/// Two runs of 600 records each, and what another program has appended in between.
fn pipeline(catalog: Catalog, warehouse: Warehouse) -> (Topic, Pipeline) {
    let topic = Topic::create("inspect", 3);
    let pipeline = Pipeline::with(&topic, catalog, warehouse);
    for run in 0..2 {
        Producer::new(&topic).samples(600).finish();
        pipeline.run().workers(2).bounded().run().expect_code(0);
        if run == 0 {
            let row = json!({"sample_id": "foreign", "_partition": -1, "_offset": 0});
            pipeline.change_table(json!({ "append": [row] }));
        }
    }
    (topic, pipeline)
}

fn offline(pipeline: &Pipeline, args: &[&str]) -> Calve {
    let calve = pipeline.calve(args);
    ["KAFKA_BROKERS", "KAFKA_TOPIC"]
        .into_iter()
        .fold(calve, Calve::without_env)
}

#[track_caller]
fn answer(pipeline: &Pipeline, args: &[&str]) -> Value {
    let finished: Finished = offline(pipeline, args).arg("--json").run().expect_code(0);
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON: {error}\n{}", finished.output()))
}

#[test]
fn checkpoints_are_those_that_pyiceberg_sees_in_the_snapshots() {
    for (catalog, warehouse) in [
        (Catalog::Sqlite, Warehouse::Local),
        (Catalog::Rest, Warehouse::S3),
    ] {
        let (topic, pipeline) = pipeline(catalog, warehouse);
        let markers = pipeline.markers();
        let history = answer(&pipeline, &["checkpoints", "list", "--all"]);
        let checkpoints = history["checkpoints"].as_array().expect("checkpoints");
        assert_eq!(checkpoints.len(), markers.len());
        for (checkpoint, marker) in checkpoints.iter().zip(&markers) {
            assert_eq!(checkpoint["marker"], marker["id"]);
            for (ours, theirs) in [("epoch", "epoch"), ("records", "rows"), ("files", "files")] {
                assert_eq!(checkpoint[ours], marker[theirs], "{ours}");
            }
        }
        let latest = answer(&pipeline, &["checkpoints", "show", "latest"]);
        assert_eq!(latest["snapshot"], pipeline.current_snapshot());
        assert_eq!(latest["table-records"], pipeline.read().count);

        // From the claim of all to the end: every offset of the topic, and the other program's snapshot.
        let first = checkpoints[0]["snapshot"].to_string();
        let diff = answer(&pipeline, &["checkpoints", "diff", &first, "latest"]);
        assert_eq!(diff["records"], 1_200);
        assert_eq!(diff["others"].as_array().expect("others").len(), 1);
        let moved = diff["moved"].as_array().expect("partitions");
        let ends: Vec<_> = moved
            .iter()
            .map(|m| m["to"].as_i64().expect("an offset"))
            .collect();
        let high: Vec<_> = topic
            .watermarks()
            .into_values()
            .map(|(_, high)| high)
            .collect();
        assert_eq!(ends, high);

        let text = offline(&pipeline, &["checkpoints", "list", "--last", "1"]).run();
        let text = text.expect_code(0).expect_output(&["epoch", "commit"]);
        let older = format!("{} older", markers.len() - 1);
        assert!(text.stdout.contains(&older), "{}", text.stdout);
        let text = offline(&pipeline, &["checkpoints", "diff", "latest", &first]).run();
        text.expect_code(0)
            .expect_output(&["+1,200", "append by another program", &topic.name]);
        let unknown = offline(&pipeline, &["checkpoints", "show", "9999"]).run();
        unknown.expect_code(2).expect_output(&["9999", "latest"]);
    }
}

#[test]
fn tables_are_listed_with_their_pipelines_and_what_pyiceberg_counts() {
    for (catalog, warehouse) in [
        (Catalog::Postgres, Warehouse::Local),
        (Catalog::Rest, Warehouse::S3),
    ] {
        let (_topic, pipeline) = pipeline(catalog, warehouse);
        let tables = answer(&pipeline, &["tables"]);
        let tables = tables.as_array().expect("tables");
        assert_eq!(tables.len(), 1);
        let (table, read) = (&tables[0], pipeline.read());
        assert_eq!(table["table"], pipeline.table_name());
        assert_eq!(table["rows"], read.count);
        assert_eq!(table["files"], read.files.len());
        assert_eq!(table["snapshots"], read.snapshots);
        let writers = table["pipelines"].as_array().expect("pipelines");
        assert_eq!(writers.len(), 1);
        assert_eq!(writers[0]["pipeline"], pipeline.group);
        let text = offline(&pipeline, &["tables"]).run().expect_code(0);
        text.expect_output(&[&pipeline.table_name(), &pipeline.group, "1,201"]);
    }
}

#[test]
fn a_shell_that_has_read_the_completions_completes() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| Calve::new(args, dir.path()).run().expect_code(0);
    let script = run(&["completions", "bash"]).stdout;
    std::fs::write(dir.path().join("calve.bash"), script).expect("a script");
    // What bash does when somebody types `calve checkpoints d<TAB>`.
    let typed = "source calve.bash; COMP_WORDS=(calve checkpoints d); COMP_CWORD=2; \
                 _calve calve d checkpoints; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", typed]).current_dir(dir.path());
    let output = bash.output().expect("bash runs");
    let completed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(completed.trim(), "diff", "{output:?}");
    for (shell, sign) in [("zsh", "#compdef calve"), ("fish", "complete -c calve")] {
        run(&["completions", shell]).expect_output(&[sign, "verify"]);
    }
}

#[test]
fn the_manual_has_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let page = Calve::new(&["man"], dir.path()).run().expect_code(0).stdout;
    let help = Calve::new(&["--help"], dir.path())
        .run()
        .expect_code(0)
        .stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    // Deeper lines go on with a description.
    let names = commands
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let mut count = 0;
    for name in names {
        count += 1;
        let section = format!(".SH \"CALVE {}\"", name.to_uppercase());
        assert!(page.contains(&section), "{section} is missing");
    }
    assert!(count >= 12, "{help}");
    assert!(page.contains("CALVE CHECKPOINTS DIFF") && page.contains("no\\-probe"));
}
