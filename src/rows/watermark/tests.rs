use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::*;

const TOPIC: &str = "t";

/// Rows of these partitions and times.
fn rows(of: &[(i32, i64)]) -> Rows {
    let topics = StringArray::from(vec![TOPIC; of.len()]);
    let partitions = Int32Array::from_iter_values(of.iter().map(|(partition, _)| *partition));
    let times = TimestampMicrosecondArray::from_iter_values(of.iter().map(|(_, ms)| ms * 1_000));
    let columns: [(&str, ArrayRef); 3] = [
        ("_topic", Arc::new(topics)),
        ("_partition", Arc::new(partitions)),
        ("_timestamp", Arc::new(times)),
    ];
    Rows::from(RecordBatch::try_from_iter(columns).unwrap())
}

#[test]
fn the_partition_that_is_furthest_behind_counts() {
    let now = Instant::now();
    let mut watermark = Watermark::new([(TOPIC, 0), (TOPIC, 1)], now);
    assert_eq!(
        watermark.advance(&rows(&[(0, 900)]), now),
        None,
        "1 is unknown"
    );
    let both = rows(&[(1, 10), (0, 950), (1, 20), (1, 15)]);
    assert_eq!(watermark.advance(&both, now), Some(20));
    assert_eq!(watermark.advance(&rows(&[(1, 2_000)]), now), Some(950));
    // One that nobody knew of.
    assert_eq!(watermark.advance(&rows(&[(7, 3)]), now), Some(3));
}

#[test]
fn a_partition_from_which_nothing_comes_holds_it_for_ten_minutes_and_not_for_ever() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut watermark = Watermark::new([(TOPIC, 0), (TOPIC, 1)], start);
    for seconds in (60..=540).step_by(60) {
        assert_eq!(watermark.advance(&rows(&[(0, 500)]), after(seconds)), None);
    }
    assert_eq!(watermark.advance(&rows(&[(0, 500)]), after(599)), None);
    assert_eq!(watermark.advance(&rows(&[(0, 600)]), after(600)), Some(600));
    // It comes to life, and is idle again.
    assert_eq!(watermark.advance(&rows(&[(1, 40)]), after(601)), Some(40));
    for seconds in (660..=1_200).step_by(60) {
        let held = watermark.advance(&rows(&[(0, 700)]), after(seconds));
        assert_eq!(held, Some(40));
    }
    assert_eq!(
        watermark.advance(&rows(&[(0, 700)]), after(1_201)),
        Some(700)
    );
}

#[test]
fn rows_that_do_not_say_where_they_are_from_are_of_one_partition() {
    let now = Instant::now();
    let mut watermark = Watermark::new([], now);
    let rows = rows(&[(0, 10), (1, 900)]);
    let batch = rows.batch.project(&[2]).unwrap();
    let rows = Rows { batch, ..rows };
    assert_eq!(watermark.advance(&rows, now), Some(900));
}

#[test]
fn whoever_speaks_first_after_a_silence_of_all_does_not_speak_for_the_others() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut watermark = Watermark::new([(TOPIC, 0), (TOPIC, 1)], start);
    let both = rows(&[(0, 10_000), (1, 3)]);
    assert_eq!(watermark.advance(&both, after(1)), Some(3));
    // The brokers are away for an hour.
    let first = rows(&[(0, 11_000)]);
    assert_eq!(watermark.advance(&first, after(3_600)), Some(3));
    // Rows that come once in five minutes don't hold it for ever.
    for minute in (65..=110).step_by(5) {
        watermark.advance(&first, after(minute * 60));
    }
    assert_eq!(watermark.advance(&first, after(115 * 60)), Some(11_000));
}
