//! Rejects leave no trace, and records do not influence each other.

use arrow::compute::concat_batches;

use super::support::{decoder, messages, mutate, schema};
use super::*;
use crate::dice::Dice;

const COLUMNS: &str = "_offset long, id string not null, bo boolean, i int, l long not null, f float, d double, \
     de decimal(20, 4), da date, ti time, ts timestamp, tz timestamptz, s string, u uuid, fi fixed(3), bi binary, \
     st struct<a: string not null, b: struct<c: list<long>, d: map<string, struct<e: boolean not null>>>>, \
     ls list<struct<k: string not null, v: list<string>>>, ms map<int, list<double>>, _topic string";

/// A record in which each field is sometimes missing, sometimes null, and once in a while wrong.
fn record(dice: &mut Dice) -> String {
    let fields: [(&str, &[&str]); 18] = [
        ("id", &["\"0b9c0b1e\"", "\"\"", "\"\\u00e9\\n\""]),
        ("bo", &["true", "false"]),
        ("i", &["1", "-2147483648", "1e2"]),
        ("l", &["5", "9223372036854775807"]),
        ("f", &["0.5", "\"NaN\""]),
        ("d", &["72.53", "1e300", "\"-Infinity\""]),
        ("de", &["1.2345", "\"-9999999999999999.9999\""]),
        ("da", &["\"2026-03-01\"", "\"0001-01-01\""]),
        ("ti", &["\"12:34:56.789\""]),
        ("ts", &["\"2026-03-01T12:34:56\"", "1772368496789"]),
        (
            "tz",
            &["\"2026-03-01T12:34:56.789Z\"", "\"9999-12-31 23:59:59+00\""],
        ),
        (
            "s",
            &[
                "\"plain\"",
                "\"with \\\"escapes\\\" \\ud83d\\ude00\"",
                "\"é\"",
            ],
        ),
        ("u", &["\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\""]),
        ("fi", &["\"AAEC\""]),
        ("bi", &["\"AAECAw==\"", "\"\""]),
        (
            "st",
            &[
                "{\"a\":\"x\"}",
                "{\"b\":{\"c\":[1,null,3],\"d\":{\"k\":{\"e\":true},\"l\":null}},\"a\":\"y\"}",
                "{\"a\":\"z\",\"b\":{\"c\":[]},\"q\":[{}]}",
            ],
        ),
        (
            "ls",
            &[
                "[]",
                "[{\"k\":\"a\",\"v\":[\"b\",null]},null,{\"k\":\"c\"}]",
            ],
        ),
        (
            "ms",
            &[
                "{}",
                "{\"1\":[1.5,2],\"-2\":null}",
                "[{\"key\":3,\"value\":[]}]",
            ],
        ),
    ];
    const WRONG: [&str; 11] = [
        "{}",
        "[[]]",
        "\"?\"",
        "1e400",
        "3.25",
        "{\"a\":\"x\",\"b\":{\"c\":[1,2,\"x\"]}}",
        "[{\"k\":\"a\",\"v\":[\"b\",1]}]",
        "{\"1\":[1],\"1\":[2]}",
        "[{\"k\":\"a\"},{\"v\":[]}]",
        "{\"a\":\"x\",\"b\":{\"d\":{\"k\":{\"e\":true},\"k\":{}}}}",
        "oops",
    ];
    let mut members = Vec::new();
    for (name, values) in fields {
        let value = match dice.below(100) {
            0..3 => continue,
            3..6 => "null",
            6 => dice.pick(&WRONG),
            _ => dice.pick(values),
        };
        members.push(format!("\"{name}\":{value}"));
    }
    if dice.one_in(5) && !members.is_empty() {
        let (a, b) = (dice.below(members.len()), dice.below(members.len()));
        members.swap(a, b);
    }
    if dice.one_in(40) && !members.is_empty() {
        members.push(members[0].clone());
    }
    format!("{{{}}}", members.join(dice.pick(&[",", ",", ", "])))
}

