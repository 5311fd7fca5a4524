//! Key groups: the unit in which state moves from worker to worker.
//!
//! Every key belongs to one of `max-parallelism` groups for ever, and every worker holds a contiguous
//! range of them. Another number of workers means other ranges, not other groups: whoever takes a group
//! over finds its entries side by side, because a stored key begins with its group.
//!
//! The hash is part of the durable format. It is XXH64 with seed 0, whose results are the same on every
//! machine and in every version; the tests hold it to golden values.

use std::fmt;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::encoding;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// One of the groups that all keys are dealt out to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many key groups there are, and so how many workers can share the state of an operator.
///
/// It can't change while there is state: another number puts keys into other groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxParallelism(u16);

impl Default for MaxParallelism {
    fn default() -> Self {
        Self(128)
    }
}

impl MaxParallelism {
    /// The largest there can be, which is Flink's.
    pub const MAX: u32 = 32_768;

    /// Any number from 1 to [`MaxParallelism::MAX`].
    pub fn new(groups: u32) -> Result<Self> {
        match u16::try_from(groups) {
            Ok(number) if (1..=Self::MAX).contains(&groups) => Ok(Self(number)),
            _ => Err(Error::config(format!(
                "max-parallelism is {groups}: expected 1 to {}",
                Self::MAX
            ))),
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The group of a key, given the bytes it is encoded as.
    pub fn group_of(self, key: &[u8]) -> KeyGroup {
        self.group_of_hash(XxHash64::oneshot(0, key))
    }

    fn group_of_hash(self, hash: u64) -> KeyGroup {
        KeyGroup(u16::try_from(hash % u64::from(self.0)).unwrap_or(u16::MAX))
    }

    /// The group of a key. Whoever exchanges rows for a stateful operator uses this and nothing else:
    /// it is the group that the store puts the key into.
    pub fn group_of_key<K: Serialize + ?Sized>(self, key: &K) -> Result<KeyGroup> {
        Ok(self.group_of_hash(encoding::hash(key)?))
    }

    /// The groups that a worker holds.
    ///
    /// | 128 groups | worker 0 | worker 1 | worker 2 |
    /// |---|---|---|---|
    /// | 1 worker | 0..128 | | |
    /// | 2 workers | 0..64 | 64..128 | |
    /// | 3 workers | 0..43 | 43..86 | 86..128 |
    ///
    /// With more workers than groups some hold none.
    pub fn groups_of(self, worker: usize, peers: usize) -> KeyGroups {
        let start = |worker: usize| {
            let (groups, peers) = (u128::from(self.0), peers.max(1) as u128);
            let start = (worker as u128 * groups).div_ceil(peers).min(groups);
            u16::try_from(start).unwrap_or(self.0)
        };
        KeyGroups {
            start: start(worker),
            end: start(worker + 1),
        }
    }

    /// The worker that holds a group: the other direction of [`MaxParallelism::groups_of`].
    pub fn worker_of(self, group: KeyGroup, peers: usize) -> usize {
        let worker = u128::from(group.0) * peers as u128 / u128::from(self.0);
        usize::try_from(worker).unwrap_or(usize::MAX)
    }
}

impl TryFrom<u32> for MaxParallelism {
    type Error = Error;
    fn try_from(groups: u32) -> Result<Self> {
        Self::new(groups)
    }
}

impl From<MaxParallelism> for u32 {
    fn from(max: MaxParallelism) -> Self {
        u32::from(max.0)
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of key groups, `start` included, `end` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroups {
    /// The first group.
    pub start: u16,
    /// The group after the last one.
    pub end: u16,
}

impl KeyGroups {
    /// True if the range has no group.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// True if the group is in the range.
    pub fn contains(self, group: KeyGroup) -> bool {
        (self.start..self.end).contains(&group.0)
    }

    /// The groups that are in both ranges.
    pub fn intersection(self, other: Self) -> Self {
        Self {
            start: self.start.max(other.start),
            end: self.end.min(other.end),
        }
    }

    /// All groups, in order.
    pub fn iter(self) -> impl Iterator<Item = KeyGroup> {
        (self.start..self.end).map(KeyGroup)
    }
}

impl fmt::Display for KeyGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}
