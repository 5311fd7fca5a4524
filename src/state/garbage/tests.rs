use std::collections::BTreeMap;
use std::fs;

use super::super::names::data_file;
use super::super::testing::*;
use super::super::{BackendKind, Share};
use super::*;
use crate::dice::Dice;
use crate::time::{Epoch, Generation};

fn rank(generation: u64, epoch: u64) -> Rank {
    Rank {
        generation: Generation(generation),
        epoch: Epoch(epoch),
    }
}

fn id(generation: u64, epoch: u64) -> SnapshotId {
    SnapshotId::new(rank(generation, epoch))
}

fn keep(ids: &[SnapshotId]) -> Keep {
    Keep {
        newest: ids.iter().map(SnapshotId::rank).max().unwrap(),
        ids: ids.iter().map(SnapshotId::to_string).collect(),
    }
}

#[test]
fn a_files_name_decides_as_the_table_says() {
    use Verdict::{Dropped, Kept, Open, Unknown};
    let kept = [id(2, 3), id(3, 7), id(3, 8)];
    let keep = keep(&kept);
    let none = BTreeSet::new();
    for id in &kept {
        assert_eq!(keep.verdict(&id.manifest(), &none), Kept);
    }
    for (generation, epoch, verdict) in [
        (1, 100, Dropped),
        (2, 3, Dropped),
        (2, 100, Dropped),
        (3, 6, Dropped),
        (3, 8, Dropped),
        (3, 9, Open),
        (4, 1, Open),
    ] {
        let manifest = id(generation, epoch).manifest();
        assert_eq!(keep.verdict(&manifest, &none), verdict, "{manifest}");
        let data = data_file(rank(generation, epoch), 0, "000042.sst");
        assert_eq!(keep.verdict(&data, &none), verdict, "{data}");
        let named = BTreeSet::from([data.clone()]);
        assert_eq!(keep.verdict(&data, &named), Kept, "{data}");
        for unknown in [
            format!("{data}/"),
            format!(".{data}"),
            format!("{manifest}.bak"),
        ] {
            let named = BTreeSet::from([unknown.clone()]);
            assert_eq!(keep.verdict(&unknown, &named), Unknown, "{unknown}");
        }
    }
}

#[tokio::test]
async fn what_no_kept_snapshot_names_is_deleted_and_nothing_else() {
    let world = World::new();
    let mut store = world.create(BackendKind::Rocksdb);
    let mut made = Vec::new();
    for epoch in 1..=6 {
        put(&mut store, epoch * 10_000, 10_000);
        made.push(world.checkpoint(&mut store, 1, epoch).await);
    }
    // Uploaded, but no snapshot: one before the newest commit, one after it.
    let uploaded = world.files();
    let failed = store.snapshot(Epoch(4)).unwrap();
    put(&mut store, 0, 1);
    world
        .snapshots
        .upload(Generation(1), &failed)
        .await
        .unwrap();
    let failed: BTreeSet<String> = world.files().difference(&uploaded).cloned().collect();
    assert!(!failed.is_empty());
    let open = store.snapshot(Epoch(6)).unwrap();
    let open = world.snapshots.upload(Generation(1), &open).await.unwrap();
    let strangers = ["README", "g1-e1-x.manifest.json", "g1-e1-w0-000042.sst"];
    for stranger in strangers {
        fs::write(world.folder().join(stranger), "x").unwrap();
    }

    let kept: Vec<_> = made[2..5].to_vec();
    let ids: Vec<SnapshotId> = kept.iter().map(|(id, _)| id.clone()).collect();
    let collected = world.snapshots.collect_garbage(&ids).await.unwrap();
    let mut expected: BTreeSet<String> = strangers.map(str::to_owned).into();
    let stay = kept.iter().chain(&made[5..]);
    for (id, part) in stay {
        expected.insert(id.manifest());
        expected.extend(part.files.iter().map(|file| file.name.clone()));
    }
    expected.extend(open.files.iter().map(|file| file.name.clone()));
    assert_eq!(world.files(), expected);
    assert_eq!((collected.snapshots, collected.failed), (2, 0));
    assert!(collected.files > failed.len() as u64);
    let again = world.snapshots.collect_garbage(&ids).await.unwrap();
    assert_eq!(again, Collected::default());
    drop(store);
    for (at, id) in ids.iter().enumerate() {
        let restored = world.restore(id, BackendKind::Rocksdb, Share::Newest).await;
        assert_numbers(&mut restored.unwrap(), 10_000..(at as u64 + 4) * 10_000);
    }
}

