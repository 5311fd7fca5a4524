//! Flink's own web UI in a browser, its files from Maven and its data from calve: it finds all that it asks for, and shows
//! what is so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Action, Browser, Pipeline, Producer, Proxy, Rest, Services, Topic, eventually, flink_jars,
};

/// The files of the UI, unpacked from its jar into `folder`.
fn unpacked(folder: &Path) -> PathBuf {
    let jars = fs::read_dir(flink_jars()).expect("the jars of Flink");
    let jar = jars
        .map(|jar| jar.expect("a jar").path())
        .find(|jar| jar.to_string_lossy().contains("flink-runtime-web"))
        .expect("flink-runtime-web is fetched: tests/services/setup.sh all");
    let unpacked = Command::new(&Services::get().python)
        .args(["-m", "zipfile", "-e"])
        .args([&jar, folder])
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()), "{jar:?}");
    folder.join("web")
}

/// The UI's files, and behind them, as a reverse proxy would have it, calve.
fn site(rest: &Rest, files: PathBuf) -> Proxy {
    Proxy::start(&rest.url(), move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let name = match path.trim_start_matches('/') {
            "" => "index.html",
            name => name,
        };
        match fs::read(files.join(name)) {
            Ok(file) => Action::Serve(kind(name), file),
            Err(_) => Action::Pass,
        }
    })
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[test]
fn flinks_web_ui_finds_all_that_it_asks_for_and_shows_the_job_and_its_checkpoints() {
    let topic = Topic::create("flink_ui", 2);
    let produced = Producer::new(&topic).samples(2_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    rest.wait_read(2_000);
    rest.ask("/checkpoints", "", "/checkpoints");
    let snapshot = pipeline.current_snapshot().to_string();
    let directory = pipeline.savepoints();
    let body = json!({ "target-directory": directory, "cancel-job": false });
    let savepoint = rest.ask("/savepoints", &body.to_string(), "/savepoints");
    let savepoint = savepoint["location"].as_str().expect("a location");

    let site = site(&rest, unpacked(&pipeline.dir().join("flink-ui")));
    let browser = Browser::open(&site.url(), (1440, 900), "light");
    let go = |page: &str| browser.go(&format!("{}/#/{page}", site.url()));
    // A page is loaded without a request that fails, and without a defect of a script that does not find a field.
    let clean = |page: &str| {
        let mut said = browser.console();
        // Its graph is measured once more when its page has been left: a defect of its own, whatever the answers are.
        said.retain(|line| !line.contains("'SVGLength': Could not resolve relative length"));
        assert_eq!(said, [""; 0], "{page}");
    };
    browser.wait_text("flink-overview", &pipeline.group);
    browser.wait_text("flink-overview", "RUNNING");
    clean("the overview");

    let job = format!("job/running/{}", rest.job);
    go(&format!("{job}/overview"));
    for operator in ["Coordinator", "Kafka source", "Decode", "Stage", "Commit"] {
        browser.wait_text("flink-job-overview", operator);
    }
    clean("the job");

    go(&format!("{job}/checkpoints"));
    let tab = |name: &str| {
        let found = browser.run(&format!(
            "const tab = [...document.querySelectorAll('flink-job-checkpoints [role=tab]')]\
             .find(t => t.innerText.trim() === '{name}'); tab?.click(); return tab != null"
        ));
        assert_eq!(found, true, "a tab {name}");
    };
    browser.wait_text("flink-job-checkpoints", "Completed: 2");
    browser.wait_text("flink-job-checkpoints", "Failed: 0");
    browser.wait_text("flink-job-checkpoints", &snapshot);
    browser.wait_text("flink-job-checkpoints", savepoint);
    tab("History");
    browser.wait_text("flink-job-checkpoints", "COMPLETED");
    clean("the checkpoints");
    tab("Configuration");
    browser.wait_text("flink-job-checkpoints", "Exactly Once");
    browser.wait_text("flink-job-checkpoints", "1h 0m 0s");
    clean("their configuration");

    let vertices = rest.job("")["vertices"].clone();
    let mut vertices = vertices.as_array().expect("vertices").iter();
    let stage = vertices.find(|vertex| vertex["name"] == "Stage");
    let stage = stage.expect("Stage")["id"].as_str().expect("an id");
    let process = rest.get("/taskmanagers")["taskmanagers"][0]["id"].clone();
    let process = process.as_str().expect("an id");
    let pages = |folder: &str, element: &'static str, names: &[&str]| -> Vec<(String, &str)> {
        let pages = names
            .iter()
            .map(|name| (format!("{folder}/{name}"), element));
        pages.collect()
    };
    let all = [
        pages(
            &format!("{job}/overview/{stage}"),
            "flink-job-overview-drawer",
            &[
                "detail",
                "subtasks",
                "taskmanagers",
                "watermarks",
                "accumulators",
                "metrics",
                "backpressure",
                "flamegraph",
            ],
        ),
        pages(
            &job,
            "flink-job",
            &["timeline", "exceptions", "dataskew", "configuration"],
        ),
        pages(
            "job-manager",
            "flink-job-manager",
            &["metrics", "config", "logs", "stdout", "log", "thread-dump"],
        ),
        pages(
            &format!("task-manager/{process}"),
            "flink-task-manager",
            &["metrics", "logs", "stdout", "log-list", "thread-dump"],
        ),
    ];
    for (page, element) in all.into_iter().flatten() {
        go(&page);
        eventually(&format!("{page} is there"), || {
            browser.text(element).trim().len() > 20
        });
        sleep(Duration::from_millis(700));
        clean(&page);
    }
    go(&format!("{job}/overview"));
    browser.wait_text("flink-job-overview", "Busy (max): 0%");
    go("job-manager/logs");
    browser.wait_text("flink-job-manager", "checkpoint committed");

    running.drain();
    pipeline.assert_exactly(&produced);
}
