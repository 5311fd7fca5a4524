use std::path::Path;

use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Concat, Inspect};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::*;
use crate::iceberg::S3Options;
use crate::state::{Assignment, BackendKind, Backends, Owner, Share, SnapshotHead};

const OPERATOR: &str = "count";

fn snapshots(folder: &Path) -> SnapshotStore {
    let owner = Owner {
        pipeline: "p".into(),
        table: Uuid::from_u128(7),
    };
    let location = folder.join("checkpoints").display().to_string();
    SnapshotStore::open(&location, &S3Options::default(), owner, true).unwrap()
}

fn assignment() -> Assignment {
    Assignment::new(OPERATOR, MaxParallelism::default(), 0, 1)
}

fn backends() -> Backends {
    Backends::new(BackendKind::Rocksdb, 32 << 20)
}

/// The operator's surroundings: two inputs, so that one epoch can be open while the next has begun.
struct Edges<'a> {
    one: &'a mut InputHandleVec<Epoch, u64>,
    other: &'a mut InputHandleVec<Epoch, u64>,
    process: &'a Process,
    made: &'a RefCell<Vec<(u64, u64)>>,
    reports: &'a RefCell<Vec<Report>>,
    /// Lets the worker work until this is so.
    settle: &'a mut dyn FnMut(&dyn Fn() -> bool),
}

impl Edges<'_> {
    fn close(&mut self, epoch: u64) {
        self.one.advance_to(Epoch(epoch + 1));
        self.other.advance_to(Epoch(epoch + 1));
    }

    /// Waits for the report of an epoch.
    fn report(&mut self, epoch: u64) -> Report {
        let of_epoch = |report: &&Report| report.epoch == Epoch(epoch);
        let reports = self.reports;
        (self.settle)(&|| reports.borrow().iter().any(|report| of_epoch(&report)));
        let reports = reports.borrow();
        reports.iter().find(of_epoch).unwrap().clone()
    }
}

/// Counts keys; a key of 99 is an error.
fn operate(
    timeout: Duration,
    test: impl FnOnce(Edges<'_>, &Runtime, &Path) + Send + Sync + 'static,
) {
    timely::execute_directly(move |worker| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let runtime = Runtime::new().unwrap();
        let process = Arc::new(Process::new(runtime.handle().clone()));
        let made: Rc<RefCell<Vec<(u64, u64)>>> = Rc::default();
        let reported: Rc<RefCell<Vec<Report>>> = Rc::default();
        let mut store =
            StateStore::create(assignment(), &backends(), &folder.join("home")).unwrap();
        let counts = store.value::<u64, u64>("count", None).unwrap();
        let (mut one, mut other) = worker.dataflow::<Epoch, _, _>(|scope| {
            let state = State {
                store,
                snapshots: snapshots(folder),
                generation: Generation(1),
                peers: 1,
                first: Epoch(1),
                timeout,
                process: Arc::clone(&process),
                reports: Rc::default(),
            };
            let (one, first) = scope.new_input();
            let (other, second) = scope.new_input();
            let (made, reported) = (Rc::clone(&made), Rc::clone(&reported));
            let (stream, reports) = work(first.concat(second), state, move |store, key: u64| {
                if key == 99 {
                    return Err(Error::data("a key of 99"));
                }
                let count = counts.get(store, &key)?.unwrap_or(0) + 1;
                counts.put(store, &key, &count)?;
                Ok([(key, count)])
            });
            stream.inspect(move |pair| RefCell::borrow_mut(&made).push(*pair));
            reports.inspect(move |report| RefCell::borrow_mut(&reported).push(report.clone()));
            (one, other)
        });
        one.advance_to(Epoch(1));
        other.advance_to(Epoch(1));
        let begin = Instant::now();
        let mut settle = |done: &dyn Fn() -> bool| {
            while !done() {
                assert!(
                    begin.elapsed() < Duration::from_secs(60),
                    "it takes too long"
                );
                worker.step_or_park(Some(Duration::from_millis(5)));
            }
        };
        let edges = Edges {
            one: &mut one,
            other: &mut other,
            process: &process,
            made: &made,
            reports: &reported,
            settle: &mut settle,
        };
        test(edges, &runtime, folder);
        // One that has failed would never end.
        for index in worker.installed_dataflows() {
            worker.drop_dataflow(index);
        }
    });
}

fn part(report: &Report) -> StatePart {
    let Part(json) = report.part.as_ref().unwrap();
    serde_json::from_str(json).unwrap()
}

