//! Topics and what consumer groups have committed, and brokers of a test's own (to stop and start).

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;

use super::{Services, eventually, terminate, unique};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A topic with a name of its own.
#[derive(Clone)]
pub struct Topic {
    pub name: String,
    pub brokers: String,
    pub partitions: i32,
}

impl Topic {
    /// Creates a topic on the shared broker.
    pub fn create(hint: &str, partitions: i32) -> Topic {
        Self::create_with(&Services::get().kafka, hint, partitions, &[])
    }

    /// Creates a topic with settings of its own (`cleanup.policy` …).
    pub fn create_with(
        brokers: &str,
        hint: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Topic {
        let topic = Topic {
            name: unique(hint),
            brokers: brokers.to_owned(),
            partitions,
        };
        let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let results = block_on(topic.admin().create_topics(&[new], &AdminOptions::new()))
            .expect("the broker answers");
        results[0].as_ref().expect("the topic is created");
        // The broker that answers a client's metadata request may not know the topic at once.
        eventually("the new topic is known", || {
            topic.known_partitions() == partitions as usize
        });
        // Nor has each partition its leader at once.
        topic.watermarks();
        topic
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.brokers).create().expect("an admin client")
    }

    fn known_partitions(&self) -> usize {
        let consumer: BaseConsumer = client(&self.brokers).create().expect("a client");
        consumer
            .fetch_metadata(Some(&self.name), TIMEOUT)
            .map_or(0, |metadata| metadata.topics()[0].partitions().len())
    }

    /// Lets the topic grow.
    pub fn grow_to(&mut self, partitions: i32) {
        let new = NewPartitions::new(&self.name, partitions as usize);
        let results = block_on(self.admin().create_partitions(&[new], &AdminOptions::new()))
            .expect("the broker answers");
        results[0].as_ref().expect("the topic grows");
        self.partitions = partitions;
        eventually("the new partitions are known", || {
            self.known_partitions() == partitions as usize
        });
    }

    /// First and next offset of each partition.
    pub fn watermarks(&self) -> BTreeMap<i32, (i64, i64)> {
        let consumer: BaseConsumer = client(&self.brokers).create().expect("a client");
        (0..self.partitions)
            .map(|p| {
                let mut marks = None;
                eventually("the partition has a leader that answers", || {
                    marks = consumer.fetch_watermarks(&self.name, p, TIMEOUT).ok();
                    marks.is_some()
                });
                (p, marks.expect("it has answered"))
            })
            .collect()
    }

