//! How the processes of a round live and die, by a seed.

use crate::support::Random;

/// The points of `src/failpoint.rs` at which a process can die or be stopped.
pub const POINTS: [&str; 7] = [
    "write",
    "staged",
    "commit",
    "before-swap",
    "after-swap",
    "proved",
    "group-offsets",
];

/// Those, and the ones of a dataflow that keeps state.
pub const POINTS_WITH_STATE: [&str; 13] = [
    "write",
    "staged",
    "state-upload",
    "state-uploaded",
    "commit",
    "state-manifest",
    "state-complete",
    "before-swap",
    "after-swap",
    "proved",
    "state-tidy",
    "group-offsets",
    "state-restore",
];

/// One process, or two at once, until one kill.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Worker threads.
    pub workers: u64,
    /// The checkpoint interval: short, so that kills fall into every phase of a checkpoint.
    pub interval_ms: u64,
    pub act: Act,
}

/// What happens in a life. A point is passed `passes` times before it does something.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// kill -9 at a moment between the start of the process and some checkpoints later.
    Kill { after_ms: u64 },
    /// The process dies at a point of its program.
    Die { point: &'static str, passes: u64 },
    /// The catalog's answer to a swap is lost; kill -9 some time later.
    LoseAnswer { passes: u64, after_ms: u64 },
    /// The process is stopped at a point; another one takes over and commits; the first wakes up. One of
    /// them is fenced, the other one killed.
    Zombie {
        point: &'static str,
        passes: u64,
        workers: u64,
        then_ms: u64,
    },
    /// Two processes start at once. One of them is fenced, the other one killed.
    TwoAtOnce { workers: u64, then_ms: u64 },
}

/// The lives of a round: each kind has its share, everything else is random.
pub fn lives(seed: u64, count: u64, points: &'static [&'static str]) -> Vec<Life> {
    let mut random = Random::new(seed);
    let mut lives: Vec<Life> = (0..count)
        .map(|n| Life {
            workers: random.between(1, 6),
            interval_ms: random.between(50, 500),
            act: act(n, seed, points, &mut random),
        })
        .collect();
    // Fisher and Yates.
    for last in (1..lives.len()).rev() {
        lives.swap(last, random.below(last as u64 + 1) as usize);
    }
    lives
}

fn act(n: u64, seed: u64, points: &'static [&'static str], random: &mut Random) -> Act {
    // Also the first few of a round are of every kind: 7 and 25 have no divisor in common.
    let share = n * 7 % 25;
    match share {
        0..10 => Act::Kill {
            after_ms: random.between(0, 1_200),
        },
        10..20 => Act::Die {
            // Rounds follow each other with following seeds, so each point has its turn.
            point: points[share.wrapping_add(seed) as usize % points.len()],
            passes: random.below(5),
        },
        20 | 21 => Act::LoseAnswer {
            passes: random.below(4),
            after_ms: random.between(200, 1_500),
        },
        22 | 23 => Act::Zombie {
            point: random.pick(points),
            passes: random.below(3),
            workers: random.between(1, 6),
            then_ms: random.between(0, 1_000),
        },
        _ => Act::TwoAtOnce {
            workers: random.between(1, 6),
            then_ms: random.between(0, 1_000),
        },
    }
}
