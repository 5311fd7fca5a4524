//! What is scraped, beside what Prometheus' own tools and the documentation say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::Value;

use crate::support::{
    Pipeline, Produced, Producer, Prometheus, Running, Topic, deployed, eventually, promtool,
};

/// A pipeline with a few checkpoints behind it, whose metrics have a port.
fn running(pipeline: &Pipeline, settings: &[(&str, &str)]) -> Running {
    let run = pipeline.run().workers(2).env("PROMETHEUS_PORT", "0");
    let run = settings.iter().fold(run, |run, (k, v)| run.set(k, v));
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "500").start();
    running.wait_rows(RECORDS);
    // The lag is looked at once a second.
    eventually("the figures of the partitions are told", || {
        running.scrape().contains("\ncalve_partition_lag_records{")
    });
    running
}

const RECORDS: u64 = 1_000;

/// A topic with records.
fn filled(name: &str) -> (Produced, Pipeline) {
    let topic = Topic::create(name, 2);
    let mut producer = Producer::new(&topic);
    let produced = producer.samples(RECORDS as usize).finish();
    (produced, Pipeline::new(&topic))
}

/// The page on metrics.
fn documented() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    fs::read_to_string(page).expect("docs/metrics.md")
}

/// What a scrape says of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

fn metrics(scrape: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in scrape.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            let (name, help) = about.split_once(' ').expect("a name");
            metrics.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').expect("a name");
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (series, _) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|name| metrics.get(*name).is_some_and(|m| m.kind == "histogram"));
            let metric = metrics.get_mut(of_histogram.unwrap_or(name));
            let metric = metric.unwrap_or_else(|| panic!("nothing is said about {name}"));
            let pairs = labels.trim_end_matches('}').split(',');
            let labels = pairs.filter_map(|pair| pair.split_once('='));
            let labels = labels
                .map(|(label, _)| label)
                .filter(|label| *label != "le");
            metric.labels.extend(labels.map(str::to_owned));
        }
    }
    metrics
}

#[test]
fn promtool_finds_no_fault_with_a_scrape() {
    let (_, pipeline) = filled("lint");
    let ours = running(&pipeline, &[("metrics.flink-names", "false")]);
    let scrape = ours.scrape();
    assert!(scrape.contains("\ncalve_lag_records{"), "{scrape}");
    let (content, said) = promtool(&["check", "metrics"], &scrape);
    assert!(content && said.is_empty(), "{said}\n{scrape}");
    ours.drain();

    // Flink's names are Flink's: promtool does not like their case, and has nothing else to say.
    let (_, pipeline) = filled("lint_flink");
    let both = running(&pipeline, &[]);
    let (_, said) = promtool(&["check", "metrics"], &both.scrape());
    let of_case =
        |line: &&str| line.starts_with("flink_") && line.ends_with("'snake_case' not 'camelCase'");
    let others: Vec<&str> = said.lines().filter(|line| !of_case(line)).collect();
    assert!(others.is_empty() && !said.is_empty(), "{others:#?}");
    both.drain();
}

#[test]
fn the_alert_rules_do_what_their_unit_tests_say() {
    let rules = deployed("prometheus/alerts.yml");
    let (content, said) = promtool(&["check", "rules", &rules.display().to_string()], "");
    assert!(content && said.contains("SUCCESS"), "{said}");
    let tests = deployed("prometheus/alerts.test.yml");
    let (content, said) = promtool(&["test", "rules", &tests.display().to_string()], "");
    assert!(content && said.contains("SUCCESS"), "{said}");
    // Each of them fires in one of those, and says what to think of it.
    let rules = fs::read_to_string(rules).expect("the rules");
    let tests = fs::read_to_string(tests).expect("their tests");
    let page = documented();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10, "{}", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().expect("a name");
        let fires = format!("alertname=\"{name}\", alertstate=\"firing\"");
        assert!(tests.contains(&fires), "{name} never fires");
        let row = format!("| `{name}` | ");
        assert!(page.contains(&row), "{name} is not in docs/metrics.md");
        for word in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(word), "{name} has no {word}");
        }
        let told = ["Nothing is lost", "still in Kafka"];
        assert!(
            told.iter().any(|words| alert.contains(words)),
            "{name} does not say what is not lost"
        );
    }
}

/// Every query of the dashboard, as Grafana would send it.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    targets
        .map(|target| {
            let query = target["expr"].as_str().expect("a query");
            query
                .replace("$pipeline", ".*")
                .replace("$__rate_interval", "30s")
        })
        .collect()
}

/// The names of metrics in a query.
fn names(query: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(|c| !is_name(c));
    words.filter(|word| is_metric(word)).collect()
}

