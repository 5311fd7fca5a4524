//! The judgement, on what a real pipeline has answered and on what it could have.

use serde_json::{Value, json};

use super::*;
use crate::cli::state::recorded;

/// The recorded answer with other values at some places.
fn changed(changes: &[(&str, Value)]) -> State {
    let mut answer = recorded::answer();
    for (place, value) in changes {
        *answer.pointer_mut(place).expect(place) = value.clone();
    }
    state::parse(&answer).expect("a state")
}

fn found(changes: &[(&str, Value)]) -> Vec<&'static str> {
    let findings = findings(&changed(changes), MAX_LAG);
    findings.into_iter().map(|finding| finding.is).collect()
}

/// A checkpoint that ended so many milliseconds before the recorded answer.
fn ended(before_ms: i64) -> Value {
    let answer = recorded::answer();
    let mut checkpoint = answer["checkpoints"]["latest"]["completed"].clone();
    let now = answer["at-ms"].as_i64().expect("a time");
    checkpoint["duration-ms"] = json!(10);
    checkpoint["triggered-at-ms"] = json!(now - before_ms - 10);
    checkpoint
}

#[test]
fn a_pipeline_that_makes_its_checkpoints_is_healthy() {
    assert_eq!(found(&[]), Vec::<&str>::new());
}

#[test]
fn each_trouble_is_found_and_no_other_one() {
    let answer = recorded::answer();
    let now = answer["at-ms"].as_i64().expect("a time");
    let interval = answer["checkpoints"]["config"]["interval-ms"]
        .as_i64()
        .expect("a time");
    let completed = "/checkpoints/latest/completed";
    let failed = "/checkpoints/latest/failed";
    let mut refused = ended(0);
    refused["failure"] = json!("the catalog is away");
    let failure = |before_ms: i64| json!([{ "at-ms": now - before_ms, "reason": "no disk" }]);
    let since = "/phase-since-ms";
    type Case<'a> = (&'a str, Vec<(&'a str, Value)>, Vec<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        (
            "starting",
            vec![("/phase", json!("starting"))],
            vec!["starting"],
        ),
        (
            "waiting",
            vec![("/phase", json!("restarting"))],
            vec!["restarting"],
        ),
        ("over", vec![("/phase", json!("failed"))], vec!["failed"]),
        (
            "a failed checkpoint after a proved one",
            vec![(failed, refused.clone()), (completed, ended(10))],
            vec!["checkpoint-failed"],
        ),
        (
            "a proved checkpoint after a failed one",
            vec![(failed, ended(20)), (completed, ended(10))],
            vec![],
        ),
        (
            "just in time",
            vec![(completed, ended(3 * interval)), (since, json!(0))],
            vec![],
        ),
        (
            "late",
            vec![(completed, ended(3 * interval + 1)), (since, json!(0))],
            vec!["checkpoint-late"],
        ),
        (
            "an old checkpoint, but it has just begun to run again",
            vec![(completed, ended(100 * interval)), (since, json!(now - 1))],
            vec![],
        ),
        (
            "none at all, for long",
            vec![
                (completed, Value::Null),
                (since, json!(now - 3 * interval - 1)),
            ],
            vec!["checkpoint-late"],
        ),
        (
            "a pause that is longer than the interval",
            vec![
                (completed, ended(4 * interval)),
                ("/checkpoints/config/min-pause-ms", json!(2 * interval)),
                (since, json!(0)),
            ],
            vec![],
        ),
        (
            "restarted, and nothing proved since",
            vec![("/failures", failure(5)), (completed, ended(10))],
            vec!["restarted"],
        ),
        (
            "restarted, and well since",
            vec![("/failures", failure(15)), (completed, ended(10))],
            vec![],
        ),
        (
            "a lag",
            vec![("/lag/total", json!(MAX_LAG + 1))],
            vec!["lag"],
        ),
        ("less of it", vec![("/lag/total", json!(MAX_LAG))], vec![]),
        (
            "all at once",
            vec![
                (failed, refused),
                (completed, Value::Null),
                (since, json!(0)),
                ("/failures", failure(5)),
                ("/lag/total", json!(MAX_LAG + 1)),
            ],
            vec!["checkpoint-failed", "checkpoint-late", "restarted", "lag"],
        ),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(found(&changes), expected, "{name}");
    }
}

#[test]
fn a_savepoint_is_as_good_a_proof_as_a_checkpoint() {
    let changes = [
        ("/checkpoints/latest/completed", Value::Null),
        ("/checkpoints/latest/savepoint", ended(10)),
        ("/phase-since-ms", json!(0)),
    ];
    assert_eq!(found(&changes), Vec::<&str>::new());
}

#[test]
fn the_text_says_how_it_is_in_lines_of_eighty_letters() {
    let told = |state: &State| {
        let findings = findings(state, MAX_LAG);
        text(state, "http://127.0.0.1:8081", &findings, Paint::plain())
    };
    assert_eq!(told(&changed(&[])), recorded::file("status/healthy.txt"));
    let answer = recorded::answer();
    let now = answer["at-ms"].as_i64().expect("a time");
    let reason = "topic samples can't be read: the broker at 10.0.0.1:9092 does not answer, and nobody else has it";
    let failures = json!([{ "at-ms": now - 5, "reason": reason }]);
    let bad = changed(&[
        ("/failures", failures),
        ("/lag/total", json!(7_654_321)),
        ("/lag/shown/0/lag", json!(7_654_321)),
    ]);
    assert_eq!(told(&bad), recorded::file("status/unhealthy.txt"));
    for line in told(&changed(&[])).lines().chain(told(&bad).lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
