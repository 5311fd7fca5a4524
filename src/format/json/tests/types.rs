//! One table a primitive type but numbers: exact values, and the reasons of rejects.

use super::support::{check, decode, rows, schema};
use super::*;

#[test]
fn booleans() {
    check(
        "boolean",
        &[
            ("true", Ok("true")),
            ("false", Ok("false")),
            ("null", Ok("null")),
            ("1", Err("expected boolean, found number 1")),
            ("\"true\"", Err("expected boolean, found string \"true\"")),
            ("tru", Err("not valid JSON at byte 5")),
            ("falsey", Err("expected `,` or `}`, found `y}`")),
            ("True", Err("not valid JSON")),
        ],
    );
}

#[test]
fn strings() {
    check(
        "string",
        &[
            (r#""""#, Ok("\"\"")),
            (r#""plain""#, Ok("\"plain\"")),
            (
                r#""a\"b\\c\/d\b\f\n\r\t""#,
                Ok("\"a\\\"b\\\\c/d\\u{8}\\u{c}\\n\\r\\t\""),
            ),
            (r#""\u00e9\u4E2D""#, Ok("\"é中\"")),
            (r#""\ud83d\ude00""#, Ok("\"😀\"")),
            (r#""é中😀""#, Ok("\"é中😀\"")),
            (r#""a\u0000b""#, Ok("\"a\\0b\"")),
            (r#""\ud83d""#, Err("half of a surrogate pair, `\\ud83d`")),
            (r#""\ud83dx""#, Err("half of a surrogate pair")),
            (r#""\ud83d\u0041""#, Err("half of a surrogate pair")),
            (
                r#""\ude00\ud83d""#,
                Err("half of a surrogate pair, `\\ude00`"),
            ),
            (r#""\u12g4""#, Err("four hexadecimal digits")),
            (r#""\u+123""#, Err("four hexadecimal digits")),
            (r#""\x""#, Err("unknown escape `\\x`")),
            ("\"a\nb\"", Err("control character 0x0a")),
            ("\"a\u{0}b\"", Err("control character 0x00")),
            ("\"a\u{7f}b\"", Ok("\"a\\u{7f}b\"")),
            ("12", Err("expected string, found number 12")),
            ("{}", Err("expected string, found an object")),
        ],
    );
}

#[test]
fn strings_of_every_length_are_kept_whole() {
    let texts: Vec<String> = (0..100)
        .flat_map(|length| ["x".repeat(length), format!("{}é", "y".repeat(length))])
        .collect();
    let payloads: Vec<_> = texts
        .iter()
        .map(|text| format!("{{\"v\":\"{text}\"}}"))
        .collect();
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    let decoded = decode(&schema("v string"), &payloads);
    let expected: Vec<_> = texts
        .iter()
        .map(|text| format!("{{v: {text:?}}}"))
        .collect();
    assert_eq!(rows(&decoded.rows), expected);
}

#[test]
fn invalid_utf8_is_rejected_wherever_it_stands() {
    for bytes in [
        &b"\xff"[..],
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"long enough to fill words \x80",
    ] {
        for (before, after) in [
            (&b"{\"v\":\""[..], &b"\"}"[..]),
            (b"{\"unknown\":\"", b"\",\"v\":\"x\"}"),
            (b"{\"", b"\":1}"),
            (b"{\"v\":\"x\",\"u\":[{\"", b"\":1}]}"),
        ] {
            let payload = [before, bytes, after].concat();
            let decoded = decoder(&schema("v string"))
                .decode(&[messages(&[&payload])])
                .unwrap();
            assert_eq!(decoded.rows.num_rows(), 0);
            assert!(
                decoded.rejects[0]
                    .reason
                    .contains("not valid UTF-8 at byte"),
                "{:?}",
                decoded.rejects[0]
            );
        }
        let outside = [b"{\"v\":", bytes, b"}"].concat();
        let decoded = decoder(&schema("v string"))
            .decode(&[messages(&[&outside])])
            .unwrap();
        assert_eq!(decoded.rejects.len(), 1);
    }
}

#[test]
fn dates() {
    check(
        "date",
        &[
            ("\"1970-01-01\"", Ok("0")),
            ("\"2026-03-01\"", Ok("20513")),
            ("\"1969-12-31\"", Ok("-1")),
            ("\"0001-01-01\"", Ok("-719162")),
            ("\"9999-12-31\"", Ok("2932896")),
            ("\"2000-02-29\"", Ok("11016")),
            ("\"2024-02-29\"", Ok("19782")),
            ("\"1900-02-29\"", Err("not a date")),
            ("\"2023-02-29\"", Err("not a date")),
            ("\"2023-04-31\"", Err("not a date")),
            ("\"2023-13-01\"", Err("not a date")),
            ("\"2023-00-01\"", Err("not a date")),
            ("\"2023-01-00\"", Err("not a date")),
            ("\"0000-12-31\"", Err("years 0001 and 9999")),
            ("\"10000-01-01\"", Err("not a date")),
            ("\"2023-1-1\"", Err("not a date")),
            ("\"2023-01-01T00:00:00\"", Err("not a date")),
            ("\" 2023-01-01\"", Err("not a date")),
            ("\"\"", Err("not a date")),
            (
                r#""\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000""#,
                Err("not a date"),
            ),
            ("20513", Err("expected date (a string), found number 20513")),
        ],
    );
}

#[test]
fn times() {
    check(
        "time",
        &[
            ("\"00:00:00\"", Ok("0")),
            ("\"12:34:56.789\"", Ok("45296789000")),
            ("\"12:34\"", Ok("45240000000")),
            ("\"23:59:59.999999\"", Ok("86399999999")),
            ("\"23:59:59.999999000\"", Ok("86399999999")),
            ("\"23:59:59.9999990000000000\"", Ok("86399999999")),
            ("\"23:59:59.9999999\"", Err("finer than a microsecond")),
            (
                "\"00:00:00.0000000000000001\"",
                Err("finer than a nanosecond"),
            ),
            ("\"24:00:00\"", Err("not a time")),
            ("\"12:60:00\"", Err("not a time")),
            ("\"12:00:60\"", Err("not a time")),
            ("\"12:00:00.\"", Err("not a time")),
            ("\"12:00.5\"", Err("not a time")),
            ("\"12:00:0\"", Err("not a time")),
            ("\"12:00:00Z\"", Err("nothing after it")),
            ("45296", Err("expected time (a string), found number 45296")),
        ],
    );
}

#[test]
fn timestamps_with_zone() {
    check(
        "timestamptz",
        &[
            ("\"1970-01-01T00:00:00Z\"", Ok("0")),
            ("\"2026-03-01T12:34:56.789Z\"", Ok("1772368496789000")),
            ("\"2026-03-01t12:34:56.789z\"", Ok("1772368496789000")),
            ("\"2026-03-01 12:34:56.789+00:00\"", Ok("1772368496789000")),
            ("\"2026-03-01T13:34:56.789+01:00\"", Ok("1772368496789000")),
            ("\"2026-03-01T13:34:56.789+0100\"", Ok("1772368496789000")),
            ("\"2026-03-01T13:34:56.789+01\"", Ok("1772368496789000")),
            ("\"2026-02-28T23:04:56.789-13:30\"", Ok("1772368496789000")),
            ("\"2026-03-01T12:34Z\"", Ok("1772368440000000")),
            ("\"2026-03-01T12:34:56.123456Z\"", Ok("1772368496123456")),
            ("\"2026-03-01T12:34:56.123456000Z\"", Ok("1772368496123456")),
            ("\"1969-12-31T23:59:59.999999Z\"", Ok("-1")),
            ("\"0001-01-01T00:00:00Z\"", Ok("-62135596800000000")),
            ("\"9999-12-31T23:59:59.999999Z\"", Ok("253402300799999999")),
            (
                "\"2026-03-01T12:34:56.1234567Z\"",
                Err("finer than a microsecond"),
            ),
            (
                "\"0001-01-01T00:00:00+00:01\"",
                Err("in UTC it is not between"),
            ),
            (
                "\"9999-12-31T23:59:59-00:01\"",
                Err("in UTC it is not between"),
            ),
            ("\"2026-03-01T12:34:56\"", Err("it has no zone")),
            ("\"2026-03-01T12:34:56+24:00\"", Err("its zone is not")),
            ("\"2026-03-01T12:34:56+01:60\"", Err("its zone is not")),
            ("\"2026-03-01T12:34:56 UTC\"", Err("its zone is not")),
            ("\"2026-03-01T12:34:56Z \"", Err("its zone is not")),
            ("\"2026-03-01T12:34.5Z\"", Err("its zone is not")),
            ("\"2026-03-01T24:00:00Z\"", Err("expected a time")),
            ("\"2026-03-01T23:59:60Z\"", Err("expected a time")),
            (
                "\"2026-02-29T00:00:00Z\"",
                Err("expected a date and a time"),
            ),
            ("\"2026-03-01\"", Err("expected a date and a time")),
            (
                "\"2026-03-01X12:34:56Z\"",
                Err("expected a date and a time"),
            ),
            ("1772368496789", Ok("1772368496789000")),
            ("1.772368496789e12", Ok("1772368496789000")),
            ("-1", Ok("-1000")),
            ("253402300799999", Ok("253402300799999000")),
            ("253402300800000", Err("not a time in milliseconds")),
            ("1772368496789000", Err("not a time in milliseconds")),
            ("1.5", Err("not a whole number")),
            (
                "true",
                Err("expected timestamptz (a string, or milliseconds), found true"),
            ),
        ],
    );
}

#[test]
fn timestamps_without_zone() {
    check(
        "timestamp",
        &[
            ("\"2026-03-01T12:34:56.789\"", Ok("1772368496789000")),
            ("\"2026-03-01 12:34\"", Ok("1772368440000000")),
            ("\"0001-01-01T00:00:00\"", Ok("-62135596800000000")),
            ("\"9999-12-31T23:59:59.999999\"", Ok("253402300799999999")),
            ("1772368496789", Ok("1772368496789000")),
            (
                "\"2026-03-01T12:34:56Z\"",
                Err("it has a zone, which a timestamp without zone can't keep"),
            ),
            ("\"2026-03-01T12:34:56+00:00\"", Err("it has a zone")),
        ],
    );
}

#[test]
fn nanosecond_timestamps_of_newer_tables() {
    use iceberg::spec::{NestedField, PrimitiveType};
    let field = |id, name: &str, of| Arc::new(NestedField::optional(id, name, Type::Primitive(of)));
    let schema = Schema::builder()
        .with_fields([
            field(1, "a", PrimitiveType::TimestampNs),
            field(2, "b", PrimitiveType::TimestamptzNs),
        ])
        .build()
        .unwrap();
    let decoded = decode(
        &schema,
        &[
            r#"{"a":"2026-03-01T12:34:56.123456789","b":"2026-03-01T12:34:56.123456789Z"}"#,
            r#"{"a":1772368496789,"b":1772368496789}"#,
            r#"{"a":"2026-03-01T12:34:56.1234567891"}"#,
            r#"{"a":"2300-01-01T00:00:00"}"#,
            r#"{"a":253402300799999}"#,
        ],
    );
    assert_eq!(
        rows(&decoded.rows),
        [
            "{a: 1772368496123456789, b: 1772368496123456789}",
            "{a: 1772368496789000000, b: 1772368496789000000}"
        ]
    );
    let reasons: Vec<_> = decoded
        .rejects
        .iter()
        .map(|reject| reject.reason.as_str())
        .collect();
    assert!(
        reasons[0].contains("finer than a nanosecond"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("from the year 1677 to 2262"),
        "{reasons:?}"
    );
    assert!(
        reasons[2].contains("not a time in milliseconds"),
        "{reasons:?}"
    );
}

#[test]
fn timestamps_agree_with_chrono() {
    use chrono::{DateTime, FixedOffset, SecondsFormat};
    let mut dice = crate::dice::Dice::new(1);
    for round in 0..5_000 {
        let micros = -62_135_596_800_000_000 + (dice.next() % 315_537_897_600_000_000) as i64;
        let utc = DateTime::from_timestamp_micros(micros).unwrap();
        let offset =
            FixedOffset::east_opt((dice.below(2 * 23 * 60) as i32 - 23 * 60) * 60).unwrap();
        let text = match round % 3 {
            0 => utc.to_rfc3339_opts(SecondsFormat::Micros, true),
            1 => utc.to_rfc3339(),
            _ => utc.with_timezone(&offset).to_rfc3339(),
        };
        // Near the ends of the calendar an offset may lead out of it.
        if text.starts_with(|c: char| c.is_ascii_digit())
            && text.as_bytes()[4] == b'-'
            && !text.starts_with("0000")
        {
            assert_eq!(
                support::value("timestamptz", &format!("\"{text}\"")),
                Ok(micros.to_string()),
                "{text}"
            );
        }
        let day = utc.date_naive();
        let days = micros.div_euclid(86_400_000_000);
        assert_eq!(
            support::value("date", &format!("\"{day}\"")),
            Ok(days.to_string()),
            "{day}"
        );
    }
}

#[test]
fn uuids() {
    check(
        "uuid",
        &[
            (
                "\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\"",
                Ok("0b9c0b1e6a574f0e9d8e2f6f3f1a7c11"),
            ),
            (
                "\"0B9C0B1E-6A57-4F0E-9D8E-2F6F3F1A7C11\"",
                Ok("0b9c0b1e6a574f0e9d8e2f6f3f1a7c11"),
            ),
            (
                "\"00000000-0000-0000-0000-000000000000\"",
                Ok("00000000000000000000000000000000"),
            ),
            ("\"0b9c0b1e6a574f0e9d8e2f6f3f1a7c11\"", Err("not a uuid")),
            (
                "\"{0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11}\"",
                Err("not a uuid"),
            ),
            (
                "\"urn:uuid:0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\"",
                Err("not a uuid"),
            ),
            (
                "\"0b9c0b1e-6a57-4f0e-9d8e2-f6f3f1a7c11\"",
                Err("not a uuid"),
            ),
            (
                "\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7cgg\"",
                Err("not a uuid"),
            ),
            ("1", Err("expected uuid (a string), found number 1")),
        ],
    );
}

#[test]
fn bytes() {
    check(
        "binary",
        &[
            ("\"\"", Ok("")),
            ("\"AP8=\"", Ok("00ff")),
            ("\"AP8\"", Ok("00ff")),
            (r#""\u0041P8=""#, Ok("00ff")),
            ("\"+/+/\"", Ok("fbffbf")),
            ("\"-_-_\"", Err("expected base64")),
            ("\"A\"", Err("expected base64")),
            ("\"AP8=AP8=\"", Err("expected base64")),
            (
                "[0, 255]",
                Err("expected binary (a base64 string), found an array"),
            ),
        ],
    );
    check(
        "fixed(2)",
        &[
            ("\"AP8=\"", Ok("00ff")),
            ("\"AP//\"", Err("expected 2 bytes, found 3")),
            ("\"AA==\"", Err("expected 2 bytes, found 1")),
            ("null", Ok("null")),
        ],
    );
}

#[test]
fn the_short_way_for_usual_times_gives_what_the_general_way_gives() {
    let usual = *b"2026-03-01T12:34:56.789Z";
    let mut last = temporal::LastDate::default();
    let mut both = |text: &[u8; 24]| {
        let mut quoted = [b'"'; temporal::QUOTED_UTC_MILLIS];
        quoted[1..25].copy_from_slice(text);
        let general = temporal::timestamp(text, true, false, &mut temporal::LastDate::default());
        let short = temporal::quoted_utc_millis(&quoted, &mut last);
        assert!(
            short.is_none() || short == general.ok(),
            "{:?}",
            text.escape_ascii()
        );
        short
    };
    assert_eq!(both(&usual), Some(1_772_368_496_789_000));
    let mut accepted = 0;
    for at in 0..usual.len() {
        for byte in 0..=u8::MAX {
            let mut text = usual;
            text[at] = byte;
            accepted += usize::from(both(&text).is_some());
        }
    }
    // As many as there are valid digits in each place of the year, month, day, hour, minute, second
    // and fraction, and the seven fixed characters.
    assert_eq!(
        accepted,
        40 + (1 + 9) + (4 + 9) + (3 + 10) + (6 + 10) + (6 + 10) + 30 + 7
    );
}
