//! Starts and takeovers: claims, fences, two at once.

use std::sync::Arc;

use super::faulty::{Faulty, Swap};
use crate::checkpoint::positions::{Beginning, Carried};
use crate::config::OnRollback;
use crate::error::Kind;
use crate::iceberg::testing::*;
use crate::iceberg::{CommitFailure, Committer, Staged};
use crate::time::{Epoch, Generation};

#[tokio::test]
async fn a_fresh_start_records_where_it_begins_in_an_empty_snapshot() {
    let world = World::new().await;
    let observation = world.observe().await.unwrap();
    assert!(observation.marker().is_none());
    let (_, marker) = Committer::claim(observation, Some("cluster"), at(42))
        .await
        .unwrap();
    assert_eq!(marker.rank(), (Generation(1), Epoch(0)));
    assert_eq!(marker.next, offsets(42));
    assert_eq!(world.snapshots().await, 1);
    world.assert_holds(0).await;

    let again = world.observe().await.unwrap();
    let found = again.marker().unwrap();
    assert_eq!((&found.id, &found.next), (&marker.id, &marker.next));
    assert_eq!(found.cluster_id.as_deref(), Some("cluster"));
}

#[tokio::test]
async fn a_restart_carries_the_marker_forward_under_the_next_generation() {
    let world = World::new().await;
    let mut first = world.start().await;
    let mut staged = world.staged(5, 0, 10).await;
    staged.state_snapshot = Some("state".into());
    first.commit(staged).await.unwrap();

    let second = world.start().await;
    let (before, after) = (first.marker(), second.marker());
    assert_eq!(after.rank(), (Generation(2), Epoch(5)));
    assert_eq!(after.parent.as_ref(), Some(&before.id));
    assert_eq!(
        (&after.next, &after.state_snapshot),
        (&before.next, &before.state_snapshot)
    );
    world.assert_holds(10).await;
}

#[tokio::test]
async fn a_zombie_is_fenced_and_what_it_still_holds_does_not_land() {
    let world = World::new().await;
    let mut zombie = world.start().await;
    zombie.commit(world.staged(1, 0, 10).await).await.unwrap();
    let in_hand = world.staged(2, 10, 20).await;

    let mut successor = world.start().await;
    let Err(CommitFailure::Fatal(error)) = zombie.commit(in_hand).await else {
        panic!("the zombie committed");
    };
    assert_eq!(error.kind(), Kind::Fenced);
    assert!(error.to_string().contains("generation 2"), "{error}");
    world.assert_holds(10).await;

    successor
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    world.assert_holds(20).await;
}

#[tokio::test]
async fn a_zombies_swap_that_is_in_flight_during_the_takeover_is_void() {
    let world = World::new().await;
    let faulty = Faulty::new(&world.catalog, []);
    let mut zombie = world.start_with(faulty.clone(), IMPATIENT).await;
    faulty.script(
        [Swap::Late]
            .into_iter()
            .chain((0..20).map(|_| Swap::Dropped)),
    );
    assert!(matches!(
        zombie.commit(world.staged(1, 0, 10).await).await,
        Err(CommitFailure::Unknown(_))
    ));
    let mut successor = world.start().await;
    assert_eq!(
        faulty.deliver().await,
        [false],
        "the claim is a snapshot, so the swap fails"
    );
    successor
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    world.assert_holds(10).await;
}

#[tokio::test]
async fn of_two_starts_that_saw_the_same_table_each_gets_a_generation_of_its_own() {
    let world = World::new().await;
    let one = world.observe().await.unwrap();
    let two = world.observe().await.unwrap();
    let (one, two) = tokio::join!(
        Committer::claim(one, None, at(0)),
        Committer::claim(two, None, at(0))
    );
    let mut claimed = [one.unwrap(), two.unwrap()];
    claimed.sort_by_key(|(_, marker)| marker.generation);
    let [(mut loser, lost), (mut winner, won)] = claimed;
    assert_eq!(
        (lost.generation, won.generation),
        (Generation(1), Generation(2))
    );
    assert_eq!(won.parent, Some(lost.id));

    assert!(loser.commit(world.staged(1, 0, 10).await).await.is_err());
    winner.commit(world.staged(1, 0, 10).await).await.unwrap();
    world.assert_holds(10).await;
}

