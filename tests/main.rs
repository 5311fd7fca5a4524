//! The tests that run calve as a process against real services. `tests/run` starts those and runs these;
//! one binary for all of them, because linking is what takes the time.

mod support;

mod bad_input;
mod catalogs;
mod fencing;
mod harness;
mod ingest;
mod kafka;
mod outages;
mod processes;
mod restart;
mod retention;
mod retries;
mod security;
mod settings;
mod values;
