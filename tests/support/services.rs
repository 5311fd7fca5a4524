//! Where the services of this test run listen: `tests/run` starts them and says so in the environment.

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The addresses of the services that `tests/run` started.
pub struct Services {
    /// Apache Kafka, `host:port`.
    pub kafka: String,
    /// The jars of Kafka, for its command line tools and for brokers of a test's own.
    pub kafka_jars: PathBuf,
    /// Iceberg's REST catalog; its warehouse is on the S3 server.
    pub rest: String,
    pub s3_endpoint: String,
    pub s3_bucket: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
    /// A PostgreSQL database, `postgres://…`.
    pub postgres: String,
    /// A Python with pyiceberg and DuckDB.
    pub python: PathBuf,
}

impl Services {
    /// The services of this run.
    pub fn get() -> &'static Services {
        static SERVICES: OnceLock<Services> = OnceLock::new();
        SERVICES.get_or_init(|| Services {
            kafka: address("CALVE_TEST_KAFKA"),
            kafka_jars: address("CALVE_TEST_KAFKA_JARS").into(),
            rest: address("CALVE_TEST_REST"),
            s3_endpoint: address("CALVE_TEST_S3_ENDPOINT"),
            s3_bucket: address("CALVE_TEST_S3_BUCKET"),
            s3_access_key: address("CALVE_TEST_S3_ACCESS_KEY"),
            s3_secret_key: address("CALVE_TEST_S3_SECRET_KEY"),
            postgres: address("CALVE_TEST_POSTGRES"),
            python: address("CALVE_TEST_PYTHON").into(),
        })
    }
}

/// The jars of Flink's command line client.
pub fn flink_jars() -> PathBuf {
    address("CALVE_TEST_FLINK_JARS").into()
}

fn address(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: these tests need real services, which `tests/run` starts. \
             Run `tests/run`, or `tests/run NAME` for the tests whose name contains NAME."
        )
    })
}
