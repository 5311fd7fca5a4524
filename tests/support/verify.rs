//! What independent readers (pyiceberg, DuckDB: `tests/verify`) find in a table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Pipeline, Produced, Services};

/// A table, as the readers found it.
#[derive(Debug, Deserialize)]
pub struct Table {
    pub count: u64,
    /// Distinct values of the id column.
    pub distinct_ids: u64,
    /// See [`Produced::id_sum`].
    pub id_sum: u64,
    pub partitions: BTreeMap<i32, Offsets>,
    /// Column name → Iceberg type, from pyiceberg.
    #[serde(default)]
    pub schema: BTreeMap<String, String>,
    /// The rows, ordered by partition and offset, values in one canonical form; of small tables only.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    pub metadata_location: String,
    /// How many snapshots it has.
    #[serde(default)]
    pub snapshots: usize,
    /// The paths of the data files.
    #[serde(default)]
    pub files: Vec<String>,
}

/// The offsets found in one partition.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Offsets {
    pub count: u64,
    pub distinct: u64,
    pub first: i64,
    pub last: i64,
    /// The sum of the distinct offsets.
    pub sum: i64,
    /// Some of the offsets that are there more than once.
    pub duplicates: Vec<i64>,
    /// Some of those between the first and the last that are missing.
    pub gaps: Vec<i64>,
}

impl Table {
    #[track_caller]
    pub fn read(pipeline: &Pipeline) -> Table {
        let properties = pipeline.reader_properties();
        let request = json!({
            "catalog": properties,
            "table": pipeline.table_name(),
            "id": "sample_id",
            "max_rows": 1000,
        });
        let table: Table = run_script("with_pyiceberg.py", &request);
        let request = json!({
            "metadata_location": table.metadata_location,
            "s3": properties,
            "id": "sample_id",
            "max_rows": 1000,
        });
        let second: Table = run_script("with_duckdb.py", &request);
        assert_eq!(
            (
                second.count,
                second.distinct_ids,
                second.id_sum,
                &second.partitions
            ),
            (
                table.count,
                table.distinct_ids,
                table.id_sum,
                &table.partitions
            ),
            "DuckDB (left) and pyiceberg (right) disagree about {}",
            pipeline.table_name()
        );
        assert_eq!(
            second.rows, table.rows,
            "DuckDB (left) and pyiceberg (right) disagree"
        );
        table
    }

    #[track_caller]
    pub fn assert_exactly(&self, produced: &Produced) {
        let complaints = self.complaints(produced);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// What is wrong with the table, in words; nothing if it holds exactly what was produced.
    pub fn complaints(&self, produced: &Produced) -> Vec<String> {
        let mut complaints = Vec::new();
        for (partition, expected) in &produced.partitions {
            let mut expected = expected.clone();
            expected.sort_unstable();
            let Some(found) = self.partitions.get(partition) else {
                complaints.push(format!("partition {partition} is missing"));
                continue;
            };
            if found.count != found.distinct {
                let (extra, some) = (found.count - found.distinct, &found.duplicates);
                complaints.push(format!(
                    "partition {partition}: {extra} rows twice: {some:?}…"
                ));
            }
            let expected_of = Offsets {
                count: found.count,
                distinct: expected.len() as u64,
                first: expected[0],
                last: expected[expected.len() - 1],
                sum: expected.iter().sum(),
                duplicates: found.duplicates.clone(),
                gaps: found.gaps.clone(),
            };
            if *found != expected_of {
                complaints.push(format!(
                    "partition {partition}: expected {} offsets {}..={} with the sum {}, found {found:?}",
                    expected_of.distinct, expected_of.first, expected_of.last, expected_of.sum
                ));
            }
        }
        for partition in self.partitions.keys() {
            if !produced.partitions.contains_key(partition) {
                complaints.push(format!("partition {partition} was never produced to"));
            }
        }
        if self.count != produced.count {
            complaints.push(format!(
                "{} rows in the table, {} records were produced",
                self.count, produced.count
            ));
        }
        if self.id_sum != produced.id_sum {
            complaints.push(format!(
                "the sum of the ids is {}, that of the records {}",
                self.id_sum, produced.id_sum
            ));
        }
        complaints
    }

    /// Each record that was produced is there once, however often it was sent.
    #[track_caller]
    pub fn assert_deduplicated(&self, produced: &Produced) {
        let complaints = self.dedup_complaints(produced);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// What is wrong with a table that shall hold each record once, however often it was sent. Which of its
    /// copies is there, nobody has to know: producers may have put them into different partitions.
    pub fn dedup_complaints(&self, produced: &Produced) -> Vec<String> {
        let mut complaints = Vec::new();
        let expected = produced.count - produced.repeated;
        let id_sum = produced.id_sum.wrapping_sub(produced.repeated_id_sum);
        if (self.count, self.distinct_ids) != (expected, expected) {
            complaints.push(format!(
                "{} rows of {} different records in the table, {expected} different records were produced",
                self.count, self.distinct_ids
            ));
        }
        if self.id_sum != id_sum {
            complaints.push(format!(
                "the sum of the ids is {}, that of the different records {id_sum}",
                self.id_sum
            ));
        }
        complaints
    }

    /// How many of the offsets that were produced are not there, as far as their number tells.
    pub fn lost(&self, produced: &Produced) -> u64 {
        let of_partition = |(partition, expected): (&i32, &Vec<i64>)| {
            let found = self.partitions.get(partition).map_or(0, |o| o.distinct);
            (expected.len() as u64).saturating_sub(found)
        };
        produced.partitions.iter().map(of_partition).sum()
    }

    /// How many rows are there beyond the first one of their offset.
    pub fn duplicated(&self) -> u64 {
        let of_partition = |offsets: &Offsets| offsets.count - offsets.distinct;
        self.partitions.values().map(of_partition).sum()
    }

    /// The value of one column, row after row.
    pub fn column(&self, name: &str) -> Vec<Value> {
        let value = |row: &BTreeMap<String, Value>| row.get(name).cloned().unwrap_or(Value::Null);
        self.rows.iter().map(value).collect()
    }
}

/// Runs a script of `tests/verify` with a request, and parses its answer.
#[track_caller]
pub fn run_script<T: serde::de::DeserializeOwned>(name: &str, request: &Value) -> T {
    run_script_in(name, request, |_| {})
}

/// The same, with surroundings of its own.
#[track_caller]
pub fn run_script_in<T: serde::de::DeserializeOwned>(
    name: &str,
    request: &Value,
    surround: impl FnOnce(&mut Command),
) -> T {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/verify")
        .join(name);
    let mut command = Command::new(&Services::get().python);
    command.arg(&script).arg(request.to_string());
    command.env_remove("PYTHONPATH");
    surround(&mut command);
    let output = command.output().expect("python runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed:\n{stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        panic!("{name} answered something else: {error}\n{stdout}\n{stderr}")
    })
}
