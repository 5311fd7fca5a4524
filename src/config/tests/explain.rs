//! `calve config --explain`, as data.

use super::Setup;
use crate::config::{Explanation, explain};

fn explained(setup: &Setup, name: &str) -> Explanation {
    explain(name, &setup.layers).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_setting_is_explained_under_any_of_its_names() {
    let setup = Setup::new();
    for name in [
        "checkpoint.interval",
        "execution.checkpointing.interval",
        "FLINK_CHECKPOINT_INTERVAL_MS",
        "CHECKPOINT_INTERVAL",
        "CALVE_CHECKPOINT_INTERVAL",
    ] {
        let it = explained(&setup, name);
        assert_eq!(it.key, "checkpoint.interval", "{name}");
        assert!(
            it.meaning[0].starts_with("Time between the starts"),
            "{:?}",
            it.meaning
        );
        assert!(!it.meaning.iter().any(|line| line.contains("Environment")));
        assert!(it.expects.unwrap().contains("at least 10ms"));
        assert_eq!(it.default.as_deref(), Some("\"60s\""));
        assert_eq!(it.value.as_deref(), Some("60s"));
        assert_eq!(it.layer.unwrap().to_string(), "default");
        assert_eq!(
            it.variables,
            [
                "CALVE_CHECKPOINT_INTERVAL",
                "FLINK_CHECKPOINT_INTERVAL_MS (in milliseconds)",
                "CHECKPOINT_INTERVAL",
            ]
        );
        assert_eq!(it.flink, ["execution.checkpointing.interval"]);
        assert_eq!(it.differs, ["unset: 60 s here, no checkpoints in Flink"]);
    }
    let it = explained(&setup, "kafka.ssl.ca.location");
    assert!(it.meaning[0].contains("Any other property of librdkafka"));
    assert_eq!(it.variables, ["CALVE_KAFKA_SSL_CA_LOCATION"]);
    let error = explain("batch.timeot", &setup.layers).unwrap_err();
    assert!(
        error.to_string().contains("did you mean `batch.timeout`?"),
        "{error}"
    );
}

#[test]
fn every_layer_is_listed_with_what_it_says_and_the_strongest_is_in_force() {
    let setup = Setup::new()
        .file("checkpoint.interval = '20s'\n")
        .dotenv_local("CHECKPOINT_INTERVAL='30 s'\n")
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "40000");
    let it = explained(&setup, "checkpoint.interval");
    let layers: Vec<(String, &str, bool)> = it
        .layers
        .iter()
        .map(|said| {
            let layer = said.layer.to_string();
            (
                layer.replace(&format!("{}/", setup.path().display()), ""),
                &*said.value,
                said.in_force,
            )
        })
        .collect();
    let expected = [
        (
            "environment variable FLINK_CHECKPOINT_INTERVAL_MS",
            "40000ms",
            true,
        ),
        (".env.local, line 1", "30 s", false),
        ("file calve.toml, line 1", "20s", false),
        ("default", "60s", false),
    ];
    let expected = expected.map(|(layer, value, force)| (layer.to_owned(), value, force));
    assert_eq!(layers, expected);
    let taken_back = setup.flag("checkpoint.interval", "");
    let it = explained(&taken_back, "checkpoint.interval");
    assert_eq!(it.value.as_deref(), Some("60s"));
    assert!(!it.layers[0].in_force && it.layers[0].value.is_empty());
    assert!(it.layers.last().unwrap().in_force);
}

#[test]
fn secrets_are_masked_and_faults_do_not_hide_the_meaning() {
    let setup = Setup::new()
        .env("S3_SECRET_KEY", "hush")
        .dotenv("CALVE_S3_SECRET_KEY=hush-2")
        .flag("batch.size", "many");
    let it = explained(&setup, "s3.secret-key");
    assert_eq!(it.value.as_deref(), Some("***"));
    assert_eq!(it.layers.len(), 2);
    assert!(!format!("{it:?}").contains("hush"));
    let it = explained(&setup, "batch.size");
    assert!(it.meaning[0].contains("Rows in one batch"));
    assert_eq!((it.value, it.layers[0].value.as_str()), (None, "many"));
    assert!(
        it.faults
            .unwrap_err()
            .to_string()
            .contains("batch.size can't be \"many\"")
    );
}

#[test]
fn a_key_that_only_flink_has_is_explained_too() {
    let setup = Setup::new();
    let it = explained(&setup, "taskmanager.numberOfTaskSlots");
    assert!(
        it.meaning.join(" ").contains("threads of one process"),
        "{:?}",
        it.meaning
    );
    assert_eq!((it.expects, it.value), (None, None));
    let it = explained(&setup, "execution.checkpointing.unaligned.enabled");
    assert_eq!(it.expects.as_deref(), Some("false"));
    assert!(
        it.meaning.join(" ").contains("overtake"),
        "{:?}",
        it.meaning
    );
    assert_eq!(explained(&setup, "state.backend").key, "state.backend.type");
}

#[test]
fn every_setting_says_what_it_expects() {
    let settings = Setup::new().load();
    for effective in settings.effective() {
        let it = explained(&Setup::new(), &effective.key);
        let expects = it.expects.unwrap();
        assert!(
            expects.len() > 1 || expects == "1",
            "{}: {expects:?}",
            it.key
        );
        assert!(it.default.is_some() != it.example.is_some(), "{}", it.key);
    }
}
