//! How the processes of a round live and die, by a seed.

use crate::support::Random;

/// The points of `src/failpoint.rs` at which a process can die or be stopped.
const POINTS: [&str; 7] = [
    "write",
    "staged",
    "commit",
    "before-swap",
    "after-swap",
    "proved",
    "group-offsets",
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

/// The lives of a round, with a zombie and two starts at once among them if there are enough.
pub fn lives(seed: u64, count: u64) -> Vec<Life> {
    let mut random = Random::new(seed);
    let mut lives: Vec<Life> = (0..count).map(|_| any(&mut random)).collect();
    if let [.., first, second] = &mut lives[..] {
        first.act = zombie(&mut random);
        second.act = two_at_once(&mut random);
    }
    // Fisher and Yates.
    for last in (1..lives.len()).rev() {
        lives.swap(last, random.below(last as u64 + 1) as usize);
    }
    lives
}

fn any(random: &mut Random) -> Life {
    let act = match random.below(100) {
        0..45 => Act::Kill {
            after_ms: random.between(0, 1_800),
        },
        45..85 => Act::Die {
            point: random.pick(&POINTS),
            passes: random.below(5),
        },
        85..93 => Act::LoseAnswer {
            passes: random.below(4),
            after_ms: random.between(500, 2_500),
        },
        93..97 => zombie(random),
        _ => two_at_once(random),
    };
    Life {
        workers: random.between(1, 6),
        interval_ms: random.between(50, 500),
        act,
    }
}

fn zombie(random: &mut Random) -> Act {
    Act::Zombie {
        point: random.pick(&POINTS),
        passes: random.below(3),
        workers: random.between(1, 6),
        then_ms: random.between(0, 1_000),
    }
}

fn two_at_once(random: &mut Random) -> Act {
    Act::TwoAtOnce {
        workers: random.between(1, 6),
        then_ms: random.between(0, 1_000),
    }
}
