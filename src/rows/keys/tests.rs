use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn keys(names: &[&str], rows: &RecordBatch) -> Vec<Vec<u8>> {
    let columns = KeyColumns::new(names, &rows.schema()).unwrap();
    let keys = columns.of(rows).unwrap();
    keys.iter().map(|key| key.bytes().to_vec()).collect()
}

#[test]
fn keys_are_the_documented_bytes() {
    let rows = batch(vec![
        ("s", Arc::new(StringArray::from(vec![Some("ab"), None]))),
        ("i", Arc::new(Int32Array::from(vec![-1, 7]))),
        ("l", Arc::new(Int64Array::from(vec![-1, 7]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false]))),
        ("x", Arc::new(BinaryArray::from(vec![&b"\0"[..], b""]))),
        (
            "f",
            Arc::new(FixedSizeBinaryArray::from(vec![b"12", b"34"])),
        ),
        ("d", Arc::new(Decimal128Array::from(vec![-2, 2]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![1, 2]))),
    ]);
    assert_eq!(
        keys(&["s"], &rows),
        [b"\x01ab".to_vec(), b"\x02\x01".to_vec()]
    );
    let minus_one = [&[1][..], &[0xff; 8]].concat();
    assert_eq!(keys(&["i"], &rows)[0], minus_one);
    assert_eq!(keys(&["i"], &rows), keys(&["l"], &rows));
    assert_eq!(keys(&["b"], &rows), [[1, 1], [1, 0]]);
    assert_eq!(keys(&["x"], &rows), [vec![1, 0], vec![1]]);
    assert_eq!(keys(&["f"], &rows), [b"\x0112", b"\x0134"]);
    assert_eq!(
        keys(&["d"], &rows)[0][..16],
        [&[1][..], &[0xff; 15]].concat()
    );
    assert_eq!(keys(&["t"], &rows)[1], [1, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(
        keys(&["s", "x"], &rows),
        [b"\x01\0\0\0\x02ab\0".to_vec(), b"\x02\x01".to_vec()]
    );
}

#[test]
fn keys_of_several_columns_are_equal_only_if_all_columns_are() {
    let texts = [None, Some(""), Some("a"), Some("aa"), Some("\0\0\0\x01a")];
    let n = texts.len();
    let all = (0..n.pow(3)).map(|row| [row / n / n, row / n % n, row % n].map(|text| texts[text]));
    let all: Vec<_> = all.collect();
    let column =
        |n: usize| -> ArrayRef { Arc::new(all.iter().map(|row| row[n]).collect::<StringArray>()) };
    let rows = batch(vec![("a", column(0)), ("b", column(1)), ("c", column(2))]);
    let distinct: HashSet<_> = keys(&["a", "b", "c"], &rows).into_iter().collect();
    assert_eq!(distinct.len(), n.pow(3));
}

#[test]
fn a_key_knows_whether_a_column_of_it_is_null() {
    let rows = batch(vec![
        (
            "a",
            Arc::new(StringArray::from(vec![Some("\x02"), None, Some("a")])),
        ),
        (
            "b",
            Arc::new(Int64Array::from(vec![Some(1), Some(2), None])),
        ),
    ]);
    let of = |names: &[&str]| {
        let keys = KeyColumns::new(names, &rows.schema())
            .unwrap()
            .of(&rows)
            .unwrap();
        [0, 1, 2].map(|row| keys.get(row).is_null())
    };
    assert_eq!(of(&["a"]), [false, true, false]);
    assert_eq!(of(&["a", "b"]), [false, true, true]);
}

#[test]
fn a_wrong_key_is_refused_with_the_columns_that_there_are() {
    let rows = batch(vec![
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("f", Arc::new(arrow::array::Float64Array::from(vec![1.0]))),
    ]);
    let refused = |names: &[&str]| {
        let error = KeyColumns::new(names, &rows.schema()).unwrap_err();
        error.to_string()
    };
    assert!(
        refused(&["b"]).contains("the table has: a, f"),
        "{}",
        refused(&["b"])
    );
    assert!(refused(&["f"]).contains("Float64"));
    assert!(refused(&["a", "a"]).contains("named twice"));
    assert!(refused(&[]).contains("no column"));
}
