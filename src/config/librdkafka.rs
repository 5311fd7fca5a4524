//! Which properties pass through to librdkafka, as librdkafka itself sees it.
//!
//! A misspelt property would otherwise show up as a broker that can't be reached. So each one is
//! set on an empty native configuration: librdkafka says whether it knows the name and takes the
//! value. Nothing is connected, no client is made.

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::keys::Refusal;
use super::secret::Secrecy;

/// Names worth suggesting: what people set on a consumer, of the two hundred there are.
pub(super) const COMMON: &[&str] = &[
    "allow.auto.create.topics",
    "broker.address.family",
    "check.crcs",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "debug",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "metadata.max.age.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "statistics.interval.ms",
    "topic.metadata.refresh.interval.ms",
];

const COMMITS: &str = "calve commits the group's offsets itself, after the table commit; \
                       an offset stored earlier would claim records that no table has";
const RESET: &str = "kafka.auto-offset-reset says where the very first start reads from; later \
                     starts resume from the table's marker and never jump over a gap";
const GROUP: &str =
    "calve assigns partitions to workers itself and is no member of a consumer group";
const ABORTED: &str = "calve reads committed records only; those of aborted transactions were \
                       never written, as far as their producer is concerned";
const CODE: &str = "only a program can set it, not a text";

/// Properties that would break what calve promises, or that have a setting of their own.
const REFUSED: &[(&str, &str)] = &[
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("auto.commit.interval.ms", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("offset.store.method", COMMITS),
    ("offset.store.path", COMMITS),
    ("offset.store.sync.interval.ms", COMMITS),
    ("auto.offset.reset", RESET),
    ("isolation.level", ABORTED),
    ("group.id", "it is the setting kafka.group-id"),
    ("group.instance.id", GROUP),
    ("group.protocol", GROUP),
    ("group.protocol.type", GROUP),
    ("group.remote.assignor", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("bootstrap.servers", "it is the setting kafka.brokers"),
    ("metadata.broker.list", "it is the setting kafka.brokers"),
    ("interceptors", CODE),
    ("opaque", CODE),
];

/// The one form of a property's name, if it can be passed through.
pub(super) fn property(name: &str) -> Result<String, Refusal> {
    // librdkafka takes `topic.x` for the topic property `x`: that must not be a way round.
    let plain = name.strip_prefix("topic.").unwrap_or(name);
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == plain) {
        return Err(Refusal::Refused((*reason).to_owned()));
    }
    // Names with `_` are hooks for programs and events that the client sets itself. Some of them
    // would abort the process if they were set from text, so librdkafka isn't asked.
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
    if name.is_empty() || !name.chars().all(legal) || unknown(name) {
        return Err(Refusal::Unknown);
    }
    Ok(name.to_owned())
}

/// Whether librdkafka takes this value, or what it expects.
pub(super) fn accepts(name: &str, value: &str) -> Result<(), String> {
    let Err(error) = set(name, value) else {
        return Ok(());
    };
    // What it says quotes the value. Of a secret one it is therefore asked again, without it: that
    // still tells of a property that this build of librdkafka does not support.
    let shown = Secrecy::of_kafka(name).show(value);
    let error = match shown == value {
        true => Some(error),
        false => set(name, &shown).err(),
    };
    match error {
        Some(KafkaError::ClientConfig(_, said, ..)) => {
            Err(format!("a value that librdkafka takes; it says: {said}"))
        }
        _ => Err("a value that librdkafka takes".into()),
    }
}

fn unknown(name: &str) -> bool {
    let unknown = RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    matches!(set(name, ""), Err(KafkaError::ClientConfig(res, ..)) if res == unknown)
}

fn set(name: &str, value: &str) -> Result<(), KafkaError> {
    ClientConfig::new()
        .set(name, value)
        .create_native_config()
        .map(drop)
}
