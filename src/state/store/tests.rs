use super::super::testing::*;
use super::*;
use crate::error::Kind;

#[test]
fn a_name_stands_for_one_kind_of_state() {
    for_both(|store| {
        store.value::<str, u64>("seen", None).unwrap();
        store.value::<str, u64>("seen", None).unwrap();
        let error = store.map::<str, str, u64>("seen", None).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let error = error.to_string();
        assert!(
            error.contains("declares the map `seen`, its state holds the value `seen`"),
            "{error}"
        );
    });
}

#[test]
fn a_key_of_another_workers_group_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let assignment = Assignment::new("op", MaxParallelism::default(), 1, 4);
    let backends = Backends::new(BackendKind::Memory, 8 << 20);
    let mut store = StateStore::create(assignment, &backends, folder.path()).unwrap();
    let state = store.value::<u32, ()>("v", None).unwrap();
    let max = MaxParallelism::default();
    for key in 0..1_000 {
        let worker = max.worker_of(max.group_of_key(&key).unwrap(), 4);
        let put = state.put(&mut store, &key, &());
        assert_eq!(put.is_ok(), worker == 1, "key {key} of worker {worker}");
        if let Err(error) = put {
            assert_eq!(error.kind(), Kind::Internal);
            assert!(
                error.to_string().contains("holds the key groups 32..64"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_header_of_a_newer_version_of_another_operator_or_of_other_groups_is_refused() {
    for_both(|store| {
        let assignment = store.assignment().clone();
        check_header(store.backend(), &assignment).unwrap();

        let other = Assignment {
            operator: "other".into(),
            ..assignment.clone()
        };
        let error = check_header(store.backend(), &other)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the state of operator op was opened as that of other"),
            "{error}"
        );

        let max_parallelism = MaxParallelism::new(64).unwrap();
        let other = Assignment {
            max_parallelism,
            ..assignment.clone()
        };
        let error = check_header(store.backend(), &other).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(
            error.to_string().contains("set max-parallelism=128"),
            "{error}"
        );

        let mut header = store.backend().get(&header_key()).unwrap().unwrap();
        header[0] += 1;
        let mut changes = Changes::default();
        changes.put(header_key(), header);
        store.write(changes).unwrap();
        let error = check_header(store.backend(), &assignment)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("has format 2, this program reads up to 1"),
            "{error}"
        );
    });
}

#[test]
fn the_header_is_what_it_always_was() {
    for_both(|store| {
        let header = store.backend().get(b"\xff\xffheader").unwrap().unwrap();
        assert_eq!(header, b"\x01\x02op\x80\x01");
        store.value::<str, u64>("seen", None).unwrap();
        let mut declared = Vec::new();
        let note = &mut |key: &[u8], value: &[u8]| {
            declared.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        store.backend().scan(b"\xff\xffstate/", note).unwrap();
        assert_eq!(declared.len(), 1);
        assert_eq!(
            declared[0].0,
            [b"\xff\xffstate/", &state_id("seen").to_be_bytes()[..]].concat()
        );
        assert_eq!(declared[0].1, b"\x04seen\x00");
        // The lower half of XXH64("abc"), a published value.
        assert_eq!(state_id("abc"), 0xad77_0999);
    });
}

#[test]
fn a_snapshot_does_not_see_what_comes_later_and_cleans_up_after_itself() {
    for_both(|store| {
        let state = store.value::<str, u64>("v", None).unwrap();
        state.put(store, "a", &1).unwrap();
        let snapshot = store.snapshot(Epoch(3)).unwrap();
        block_on(snapshot.written()).unwrap();
        state.put(store, "a", &2).unwrap();
        let backends = Backends::new(snapshot.backend, 8 << 20);
        let read = backends.read(snapshot.backend, &snapshot.folder).unwrap();
        let entry = read
            .get(&store.key(state_id("v"), "a").unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(encoding::live::<u64>(&entry, 0).unwrap(), Some(1));
        drop(read);
        let folder = snapshot.folder.clone();
        drop(snapshot);
        assert!(!folder.exists());
        assert_eq!(state.get(store, "a").unwrap(), Some(2));
    });
}
