//! Everything a dataflow needs.

pub use crate::error::{Error, Result};
pub use crate::iceberg::{CommitStaged, Stage};
pub use crate::kafka::KafkaSource;
pub use crate::operators::{Batch, Decode, Rejected};
pub use crate::runtime::{Dataflow, Job, OwnTable};
pub use crate::time::Epoch;
