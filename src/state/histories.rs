//! Random histories: whatever is put, removed, expired, snapshotted, lost, restored (also from savepoints), rescaled
//! and collected, on whichever backend, the stores hold what a plain map holds.
//!
//! `CALVE_STATE_SEED=…` replays one history, `CALVE_STATE_HISTORIES=…` runs more of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;

use super::testing::*;
use super::{
    Assignment, BackendKind, ListState, MapState, MaxParallelism, Share, Snapshot, SnapshotId,
    StateStore, ValueState,
};
use crate::dice::Dice;
use crate::iceberg::S3Options;
use crate::time::{Epoch, Generation};

const HISTORIES: u64 = 8;
const STEPS: usize = 40;
const KEYS: usize = 40;
const TIME_TO_LIVE_MS: u64 = 1_000;

/// What the stores are to hold: values with their expiry, maps, lists.
#[derive(Clone, Default)]
struct Plain {
    now_ms: u64,
    values: BTreeMap<u64, (u64, u64)>,
    maps: BTreeMap<u64, BTreeMap<u64, u64>>,
    lists: BTreeMap<u64, Vec<u64>>,
}

/// The states of the one operator.
struct States {
    values: ValueState<u64, u64>,
    maps: MapState<u64, u64, u64>,
    lists: ListState<u64, u64>,
}

impl States {
    fn of(store: &mut StateStore) -> Self {
        let time_to_live = Some(Duration::from_millis(TIME_TO_LIVE_MS));
        Self {
            values: store.value("values", time_to_live).unwrap(),
            maps: store.map("maps", None).unwrap(),
            lists: store.list("lists", None).unwrap(),
        }
    }
}

struct History {
    world: World,
    dice: Dice,
    max: MaxParallelism,
    generation: u64,
    epoch: u64,
    stores: Vec<StateStore>,
    plain: Plain,
    /// Snapshots that were committed, with what they hold.
    committed: Vec<(SnapshotId, Plain)>,
    /// Where savepoints are, with what they hold.
    savepoints: Vec<(String, Plain)>,
    elsewhere: TempDir,
}