fn is_metric(name: &str) -> bool {
    let prefixes = ["calve_", "process_", "flink_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn every_query_of_the_dashboard_and_of_the_alerts_finds_something() {
    let (_, pipeline) = filled("queried");
    let running = running(&pipeline, &[]);
    let prometheus = Prometheus::scraping(&running);
    eventually("Prometheus has scraped a few times", || {
        let times = prometheus.query("count_over_time(calve_records_committed_total[1m])");
        let times = times.first().and_then(|found| found["value"][1].as_str());
        times.is_some_and(|times| times.parse::<u32>().is_ok_and(|times| times > 4))
    });
    let text = fs::read(deployed("grafana/calve.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_slice(&text).expect("JSON");
    let queries = queries(&dashboard);
    assert!(queries.len() > 30, "{}", queries.len());
    for query in &queries {
        assert!(!names(query).is_empty(), "{query}");
        assert!(!prometheus.query(query).is_empty(), "{query} finds nothing");
    }

    // An alert finds nothing while all is well; what it looks at is there.
    let mut rules = Vec::new();
    eventually("all rules were evaluated", || {
        rules = prometheus.rules();
        rules.iter().all(|rule| rule["health"] != "unknown")
    });
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        assert_eq!(rule["state"], "inactive", "{rule:#}");
        let query = rule["query"].as_str().expect("a query");
        let mut looked_at = names(query);
        if query.contains("up{") {
            looked_at.insert("up{job=\"calve\"}");
        }
        assert!(!looked_at.is_empty(), "{query}");
        for name in looked_at {
            assert!(!prometheus.query(name).is_empty(), "{name} of {query}");
        }
    }

    // And it is no accident that nothing fires.
    drop(running);
    eventually("Prometheus sees that calve is gone", || {
        let down = |rule: &&Value| rule["name"] == "CalveDown" && rule["state"] == "pending";
        prometheus.rules().iter().filter(down).count() == 1
    });
}

/// The rows of all tables of a document whose first column is a metric's name in backticks.
fn rows(document: &str) -> Vec<Vec<String>> {
    let lines = document.lines().filter(|line| {
        let name = line.strip_prefix("| `");
        name.is_some_and(is_metric)
    });
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> BTreeSet<String> {
    let code = cell.split('`').skip(1).step_by(2);
    code.map(str::to_owned).collect()
}

#[test]
fn the_page_on_metrics_says_what_a_scrape_says() {
    let (_, pipeline) = filled("told");
    let running = running(&pipeline, &[]);
    let scraped = metrics(&running.scrape());
    let page = documented();
    let (mut told, mut of_flink) = (BTreeSet::new(), BTreeSet::new());
    for row in rows(&page) {
        let name = row[0].trim_matches('`').to_owned();
        let metric = scraped
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is not scraped"));
        if name.starts_with("flink_") {
            assert_eq!(quoted(&row[1]), metric.labels, "labels of {name}");
            of_flink.insert(name.clone());
        } else {
            let [_, kind, unit, labels, help, flink] = row.as_slice() else {
                panic!("{row:?}");
            };
            assert_eq!(kind, &metric.kind, "type of {name}");
            assert_eq!(help, &metric.help, "meaning of {name}");
            assert_eq!(quoted(labels), metric.labels, "labels of {name}");
            let stem = name.trim_end_matches("_total").trim_end_matches("_max");
            for base in ["seconds", "bytes", "records"] {
                assert_eq!(
                    unit == base,
                    stem.ends_with(base) || stem.starts_with(&format!("calve_{base}_")),
                    "unit of {name}"
                );
            }
            for name in quoted(flink) {
                assert!(scraped.contains_key(&name), "{name} is not scraped");
            }
        }
        assert!(told.insert(name.clone()), "{name} is told twice");
    }
    let untold: Vec<_> = scraped
        .iter()
        .filter(|(name, _)| !told.contains(*name))
        .collect();
    assert!(untold.is_empty(), "not in docs/metrics.md: {untold:#?}");
    assert!(of_flink.len() > 30 && told.len() > of_flink.len() + 30);
    running.drain();
}

#[test]
fn the_metrics_port_serves_supervisors_and_is_closed_to_pages_of_other_sites() {
    let (_, pipeline) = filled("metrics_port");
    let running = running(&pipeline, &[("rest.port", "0")]);
    let (metrics, rest) = (running.metrics(), running.rest());
    for port in [&metrics, &rest] {
        let get = |path: &str| port.call("GET", path, &[], "");
        assert_eq!(get("/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get("/readyz"), (200, "ready\n".to_owned()));
        let (status, text) = get("/metrics");
        assert_eq!(status, 200);
        assert!(text.contains("\ncalve_records_committed_total{"), "{text}");
        for foreign in [("Host", "evil.example"), ("Origin", "http://evil.example")] {
            let (status, body) = port.call("GET", "/metrics", &[foreign], "");
            assert_eq!(status, 403, "{foreign:?}: {body}");
        }
    }
    // Nothing can be changed here, or looked at that is not for scrapers.
    assert_eq!(metrics.call("GET", "/jobs", &[], "").0, 404);
    assert_eq!(metrics.call("POST", "/metrics", &[], "").0, 405);

    // Scrapers that hang are not waited for.
    let hung: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(metrics.address).expect("a connection"))
        .collect();
    assert_eq!(metrics.call("GET", "/readyz", &[], "").0, 200);
    drop(hung);
    running.drain();
}

#[test]
fn a_metrics_port_that_is_taken_stops_nothing() {
    let (produced, pipeline) = filled("taken");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let run = pipeline.run().bounded().env("PROMETHEUS_PORT", &port);
    let ended = run.run().expect_code(0);
    ended.expect_output(&[&port, "metrics.prometheus-port"]);
    pipeline.assert_exactly(&produced);
}
