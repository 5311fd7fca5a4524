//! Savepoints of dataflows with state: offsets and state are taken together and come back together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Calve, Catalog, Load, Pipeline, Produced, Producer, Running, Topic, Warehouse, read_savepoint,
};

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// `calve run dedup` with a REST API; a checkpoint each 300 ms.
fn dedup(pipeline: &Pipeline, workers: usize) -> Calve {
    let run = pipeline.dedup().workers(workers).set("rest.port", "0");
    run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300")
}

/// The same to the end of the topic, from a savepoint.
fn from(pipeline: &Pipeline, folder: &str, workers: usize) -> Calve {
    dedup(pipeline, workers).bounded().arg("--from").arg(folder)
}

fn savepoint(pipeline: &Pipeline, running: &Running) -> String {
    pipeline.ask_savepoint(&running.rest(), &["savepoint"], &pipeline.savepoints())
}

/// Ends the process, too.
fn stop(pipeline: &Pipeline, running: Running, directory: &str) -> String {
    let folder = pipeline.ask_savepoint(&running.rest(), &["stop", "--savepoint"], directory);
    running.wait(PATIENCE).expect_code(0);
    folder
}

/// The files in a savepoint's folder of state.
fn state_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("{folder}/state")).expect("a copy of the state");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    files
}

/// What was produced between the two.
fn between(earlier: &Produced, later: &Produced) -> Produced {
    Produced {
        count: later.count - earlier.count,
        repeated: later.repeated - earlier.repeated,
        id_sum: later.id_sum.wrapping_sub(earlier.id_sum),
        repeated_id_sum: later.repeated_id_sum.wrapping_sub(earlier.repeated_id_sum),
        partitions: BTreeMap::new(),
    }
}

/// Waits until the topic has been read to here.
fn wait_committed(pipeline: &Pipeline, topic: &Topic, produced: &Produced) {
    pipeline.wait_committed(topic, produced.count as i64);
}

#[test]
fn stop_with_a_savepoint_and_a_run_from_it_with_other_workers_let_no_copy_in() {
    let topic = Topic::create("stop_state", 6);
    let pipeline = Pipeline::new(&topic);
    let load = Load::repeating(&topic, 3_000, 3, 21);
    let running = dedup(&pipeline, 6).start();
    running.wait_rows(3_000);
    let folder = stop(&pipeline, running, &pipeline.savepoints());
    let said = read_savepoint(&folder);
    assert_eq!(said["state"], "state");
    let epoch = said["marker"]["epoch"].as_u64().expect("an epoch");
    let stood = pipeline.markers().pop().expect("a marker");
    assert_eq!(stood["epoch"], epoch, "nothing is committed behind it");
    assert_eq!(stood["state-snapshot"], said["marker"]["state-snapshot"]);

    let running = dedup(&pipeline, 4).arg("--from").arg(&folder).start();
    running.wait_rows(3_000);
    let produced = load.stop();
    running.drain();
    dedup(&pipeline, 2).bounded().run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);

    // The table is ahead of it by now.
    let snapshot = said["snapshot-id"].to_string();
    let ahead = from(&pipeline, &folder, 2).run().expect_code(6);
    ahead.expect_output(&["would be there twice", "on-rollback=rewind", &snapshot]);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn a_new_table_from_a_savepoint_leaves_out_what_was_seen_before_it_and_needs_nothing_else() {
    let topic = Topic::create("fork_state", 6);
    let mut producer = Producer::new(&topic);
    let before = producer.repeating_samples(8_000, 3).finish();
    let mut pipeline = Pipeline::new(&topic);
    // Each checkpoint deletes the state of the one before.
    let run = dedup(&pipeline, 3).set("state.checkpoints.num-retained", "1");
    let running = run.start();
    wait_committed(&pipeline, &topic, &before);
    let folder = savepoint(&pipeline, &running);
    // The pipeline goes on, and forgets the state that the savepoint is a copy of.
    let mut produced = before.clone();
    for _ in 0..3 {
        produced = producer.repeating_samples(1_000, 3).finish();
        wait_committed(&pipeline, &topic, &produced);
    }
    running.drain();
    pipeline.read().assert_deduplicated(&produced);
    let produced = producer.repeat_all().finish();
    fs::remove_dir_all(pipeline.dir().join("checkpoints")).expect("the old state is gone");
    fs::remove_dir_all(pipeline.dir().join("state")).expect("the local one, too");

    pipeline.table = "fork".to_owned();
    from(&pipeline, &folder, 5).run().expect_code(0);
    pipeline.assert_begins_at(&folder);
    pipeline
        .read()
        .assert_deduplicated(&between(&before, &produced));

    // From the claim on nothing depends on the savepoint.
    fs::remove_dir_all(&folder).expect("somebody deletes it");
    let produced = producer.repeating_samples(1_000, 2).repeat_all().finish();
    dedup(&pipeline, 2).bounded().run().expect_code(0);
    pipeline
        .read()
        .assert_deduplicated(&between(&before, &produced));
}