#[tokio::test]
async fn nothing_is_deleted_while_a_snapshot_to_keep_is_in_doubt() {
    let world = World::new();
    let mut store = world.create(BackendKind::Memory);
    let mut ids = Vec::new();
    for epoch in 1..=4 {
        ids.push(world.checkpoint(&mut store, 1, epoch).await.0);
    }
    let before = world.files();
    let collect = async |keep: &[SnapshotId]| world.snapshots.collect_garbage(keep).await;
    assert_eq!(collect(&[]).await.unwrap(), Collected::default());
    assert_eq!(
        world.files(),
        before,
        "nothing to keep is no reason to delete all"
    );

    let error = collect(&[ids[1].clone(), id(1, 5)])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("of generation 1 and epoch 5, is not in"),
        "{error}"
    );
    assert_eq!(world.files(), before);

    // One that is kept, then one that is open.
    for damaged in [1, 3] {
        let path = world.folder().join(ids[damaged].manifest());
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[1..]).unwrap();
        let error = collect(&ids[1..3]).await.unwrap_err();
        assert!(
            error.to_string().contains(&ids[damaged].to_string()),
            "{error}"
        );
        assert_eq!(world.files(), before);
        fs::write(&path, &text).unwrap();
    }

    // One that goes anyway, and one that went before.
    fs::write(world.folder().join(ids[0].manifest()), "").unwrap();
    let gone = [id(1, 1), ids[1].clone(), ids[2].clone()];
    let collected = collect(&gone).await.unwrap();
    assert_eq!((collected.snapshots, collected.failed), (1, 0));
}

/// A process as the argument of the module sees it: names and what may be done with them.
#[derive(Clone)]
struct Process {
    generation: u64,
    epoch: u64,
    /// The files its stores consist of that are uploaded.
    shared: BTreeSet<String>,
    /// Uploaded, with or without a manifest, not committed.
    pending: Option<(SnapshotId, BTreeSet<String>)>,
    /// The snapshots of the last commits it knows of.
    known: Vec<SnapshotId>,
    /// What it has decided to delete, and not yet deleted.
    doomed: Vec<String>,
}

/// A checkpoint directory, a table, and processes that come, sleep and never quite die.
#[derive(Default)]
struct Processes {
    files: BTreeSet<String>,
    manifests: BTreeMap<String, BTreeSet<String>>,
    committed: Vec<SnapshotId>,
    all: Vec<Process>,
}

const RETAINED: usize = 2;

impl Processes {
    fn step(&mut self, dice: &mut Dice) {
        if self.all.is_empty() || dice.below(25) == 0 {
            return self.start(dice);
        }
        let at = dice.below(self.all.len());
        match dice.below(6) {
            0 | 1 => self.upload(at, dice),
            2 => self.complete(at),
            3 => self.commit(at, dice),
            4 => self.decide(at),
            _ => self.delete_one(at, dice),
        }
    }

