use std::collections::BTreeMap;
use std::sync::mpsc;

use super::super::testing::block_on;
use super::*;
use crate::dice::Dice;

/// What the backend holds, by every way there is to ask.
fn assert_holds(backend: &RocksBackend, plain: &BTreeMap<Vec<u8>, Vec<u8>>, keys: &[Vec<u8>]) {
    let slices: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let found = backend.get_many(&slices, false).unwrap();
    for (key, found) in keys.iter().zip(found) {
        assert_eq!(found.as_ref(), plain.get(key), "{key:?}");
        assert_eq!(
            backend.get(key).unwrap().as_ref(),
            plain.get(key),
            "{key:?}"
        );
    }
    for prefix in [&b""[..], b"a", b"ab", b"b"] {
        let mut found = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        backend.scan(prefix, visit).unwrap();
        let below = plain.iter().filter(|(key, _)| key.starts_with(prefix));
        let below: Vec<_> = below.map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(found, below, "{prefix:?}");
    }
}

fn random_changes(
    dice: &mut Dice,
    keys: &[Vec<u8>],
    plain: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> Changes {
    let mut changes = Changes::default();
    for _ in 0..dice.below(6) {
        let key = &keys[dice.below(keys.len())];
        if dice.one_in(3) {
            changes.delete(key);
            plain.remove(key);
        } else {
            let value = dice.next().to_be_bytes();
            changes.put(key, value);
            plain.insert(key.clone(), value.to_vec());
        }
    }
    changes
}

#[test]
fn whatever_changes_while_a_snapshot_is_written_is_read_at_once_and_is_not_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let rocks = Rocks::new(8 << 20);
    let horizon = Horizon::default();
    let mut backend =
        RocksBackend::create(&rocks, &folder.path().join("db"), horizon.clone()).unwrap();
    let keys = (0..40).map(|n| [["", "a", "ab", "b", "c"][n % 5].as_bytes(), &[n as u8]].concat());
    let keys: Vec<Vec<u8>> = keys.collect();
    let (mut dice, mut plain) = (Dice::new(11), BTreeMap::new());
    for round in 0..12 {
        for _ in 0..5 {
            let changes = random_changes(&mut dice, &keys, &mut plain);
            backend.write(changes).unwrap();
        }
        // One that takes as long as the test wants.
        let of_then = plain.clone();
        let written = backend
            .snapshot(&folder.path().join(format!("s{round}")))
            .unwrap();
        let (release, held) = mpsc::channel::<()>();
        let snapshot = backend.snapshot.as_mut().unwrap();
        let real = std::mem::replace(
            &mut snapshot.thread,
            thread::spawn(move || held.recv().unwrap_or(())),
        );
        for _ in 0..5 {
            let changes = random_changes(&mut dice, &keys, &mut plain);
            backend.write(changes).unwrap();
            assert_holds(&backend, &plain, &keys);
        }
        drop(release);
        real.join().unwrap();
        block_on(written.wait()).unwrap();
        let copy = RocksBackend::read(&rocks, &folder.path().join(format!("s{round}"))).unwrap();
        assert_holds(&copy, &of_then, &keys);
        assert_holds(&backend, &plain, &keys);
        backend.settle().unwrap();
        assert_holds(&backend, &plain, &keys);
    }
}

#[test]
fn more_than_may_wait_waits_for_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let rocks = Rocks::new(8 << 20);
    let folder = folder.path();
    let mut backend = RocksBackend::create(&rocks, &folder.join("db"), Horizon::default()).unwrap();
    backend.snapshot(&folder.join("s")).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let snapshot = backend.snapshot.as_mut().unwrap();
    snapshot.thread = thread::spawn(move || held.recv().unwrap_or(()));
    let mut put = |key: u8| {
        let mut changes = Changes::default();
        changes.put([key], vec![key; MEANWHILE_BYTES_MAX / 2]);
        backend.write(changes).unwrap();
        backend
            .snapshot
            .as_ref()
            .map(|snapshot| snapshot.meanwhile.bytes())
    };
    assert!(put(1).is_some_and(|bytes| bytes > 0));
    assert!(put(2).is_some_and(|bytes| bytes > MEANWHILE_BYTES_MAX));
    let releasing = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(50));
        drop(release);
    });
    assert_eq!(put(3), None);
    releasing.join().unwrap();
    for key in 1..4 {
        assert!(
            backend
                .get(&[key])
                .unwrap()
                .is_some_and(|value| value[0] == key)
        );
    }
}

#[test]
fn what_expires_while_a_snapshot_is_written_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let rocks = Rocks::new(8 << 20);
    let horizon = Horizon::new(5);
    let mut backend =
        RocksBackend::create(&rocks, &folder.path().join("db"), horizon.clone()).unwrap();
    let mut changes = Changes::default();
    changes.put(b"key", encoding::entry(Some(10), &1_u64).unwrap());
    backend.write(changes).unwrap();
    let (release, held) = mpsc::channel::<()>();
    backend.snapshot = Some(Snapshotting {
        thread: thread::spawn(move || held.recv().unwrap_or(())),
        meanwhile: Meanwhile::default(),
    });
    horizon.advance_to(20);
    backend.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    assert!(backend.get(b"key").unwrap().is_some(), "it is alive at 5");

    drop(release);
    backend.settle().unwrap();
    backend.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    assert!(
        backend.get(b"key").unwrap().is_none(),
        "nobody needs it any more"
    );
}
