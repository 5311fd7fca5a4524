//! A deterministic simulation: the production committer, guard and transaction over a simulated
//! catalog, log and object store, in more schedules than anybody could think of.
//!
//! ```text
//!   seed ──▶ schedule ── lets one request through, or loses it, delays it, kills, starts, rolls back …
//!               │
//!        p1 ── committer ── guard ── Transaction ──▶ ┌─ catalog ─┐     every change of the table is
//!        p2 ── committer ── guard ── Transaction ──▶ │   world   │ ──▶ checked as it happens, the
//!              └─ manifests ───────────────────────▶ └── store ──┘     rows at the end
//! ```
//!
//! A schedule is chaos and then calm. In the chaos requests are lost, late, doubled, unanswered or lied
//! about, processes die at any point and start while others still run, under any policy, other programs append,
//! commits and operators expire, and operators roll back, take it back, and recreate. In the calm nothing fails, and the table must become
//! complete. Time is virtual. All choices come from the seed, so a seed is a test case:
//!
//! ```sh
//! test="cargo nextest run --release --features failpoints --no-capture no_schedule_of_the_simulation"
//! CALVE_SIM_SEED=4711 $test               # this one, with all that happens in it
//! CALVE_SIM_SCHEDULES=10000000 $test      # more than by default
//! ```
//!
//! What an operator may not do: expire, after a rollback, even the newest marker that the rollback led
//! to. Nothing in such a table tells the rollback from an expiry.

mod catalog;
mod chance;
mod process;
mod schedule;
mod store;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use schedule::{Seen, run};

/// How many schedules are run unless told otherwise.
const SCHEDULES: u64 = 100_000;

/// Seeds that have found something once.
const FOUND: [u64; 1] = [10_291];

/// What a simulation that means anything has met.
const MUST_BE_SEEN: [&str; 20] = [
    "a commit has expired snapshots",
    "a commit landed although no answer said so",
    "a commit was given up half-way",
    "a process gave up",
    "a process has read everything",
    "a process took over",
    "a process was fenced",
    "a rollback was followed by a rewind",
    "a rollback was gone on from without leaving anything out",
    "a rollback was taken back",
    "a rollback was taken back after the pipeline had gone on",
    "a swap met a conflict",
    "a swap that nobody waited for has landed",
    "a table that somebody tampered with was refused",
    "an attempt of unknown outcome had landed",
    "rolled-back rows were left out",
    "the marker's snapshot has expired",
    "the outcome of a commit was unknown",
    "the table was recreated",
    "where rolled-back records begin was forgotten",
];

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

/// The first violation among the seeds below `count`, and what all of them have met.
fn search(count: u64) -> (Option<u64>, Seen) {
    let next = AtomicU64::new(0);
    let found = AtomicU64::new(u64::MAX);
    let seen = Mutex::new(Seen::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Seen::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || found.load(Ordering::Relaxed) < seed {
                        break;
                    }
                    let _announced = Announced(seed);
                    let ended = run(seed, false);
                    for (what, times) in ended.seen {
                        *mine.entry(what).or_default() += times;
                    }
                    if ended.violation.is_some() {
                        found.fetch_min(seed, Ordering::Relaxed);
                    }
                }
                let mut seen = seen.lock().unwrap();
                for (what, times) in mine {
                    *seen.entry(what).or_default() += times;
                }
            });
        }
    });
    let found = found.into_inner();
    (
        (found != u64::MAX).then_some(found),
        seen.into_inner().unwrap(),
    )
}

/// Names the seed if the code under test panics.
struct Announced(u64);

impl Drop for Announced {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the schedule of seed {} panicked", self.0);
        }
    }
}

/// Runs one seed and tells all that happened; panics if it found something.
fn replay(seed: u64) {
    let ended = run(seed, true);
    println!("the schedule of seed {seed}:\n{}", ended.trace.join("\n"));
    if let Some(what) = ended.violation {
        panic!("seed {seed}: {what}\nto replay it: CALVE_SIM_SEED={seed}");
    }
}

#[test]
fn no_schedule_of_the_simulation_loses_or_doubles_anything() {
    if let Some(seed) = number("CALVE_SIM_SEED") {
        return replay(seed);
    }
    let count = number("CALVE_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let began = std::time::Instant::now();
    let (found, seen) = search(count);
    if let Some(seed) = found {
        replay(seed);
    }
    println!(
        "{count} schedules in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    for (what, times) in &seen {
        println!("{times:>9} × {what}");
    }
    let missed: Vec<_> = MUST_BE_SEEN
        .iter()
        .filter(|what| !seen.contains_key(*what))
        .collect();
    assert!(missed.is_empty(), "the simulation never met: {missed:?}");
}

#[test]
fn seeds_that_have_found_something_once_find_nothing_now() {
    FOUND.into_iter().for_each(replay);
}

#[test]
fn a_seed_is_always_the_same_schedule() {
    for seed in 0..50 {
        let (one, two) = (run(seed, true), run(seed, true));
        assert_eq!(one.seen, two.seen, "seed {seed}");
        assert_eq!(one.trace.len(), two.trace.len(), "seed {seed}");
    }
}

/// The switch is one of the whole process: nextest gives each test its own.
#[cfg(feature = "failpoints")]
#[test]
fn with_the_guard_off_the_simulation_finds_a_duplicate() {
    fail::cfg("guard", "return(off)").unwrap();
    let (found, _) = search(2_000);
    fail::remove("guard");
    let seed = found.expect("the simulation can't see a duplicate");
    println!("found by seed {seed}");
}
