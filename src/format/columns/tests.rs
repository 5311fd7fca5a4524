use iceberg::spec::PrimitiveType;

use super::*;
use crate::error::Kind;

fn printed(text: &str) -> String {
    Declaration(&parse(text).unwrap()).to_string()
}

fn refused(text: &str) -> String {
    let error = parse(text).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    error.to_string()
}

#[test]
fn all_primitive_types_have_their_names_and_aliases() {
    for (name, of) in [
        ("boolean", PrimitiveType::Boolean),
        ("BOOL", PrimitiveType::Boolean),
        ("int", PrimitiveType::Int),
        ("Integer", PrimitiveType::Int),
        ("long", PrimitiveType::Long),
        ("BIGINT", PrimitiveType::Long),
        ("float", PrimitiveType::Float),
        ("real", PrimitiveType::Float),
        ("double", PrimitiveType::Double),
        ("date", PrimitiveType::Date),
        ("time", PrimitiveType::Time),
        ("timestamp", PrimitiveType::Timestamp),
        ("timestamp_ntz", PrimitiveType::Timestamp),
        ("TIMESTAMPTZ", PrimitiveType::Timestamptz),
        ("timestamp_ltz", PrimitiveType::Timestamptz),
        ("string", PrimitiveType::String),
        ("text", PrimitiveType::String),
        ("varchar", PrimitiveType::String),
        ("uuid", PrimitiveType::Uuid),
        ("binary", PrimitiveType::Binary),
        ("bytes", PrimitiveType::Binary),
        ("varbinary", PrimitiveType::Binary),
        ("fixed(16)", PrimitiveType::Fixed(16)),
        (
            "decimal(12,2)",
            PrimitiveType::Decimal {
                precision: 12,
                scale: 2,
            },
        ),
        (
            "NUMERIC( 38 , 38 )",
            PrimitiveType::Decimal {
                precision: 38,
                scale: 38,
            },
        ),
        (
            "decimal(9)",
            PrimitiveType::Decimal {
                precision: 9,
                scale: 0,
            },
        ),
    ] {
        let schema = parse(&format!("v {name}")).unwrap();
        let field = &schema.as_struct().fields()[0];
        assert_eq!(*field.field_type, Type::Primitive(of), "{name}");
        assert_eq!((field.name.as_str(), field.required), ("v", false));
    }
}

#[test]
fn a_declaration_is_printed_as_it_was_read() {
    for text in [
        "sample_id string not null, value double, start_time timestamptz, tags list<string>",
        "device struct<id: string not null, model: string>, attrs map<string, double>",
        "price decimal(12, 2), h fixed(16), t timestamp, z timestamptz, u uuid, b binary",
        "l list<struct<a: list<long not null> not null, b: map<int, struct<c: date not null> not null>> not null> not null",
        "a long not null comment 'it''s the id', s struct<b: int comment 'inside'> comment ''",
        "\"odd name\" long, \"say \"\"hi\"\"\" struct<\"a,b\": string>, größe double, 日本 string",
        "type string, comment string, not string, null string, list list<string>, struct struct<map: map<date, time>>",
    ] {
        assert_eq!(printed(text), text);
        let schema = parse(text).unwrap();
        assert_eq!(parse(&Declaration(&schema).to_string()).unwrap(), schema);
    }
}

#[test]
fn spelling_is_free_where_it_does_not_matter() {
    assert_eq!(
        printed(
            "\n a : BIGINT NOT NULL,\n\tb ARRAY<Text NOT NULL> NULL ,c STRUCT<d string,e:MAP<text null,int>>,`f g` bool,\n"
        ),
        "a long not null, b list<string not null>, c struct<d: string, e: map<string, int>>, \"f g\" boolean"
    );
}

