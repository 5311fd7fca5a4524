//! Numbers: exact where the type is exact, nearest where it is a float.

use super::support::{check, value};
use crate::dice::Dice;

#[test]
fn ints_and_longs() {
    for (of, min, below, max, above) in [
        (
            "int",
            "-2147483648",
            "-2147483649",
            "2147483647",
            "2147483648",
        ),
        (
            "long",
            "-9223372036854775808",
            "-9223372036854775809",
            "9223372036854775807",
            "9223372036854775808",
        ),
    ] {
        check(
            of,
            &[
                (min, Ok(min)),
                (max, Ok(max)),
                (below, Err("does not fit")),
                (above, Err("does not fit")),
                ("0", Ok("0")),
                ("-0", Ok("0")),
                ("12.0", Ok("12")),
                ("1e3", Ok("1000")),
                ("1.2E+1", Ok("12")),
                ("1200e-2", Ok("12")),
                ("12.000000000000000000000000000000", Ok("12")),
                ("0e999999999999", Ok("0")),
                ("0.000000000000000000000e-5", Ok("0")),
                ("1.5", Err("1.5, which is not a whole number")),
                ("1e-1", Err("not a whole number")),
                ("1e-999999999999999999999", Err("not a whole number")),
                ("1e99", Err("does not fit")),
                ("1e999999999999999999999", Err("does not fit")),
                ("12345678901234567890123456789", Err("does not fit")),
                (
                    "1234567890123456789012345678901234567890123",
                    Err("does not fit"),
                ),
                (
                    "1234567890123456789012345678901234567890123e-43",
                    Err("not a whole number"),
                ),
                ("\"12\"", Err("found string \"12\"")),
                ("null", Ok("null")),
                ("01", Err("not valid JSON")),
                ("-01", Err("not valid JSON")),
                ("+1", Err("not valid JSON")),
                ("-", Err("not valid JSON")),
                ("1.", Err("not valid JSON")),
                (".5", Err("not valid JSON")),
                ("1e", Err("not valid JSON")),
                ("1e+", Err("not valid JSON")),
                ("0x10", Err("not valid JSON")),
                ("1_000", Err("not valid JSON")),
                ("NaN", Err("not valid JSON")),
            ],
        );
    }
    // Whole, and beyond what a double could tell apart.
    check(
        "long",
        &[
            ("9007199254740993", Ok("9007199254740993")),
            ("9007199254740993.0", Ok("9007199254740993")),
        ],
    );
    check(
        "long",
        &[("922337203685477580700e-2", Ok("9223372036854775807"))],
    );
}

#[test]
fn doubles_and_floats() {
    check(
        "double",
        &[
            ("72.53", Ok("72.53")),
            ("0", Ok("0.0")),
            ("-0", Ok("-0.0")),
            ("-0.0", Ok("-0.0")),
            ("9007199254740993", Ok("9007199254740992.0")),
            ("1.7976931348623157e308", Ok("1.7976931348623157e308")),
            ("1e309", Err("1e309 does not fit double")),
            ("-1e400", Err("does not fit double")),
            ("5e-324", Ok("5e-324")),
            ("1e-400", Ok("0.0")),
            ("0.1e1", Ok("1.0")),
            (
                "123456789012345678901234567890",
                Ok("1.2345678901234568e29"),
            ),
            ("\"NaN\"", Ok("NaN")),
            ("\"Infinity\"", Ok("inf")),
            ("\"-Infinity\"", Ok("-inf")),
            ("\"1.5\"", Err("only NaN, Infinity and -Infinity")),
            ("\"inf\"", Err("only NaN, Infinity and -Infinity")),
            ("true", Err("expected double, found true")),
        ],
    );
    check(
        "float",
        &[
            ("72.53", Ok("72.53")),
            ("16777217", Ok("16777216.0")),
            ("3.4028235e38", Ok("3.4028235e38")),
            ("3.5e38", Err("does not fit float")),
            ("\"-Infinity\"", Ok("-inf")),
            // Nearest to the text, not to the nearest double: those differ here.
            ("1.00000017881393432617187499", Ok("1.0000001")),
        ],
    );
}

#[test]
fn doubles_are_the_nearest_to_their_text() {
    let mut dice = Dice::new(2);
    for _ in 0..20_000 {
        let bits = f64::from_bits(dice.next());
        let text = match dice.below(5) {
            0 if bits.is_finite() => format!("{bits:e}"),
            1 if bits.is_finite() => format!("{bits}"),
            2 => format!("{}.{:04}", dice.next() as i32, dice.below(10_000)),
            3 => format!(
                "{}e{}",
                dice.next() >> dice.below(64),
                dice.below(60) as i32 - 30
            ),
            _ => format!(
                "{}.{}e{}",
                dice.next(),
                dice.next(),
                dice.below(700) as i32 - 350
            ),
        };
        let expected: f64 = text.parse().unwrap();
        match value("double", &text) {
            Ok(found) => assert_eq!(found, format!("{expected:?}"), "{text}"),
            Err(reason) => assert!(expected.is_infinite(), "{text}: {reason}"),
        }
    }
}