#[test]
fn a_mixed_batch_holds_the_rows_and_rejects_of_each_message_alone() {
    let schema = schema(COLUMNS);
    let mut mixed = decoder(&schema);
    let mut dice = Dice::new(6);
    let (mut accepted, mut rejected) = (0, 0);
    for batch in 0..60 {
        let payloads: Vec<Vec<u8>> = (0..dice.below(80))
            .map(|_| {
                let text = record(&mut dice);
                if dice.one_in(8) {
                    mutate(&mut dice, &text)
                } else {
                    text.into_bytes()
                }
            })
            .collect();
        let mut rows = Vec::new();
        let mut rejects = Vec::new();
        let mut arena = messages(&[]);
        for (offset, payload) in payloads.iter().enumerate() {
            let time = offset as i64;
            arena.push(0, 1, time, Some(time), None, Some(payload));
            let mut alone = messages(&[]);
            alone.push(0, 1, time, Some(time), None, Some(payload));
            let decoded = decoder(&schema).decode(&[alone]).unwrap();
            assert_eq!(decoded.rows.num_rows() + decoded.rejects.len(), 1);
            if decoded.rejects.is_empty() {
                rows.push(decoded.rows);
            }
            rejects.extend(decoded.rejects);
        }
        let decoded = mixed.decode(&[arena]).unwrap();
        assert_eq!(decoded.rejects, rejects, "batch {batch}");
        let expected = concat_batches(mixed.schema(), &rows).unwrap();
        assert_eq!(
            support::rows(&decoded.rows),
            support::rows(&expected),
            "batch {batch}"
        );
        decoded
            .rows
            .columns()
            .iter()
            .for_each(|column| column.to_data().validate_full().unwrap());
        accepted += rows.len();
        rejected += rejects.len();
    }
    assert!(accepted > 500 && rejected > 500, "{accepted} {rejected}");
}

#[test]
fn a_fault_in_any_column_leaves_all_columns_as_they_were() {
    let schema = schema(COLUMNS);
    let good = "{\"id\":\"a\",\"l\":1,\"s\":\"before\",\"ls\":[{\"k\":\"x\"}]}";
    for name in [
        "bo", "i", "f", "d", "de", "da", "ti", "ts", "tz", "s", "u", "fi", "bi", "st", "ls", "ms",
    ] {
        for wrong in [
            "[{]",
            "{\"a\":1}",
            "\"\\ud800\"",
            "\"\\u0041AEC\\x\"",
            "[{\"k\":\"a\"},7]",
            "{\"7\":[1],\"8\":[1,\"x\"]}",
        ] {
            // All that comes before the fault has been written when it is found.
            let bad =
                format!("{{\"id\":\"zzz\",\"l\":9,\"st\":{{\"a\":\"zzz\"}},\"{name}\":{wrong}}}");
            let decoded = decoder(&schema)
                .decode(&[messages(&[
                    good.as_bytes(),
                    bad.as_bytes(),
                    good.as_bytes(),
                ])])
                .unwrap();
            assert_eq!(decoded.rejects.len(), 1, "{bad}");
            let alone = decoder(&schema)
                .decode(&[messages(&[good.as_bytes()])])
                .unwrap();
            let found = support::rows(&decoded.rows);
            assert_eq!(found[0], support::rows(&alone.rows)[0], "{bad}");
            assert_eq!(
                found[1],
                found[0].replace("_offset: 0", "_offset: 2"),
                "{bad}"
            );
        }
    }
}

#[test]
fn keys_in_changing_order_and_number_go_to_their_columns() {
    let names: Vec<String> = (0..30)
        .map(|n| format!("field_{n}_{}", "x".repeat(n * 2)))
        .collect();
    let columns: Vec<_> = names.iter().map(|name| format!("{name} long")).collect();
    let mut decoder = decoder(&schema(&columns.join(", ")));
    let mut dice = Dice::new(7);
    for _ in 0..2_000 {
        let mut values = vec![None; names.len()];
        let mut members = Vec::new();
        let unknown = dice.below(3_000);
        let start = dice.below(names.len());
        for step in 0..names.len() {
            let at = (start + step) % names.len();
            if dice.one_in(3) {
                continue;
            }
            values[at] = Some(dice.below(1_000));
            let value = values[at].unwrap_or_default();
            members.push(format!(
                "\"{}\"{}:{value}",
                names[at],
                dice.pick(&["", "", " "])
            ));
            if dice.one_in(10) {
                members.push(format!("\"unknown{unknown}\":\"{step}\""));
            }
        }
        let payload = format!("{{{}}}", members.join(","));
        let decoded = decoder.decode(&[messages(&[payload.as_bytes()])]).unwrap();
        let expected: Vec<_> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| match value {
                Some(value) => format!("{name}: {value}"),
                None => format!("{name}: null"),
            })
            .collect();
        assert_eq!(
            support::rows(&decoded.rows),
            [format!("{{{}}}", expected.join(", "))],
            "{payload}"
        );
    }
}
