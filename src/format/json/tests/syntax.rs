//! What is JSON and what is not, in columns and outside of them.

use super::super::block::{self, BLOCK, Marks};
use super::support::{decode, mutate, reason, rows, schema};
use super::*;
use crate::dice::Dice;

#[test]
fn a_payload_must_be_one_object_and_nothing_else() {
    for (payload, expected) in [
        ("", "expected a JSON object, found an empty payload"),
        ("  ", "expected a JSON object, found an empty payload"),
        ("[]", "expected a JSON object, found an array"),
        ("null", "expected a JSON object, found null"),
        ("12", "expected a JSON object, found number 12"),
        ("\"x\"", "expected a JSON object, found string \"x\""),
        ("x", "not valid JSON at byte 0: expected a value, found `x`"),
        (
            "\u{feff}{}",
            "expected a JSON object, found a byte order mark (U+FEFF) before it",
        ),
        (
            "{} x",
            "not valid JSON at byte 3: expected nothing after the object, found `x`",
        ),
        (
            "{}{}",
            "not valid JSON at byte 2: expected nothing after the object, found `{}`",
        ),
        (
            "{}\u{0}",
            "not valid JSON at byte 2: expected nothing after the object, found `\\u{0}`",
        ),
        (
            "{",
            "not valid JSON: the text ends where a key in quotes is expected",
        ),
        (
            "{\"v\"",
            "not valid JSON: the text ends where `:` is expected",
        ),
        (
            "{\"v\":",
            "column \"v\": not valid JSON: the text ends where a value is expected",
        ),
        (
            "{\"v\":1",
            "not valid JSON: the text ends where `,` or `}` is expected",
        ),
        (
            "{\"v\":\"abc",
            "column \"v\": not valid JSON: the text ends inside a string",
        ),
        (
            "{'v':1}",
            "not valid JSON at byte 1: expected a key in quotes, found `'v':1}`",
        ),
        (
            "{\"v\":1 // comment\n}",
            "not valid JSON at byte 7: expected `,` or `}`, found `// comment\\n}`",
        ),
    ] {
        assert_eq!(reason("v long", payload), expected, "{payload:?}");
    }
}

#[test]
fn whitespace_may_stand_between_all_tokens() {
    let decoded = decode(
        &schema("v long, l list<long>, m map<string, long>"),
        &[
            "{\"v\":1,\"l\":[1,2],\"m\":{\"a\":1,\"b\":2}}",
            " \n{ \t\"v\" \r: 1 , \"l\" : [ 1 , 2 ] , \"m\" : { \"a\" : 1 , \"b\" : 2 } } \n",
            "{\"v\":  1,  \"l\":\n[1\n,2],\t\"m\":{\n\"a\":1\n,\n\"b\":2\n}\n}",
        ],
    );
    assert_eq!(decoded.rejects, []);
    assert_eq!(
        rows(&decoded.rows),
        ["{v: 1, l: [1, 2], m: {\"a\": 1, \"b\": 2}}"; 3]
    );
    assert!(reason("v long", "{\u{b}\"v\":1}").contains("a key in quotes"));
    assert!(reason("v long", "{\"v\":\u{a0}1}").contains("expected a value"));
}

#[test]
fn unknown_fields_are_checked_and_ignored() {
    let unknown = r#"{"a":[1,{"b":[[],{}]},"x\ud83d\ude00"],"v":5,"c":{"v":"not ours"},"d":null,"e":true,"f":-1.5e-7}"#;
    let decoded = decode(&schema("v long"), &[unknown]);
    assert_eq!(rows(&decoded.rows), ["{v: 5}"]);
    for bad in [
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "\"\\q\"",
        "\"\\ud800\"",
        "01",
        "nul",
        "[1 2]",
        "{\"a\" 1}",
        "\"\t\"",
    ] {
        let payload = format!("{{\"u\":{bad},\"v\":1}}");
        assert_eq!(
            decode(&schema("v long"), &[&payload]).rejects.len(),
            1,
            "{bad}"
        );
    }
}

