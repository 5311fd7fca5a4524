//! Flink's own command line client tells calve what to do, as it tells a Flink cluster.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::{Pipeline, Producer, Rest, Topic, eventually, flink_jars};

/// `flink ARGS -m ADDRESS`: its output, which must have come with this exit code.
#[track_caller]
fn flink(pipeline: &Pipeline, rest: &Rest, args: &[&str], code: i32) -> String {
    let home = pipeline.dir().join("flink");
    fs::create_dir_all(&home).expect("a folder");
    fs::write(home.join("config.yaml"), "rest.retry.max-attempts: 3\n").expect("a file");
    let (command, args) = args.split_first().expect("a command");
    let output = Command::new("java")
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(flink_jars().join("*"))
        .arg("org.apache.flink.client.cli.CliFrontend")
        .arg(command)
        .args(["-m", &rest.address.to_string()])
        .args(args)
        .env("FLINK_CONF_DIR", &home)
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    println!("flink {command} {args:?}: {}\n{text}", output.status);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn flinks_client_lists_makes_savepoints_stops_and_cancels() {
    let topic = Topic::create("flink_client", 2);
    let produced = Producer::new(&topic).samples(2_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    let directory = pipeline.savepoints();

    let list = flink(&pipeline, &rest, &["list"], 0);
    assert!(list.contains(&rest.job), "{list}");
    assert!(
        list.contains(&format!("{} (RUNNING)", pipeline.group)),
        "{list}"
    );

    let savepoint = flink(&pipeline, &rest, &["savepoint", &rest.job, &directory], 0);
    assert!(
        savepoint.contains(&format!("Savepoint completed. Path: {directory}")),
        "{savepoint}"
    );

    // What can't be done is told with calve's own reason.
    let nowhere = flink(
        &pipeline,
        &rest,
        &["savepoint", &rest.job, "/proc/nowhere"],
        1,
    );
    assert!(nowhere.contains("can't be written"), "{nowhere}");

    let stop = flink(&pipeline, &rest, &["stop", "-p", &directory, &rest.job], 0);
    assert!(stop.contains("Savepoint completed. Path: "), "{stop}");
    running.wait(Duration::from_secs(30)).expect_code(0);
    let (_, folder) = stop.split_once("Path: ").expect("a path");
    let folder = folder.lines().next().expect("a path");

    let running = pipeline.patient().arg("--from").arg(folder).start();
    let rest = running.rest();
    flink(&pipeline, &rest, &["cancel", &rest.job], 0);
    running.wait(Duration::from_secs(30)).expect_code(0);

    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    eventually("the savepoints are kept", || {
        fs::read_dir(&directory).is_ok_and(|folders| folders.count() == 2)
    });
}
