//! What every Kafka client of calve is configured with, and where librdkafka's log lines go.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::Kafka;

/// The configuration of a client. The user's pass-through properties come after calve's defaults and
/// before what exactly-once depends on.
pub(super) fn client_config(kafka: &Kafka, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", client_id)
        .set("isolation.level", "read_committed")
        // Fetching rests this long when the local queue is full. The default of one second makes
        // a reader that keeps up stand still most of the time.
        .set("fetch.queue.backoff.ms", "5")
        // Small queues stay in the CPU's cache, and bound the memory whatever the backlog is.
        .set("queued.max.messages.kbytes", "2048")
        // A batch that was damaged on its way is an error, not records of chance.
        .set("check.crcs", "true")
        .set("allow.auto.create.topics", "false");
    for (name, value) in kafka.properties.iter() {
        config.set(name, value);
    }
    config
        .set(
            "bootstrap.servers",
            kafka.brokers.as_deref().unwrap_or_default(),
        )
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true");
    config
}

/// Takes librdkafka's log lines and remembers the last complaint, which explains a timeout better than
/// the timeout does.
#[derive(Debug, Default)]
pub(super) struct Context {
    last_complaint: Mutex<Option<String>>,
}

impl Context {
    /// The last error line of librdkafka.
    pub(super) fn last_complaint(&self) -> Option<String> {
        self.last_complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, line: &str) {
        *self
            .last_complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(line.to_owned());
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                self.remember(message);
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A consumer that is closed empties its queue through here; the end of a partition is no complaint.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        // That all brokers are away is what is to be explained.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.remember(reason);
        }
        tracing::warn!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Context {}