    fn start(&mut self, dice: &mut Dice) {
        // Somebody rolls the table back now and then.
        let goes_back = self.committed.len() > 1 && dice.below(4) == 0;
        if goes_back {
            self.committed.pop();
            // What lies further back may have been collected.
            self.committed.drain(..self.committed.len() - 1);
        }
        let newest = self.committed.last();
        let shared = match newest {
            Some(newest) if !goes_back => self.manifests[&newest.to_string()].clone(),
            _ => BTreeSet::new(),
        };
        self.all.push(Process {
            generation: self.all.len() as u64 + 1,
            epoch: newest.map_or(0, |newest| newest.epoch().0),
            shared,
            pending: None,
            known: self.retained(),
            doomed: Vec::new(),
        });
    }

    fn retained(&self) -> Vec<SnapshotId> {
        let first = self.committed.len().saturating_sub(RETAINED);
        self.committed[first..].to_vec()
    }

    fn upload(&mut self, at: usize, dice: &mut Dice) {
        let process = &mut self.all[at];
        process.epoch += 1;
        let id = id(process.generation, process.epoch);
        // Some files were merged away, some are new.
        process.shared.retain(|_| dice.below(4) > 0);
        for _ in 0..=dice.below(2) {
            process.shared.insert(data_file(id.rank(), 0, "000001.sst"));
        }
        self.files.extend(process.shared.iter().cloned());
        process.pending = Some((id, process.shared.clone()));
    }

    fn complete(&mut self, at: usize) {
        if let Some((id, files)) = &self.all[at].pending {
            self.files.insert(id.manifest());
            self.manifests.insert(id.to_string(), files.clone());
        }
    }

    fn commit(&mut self, at: usize, dice: &mut Dice) {
        // All but the newest are fenced.
        if at + 1 < self.all.len() {
            return;
        }
        match &self.all[at].pending {
            Some((id, _)) if self.manifests.contains_key(&id.to_string()) => {
                self.committed.push(id.clone());
            }
            _ => return,
        }
        self.all[at].pending = None;
        if dice.below(4) > 0 {
            self.all[at].known = self.retained();
        }
    }

    fn decide(&mut self, at: usize) {
        let process = &mut self.all[at];
        if process.known.is_empty() || !process.doomed.is_empty() {
            return;
        }
        let keep = keep(&process.known);
        let mut named = BTreeSet::new();
        for name in &self.files {
            if let FileKind::Manifest(id) = FileKind::of(name)
                && keep.manifest(&id) != Verdict::Dropped
            {
                named.extend(self.manifests[&id.to_string()].iter().cloned());
            }
        }
        let doomed = self.files.iter();
        let doomed = doomed.filter(|name| keep.verdict(name, &named) == Verdict::Dropped);
        process.doomed = doomed.cloned().collect();
    }

    fn delete_one(&mut self, at: usize, dice: &mut Dice) {
        let doomed = &mut self.all[at].doomed;
        if !doomed.is_empty() {
            let name = doomed.swap_remove(dice.below(doomed.len()));
            self.files.remove(&name);
        }
    }

    /// What the newest process can go back to, and what it builds on, is there.
    fn missing(&self) -> Option<String> {
        let newest = self.all.last()?;
        let retained = self.retained();
        let manifests = retained.iter().map(|id| &self.manifests[&id.to_string()]);
        let pending = newest.pending.iter().map(|(_, files)| files);
        let needed = manifests.chain(pending).flatten().cloned();
        let needed = needed.chain(retained.iter().map(SnapshotId::manifest));
        needed.into_iter().find(|name| !self.files.contains(name))
    }
}

#[test]
fn no_zombie_deletes_what_the_newest_process_needs() {
    let mut deleted = 0;
    for seed in 0..1_000 {
        let mut dice = Dice::new(seed);
        let mut processes = Processes::default();
        for step in 0..200 {
            let before = processes.files.len();
            processes.step(&mut dice);
            deleted += before.saturating_sub(processes.files.len());
            if let Some(name) = processes.missing() {
                panic!("seed {seed}, step {step}: {name} was deleted");
            }
        }
    }
    assert!(deleted > 2_000, "it does collect: {deleted}");
}
