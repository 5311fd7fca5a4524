//! Runs of the dataflow between decoder and writer on plain timely workers, the table that they make, and a second
//! computation of the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, AsArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type};
use arrow::util::display::array_value_to_string;
use calve::config::{self, Layers, Settings};
use calve::rows::Rows;
use chrono::{DateTime, Datelike, TimeDelta};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Input, Inspect, Probe};
use timely::worker::Worker;

use crate::daily_stats::*;

/// The last epoch before those of a test.
pub const BEFORE: u64 = 6;

fn settings(roll_ups: &str) -> Settings {
    let columns =
        "user_id string, data_type string, value double, start_time timestamptz".to_owned();
    config::load(&Layers {
        flags: vec![
            ("input.columns".to_owned(), columns),
            ("stats.roll-ups".to_owned(), roll_ups.to_owned()),
        ],
        ..Layers::default()
    })
    .unwrap()
}

/// A record as the test knows it: user, type, value, microseconds.
pub type Record = (Option<String>, String, Option<f64>, Option<i64>);

/// Records of a few users over two months, with nulls; the same seed gives the same records.
pub fn records(seed: u64, count: usize) -> Vec<Record> {
    let mut state = seed;
    let mut next = move |end: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let mut record = || {
        let user = Some(next(6)).filter(|user| *user < 5);
        // Eighths have exact sums in whatever order they are added.
        let value = (next(10) > 0).then(|| next(1000) as f64 / 8.0 - 50.0);
        let time =
            (next(50) > 0).then(|| 1_767_225_600_000_000 + next(5_184_000) as i64 * 1_000_003);
        (
            user.map(|user| format!("u{user}")),
            format!("t{}", next(2)),
            value,
            time,
        )
    };
    (0..count).map(|_| record()).collect()
}

pub fn batch(records: &[Record]) -> RecordBatch {
    let settings = settings("none");
    let schema = schema_to_arrow_schema(&calve::runtime::input_columns(&settings).unwrap());
    let times = records.iter().map(|record| record.3);
    RecordBatch::try_new(
        Arc::new(schema.unwrap()),
        vec![
            Arc::new(
                records
                    .iter()
                    .map(|record| record.0.clone())
                    .collect::<StringArray>(),
            ),
            Arc::new(
                records
                    .iter()
                    .map(|record| Some(record.1.clone()))
                    .collect::<StringArray>(),
            ),
            Arc::new(
                records
                    .iter()
                    .map(|record| record.2)
                    .collect::<Float64Array>(),
            ),
            Arc::new(
                times
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("+00:00"),
            ),
        ],
    )
    .unwrap()
}

/// A run of the dataflow from an empty table, or from one.
pub struct Run {
    pub roll_ups: &'static str,
    workers: usize,
    first: u64,
    pub stored: Vec<RecordBatch>,
    epochs: Vec<Vec<Record>>,
}

impl Run {
    pub fn new(workers: usize, epochs: &[Vec<Record>]) -> Self {
        Self {
            roll_ups: "week, month",
            workers,
            first: BEFORE + 1,
            stored: Vec::new(),
            epochs: epochs.to_vec(),
        }
    }

    /// Goes on from `table`, as it is.
    pub fn from(table: &Table, first: u64, workers: usize, epochs: &[Vec<Record>]) -> Self {
        Self {
            first,
            stored: table.0.iter().map(|(_, batch)| batch.clone()).collect(),
            ..Self::new(workers, epochs)
        }
    }

    /// The rows that it adds to the table, by epoch.
    pub fn rows(self) -> Result<Table> {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let process = Arc::new(Process::new(runtime.handle().clone()));
        let written = Arc::new(Mutex::new(Vec::new()));
        let (shared, collected) = (Arc::clone(&process), Arc::clone(&written));
        let workers = timely::Config::process(self.workers);
        let guards = timely::execute(workers, move |worker| {
            self.on_worker(worker, &shared, Arc::clone(&collected));
        });
        for result in guards.unwrap().join() {
            result.unwrap();
        }
        let mut rows = std::mem::take(&mut *written.lock().unwrap());
        rows.sort_by_key(|(epoch, _)| *epoch);
        process.take_failure().map_or(Ok(Table(rows)), Err)
    }

    pub fn on_worker(
        &self,
        worker: &mut Worker,
        process: &Arc<Process>,
        written: Arc<Mutex<Vec<(u64, RecordBatch)>>>,
    ) {
        let settings = settings(self.roll_ups);
        let columns = Columns::new(&settings).unwrap();
        let table = schema_to_arrow_schema(&Columns::table(&settings).unwrap().columns).unwrap();
        let changelog = || Changelog::new(&columns, Arc::new(table.clone())).unwrap();
        let (mut stored, mut input, probe) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (stored_input, stored) = scope.new_input::<Vec<RecordBatch>>();
            let (input, batches) = scope.new_input::<Vec<RecordBatch>>();
            let rows = batches.map(Rows::from);
            let records = Records::new(&columns, batch(&[]).schema_ref()).unwrap();
            let changes = changes(
                rows.statistics(records, Arc::clone(process)),
                stored.changes(changelog(), Arc::clone(process)),
                columns.periods.clone(),
                Arc::clone(process),
            );
            let rows = changes.change_rows(changelog(), Arc::clone(process));
            let rows = rows.inspect(move |rows| {
                let epoch = rows.batch["_epoch"].as_primitive::<Int64Type>().value(0);
                let row = (epoch as u64, rows.batch.clone());
                written.lock().unwrap().push(row);
            });
            let (probe, _) = rows.probe();
            (stored_input, input, probe)
        });
        let (index, peers) = (worker.index(), worker.peers());
        stored.advance_to(Epoch(self.first));
        input.advance_to(Epoch(self.first));
        let names = changelog();
        let names = names.stored();
        for rows in self.stored.iter().skip(index).step_by(peers) {
            let indices: Vec<_> = names
                .iter()
                .map(|n| rows.schema().index_of(n).unwrap())
                .collect();
            stored.send(rows.project(&indices).unwrap());
        }
        stored.close();
        for (epoch, records) in (self.first..).zip(&self.epochs) {
            // Small batches, dealt out.
            for some in records.chunks(10).skip(index).step_by(peers) {
                input.send(batch(some));
            }
            input.advance_to(Epoch(epoch + 1));
            while probe.less_than(&Epoch(epoch + 1)) && !process.has_failed() {
                worker.step();
            }
        }
        drop(input);
        if process.has_failed() {
            for index in worker.installed_dataflows() {
                worker.drop_dataflow(index);
            }
        }
    }
}

