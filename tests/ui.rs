//! The web UI of a real run, in a real browser: true figures, on every screen, with mouse and keyboard.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Browser, Catalog, ENTER, Load, Pipeline, Producer, RIGHT, Rest, Running, TAB, Topic, Warehouse,
    eventually, switchable,
};

const PHONE: (u32, u32) = (360, 740);
const DESK: (u32, u32) = (1440, 900);
const VIEWS: [&str; 7] = [
    "overview",
    "graph",
    "checkpoints",
    "tables",
    "rejects",
    "configuration",
    "logs",
];

fn state(rest: &Rest) -> Value {
    rest.get("/calve/state")
}

fn wait_read(rest: &Rest, records: u64) {
    eventually(&format!("{records} records are read"), || {
        state(rest)["figures"]["records-read"] == records
    });
}

fn show(browser: &Browser, view: &str) {
    browser.run(&format!("location.hash = '#/{view}'"));
    eventually("the view is there", || {
        let current = browser.run("return document.querySelector('[aria-current]').dataset.view");
        current == view
    });
}

/// A figure of a tile, by the tile's name.
fn tile(browser: &Browser, name: &str) -> String {
    let found = browser.run(&format!(
        "return [...document.querySelectorAll('.tile')].find(t => t.querySelector('dt').innerText === '{name}')\
         ?.querySelector('.value').innerText ?? ''"
    ));
    found.as_str().expect("text").to_owned()
}

fn wait_tile(browser: &Browser, name: &str, figure: &str) {
    eventually(&format!("{name} is {figure}"), || {
        tile(browser, name) == figure
    });
}

/// Answers the question that a button asks.
fn confirm(browser: &Browser, button: &str, answer: &str) {
    browser.click(button);
    eventually("the question is asked", || {
        browser.run("return document.querySelector('dialog').open") == true
    });
    browser.click(answer);
}

