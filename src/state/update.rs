//! The values of many keys at once, read and set: what an operator does with a batch of rows.
//!
//! Each key is encoded once, and each different key is asked for once, in the order in which the store has its
//! entries: that is what RocksDB's look-ups of many keys like best. What is put goes there in the same order.

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::Changes;
use super::encoding;
use super::keyed::{ValueState, live};
use super::store::StateStore;
use crate::error::Result;

#[cfg(test)]
mod tests;

impl<K: Serialize + ?Sized, V: Serialize + DeserializeOwned> ValueState<K, V> {
    /// Shows `update` each key's position and its value, one after the other, and sets what it returns; `None`
    /// leaves the value as it is. All are set, or none. A key that comes again has the value that it was given before.
    ///
    /// ```
    /// # use calve::state::{Assignment, BackendKind, Backends, MaxParallelism, StateStore};
    /// # fn main() -> calve::Result<()> {
    /// # let home = std::env::temp_dir().join(format!("calve-update-{}", std::process::id()));
    /// # let assignment = Assignment::new("count", MaxParallelism::default(), 0, 1);
    /// # let mut store = StateStore::create(assignment, &Backends::new(BackendKind::Memory, 0), &home)?;
    /// let counts = store.value::<str, u64>("count", None)?;
    /// let mut numbers = Vec::new();
    /// counts.update_many(&mut store, ["a", "b", "a"], |_, count| {
    ///     let count = count.unwrap_or(0) + 1;
    ///     numbers.push(count);
    ///     Some(count)
    /// })?;
    /// assert_eq!(numbers, [1, 1, 2]);
    /// # std::fs::remove_dir_all(home).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_many<'k, N: Borrow<V>>(
        &self,
        store: &mut StateStore,
        keys: impl IntoIterator<Item = &'k K>,
        mut update: impl FnMut(usize, Option<V>) -> Option<N>,
    ) -> Result<()>
    where
        K: 'k,
    {
        self.update_many_at(store, keys, |row, value| Some((update(row, value)?, 0)))
    }

    /// The same, each value as if it were put at the time beside it, in milliseconds, if that is later than the
    /// store's. For values of records that are ahead of the others: they live as long after their own time.
    pub fn update_many_at<'k, N: Borrow<V>>(
        &self,
        store: &mut StateStore,
        keys: impl IntoIterator<Item = &'k K>,
        mut update: impl FnMut(usize, Option<V>) -> Option<(N, u64)>,
    ) -> Result<()>
    where
        K: 'k,
    {
        let batch = Batch::new(self, store, keys)?;
        let different: Vec<&[u8]> = batch.different.iter().map(|row| batch.key(*row)).collect();
        let found = store.backend().get_many(&different, true)?;
        let now_ms = store.now_ms();
        let mut put: Vec<Option<Vec<u8>>> = vec![None; different.len()];
        for (row, &place) in batch.places.iter().enumerate() {
            let place = place as usize;
            let entry = put[place].as_ref().or(found[place].as_ref());
            let value = live(entry.map(Vec::as_slice), now_ms)?;
            if let Some((new, at_ms)) = update(row, value) {
                let expires_ms = self.place().expires_ms_if_put_at(at_ms.max(now_ms));
                put[place] = Some(encoding::entry(expires_ms, new.borrow())?);
            }
        }
        let mut changes = Changes::default();
        for (key, entry) in different.into_iter().zip(put) {
            if let Some(entry) = entry {
                changes.put(key, entry);
            }
        }
        store.write(changes)
    }
}

/// The keys of some rows, encoded into one block of memory.
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// A row of each different key, in the order of the keys' bytes.
    different: Vec<u32>,
    /// Of each row, which of the different keys it has.
    places: Vec<u32>,
}

impl Batch {
    fn new<'k, K: Serialize + ?Sized + 'k, V>(
        state: &ValueState<K, V>,
        store: &StateStore,
        keys: impl IntoIterator<Item = &'k K>,
    ) -> Result<Self> {
        let mut batch = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            different: Vec::new(),
            places: Vec::new(),
        };
        for key in keys {
            store.key_behind(&mut batch.bytes, state.place().id(), key)?;
            batch.ends.push(batch.bytes.len());
        }
        let rows = 0..batch.ends.len() as u32;
        let mut order: Vec<(u64, u32)> = rows.map(|row| (leading(batch.key(row)), row)).collect();
        // Of equal keys the first comes first, so that it stands for all of them.
        order.sort_unstable_by(|(one, row), (other, another)| {
            let bytes = || batch.key(*row).cmp(batch.key(*another));
            one.cmp(other).then_with(bytes).then(row.cmp(another))
        });
        let mut places = vec![0; order.len()];
        let mut different: Vec<u32> = Vec::with_capacity(order.len());
        for (_, row) in order {
            let last = different.last();
            if last.is_none_or(|last| batch.key(*last) != batch.key(row)) {
                different.push(row);
            }
            places[row as usize] = different.len() as u32 - 1;
        }
        Ok(Self {
            different,
            places,
            ..batch
        })
    }

    fn key(&self, row: u32) -> &[u8] {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[row]]
    }
}

/// Eight bytes that order keys of one state as all their bytes do, as far as they go: the group, and what follows
/// the number of the state, which is the same in all.
fn leading(key: &[u8]) -> u64 {
    let (prefix, rest) = key.split_at(encoding::PREFIX_LEN);
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&prefix[..2]);
    let rest = &rest[..rest.len().min(6)];
    bytes[2..2 + rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}
