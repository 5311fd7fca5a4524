//! Questions to the cluster that block: which partitions there are and where they begin and end.
//!
//! Asked at the start and by the discovery task, never from an operator.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{Context, client_config};
use super::topic_id::{self, Identity};
use crate::checkpoint::positions::Topic;
use crate::config::Kafka;
use crate::error::{Error, Result};
use crate::offsets::Watermarks;

/// How long one question may take. A broker that is up answers in milliseconds; a name that does not
/// resolve or a port that is closed never does.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to listen to what librdkafka has to say about a question that got no answer.
const COMPLAINT_TIMEOUT: Duration = Duration::from_millis(100);

/// Between two questions about a partition that has no leader yet.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How the ids of librdkafka's mock clusters begin. They answer every question of a consumer but the one
/// for the topics' ids, which would be waited for in vain.
const MOCK_CLUSTER: &str = "mockCluster";

/// A client for metadata only: it reads no records and joins no group.
pub struct Cluster {
    client: BaseConsumer<Context>,
    brokers: String,
    topics: Vec<String>,
}

impl Cluster {
    /// A client for the cluster and topics of the settings. Connects when first asked.
    pub fn open(kafka: &Kafka, pipeline: &str) -> Result<Self> {
        let client = client_config(kafka, &format!("calve-{pipeline}-metadata"))
            .create_with_context(Context::default())
            .map_err(|error| {
                Error::config("the Kafka client can't be created")
                    .caused_by(error)
                    .advice("check the kafka.* settings with `calve config`")
            })?;
        Ok(Self {
            client,
            brokers: kafka.brokers.clone().unwrap_or_default(),
            topics: kafka.topics.clone(),
        })
    }

    /// The cluster's id, if the broker tells it.
    pub fn id(&self) -> Option<String> {
        self.client.client().fetch_cluster_id(ANSWER_TIMEOUT)
    }

    /// All partitions of all topics, in order.
    pub fn partitions(&self) -> Result<Vec<(String, i32)>> {
        let mut partitions = Vec::new();
        for topic in &self.topics {
            let metadata = self
                .client
                .fetch_metadata(Some(topic), ANSWER_TIMEOUT)
                .map_err(|error| self.unreachable(error))?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
                return Err(self.unknown_topic(topic));
            };
            if let Some(code) = found.error() {
                return Err(match RDKafkaErrorCode::from(code) {
                    RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                        self.unknown_topic(topic)
                    }
                    code => Error::external(format!("Kafka refuses topic {topic}"))
                        .caused_by(KafkaError::MetadataFetch(code))
                        .advice(
                            "check that this user may describe and read the topic \
                             (kafka.sasl.* settings, ACLs)",
                        ),
                });
            }
            let mut ids: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
            ids.sort_unstable();
            partitions.extend(ids.into_iter().map(|id| (topic.clone(), id)));
        }
        Ok(partitions)
    }

    /// Where a partition begins and ends now.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks> {
        let asked = Instant::now();
        let (low, high) = loop {
            match self
                .client
                .fetch_watermarks(topic, partition, ANSWER_TIMEOUT)
            {
                Ok(marks) => break marks,
                // A topic that was just created, or a broker that is being replaced: the next
                // leader answers in a moment.
                Err(error) if is_moving(&error) && asked.elapsed() < ANSWER_TIMEOUT => {
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(error) => return Err(self.unreachable(error)),
            }
        };
        Ok(Watermarks { low, high })
    }

    /// What is known of each topic by its name.
    pub fn identities(&self) -> Result<BTreeMap<String, Identity>> {
        let is_mock = self.id().is_some_and(|id| id.starts_with(MOCK_CLUSTER));
        let identities = match is_mock {
            true => Ok(topic_id::untold(&self.topics)),
            false => topic_id::identities(&self.client, &self.topics, ANSWER_TIMEOUT),
        };
        identities
            .map(|identities| identities.into_iter().collect())
            .map_err(|code| self.unreachable(KafkaError::AdminOp(code)))
    }

    /// Where each of these partitions begins and ends now, and the ids of their topics. The ids are asked
    /// for first: whatever is read later can be held against them.
    pub fn topics(&self, partitions: &[(String, i32)]) -> Result<BTreeMap<String, Topic>> {
        let mut identities = self.identities()?;
        let mut topics = BTreeMap::<String, Topic>::new();
        for (name, partition) in partitions {
            if identities.get(name) == Some(&Identity::Gone) {
                return Err(Error::external(format!(
                    "topic {name} is not there at this moment: it was deleted, or is being made anew"
                ))
                .advice("nothing was written; start again"));
            }
            let marks = self.watermarks(name, *partition)?;
            let topic = topics.entry(name.clone()).or_insert_with(|| Topic {
                id: match identities.remove(name) {
                    Some(Identity::Id(id)) => Some(id),
                    Some(_) | None => None,
                },
                partitions: BTreeMap::new(),
            });
            topic.partitions.insert(*partition, marks);
        }
        Ok(topics)
    }

    fn unknown_topic(&self, topic: &str) -> Error {
        Error::config(format!(
            "topic {topic} does not exist on the Kafka cluster at {}",
            self.brokers
        ))
        .advice("create the topic, or correct kafka.topic (KAFKA_TOPIC)")
    }

    fn unreachable(&self, error: KafkaError) -> Error {
        let complaint = self.last_complaint();
        Error::external(match complaint {
            Some(complaint) => format!("Kafka at {} does not answer ({complaint})", self.brokers),
            None => format!("Kafka at {} does not answer", self.brokers),
        })
        .caused_by(error)
        .advice(
            "check kafka.brokers (KAFKA_BROKERS), that the broker runs, and the settings \
             kafka.security.protocol, kafka.sasl.* and kafka.ssl.*; nothing was lost: the next start \
             goes on from the table's marker",
        )
    }

    /// Why librdkafka thinks that nobody answers. It says so in log lines, which wait for a poll.
    fn last_complaint(&self) -> Option<String> {
        let asked = Instant::now();
        while asked.elapsed() < COMPLAINT_TIMEOUT {
            // What comes back are the errors that the context has heard as well.
            let _ = self.client.poll(COMPLAINT_TIMEOUT);
        }
        self.client.context().last_complaint()
    }
}

/// True if the partition is without a leader that knows of it: an answer will come by itself.
fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
