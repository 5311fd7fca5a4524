use super::*;
use crate::error::Kind;

#[test]
fn the_bytes_on_disk_are_what_they_always_were() {
    let key = encode_after(prefix(KeyGroup(0x0102), 0x0304_0506).to_vec(), "ab").unwrap();
    assert_eq!(key, b"\x01\x02\x03\x04\x05\x06\x02ab");
    assert_eq!(entry(None, &7_u32).unwrap(), [0, 7]);
    // 300 000 ms as a varint: seven bits a byte, the lowest first.
    assert_eq!(
        entry(Some(300_000), "x").unwrap(),
        [0xe0, 0xa7, 0x12, 1, b'x']
    );
    assert_eq!(encode(&(-1_i64, true, Some(1.5_f64))).unwrap(), {
        let mut bytes = vec![1, 1, 1];
        bytes.extend(1.5_f64.to_le_bytes());
        bytes
    });
}

#[test]
fn an_entry_lives_until_its_time() {
    let bytes = entry(Some(1_000), "v").unwrap();
    assert_eq!(live::<String>(&bytes, 999).unwrap().as_deref(), Some("v"));
    assert_eq!(live::<String>(&bytes, 1_000).unwrap(), None);
    assert!(!is_dead(b"k", &bytes, 999));
    assert!(is_dead(b"k", &bytes, 1_000));
    assert!(!is_dead(&HEADER, &bytes, 1_000), "the header never expires");
    let bytes = entry(None, "v").unwrap();
    assert!(!is_dead(b"k", &bytes, u64::MAX));
    assert_eq!(
        live::<String>(&bytes, u64::MAX).unwrap().as_deref(),
        Some("v")
    );
}

#[test]
fn bytes_of_another_type_are_an_error_and_no_value() {
    let bytes = entry(None, "text").unwrap();
    for error in [
        live::<u8>(&bytes, 0).unwrap_err(),
        live::<(String, u64)>(&bytes, 0).unwrap_err(),
        live::<String>(&[], 0).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Diverged);
        assert!(error.to_string().contains("another type"), "{error}");
    }
    assert!(!is_dead(b"k", &[], 0), "what can't be read is kept");
}