#[test]
fn two_processes_go_on_from_a_savepoint_of_one() {
    let topic = Topic::create("state_two", 6);
    let mut producer = Producer::new(&topic);
    let before = producer.repeating_samples(6_000, 3).finish();
    let mut pipeline = Pipeline::new(&topic);
    let running = dedup(&pipeline, 3).start();
    wait_committed(&pipeline, &topic, &before);
    let folder = stop(&pipeline, running, &pipeline.savepoints());
    let produced = producer.repeating_samples(2_000, 3).repeat_all().finish();

    pipeline.table = "fork".to_owned();
    let processes = pipeline.two(|| from(&pipeline, &folder, 2).set("rest.port", "off"));
    for process in processes.map(Calve::start) {
        process.wait(PATIENCE).expect_code(0);
    }
    pipeline
        .read()
        .assert_deduplicated(&between(&before, &produced));
}

#[test]
fn a_savepoint_with_its_state_on_s3_is_gone_on_from_and_fills_a_new_table() {
    let topic = Topic::create("state_s3", 4);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let mut producer = Producer::new(&topic);
    let before = producer.repeating_samples(6_000, 3).finish();
    let running = dedup(&pipeline, 3).start();
    wait_committed(&pipeline, &topic, &before);
    let directory = format!("{}/savepoints", pipeline.warehouse_location());
    let folder = stop(&pipeline, running, &directory);
    assert!(folder.starts_with(&directory), "{folder}");
    let produced = producer.repeating_samples(2_000, 3).repeat_all().finish();
    from(&pipeline, &folder, 5).run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);
    pipeline.table = "fork".to_owned();
    from(&pipeline, &folder, 2).run().expect_code(0);
    pipeline
        .read()
        .assert_deduplicated(&between(&before, &produced));
}

#[test]
fn a_table_that_was_rolled_back_gets_the_savepoints_state_which_no_checkpoint_has_any_more() {
    let topic = Topic::create("state_back", 3);
    let mut producer = Producer::new(&topic);
    let first = producer.repeating_samples(2_000, 3).finish();
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let checkpoints = pipeline.dir().join("checkpoints");
    let location = format!("file://{}", checkpoints.display());
    let here = |calve: Calve| calve.env("FLINK_CHECKPOINT_DIR", &location);
    let run = here(dedup(&pipeline, 3)).env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000");
    let running = run.start();
    running.rest().wait_read(first.count);
    let folder = savepoint(&pipeline, &running);
    let second = producer.repeating_samples(2_000, 3).finish();
    running.rest().wait_read(second.count);
    running.drain();
    pipeline.read().assert_deduplicated(&second);

    pipeline.change_table(json!({ "roll_back": 1 }));
    pipeline.read().assert_deduplicated(&first);
    let produced = producer.repeat_all().finish();
    fs::remove_dir_all(&checkpoints).expect("the checkpoints are gone");
    let rewind = |calve: Calve| here(calve).set("on-rollback", "rewind");
    let gone = rewind(dedup(&pipeline, 2).bounded()).run().expect_code(6);
    gone.expect_output(&["there is no state snapshot", "savepoint"]);
    let run = rewind(from(&pipeline, &folder, 2));
    run.run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);
}

