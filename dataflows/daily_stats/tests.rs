//! The dataflow between decoder and writer, on plain timely workers, against a second computation of the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, AsArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type};
use arrow::util::display::array_value_to_string;
use calve::config::{self, Layers, Settings};
use calve::error::Kind;
use calve::rows::Rows;
use chrono::{DateTime, Datelike, TimeDelta};
use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Input, Inspect, Probe};
use timely::worker::Worker;

use super::*;

/// The last epoch before those of a test.
const BEFORE: u64 = 6;

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
type Record = (Option<String>, String, Option<f64>, Option<i64>);

/// Records of a few users over two months, with nulls; the same seed gives the same records.
fn records(seed: u64, count: usize) -> Vec<Record> {
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

fn batch(records: &[Record]) -> RecordBatch {
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
struct Run {
    roll_ups: &'static str,
    workers: usize,
    first: u64,
    stored: Vec<RecordBatch>,
    epochs: Vec<Vec<Record>>,
}

impl Run {
    fn new(workers: usize, epochs: &[Vec<Record>]) -> Self {
        Self {
            roll_ups: "week, month",
            workers,
            first: BEFORE + 1,
            stored: Vec::new(),
            epochs: epochs.to_vec(),
        }
    }

    /// Goes on from `table`, as it is.
    fn from(table: &Table, first: u64, workers: usize, epochs: &[Vec<Record>]) -> Self {
        Self {
            first,
            stored: table.0.iter().map(|(_, batch)| batch.clone()).collect(),
            ..Self::new(workers, epochs)
        }
    }

    /// The rows that it adds to the table, by epoch.
    fn rows(self) -> Result<Table> {
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

    fn on_worker(
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
            let rows = batches.map(|batch| Rows {
                batch,
                charges: Vec::new(),
            });
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
struct Table(Vec<(u64, RecordBatch)>);

impl Table {
    fn until(&self, epoch: u64) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(of, _)| *of <= epoch)
                .cloned()
                .collect(),
        )
    }

    fn and(mut self, more: &Self) -> Self {
        self.0.extend(more.0.iter().cloned());
        self
    }

    /// Each row as text without `_diff` and `_epoch`, with these two.
    fn rows(&self) -> Vec<(String, i32, u64)> {
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
    fn current(&self) -> BTreeMap<GroupKey, Stats> {
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
fn group_by(records: &[Record], periods: &[&str]) -> BTreeMap<GroupKey, Stats> {
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

const ALL: [&str; 3] = ["day", "week", "month"];

fn five_epochs() -> Vec<Vec<Record>> {
    (0..5).map(|epoch| records(epoch, 400)).collect()
}

#[test]
fn after_each_epoch_the_changes_add_up_to_what_group_by_gives() {
    let epochs = five_epochs();
    let table = Run::new(3, &epochs).rows().unwrap();
    for end in 1..=epochs.len() {
        let until = BEFORE + end as u64;
        let expected = group_by(&epochs[..end].concat(), &ALL);
        assert_eq!(table.until(until).current(), expected, "epoch {until}");
    }
    for (row, diff, epoch) in table.rows() {
        assert!(diff == 1 || diff == -1, "{row} {diff} in {epoch}");
    }
    // Only what has changed is written: one group of one day changes three periods.
    let one = vec![(
        Some("u0".to_owned()),
        "t0".to_owned(),
        Some(1.0),
        Some(1_767_225_600_000_000),
    )];
    let later = Run::from(&table, BEFORE + 6, 3, &[one]).rows().unwrap();
    assert_eq!(later.rows().len(), 6, "{:#?}", later.rows());
}

#[test]
fn an_epoch_without_records_changes_nothing() {
    let epochs = [records(1, 50), Vec::new(), records(2, 50)];
    let table = Run::new(2, &epochs).rows().unwrap();
    assert!(table.0.iter().all(|(epoch, _)| *epoch != BEFORE + 2));
    assert_eq!(table.current(), group_by(&epochs.concat(), &ALL));
}

#[test]
fn other_workers_that_go_on_from_the_table_write_the_very_same_rows() {
    let epochs = five_epochs();
    let uninterrupted = Run::new(1, &epochs).rows().unwrap();
    for (workers, others, crash) in [(1, 4, 1), (4, 3, 2), (3, 1, 4)] {
        let before = Run::new(workers, &epochs[..crash]).rows().unwrap();
        let first = BEFORE + crash as u64 + 1;
        let after = Run::from(&before, first, others, &epochs[crash..])
            .rows()
            .unwrap();
        // Bit for bit: the exact sums are among the values.
        assert_eq!(before.and(&after).rows(), uninterrupted.rows());
    }
}

#[test]
fn the_order_of_the_records_makes_no_difference() {
    let mut epochs = five_epochs();
    // Values whose sum depends on the order when it is rounded on the way.
    for (index, record) in epochs.iter_mut().flatten().enumerate() {
        record.2 = record
            .2
            .map(|value| value * 0.1 * 10f64.powi(index as i32 % 40 - 20));
    }
    let one = Run::new(1, &epochs).rows().unwrap();
    for records in &mut epochs {
        records.reverse();
    }
    let two = Run::new(4, &epochs).rows().unwrap();
    assert_eq!(one.rows(), two.rows());
}

#[test]
fn roll_ups_can_be_switched_on_and_off_from_one_start_to_the_next() {
    let epochs = five_epochs();
    let mut off = Run::new(2, &epochs[..2]);
    off.roll_ups = "none";
    let days = off.rows().unwrap();
    assert_eq!(days.current(), group_by(&epochs[..2].concat(), &["day"]));

    let on = Run::from(&days, BEFORE + 3, 2, &epochs[2..4])
        .rows()
        .unwrap();
    let all = days.and(&on);
    assert_eq!(
        all.until(BEFORE + 3).current(),
        group_by(&epochs[..3].concat(), &ALL)
    );

    let mut months = Run::from(&all, BEFORE + 5, 2, &epochs[4..]);
    months.roll_ups = "month";
    let all = all.and(&months.rows().unwrap());
    assert_eq!(all.current(), group_by(&epochs.concat(), &["day", "month"]));
}

#[test]
fn a_table_that_another_engine_has_compacted_is_as_good() {
    let epochs = five_epochs();
    let table = Run::new(2, &epochs[..3]).rows().unwrap();
    // What `INSERT OVERWRITE … GROUP BY … HAVING sum(_diff) > 0` leaves: each current row once.
    let mut left = Vec::new();
    let rows = table.rows();
    let diff_of = |text: &str| {
        rows.iter()
            .filter(|r| r.0 == text)
            .map(|r| r.1)
            .sum::<i32>()
    };
    for (epoch, batch) in &table.0 {
        let single = (0..batch.num_rows()).map(|row| (*epoch, batch.slice(row, 1)));
        let single = single.filter(|(_, row)| {
            let (text, diff, _) = Table(vec![(0, row.clone())]).rows().remove(0);
            diff == 1 && diff_of(&text) == 1
        });
        left.extend(single);
    }
    let compacted = Table(left);
    assert!(compacted.rows().len() < rows.len());
    let from = |table| {
        Run::from(table, BEFORE + 4, 3, &epochs[3..])
            .rows()
            .unwrap()
    };
    assert_eq!(from(&compacted).rows(), from(&table).rows());
}

#[track_caller]
fn refused(stored: Vec<RecordBatch>, workers: usize) {
    let mut run = Run::new(workers, &[records(9, 10)]);
    run.stored = stored;
    let Err(error) = run.rows() else {
        panic!("it was accepted");
    };
    assert_eq!(error.kind(), Kind::Diverged, "{error}");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn rows_that_another_program_added_removed_or_changed_are_noticed() {
    let table = Run::new(2, &five_epochs()[..2]).rows().unwrap();
    let all: Vec<RecordBatch> = table.0.iter().map(|(_, batch)| batch.clone()).collect();
    for workers in [1, 3] {
        let again = [all.clone(), vec![all[0].slice(0, 1)]].concat();
        refused(again, workers);
        let without = [
            vec![all[0].slice(1, all[0].num_rows() - 1)],
            all[1..].to_vec(),
        ]
        .concat();
        // Without a row, or without the one that took it back.
        refused(without, workers);
        let changed = |name: &str, values: Arc<dyn Array>| {
            let index = all[0].schema().index_of(name).unwrap();
            let mut columns = all[0].columns().to_vec();
            columns[index] = values;
            RecordBatch::try_new(all[0].schema(), columns).unwrap()
        };
        let rows = all[0].num_rows();
        let twice = changed("_diff", Arc::new(Int32Array::from(vec![2; rows])));
        refused(vec![twice], workers);
        let years = changed("period", Arc::new(StringArray::from(vec!["year"; rows])));
        refused(vec![years], workers);
    }
}

#[test]
fn the_arrangement_grows_with_the_groups_and_not_with_the_epochs() {
    let live = Arc::new(Mutex::new(BTreeMap::<usize, i64>::new()));
    let counted = Arc::clone(&live);
    timely::execute_directly(move |worker| {
        let log = move |_: &_, data: &mut Option<Vec<(_, DifferentialEvent)>>| {
            for (_, event) in data.iter_mut().flatten() {
                let (operator, change) = match event {
                    DifferentialEvent::Batch(batch) => (batch.operator, batch.length as i64),
                    DifferentialEvent::Merge(merge) => match merge.complete {
                        Some(length) => {
                            let before = merge.length1 + merge.length2;
                            (merge.operator, length as i64 - before as i64)
                        }
                        None => continue,
                    },
                    DifferentialEvent::Drop(_) => continue,
                    _ => continue,
                };
                *counted.lock().unwrap().entry(operator).or_default() += change;
            }
        };
        let mut register = worker.log_register().unwrap();
        register.insert::<DifferentialEventBuilder, _>("differential/arrange", log);
        drop(register);
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let process = Arc::new(Process::new(runtime.handle().clone()));
        // The same ten groups on one day, in every epoch.
        let day = |epoch: u64| {
            (0..10).map(move |user| {
                let user = Some(format!("u{user}"));
                (
                    user,
                    "t".to_owned(),
                    Some(epoch as f64),
                    Some(1_767_225_600_000_000),
                )
            })
        };
        let epochs: Vec<Vec<Record>> = (0..1_000).map(|epoch| day(epoch).collect()).collect();
        let run = Run::new(1, &epochs);
        run.on_worker(worker, &process, Arc::default());
    });
    let live = live.lock().unwrap();
    let most = live.values().max().copied().unwrap_or(0);
    assert!(most >= 30, "nothing was logged: {live:?}");
    // 30 keys, in a few layers that wait to be merged; without compaction there would be 30,000.
    assert!(most <= 30 * 20, "{most} updates are held: {live:?}");
}