#[test]
fn decimals() {
    check(
        "decimal(5, 2)",
        &[
            ("1.25", Ok("125")),
            ("\"1.25\"", Ok("125")),
            ("1", Ok("100")),
            ("-999.99", Ok("-99999")),
            ("999.99", Ok("99999")),
            ("1.2500", Ok("125")),
            ("1e2", Ok("10000")),
            ("12345e-2", Ok("12345")),
            ("0.00000", Ok("0")),
            ("-0", Ok("0")),
            ("1000", Err("1000 has more digits than decimal(5, 2) holds")),
            (
                "1.255",
                Err(
                    "1.255 has more digits after the point than decimal(5, 2) keeps, and is not rounded",
                ),
            ),
            ("1e-3", Err("more digits after the point")),
            ("1e999999999999999999999", Err("more digits than")),
            (
                "1e-999999999999999999999",
                Err("more digits after the point"),
            ),
            ("\"1,25\"", Err("expected a number like -12.50")),
            ("\" 1.25\"", Err("expected a number like")),
            ("\"\"", Err("expected a number like")),
            ("\"+1\"", Err("expected a number like")),
            ("\"0x1\"", Err("expected a number like")),
            ("\"NaN\"", Err("expected a number like")),
            ("true", Err("expected decimal(5, 2), found true")),
        ],
    );
    let nines = "9".repeat(38);
    let tiny = format!("0.{}1", "0".repeat(37));
    check(
        "decimal(38, 0)",
        &[
            (&nines, Ok(&nines)),
            (&format!("-{nines}"), Ok(&format!("-{nines}"))),
            (&format!("{nines}.000"), Ok(&nines)),
            (&format!("1{}", "0".repeat(38)), Err("more digits than")),
            (&format!("{nines}9"), Err("more digits than")),
            (&format!("{nines}.5"), Err("more digits after the point")),
        ],
    );
    check(
        "decimal(38, 38)",
        &[
            (&tiny, Ok("1")),
            (&format!("0.{nines}"), Ok(&nines)),
            (&format!("-0.{nines}"), Ok(&format!("-{nines}"))),
            ("1", Err("more digits than")),
            (&format!("{tiny}1"), Err("more digits after the point")),
        ],
    );
}

/// Decimal arithmetic on text, as at school.
fn scaled(text: &str, precision: usize, scale: i64) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift = exponent.parse::<i64>().ok()? - fraction.len() as i64 + scale;
    let mut digits = format!("{whole}{fraction}");
    for _ in 0..shift {
        digits.push('0');
    }
    for _ in shift..0 {
        match digits.pop() {
            Some('0') | None => {}
            Some(_) => return None,
        }
    }
    let digits = digits.trim_start_matches('0');
    match digits.len() {
        0 => Some("0".to_owned()),
        length if length > precision => None,
        _ => Some(format!("{}{digits}", if negative { "-" } else { "" })),
    }
}

#[test]
fn decimals_agree_with_arithmetic_on_text() {
    let mut dice = Dice::new(3);
    let digits = |dice: &mut Dice, max: usize| -> String {
        let zeros = dice.one_in(4);
        (0..=dice.below(max))
            .map(|_| {
                if zeros && !dice.one_in(8) {
                    '0'
                } else {
                    char::from(b'0' + dice.below(10) as u8)
                }
            })
            .collect()
    };
    for _ in 0..20_000 {
        let (precision, scale) =
            [(5, 2), (9, 0), (18, 6), (38, 10), (38, 38), (38, 0)][dice.below(6)];
        let length = dice.below(45) + 1;
        let mut text = digits(&mut dice, length).trim_start_matches('0').to_owned();
        if text.is_empty() {
            text.push('0');
        }
        if dice.one_in(2) {
            text = format!("-{text}");
        }
        if dice.one_in(2) {
            text = format!("{text}.{}", digits(&mut dice, 40));
        }
        if dice.one_in(3) {
            text = format!("{text}e{}", dice.below(80) as i64 - 40);
        }
        let expected = scaled(&text, precision, scale);
        for json in [text.clone(), format!("\"{text}\"")] {
            let found = value(&format!("decimal({precision}, {scale})"), &json);
            assert_eq!(
                found.clone().ok(),
                expected,
                "decimal({precision}, {scale}) from {json}: {found:?}"
            );
        }
    }
}
