//! Showing what happens: log lines, the live line, the metrics endpoint, the REST API.
//!
//! Nothing here changes what the dataflow does, but that [`http`] passes on what is asked. All figures come from
//! [`crate::metrics`] and [`crate::control`]; this room only renders them.

mod figures;
pub mod graph;
pub mod http;
pub mod logging;
mod profile;
mod progress;
mod prometheus;
mod recent;
pub mod terminal;

pub use profile::ProfileFile;
pub use progress::Progress;
pub use prometheus::{Watched, serve as serve_metrics};
