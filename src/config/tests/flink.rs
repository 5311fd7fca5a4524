//! Flink's file and Flink's keys.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Setup, shown};
use crate::config::flink::{self, Fate, RULES, Unused};
use crate::config::keys::KEYS;
use crate::config::{Layers, Place, RestartStrategy, Settings, StateBackend, load};

impl Setup {
    /// A Flink file under this name.
    fn flink(mut self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.layers.flink = Some(path);
        self
    }

    pub(super) fn yaml(self, text: &str) -> Self {
        self.flink("config.yaml", text)
    }
}

fn remark<'a>(settings: &'a Settings, key: &str) -> &'a Unused {
    let found = settings.unused().iter().find(|unused| unused.key == key);
    found.unwrap_or_else(|| panic!("no remark on {key}: {:?}", settings.unused()))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn every_option_of_a_flink_distribution_has_a_rule() {
    let options: Vec<&str> = lines(include_str!("flink-2.0.2-options.txt")).collect();
    assert!(options.len() > 700, "{}", options.len());
    let without: Vec<_> = options
        .iter()
        .filter(|option| flink::rule(option).is_none())
        .collect();
    assert!(without.is_empty(), "without a rule: {without:#?}");
}

#[test]
fn so_have_the_keys_of_plugins_and_deployments() {
    let keys = "
        metrics.reporter.prom.factory.class
        metrics.reporter.slf4j.interval
        kubernetes.cluster-id
        kubernetes.operator.savepoint.history.max.count
        yarn.application.name
        s3.entropy.key
        s3.upload.max.concurrent.uploads
        fs.s3a.connection.maximum
        fs.hdfs.hadoopconf
        state.backend.rocksdb.memory.managed
        state.backend.rocksdb.localdir
        table.exec.iceberg.infer-source-parallelism
        historyserver.web.port
        jobmanager.archive.fs.dir
        env.java.opts.jobmanager
        taskmanager.host
        security.kerberos.login.keytab
        high-availability.storageDir
        dstl.dfs.base-path
        python.files";
    for key in lines(keys) {
        assert!(flink::rule(key).is_some(), "{key}");
    }
}

#[test]
fn every_rule_leads_somewhere_and_no_key_has_two() {
    let mut seen = BTreeSet::new();
    for rule in RULES {
        for key in rule.keys {
            assert!(seen.insert(*key), "{key} stands there twice");
        }
        match &rule.fate {
            Fate::Alias(alias) => {
                let of = KEYS.iter().any(|key| key.name == alias.of);
                assert!(of, "{} is no key", alias.of);
                let open = rule.keys.iter().any(|key| key.ends_with('*'));
                assert!(!open, "an alias is one key: {:?}", rule.keys);
            }
            Fate::Only { because, .. } | Fate::Unused { because } => {
                assert!(because.len() > 10 && !because.ends_with('.'), "{because}");
            }
        }
    }
    // A beginning must not swallow a mistyped key that means something.
    for typo in [
        "execution.checkpointing.intervall",
        "state.backend.typ",
        "restart-strategy.typ",
        "parallelism.defaults",
        "s3.acces-key",
        "pipeline.nam",
    ] {
        assert!(flink::rule(typo).is_none(), "{typo}");
    }
}

#[test]
fn nested_keys_dotted_keys_and_lists_of_yaml_are_taken() {
    let text = "\
# A job's own.
execution:
  checkpointing:
    interval: 30 s   # often
    min-pause: 5s
    timeout: \"5 min\"
  runtime-mode: streaming
execution.checkpointing.tolerable-failed-checkpoints: 3
parallelism.default: 6
restart-strategy: {type: fixed-delay, fixed-delay: {attempts: 10, delay: 5 s}}
pipeline:
  name: 'health'
  jars: [a.jar, b.jar]
  classpaths:
    - one
    - {two: 3}
";
    let settings = Setup::new().yaml(text).load();
    assert_eq!(settings.checkpoint.interval, Duration::from_secs(30));
    assert_eq!(settings.checkpoint.min_pause(), Duration::from_secs(5));
    assert_eq!(settings.checkpoint.timeout, Duration::from_secs(300));
    assert_eq!(settings.checkpoint.tolerable_failed, 3);
    assert_eq!(settings.parallelism, 6);
    assert_eq!(settings.pipeline.name, "health");
    assert_eq!(settings.restart.strategy, RestartStrategy::FixedDelay);
    assert_eq!(settings.restart.fixed_attempts, 10);
    assert_eq!(settings.restart.fixed_delay, Duration::from_secs(5));
    let place = settings.layer("checkpoint.timeout").unwrap();
    let Place::Flink { line, .. } = place else {
        panic!("{place}");
    };
    assert_eq!(*line, 6);
    assert!(
        place.to_string().ends_with("config.yaml, line 6"),
        "{place}"
    );
    assert_eq!(remark(&settings, "pipeline.jars").place.to_string(), {
        let path = settings_path(&settings);
        format!("Flink's file {path}, line 13")
    });
    assert_eq!(settings.unused().len(), 2, "{:?}", settings.unused());
}

