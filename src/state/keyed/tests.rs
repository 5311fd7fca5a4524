use super::super::testing::*;
use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_value_is_what_was_put_last() {
    for_both(|store| {
        let state = store.value::<str, u64>("v", None).unwrap();
        assert_eq!(state.get(store, "a").unwrap(), None);
        state.put(store, "a", &1).unwrap();
        state.put_many(store, [("a", &2), ("b", &3)]).unwrap();
        assert_eq!(
            state.get_many(store, ["b", "c", "a"]).unwrap(),
            [Some(3), None, Some(2)]
        );
        state.remove(store, "a").unwrap();
        assert_eq!(state.get(store, "a").unwrap(), None);
        let other = store.value::<str, u64>("w", None).unwrap();
        assert_eq!(other.get(store, "b").unwrap(), None, "states share nothing");
    });
}

#[test]
fn time_goes_forwards_only() {
    for_both(|store| {
        let state = store.value::<str, u64>("v", Some(HOUR)).unwrap();
        state.put(store, "a", &1).unwrap();
        store.advance_to(HOUR_MS);
        store.advance_to(0);
        assert_eq!(store.now_ms(), HOUR_MS);
        assert_eq!(state.get(store, "a").unwrap(), None);
        assert_eq!(state.get_many(store, ["a"]).unwrap(), [None]);
        let mut visited = 0;
        let owned = store.value::<String, u64>("v", None).unwrap();
        let count = |_, _| {
            visited += 1;
            Ok(())
        };
        owned.for_each(store, count).unwrap();
        assert_eq!(visited, 0);
    });
}

#[test]
fn all_values_are_visited_once() {
    for_both(|store| {
        let state = store.value::<u32, u32>("v", None).unwrap();
        store
            .value::<u32, u32>("w", None)
            .unwrap()
            .put(store, &1, &1)
            .unwrap();
        for key in 0..1_000 {
            state.put(store, &key, &(key * 2)).unwrap();
        }
        let mut visited = Vec::new();
        let note = |key, value| {
            visited.push((key, value));
            Ok(())
        };
        state.for_each(store, note).unwrap();
        visited.sort_unstable();
        let expected: Vec<_> = (0..1_000).map(|key| (key, key * 2)).collect();
        assert_eq!(visited, expected);
    });
}

#[test]
fn a_map_is_found_under_its_key_alone() {
    for_both(|store| {
        let state = store.map::<str, str, u64>("m", None).unwrap();
        state.put(store, "a", "x", &1).unwrap();
        state.put(store, "a", "y", &2).unwrap();
        state.put(store, "ab", "x", &3).unwrap();
        state.put(store, "", "ax", &4).unwrap();
        let owned = store.map::<str, String, u64>("m", None).unwrap();
        let entries = |store: &StateStore, key: &str| owned.entries(store, key).unwrap();
        assert_eq!(
            entries(store, "a"),
            [("x".to_owned(), 1), ("y".to_owned(), 2)]
        );
        assert_eq!(state.get(store, "a", "y").unwrap(), Some(2));
        state.remove(store, "a", "y").unwrap();
        assert_eq!(entries(store, "a"), [("x".to_owned(), 1)]);
        state.clear(store, "a").unwrap();
        assert!(entries(store, "a").is_empty());
        assert_eq!(entries(store, "ab"), [("x".to_owned(), 3)]);
        assert_eq!(entries(store, ""), [("ax".to_owned(), 4)]);
    });
}

#[test]
fn a_list_keeps_its_order() {
    for_both(|store| {
        let state = store.list::<str, u64>("l", None).unwrap();
        for value in 0..300 {
            state.append(store, "a", [&value]).unwrap();
        }
        state.append(store, "b", &[7, 8]).unwrap();
        state.append(store, "b", &[]).unwrap();
        let expected: Vec<u64> = (0..300).collect();
        assert_eq!(state.get(store, "a").unwrap(), expected);
        assert_eq!(state.get(store, "b").unwrap(), [7, 8]);
        state.clear(store, "a").unwrap();
        assert!(state.get(store, "a").unwrap().is_empty());
        state.append(store, "a", [&1]).unwrap();
        assert_eq!(state.get(store, "a").unwrap(), [1]);
    });
}

#[test]
fn elements_of_a_list_expire_one_by_one() {
    for_both(|store| {
        let state = store.list::<str, u64>("l", Some(HOUR)).unwrap();
        state.append(store, "a", [&1]).unwrap();
        store.advance_to(HOUR_MS / 2);
        state.append(store, "a", [&2]).unwrap();
        store.advance_to(HOUR_MS);
        assert_eq!(state.get(store, "a").unwrap(), [2]);
        store.advance_to(2 * HOUR_MS);
        assert!(state.get(store, "a").unwrap().is_empty());
        state.append(store, "a", [&3]).unwrap();
        assert_eq!(state.get(store, "a").unwrap(), [3]);
    });
}

#[test]
fn a_shorter_time_to_live_overwrites_no_element() {
    for_both(|store| {
        let long = store.list::<str, u64>("l", Some(10 * HOUR)).unwrap();
        long.append(store, "a", &[1, 2]).unwrap();
        let short = store.list::<str, u64>("l", Some(HOUR)).unwrap();
        short.append(store, "a", [&3]).unwrap();
        store.advance_to(2 * HOUR_MS);
        short.append(store, "a", [&4]).unwrap();
        assert_eq!(short.get(store, "a").unwrap(), [1, 2, 4]);
        let for_ever = store.list::<str, u64>("l", None).unwrap();
        for_ever.append(store, "a", [&5]).unwrap();
        store.advance_to(100 * HOUR_MS);
        short.append(store, "a", [&6]).unwrap();
        assert_eq!(for_ever.get(store, "a").unwrap(), [5, 6]);
    });
}

#[test]
fn a_value_that_is_put_ahead_of_the_stores_time_lives_as_long_after_its_own() {
    for_both(|store| {
        let ttl = Some(Duration::from_millis(10));
        let state: ValueState<str, u64> = store.value("ahead", ttl).unwrap();
        store.advance_to(100);
        let values = [(1, 150), (2, 50)];
        let put = |row: usize, _| Some(values[row]);
        state
            .update_many_at(store, ["ahead", "behind"], put)
            .unwrap();
        for (now_ms, ahead, behind) in [
            (109, Some(1), Some(2)),
            (110, Some(1), None),
            (159, Some(1), None),
            (160, None, None),
        ] {
            store.advance_to(now_ms);
            assert_eq!(state.get(store, "ahead").unwrap(), ahead, "at {now_ms}");
            assert_eq!(state.get(store, "behind").unwrap(), behind, "at {now_ms}");
        }
    });
}
