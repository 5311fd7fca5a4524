//! calve: Kafka topics into Apache Iceberg tables, each record exactly once.

#![deny(missing_docs)]

pub mod checkpoint;
pub mod error;
pub mod iceberg;
pub mod messages;
pub mod offsets;
pub mod time;

pub use error::{Error, Result};
