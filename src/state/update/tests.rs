use std::collections::BTreeMap;
use std::time::Duration;

use super::super::testing::for_both;
use super::*;
use crate::dice::Dice;

#[test]
fn many_updates_at_once_are_what_one_by_one_would_have_been() {
    for_both(|store| {
        let state: ValueState<[u8], u64> = store.value("sums", None).unwrap();
        let mut plain: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut dice = Dice::new(7);
        for _ in 0..60 {
            // Short keys that begin alike, keys that are the beginning of others, and zeros: what the order by eight
            // bytes could get wrong.
            let key = |dice: &mut Dice| -> Vec<u8> {
                let length = dice.below(9);
                (0..length).map(|_| [0, 1, 0xff][dice.below(3)]).collect()
            };
            let keys: Vec<Vec<u8>> = (0..dice.below(80)).map(|_| key(&mut dice)).collect();
            let updates: Vec<Option<u64>> =
                keys.iter().map(|_| Some(dice.below(9) as u64)).collect();
            let updates: Vec<_> = updates.into_iter().map(|n| n.filter(|n| *n > 2)).collect();
            let mut seen = Vec::new();
            state
                .update_many(store, keys.iter().map(Vec::as_slice), |row, before| {
                    seen.push(before);
                    updates[row].map(|more| before.unwrap_or(0) + more)
                })
                .unwrap();
            for ((key, update), seen) in keys.iter().zip(&updates).zip(seen) {
                assert_eq!(seen, plain.get(key).copied(), "{key:?}");
                if let Some(more) = update {
                    *plain.entry(key.clone()).or_default() += more;
                }
            }
        }
        assert!(plain.len() > 500, "{} keys", plain.len());
        for (key, sum) in plain {
            assert_eq!(state.get(store, &key).unwrap(), Some(sum), "{key:?}");
        }
    });
}

#[test]
fn what_has_expired_is_not_there_for_an_update() {
    for_both(|store| {
        let ttl = Some(Duration::from_millis(10));
        let state: ValueState<str, u64> = store.value("ttl", ttl).unwrap();
        let count = |store: &mut StateStore| {
            let mut before = None;
            let update = |_, value: Option<u64>| {
                before = value;
                Some(value.unwrap_or(0) + 1)
            };
            state.update_many(store, ["a"], update).unwrap();
            before
        };
        assert_eq!([count(store), count(store)], [None, Some(1)]);
        store.advance_to(9);
        assert_eq!(count(store), Some(2));
        store.advance_to(19);
        assert_eq!(count(store), None);
    });
}
