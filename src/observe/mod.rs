//! Showing what happens: log lines, the live line, the metrics endpoint.
//!
//! Nothing here changes what the dataflow does. All figures come from [`crate::metrics`]; this room
//! only renders them.

pub mod logging;
mod progress;
mod prometheus;

pub use progress::Progress;
pub use prometheus::serve as serve_metrics;
