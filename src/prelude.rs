//! Everything a dataflow needs.

pub use timely::dataflow::Stream;

pub use crate::error::{Error, Result};
pub use crate::iceberg::{CommitStaged, Stage};
pub use crate::kafka::KafkaSource;
pub use crate::operators::{Batch, Decode, Keyed, Rejected, Stateful};
pub use crate::rows::{Key, KeyColumns, RowStream, Rows, Watermark};
pub use crate::runtime::{Dataflow, Job, OwnTable};
pub use crate::state::{ListState, MapState, StateStore, ValueState};
pub use crate::time::Epoch;