#[tokio::test]
async fn a_start_that_was_overtaken_by_a_commit_goes_on_from_that_commit() {
    let world = World::new().await;
    let mut old = world.start().await;
    let observation = world.observe().await.unwrap();
    old.commit(world.staged(1, 0, 10).await).await.unwrap();
    let (_, marker) = Committer::claim(observation, None, at(0)).await.unwrap();
    assert_eq!(marker.next, offsets(10), "its rows are not read again");
    assert_eq!(marker.rank(), (Generation(2), Epoch(1)));
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_found_to_have_landed() {
    let world = World::new().await;
    let faulty = Faulty::new(&world.catalog, [Swap::AnswerLost]);
    let committer = world.start_with(faulty.clone(), PATIENT).await;
    assert_eq!(committer.marker().generation, Generation(1));
    assert_eq!((faulty.seen(), world.snapshots().await), (1, 1));
}

#[tokio::test]
async fn partitions_that_the_marker_does_not_know_begin_where_the_start_says() {
    let world = World::new().await;
    world.start().await;
    let mut first = offsets(99);
    first.set("t", 1, crate::offsets::NextOffset(7));
    let observation = world.observe().await.unwrap();
    let (_, marker) = Committer::claim(observation, None, at_offsets(first))
        .await
        .unwrap();
    let mut expected = offsets(0);
    expected.set("t", 1, crate::offsets::NextOffset(7));
    assert_eq!(marker.next, expected);
}

#[tokio::test]
async fn offsets_of_another_kafka_cluster_are_not_resumed_from() {
    let world = World::new().await;
    let observation = world.observe().await.unwrap();
    Committer::claim(observation, Some("one"), at(0))
        .await
        .unwrap();
    let observation = world.observe().await.unwrap();
    let error = Committer::claim(observation, Some("two"), at(0))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Diverged);
    assert!(error.to_string().contains("one") && error.to_string().contains("two"));
}

#[tokio::test]
async fn pipelines_of_other_names_share_a_table_without_disturbing_each_other() {
    let world = World::new().await;
    let mut ours = world.start().await;
    let other = Committer::observe(
        Arc::clone(&world.catalog),
        world.ident.clone(),
        "other",
        OnRollback::Halt,
    )
    .await
    .unwrap();
    let (mut theirs, marker) = Committer::claim(other, None, at(0)).await.unwrap();
    assert_eq!(marker.generation, Generation(1));
    ours.commit(world.staged(1, 0, 10).await).await.unwrap();
    theirs.commit(world.staged(1, 10, 20).await).await.unwrap();
    ours.commit(Staged {
        next: offsets(30),
        ..world.staged(2, 20, 30).await
    })
    .await
    .unwrap();
    world.assert_holds(30).await;
}

#[tokio::test]
async fn a_topic_that_was_made_anew_leaves_nothing_of_the_first_in_the_marker() {
    let world = World::new().await;
    let named = |id: &str| [("t".to_owned(), id.to_owned())].into();
    let mut first = offsets(500);
    first.set("t", 1, crate::offsets::NextOffset(400));
    first.set("other", 0, crate::offsets::NextOffset(3));
    let observation = world.observe().await.unwrap();
    let begin = |_: Option<&Carried>| {
        Ok(Beginning {
            topic_ids: named("A"),
            ..first.clone().into()
        })
    };
    Committer::claim(observation, None, begin).await.unwrap();

    // The new one has a single partition.
    let observation = world.observe().await.unwrap();
    let begin = |carried: Option<&Carried>| {
        assert_eq!(carried.unwrap().topic_ids, named("A"));
        Ok(Beginning {
            recreated: vec!["t".into()],
            topic_ids: named("B"),
            ..offsets(0).into()
        })
    };
    let (mut committer, marker) = Committer::claim(observation, None, begin).await.unwrap();
    let mut expected = offsets(0);
    expected.set("other", 0, crate::offsets::NextOffset(3));
    assert_eq!((&marker.next, &marker.topic_ids), (&expected, &named("B")));
    // Its cuts go on from the new beginning, and carry the new id.
    let made = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    assert_eq!(made.marker.topic_ids, named("B"));
    let zero = crate::offsets::NextOffset(0);
    assert_eq!(marker.moved.get("t", 0), Some((zero, zero)));
    assert_eq!(
        marker.moved.get("other", 0),
        None,
        "it goes on where it was"
    );
}
