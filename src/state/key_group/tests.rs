use super::*;

fn max(groups: u32) -> MaxParallelism {
    MaxParallelism::new(groups).unwrap()
}

#[test]
fn a_key_stays_in_its_group_for_ever() {
    // The reference values of XXH64 with seed 0, as its author publishes them.
    for (key, hash) in [
        ("", 0xef46_db37_51d8_e999_u64),
        ("a", 0xd24e_c4f1_a98c_6e5b),
        ("abc", 0x44bc_2cf5_ad77_0999),
    ] {
        for groups in [1, 2, 100, 128, 32_768] {
            let group = max(groups).group_of(key.as_bytes());
            assert_eq!(
                u64::from(group.0),
                hash % u64::from(groups),
                "{key} of {groups}"
            );
        }
    }
}

#[test]
fn the_group_of_a_key_is_that_of_its_encoding() {
    let by_key = max(128).group_of_key("abc").unwrap();
    assert_eq!(by_key, max(128).group_of(b"\x03abc"));
    assert_eq!(by_key, max(128).group_of_key(&String::from("abc")).unwrap());
}

#[test]
fn ranges_are_contiguous_complete_and_even() {
    for groups in [1, 2, 7, 128, 129, 32_768] {
        for peers in [1, 2, 3, 4, 6, 9, 127, 128, 129, 500] {
            let max = max(groups);
            let mut next = 0;
            for worker in 0..peers {
                let range = max.groups_of(worker, peers);
                assert_eq!(
                    range.start, next,
                    "{groups} groups, worker {worker} of {peers}"
                );
                let (least, held) = (groups as usize / peers, range.iter().count());
                assert!(
                    held == least || held == least + 1,
                    "{range} of {groups} for {peers}"
                );
                for group in range.iter() {
                    assert_eq!(max.worker_of(group, peers), worker);
                    assert!(range.contains(group));
                }
                next = range.end;
            }
            assert_eq!(u32::from(next), groups);
        }
    }
}

#[test]
fn groups_are_dealt_out_as_flink_does() {
    let ranges = |peers| -> Vec<String> {
        let worker = |worker| max(128).groups_of(worker, peers).to_string();
        (0..peers).map(worker).collect()
    };
    assert_eq!(ranges(3), ["0..43", "43..86", "86..128"]);
    assert_eq!(
        ranges(6),
        ["0..22", "22..43", "43..64", "64..86", "86..107", "107..128"]
    );
}

#[test]
fn max_parallelism_has_limits() {
    for wrong in [0, 32_769, 65_536, u32::MAX] {
        let error = MaxParallelism::new(wrong).unwrap_err().to_string();
        assert!(error.contains("expected 1 to 32768"), "{error}");
        let json = serde_json::from_str::<MaxParallelism>(&wrong.to_string());
        assert!(json.is_err(), "{wrong} came in by the back door");
    }
    assert_eq!(max(32_768).to_string(), "32768");
    assert_eq!(serde_json::to_string(&max(128)).unwrap(), "128");
}