/// A savepoint of a finished pipeline of which more was produced.
struct Scene {
    topic: Topic,
    pipeline: Pipeline,
    folder: String,
    later: Produced,
}

impl Scene {
    fn new(hint: &str) -> Scene {
        let topic = Topic::create(hint, 3);
        let mut producer = Producer::new(&topic);
        let before = producer.repeating_samples(3_000, 3).finish();
        let mut pipeline = Pipeline::new(&topic);
        let running = dedup(&pipeline, 2).start();
        wait_committed(&pipeline, &topic, &before);
        let folder = stop(&pipeline, running, &pipeline.savepoints());
        let produced = producer.repeating_samples(1_000, 3).repeat_all().finish();
        pipeline.table = "fork".to_owned();
        Scene {
            topic,
            pipeline,
            folder,
            later: between(&before, &produced),
        }
    }

    fn from(&self) -> Calve {
        from(&self.pipeline, &self.folder, 3)
    }

    /// The new table holds what came later, from the savepoint's offsets on.
    #[track_caller]
    fn assert_forked(&self) {
        self.pipeline.assert_begins_at(&self.folder);
        self.pipeline.read().assert_deduplicated(&self.later);
    }
}

/// Flips a bit in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x04;
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_changed_byte_and_a_missing_file_are_noticed_before_anything_is_claimed() {
    let scene = Scene::new("state_damage");
    let mut files = state_files(&scene.folder);
    assert!(
        files
            .iter()
            .any(|file| file.extension() == Some("sst".as_ref()))
    );
    files.push(format!("{}/savepoint.json", scene.folder).into());
    for file in &files {
        let whole = fs::read(file).expect("a file");
        let name = file.display().to_string();
        damage(file);
        let refused = scene.from().run();
        assert!(
            [Some(3), Some(6)].contains(&refused.code),
            "{}",
            refused.output()
        );
        refused.expect_output(&[&name, "damaged", "name another one"]);
        fs::remove_file(file).expect("removed");
        let refused = scene.from().run();
        assert!(
            [Some(2), Some(6)].contains(&refused.code),
            "{}",
            refused.output()
        );
        refused.expect_output(&[&name]);
        fs::write(file, whole).expect("restored");
    }
    assert_eq!(scene.pipeline.markers(), [] as [Value; 0]);
    scene.from().run().expect_code(0);
    scene.assert_forked();
}

#[test]
fn a_state_that_is_not_this_dataflows_is_refused_with_the_reason() {
    let scene = Scene::new("state_other");
    let refused = |run: Calve, texts: &[&str]| {
        run.run().expect_code(2).expect_output(texts);
    };
    let other_key = scene.from().env("CALVE_DEDUP_KEY", "user_id");
    refused(
        other_key,
        &["dedup by sample_id", "dedup by user_id", "savepoint"],
    );
    let other_groups = scene.from().set("max-parallelism", "64");
    refused(other_groups, &["max-parallelism=128", "the savepoint"]);
    let ingest = scene.pipeline.run().bounded();
    let ingest = ingest.arg("--from").arg(&scene.folder);
    refused(
        ingest,
        &["dataflow ingest keeps no state", "the savepoint has some"],
    );
    assert_eq!(scene.pipeline.markers(), [] as [Value; 0]);

    // Nor does dedup go on from offsets without a memory.
    let stateless = Pipeline::new(&scene.topic);
    let running = stateless.run().set("rest.port", "0").start();
    let folder = stop(&stateless, running, &stateless.savepoints());
    refused(
        from(&scene.pipeline, &folder, 1),
        &["dataflow dedup keeps state", "a dataflow without state"],
    );
}

