//! Structs, lists and maps: exact values, and the reasons of rejects.

use arrow::array::{Array, AsArray};

use super::support::{check, decode, reason, rows, schema};
use super::*;

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
    // Required fields hold no nulls, not even where their parent is one: not all readers mask them.
    let parent = decoded.rows.column(0).as_struct();
    assert_eq!(parent.null_count(), 2);
    for column in parent.columns() {
        assert_eq!(column.null_count(), 0);
    }
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
