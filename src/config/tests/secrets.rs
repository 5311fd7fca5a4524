use super::Setup;
use crate::config::secret::mask_uri;
use crate::config::{Properties, Secret, Uri};

const HIDDEN: &str = "hunter2";

fn secrets() -> Vec<(&'static str, String)> {
    let h = HIDDEN;
    vec![
        ("s3.secret-key", h.into()),
        ("s3.access-key", "shown".into()),
        ("s3.session-token", h.into()),
        ("catalog.token", h.into()),
        ("catalog.credential", format!("client:{h}")),
        ("catalog.header.authorization", format!("Basic {h}")),
        (
            "catalog.uri",
            format!("postgres://me:{h}@host/db?password={h}"),
        ),
        ("catalog.oauth2-server-uri", format!("https://me:{h}@idp/t")),
        ("schema-registry.url", format!("http://me:{h}@registry")),
        ("s3.endpoint", format!("http://me:{h}@minio")),
        ("kafka.sasl.password", h.into()),
        ("kafka.ssl.key.password", h.into()),
        ("kafka.ssl.keystore.password", h.into()),
        ("kafka.sasl.oauthbearer.config", format!("principal={h}")),
        ("kafka.ssl.key.pem", h.into()),
        ("kafka.client.rack", format!("https://me:{h}@idp")),
    ]
}

#[test]
fn no_secret_is_in_debug_or_in_the_effective_settings() {
    let mut setup = Setup::new();
    for (key, value) in secrets() {
        setup = setup.flag(key, &value);
    }
    let settings = setup.load();
    let debug = format!("{settings:?} {settings:#?} {:?}", setup.layers);
    assert!(!debug.contains(HIDDEN), "{debug}");
    let effective = settings.effective();
    for (key, _) in secrets() {
        let one = effective.iter().find(|e| e.key == key).unwrap();
        let value = one.value.clone().unwrap();
        assert!(!value.contains(HIDDEN), "{key}: {value}");
        assert_eq!(
            value.contains("***"),
            key != "s3.access-key",
            "{key}: {value}"
        );
    }
    assert!(!format!("{effective:?}").contains(HIDDEN));
    // They are there for those who need them.
    assert_eq!(settings.s3.secret_key.unwrap().reveal(), HIDDEN);
    let password = settings.kafka.properties.get("sasl.password");
    assert_eq!(password, Some(HIDDEN));
    assert!(settings.catalog.uri.unwrap().reveal().contains(HIDDEN));
}

#[test]
fn no_secret_is_in_an_error_about_its_value() {
    let h = HIDDEN;
    let wrong = [
        ("s3.secret-key", format!("{h}\n{h}")),
        ("catalog.token", format!("{h}\u{7}")),
        ("catalog.header.authorization", format!("{h}é")),
        ("catalog.uri", format!("postgress://me:{h}@host/db")),
        ("catalog.uri", format!("postgress://me:pa/{h}@host/db")),
        ("catalog.uri", format!("me:{h}@host")),
        ("catalog.uri", format!("mysql://host/db?password={h}")),
        ("schema-registry.url", format!("registry://me:{h}@host")),
        ("warehouse", format!("s3://key:{h}@bucket/path")),
        ("state.checkpoints.dir", format!("s3://key:{h}@bucket/path")),
        ("kafka.sasl.password", format!("{h}\0")),
        // Not supported by every build of librdkafka.
        ("kafka.sasl.oauthbearer.client.secret", format!("{h}\0")),
        ("kafka.security.protocol", format!("http://me:{h}@host")),
    ];
    for (key, value) in wrong {
        let error = Setup::new().flag(key, &value).error();
        assert!(error.contains(key), "{error}");
        assert!(error.contains("***"), "{error}");
        assert!(!error.contains(HIDDEN), "{error}");
    }
}

#[test]
fn no_secret_is_in_an_error_about_anything_else() {
    let errors = [
        Setup::new().file("s3.secret-key = hunter2\n").error(),
        Setup::new().file("s3.secret-key = 'hunter2\n").error(),
        Setup::new().file("s3.secret-kay = 'hunter2'\n").error(),
        Setup::new().dotenv("S3_SECRET_KEY=a hunter2\n").error(),
        Setup::new().dotenv("S3_SECRET_KEY='hunter2\n").error(),
        Setup::new().env("CALVE_S3_SECRET_KAY", HIDDEN).error(),
        Setup::new().flag("kafka.sasl.pasword", HIDDEN).error(),
        Setup::new().flag("kafka.group.id", HIDDEN).error(),
        Setup::new().env("S3_SECRET_KEY", HIDDEN).error(),
        Setup::new()
            .flag("catalog.type", "rest")
            .flag("catalog.uri", "postgres://me:hunter2@host/db")
            .error(),
    ];
    for error in errors {
        assert!(!error.contains(HIDDEN), "{error}");
    }
}

#[test]
fn a_masked_address_keeps_what_is_not_secret() {
    let cases = [
        (
            "postgres://me:pw@host:5432/db",
            "postgres://me:***@host:5432/db",
        ),
        (
            "postgres://me:p@w:x/y?z@host/db",
            "postgres://me:***@host/db",
        ),
        ("https://token@host/path", "https://***@host/path"),
        ("http://host:8181/path", "http://host:8181/path"),
        ("sqlite:///var/lib/calve.db", "sqlite:///var/lib/calve.db"),
        ("sqlite:///a.db?mode=rwc", "sqlite:///a.db?mode=rwc"),
        (
            "postgres://h/d?a=b&password=pw",
            "postgres://h/d?a=b&password=***",
        ),
        ("me:pw@host", "me:***@host"),
        ("lake", "lake"),
    ];
    for (address, masked) in cases {
        assert_eq!(mask_uri(address), masked);
    }
}

#[test]
fn the_types_mask_themselves() {
    let secret = Secret::new(HIDDEN);
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    let uri = Uri::new("http://me:hunter2@host");
    assert_eq!(
        format!("{uri} {uri:?}"),
        "http://me:***@host \"http://me:***@host\""
    );
    let mut properties = Properties::default();
    properties.insert("sasl.password", HIDDEN);
    properties.insert("sasl.oauthbearer.client.secret", HIDDEN);
    properties.insert("sasl.username", "me");
    let shown = r#"{"sasl.oauthbearer.client.secret": "***", "sasl.password": "***", "sasl.username": "me"}"#;
    assert_eq!(format!("{properties:?}"), shown);
}

#[test]
fn a_line_break_behind_a_secret_is_cut() {
    let settings = Setup::new().env("CALVE_CATALOG_TOKEN", " t t \r\n").load();
    assert_eq!(settings.catalog.token.unwrap().reveal(), " t t ");
}
