//! The crash campaign: calve is killed as often as one likes, at any moment and at every named point of
//! its program, under a load that includes aborted transactions, and what it leaves in the table is counted
//! by pyiceberg and DuckDB.
//!
//! ```text
//!   seed ─▶ plan: how each process lives and dies     round: a topic, a table, 25 kills     table of figures
//!           kill -9 after 730 ms, 4 workers      ──▶  load … kill, restart, kill … load ──▶ kills, lost,
//!           dies at its 3rd swap, 1 worker            drain, count with both readers        duplicated, recovery
//! ```
//!
//! `tests/run` plays a hundred kills, `tests/campaign 10000` as many as it is told, `tests/campaign dedup 100` those of a
//! dataflow that keeps state, `tests/campaign daily_stats 100` those of one whose state is its table. A round has a topic and a
//! table of its own, so that its check takes the same time however long the campaign is. Two rounds are
//! played at once: a process that starts mostly waits.
//!
//! The seed makes the plan, not the timing: the same seed gives the same kills, but a kill may meet the
//! program elsewhere.

mod outcome;
mod plan;
mod round;

use std::env;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use outcome::Outcome;
use plan::{Act, Life};
use round::{Guard, Job, Round};

/// Rounds that are played at once.
const LANES: usize = 2;
const KILLS_PER_ROUND: u64 = 25;

/// Plays rounds until there were so many kills, or one of them went wrong. Round `n` has the seed `seed + n`:
/// a campaign with the seed of a bad round begins with that round.
fn campaign(job: Job, points: &'static [&'static str], kills: u64, seed: u64) -> Outcome {
    let rounds = kills.div_ceil(KILLS_PER_ROUND);
    let (next, total) = (AtomicU64::new(0), Mutex::new(Outcome::default()));
    let lane = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= rounds || !total.lock().expect("no panic").complaints.is_empty() {
                return;
            }
            let planned = KILLS_PER_ROUND.min(kills - number * KILLS_PER_ROUND);
            let seed = seed.wrapping_add(number);
            let lives = plan::lives(seed, planned, points);
            let play = || Round::play(job, seed, &lives, Guard::On);
            // A check of the harness that failed in one round shall not swallow the table of all.
            let outcome = catch_unwind(play).unwrap_or_else(|_| Outcome {
                complaints: vec![format!("the round with seed {seed} panicked, see above")],
                ..Outcome::default()
            });
            outcome.print(&seed.to_string());
            total.lock().expect("no panic").add(outcome);
        }
    };
    println!("{kills} kills; seed {seed} (CALVE_CAMPAIGN_SEED={seed} plays the same plan)\n");
    Outcome::print_head();
    let begin = Instant::now();
    thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let total = total.into_inner().expect("no panic");
    total.print("total");
    total.print_details();
    println!(
        "{:.1} kills a minute",
        total.kills as f64 * 60.0 / begin.elapsed().as_secs_f64()
    );
    total
}

fn number_from_env(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// How many kills, and the seed.
fn told_by_env(kills: u64) -> (u64, u64) {
    let random = || uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000_000;
    (
        number_from_env("CALVE_CAMPAIGN_KILLS").unwrap_or(kills),
        number_from_env("CALVE_CAMPAIGN_SEED").unwrap_or_else(random),
    )
}

#[test]
fn kills_under_dedup_lose_nothing_and_let_no_copy_in() {
    let (kills, seed) = told_by_env(25);
    let points = &plan::POINTS_WITH_STATE;
    let total = campaign(Job::Dedup, points, kills, seed);
    total.expect_faultless();
    assert!(total.kills >= kills, "{} of {kills} kills", total.kills);
    if kills >= 100 {
        assert!(total.first_commits.len() as u64 > kills / 10);
        let state = |point: &&&str| point.starts_with("state-");
        assert!(
            total.at_points.keys().filter(state).count() >= 4,
            "{total:?}"
        );
    }
}

#[test]
fn kills_under_daily_stats_leave_the_statistics_of_every_record() {
    let (kills, seed) = told_by_env(10);
    let total = campaign(Job::DailyStats, &plan::POINTS, kills, seed);
    total.expect_faultless();
    assert!(total.kills >= kills, "{} of {kills} kills", total.kills);
    if kills >= 100 {
        assert!(total.first_commits.len() as u64 > kills / 10);
        assert_eq!(total.at_points.len(), plan::POINTS.len(), "{total:?}");
    }
}

#[test]
fn kills_at_any_moment_lose_nothing_and_double_nothing() {
    let (kills, seed) = told_by_env(100);
    let total = campaign(Job::Ingest, &plan::POINTS, kills, seed);
    total.expect_faultless();
    assert!(total.kills >= kills, "{} of {kills} kills", total.kills);
    // A campaign whose processes never get to work, or never come to the points, proves nothing.
    if kills >= 100 {
        assert!(total.first_commits.len() as u64 > kills / 10);
        assert_eq!(total.at_points.len(), plan::POINTS.len(), "{total:?}");
    }
}

#[test]
fn the_campaign_reports_duplicates_when_the_guard_is_off() {
    // A zombie wakes at its swap after another process has committed the same offsets. The swap fails, and
    // the library appends the same files again to the table as it is then; only the guard would stop it.
    let zombie = Life {
        workers: 2,
        interval_ms: 200,
        act: Act::Zombie {
            point: "before-swap",
            passes: 1,
            workers: 3,
            then_ms: 1_000,
        },
    };
    Outcome::print_head();
    let outcome = Round::play(Job::Ingest, 1, &[zombie], Guard::Off);
    outcome.print("guard off");
    assert!(outcome.duplicated > 0, "{outcome:?}");
    // The same with the guard.
    let outcome = Round::play(Job::Ingest, 1, &[zombie], Guard::On);
    outcome.print("guard on");
    assert_eq!(outcome.fenced, 1, "{outcome:?}");
    outcome.expect_faultless();
}
