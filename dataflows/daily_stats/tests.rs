//! The dataflow between decoder and writer, on plain timely workers, against a second computation of the same.

mod harness;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, Int32Array, RecordBatch, StringArray};
use calve::error::Kind;
use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder};

use super::*;
use harness::{BEFORE, Record, Run, Table, group_by, records};

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
