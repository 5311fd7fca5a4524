//! Bad input and abuse, over HTTP: what is refused, and that nobody who hangs, crawls or floods costs the pipeline anything.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Load, Pipeline, Producer, Running, Topic, eventually};

/// Connections that say nothing, never end their request, or never read the answers to a hundred of them.
fn hang(address: SocketAddr, path: &str, count: usize) -> Vec<TcpStream> {
    let connect = |index: usize| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        // The last ones may not be let in.
        let _ = match index % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
            _ => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                stream.write_all(request.repeat(100).as_bytes())
            }
        };
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn malformed_requests_are_refused_and_nothing_is_told_of_this_machine() {
    let topic = Topic::create("malformed", 1);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    let job = rest.job.clone();
    let long = "x".repeat(20_000);
    let huge = "y".repeat(1 << 20);
    let cases: Vec<(u16, &str, String, &str)> = vec![
        (400, "POST", format!("/jobs/{job}/savepoints"), "{"),
        (400, "POST", format!("/jobs/{job}/savepoints"), "[1, 2]"),
        (
            400,
            "POST",
            format!("/jobs/{job}/savepoints"),
            r#"{"target-directory": 7}"#,
        ),
        (
            400,
            "POST",
            format!("/jobs/{job}/checkpoints"),
            r#"{"triggerId": "../../etc"}"#,
        ),
        (400, "POST", format!("/jobs/{job}/stop"), "\u{0}\u{1}"),
        (413, "POST", format!("/jobs/{job}/stop"), &huge),
        (400, "GET", "/jobs/..%2f..%2fetc%2fpasswd".to_owned(), ""),
        (404, "GET", "/../../etc/passwd".to_owned(), ""),
        (404, "GET", "/%2e%2e/%2e%2e/etc/passwd".to_owned(), ""),
        (414, "GET", format!("/jobs/{job}/metrics?get={long}"), ""),
        (
            400,
            "GET",
            format!("/jobs/{job}/checkpoints/details/99999999999999999999"),
            "",
        ),
        (
            404,
            "GET",
            format!("/jobs/{job}/checkpoints/details/77"),
            "",
        ),
        (
            404,
            "GET",
            format!("/jobs/{job}/savepoints/{}", "a".repeat(32)),
            "",
        ),
        (405, "DELETE", format!("/jobs/{job}"), ""),
        (400, "PATCH", format!("/jobs/{job}?mode=explode"), ""),
    ];
    for (expected, method, path, body) in &cases {
        let (status, answer) = rest.call(method, path, &[], body);
        let shown: String = path.chars().take(80).collect();
        assert_eq!(status, *expected, "{method} {shown}: {answer}");
        let dir = pipeline.dir().display().to_string();
        for leak in ["src/", "panicked", "root:", dir.as_str()] {
            assert!(!answer.contains(leak), "{method} {shown}: {answer}");
        }
    }
    for raw in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[0xff; 100_000],
    ] {
        let (status, _) = rest.raw(raw);
        assert!(
            status == 0 || status == 400 || status == 414 || status == 505,
            "{status}"
        );
    }
    assert_eq!(rest.get("/jobs")["jobs"][0]["status"], "RUNNING");
    running.drain();
}

#[test]
fn ten_thousand_requests_and_clients_that_hang_cost_the_pipeline_nothing() {
    let topic = Topic::create("abuse", 2);
    let load = Load::start(&topic, 5_000);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.run().workers(2).set("rest.port", "0").start();
    running.wait_rows(1);
    let rest = running.rest();
    let connect = || TcpStream::connect(rest.address).expect("the REST API listens");
    let hanging = hang(rest.address, "/jobmanager/config", 100);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for path in [
                    "/jobs/overview",
                    "/metrics",
                    "/calve/checkpoints",
                    "/nothing",
                    "/taskmanagers",
                ] {
                    let mut stream = connect();
                    let patience = Some(Duration::from_secs(30));
                    stream.set_read_timeout(patience).expect("a timeout");
                    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                    for _ in 0..500 {
                        stream.write_all(request.as_bytes()).expect("a request");
                        read_answer(&mut stream);
                    }
                }
            });
        }
    });
    println!("10,000 requests took {:.1?}", begin.elapsed());
    let before = running.committed_rows();
    eventually("rows go on to be committed", || {
        running.committed_rows() > before + 5_000
    });
    assert_eq!(rest.get("/jobs")["jobs"][0]["status"], "RUNNING");
    let produced = load.stop();
    running.drain();
    drop(hanging);
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

