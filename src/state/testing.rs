//! What the tests of this room share.

use super::{Assignment, BackendKind, Backends, MaxParallelism, StateStore};

/// Both kinds of backend.
pub(super) const BOTH: [BackendKind; 2] = [BackendKind::Rocksdb, BackendKind::Memory];

/// Backends with little memory.
pub(super) fn backends(kind: BackendKind) -> Backends {
    Backends::new(kind, 8 << 20)
}

/// Runs a test on an empty store of each kind, which holds all groups.
pub(super) fn for_both(test: impl Fn(&mut StateStore)) {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let assignment = Assignment::new("op", MaxParallelism::default(), 0, 1);
        test(&mut StateStore::create(assignment, &backends(kind), folder.path()).unwrap());
    }
}

/// Random numbers from a seed that a failing test prints (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