fn settings_path(settings: &Settings) -> String {
    match settings.layer("parallelism") {
        Some(Place::Flink { path, .. }) => path.display().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_file_says_nothing() {
    for text in ["", "# only a comment\n", "---\n", "{}\n"] {
        let settings = Setup::new().yaml(text).load();
        assert!(settings.unused().is_empty());
        assert_eq!(settings.parallelism, 1);
    }
}

#[test]
fn what_flink_refuses_of_a_file_is_refused_with_its_line() {
    let nested = |levels| "{a: ".repeat(levels) + "1" + &"}".repeat(levels);
    let (deep, deeper) = (nested(40), nested(50_000));
    let listed = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
    let cases = [
        (
            "a: 1\nb:\n",
            "config.yaml, line 2: not YAML as Flink reads it: `b` has no value",
        ),
        (
            "a: 1\nb: ~\n",
            "line 2: not YAML as Flink reads it: `b` has no value",
        ),
        (
            "parallelism.default: 2\nx: y\nparallelism.default: 3\n",
            "line 3: `parallelism.default` is set in line 1 too",
        ),
        (
            "parallelism:\n  default: 2\nparallelism.default: 3\n",
            "line 3: `parallelism.default` is set in line 2 too",
        ),
        ("a: 1\n b: 2\n", "config.yaml, line 2: not YAML"),
        ("a: \"open\n", "config.yaml, line"),
        (
            "- a\n- b\n",
            "line 1: not YAML as Flink reads it: the file has to hold keys and values",
        ),
        (
            "a: &x 1\nb: *x\n",
            "line 2: not YAML as Flink reads it: `b` is a reference",
        ),
        ("a: 1\n---\nb: 2\n", "there is a second document"),
        (
            "? [a]\n: b\n",
            "line 1: not YAML as Flink reads it: a key has to be text",
        ),
        (&deep, "keys are nested too deep"),
        (&deeper, "line 1: not YAML"),
        (&listed, "nested too deep"),
    ];
    for (text, expected) in cases {
        let error = Setup::new().yaml(text).error();
        let start = &text[..text.len().min(40)];
        assert!(error.contains(expected), "{start:?}: {error}");
    }
    let mut setup = Setup::new();
    setup.layers.flink = Some(setup.path().join("none.yaml"));
    let error = setup.error();
    assert!(
        error.starts_with("Flink's file none.yaml can't be read"),
        "{error}"
    );
    assert!(
        error.contains("check the path behind --flink-conf"),
        "{error}"
    );
}

#[test]
fn an_error_of_yaml_quotes_no_value() {
    let error = Setup::new()
        .yaml("s3.secret-key: 'hush\nb: [hush\n")
        .error();
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn the_old_form_is_read_line_by_line_and_the_last_one_wins() {
    let text = "\
# Flink 1.x
parallelism.default: 2
parallelism.default: 6
  execution.checkpointing.interval: 30000  # ms
s3.endpoint: http://minio:9000
execution.checkpointing.min-pause:5s
this is no setting
restart-strategy: fixeddelay
";
    let settings = Setup::new().flink("flink-conf.yaml", text).load();
    assert_eq!(settings.parallelism, 6);
    assert_eq!(settings.checkpoint.interval, Duration::from_secs(30));
    assert_eq!(
        shown(&settings, "s3.endpoint").as_deref(),
        Some("http://minio:9000")
    );
    assert_eq!(settings.restart.strategy, RestartStrategy::FixedDelay);
    assert_eq!(
        settings.checkpoint.min_pause, None,
        "Flink does not see it either"
    );
    let remark = remark(&settings, "execution.checkpointing.min-pause");
    assert!(
        remark.because.contains("a blank after the colon"),
        "{remark:?}"
    );
    assert!(remark.place.to_string().ends_with("line 6"), "{remark:?}");
    assert_eq!(settings.unused().len(), 2);
}

#[test]
fn the_current_name_wins_over_those_it_replaced_wherever_they_stand() {
    for text in [
        "state.backend: hashmap\nstate.backend.type: rocksdb\n",
        "state.backend.type: rocksdb\nstate.backend: hashmap\n",
    ] {
        let settings = Setup::new().yaml(text).load();
        assert_eq!(settings.state.backend, StateBackend::Rocksdb, "{text}");
    }
    for text in [
        "table.exec.resource.default-parallelism: 8\nparallelism.default: 6\n",
        "parallelism.default: 6\ntable.exec.resource.default-parallelism: 8\n",
    ] {
        assert_eq!(Setup::new().yaml(text).load().parallelism, 8, "{text}");
    }
    let text = "parallelism.default: 6\ntable.exec.resource.default-parallelism: -1\n";
    assert_eq!(Setup::new().yaml(text).load().parallelism, 6);
}

#[test]
fn older_spellings_and_values_of_flink_are_understood() {
    let text = "\
state.backend: org.apache.flink.contrib.streaming.state.EmbeddedRocksDBStateBackendFactory
state.checkpoints.dir: s3://bucket/checkpoints
s3.path.style.access: true
fs.s3a.access.key: key
s3.secret.key: hush
metrics.reporter.prom.port: 9250-9260
env.log.level: WARN
restart-strategy: off
";
    let settings = Setup::new().yaml(text).load();
    assert_eq!(settings.state.backend, StateBackend::Rocksdb);
    let dir = settings.state.checkpoints_dir.as_deref();
    assert_eq!(dir, Some("s3://bucket/checkpoints"));
    assert!(settings.s3.path_style_access);
    assert_eq!(settings.s3.access_key.as_deref(), Some("key"));
    assert_eq!(settings.metrics.prometheus_port, Some(9250..=9260));
    assert_eq!(settings.log.level, "WARN");
    assert_eq!(settings.restart.strategy, RestartStrategy::None);
    assert_eq!(shown(&settings, "s3.secret-key").as_deref(), Some("***"));
    for (word, strategy) in [
        ("none", RestartStrategy::None),
        ("disable", RestartStrategy::None),
        ("fixed-delay", RestartStrategy::FixedDelay),
        ("failurerate", RestartStrategy::FailureRate),
        ("failure-rate", RestartStrategy::FailureRate),
        ("exponentialdelay", RestartStrategy::ExponentialDelay),
        ("Exponential-Delay", RestartStrategy::ExponentialDelay),
    ] {
        let settings = Setup::new().yaml(&format!("restart-strategy.type: {word}\n"));
        assert_eq!(settings.load().restart.strategy, strategy, "{word}");
    }
    let error = Setup::new().yaml("state.backend.type: forst\n").error();
    assert!(
        error.contains("config.yaml, line 1: state.backend.type can't be \"forst\""),
        "{error}"
    );
}

#[test]
fn what_would_be_silently_weaker_is_refused_and_a_stronger_layer_may_overrule_it() {
    for (key, value, reason) in [
        (
            "execution.checkpointing.mode",
            "AT_LEAST_ONCE",
            "always exactly once",
        ),
        (
            "execution.checkpointing.unaligned.enabled",
            "true",
            "overtake records",
        ),
        (
            "execution.checkpointing.unaligned",
            "true",
            "overtake records",
        ),
        (
            "execution.checkpointing.max-concurrent-checkpoints",
            "2",
            "form a chain",
        ),
        ("execution.runtime-mode", "BATCH", "--bounded"),
        (
            "execution.savepoint.path",
            "s3://b/savepoint",
            "calve migrate flink",
        ),
        (
            "execution.state-recovery.path",
            "s3://b/savepoint",
            "calve migrate flink",
        ),
        (
            "table.exec.sink.not-null-enforcer",
            "DROP",
            "on-reject=skip",
        ),
        (
            "table.exec.sink.upsert-materialize",
            "FORCE",
            "never updates",
        ),
        ("security.ssl.rest.enabled", "true", "no TLS"),
        (
            "restart-strategy.exponential-delay.attempts-before-reset-backoff",
            "8",
            "without end",
        ),
    ] {
        let text = format!("a.b: c\n{key}: {value}\n");
        let error = Setup::new().yaml(&text).error();
        assert!(
            error.starts_with("Flink's file config.yaml, line 2: "),
            "{error}"
        );
        assert!(error.contains(reason) && error.contains(value), "{error}");
    }
    let harmless = "\
execution.checkpointing.mode: EXACTLY_ONCE
execution.checkpointing.unaligned.enabled: false
execution.checkpointing.max-concurrent-checkpoints: 1
execution.runtime-mode: STREAMING
table.exec.sink.not-null-enforcer: error
";
    assert!(Setup::new().yaml(harmless).load().unused().is_empty());
    let unaligned = "execution.checkpointing.unaligned.enabled: true\n";
    Setup::new()
        .yaml(unaligned)
        .flag("execution.checkpointing.unaligned.enabled", "false")
        .load();
}

#[test]
fn what_has_no_meaning_is_a_remark_with_its_reason_and_no_value() {
    let text = "\
jobmanager.rpc.address: hush
taskmanager.memory.process.size: 4 gb
security.kerberos.login.principal: hush
my.own.key: hush
execution.checkpointing.intervall: 5 s
kafka.topic: hush
";
    let settings = Setup::new().yaml(text).load();
    for (key, reason, known) in [
        ("jobmanager.rpc.address", "no job manager", true),
        ("taskmanager.memory.process.size", "no JVM", true),
        ("security.kerberos.login.principal", "kafka.sasl", true),
        ("my.own.key", "not known", false),
        (
            "execution.checkpointing.intervall",
            "did you mean `execution.checkpointing.interval`?",
            false,
        ),
        ("kafka.topic", "a setting of calve, not of Flink", false),
    ] {
        let remark = remark(&settings, key);
        assert!(remark.because.contains(reason), "{remark:?}");
        assert_eq!(remark.known, known, "{key}");
    }
    assert!(
        settings.kafka.topics.is_empty(),
        "a Flink file speaks Flink's language"
    );
    assert!(!format!("{settings:?}").contains("hush"));
}

#[test]
fn in_files_of_our_own_flinks_names_are_aliases_and_the_rest_is_an_error() {
    let settings = Setup::new()
        .file("parallelism.default = 3\n\"state.backend.type\" = \"hashmap\"\n")
        .flag("execution.checkpointing.interval", "5 s")
        .load();
    assert_eq!(settings.parallelism, 3);
    assert_eq!(settings.state.backend, StateBackend::Memory);
    assert_eq!(settings.checkpoint.interval, Duration::from_secs(5));
    let error = Setup::new()
        .flag("taskmanager.numberOfTaskSlots", "4")
        .error();
    assert!(
        error.contains("`taskmanager.numberOfTaskSlots` can't be set: of Flink's settings this one has no meaning here"),
        "{error}"
    );
    let error = Setup::new().file("metrics.prometheus-prot = 1\n").error();
    assert!(
        error.contains("did you mean `metrics.prometheus-port`?"),
        "{error}"
    );
}

#[test]
fn backoffs_that_contradict_each_other_are_an_error_with_both_places() {
    let text = "restart-strategy.exponential-delay.initial-backoff: 5 min\n";
    let error = Setup::new().yaml(text).error();
    assert!(
        error.contains("initial-backoff (Flink's file config.yaml, line 1) is 300s")
            && error.contains("max-backoff (default) is 60s"),
        "{error}"
    );
    Setup::new()
        .yaml(text)
        .flag("restart-strategy.type", "none")
        .load();
    Setup::new()
        .yaml(text)
        .flag("restart-strategy.exponential-delay.max-backoff", "5min")
        .load();
}

#[test]
fn the_page_for_those_who_move_shows_the_rules_as_they_are() {
    let page = include_str!("../../../docs/moving-from-flink.md");
    let table = flink::markdown();
    assert!(
        page.contains(&table),
        "the table of docs/moving-from-flink.md should be this:\n{table}"
    );
}

#[test]
fn without_a_flink_file_there_are_no_remarks() {
    assert!(load(&Layers::default()).unwrap().unused().is_empty());
}
