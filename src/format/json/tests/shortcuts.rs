//! The shorter ways for usual values: what they write, the general one writes as well.

use super::super::number::Short;
use super::super::scan::Scanner;
use super::support::{cell, decoder, messages, mutate, schema};
use super::*;
use crate::dice::Dice;
use arrow::array::AsArray;

/// Every text of up to six of these bytes, with something behind it.
fn texts(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len().pow(6)).map(move |number| {
        let mut number = number;
        let mut text = Vec::new();
        for _ in 0..6 {
            text.push(bytes[number % bytes.len()]);
            number /= bytes.len();
        }
        text.extend_from_slice(b"7.5,\xff\xff\xff");
        text
    })
}

#[test]
fn a_short_number_is_the_number_that_the_scanner_reads() {
    let mut short = 0;
    for text in texts(b"-0179.e,}\xba") {
        let Some(found) = Short::of(&text) else {
            continue;
        };
        let shown = text.escape_ascii();
        let mut scan = Scanner::new(&text);
        let number = scan.number().unwrap_or_else(|_| panic!("{shown}"));
        assert_eq!(scan.pos(), found.len, "{shown}");
        let expected = number.to_f64().unwrap();
        assert_eq!(found.to_f64().to_bits(), expected.to_bits(), "{shown}");
        if let Some((value, len)) = found.to_i32() {
            assert_eq!(number.to_i64(), Ok(i64::from(value)), "{shown}");
            assert_eq!(len, scan.pos(), "{shown}");
        }
        short += 1;
    }
    assert!(short > 50_000, "{short}");
}

#[test]
fn all_numbers_of_up_to_seven_characters_are_short() {
    for whole in [0, 1, 9, 10, 72, 240, 9_999, 1_234_567_u32] {
        for places in ["", ".0", ".5", ".25", ".007", ".12345"] {
            let number = format!("{whole}{places}");
            if number.len() > 7 {
                continue;
            }
            for sign in ["", "-"] {
                for end in [",\"next\":1", "}       "] {
                    let text = format!("{sign}{number}{end}");
                    let found = Short::of(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
                    let expected: f64 = format!("{sign}{number}").parse().unwrap();
                    assert_eq!(found.to_f64().to_bits(), expected.to_bits(), "{text}");
                    let whole: Option<i32> = format!("{sign}{number}").parse().ok();
                    assert_eq!(found.to_i32().map(|(value, _)| value), whole, "{text}");
                }
            }
        }
    }
}

/// What a value becomes as an object's field, where the shorter ways are tried, and as a list's only element, where
/// they are not.
#[test]
fn a_value_is_the_same_by_the_shorter_and_by_the_general_way() {
    const TYPES: [(&str, &[&str]); 6] = [
        (
            "string",
            &[
                "\"\"",
                "\"heart_rate\"",
                "\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\"",
                "\"a text that is longer than two blocks: é; \\u00e9; \\\" and what else there may be\"",
            ],
        ),
        ("timestamptz", &["\"2026-03-01T12:34:56.789Z\""]),
        ("timestamp", &["\"2026-03-01T12:34:56.789\""]),
        ("double", &["72.53", "-0.5", "0", "1234567", "5e-324"]),
        ("long", &["0", "-17", "1234567", "12345678901"]),
        ("int", &["0", "-17", "1234567", "-2147483648"]),
    ];
    let mut dice = Dice::new(11);
    for (of, texts) in TYPES {
        let mut field = decoder(&schema(&format!("v {of}, w string")));
        let mut element = decoder(&schema(&format!("v list<{of}>, w string")));
        let (mut accepted, mut rejected) = (0, 0);
        for round in 0..6_000 {
            let text = dice.pick(texts);
            let value = match dice.one_in(3) {
                true => text.as_bytes().to_vec(),
                false => mutate(&mut dice, text),
            };
            let rest: &[u8] = dice.pick(&[
                b"}".as_slice(),
                b" }",
                b",\"w\":\"something to fill the rest of a block with\"}",
                b", \"w\": \"\"}",
            ]);
            let shorter = field
                .decode(&[messages(&[&[b"{\"v\":", &*value, rest].concat()])])
                .unwrap();
            let general = element
                .decode(&[messages(&[&[b"{\"v\":[", &*value, b"]", rest].concat()])])
                .unwrap();
            let shown = value.escape_ascii();
            // A list may have no element or several.
            let elements = value.iter().any(|byte| matches!(byte, b'[' | b']' | b','));
            if elements || value.trim_ascii().is_empty() {
                continue;
            }
            assert_eq!(
                shorter.rows.num_rows(),
                general.rows.num_rows(),
                "round {round}, {of}: {shown}"
            );
            if general.rows.num_rows() == 1 {
                let list = general.rows.column(0).as_list::<i32>().value(0);
                assert_eq!(
                    cell(shorter.rows.column(0), 0),
                    cell(&list, 0),
                    "round {round}, {of}: {shown}"
                );
                accepted += 1;
            } else {
                rejected += 1;
            }
        }
        assert!(
            accepted > 1_000 && rejected > 500,
            "{of}: {accepted} {rejected}"
        );
    }
}
