//! A program that is not calve, with a dataflow of its own (`examples/own-operator`), against real Kafka: it is killed
//! once, goes on with other workers, and DuckDB computes the same from the records. And its tutorial shows what is there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use crate::support::{
    Calve, Catalog, Pipeline, Producer, Random, Topic, Warehouse, eventually, run_script,
};

const COLUMNS: &str =
    "sample_id string not null, user_id string, start_time timestamptz, session long";
const GAP_S: u64 = 600;
const USERS: u64 = 40;

/// The program that `tests/run` has built beside this one.
fn own_operator() -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    let folder = this.ancestors().nth(2).expect("a folder of builds");
    let program = folder.join("own-operator");
    assert!(
        program.exists(),
        "{} is not there: build with --workspace, as `tests/run` does",
        program.display()
    );
    program
}

fn run(pipeline: &Pipeline, workers: usize) -> Calve {
    let program = pipeline.with_state("sessions").program(own_operator());
    program
        .env("CALVE_OWN_SESSION_GAP", &format!("{GAP_S}s"))
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "200")
        .workers(workers)
}

/// Records of users, each of whom is in one partition: so their order is one that a test can know.
struct Visits {
    producer: Producer,
    partitions: u64,
    random: Random,
    /// For each user how many records there are, and the seconds of the last.
    users: Vec<(u64, i64)>,
    /// A CSV file.
    records: String,
    count: u64,
}

impl Visits {
    fn new(topic: &Topic) -> Visits {
        Visits {
            producer: Producer::new(topic),
            partitions: topic.partitions as u64,
            random: Random::new(7),
            users: vec![(0, 1_767_225_600); USERS as usize],
            records: "id,n,user_id,start_time\n".to_owned(),
            count: 0,
        }
    }

    /// Most follow each other within the gap; some come after a silence, some late, some say no time or no user.
    fn produce(&mut self, count: u64) {
        for _ in 0..count {
            let user = self.random.below(USERS);
            let (n, seconds) = &mut self.users[user as usize];
            *n += 1;
            *seconds += match self.random.below(10) {
                0 => GAP_S as i64 + 1 + self.random.below(3_600) as i64,
                1 => GAP_S as i64,
                2 => -(self.random.below(900) as i64),
                _ => self.random.below(300) as i64,
            };
            let (id, n) = (format!("{user}-{n}"), *n);
            let time = chrono::DateTime::from_timestamp(*seconds, 0).expect("a time");
            let time = time.format("%Y-%m-%dT%H:%M:%S").to_string();
            let time = Some(time).filter(|_| self.random.below(40) > 0);
            // The first of them is nobody.
            let name = Some(user)
                .filter(|user| *user > 0)
                .map(|user| format!("u{user}"));
            let quoted = |text: &Option<String>, more: &str| match text {
                Some(text) => format!("\"{text}{more}\""),
                None => "null".to_owned(),
            };
            let json = format!(
                r#"{{"sample_id":"{id}","user_id":{},"start_time":{}}}"#,
                quoted(&name, ""),
                quoted(&time, "Z"),
            );
            let partition = (user % self.partitions) as i32;
            self.producer.raw(partition, json.as_bytes());
            let line = [name, time].map(Option::unwrap_or_default).join(",");
            writeln!(self.records, "{id},{n},{line}").expect("a string takes text");
        }
        self.producer.finish();
        self.count += count;
    }
}

/// What DuckDB says.
#[derive(Debug, Deserialize)]
struct Found {
    count: u64,
    ids: u64,
    sessions: u64,
    only_found: Vec<String>,
    only_expected: Vec<String>,
}

#[test]
fn an_operator_from_outside_numbers_sessions_exactly_once_across_a_kill_and_other_workers() {
    let topic = Topic::create("sessions", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    pipeline.columns = Some(COLUMNS.to_owned());
    let mut visits = Visits::new(&topic);
    visits.produce(3_000);
    let running = run(&pipeline, 3)
        .env("PROMETHEUS_PORT", "0")
        .env("CALVE_REST_PORT", "0")
        .start();
    running.wait_rows(3_000);

    // What it did not write a line for.
    let rest = running.rest();
    let operators = rest.job("")["vertices"].to_string();
    assert!(operators.contains("sessions"), "{operators}");
    let (status, page) = rest.call("GET", "/", &[], "");
    assert!(status == 200 && page.contains("<html"), "{status} {page}");
    let [commits] = running.figures(["calve_commits_total"]).expect("metrics");
    assert!(commits > 0);

    // Killed with records in flight.
    visits.produce(4_000);
    eventually("some of the new records are committed", || {
        running.committed_rows() > 3_000
    });
    // Whatever it was at, these come too late for it.
    running.signal("STOP");
    visits.produce(2_000);
    let killed = running.kill();
    assert!(
        killed.committed_rows() < visits.count,
        "nothing was in flight"
    );
    visits.produce(1_000);
    run(&pipeline, 5).bounded().run().expect_code(0);

    let records = pipeline.dir().join("records.csv");
    fs::write(&records, &visits.records).expect("the records are written");
    let found: Found = run_script(
        "sessions.py",
        &json!({
            "catalog": pipeline.reader_properties(),
            "table": pipeline.table_name(),
            "records": records,
            "gap_s": GAP_S,
        }),
    );
    let nothing: [String; 0] = [];
    assert_eq!(found.only_found, nothing, "only in the table");
    assert_eq!(found.only_expected, nothing, "only by the records");
    assert_eq!((found.count, found.ids), (visits.count, visits.count));
    assert!(found.sessions > 10 * USERS, "{found:?}");
    let audit = pipeline.calve(&["audit"]).program(own_operator());
    audit.run().expect_code(0);
}

/// The blocks of a document that show a file: `<!-- PATH -->` stands before each.
fn shown(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("<!-- ").skip(1);
    let shown = parts.filter_map(|part| {
        let (path, rest) = part.split_once(" -->\n```")?;
        let (_language, rest) = rest.split_once('\n')?;
        let (code, _) = rest.split_once("\n```")?;
        Some((path, code))
    });
    shown.collect()
}

#[test]
fn every_line_of_code_that_extending_md_shows_is_in_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/extending.md")).expect("the document");
    let blocks = shown(&text);
    let fences = text.lines().filter(|line| {
        let language = line.strip_prefix("```");
        language.is_some_and(|language| ["rust", "toml"].contains(&language))
    });
    assert_eq!(blocks.len(), fences.count(), "a block that shows no file");
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    for (path, code) in blocks {
        let file = fs::read_to_string(root.join("examples/own-operator").join(path));
        let file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(file.contains(code), "{path} does not have\n{code}");
    }
}
