//! Operators between a source and a sink, each an extension trait on timely's streams.
//!
//! They all follow one recipe, in one order: read all input → look at the frontiers → work → send →
//! let go of capabilities. Who has read one can read all, and write another.

mod batch;
mod decode;
mod exchange;
mod stateful;

pub use batch::{Batch, Batching, MessageBatch};
pub use decode::{Decode, Rejected};
pub use exchange::{Keyed, KeyedBy};
pub(crate) use stateful::Reports;
pub use stateful::{State, Stateful};