/// The rows of a table, each with the epoch that wrote it.
#[derive(Clone, Default)]
pub struct Table(pub Vec<(u64, RecordBatch)>);

impl Table {
    pub fn until(&self, epoch: u64) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(of, _)| *of <= epoch)
                .cloned()
                .collect(),
        )
    }

    pub fn and(mut self, more: &Self) -> Self {
        self.0.extend(more.0.iter().cloned());
        self
    }

    /// Each row as text without `_diff` and `_epoch`, with these two.
    pub fn rows(&self) -> Vec<(String, i32, u64)> {
        let mut rows = Vec::new();
        for (_, batch) in &self.0 {
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let columns = schema.fields().iter().zip(batch.columns());
                let values = columns
                    .filter(|(field, _)| !["_diff", "_epoch"].contains(&field.name().as_str()));
                let values = values.map(|(_, column)| match column.is_null(row) {
                    true => "null".to_owned(),
                    false => array_value_to_string(column, row).unwrap(),
                });
                let diff = batch["_diff"].as_primitive::<Int32Type>().value(row);
                let epoch = batch["_epoch"].as_primitive::<Int64Type>().value(row) as u64;
                rows.push((values.collect::<Vec<_>>().join("|"), diff, epoch));
            }
        }
        rows.sort();
        rows
    }

    /// What is true now: the view.
    pub fn current(&self) -> BTreeMap<GroupKey, Stats> {
        let mut sums: BTreeMap<String, (i32, GroupKey, Stats)> = BTreeMap::new();
        for (_, batch) in &self.0 {
            let text = |name: &str, row: usize| {
                let column = &batch[name];
                (!column.is_null(row)).then(|| column.as_string::<i32>().value(row).to_owned())
            };
            let number =
                |name: &str, row: usize| batch[name].as_primitive::<Int64Type>().value(row);
            let double = |name: &str, row: usize| {
                let column = batch[name].as_primitive::<Float64Type>();
                (!column.is_null(row)).then(|| column.value(row))
            };
            for row in 0..batch.num_rows() {
                let start = batch["start_date"].as_primitive::<Date32Type>();
                let key = (
                    text("period", row).unwrap(),
                    (!start.is_null(row)).then(|| start.value(row)),
                    text("user_id", row),
                    text("data_type", row),
                );
                let stats = (
                    number("count", row),
                    number("nulls", row),
                    double("sum", row),
                    double("min", row),
                    double("max", row),
                    double("mean", row),
                );
                let diff = batch["_diff"].as_primitive::<Int32Type>().value(row);
                let name = format!("{key:?} {stats:?}");
                sums.entry(name).or_insert((0, key, stats)).0 += diff;
            }
        }
        let mut current = BTreeMap::new();
        for (diff, key, stats) in sums.into_values().filter(|(diff, ..)| *diff != 0) {
            assert_eq!(diff, 1, "{key:?} {stats:?}");
            let other = current.insert(key.clone(), stats);
            assert!(other.is_none(), "{key:?} has two current rows");
        }
        current
    }
}

/// Period, first day, user, type.
type GroupKey = (String, Option<i32>, Option<String>, Option<String>);
/// Count, nulls, sum, min, max, mean.
type Stats = (i64, i64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

/// The same, computed by another way: from all records at once.
pub fn group_by(records: &[Record], periods: &[&str]) -> BTreeMap<GroupKey, Stats> {
    let mut groups: BTreeMap<GroupKey, Vec<Option<f64>>> = BTreeMap::new();
    for (user, kind, value, time) in records {
        for period in periods {
            let start = time.map(|micros| {
                let day = DateTime::from_timestamp_micros(micros)
                    .unwrap()
                    .date_naive();
                let start = match *period {
                    "day" => day,
                    "week" => day - TimeDelta::days(day.weekday().num_days_from_monday().into()),
                    _ => day.with_day(1).unwrap(),
                };
                (start - DateTime::UNIX_EPOCH.date_naive()).num_days() as i32
            });
            let key = (period.to_string(), start, user.clone(), Some(kind.clone()));
            groups.entry(key).or_default().push(*value);
        }
    }
    let stats = |values: Vec<Option<f64>>| {
        let some: Vec<f64> = values.iter().flatten().copied().collect();
        let sum = (!some.is_empty()).then(|| some.iter().sum::<f64>());
        (
            some.len() as i64,
            (values.len() - some.len()) as i64,
            sum,
            some.iter().copied().reduce(f64::min),
            some.iter().copied().reduce(f64::max),
            sum.map(|sum| sum / some.len() as f64),
        )
    };
    groups
        .into_iter()
        .map(|(key, values)| (key, stats(values)))
        .collect()
}
