//! One of two places that call librdkafka directly (the other is `topic_id.rs`): taking messages in batches.
//!
//! `rd_kafka_consume_batch_queue` costs 0.09 µs of this thread's time a message where one poll a
//! message costs 0.25 µs, which is a sixth of everything a record costs. The safe crate has no
//! wrapper for it, nor for the end offsets that a consumer knows from its fetches.
//!
//! Safety rests on three facts, all kept inside this file: the queue handle is released before its
//! client (field order in `Consumer`), every message is destroyed exactly once, after its last use,
//! and what is borrowed from a message does not outlive the call that visits it.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// Messages taken per call. More does not pay: the call itself is amortized at this size.
const MESSAGES_PER_CALL: usize = 128;

/// What a queue holds.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record.
    Message(Record<'a>),
    /// The partition has nothing beyond `offset` for now.
    End {
        /// The topic's name.
        topic: &'a str,
        /// The partition's number.
        partition: i32,
        /// The offset that the next record will have, at least.
        offset: i64,
    },
    /// Reading a partition, or the client as a whole, met an error.
    Error {
        /// The topic's name, if the error is about a partition.
        topic: Option<&'a str>,
        /// The partition's number.
        partition: i32,
        /// The offset it is about, or a negative number.
        offset: i64,
        /// What kind of error.
        code: RDKafkaErrorCode,
        /// librdkafka's words.
        reason: String,
    },
}

/// A record, borrowed from librdkafka's buffers for the time of one visit.
#[derive(Debug)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Kafka's timestamp in milliseconds since 1970 (UTC).
    pub timestamp_ms: Option<i64>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub payload: Option<&'a [u8]>,
}

/// A consumer's queue.
pub(super) struct BatchQueue {
    queue: *mut sys::rd_kafka_queue_t,
    batch: Vec<*mut sys::rd_kafka_message_t>,
}

impl BatchQueue {
    /// The queue of `consumer`, which must have a group id and must outlive the returned value.
    pub(super) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client pointer is valid while `consumer` lives. The call returns a counted
        // reference, or null for a client that has no consumer queue.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        (!queue.is_null()).then(|| Self {
            queue,
            batch: vec![ptr::null_mut(); MESSAGES_PER_CALL],
        })
    }

    /// Visits what has arrived, without waiting, up to one batch. Returns false once the queue is empty.
    pub(super) fn take(&mut self, mut visit: impl FnMut(Event<'_>)) -> bool {
        // SAFETY: `batch` has room for the number of pointers it says.
        let taken = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue,
                0,
                self.batch.as_mut_ptr(),
                self.batch.len(),
            )
        };
        let taken = usize::try_from(taken).unwrap_or(0);
        let mut last = LastTopic {
            handle: ptr::null_mut(),
            name: None,
        };
        for &message in &self.batch[..taken] {
            let guard = Owned(message);
            // SAFETY: librdkafka hands over valid messages, owned by the caller until destroyed;
            // `guard` destroys this one after the visit, also when the visit unwinds.
            visit(unsafe { event(&*guard.0, &mut last) });
        }
        taken == self.batch.len()
    }
}

impl Drop for BatchQueue {
    fn drop(&mut self) {
        // SAFETY: the reference taken in `of`, released once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

struct Owned(*mut sys::rd_kafka_message_t);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the message came from `rd_kafka_consume_batch_queue` and is destroyed only here.
        unsafe { sys::rd_kafka_message_destroy(self.0) }
    }
}

/// The topic of the message before. Records come in runs, and reading a name means to measure and to check it.
struct LastTopic {
    handle: *mut sys::rd_kafka_topic_t,
    name: Option<*const str>,
}

/// # Safety
/// `message` must be a message that librdkafka handed over and that was not destroyed, and `last` must be about a
/// message of the same call: these were there together, so that no two of their topics have the same handle.
unsafe fn event<'m>(message: &'m sys::rd_kafka_message_t, last: &mut LastTopic) -> Event<'m> {
    if message.rkt != last.handle {
        // SAFETY: a non-null topic has a NUL-terminated name that lives as long as the message.
        let name = (!message.rkt.is_null())
            .then(|| unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(message.rkt)) });
        *last = LastTopic {
            handle: message.rkt,
            // Kafka's topic names are ASCII.
            name: name.and_then(|name| name.to_str().ok().map(ptr::from_ref)),
        };
    }
    // SAFETY: the name belongs to the topic that this message keeps alive.
    let topic: Option<&'m str> = last.name.map(|name| unsafe { &*name });
    let code = RDKafkaErrorCode::from(message.err);
    match (code, topic) {
        (RDKafkaErrorCode::NoError, Some(topic)) => {
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            // SAFETY: both pointers are valid for the call.
            let timestamp_ms = unsafe { sys::rd_kafka_message_timestamp(message, &mut kind) };
            Event::Message(Record {
                topic,
                partition: message.partition,
                offset: message.offset,
                timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
                // SAFETY: pointer and length belong together and live as long as the message.
                key: unsafe { bytes(message.key, message.key_len) },
                // SAFETY: as above.
                payload: unsafe { bytes(message.payload, message.len) },
            })
        }
        (RDKafkaErrorCode::PartitionEOF, Some(topic)) => Event::End {
            topic,
            partition: message.partition,
            offset: message.offset,
        },
        _ => Event::Error {
            topic,
            partition: message.partition,
            offset: message.offset,
            code,
            // SAFETY: an error message's payload is its text, or null.
            reason: unsafe { bytes(message.payload, message.len) }
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .unwrap_or_default(),
        },
    }
}

/// # Safety
/// A non-null `start` must point to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// The end of a partition as the last fetch told it; `None` before the first one. Asks nobody.
pub(super) fn known_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client lives as long as `consumer`, the pointers are valid for the call.
    let error = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &mut low,
            &mut high,
        )
    };
    (RDKafkaErrorCode::from(error) == RDKafkaErrorCode::NoError && high >= 0).then_some(high)
}