#[test]
fn nesting_of_unknown_fields_is_bounded() {
    let nested = |levels: usize| format!("{{\"u\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(decode(&schema("v long"), &[&nested(127)]).rejects, []);
    assert!(reason("v long", &nested(128)).contains("nest more than 128 levels deep"));
    let endless = format!("{{\"u\":{}", "[{\"u\":".repeat(1_000_000));
    assert!(reason("v long", &endless).contains("nest more than 128 levels deep"));
}

#[test]
fn scanning_finds_the_first_special_byte_at_every_distance() {
    for special in [b'"', b'\\', 0x00, 0x01, 0x1f] {
        for (distance, behind) in (0..70).flat_map(|distance| [(distance, 0), (distance, 45)]) {
            for filler in [
                b' ', b'!', b'#', b'[', b']', b'~', 0x7f, 0x80, 0xa2, 0xdc, 0xff,
            ] {
                let mut text = vec![filler; distance];
                text.push(special);
                text.extend(vec![0xff; behind]);
                for start in 0..=distance {
                    let mut high = 0;
                    assert_eq!(
                        scan::find_special(&text, start, &mut high),
                        distance,
                        "{special} after {distance} {filler}, from {start}"
                    );
                    // What lies behind it does not count.
                    assert_eq!(high != 0, start < distance && filler >= 0x80);
                }
            }
        }
    }
    assert_eq!(scan::find_special(&[b'x'; 45], 3, &mut 0), 45);
    assert_eq!(scan::find_special(&[b'x'; 5], 3, &mut 0), 5);
}

#[test]
fn a_block_has_a_mark_for_each_byte_that_is_special_or_not_ascii() {
    let mut dice = Dice::new(9);
    for byte in 0..=u8::MAX {
        for _ in 0..50 {
            let mut block: [u8; BLOCK] = std::array::from_fn(|_| dice.below(256) as u8);
            let at = dice.below(BLOCK);
            block[at] = byte;
            let marks = Marks::of(&block);
            assert_eq!(marks, block::portable(&block), "{block:?}");
            let is_special = byte == b'"' || byte == b'\\' || byte < 0x20;
            assert_eq!(marks.special >> at & 1 == 1, is_special, "{byte}");
            assert_eq!(marks.high >> at & 1 == 1, byte >= 0x80, "{byte}");
        }
    }
}

#[test]
fn strings_of_every_length_are_read_wherever_they_stand() {
    let schema = schema("a string, b string");
    let mut decoder = decoder(&schema);
    for length in 0..100 {
        for (text, read) in [
            ("x".repeat(length), "x".repeat(length)),
            // A character of two bytes, an escape, a backslash before the end.
            (
                format!("{}é", "x".repeat(length)),
                format!("{}é", "x".repeat(length)),
            ),
            (
                format!("{}\\n", "x".repeat(length)),
                format!("{}\n", "x".repeat(length)),
            ),
            (
                format!("{}\\\"", "x".repeat(length)),
                format!("{}\"", "x".repeat(length)),
            ),
        ] {
            for payload in [
                format!("{{\"a\":\"{text}\",\"b\":\"é\"}}"),
                format!("{{\"b\":\"é\",\"a\":\"{text}\"}}"),
                format!("{{\"b\":\"é\",\"a\":\"{text}\"}}   "),
            ] {
                let decoded = decoder.decode(&[messages(&[payload.as_bytes()])]).unwrap();
                assert_eq!(
                    rows(&decoded.rows),
                    [format!("{{a: {read:?}, b: \"é\"}}")],
                    "{payload}"
                );
                // Cut off anywhere it is no JSON any more.
                for end in 1..payload.trim_end().len() {
                    let cut = &payload.as_bytes()[..end];
                    let decoded = decoder.decode(&[messages(&[cut])]).unwrap();
                    assert_eq!(decoded.rejects.len(), 1, "{payload} cut at {end}");
                }
            }
        }
    }
}

/// Random JSON, mostly valid.
fn document(dice: &mut Dice, depth: usize) -> String {
    const SCALARS: [&str; 22] = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "12.5",
        "1e5",
        "1E-7",
        "123456789012345678901234567890",
        "0.1",
        "\"\"",
        "\"abc\"",
        "\"a\\\"b\"",
        "\"\\\\\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"é😀\"",
        "\"a longer string, to fill several words\"",
        "\"\\n\\t\\/\"",
        "\"\\u0000\"",
        "\"\u{7f}\"",
    ];
    let space = |dice: &mut Dice| dice.pick(&["", "", "", " ", "\n", "\t "]);
    match dice.below(if depth > 4 { 4 } else { 7 }) {
        0..=3 => dice.pick(&SCALARS).to_owned(),
        4 => {
            let elements: Vec<_> = (0..dice.below(4))
                .map(|_| {
                    format!(
                        "{}{}{}",
                        space(dice),
                        document(dice, depth + 1),
                        space(dice)
                    )
                })
                .collect();
            format!("[{}]", elements.join(","))
        }
        _ => {
            let members: Vec<_> = (0..dice.below(5))
                .map(|n| {
                    format!(
                        "{}\"k{n}\"{}:{}{}",
                        space(dice),
                        space(dice),
                        space(dice),
                        document(dice, depth + 1)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

#[test]
fn the_scanner_accepts_exactly_what_serde_json_accepts() {
    let mut decoder = decoder(&schema("zzz string"));
    let mut dice = Dice::new(4);
    let (mut accepted, mut rejected) = (0, 0);
    for round in 0..40_000 {
        let text = format!(
            "{{\"d\":{},\"e\":{}}}",
            document(&mut dice, 0),
            document(&mut dice, 0)
        );
        let bytes = if dice.one_in(4) {
            text.into_bytes()
        } else {
            mutate(&mut dice, &text)
        };
        let expected = match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(value) => value.is_object(),
            // JSON knows no largest number; a field that nobody reads may have any.
            Err(error) if error.to_string().starts_with("number out of range") => continue,
            Err(_) => false,
        };
        let decoded = decoder.decode(&[messages(&[&bytes])]).unwrap();
        assert_eq!(
            decoded.rejects.is_empty(),
            expected,
            "round {round}: {:?}\n{:?}",
            String::from_utf8_lossy(&bytes),
            decoded.rejects
        );
        if expected {
            accepted += 1
        } else {
            rejected += 1
        }
    }
    assert!(
        accepted > 10_000 && rejected > 10_000,
        "{accepted} {rejected}"
    );
}
