//! The other place that calls librdkafka directly: asking for the ids of topics.
//!
//! A topic that is deleted and made anew keeps its name and gets another id. Brokers tell it since Kafka
//! 2.8; the safe crate has no call that passes it on.
//!
//! Safety rests on two facts, both kept inside this file: whatever librdkafka hands over as ours is destroyed
//! once, when its [`Owned`] goes, and what is borrowed from an event is copied before the event goes.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// How much longer than librdkafka's own timeout the answer is waited for.
const MARGIN: Duration = Duration::from_secs(1);

/// What is known of a topic by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Its id.
    Id(String),
    /// The brokers do not tell ids.
    Untold,
    /// There is no topic of this name.
    Gone,
}

/// Something that librdkafka has given away, with the function that ends it.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the call that belongs to this function, is not null (see `own`),
        // and is passed to it here only.
        unsafe { (self.1)(self.0) }
    }
}

fn own<T>(
    pointer: *mut T,
    end: unsafe extern "C" fn(*mut T),
) -> Result<Owned<T>, RDKafkaErrorCode> {
    match pointer.is_null() {
        true => Err(RDKafkaErrorCode::Fail),
        false => Ok(Owned(pointer, end)),
    }
}

/// The answer of brokers that tell no ids.
pub(super) fn untold(topics: &[String]) -> Vec<(String, Identity)> {
    let untold = |topic: &String| (topic.clone(), Identity::Untold);
    topics.iter().map(untold).collect()
}

/// Asks a broker for the ids of `topics`. Blocks until the answer is there, or for `timeout`.
pub(super) fn identities<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<(String, Identity)>, RDKafkaErrorCode> {
    let client = client.client().native_ptr();
    let names = topics.iter().map(|topic| CString::new(topic.as_str()));
    let Ok(names) = names.collect::<Result<Vec<CString>, _>>() else {
        return Err(RDKafkaErrorCode::InvalidArgument);
    };
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = |time: Duration| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: pointer and length are those of `names`, whose strings live to the end of this function;
    // the call copies them.
    let collection = own(
        unsafe { sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()) },
        sys::rd_kafka_TopicCollection_destroy,
    )?;
    // SAFETY: the client is valid, because our caller borrows it for longer than this function runs.
    let options = own(
        unsafe {
            sys::rd_kafka_AdminOptions_new(
                client,
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            )
        },
        sys::rd_kafka_AdminOptions_destroy,
    )?;
    let mut complaint = [0; 256];
    // SAFETY: the options are valid, `complaint` has the length it says. It may fail only for a timeout out
    // of range; then librdkafka's default holds.
    unsafe {
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            millis(timeout),
            complaint.as_mut_ptr(),
            complaint.len(),
        )
    };
    // SAFETY: as for the options.
    let queue = own(
        unsafe { sys::rd_kafka_queue_new(client) },
        sys::rd_kafka_queue_destroy,
    )?;
    // SAFETY: all four are valid. The call copies what it needs and keeps a reference of its own to the
    // queue, so an answer that comes after we have left finds it.
    unsafe { sys::rd_kafka_DescribeTopics(client, collection.0, options.0, queue.0) };
    // SAFETY: the queue is valid; an event, if there is one, is ours.
    let event = unsafe { sys::rd_kafka_queue_poll(queue.0, millis(timeout + MARGIN)) };
    if event.is_null() {
        return Err(RDKafkaErrorCode::OperationTimedOut);
    }
    let event = own(event, sys::rd_kafka_event_destroy)?;
    // SAFETY: the event is valid.
    match RDKafkaErrorCode::from(unsafe { sys::rd_kafka_event_error(event.0) }) {
        RDKafkaErrorCode::NoError => {}
        // Old brokers.
        RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion => {
            return Ok(untold(topics));
        }
        code => return Err(code),
    }
    // SAFETY: the event is valid; of another kind, which nothing puts into this queue, it gives null.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(event.0) };
    if result.is_null() {
        return Err(RDKafkaErrorCode::Fail);
    }
    let mut count = 0;
    // SAFETY: the result is valid as long as its event; it has `count` topics, all of them non-null.
    let described = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &mut count) };
    (0..count)
        // SAFETY: as above.
        .map(|index| unsafe { identity(*described.add(index)) })
        .collect()
}

/// # Safety
/// `topic` must be a topic of a result whose event was not destroyed.
unsafe fn identity(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Result<(String, Identity), RDKafkaErrorCode> {
    // SAFETY: the caller's promise; name, error and id live as long as the topic, and the name ends in NUL.
    let (name, error, id) = unsafe {
        (
            CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic)),
            sys::rd_kafka_TopicDescription_error(topic),
            sys::rd_kafka_TopicDescription_topic_id(topic),
        )
    };
    let name = name.to_string_lossy().into_owned();
    // SAFETY: a topic that was described well has no error, or one with the code of success.
    let code = match error.is_null() {
        true => RDKafkaErrorCode::NoError,
        false => RDKafkaErrorCode::from(unsafe { sys::rd_kafka_error_code(error) }),
    };
    match code {
        RDKafkaErrorCode::NoError => {}
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            return Ok((name, Identity::Gone));
        }
        code => return Err(code),
    }
    if id.is_null() {
        return Ok((name, Identity::Untold));
    }
    // SAFETY: the id is valid; its text is kept in it and ends in NUL, or is null if there is no memory.
    let (bits, text) = unsafe {
        (
            sys::rd_kafka_Uuid_most_significant_bits(id)
                | sys::rd_kafka_Uuid_least_significant_bits(id),
            sys::rd_kafka_Uuid_base64str(id),
        )
    };
    // A broker that tells no ids leaves the field at zero.
    if bits == 0 || text.is_null() {
        return Ok((name, Identity::Untold));
    }
    // SAFETY: as above.
    let text = unsafe { CStr::from_ptr(text) };
    Ok((name, Identity::Id(text.to_string_lossy().into_owned())))
}
