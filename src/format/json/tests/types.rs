//! One table a type: exact values, and the reasons of rejects.

use super::support::{check, decode, reason, rows, schema};
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
    let mut dice = support::Dice::new(1);
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
fn structs() {
    check(
        "struct<a: string, b: struct<c: long not null>>",
        &[
            ("{}", Ok("{a: null, b: null}")),
            ("null", Ok("null")),
            (r#"{"b":{"c":1},"a":"x"}"#, Ok("{a: \"x\", b: {c: 1}}")),
            (
                r#"{ "b" : { "c" : 1 , "z" : [ { } ] } }"#,
                Ok("{a: null, b: {c: 1}}"),
            ),
            (
                r#"{"b":{}}"#,
                Err("column \"v.b.c\": it is required, but missing"),
            ),
            (r#"{"b":{"c":1}"#, Err("the text ends")),
            ("{,}", Err("a key in quotes")),
            (r#"{"a":"x",}"#, Err("a key in quotes")),
            (r#"{"a" "x"}"#, Err("`:`")),
        ],
    );
}

#[test]
fn lists() {
    check(
        "list<long>",
        &[
            ("[]", Ok("[]")),
            ("[ ]", Ok("[]")),
            ("null", Ok("null")),
            ("[1, null,3]", Ok("[1, null, 3]")),
            ("[1,]", Err("not valid JSON")),
            ("[,1]", Err("not valid JSON")),
            ("[1 2]", Err("expected `,` or `]`")),
            ("[1", Err("expected `,` or `]`, found `}`")),
            (
                "[1,\"x\"]",
                Err("column \"v[1]\": expected long, found string \"x\""),
            ),
            ("{}", Err("expected list (an array), found an object")),
        ],
    );
    check(
        "list<long not null>",
        &[("[1,null]", Err("column \"v[1]\": it is required, but null"))],
    );
    check(
        "list<list<string>>",
        &[(
            r#"[[],["a",null],null,["b"]]"#,
            Ok("[[], [\"a\", null], null, [\"b\"]]"),
        )],
    );
}

#[test]
fn maps() {
    check(
        "map<string, double>",
        &[
            ("{}", Ok("{}")),
            ("[]", Ok("{}")),
            ("null", Ok("null")),
            (r#"{"a":1.5,"":null}"#, Ok("{\"a\": 1.5, \"\": null}")),
            (r#"{ "\u0061" : 1 }"#, Ok("{\"a\": 1.0}")),
            (
                r#"[{"key":"a","value":1.5},{"value":2,"key":"b","x":0},{"key":"c"}]"#,
                Ok("{\"a\": 1.5, \"b\": 2.0, \"c\": null}"),
            ),
            (
                r#"{"a":1,"\u0061":2}"#,
                Err("entries 0 and 1 of the map have the same key"),
            ),
            (
                r#"[{"key":"a"},{"key":"b"},{"key":"a"}]"#,
                Err("entries 0 and 2 of the map have the same key"),
            ),
            (
                r#"[{"value":1}]"#,
                Err("column \"v[0].key\": it is required, but missing"),
            ),
            (
                r#"[{"key":null}]"#,
                Err("column \"v[0].key\": it is required, but null"),
            ),
            ("[1]", Err("expected an object, found number 1")),
            ("[null]", Err("expected an object, found null")),
            (
                r#"{"a":"x"}"#,
                Err("column \"v[\"a\"]\": string \"x\" is not a double"),
            ),
            ("{1:2}", Err("a key in quotes")),
            ("1", Err("expected map (an object), found number 1")),
        ],
    );
    check(
        "map<string, long not null>",
        &[(
            r#"{"a":null}"#,
            Err("column \"v[\"a\"]\": it is required, but null"),
        )],
    );
}

#[test]
fn map_keys_of_other_types_are_read_from_their_text() {
    for (key, good, expected, bad) in [
        ("int", "-12", "-12", "1.5"),
        ("int", "12", "12", "3000000000"),
        (
            "long",
            "9223372036854775807",
            "9223372036854775807",
            "9223372036854775808",
        ),
        ("long", "7", "7", " 7"),
        ("double", "1.5", "1.5", "x"),
        ("double", "NaN", "NaN", "nan"),
        ("float", "0.5", "0.5", "1e99"),
        ("decimal(4, 2)", "12.30", "1230", "12.345"),
        ("boolean", "true", "true", "TRUE"),
        ("date", "1970-01-02", "1", "1970-01-32"),
        ("time", "00:00:01", "1000000", "1"),
        ("timestamp", "1970-01-01T00:00:01", "1000000", "1000"),
        (
            "timestamptz",
            "1970-01-01T00:00:01Z",
            "1000000",
            "1970-01-01T00:00:01",
        ),
        (
            "uuid",
            "0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11",
            "0b9c0b1e6a574f0e9d8e2f6f3f1a7c11",
            "x",
        ),
        ("binary", "AP8=", "00ff", "?"),
        ("fixed(2)", "AP8=", "00ff", "AA=="),
    ] {
        let of = format!("map<{key}, long>");
        check(
            &of,
            &[(
                &format!("{{\"{good}\":1}}"),
                Ok(&format!("{{{expected}: 1}}")),
            )],
        );
        check(
            &of,
            &[(
                &format!("{{\"{bad}\":1}}"),
                Err(&format!("column \"v[{bad:?}]\"")),
            )],
        );
    }
    check(
        "map<long, long>",
        &[(
            r#"{"1":1,"1.0":2}"#,
            Err("entries 0 and 1 of the map have the same key"),
        )],
    );
}

#[test]
fn a_repeated_key_is_found_in_large_maps_too() {
    let mut members: Vec<_> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
    let payload = |members: &[String]| format!("{{\"v\":{{{}}}}}", members.join(","));
    let good = payload(&members);
    assert_eq!(decode(&schema("v map<string, long>"), &[&good]).rejects, []);
    members.push("\"k123\":0".to_owned());
    assert_eq!(
        reason("v map<string, long>", &payload(&members)),
        "column \"v\": entries 123 and 500 of the map have the same key"
    );
}

#[test]
fn nested_values_of_absent_parents_are_fillers() {
    let decoded = decode(
        &schema(
            "s struct<a: long not null, t: struct<b: uuid not null, c: list<long not null> not null> not null, m: map<string, string> not null>",
        ),
        &[
            r#"{}"#,
            r#"{"s":{"a":1,"t":{"b":"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11","c":[1]},"m":{"k":"v"}}}"#,
            r#"{"s":null}"#,
        ],
    );
    assert_eq!(
        rows(&decoded.rows),
        [
            "{s: null}",
            "{s: {a: 1, t: {b: 0b9c0b1e6a574f0e9d8e2f6f3f1a7c11, c: [1]}, m: {\"k\": \"v\"}}}",
            "{s: null}"
        ]
    );
}

#[test]
fn tables_that_json_can_not_fill_are_refused_at_once() {
    let nested = format!("v {}long{}", "list<".repeat(63), ">".repeat(63));
    assert!(JsonDecoder::new(&schema(&nested)).is_ok());
    use iceberg::spec::{ListType, NestedField, PrimitiveType};
    let mut of = Type::Primitive(PrimitiveType::Long);
    for id in 0..70 {
        of = Type::List(ListType::new(Arc::new(NestedField::list_element(
            id + 2,
            of,
            false,
        ))));
    }
    let too_deep = Schema::builder()
        .with_fields([Arc::new(NestedField::optional(1, "v", of))])
        .build()
        .unwrap();
    let error = JsonDecoder::new(&too_deep).err().unwrap().to_string();
    assert!(error.contains("nested more than 64 levels deep"), "{error}");
}
