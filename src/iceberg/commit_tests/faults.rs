//! The catalog fails: answers lost, conflicts of our own making, lies, late arrivals.

use std::sync::Arc;
use std::time::Duration;

use iceberg::Catalog;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use super::faulty::{Faulty, Swap};
use crate::checkpoint::decisions::{Claim, Start};
use crate::config::OnRollback;
use crate::error::Kind;
use crate::iceberg::guard::{GuardedCatalog, Intent};
use crate::iceberg::merge::Merges;
use crate::iceberg::swaps::Swapping;
use crate::iceberg::testing::*;
use crate::iceberg::{CommitFailure, Committed, Committer, Staged, StagedFile};
use crate::time::Epoch;

/// A world, a committer over a catalog that may fail, and that catalog.
async fn faulty() -> (World, Committer, Arc<Swapping<Faulty>>) {
    with_patience(PATIENT).await
}

/// The same, for commits that can't be proved.
async fn impatient() -> (World, Committer, Arc<Swapping<Faulty>>) {
    with_patience(IMPATIENT).await
}

async fn with_patience(patience: Duration) -> (World, Committer, Arc<Swapping<Faulty>>) {
    let world = World::new().await;
    let faulty = Faulty::new(&world.catalog, []);
    let committer = world.start_with(faulty.clone(), patience).await;
    (world, committer, faulty)
}

fn unknown(result: Result<Committed, CommitFailure>) -> crate::Error {
    match result {
        Err(CommitFailure::Unknown(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn fatal(result: Result<Committed, CommitFailure>) -> crate::Error {
    match result {
        Err(CommitFailure::Fatal(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn epochs_follow_each_other_and_the_table_carries_their_marker() {
    let (world, mut committer, _) = faulty().await;
    let claim = committer.marker().clone();
    for epoch in 1..=3 {
        let rows = epoch as i64 * 10;
        let staged = world.staged(epoch, rows - 10, rows).await;
        let committed = committer.commit(staged).await.unwrap();
        assert_eq!((committed.attempts, committed.already), (1, false));
        assert_eq!(committed.marker.rows, 10);
        let table = world.table().await;
        assert_eq!(
            table.metadata().current_snapshot_id(),
            committed.snapshot_id
        );
    }
    world.assert_holds(30).await;
    let observation = world.observe().await.unwrap();
    let marker = observation.marker().unwrap();
    assert_eq!(marker.next, offsets(30));
    assert_eq!(marker.rank(), (claim.generation, Epoch(3)));
}

#[tokio::test]
async fn a_response_lost_after_the_swap_is_found_out_and_nothing_lands_twice() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::AnswerLost]);
    let committed = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    assert!(committed.already);
    assert_eq!(committed.attempts, 1, "no second swap was sent");
    world.assert_holds(10).await;
    committer
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    world.assert_holds(20).await;
}

#[tokio::test]
async fn the_librarys_own_retry_after_a_conflict_of_our_own_success_appends_nothing() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::ConflictOfItsOwn]);
    let before = faulty.seen();
    let committed = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    assert!(committed.already);
    assert_eq!(
        faulty.seen() - before,
        1,
        "the retry did not reach the catalog"
    );
    world.assert_holds(10).await;
}

#[tokio::test]
async fn without_the_guard_the_library_lands_the_same_file_twice() {
    // The fault doubles can see the fault: this is what the guard is for.
    let world = World::new().await;
    let files = world.stage(1, 0, 10).await;
    let faulty = Faulty::new(&world.catalog, [Swap::ConflictOfItsOwn]);
    let table = world.table().await;
    let transaction = Transaction::new(&table);
    let append = transaction
        .fast_append()
        .with_check_duplicate(false)
        .add_data_files(files.iter().map(|file| file.decode(&table).unwrap()));
    let transaction = append.apply(transaction).unwrap();
    transaction.commit(faulty.as_ref()).await.unwrap();
    assert_eq!(scan(&world.table().await).await.len(), 20);
}

#[tokio::test]
async fn a_success_that_is_a_lie_is_caught_by_the_read_back() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::Lie, Swap::Lie]);
    let committed = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    assert_eq!(committed.attempts, 3);
    world.assert_holds(10).await;
}

#[tokio::test]
async fn a_foreign_append_between_load_and_swap_does_no_harm() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::AfterForeignAppend(world.stage(0, 100, 105).await)]);
    let committed = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    assert_eq!(committed.attempts, 2, "the first swap met a conflict");
    let ids = world.ids().await;
    assert_eq!(ids.len(), 15);
    committer
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    assert_eq!(world.ids().await.len(), 25);
}

#[tokio::test]
async fn a_refusal_for_good_is_fatal_at_once_and_nothing_is_written() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::BadRequest]);
    let error = fatal(committer.commit(world.staged(1, 0, 10).await).await);
    assert_eq!(error.kind(), Kind::External);
    assert!(error.to_string().contains("400"), "{error}");
    world.assert_holds(0).await;
}

