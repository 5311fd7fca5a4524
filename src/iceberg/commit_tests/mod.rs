//! The guarded commit, on a real catalog that is made to fail.
//!
//! Every test ends by counting what is in the table, twice: through a scan and through the
//! manifests.

mod faults;
mod faulty;
mod operator;
mod outside;
mod rollbacks;
mod starts;

pub use faulty::{Faulty, Swap};
