//! Measurements of a few users, for the dataflow `daily_stats`: a producer that keeps its own record of them, and what
//! DuckDB says of the statistics beside a GROUP BY over that record.

use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::{Load, Pipeline, Producer, Random, Topic, run_script};

/// Measurements that were produced, and the record of them.
pub struct Measurements {
    producer: Producer,
    partitions: u64,
    random: Random,
    /// Lines of a CSV file: user_id, data_type, value, start_time.
    records: String,
    pub count: u64,
}

impl Measurements {
    pub fn new(topic: &Topic, seed: u64) -> Measurements {
        Self::by(Producer::new(topic), topic, seed)
    }

    fn by(producer: Producer, topic: &Topic, seed: u64) -> Measurements {
        Measurements {
            producer,
            partitions: topic.partitions as u64,
            random: Random::new(seed),
            records: String::new(),
            count: 0,
        }
    }

    /// Goes on producing so many a second.
    pub fn load(topic: &Topic, rate: u64, seed: u64) -> Load<Measurements> {
        Load::of(Self::new(topic, seed), rate, Measurements::produce)
    }

    /// The same in transactions of up to a hundred, every third of which is aborted.
    pub fn transactions(topic: &Topic, rate: u64, seed: u64) -> Load<Measurements> {
        let producer = Producer::transactional(topic, &topic.name);
        let mut random = Random::new(seed);
        let (mut due, mut next) = (0, 1);
        let measurements = Self::by(producer, topic, random.next());
        Load::of(measurements, rate, move |measurements, count| {
            due += count;
            if due >= next {
                due -= next;
                measurements.transaction(next, random.below(3) > 0);
                next = random.between(1, 100) as usize;
            }
        })
    }

    pub fn produce(&mut self, count: usize) {
        for _ in 0..count {
            let record = self.enqueue();
            self.records.push_str(&record);
        }
        self.producer.finish();
        self.count += count as u64;
    }

    /// One transaction. An aborted one leaves no trace in the record.
    fn transaction(&mut self, count: usize, commit: bool) {
        self.producer.begin(0);
        let records: String = (0..count).map(|_| self.enqueue()).collect();
        if commit {
            self.producer.commit();
            self.records.push_str(&records);
            self.count += count as u64;
        } else {
            self.producer.abort();
        }
    }

    /// Sends a measurement of one of 70 days, late and early ones mixed: values that no double holds exactly, numbers
    /// of very different sizes, nulls everywhere, and for one user each what is not finite. Returns its line.
    fn enqueue(&mut self) -> String {
        let random = &mut self.random;
        let user = random.below(12);
        let value = match (user, random.below(20)) {
            (_, 0) => None,
            (1, 1) => Some("NaN".to_owned()),
            (2, 1) => Some("Infinity".to_owned()),
            (3, 1) => Some("-Infinity".to_owned()),
            (4, _) => Some(format!(
                "{}e{}",
                random.below(1000),
                random.below(300) as i64 - 150
            )),
            _ => Some(format!("{}.{}", random.below(180), random.below(10))),
        };
        let user = Some(user).filter(|user| *user > 0);
        let user = user.map(|user| format!("u{user}"));
        let kind = random.pick(&["HeartRate", "StepCount"]);
        let seconds = 1_767_225_600 - 864_000 + random.below(70 * 86_400) as i64;
        let time = Some(seconds).filter(|_| random.below(30) > 0);
        let time = time.map(|time| {
            let time = chrono::DateTime::from_timestamp(time, 0).expect("a time");
            time.format("%Y-%m-%d %H:%M:%S").to_string()
        });
        let mut line = String::new();
        let [u, v, t] = [&user, &value, &time].map(|text| text.clone().unwrap_or_default());
        writeln!(line, "{u},{kind},{v},{t}").expect("a string takes text");

        let number = value.map(
            |value| match value.parse::<f64>().is_ok_and(f64::is_finite) {
                true => value,
                false => format!("\"{value}\""),
            },
        );
        let quoted = |text: Option<String>| text.map_or("null".to_owned(), |t| format!("\"{t}\""));
        let json = format!(
            r#"{{"sample_id":"s","user_id":{},"data_type":"{kind}","value":{},"start_time":{}}}"#,
            quoted(user),
            number.unwrap_or("null".to_owned()),
            quoted(time.map(|time| time.replace(' ', "T") + "Z")),
        );
        let partition = random.below(self.partitions) as i32;
        self.producer.raw(partition, json.as_bytes());
        line
    }
}

/// What DuckDB says of a table of statistics.
#[derive(Debug, Deserialize)]
pub struct Statistics {
    /// The rows of the documented view.
    pub view: Vec<String>,
    /// The same with all columns, the exact sums among them.
    pub exact: Vec<String>,
    /// What the records give.
    pub expected: Vec<String>,
    /// How many records the days of the view count.
    pub counted: u64,
    /// Rows of the changelog.
    pub rows: u64,
    /// Those that take one back.
    pub taken_back: u64,
}

impl Statistics {
    /// Reads the table of a pipeline, and computes the same from what was produced.
    #[track_caller]
    pub fn read(pipeline: &Pipeline, produced: &[&Measurements]) -> Statistics {
        let mut records = "user_id,data_type,value,start_time\n".to_owned();
        for measurements in produced {
            records.push_str(&measurements.records);
        }
        let file = pipeline.dir().join("records.csv");
        fs::write(&file, &records).expect("the records are written");
        run_script(
            "daily_stats.py",
            &json!({
                "catalog": pipeline.reader_properties(),
                "table": pipeline.table_name(),
                "view": documented_view(),
                "records": file,
            }),
        )
    }

    /// Where the view is not the GROUP BY over the records.
    pub fn complaints(&self) -> Vec<String> {
        let only = |of: &str, one: &[String], two: &[String]| {
            let rows = one.iter().filter(|row| two.binary_search(row).is_err());
            let rows: Vec<&String> = rows.take(5).collect();
            (!rows.is_empty()).then(|| format!("only in {of}: {rows:#?}"))
        };
        let mut complaints = Vec::new();
        complaints.extend(only("the view", &self.view, &self.expected));
        complaints.extend(only(
            "the GROUP BY over the records",
            &self.expected,
            &self.view,
        ));
        if complaints.is_empty() && self.view != self.expected {
            complaints.push("some rows of the view are there more than once".to_owned());
        }
        complaints
    }
}

/// The line of `docs/daily_stats.md` that says what is true now, of any table.
fn documented_view() -> String {
    let text = include_str!("../../docs/daily_stats.md");
    let line = text
        .lines()
        .find(|line| line.contains("HAVING sum(_diff) > 0"));
    let line = line.expect("the view is documented").trim_end_matches(';');
    let (_, select) = line.split_once(" AS ").expect("CREATE VIEW … AS");
    let changed = select.replace("FROM health.daily", "FROM {table}");
    assert_ne!(changed, select);
    changed
}