/// Reads one answer of known length.
fn read_answer(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let (_, rest) = head.split_once("content-length: ").expect("a length");
    let length = rest
        .lines()
        .next()
        .expect("a length")
        .parse()
        .expect("a number");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
}

#[test]
fn those_who_hang_or_never_read_take_less_than_a_hundredth_of_a_core() {
    let topic = Topic::create("idle", 2);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.patient().start();
    let rest = running.rest();
    let hundredths_in_ten_seconds = || {
        thread::sleep(Duration::from_secs(2));
        let before = running.processor_time();
        thread::sleep(Duration::from_secs(10));
        running.processor_time() - before
    };
    let alone = hundredths_in_ten_seconds();
    // A third of these asks for the events, and is told once a second how the pipeline is.
    let hanging = hang(rest.address, "/calve/events", 150);
    let beset = hundredths_in_ten_seconds();
    println!("in ten seconds: alone {alone} hundredths of a second, beset {beset}");
    assert!(beset <= alone + 10, "alone {alone}, beset {beset}");
    assert_eq!(rest.get("/jobs")["jobs"][0]["status"], "RUNNING");
    running.drain();
    drop(hanging);
    pipeline.assert_exactly(&produced);
}

#[test]
fn scrapers_that_hang_take_a_bounded_number_of_files_and_the_pipeline_goes_on() {
    let topic = Topic::create("scrapers", 2);
    let load = Load::start(&topic, 2_000);
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(2).set("rest.port", "off");
    let running = run.set("metrics.prometheus-port", "0").start();
    running.wait_rows(1);
    let hanging = hang(running.metrics().address, "/metrics", 600);
    let before = running.committed_rows();
    eventually("rows go on to be committed", || {
        running.committed_rows() > before + 5_000
    });
    let files = fs::read_dir(format!("/proc/{}/fd", running.pid()));
    let files = files.expect("a running process").count();
    assert!(files < 400, "{files} open files");
    drop(hanging);
    eventually("a scrape is answered", || {
        running.figures(["calve_records_read_total"]).is_some()
    });
    let produced = load.stop();
    running.drain();
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn what_is_switched_off_does_not_listen() {
    let topic = Topic::create("off", 1);
    let produced = Producer::new(&topic).samples(10).finish();
    let pipeline = Pipeline::new(&topic);
    // The tests switch both off unless told otherwise.
    let off = pipeline.run().start();
    off.wait_rows(10);
    assert_eq!(listening(&off), 0);
    off.drain();
    let on = pipeline
        .patient()
        .set("metrics.prometheus-port", "0")
        .start();
    on.rest();
    assert_eq!(listening(&on), 2);
    on.drain();
    pipeline.assert_exactly(&produced);
}

/// So many sockets of the process wait for connections.
fn listening(running: &Running) -> usize {
    const LISTEN: &str = "0A";
    let listening: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| {
            let table = fs::read_to_string(table).unwrap_or_default();
            let lines = table.lines().skip(1).map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                (fields[3] == LISTEN).then(|| format!("socket:[{}]", fields[9]))
            });
            lines.flatten().collect::<Vec<_>>()
        })
        .collect();
    let files = fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("a running process");
    let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    files
        .filter(|file| {
            listening
                .iter()
                .any(|socket| file.as_os_str() == socket.as_str())
        })
        .count()
}
