//! What a topic's own settings say: how long the brokers keep its records.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::types::RDKafkaErrorCode;

use super::client::{Context, client_config};
use crate::config::Kafka;
use crate::error::{Error, Result};

/// How long to wait for the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a topic's records are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// `retention.ms`; `None` is for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes` of each partition; `None` is without limit.
    pub retention_bytes: Option<u64>,
    /// Whether old records are deleted at all: `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// Whether all but the newest record of a key may go: `cleanup.policy` has `compact`.
    pub compacts: bool,
}

/// Asks the brokers for the settings of all topics.
pub async fn topic_settings(
    kafka: &Kafka,
    pipeline: &str,
) -> Result<BTreeMap<String, TopicSettings>> {
    let failed = |error: String| {
        Error::external("the settings of the topics can't be read")
            .caused_by(error)
            .advice(
                "allow this user DescribeConfigs on the topics, or look at retention.ms yourself",
            )
    };
    let client: AdminClient<Context> = client_config(kafka, &format!("calve-{pipeline}-settings"))
        .create_with_context(Context::default())
        .map_err(|error| failed(error.to_string()))?;
    let topics: Vec<_> = kafka
        .topics
        .iter()
        .map(|t| ResourceSpecifier::Topic(t))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let described = client.describe_configs(&topics, &options).await;
    let described = described.map_err(|error| failed(error.to_string()))?;
    let settings = kafka.topics.iter().zip(described).map(|(topic, resource)| {
        let resource = resource.map_err(|code: RDKafkaErrorCode| failed(code.to_string()))?;
        Ok((topic.clone(), TopicSettings::of(&resource)))
    });
    settings.collect()
}

impl TopicSettings {
    fn of(resource: &ConfigResource) -> Self {
        let value = |name| resource.get(name).and_then(|entry| entry.value.as_deref());
        // -1 is without limit, and so does not parse.
        let number = |name| value(name)?.parse::<u64>().ok();
        let policy = value("cleanup.policy").unwrap_or("delete");
        let has = |word| policy.split(',').any(|policy| policy.trim() == word);
        Self {
            retention: number("retention.ms").map(Duration::from_millis),
            retention_bytes: number("retention.bytes"),
            deletes: has("delete"),
            compacts: has("compact"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    fn settings(entries: &[(&str, &str)]) -> TopicSettings {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        TopicSettings::of(&ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("t".to_owned()),
            entries: entries.iter().map(entry).collect(),
        })
    }

    #[test]
    fn minus_one_is_without_limit() {
        let kept = settings(&[
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "compact,delete"),
        ]);
        let week = Duration::from_secs(7 * 86_400);
        assert_eq!(
            kept,
            TopicSettings {
                retention: Some(week),
                retention_bytes: None,
                deletes: true,
                compacts: true
            }
        );
        assert!(!settings(&[("cleanup.policy", "compact")]).deletes);
        assert_eq!(settings(&[("retention.ms", "-1")]).retention, None);
    }
}
