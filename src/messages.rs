//! Raw Kafka messages on their way from the source to the decoder.
//!
//! A [`Messages`] holds many of them in one arena, so that moving a thousand records down the
//! dataflow moves three pointers, and the copy out of librdkafka's buffers is a plain `memcpy`.

use std::sync::Arc;

/// Where one message lies in the arena.
#[derive(Clone, Copy, Debug)]
struct Entry {
    topic: u32,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key_start: usize,
    payload_start: usize,
    end: usize,
    has_key: bool,
    has_payload: bool,
}

/// Many messages of one or more partitions, in the order they were read.
#[derive(Clone, Debug)]
pub struct Messages {
    topics: Arc<[Arc<str>]>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// One message, borrowed from the arena.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The topic's name.
    pub topic: &'a Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The message's offset.
    pub offset: i64,
    /// Kafka's timestamp in milliseconds since 1970 (UTC); `None` if the broker gave none.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is Kafka's null (a tombstone).
    pub payload: Option<&'a [u8]>,
}

impl Messages {
    /// An empty arena for messages of `topics`; a message names its topic by its index there.
    pub fn new(topics: Arc<[Arc<str>]>) -> Self {
        Self {
            topics,
            bytes: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Reserves room for `messages` more messages with `bytes` more bytes of keys and payloads.
    pub fn reserve(&mut self, messages: usize, bytes: usize) {
        self.entries.reserve(messages);
        self.bytes.reserve(bytes);
    }

    /// Copies one message in. `topic` is an index into the topics given to [`Messages::new`].
    pub fn push(
        &mut self,
        topic: u32,
        partition: i32,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) {
        debug_assert!((topic as usize) < self.topics.len());
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(key.unwrap_or_default());
        let payload_start = self.bytes.len();
        self.bytes.extend_from_slice(payload.unwrap_or_default());
        self.entries.push(Entry {
            topic,
            partition,
            offset,
            timestamp_ms: timestamp_ms.unwrap_or(i64::MIN),
            key_start,
            payload_start,
            end: self.bytes.len(),
            has_key: key.is_some(),
            has_payload: payload.is_some(),
        });
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and payloads.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that the messages hold in memory, their bookkeeping included.
    pub fn memory_len(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// The messages in the order they were pushed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Message<'_>> + Clone {
        self.entries.iter().map(|entry| Message {
            topic: &self.topics[entry.topic as usize],
            partition: entry.partition,
            offset: entry.offset,
            timestamp_ms: (entry.timestamp_ms != i64::MIN).then_some(entry.timestamp_ms),
            key: entry
                .has_key
                .then(|| &self.bytes[entry.key_start..entry.payload_start]),
            payload: entry
                .has_payload
                .then(|| &self.bytes[entry.payload_start..entry.end]),
        })
    }
}
