use std::time::Instant;

use super::*;

const CHORE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

/// A process with a chore, and whether the chore is done.
fn process_with_chore(takes: Duration) -> (Arc<Process>, Arc<AtomicBool>) {
    let process = Arc::new(Process::new(Handle::current()));
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    process.spawn_chore(async move {
        tokio::time::sleep(takes).await;
        flag.store(true, Ordering::Release);
    });
    (process, done)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_end_waits_for_chores_but_not_for_ever() {
    let (process, done) = process_with_chore(CHORE);
    process.chores_done(PATIENCE).await;
    assert!(done.load(Ordering::Acquire));

    let (process, done) = process_with_chore(PATIENCE);
    process.chores_done(CHORE).await;
    assert!(!done.load(Ordering::Acquire));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_drains_or_has_failed_does_not_wait_for_chores() {
    let began = Instant::now();
    let (draining, _) = process_with_chore(PATIENCE);
    draining.request_drain();
    draining.chores_done(PATIENCE).await;
    let (failed, _) = process_with_chore(PATIENCE);
    failed.fail(Error::internal("a test"));
    failed.chores_done(PATIENCE).await;
    assert!(began.elapsed() < PATIENCE / 2);
}
