#![deny(missing_docs)]

pub mod error;
pub mod messages;
pub mod offsets;
pub mod time;

pub use error::{Error, Result};
