use super::super::columns::parse;
use super::super::{Decoder, JsonDecoder};
use super::*;
use crate::messages::Messages;

fn propose(payloads: &[&str], options: Options) -> Result<Proposal> {
    infer(payloads.iter().map(|payload| payload.as_bytes()), options)
}

fn proposal(payloads: &[&str]) -> Proposal {
    propose(payloads, Options::default()).unwrap()
}

/// How many of the payloads the proposed columns reject.
fn rejected(columns: &str, payloads: &[&str]) -> usize {
    let mut decoder = JsonDecoder::new(&parse(columns).unwrap()).unwrap();
    let mut messages = Messages::new(std::sync::Arc::from([std::sync::Arc::from("t")]));
    for (offset, payload) in payloads.iter().enumerate() {
        messages.push(0, 0, offset as i64, None, None, Some(payload.as_bytes()));
    }
    decoder.decode(&[messages]).unwrap().rejects.len()
}

#[test]
fn types_are_merged_over_all_samples_and_decode_them() {
    for (samples, columns) in [
        (&["{\"v\":1}", "{\"v\":2}"][..], "v long"),
        (&["{\"v\":1}", "{\"v\":2.5}"], "v double"),
        (&["{\"v\":1.0}"], "v double"),
        (&["{\"v\":1}", "{\"v\":\"NaN\"}"], "v double"),
        (&["{\"v\":\"NaN\"}"], "v string"),
        (
            &["{\"v\":18446744073709551615}", "{\"v\":-1}"],
            "v decimal(20, 0)",
        ),
        (&["{\"v\":18446744073709551615}", "{\"v\":0.5}"], "v double"),
        (&["{\"v\":36893488147419103232}"], "v double"),
        (&["{\"v\":true}", "{\"v\":null}"], "v boolean"),
        (&["{\"v\":\"x\"}", "{}"], "v string"),
        (
            &[
                "{\"v\":\"2026-03-01T12:34:56.789Z\"}",
                "{\"v\":\"2026-03-01T12:34:56+01:00\"}",
            ],
            "v timestamptz",
        ),
        (
            &[
                "{\"v\":\"2026-03-01T12:34:56\"}",
                "{\"v\":\"2026-03-01 12:34\"}",
            ],
            "v timestamp",
        ),
        (&["{\"v\":\"2026-03-01\"}"], "v date"),
        (
            &["{\"v\":\"2026-03-01\"}", "{\"v\":\"2026-03-01T12:34:56\"}"],
            "v string",
        ),
        (&["{\"v\":\"2026-02-30\"}"], "v string"),
        (
            &["{\"v\":\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\"}"],
            "v string",
        ),
        (
            &["{\"v\":[1,2]}", "{\"v\":[0.5,null]}", "{\"v\":[]}"],
            "v list<double>",
        ),
        (
            &[
                "{\"v\":{\"b\":1}}",
                "{\"v\":{\"a\":\"x\",\"b\":2}}",
                "{\"v\":null}",
            ],
            "v struct<b: long, a: string>",
        ),
        (
            &["{\"v\":[{\"a\":[[true]]}]}"],
            "v list<struct<a: list<list<boolean>>>>",
        ),
        (
            &["{\"z\":1,\"a b\":2,\"\\\"\":3}"],
            "z long, \"a b\" long, \"\"\"\" long",
        ),
        (&["{\"v\":[]}"], "v list<string>"),
        (&["{\"v\":null}"], "v string"),
    ] {
        let found = proposal(samples);
        assert_eq!(found.columns, columns, "{samples:?}");
        assert_eq!(rejected(&found.columns, samples), 0, "{samples:?}");
    }
}

#[test]
fn not_null_is_proposed_only_on_request() {
    let samples = [
        "{\"a\":1,\"b\":1,\"c\":null,\"d\":[1],\"e\":{\"x\":1}}",
        "{\"a\":2,\"c\":1,\"d\":[],\"e\":{\"x\":1,\"y\":2}}",
    ];
    assert_eq!(
        proposal(&samples).columns,
        "a long, b long, c long, d list<long>, e struct<x: long, y: long>"
    );
    let strict = propose(&samples, Options { not_null: true }).unwrap();
    assert_eq!(
        strict.columns,
        "a long not null, b long, c long, d list<long not null> not null, e struct<x: long not null, y: long> not null"
    );
    assert_eq!(rejected(&strict.columns, &samples), 0);
}

#[test]
fn what_a_person_should_know_is_noted() {
    for (samples, columns, note) in [
        (
            &["{\"v\":1}", "{\"v\":\"x\"}", "{\"v\":2}"][..],
            "v long",
            "\"v\" has values of several types (2 × number, 1 × string): declared as long, the others would be rejected",
        ),
        (
            &["{\"v\":null}"],
            "v string",
            "\"v\" was null in all samples",
        ),
        (
            &["{\"v\":{\"w\":[]}}"],
            "v struct<w: list<string>>",
            "\"v.w[]\" was empty in all samples",
        ),
        (
            &["{\"v\":\"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\"}"],
            "v string",
            "\"v\" looks like a UUID in all samples",
        ),
        (
            &["{\"v\":{},\"w\":1}"],
            "w long",
            "\"v\" is left out: it is an object without fields",
        ),
        (
            &["{\"v\":1,\"V\":2}"],
            "v long",
            "\"V\" is left out: another field's name differs from it only in upper and lower case",
        ),
        (
            &["{\"\":1,\"v\":2}"],
            "v long",
            "\"\" is left out: a column must have a name",
        ),
        (
            &["{\"_offset\":1,\"v\":2}"],
            "v long",
            "\"_offset\" is left out: a provenance column has its name",
        ),
        (
            &["{\"v\":18446744073709551615}"],
            "v decimal(20, 0)",
            "a long can't hold",
        ),
        (
            &["{\"v\":1}", "oops", "[]"],
            "v long",
            "2 of 3 messages would be rejected; the first: not valid JSON",
        ),
    ] {
        let found = proposal(samples);
        assert_eq!(found.columns, columns, "{samples:?}");
        assert_eq!(found.notes.len(), 1, "{found:?}");
        assert!(found.notes[0].contains(note), "{:?}", found.notes);
    }
    assert_eq!(proposal(&["{\"v\":1}"]).notes, [""; 0]);
}

#[test]
fn many_different_keys_look_like_a_map() {
    let samples: Vec<_> = (0..60)
        .map(|n| format!("{{\"v\":{{\"k{n}\":1}}}}"))
        .collect();
    let samples: Vec<_> = samples.iter().map(String::as_str).collect();
    let found = proposal(&samples);
    assert!(
        found.notes[0].contains("60 different keys"),
        "{:?}",
        found.notes
    );
}

#[test]
fn nothing_to_look_at_is_an_error() {
    for (samples, expected) in [
        (&[][..], "there are no messages to look at"),
        (
            &["[]", "x"],
            "none of 2 messages is a JSON object; the first: not a JSON object",
        ),
        (
            &["{}"],
            "none of the fields of 1 sampled objects can be declared",
        ),
    ] {
        let error = propose(samples, Options::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn what_is_nested_beyond_all_columns_is_left_out() {
    let deep = format!("{{\"v\":{}1{},\"w\":1}}", "[".repeat(100), "]".repeat(100));
    let found = proposal(&[&deep]);
    assert_eq!(found.columns, "w long");
    assert!(
        found.notes[0].contains("nested too deeply"),
        "{:?}",
        found.notes
    );
}