/// What a report's state says of a key, after a restore.
fn restored(folder: &Path, runtime: &Runtime, report: &Report, key: u64) -> Option<u64> {
    let store = snapshots(folder);
    let restore = async {
        let head = SnapshotHead {
            generation: Generation(1),
            epoch: report.epoch,
            max_parallelism: MaxParallelism::default(),
            about: serde_json::Value::Null,
        };
        let id = store.complete(head, vec![part(report)]).await?;
        let home = folder.join(format!("restored-{}", report.epoch));
        let snapshot = store.read(&id).await?;
        snapshot
            .restore(assignment(), &backends(), &home, Share::Nothing)
            .await
    };
    let mut store = runtime.block_on(restore).unwrap();
    let counts = store.value::<u64, u64>("count", None).unwrap();
    counts.get(&store, &key).unwrap()
}

#[test]
fn what_comes_of_a_later_epoch_is_not_in_the_snapshot_of_an_earlier_one() {
    operate(Duration::from_secs(30), |mut edges, runtime, folder| {
        edges.one.send(5);
        // The other source is in epoch 2 already.
        edges.other.advance_to(Epoch(2));
        edges.other.send(5);
        edges.other.flush();
        edges.one.flush();
        let made = edges.made;
        (edges.settle)(&|| !made.borrow().is_empty());
        edges.one.send(5);
        edges.close(1);
        let first = edges.report(1);
        assert_eq!((first.operator.as_str(), first.worker), (OPERATOR, 0));
        edges.close(2);
        let second = edges.report(2);
        assert_eq!(*edges.made.borrow(), [(5, 1), (5, 2), (5, 3)]);
        assert_eq!(restored(folder, runtime, &first, 5), Some(2));
        assert_eq!(restored(folder, runtime, &second, 5), Some(3));
    });
}

#[test]
fn an_epoch_in_which_nothing_came_reports_the_state_of_the_one_before_and_uploads_nothing() {
    operate(Duration::from_secs(30), |mut edges, runtime, folder| {
        edges.one.send(5);
        edges.close(1);
        let first = part(&edges.report(1));
        assert!(first.uploaded_bytes > 0);
        edges.close(2);
        let second = edges.report(2);
        let again = part(&second);
        assert_eq!((again.uploaded_bytes, &again.files), (0, &first.files));
        assert_eq!(restored(folder, runtime, &second, 5), Some(1));
        edges.one.send(5);
        edges.close(3);
        assert_eq!(restored(folder, runtime, &edges.report(3), 5), Some(2));
    });
}

#[test]
fn a_state_that_can_not_be_uploaded_in_time_is_said_and_the_next_epoch_goes_on() {
    operate(Duration::from_millis(300), |mut edges, runtime, folder| {
        // A file in the place of the checkpoint directory.
        let place = folder.join("checkpoints");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::write(&place, "").unwrap();
        edges.one.send(5);
        edges.close(1);
        let failed = edges.report(1).part.unwrap_err();
        assert!(failed.contains("checkpoints"), "{failed}");
        assert!(!edges.process.has_failed());
        std::fs::remove_file(&place).unwrap();
        // Nothing comes, but what came before is not durable yet.
        edges.close(2);
        assert_eq!(restored(folder, runtime, &edges.report(2), 5), Some(1));
    });
}

#[test]
fn an_epoch_in_which_the_logic_fails_is_never_reported() {
    operate(Duration::from_secs(30), |mut edges, _, _| {
        edges.one.send(99);
        edges.close(1);
        let process = edges.process;
        (edges.settle)(&|| process.has_failed());
        let steps = std::cell::Cell::new(0);
        (edges.settle)(&|| steps.replace(steps.get() + 1) > 20);
        assert!(edges.reports.borrow().is_empty());
    });
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_hangs_is_given_up_soon_after_a_signal_and_else_after_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let begun = || {
        let process = Arc::new(Process::new(tokio::runtime::Handle::current()));
        let upload = Upload {
            snapshots: snapshots(folder.path()),
            generation: Generation(1),
            timeout: Duration::from_secs(600),
            process: Arc::clone(&process),
        };
        (process, upload)
    };
    let (process, upload) = begun();
    process.request_drain_soon();
    let start = tokio::time::Instant::now();
    let error = upload.over().await.to_string();
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    assert!(error.contains("of draining"), "{error}");
    // A drain that was asked for otherwise has all its time.
    let (process, upload) = begun();
    process.request_drain();
    let start = tokio::time::Instant::now();
    let error = upload.over().await.to_string();
    assert_eq!(start.elapsed(), Duration::from_secs(600));
    assert!(error.contains("checkpoint.timeout"), "{error}");
}
