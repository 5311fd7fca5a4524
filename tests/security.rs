//! TLS and SASL, against a broker that asks for both.

use std::path::Path;
use std::time::Duration;

use crate::support::{Broker, Calve, Pipeline, Producer, Topic};

const PASSWORD: &str = "open-sesame-4711";

fn secured(run: Calve, broker: &Broker, mechanism: &str, password: &str) -> Calve {
    trusting(run, &broker.certificate())
        .env("KAFKA_BROKERS", &broker.secure_address())
        .env("CALVE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
        .env("CALVE_KAFKA_SASL_MECHANISM", mechanism)
        .env("CALVE_KAFKA_SASL_USERNAME", "calve")
        .env("CALVE_KAFKA_SASL_PASSWORD", password)
}

fn trusting(run: Calve, certificate: &Path) -> Calve {
    let certificate = certificate.display().to_string();
    run.env("CALVE_KAFKA_SSL_CA_LOCATION", &certificate)
}

#[test]
fn records_arrive_over_tls_with_sasl_and_a_wrong_password_is_said_but_never_shown() {
    let broker = Broker::start_secure(PASSWORD);
    let topic = Topic::create_with(&broker.address(), "secure", 3, &[]);
    let pipeline = Pipeline::new(&topic);
    let mut producer = Producer::new(&topic);
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let produced = producer.samples(1_000).finish();
        let run = pipeline.run().workers(3).bounded();
        let ended = secured(run, &broker, mechanism, PASSWORD)
            .run()
            .expect_code(0);
        assert!(!ended.output().contains(PASSWORD), "the password is shown");
        pipeline.assert_exactly(&produced);

        let wrong = "a-wrong-password-0815";
        let run = pipeline.run().workers(3).bounded();
        let run = secured(run, &broker, mechanism, wrong).set("log.level", "debug");
        let ended = run.start().wait(Duration::from_secs(60)).expect_code(4);
        let ended = ended.expect_output(&["authentication failed", "→", "kafka.sasl.*"]);
        assert!(!ended.output().contains(wrong), "the password is shown");
    }
    let config = secured(
        pipeline.calve(&["config"]),
        &broker,
        "SCRAM-SHA-512",
        PASSWORD,
    );
    let config = config.run().expect_code(0);
    assert!(config.output().contains("kafka.sasl.password"));
    assert!(!config.output().contains(PASSWORD), "the password is shown");
}

#[test]
fn a_broker_with_a_certificate_of_nobody_we_know_is_not_talked_to() {
    let broker = Broker::start_secure(PASSWORD);
    let topic = Topic::create_with(&broker.address(), "untrusted", 1, &[]);
    let pipeline = Pipeline::new(&topic);
    let other = Broker::start_secure(PASSWORD);
    let run = pipeline.run().workers(1).bounded();
    let run = secured(run, &broker, "PLAIN", PASSWORD);
    let ended = trusting(run, &other.certificate())
        .start()
        .wait(Duration::from_secs(60))
        .expect_code(4);
    ended.expect_output(&["certificate", "→", "ssl.ca.location"]);
}
