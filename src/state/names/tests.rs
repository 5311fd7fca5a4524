use super::*;

#[test]
fn names_are_what_they_always_were_and_are_read_again() {
    let rank = rank(3, 17);
    let unique = Uuid::from_u128(0x0f8f_ad5b_d9cb_469f_a165_7086_7728_950e);
    let id = SnapshotId { rank, unique };
    assert_eq!(id.to_string(), "g3-e17-0f8fad5bd9cb469fa16570867728950e");
    assert_eq!(id.to_string().parse::<SnapshotId>().unwrap(), id);

    let manifest = id.manifest();
    assert_eq!(
        manifest,
        "g3-e17-0f8fad5bd9cb469fa16570867728950e.manifest.json"
    );
    assert_eq!(FileKind::of(&manifest), FileKind::Manifest(id));

    let data = data_file_name(rank, 2, unique, "000042.sst");
    assert_eq!(
        data,
        "g3-e17-w2-0f8fad5bd9cb469fa16570867728950e-000042.sst"
    );
    assert_eq!(FileKind::of(&data), FileKind::Data(rank));
    assert_ne!(
        data_file(rank, 2, "000042.sst"),
        data_file(rank, 2, "000042.sst")
    );

    let owner = Owner {
        pipeline: "a/b".into(),
        table: unique,
    };
    assert_eq!(owner.folder(), "a%2Fb-0f8fad5bd9cb469fa16570867728950e");
}

#[test]
fn other_names_are_unknown() {
    let unique = "0f8fad5bd9cb469fa16570867728950e";
    for name in [
        String::new(),
        "README".into(),
        format!("g3-e17-{unique}"),
        format!("g3-e17-{unique}.manifest.json.bak"),
        format!(".g3-e17-{unique}.manifest.json.tmp"),
        format!("g03-e17-{unique}.manifest.json"),
        format!("g3-e17-{}.manifest.json", unique.to_uppercase()),
        format!("g3-e17-w0-{unique}"),
        format!("g3-e17-w0-{unique}-"),
        format!("g3-e17-w0-{unique}-../x"),
        format!("g3-e+17-w0-{unique}-000042.sst"),
        format!("g3-e99999999999999999999-w0-{unique}-000042.sst"),
        format!("x-g3-e17-w0-{unique}-000042.sst"),
    ] {
        assert_eq!(FileKind::of(&name), FileKind::Unknown, "{name}");
    }
    let error = "latest".parse::<SnapshotId>().unwrap_err().to_string();
    assert!(
        error.contains("`latest` names no state snapshot"),
        "{error}"
    );
}

#[test]
fn generations_come_before_epochs() {
    assert!(rank(2, 1) > rank(1, 100));
    assert!(rank(2, 2) > rank(2, 1));
}