fn kind(dice: &mut Dice) -> BackendKind {
    // RocksDB first: what is restored to it is opened as it is only if it comes from it.
    match dice.below(4) {
        0 => BackendKind::Memory,
        _ => BackendKind::Rocksdb,
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let max = MaxParallelism::new([1, 3, 16, 128][dice.below(4)]).unwrap();
        let mut history = Self {
            world: World::with(dice.below(4) > 0),
            dice,
            max,
            generation: 1,
            epoch: 0,
            stores: Vec::new(),
            plain: Plain::default(),
            committed: Vec::new(),
            savepoints: Vec::new(),
            elsewhere: tempfile::tempdir().unwrap(),
        };
        let (peers, backends) = history.next_run();
        for worker in 0..peers {
            let assignment = Assignment::new("op", max, worker, peers);
            let home = history.world.home(1, worker);
            let store = StateStore::create(assignment, &backends, &home).unwrap();
            history.stores.push(store);
        }
        history
    }

    /// How many workers the next run has, and where they keep their state.
    fn next_run(&mut self) -> (usize, super::Backends) {
        let peers = 1 + self.dice.below(5);
        (peers, backends(kind(&mut self.dice)))
    }

    async fn step(&mut self) {
        match self.dice.below(21) {
            0..12 => (0..20).for_each(|_| self.change()),
            12 => self.advance(),
            13..16 => self.checkpoint(true).await,
            16 => self.checkpoint(false).await,
            17 => self.collect().await,
            18 => self.savepoint().await,
            _ => self.restart().await,
        }
    }

    fn change(&mut self) {
        let dice = &mut self.dice;
        let (key, sub, value) = (dice.below(KEYS) as u64, dice.below(4) as u64, dice.next());
        let what = dice.below(9);
        let group = self.max.group_of_key(&key).unwrap();
        let worker = self.max.worker_of(group, self.stores.len());
        let store = &mut self.stores[worker];
        let states = States::of(store);
        let plain = &mut self.plain;
        let expires_ms = plain.now_ms + TIME_TO_LIVE_MS;
        match what {
            0..3 => {
                states.values.put(store, &key, &value).unwrap();
                plain.values.insert(key, (value, expires_ms));
            }
            3 => {
                let mut absent = Vec::new();
                let put_if_absent = |_, before: Option<u64>| {
                    absent.push(before.is_none());
                    before.is_none().then_some(value)
                };
                let twice = [&key, &key];
                states
                    .values
                    .update_many(store, twice, put_if_absent)
                    .unwrap();
                let found = plain.values.get(&key);
                let lives = found.is_some_and(|(_, at)| *at > plain.now_ms);
                assert_eq!(absent, [!lives, false]);
                if !lives {
                    plain.values.insert(key, (value, expires_ms));
                }
            }
            4 => {
                states.values.remove(store, &key).unwrap();
                plain.values.remove(&key);
            }
            5 => {
                states.maps.put(store, &key, &sub, &value).unwrap();
                plain.maps.entry(key).or_default().insert(sub, value);
            }
            6 => {
                states.maps.remove(store, &key, &sub).unwrap();
                plain.maps.entry(key).or_default().remove(&sub);
            }
            7 => {
                states.lists.append(store, &key, &[value, sub]).unwrap();
                plain.lists.entry(key).or_default().extend([value, sub]);
            }
            _ => {
                states.lists.clear(store, &key).unwrap();
                plain.lists.remove(&key);
            }
        }
    }

    fn advance(&mut self) {
        self.plain.now_ms += self.dice.below(TIME_TO_LIVE_MS as usize) as u64;
        for store in &mut self.stores {
            store.advance_to(self.plain.now_ms);
        }
    }

    /// A checkpoint, or one that fails after some of the uploads.
    async fn checkpoint(&mut self, succeeds: bool) {
        self.epoch += 1;
        let (generation, epoch) = (Generation(self.generation), Epoch(self.epoch));
        let mut parts = Vec::new();
        for store in &mut self.stores {
            let local = store.snapshot(epoch).unwrap();
            if succeeds || self.dice.below(2) == 0 {
                let part = self.world.snapshots.upload(generation, &local);
                parts.push(part.await.unwrap());
            }
        }
        if succeeds {
            let head = head(self.stores[0].assignment(), generation.0, epoch.0);
            let id = self.world.snapshots.complete(head, parts).await.unwrap();
            self.committed.push((id, self.plain.clone()));
        }
    }

    async fn collect(&mut self) {
        let first = self.committed.len().saturating_sub(2);
        self.committed.drain(..first);
        let keep: Vec<_> = self.committed.iter().map(|(id, _)| id.clone()).collect();
        self.world.snapshots.collect_garbage(&keep).await.unwrap();
    }

    async fn savepoint(&mut self) {
        let Some((id, plain)) = self.committed.last() else {
            return;
        };
        let number = self.savepoints.len();
        let location = format!("{}/{number}", self.elsewhere.path().display());
        let s3 = S3Options::default();
        let export = self.world.snapshots.export(id, &location, &s3);
        export.await.unwrap();
        self.savepoints.push((location, plain.clone()));
    }

    /// One of the savepoints becomes what the next run begins with.
    async fn import(&mut self) {
        let chosen = self.dice.below(self.savepoints.len());
        let (location, plain) = self.savepoints[chosen].clone();
        let s3 = S3Options::default();
        let savepoint = Snapshot::open_savepoint(&location, &s3).await.unwrap();
        let (generation, epoch) = (Generation(self.generation + 1), Epoch(self.epoch));
        let import = self.world.snapshots.import(&savepoint, generation, epoch);
        self.committed.push((import.await.unwrap(), plain));
    }

    /// All is lost but what was committed; another number of workers goes on, sometimes from an older
    /// snapshot.
    async fn restart(&mut self) {
        self.stores.clear();
        let mut share = Share::Newest;
        if !self.savepoints.is_empty() && self.dice.below(4) == 0 {
            self.import().await;
        } else if self.committed.len() > 1 && self.dice.below(4) == 0 {
            self.committed.pop();
            share = Share::Nothing;
        }
        let (peers, backends) = self.next_run();
        self.generation += 1;
        let newest = self.committed.last().cloned();
        for worker in 0..peers {
            let assignment = Assignment::new("op", self.max, worker, peers);
            let home = self.world.home(self.generation, worker);
            let store = match &newest {
                None => StateStore::create(assignment, &backends, &home),
                Some((id, _)) => {
                    let snapshot = self.world.snapshots.read(id).await.unwrap();
                    snapshot.restore(assignment, &backends, &home, share).await
                }
            };
            self.stores.push(store.unwrap());
        }
        self.plain = newest.map_or_else(Plain::default, |(_, plain)| plain);
        for store in &mut self.stores {
            store.advance_to(self.plain.now_ms);
            assert_eq!(store.now_ms(), self.plain.now_ms);
        }
        self.check();
    }

    /// Everything is there, under every key, and nothing else.
    fn check(&mut self) {
        let plain = &self.plain;
        let mut visited = BTreeMap::new();
        for store in &mut self.stores {
            let states = States::of(store);
            let note = |key, value| {
                assert_eq!(visited.insert(key, value), None, "key {key} is there twice");
                Ok(())
            };
            states.values.for_each(store, note).unwrap();
        }
        let live = plain
            .values
            .iter()
            .filter(|(_, (_, at))| *at > plain.now_ms);
        let live: BTreeMap<u64, u64> = live.map(|(key, (value, _))| (*key, *value)).collect();
        assert_eq!(visited, live);
        for key in 0..KEYS as u64 {
            let group = self.max.group_of_key(&key).unwrap();
            let worker = self.max.worker_of(group, self.stores.len());
            let store = &mut self.stores[worker];
            let states = States::of(store);
            let value = states.values.get(store, &key).unwrap();
            assert_eq!(value.as_ref(), live.get(&key), "value of {key}");
            let map = states.maps.entries(store, &key).unwrap();
            let map: BTreeMap<u64, u64> = map.into_iter().collect();
            let expected = plain.maps.get(&key).cloned().unwrap_or_default();
            assert_eq!(map, expected, "map of {key}");
            let list = states.lists.get(store, &key).unwrap();
            let expected = plain.lists.get(&key).cloned().unwrap_or_default();
            assert_eq!(list, expected, "list of {key}");
        }
    }
}

/// The number that an environment variable holds.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_happens_the_stores_hold_what_a_map_holds() {
    let seeds = match number("CALVE_STATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CALVE_STATE_HISTORIES").unwrap_or(HISTORIES),
    };
    for seed in seeds {
        println!("CALVE_STATE_SEED={seed}");
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step().await;
        }
        history.check();
        history.checkpoint(true).await;
        history.restart().await;
    }
}