#[test]
fn ids_go_to_the_columns_first_and_then_inwards() {
    let schema =
        parse("a struct<b: long, c: list<struct<d: long>>>, e map<string, list<long>>, f long")
            .unwrap();
    let ids: Vec<_> = [
        "a",
        "e",
        "f",
        "a.b",
        "a.c",
        "a.c.element",
        "a.c.element.d",
        "e.key",
        "e.value",
        "e.value.element",
    ]
    .map(|name| schema.field_id_by_name(name).unwrap())
    .into();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, expected) in [
        (
            "",
            "character 1: expected the name of a column, found the end",
        ),
        ("a", "character 2: expected a type, found the end"),
        (
            "a strin",
            "character 3: expected a type, found `strin`\n  → did you mean `string`?",
        ),
        ("a long, b", "character 10: expected a type, found the end"),
        (
            "a long b long",
            "character 8: expected `,`, `not null` or `comment`, found `b`",
        ),
        (
            "a long not",
            "character 11: expected `null` after `not`, found the end",
        ),
        (
            "a long,, b long",
            "character 8: expected the name of a column, found `,`",
        ),
        ("a list<long", "character 12: expected `>`, found the end"),
        ("a list", "character 7: expected `<`, found the end"),
        ("a map<string>", "character 13: expected `,`, found `>`"),
        (
            "a map<list<long>, long>",
            "character 7: a map's keys must be of a primitive type",
        ),
        (
            "a struct<>",
            "character 10: expected the name of a column, found `>`",
        ),
        (
            "a struct<b: long c: long>",
            "character 18: expected `,`, `>`, `not null` or `comment`, found `c`",
        ),
        ("a decimal", "character 10: expected `(`, found the end"),
        (
            "a decimal(39, 2)",
            "character 11: expected a precision from 1 to 38, found `39`",
        ),
        (
            "a decimal(5, 6)",
            "character 14: expected a scale from 0 to 5, found `6`",
        ),
        (
            "a fixed(0)",
            "character 9: expected a length in bytes from 1 to 2147483647, found `0`",
        ),
        (
            "a fixed(x)",
            "character 9: expected a length in bytes from 1 to 2147483647, found `x`",
        ),
        (
            "a varchar(20)",
            "character 10: expected nothing after the type `varchar`, found `(`",
        ),
        (
            "a timestamp_ns",
            "character 3: the type `timestamp_ns` exists only from Iceberg's format version 3 on",
        ),
        (
            "ä long, ö lnog",
            "character 11: expected a type, found `lnog`\n  → did you mean `long`?",
        ),
        (
            "a long, A string",
            "character 9: the name \"A\" was declared at character 1 already",
        ),
        (
            "a struct<b: long, b: long>",
            "character 19: the name \"b\" was declared at character 10 already",
        ),
        ("a-b long", "character 2: `-` has no meaning here"),
        ("\"a long", "character 1: this \" is never closed"),
        (
            "\"\" long",
            "character 1: expected the name of a column, found the name \"\"",
        ),
        (
            "a long comment b",
            "character 16: expected a text in single quotes, found `b`",
        ),
        ("a 'b'", "character 3: expected a type, found the text 'b'"),
    ] {
        let error = refused(text);
        assert!(
            error.starts_with(&format!("declared columns, {expected}")),
            "{text}: {error}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("v {}long{}", "list<".repeat(levels), ">".repeat(levels));
    assert!(parse(&nested(63)).is_ok());
    assert!(refused(&nested(64)).contains("nest more than 64 levels deep"));
    assert!(refused(&nested(100_000)).contains("nest more than 64 levels deep"));
}

#[test]
fn provenance_columns_are_appended_once() {
    let schema =
        with_provenance(&parse("v struct<a: long>, _offset long not null").unwrap()).unwrap();
    assert_eq!(
        Declaration(&schema).to_string(),
        "v struct<a: long>, _offset long not null, _topic string, _partition int, _timestamp timestamptz"
    );
    assert_eq!(schema.field_id_by_name("_topic"), Some(4));
    assert_eq!(with_provenance(&schema).unwrap(), schema);
}

#[test]
fn a_column_in_the_way_of_provenance_is_an_error() {
    for text in ["_topic long", "_Topic string"] {
        let error = with_provenance(&parse(text).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("has the name of the provenance column `_topic string`"),
            "{error}"
        );
    }
}