#[test]
fn a_savepoint_before_the_first_record_has_the_empty_state() {
    let topic = Topic::create("state_empty", 2);
    let mut pipeline = Pipeline::new(&topic);
    let running = dedup(&pipeline, 2).start();
    let folder = stop(&pipeline, running, &pipeline.savepoints());
    assert_eq!(read_savepoint(&folder)["state"], Value::Null);
    let produced = Producer::new(&topic).repeating_samples(1_000, 3).finish();
    pipeline.table = "fork".to_owned();
    from(&pipeline, &folder, 3).run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn killed_while_the_savepoint_is_written_it_is_none_and_the_pipeline_goes_on() {
    let topic = Topic::create("state_half", 3);
    let mut producer = Producer::new(&topic);
    let produced = producer.repeating_samples(3_000, 3).finish();
    let pipeline = Pipeline::new(&topic);
    let run = dedup(&pipeline, 2).failpoint("savepoint", 0, "kill");
    let running = run.start();
    wait_committed(&pipeline, &topic, &produced);
    let rest = running.rest();
    let ask = pipeline.calve(&["savepoint"]).arg("--url").arg(&rest.url());
    let ask = ask.arg("--path").arg(&pipeline.savepoints()).start();
    running.wait(PATIENCE).expect_killed_at("savepoint");
    assert_ne!(ask.wait(PATIENCE).code, Some(0), "nobody was told of one");
    let half = fs::read_dir(pipeline.savepoints());
    let half = half.expect("a folder").next();
    let half = half.expect("half a savepoint").expect("a folder").path();
    let half = half.display().to_string();
    assert!(!state_files(&half).is_empty(), "its state was there");
    let refused = from(&pipeline, &half, 2).run().expect_code(2);
    refused.expect_output(&["there is no savepoint"]);
    let produced = producer.repeat_all().finish();
    dedup(&pipeline, 3).bounded().run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn killed_between_the_copy_of_a_savepoints_state_and_the_claim_the_next_start_copies_it_again() {
    let scene = Scene::new("state_import");
    for point in ["state-import", "before-swap", "state-restore"] {
        let run = scene.from().failpoint(point, 0, "kill");
        run.start().wait(PATIENCE).expect_killed_at(point);
    }
    // The last one had claimed: the savepoint is behind it now, though no record is.
    let ahead = scene.from().run().expect_code(6);
    ahead.expect_output(&["has already written to it", "run without --from"]);
    dedup(&scene.pipeline, 2).bounded().run().expect_code(0);
    scene.assert_forked();
    // The copies that no claim has named are garbage.
    let markers = scene.pipeline.markers();
    let named = markers
        .iter()
        .map(|marker| marker["state-snapshot"].as_str());
    let named: BTreeSet<_> = named
        .map(|name| name.expect("a state").to_owned())
        .collect();
    let there = snapshots(&scene.pipeline, &markers[0]["table-uuid"]);
    assert!(!there.is_empty() && there.is_subset(&named), "{there:#?}");
}

/// The state snapshots of this table that are there.
fn snapshots(pipeline: &Pipeline, table: &Value) -> BTreeSet<String> {
    let uuid = table.as_str().expect("a UUID").replace('-', "");
    let owners = fs::read_dir(pipeline.dir().join("checkpoints")).expect("a folder");
    let mut owners = owners.flatten().map(|owner| owner.path());
    let owner = owners.find(|owner| owner.display().to_string().ends_with(&uuid));
    let files = fs::read_dir(owner.expect("a folder of its own")).expect("a folder");
    let names = files.flatten().map(|file| file.file_name().into_string());
    let names = names.map(|name| name.expect("a plain name"));
    let manifests = names.filter_map(|name| Some(name.strip_suffix(".manifest.json")?.to_owned()));
    manifests.collect()
}
