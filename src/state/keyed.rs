//! The states an operator declares: a value, a map or a list for each key.
//!
//! A state is a name for a place in the store and holds nothing itself. Reads ask for the store, writes
//! for the store and nothing else: what an operator may change, its types say.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::backend::Changes;
use super::encoding;
use super::store::StateStore;
use crate::error::Result;

#[cfg(test)]
mod tests;

/// What a state holds for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StateKind {
    Value,
    Map,
    List,
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StateKind::Value => "value",
            StateKind::Map => "map",
            StateKind::List => "list",
        })
    }
}

/// Where a state lies, and how long its entries live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    id: u32,
    time_to_live: Option<Duration>,
}

impl Place {
    /// The number of the state in its operator.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// When an entry expires that is put now.
    fn expires_ms(&self, store: &StateStore) -> Option<u64> {
        self.expires_ms_if_put_at(store.now_ms())
    }

    /// When an entry expires that is put at this time.
    pub(super) fn expires_ms_if_put_at(&self, now_ms: u64) -> Option<u64> {
        let after = self.time_to_live?.as_millis();
        let expires_ms = now_ms.saturating_add(u64::try_from(after).unwrap_or(u64::MAX));
        // 0 would mean never.
        Some(expires_ms.max(1))
    }

    fn entry<V: Serialize + ?Sized>(&self, store: &StateStore, value: &V) -> Result<Vec<u8>> {
        encoding::entry(self.expires_ms(store), value)
    }
}