#[tokio::test]
async fn a_catalog_that_is_down_for_a_while_is_waited_for() {
    let (world, mut committer, faulty) = faulty().await;
    faulty.script([Swap::Dropped]);
    faulty.fail_loads(3);
    committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    world.assert_holds(10).await;
}

#[tokio::test]
async fn the_files_of_a_failed_commit_ride_with_the_next_epoch() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.script((0..20).map(|_| Swap::Dropped));
    let first = world.staged(1, 0, 10).await;
    unknown(committer.commit(first.clone()).await);
    world.assert_holds(0).await;

    faulty.swaps_are_over();
    let committed = committer
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    assert!(committed.late.is_none());
    assert_eq!(committed.marker.rows, 20);
    world.assert_holds(20).await;
}

#[tokio::test]
async fn an_attempt_of_unknown_outcome_that_lands_late_leaves_the_next_batch() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.script(
        [Swap::Late]
            .into_iter()
            .chain((0..20).map(|_| Swap::Dropped)),
    );
    let first = world.staged(1, 0, 10).await;
    unknown(committer.commit(first.clone()).await);
    world.assert_holds(0).await;

    // The epoch's first request was stuck in the network; now it arrives.
    assert_eq!(faulty.deliver().await, [true]);
    world.assert_holds(10).await;

    faulty.swaps_are_over();
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(first.files);
    let committed = committer.commit(second).await.unwrap();
    let late = committed.late.unwrap();
    assert_eq!(committed.marker.parent, Some(late.id));
    assert_eq!(
        committed.marker.rows, 10,
        "only the second epoch's rows are new"
    );
    let moved: Vec<_> = committed
        .marker
        .moved
        .iter()
        .map(|m| (m.2.0, m.3.0))
        .collect();
    assert_eq!(
        moved,
        [(10, 20)],
        "the chain goes on from where the late one ended"
    );
    world.assert_holds(20).await;
}

#[tokio::test]
async fn a_late_attempt_that_covers_everything_leaves_nothing_to_commit() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.script(
        [Swap::Late]
            .into_iter()
            .chain((0..20).map(|_| Swap::Dropped)),
    );
    let first = world.staged(1, 0, 10).await;
    unknown(committer.commit(first.clone()).await);
    faulty.deliver().await;
    faulty.swaps_are_over();
    let snapshots = world.snapshots().await;
    let committed = committer.commit(first).await.unwrap();
    assert!(committed.late.is_some() && committed.snapshot_id.is_none());
    assert_eq!(world.snapshots().await, snapshots);
    world.assert_holds(10).await;
}

#[tokio::test]
async fn an_attempt_that_arrives_after_the_next_commit_is_void() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.script(
        [Swap::Late]
            .into_iter()
            .chain((0..20).map(|_| Swap::Dropped)),
    );
    let first = world.staged(1, 0, 10).await;
    unknown(committer.commit(first.clone()).await);
    faulty.swaps_are_over();
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(first.files);
    committer.commit(second).await.unwrap();
    assert_eq!(faulty.deliver().await, [false]);
    world.assert_holds(20).await;
}

#[tokio::test]
async fn of_several_unknown_attempts_the_one_that_landed_is_found() {
    let (world, mut committer, faulty) = impatient().await;
    let mut riding = Vec::new();
    for epoch in 1..=3_i64 {
        // The second one's request is stuck, the others are lost.
        let first = if epoch == 2 {
            Swap::Late
        } else {
            Swap::Dropped
        };
        faulty.swaps_are_over();
        faulty.script([first].into_iter().chain((0..20).map(|_| Swap::Dropped)));
        let mut staged = world
            .staged(epoch as u64, (epoch - 1) * 10, epoch * 10)
            .await;
        staged.files.extend(riding.clone());
        riding = staged.files.clone();
        unknown(committer.commit(staged).await);
    }
    assert_eq!(faulty.deliver().await, [true]);
    world.assert_holds(20).await;

    faulty.swaps_are_over();
    let mut last = world.staged(4, 30, 40).await;
    last.files.extend(riding);
    let committed = committer.commit(last).await.unwrap();
    assert_eq!(committed.late.unwrap().epoch.0, 2);
    world.assert_holds(40).await;
}

#[tokio::test]
async fn a_commit_whose_future_was_dropped_is_remembered() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.script([Swap::AnswerLost]);
    let first = world.staged(1, 0, 10).await;
    // Carried out, but whoever waited for it is gone before the read-back.
    {
        let commit = committer.commit(first.clone());
        tokio::pin!(commit);
        faulty.hang_after_next_swap();
        let waited = tokio::time::timeout(IMPATIENT / 2, &mut commit).await;
        assert!(waited.is_err());
    }
    faulty.hang_no_more();
    world.assert_holds(10).await;
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(first.files);
    let committed = committer.commit(second).await.unwrap();
    assert!(committed.late.is_some());
    world.assert_holds(20).await;
}

