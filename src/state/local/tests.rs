use super::super::testing::owner;
use super::*;

#[test]
fn homes_of_earlier_generations_are_removed_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let prepare =
        |generation| LocalFolder::prepare(root.path(), &owner(), Generation(generation)).unwrap();
    let make = |local: &LocalFolder| {
        let home = local.home("de/dup", 3);
        files::create_folder(&home).unwrap();
        home
    };
    let homes: Vec<PathBuf> = [1, 9, 10].map(|g| make(&prepare(g))).to_vec();
    let neighbours =
        ["x", "g", "g-1", "old"].map(|name| root.path().join(owner().folder()).join(name));
    neighbours
        .iter()
        .for_each(|path| files::create_folder(path).unwrap());
    let other = root.path().join("other/g1");
    files::create_folder(&other).unwrap();
    assert!(homes[2].ends_with("g10/de%2Fdup-w3"), "{:?}", homes[2]);

    prepare(9);
    let there: Vec<bool> = homes.iter().map(|home| home.exists()).collect();
    assert_eq!(
        there,
        [false, false, true],
        "the first went when 9 came, 9 when 10 did"
    );
    prepare(11);
    assert!(!homes[2].exists());
    assert!(neighbours.iter().all(|path| path.exists()));
    assert!(other.exists());
}

#[test]
fn a_home_somebody_lives_in_stays_until_they_are_gone() {
    let root = tempfile::tempdir().unwrap();
    let prepare =
        |generation| LocalFolder::prepare(root.path(), &owner(), Generation(generation)).unwrap();
    let zombie = prepare(1);
    let home = zombie.home("dedup", 0);
    files::create_folder(&home).unwrap();
    // Two processes of one run live in one folder.
    let one = prepare(2);
    let other = prepare(2);
    assert!(home.exists());
    drop(zombie);
    drop(one);
    drop(prepare(3));
    assert!(!home.exists());
    assert!(
        other
            .home("dedup", 0)
            .parent()
            .is_some_and(|g2| g2.exists())
    );
}