/// One value for each key. Declared by [`StateStore::value`].
#[derive(Debug)]
pub struct ValueState<K: ?Sized, V> {
    place: Place,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> ValueState<K, V> {
    pub(super) fn new(id: u32, time_to_live: Option<Duration>) -> Self {
        let place = Place { id, time_to_live };
        let types = PhantomData;
        Self { place, types }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl<K: Serialize + ?Sized, V: Serialize + DeserializeOwned> ValueState<K, V> {
    /// The value of a key.
    pub fn get(&self, store: &StateStore, key: &K) -> Result<Option<V>> {
        let entry = store.backend().get(&store.key(self.place.id, key)?)?;
        live(entry.as_deref(), store.now_ms())
    }

    /// The values of many keys, in their order: cheaper than one by one.
    pub fn get_many<'k>(
        &self,
        store: &StateStore,
        keys: impl IntoIterator<Item = &'k K>,
    ) -> Result<Vec<Option<V>>>
    where
        K: 'k,
    {
        let keys = self.keys(store, keys)?;
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let entries = store.backend().get_many(&keys, false)?;
        let now_ms = store.now_ms();
        let live = |entry: Option<Vec<u8>>| live(entry.as_deref(), now_ms);
        entries.into_iter().map(live).collect()
    }

    /// Sets the value of a key.
    pub fn put(&self, store: &mut StateStore, key: &K, value: &V) -> Result<()> {
        self.put_many(store, [(key, value)])
    }

    /// Sets the values of many keys, all or none.
    pub fn put_many<'k>(
        &self,
        store: &mut StateStore,
        values: impl IntoIterator<Item = (&'k K, &'k V)>,
    ) -> Result<()>
    where
        K: 'k,
        V: 'k,
    {
        let mut changes = Changes::default();
        for (key, value) in values {
            let entry = self.place.entry(store, value)?;
            changes.put(store.key(self.place.id, key)?, entry);
        }
        store.write(changes)
    }

    /// Removes the value of a key.
    pub fn remove(&self, store: &mut StateStore, key: &K) -> Result<()> {
        let mut changes = Changes::default();
        changes.delete(store.key(self.place.id, key)?);
        store.write(changes)
    }

    fn keys<'k>(
        &self,
        store: &StateStore,
        keys: impl IntoIterator<Item = &'k K>,
    ) -> Result<Vec<Vec<u8>>>
    where
        K: 'k,
    {
        let keys = keys.into_iter();
        keys.map(|key| store.key(self.place.id, key)).collect()
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> ValueState<K, V> {
    /// Visits all keys of this worker with their values, group by group; in a group in the order of
    /// their bytes.
    pub fn for_each(
        &self,
        store: &StateStore,
        mut visit: impl FnMut(K, V) -> Result<()>,
    ) -> Result<()> {
        let now_ms = store.now_ms();
        for group in store.assignment().groups.iter() {
            let prefix = encoding::prefix(group, self.place.id);
            store.backend().scan(
                &prefix,
                &mut |key, entry| match encoding::live(entry, now_ms)? {
                    Some(value) => visit(encoding::decode(&key[prefix.len()..])?, value),
                    None => Ok(()),
                },
            )?;
        }
        Ok(())
    }
}

/// A map for each key. Declared by [`StateStore::map`].
#[derive(Debug)]
pub struct MapState<K: ?Sized, UK: ?Sized, UV> {
    place: Place,
    types: PhantomData<fn(&K, &UK) -> UV>,
}

impl<K: ?Sized, UK: ?Sized, UV> MapState<K, UK, UV> {
    pub(super) fn new(id: u32, time_to_live: Option<Duration>) -> Self {
        let place = Place { id, time_to_live };
        let types = PhantomData;
        Self { place, types }
    }
}

impl<K, UK, UV> MapState<K, UK, UV>
where
    K: Serialize + ?Sized,
    UK: Serialize + ?Sized,
    UV: Serialize + DeserializeOwned,
{
    /// The value of a map key.
    pub fn get(&self, store: &StateStore, key: &K, map_key: &UK) -> Result<Option<UV>> {
        let entry = store.backend().get(&self.key(store, key, map_key)?)?;
        live(entry.as_deref(), store.now_ms())
    }

    /// Sets the value of a map key.
    pub fn put(&self, store: &mut StateStore, key: &K, map_key: &UK, value: &UV) -> Result<()> {
        let mut changes = Changes::default();
        let entry = self.place.entry(store, value)?;
        changes.put(self.key(store, key, map_key)?, entry);
        store.write(changes)
    }

    /// Removes one map key.
    pub fn remove(&self, store: &mut StateStore, key: &K, map_key: &UK) -> Result<()> {
        let mut changes = Changes::default();
        changes.delete(self.key(store, key, map_key)?);
        store.write(changes)
    }

    /// Removes the whole map of a key.
    pub fn clear(&self, store: &mut StateStore, key: &K) -> Result<()> {
        clear(store, &store.key(self.place.id, key)?)
    }

    fn key(&self, store: &StateStore, key: &K, map_key: &UK) -> Result<Vec<u8>> {
        encoding::encode_after(store.key(self.place.id, key)?, map_key)
    }
}

impl<K, UK, UV> MapState<K, UK, UV>
where
    K: Serialize + ?Sized,
    UK: DeserializeOwned,
    UV: DeserializeOwned,
{
    /// The map of a key, in the order of the bytes of its map keys.
    pub fn entries(&self, store: &StateStore, key: &K) -> Result<Vec<(UK, UV)>> {
        let prefix = store.key(self.place.id, key)?;
        let now_ms = store.now_ms();
        let mut entries = Vec::new();
        store.backend().scan(&prefix, &mut |key, entry| {
            if let Some(value) = encoding::live(entry, now_ms)? {
                entries.push((encoding::decode(&key[prefix.len()..])?, value));
            }
            Ok(())
        })?;
        Ok(entries)
    }
}

/// A list for each key. Declared by [`StateStore::list`].
///
/// Each element is an entry of its own, under its index, and expires by itself; the next index is an
/// entry, too, which lives as long as the last element.
#[derive(Debug)]
pub struct ListState<K: ?Sized, V> {
    place: Place,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> ListState<K, V> {
    pub(super) fn new(id: u32, time_to_live: Option<Duration>) -> Self {
        let place = Place { id, time_to_live };
        let types = PhantomData;
        Self { place, types }
    }
}

impl<K: Serialize + ?Sized, V: Serialize + DeserializeOwned> ListState<K, V> {
    /// Adds elements at the end, all or none.
    pub fn append<'v>(
        &self,
        store: &mut StateStore,
        key: &K,
        values: impl IntoIterator<Item = &'v V>,
    ) -> Result<()>
    where
        V: 'v,
    {
        let key = store.key(self.place.id, key)?;
        let mut changes = Changes::default();
        let counter = store.backend().get(&key)?;
        let mut next: u64 = live(counter.as_deref(), store.now_ms())?.unwrap_or(0);
        for value in values {
            let element = [&key[..], &next.to_be_bytes()].concat();
            changes.put(element, self.place.entry(store, value)?);
            next += 1;
        }
        if changes.is_empty() {
            return Ok(());
        }
        // Not before an element that was added under a longer time to live.
        let mut expires_ms = self.place.expires_ms(store);
        if let Some(counter) = &counter {
            let of_earlier = encoding::expires_ms(counter)?;
            expires_ms = expires_ms.and_then(|at| Some(at.max(of_earlier?)));
        }
        changes.put(key, encoding::entry(expires_ms, &next)?);
        store.write(changes)
    }

    /// The elements of a key, in the order in which they were added.
    pub fn get(&self, store: &StateStore, key: &K) -> Result<Vec<V>> {
        let key = store.key(self.place.id, key)?;
        let now_ms = store.now_ms();
        let mut elements = Vec::new();
        store.backend().scan(&key, &mut |found, entry| {
            if found != key {
                elements.extend(encoding::live::<V>(entry, now_ms)?);
            }
            Ok(())
        })?;
        Ok(elements)
    }

    /// Removes the whole list of a key.
    pub fn clear(&self, store: &mut StateStore, key: &K) -> Result<()> {
        clear(store, &store.key(self.place.id, key)?)
    }
}

/// Removes everything under a key.
fn clear(store: &mut StateStore, prefix: &[u8]) -> Result<()> {
    let mut changes = Changes::default();
    store.backend().scan(prefix, &mut |key, _| {
        changes.delete(key);
        Ok(())
    })?;
    store.write(changes)
}

pub(super) fn live<V: DeserializeOwned>(entry: Option<&[u8]>, now_ms: u64) -> Result<Option<V>> {
    match entry {
        Some(entry) => encoding::live(entry, now_ms),
        None => Ok(None),
    }
}