    /// The offsets that the group has committed, partitions without one left out.
    pub fn committed(&self, group: &str) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = client(&self.brokers)
            .set("group.id", group)
            .create()
            .expect("a client");
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_range(&self.name, 0, self.partitions - 1);
        let Ok(committed) = consumer.committed_offsets(wanted, TIMEOUT) else {
            return BTreeMap::new();
        };
        committed
            .elements()
            .iter()
            .filter_map(|e| match e.offset() {
                Offset::Offset(offset) => Some((e.partition(), offset)),
                _ => None,
            })
            .collect()
    }

    /// The sum of what the group has committed: how far it is.
    pub fn committed_total(&self, group: &str) -> i64 {
        self.committed(group).values().sum()
    }

    /// Commits offsets for the group, as a person with a command line tool might.
    pub fn commit(&self, group: &str, offsets: &[(i32, i64)]) {
        let consumer: BaseConsumer = client(&self.brokers)
            .set("group.id", group)
            .create()
            .expect("a client");
        let mut list = TopicPartitionList::new();
        for &(partition, offset) in offsets {
            list.add_partition_offset(&self.name, partition, Offset::Offset(offset))
                .expect("an offset");
        }
        consumer
            .commit(&list, CommitMode::Sync)
            .expect("the broker commits");
    }

    /// How many records one can still read from a partition.
    pub fn remaining(&self, partition: i32) -> usize {
        let consumer: BaseConsumer = client(&self.brokers)
            .set("group.id", unique("reader"))
            .set("enable.partition.eof", "true")
            .create()
            .expect("a client");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&list).expect("an assignment");
        let mut count = 0;
        while let Some(Ok(_)) = consumer.poll(TIMEOUT) {
            count += 1;
        }
        count
    }

    /// Deletes the records before an offset, as retention would.
    pub fn delete_before(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(offset))
            .expect("an offset");
        block_on(self.admin().delete_records(&list, &AdminOptions::new()))
            .expect("the broker deletes");
        eventually("the records are gone", || {
            self.watermarks()[&partition].0 == offset
        });
    }

    /// Deletes the topic.
    pub fn delete(&self) {
        block_on(
            self.admin()
                .delete_topics(&[&self.name], &AdminOptions::new()),
        )
        .expect("the broker answers");
    }

    /// Deletes the topic and makes another one of the same name.
    pub fn recreate(&self) {
        let admin = self.admin();
        self.delete();
        eventually("the topic is gone", || self.known_partitions() == 0);
        let new = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(1));
        eventually("the topic is there again", || {
            let made = block_on(admin.create_topics([&new], &AdminOptions::new()));
            made.is_ok_and(|results| results[0].is_ok())
        });
        eventually("the new topic is known", || {
            self.known_partitions() == self.partitions as usize
        });
    }

    /// What `kafka-consumer-groups --describe` says: the lag of each partition.
    pub fn described_lag(&self, group: &str) -> BTreeMap<i32, i64> {
        let jars = Services::get().kafka_jars.join("*");
        let output = Command::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(jars)
            .arg("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand")
            .args(["--bootstrap-server", &self.brokers])
            .args(["--describe", "--group", group])
            .output()
            .expect("java runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut columns: Vec<&str> = Vec::new();
        let mut lags = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.contains(&"LAG") {
                columns = words;
            } else if let (Some(partition), Some(lag)) = (
                columns.iter().position(|c| *c == "PARTITION"),
                columns.iter().position(|c| *c == "LAG"),
            ) && words.get(1) == Some(&self.name.as_str())
                && let Ok(partition) = words[partition].parse()
                && let Ok(lag) = words[lag].parse()
            {
                lags.insert(partition, lag);
            }
        }
        assert!(
            !lags.is_empty(),
            "kafka-consumer-groups shows nothing of {group}:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        lags
    }
}

/// A client configuration that fails soon rather than late.
pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("allow.auto.create.topics", "false");
    config
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A port that was free a moment ago, and not one of those that connections of others are given.
pub fn free_port() -> u16 {
    let random = || RandomState::new().build_hasher().finish();
    std::iter::repeat_with(|| 12_000 + (random() % 18_000) as u16)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A broker of the test's own, which may be stopped and started with its data.
pub struct Broker {
    dir: TempDir,
    port: u16,
    controller: u16,
    /// A second listener with TLS and SASL, and the password it takes.
    secure: Option<(u16, String)>,
    process: Option<Child>,
}

impl Broker {
    pub fn start() -> Broker {
        Self::start_with(None)
    }

    /// One that also listens with TLS and SASL (PLAIN and SCRAM-SHA-512), for user `calve` with this password.
    pub fn start_secure(password: &str) -> Broker {
        Self::start_with(Some((free_port(), password.to_owned())))
    }

    fn start_with(secure: Option<(u16, String)>) -> Broker {
        let mut broker = Broker {
            dir: TempDir::new().expect("a folder"),
            port: free_port(),
            controller: free_port(),
            secure,
            process: None,
        };
        broker.restart();
        broker
    }

    /// `host:port` of the listener with TLS and SASL.
    pub fn secure_address(&self) -> String {
        let (port, _) = self.secure.as_ref().expect("a secure listener");
        format!("127.0.0.1:{port}")
    }

    /// The certificate of that listener, which it has signed itself.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again, on its port and with its data, and waits until it serves.
    pub fn restart(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka.sh");
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log file");
        let mut command = Command::new(script);
        if let Some((port, password)) = &self.secure {
            command.env("KAFKA_SECURE_PORT", port.to_string());
            command.env("KAFKA_PASSWORD", password);
        }
        let process = command
            .arg(&Services::get().kafka_jars)
            .arg(self.dir.path())
            .arg(self.port.to_string())
            .arg(self.controller.to_string())
            .env("KAFKA_HEAP", "400m")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the broker starts");
        self.process = Some(process);
        eventually("the test's own broker serves", || {
            let probe: BaseConsumer = client(&self.address()).create().expect("a client");
            probe.fetch_metadata(None, Duration::from_secs(2)).is_ok()
        });
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the broker is killed");
            process.wait().expect("the broker has ended");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            terminate(process);
        }
    }
}
