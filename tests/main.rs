//! The tests that run calve as a process against real services. `tests/run` starts those and runs these;
//! one binary for all of them, because linking is what takes the time.

mod support;

mod bad_input;
mod catalogs;
mod crash_points;
mod documentation;
mod fencing;
mod harness;
mod ingest;
mod kafka;
mod outages;
mod restart;
mod settings;
mod values;
