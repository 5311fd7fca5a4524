use super::super::testing::owner;
use super::*;
use crate::error::Kind;

fn part(operator: &str, worker: usize, start: u16, end: u16) -> StatePart {
    StatePart {
        operator: operator.to_owned(),
        worker,
        groups: KeyGroups { start, end },
        backend: BackendKind::Rocksdb,
        now_ms: 1_000,
        uploaded_bytes: 5,
        files: vec![StateFile {
            local: "000042.sst".to_owned(),
            name: format!("g3-e17-w{worker}-0f8fad5bd9cb469fa16570867728950e-000042.sst"),
            bytes: 5,
            checksum: checksum(b"12345"),
        }],
    }
}

fn head() -> SnapshotHead {
    SnapshotHead {
        generation: Generation(3),
        epoch: Epoch(17),
        max_parallelism: MaxParallelism::default(),
        about: serde_json::json!({ "offsets": { "samples": { "0": 42 } } }),
    }
}

fn manifest() -> Manifest {
    let parts = vec![part("dedup", 0, 0, 64), part("dedup", 1, 64, 128)];
    let mut manifest = Manifest::new(&owner(), head(), parts).unwrap();
    manifest.calve_version = "0.0.0".to_owned();
    manifest
}

#[test]
fn a_manifest_is_what_it_always_was() {
    let text = manifest().to_text().unwrap();
    let file = |worker| {
        format!(
            r#"[{{"local":"000042.sst","name":"g3-e17-w{worker}-0f8fad5bd9cb469fa16570867728950e-000042.sst","bytes":5,"checksum":"xxh64:{:016x}"}}]"#,
            twox_hash::XxHash64::oneshot(0, b"12345"),
        )
    };
    let part = |worker, start, end| {
        format!(
            r#"{{"operator":"dedup","worker":{worker},"groups":{{"start":{start},"end":{end}}},"backend":"rocksdb","now-ms":1000,"uploaded-bytes":5,"files":{}}}"#,
            file(worker)
        )
    };
    let snapshot = format!(
        r#"{{"pipeline":"ingest","table":"00000000-0000-0000-0000-000000000017","generation":3,"epoch":17,"max-parallelism":128,"about":{{"offsets":{{"samples":{{"0":42}}}}}},"calve-version":"0.0.0","parts":[{},{}]}}"#,
        part(0, 0, 64),
        part(1, 64, 128)
    );
    let sum = checksum(snapshot.as_bytes());
    let expected = format!("{{\"version\":1,\"checksum\":\"{sum}\",\"snapshot\":{snapshot}}}\n");
    assert_eq!(String::from_utf8(text.clone()).unwrap(), expected);
    assert_eq!(Manifest::parse(&text, "here").unwrap(), manifest());
}

#[test]
fn not_one_bit_of_a_manifest_changes_unnoticed() {
    let text = manifest().to_text().unwrap();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut damaged = text.clone();
            damaged[at] ^= 1 << bit;
            let error = Manifest::parse(&damaged, "file:///m").unwrap_err();
            assert_eq!(error.kind(), Kind::Diverged, "bit {bit} of byte {at}");
            assert!(
                error.to_string().contains("the state manifest file:///m"),
                "{error}"
            );
        }
    }
    for end in 0..text.len() {
        assert!(
            Manifest::parse(&text[..end], "torn").is_err(),
            "torn at {end}"
        );
    }
}

#[test]
fn unknown_fields_are_ignored_and_newer_versions_refused() {
    let text = String::from_utf8(manifest().to_text().unwrap()).unwrap();
    let snapshot = text.split_once("\"snapshot\":").unwrap().1.trim_end();
    let snapshot = snapshot.strip_suffix('}').unwrap();
    let snapshot = snapshot.replacen('{', "{\"colour\":\"blue\",", 1);
    let sum = checksum(snapshot.as_bytes());
    let text = |version| {
        format!("{{\"version\":{version},\"checksum\":\"{sum}\",\"snapshot\":{snapshot}}}\n")
    };
    assert_eq!(
        Manifest::parse(text(1).as_bytes(), "here").unwrap(),
        manifest()
    );
    let error = Manifest::parse(text(2).as_bytes(), "here")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has format 2, this program reads up to 1"),
        "{error}"
    );
    assert!(error.contains("run that version"), "{error}");
}

#[test]
fn a_manifest_names_no_file_elsewhere() {
    for evil in ["../secret", "/etc/passwd", "a/b", "..", ""] {
        for field in [0, 1] {
            let mut manifest = manifest();
            let file = &mut manifest.parts[0].files[0];
            *(if field == 0 {
                &mut file.local
            } else {
                &mut file.name
            }) = evil.to_owned();
            let text = manifest.to_text().unwrap();
            let error = Manifest::parse(&text, "here").unwrap_err().to_string();
            assert!(error.contains("is no name of a file"), "{evil}: {error}");
        }
    }
}

#[test]
fn parts_must_hold_every_group_once() {
    let complete = |parts: &[StatePart]| check_complete(MaxParallelism::default(), parts);
    complete(&[]).unwrap();
    complete(&[part("a", 0, 0, 128), part("a", 1, 128, 128)]).unwrap();
    complete(&[
        part("a", 1, 64, 128),
        part("b", 0, 0, 128),
        part("a", 0, 0, 64),
    ])
    .unwrap();
    for wrong in [
        vec![part("a", 0, 0, 64)],
        vec![part("a", 0, 64, 128)],
        vec![part("a", 0, 0, 64), part("a", 1, 65, 128)],
        vec![part("a", 0, 0, 65), part("a", 1, 64, 128)],
        vec![part("a", 0, 0, 128), part("a", 1, 0, 128)],
        vec![part("a", 0, 0, 128), part("b", 0, 0, 127)],
        vec![part("a", 0, 0, 0)],
    ] {
        let error = complete(&wrong).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{wrong:?}");
    }
}
