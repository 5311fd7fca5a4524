//! The operator's logic, on a state in memory: no Kafka, no table, no dataflow.

use calve::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use calve::state::{Assignment, BackendKind, Backends, MaxParallelism};

use super::*;

const MINUTE_US: i64 = 60_000_000;

/// An operator with its state, as one worker has it.
struct Bench {
    store: StateStore,
    sessions: Sessions,
}

impl Bench {
    fn new(home: &std::path::Path) -> Self {
        let all = Assignment::new("sessions", MaxParallelism::default(), 0, 1);
        let backends = Backends::new(BackendKind::Memory, 0);
        let mut store = StateStore::create(all, &backends, home).unwrap();
        let sessions = Sessions {
            last: store.value("last", None).unwrap(),
            user: KeyColumns::new(&["user_id"], &rows(&[]).batch.schema()).unwrap(),
            gap: Duration::from_secs(30 * 60),
        };
        Self { store, sessions }
    }

    /// The numbers of the sessions of records at these minutes.
    fn number(&mut self, records: &[(Option<&str>, Option<i64>)]) -> Vec<Option<i64>> {
        let numbered = self.sessions.number(&mut self.store, rows(records));
        let batch = numbered.unwrap().unwrap().batch;
        let column: &Int64Array = batch["session"].as_primitive();
        column.iter().collect()
    }
}

fn rows(records: &[(Option<&str>, Option<i64>)]) -> Rows {
    let users: StringArray = records.iter().map(|(user, _)| *user).collect();
    let times = records
        .iter()
        .map(|(_, minute)| minute.map(|m| m * MINUTE_US));
    let times = times.collect::<TimestampMicrosecondArray>();
    let none = Int64Array::new_null(records.len());
    let columns: [(_, ArrayRef, _); 3] = [
        ("user_id", Arc::new(users), true),
        ("start_time", Arc::new(times.with_timezone("+00:00")), true),
        ("session", Arc::new(none), true),
    ];
    Rows::from(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

#[test]
fn silence_ends_a_session_and_users_do_not_disturb_each_other() {
    let home = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(home.path());
    let (a, b) = (Some("a"), Some("b"));
    let first = bench.number(&[(a, Some(0)), (b, Some(1)), (a, Some(30)), (a, Some(61))]);
    assert_eq!(first, [Some(1), Some(1), Some(1), Some(2)]);
    // Across batches, as across checkpoints: what counts is in the state.
    let second = bench.number(&[(a, Some(91)), (b, Some(31)), (b, Some(62)), (a, Some(122))]);
    assert_eq!(second, [Some(2), Some(1), Some(2), Some(3)]);
}

#[test]
fn a_late_record_belongs_to_the_open_session_and_does_not_shorten_it() {
    let home = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(home.path());
    let a = Some("a");
    let numbers = bench.number(&[
        (a, Some(100)),
        (a, Some(20)),
        (a, Some(130)),
        (a, Some(161)),
    ]);
    assert_eq!(numbers, [Some(1), Some(1), Some(1), Some(2)]);
}

#[test]
fn a_record_without_user_or_time_is_in_no_session() {
    let home = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(home.path());
    let numbers = bench.number(&[(None, Some(0)), (Some("a"), None), (Some("a"), Some(0))]);
    assert_eq!(numbers, [None, None, Some(1)]);
}