#[tokio::test]
async fn an_unreadable_table_after_the_swap_makes_the_outcome_unknown_not_wrong() {
    let (world, mut committer, faulty) = impatient().await;
    faulty.hang_after_next_swap();
    let first = world.staged(1, 0, 10).await;
    let error = tokio::time::timeout(Duration::from_secs(20), committer.commit(first.clone()))
        .await
        .unwrap();
    let error = unknown(error);
    assert!(error.to_string().contains("unknown"), "{error}");
    faulty.hang_no_more();
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(first.files);
    committer.commit(second).await.unwrap();
    world.assert_holds(20).await;
}

#[tokio::test]
async fn only_offsets_that_moved_make_a_snapshot_and_an_epoch_without_makes_none() {
    let (world, mut committer, _) = faulty().await;
    let moved = Staged {
        epoch: Epoch(1),
        next: offsets(7),
        ..Default::default()
    };
    let committed = committer.commit(moved.clone()).await.unwrap();
    assert!(committed.snapshot_id.is_some());
    let unmoved = Staged {
        epoch: Epoch(2),
        ..moved
    };
    let snapshots = world.snapshots().await;
    let committed = committer.commit(unmoved).await.unwrap();
    assert!(committed.snapshot_id.is_none());
    assert_eq!(world.snapshots().await, snapshots);
    assert_eq!(
        world.observe().await.unwrap().marker().unwrap().next,
        offsets(7)
    );
    world.assert_holds(0).await;
}

#[tokio::test]
async fn files_handed_in_again_are_taken_once_even_after_a_part_of_them_landed_late() {
    let (world, mut committer, faulty) = impatient().await;
    let down = || (0..20).map(|_| Swap::Dropped);
    faulty.script([Swap::Late].into_iter().chain(down()));
    let first = world.staged(1, 0, 10).await;
    unknown(committer.commit(first.clone()).await);
    faulty.deliver().await;
    // The second epoch finds out about the first one, and fails as well.
    faulty.swaps_are_over();
    faulty.script(down());
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(first.files.clone());
    unknown(committer.commit(second.clone()).await);
    world.assert_holds(10).await;

    faulty.swaps_are_over();
    let mut third = world.staged(3, 20, 30).await;
    third.files.extend(second.files);
    committer.commit(third).await.unwrap();
    world.assert_holds(30).await;
}

#[tokio::test]
async fn a_file_of_an_epoch_that_is_over_is_refused_loudly() {
    let (world, mut committer, _) = faulty().await;
    let forgotten = world.stage(1, 5, 10).await;
    committer.commit(world.staged(1, 0, 5).await).await.unwrap();
    let mut second = world.staged(2, 10, 20).await;
    second.files.extend(forgotten);
    let error = fatal(committer.commit(second).await);
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.to_string().contains("of epoch 1"), "{error}");
    world.assert_holds(5).await;
}

#[tokio::test]
async fn an_epoch_handed_in_twice_or_a_cut_that_moved_backwards_is_refused() {
    let (world, mut committer, _) = faulty().await;
    committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    let again = fatal(committer.commit(world.staged(1, 10, 20).await).await);
    assert_eq!(again.kind(), Kind::Internal);
    let mut backwards = world.staged(2, 10, 20).await;
    backwards.next = offsets(5);
    let backwards = fatal(committer.commit(backwards).await);
    assert!(backwards.to_string().contains("backwards"), "{backwards}");
    world.assert_holds(10).await;
}

#[tokio::test]
async fn a_swap_without_a_permit_is_refused_by_the_guard() {
    let world = World::new().await;
    let files = world.stage(1, 0, 10).await;
    let table = world.table().await;
    let claim = Claim {
        id: "claim".into(),
        table_uuid: "another table".into(),
        from: Start::Fresh,
        on_rollback: OnRollback::Halt,
    };
    let guard = GuardedCatalog::new(
        world.catalog.clone(),
        world.ident.clone(),
        PIPELINE.into(),
        Intent::Claim(claim),
        Merges::default(),
    );
    foreign_commit_fails(&guard, &table, &files).await;
    assert_eq!(guard.sent(), 0);
    world.assert_holds(0).await;
}

async fn foreign_commit_fails(
    catalog: &dyn Catalog,
    table: &iceberg::table::Table,
    files: &[StagedFile],
) {
    let transaction = Transaction::new(table);
    let append = transaction
        .fast_append()
        .add_data_files(files.iter().map(|file| file.decode(table).unwrap()));
    let transaction = append.apply(transaction).unwrap();
    let error = transaction.commit(catalog).await.unwrap_err();
    assert!(error.to_string().contains("Replaced"), "{error}");
}
