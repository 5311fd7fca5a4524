use super::*;
use crate::iceberg::testing::catalog_options;

const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw
24 23 8:2 / /tmp/a\\040disk rw shared:3 - xfs /dev/sdb rw
25 22 8:3 / /data rw shared:4 - xfs /dev/sdc rw
26 25 0:30 / /data rw shared:5 - ramfs none rw
";

#[test]
fn the_file_system_is_that_of_the_nearest_mount_and_of_two_the_later() {
    let of = |folder: &str| file_system(MOUNTS, Path::new(folder)).unwrap();
    assert_eq!(of("/var/lib"), "ext4");
    assert_eq!(of("/tmp/x"), "tmpfs");
    assert_eq!(of("/tmpfs"), "ext4");
    assert_eq!(of("/tmp/a disk/state"), "xfs");
    assert_eq!(of("/data/state"), "ramfs");
    assert_eq!(file_system("", Path::new("/")), None);
}

#[tokio::test]
async fn a_folder_is_tried_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let options = catalog_options(&dir);
    let missing = dir.path().join("a/b");
    let location = format!("file://{}", missing.display());
    let medium = try_location(&options, &location).await.unwrap();
    assert!(matches!(medium, Medium::Disk(_) | Medium::Memory(_)));
    assert!(!dir.path().join("a").exists());
    fs::create_dir_all(&missing).unwrap();
    try_location(&options, &location).await.unwrap();
    assert_eq!(fs::read_dir(&missing).unwrap().count(), 0);
}

#[tokio::test]
async fn a_location_below_a_file_can_not_be_written_to() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let location = format!("{}/file/state", dir.path().display());
    let error = try_location(&catalog_options(&dir), &location).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("can't be written to"), "{error}");
}