#[test]
fn a_click_makes_a_checkpoint_and_the_views_show_what_the_readers_find_in_the_table() {
    let topic = Topic::create("ui", 3);
    let produced = Producer::new(&topic).samples(5_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().set("on-reject", "skip").start();
    let rest = running.rest();
    wait_read(&rest, 5_000);
    Producer::new(&topic)
        .raw(1, b"{\"no\": \"sample\"}")
        .finish();
    wait_read(&rest, 5_001);
    let browser = Browser::open(&rest.url(), DESK, "light");
    browser.wait_text("#phase", "running");
    wait_tile(&browser, "In the table", "0");
    wait_tile(&browser, "Lag", "0");
    show(&browser, "graph");
    browser.wait_text(".sentence", "Epoch 1 is open");

    confirm(&browser, "Checkpoint now", "Make a checkpoint");
    browser.wait_text("#toasts", "Checkpoint 1 is in the table.");
    let table = pipeline.assert_exactly(&produced);
    browser.wait_text(".sentence", "Epoch 2 is open");
    let graph = browser.text("svg.graph");
    for operator in ["Coordinator", "Kafka source", "Decode", "Stage", "Commit"] {
        assert!(graph.contains(operator), "{graph}");
    }
    assert!(
        graph.contains("5,000 rec") && graph.contains("epoch 2"),
        "{graph}"
    );

    show(&browser, "overview");
    wait_tile(&browser, "In the table", "5,000");
    show(&browser, "tables");
    wait_tile(&browser, "Rows", "5,000");
    wait_tile(&browser, "Data files", &table.files.len().to_string());
    wait_tile(&browser, "Snapshots kept", &table.snapshots.to_string());
    let snapshot = pipeline.current_snapshot().to_string();
    browser.wait_text(".facts", &snapshot);
    browser.wait_text(".facts", &pipeline.warehouse_location());
    show(&browser, "checkpoints");
    wait_tile(&browser, "Completed", "1");
    browser.wait_text("tbody", &snapshot);
    browser.click("Details");
    for (partition, offsets) in &table.partitions {
        let next = offsets.last + 1 + i64::from(*partition == 1);
        let next = format!("{partition}: {},{:03}", next / 1000, next % 1000);
        browser.wait_text(".details", &next);
    }
    show(&browser, "rejects");
    wait_tile(&browser, "Rejected records", "1");
    browser.wait_text("tbody", &topic.name);
    show(&browser, "configuration");
    browser.wait_text("tbody", "FLINK_CHECKPOINT_INTERVAL_MS");
    show(&browser, "logs");
    browser.wait_text(".log", "checkpoint committed epoch=1 records=5000");
    assert_eq!(browser.console(), [""; 0]);
    running.drain();
}

#[test]
fn a_stop_with_savepoint_asks_first_and_the_page_tells_how_it_ended() {
    let topic = Topic::create("ui_stop", 2);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let directory = pipeline.savepoints();
    let run = pipeline.patient().set("state.savepoints.dir", &directory);
    let mut running = run.start();
    let rest = running.rest();
    wait_read(&rest, 1_000);
    let browser = Browser::open(&rest.url(), DESK, "dark");
    browser.wait_text("#phase", "running");
    confirm(&browser, "Stop with savepoint", "Cancel");
    std::thread::sleep(Duration::from_secs(1));
    assert!(running.is_running() && state(&rest)["phase"] == "running");
    confirm(&browser, "Stop with savepoint", "Stop the pipeline");
    browser.wait_text("#toasts", &format!("The savepoint is in {directory}"));
    running.wait(Duration::from_secs(30)).expect_code(0);
    pipeline.assert_exactly(&produced);
    browser.wait_text("#phase", "finished");
    browser.wait_text("#lost", "The pipeline has ended, last seen");
}

#[test]
fn a_checkpoint_that_fails_is_told_with_its_reason() {
    let topic = Topic::create("ui_fails", 1);
    let produced = Producer::new(&topic).samples(100).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let (proxy, away) = switchable(&pipeline.rest);
    pipeline.rest = proxy.url();
    let running = pipeline
        .patient()
        .set("checkpoint.timeout", "3s")
        .set("checkpoint.tolerable-failed-checkpoints", "10")
        .start();
    let rest = running.rest();
    wait_read(&rest, 100);
    let browser = Browser::open(&rest.url(), DESK, "light");
    browser.wait_text("#phase", "running");
    away.store(true, Ordering::Relaxed);
    confirm(&browser, "Checkpoint now", "Make a checkpoint");
    browser.wait_text("#toasts", "Checkpoint now has failed: ");
    away.store(false, Ordering::Relaxed);
    show(&browser, "checkpoints");
    wait_tile(&browser, "Failed", "1");
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn with_a_token_configured_only_who_has_it_can_press_the_buttons() {
    let topic = Topic::create("ui_token", 1);
    let produced = Producer::new(&topic).samples(100).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().set("rest.token", "open-sesame").start();
    let rest = running.rest();
    wait_read(&rest, 100);
    let browser = Browser::open(&rest.url(), PHONE, "light");
    browser.wait_text("#phase", "running");
    let with_token = |token: &str| {
        browser.click("Checkpoint now");
        browser.run(&format!(
            "document.getElementById('ask-token').value = '{token}'"
        ));
        browser.click("Make a checkpoint");
    };
    with_token("open-barley");
    browser.wait_text("#toasts", "this needs the token of rest.token");
    assert_eq!(state(&rest)["checkpoints"]["counts"]["triggered"], 0);
    with_token("open-sesame");
    browser.wait_text("#toasts", "Checkpoint 1 is in the table.");
    show(&browser, "configuration");
    browser.wait_text("tbody", "rest.token");
    let page = browser.run("return document.documentElement.outerHTML");
    assert!(
        !page.to_string().contains("open-sesame"),
        "the token is shown"
    );
    assert!(!state(&rest).to_string().contains("open-sesame"));
    running.drain();
    pipeline.assert_exactly(&produced);
}

/// How much the page has jumped: the layout shifts that the browser has counted.
const JUMPS: &str = "let sum = 0; new PerformanceObserver(() => {}).observe({ type: 'layout-shift', buffered: true });
    const o = new PerformanceObserver(() => {}); o.observe({ type: 'layout-shift', buffered: true });
    for (const e of o.takeRecords()) sum += e.hadRecentInput ? 0 : e.value; return sum;";

/// The texts that stand out from their ground by less than 4.5:1.
const FAINT: &str = r"
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => { const v = c[i] / 255; return sum + weight * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
    const ground = (element) => { for (let e = element; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || element.disabled || !element.checkVisibility() || element.closest('noscript, dialog')) continue;
        const style = getComputedStyle(element);
        const text = light(rgba(element.closest('svg') ? style.fill : style.color));
        const behind = light(ground(element.closest('svg') ?? element));
        const ratio = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
        if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return faint;";

#[test]
fn every_view_fits_a_phone_and_a_desk_in_light_and_dark_without_a_jump_or_a_word_on_the_console() {
    let topic = Topic::create("ui_screens", 3);
    let load = Load::start(&topic, 500);
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(3).set("rest.port", "0");
    let running = run.start();
    running.wait_rows(1_000);
    let rest = running.rest();
    let browser = Browser::open(&rest.url(), PHONE, "light");
    for (screen, scheme) in [
        (PHONE, "light"),
        (PHONE, "dark"),
        (DESK, "light"),
        (DESK, "dark"),
    ] {
        browser.resize(screen.0, screen.1);
        browser.color_scheme(scheme);
        for view in VIEWS {
            // Loaded afresh at this view, as from a bookmark.
            browser.go("about:blank");
            browser.go(&format!("{}/#/{view}", rest.url()));
            browser.wait_text("#phase", "running");
            std::thread::sleep(Duration::from_millis(1_500));
            let place = format!("{view}, {} px, {scheme}", screen.0);
            let wide = browser.run("return document.documentElement.scrollWidth");
            assert!(
                wide.as_u64() <= Some(screen.0.into()),
                "{place}: {wide} px wide"
            );
            let jumps = browser.run(JUMPS).as_f64().expect("a number");
            assert!(jumps < 0.1, "{place}: the page jumps by {jumps}");
            let faint = browser.run(FAINT);
            assert_eq!(faint.as_array().map(Vec::len), Some(0), "{place}: {faint}");
            let height = browser.run("return document.getElementById('view').innerText.length");
            assert!(height.as_u64() > Some(40), "{place} is empty");
            assert_eq!(browser.console(), [""; 0], "{place}");
        }
    }
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(1).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

/// The pictures of the README and of every view, on both screens and in both schemes:
/// `CALVE_SCREENSHOTS=FOLDER tests/run --run-ignored only pictures`.
#[test]
#[ignore = "five minutes of load, for people to look at"]
fn pictures_of_every_view_under_load() {
    let folder = std::env::var("CALVE_SCREENSHOTS").expect("CALVE_SCREENSHOTS names a folder");
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder).expect("a folder");
    let topic = Topic::create("health_samples", 6);
    let mut pipeline = Pipeline::new(&topic);
    pipeline.group = "health".to_owned();
    let load = Load::start(&topic, 10_000);
    let run = pipeline.run().workers(6).set("rest.port", "0");
    let run = run
        .set("on-reject", "skip")
        .set("snapshots.max-age", "2min");
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "10000").start();
    let rest = running.rest();
    Producer::new(&topic)
        .raw(1, b"{\"no\": \"sample\"}")
        .finish();
    let directory = pipeline.savepoints();
    let savepoint = json!({ "target-directory": directory });
    rest.ask("/savepoints", &savepoint.to_string(), "/savepoints");
    std::thread::sleep(Duration::from_secs(200));
    let browser = Browser::open(&rest.url(), DESK, "light");
    browser.wait_text("#phase", "running");
    for (name, screen) in [("desk", DESK), ("phone", PHONE)] {
        browser.resize(screen.0, screen.1);
        for scheme in ["light", "dark"] {
            browser.color_scheme(scheme);
            for view in VIEWS {
                show(&browser, view);
                std::thread::sleep(Duration::from_millis(2_500));
                // As tall as the page, so that all of it is seen.
                let tall = "return Math.min(2400, document.documentElement.scrollHeight)";
                let tall = browser.run(tall).as_u64().expect("a height") as u32;
                browser.resize(screen.0, tall.max(screen.1));
                let picture = browser.screenshot();
                fs::write(folder.join(format!("{name}-{scheme}-{view}.png")), picture)
                    .expect("a file");
                browser.resize(screen.0, screen.1);
            }
        }
    }
    load.stop();
    running.drain();
}

#[test]
fn the_keyboard_reaches_every_view_and_every_button() {
    let topic = Topic::create("ui_keys", 1);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let browser = Browser::open(&running.rest().url(), DESK, "light");
    browser.wait_text("#phase", "running");
    let focused = || {
        let focused = browser
            .run("const e = document.activeElement; return e.dataset.view ?? e.innerText.trim()");
        focused.as_str().expect("text").to_owned()
    };
    let visible = "const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2";
    let mut reached = BTreeSet::new();
    for _ in 0..20 {
        browser.press(TAB);
        let here = focused();
        if VIEWS.contains(&here.as_str()) {
            assert_eq!(
                browser.run(visible),
                true,
                "the focus on {here} can't be seen"
            );
            browser.press(ENTER);
            browser.wait_text("[aria-current]", "");
            eventually("the view is open", || {
                let hash = browser.run("return location.hash");
                hash == format!("#/{here}")
            });
        }
        reached.insert(here);
    }
    for name in VIEWS
        .iter()
        .chain(&["Checkpoint now", "Savepoint", "Stop with savepoint"])
    {
        assert!(
            reached.contains(*name),
            "{name} is not reached: {reached:?}"
        );
    }
    // The arrows go from view to view, too, and around.
    browser.run("document.querySelector('[data-view=logs]').focus()");
    browser.press(RIGHT);
    assert_eq!(focused(), "overview");
    // A question can be left with the keyboard, and nothing was done.
    browser.run(
        "[...document.querySelectorAll('button')].find(b => b.innerText === 'Savepoint').focus()",
    );
    browser.press(ENTER);
    eventually("the question is asked", || {
        browser.run("return document.querySelector('dialog').open") == true
    });
    browser.press("\u{E00C}");
    eventually("the question is gone", || {
        browser.run("return document.querySelector('dialog').open") == false
    });
    assert_eq!(browser.console(), [""; 0]);
    running.drain();
}

/// Watches the events on a connection of its own: what has arrived until it is cut off or the time is over.
fn watch(rest: &Rest, time: Duration) -> String {
    let mut stream = ask_for_events(rest);
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout");
    let begin = Instant::now();
    let mut read = Vec::new();
    let mut buffer = [0; 64 << 10];
    while begin.elapsed() < time {
        if let Ok(count) = stream.read(&mut buffer) {
            read.extend_from_slice(&buffer[..count]);
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn ask_for_events(rest: &Rest) -> TcpStream {
    let mut stream = TcpStream::connect(rest.address).expect("a connection");
    let request = format!(
        "GET /calve/events HTTP/1.1\r\nHost: {}\r\n\r\n",
        rest.address
    );
    stream.write_all(request.as_bytes()).expect("asked");
    stream
}

#[test]
fn fifty_readers_that_never_read_hold_up_neither_the_pipeline_nor_those_who_do() {
    let topic = Topic::create("ui_readers", 3);
    let produced = Producer::new(&topic).samples(30_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running: Running = pipeline.patient().start();
    let rest = running.rest();
    let slow: Vec<TcpStream> = (0..50).map(|_| ask_for_events(&rest)).collect();
    wait_read(&rest, 30_000);
    let events = watch(&rest, Duration::from_secs(4));
    let seen = events.matches("data: {").count();
    assert!((3..=5).contains(&seen), "{seen} events in four seconds");
    let last = events.rsplit("data: ").nth(1).unwrap_or_default();
    assert!(last.contains("\"records-read\":30000"), "{last}");
    // They hold up the end of the process as little.
    let begin = Instant::now();
    running.drain();
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
    drop(slow);
    pipeline.assert_exactly(&produced);
}

#[test]
fn the_page_is_served_under_a_strict_policy_and_nothing_beside_it() {
    let topic = Topic::create("ui_policy", 1);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        rest.address
    );
    let mut stream = TcpStream::connect(rest.address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let head = answer
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{head}"
    );
    assert!(!head.contains("unsafe"), "{head}");
    for path in [
        "/ui/..%2f..%2fCargo.toml",
        "/ui/%2e%2e/app.js",
        "/ui/nothing.js",
        "/ui/",
    ] {
        assert_eq!(rest.call("GET", path, &[], "").0, 404, "{path}");
    }
    assert_eq!(rest.call("GET", "/calve/logs?after=x", &[], "").0, 400);
    running.drain();
}
