use super::Setup;
use crate::config::Layers;

#[test]
fn an_error_in_the_file_names_file_and_line() {
    let text = "# first\n\n[kafka]\nbrokers = 'a:1'\n\n\nbroker = 'b:1'\n";
    assert_eq!(
        Setup::new().file(text).error(),
        "file calve.toml, line 7: unknown setting `kafka.broker`\n  → did you mean \
         `kafka.brokers`? `calve config` lists every setting"
    );
    let text = "parallelism = 2\nbatch.size = 0\n";
    assert_eq!(
        Setup::new().file(text).error(),
        "file calve.toml, line 2: batch.size can't be \"0\": expected a whole number of rows \
         from 1 to 1048576"
    );
}

#[test]
fn an_error_in_a_dotenv_file_names_file_line_and_variable() {
    let text = "# BATCH_SIZE=1\nOTHER='two\nBATCH_SIZE=2\nlines'\n\nexport BATCH_SIZE = many\n";
    assert_eq!(
        Setup::new().dotenv_local(text).error(),
        ".env.local, line 6: BATCH_SIZE (batch.size) can't be \"many\": expected a whole number \
         of rows from 1 to 1048576"
    );
    let crlf = "\u{feff}A=1\r\nBATCH_SIZE=x # why\r\n";
    let error = Setup::new().dotenv(crlf).error();
    assert!(error.starts_with(".env, line 2: BATCH_SIZE"), "{error}");
    let long = format!("A={}\nBATCH_SIZE=x\n", "long".repeat(10_000));
    let error = Setup::new().dotenv(&long).error();
    assert!(error.starts_with(".env, line 2: BATCH_SIZE"), "{error}");
    let multiline = "PEM=\"a\nb\nc\"\nKAFKA_BROKERS='\n,\n'\nBATCH_SIZE=1";
    let error = Setup::new().dotenv(multiline).error();
    assert!(error.starts_with(".env, line 4: KAFKA_BROKERS"), "{error}");
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_only_if_it_is_ours() {
    let settings = Setup::new()
        .dotenv("JAVA_OPTS=-Xmx1g -Xms1g\n???\nBATCH_SIZE=5\n")
        .load();
    assert_eq!(settings.batch.size, 5);
    let error = Setup::new().dotenv("A=1\nKAFKA_BROKERS=a:1 b:1\n").error();
    assert!(error.starts_with(".env, line 2: not NAME=value"), "{error}");
    let error = Setup::new().dotenv("KAFKA_BROKERS a:1\n").error();
    assert!(error.starts_with(".env, line 1: not NAME=value"), "{error}");
    // An open quote swallows what follows, so what follows must not be lost in silence.
    let error = Setup::new().dotenv("A='open\nBATCH_SIZE=5\n").error();
    assert!(error.starts_with(".env, line 2: not NAME=value"), "{error}");
}

#[test]
fn an_error_in_a_flag_names_the_flag() {
    let error = Setup::new().flag("batch.size", "-1").error();
    assert!(
        error.starts_with("--set batch.size: batch.size can't be \"-1\""),
        "{error}"
    );
    let error = Setup::new().flag("parallelism", "0").error();
    assert!(error.starts_with("-w or --set parallelism:"), "{error}");
}

#[test]
fn a_flag_is_a_key_and_a_value() {
    let pair = Layers::parse_flag("table.columns=a string, b = c").unwrap();
    assert_eq!(pair, ("table.columns".into(), "a string, b = c".into()));
    let error = Layers::parse_flag("catalog.token:hidden").unwrap_err();
    assert_eq!(
        error.to_string(),
        "--set needs key=value, got no `=` after `catalog.token`"
    );
    assert!(Layers::parse_flag("=x").is_err());
}

#[test]
fn what_is_not_toml_is_an_error_with_its_line() {
    let error = Setup::new()
        .file("parallelism = 2\nbatch.size = many\n")
        .error();
    assert!(
        error.starts_with("file calve.toml, line 2: not TOML: "),
        "{error}"
    );
    let error = Setup::new().file("a = [[1]]\n").error();
    assert!(
        error.contains("line 1: `a` can't be a list of lists"),
        "{error}"
    );
    let mut setup = Setup::new();
    setup.layers.file = Some(setup.path().join("none.toml"));
    let error = setup.error();
    assert!(
        error.starts_with("file none.toml can't be read: No such file"),
        "{error}"
    );
}

#[test]
fn a_file_must_not_say_the_same_thing_twice() {
    let text = "kafka.brokers = 'a:1'\n'kafka.brokers' = 'b:1'\n";
    let error = Setup::new().file(text).error();
    assert_eq!(
        error,
        "file calve.toml, line 2: `kafka.brokers` is set in line 1 too"
    );
    let text = "parallelism = 1\nparallelism.default = 2\n";
    assert!(Setup::new().file(text).error().contains("not TOML"));
    let text = "checkpoint.mode = 'exactly-once'\nexecution.checkpointing.mode = 'EXACTLY_ONCE'\n";
    let error = Setup::new().file(text).error();
    assert!(
        error.contains("`checkpoint.mode` is set in line 1 too"),
        "{error}"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let error = Setup::new()
        .file("batch.size = 0\nbatch.sise = 1\n")
        .env("CALVE_LOG_FORMAT", "xml")
        .flag("on-reject", "ignore")
        .error();
    assert!(error.starts_with("4 settings are wrong:\n* "), "{error}");
    for part in [
        "file calve.toml, line 1: batch.size",
        "file calve.toml, line 2: unknown setting `batch.sise`",
        "environment variable CALVE_LOG_FORMAT: log.format can't be \"xml\": expected text or json",
        "--set on-reject: on-reject can't be \"ignore\": expected halt or skip",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}
