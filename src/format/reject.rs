//! A message that could not become a row, with everything needed to see why, and to try again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::messages::Message;

/// How much of a payload an error message shows.
const EXCERPT_CHARS_MAX: usize = 120;

/// A message that can't be decoded: where it stands, why, and all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The message's own offset.
    pub offset: i64,
    /// Kafka's timestamp in milliseconds since 1970 (UTC); `None` if the broker gave none.
    pub timestamp_ms: Option<i64>,
    /// What is wrong: the column's path, what was expected, what was found.
    pub reason: String,
    /// The value's bytes; `None` is Kafka's null.
    pub payload: Option<Vec<u8>>,
    /// The key's bytes; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
}

impl Reject {
    /// The reject of `message` for `reason`.
    pub fn new(message: &Message<'_>, reason: impl Into<String>) -> Self {
        Self {
            topic: message.topic.to_string(),
            partition: message.partition,
            offset: message.offset,
            timestamp_ms: message.timestamp_ms,
            reason: reason.into(),
            payload: message.payload.map(<[u8]>::to_vec),
            key: message.key.map(<[u8]>::to_vec),
        }
    }
}

/// `topic "t", partition 3, offset 17: reason; payload: {"a":…`
impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "topic {:?}, partition {}, offset {}: {}; payload: ",
            self.topic, self.partition, self.offset, self.reason
        )?;
        match &self.payload {
            Some(payload) => f.write_str(&excerpt(payload, EXCERPT_CHARS_MAX)),
            None => f.write_str("null"),
        }
    }
}

/// The beginning of `bytes` as one printable line of at most `chars_max` characters.
pub(super) fn excerpt(bytes: &[u8], chars_max: usize) -> String {
    // Four bytes a character at most: no need to look at the rest of a large payload.
    let head = &bytes[..bytes.len().min(chars_max * 4)];
    let text = String::from_utf8_lossy(head);
    let mut line = String::new();
    let mut chars = text.chars();
    for c in chars.by_ref().take(chars_max) {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if chars.next().is_some() || head.len() < bytes.len() {
        line.push('…');
    }
    line
}
