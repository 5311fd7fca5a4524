//! The tests that run calve as a process against real services. `tests/run` starts those and runs these;
//! one binary for all of them, because linking is what takes the time.

mod support;

mod audit;
mod bad_input;
mod catalogs;
mod control;
mod crash_campaign;
mod crash_points;
mod daily_stats;
mod dedup;
mod demo;
mod documentation;
mod failed_checkpoints;
mod fencing;
mod flink_client;
mod harness;
mod ingest;
mod inspection;
mod kafka;
mod manifests;
mod migrate;
mod outages;
mod policies;
mod processes;
mod rest;
mod restart;
mod restarts;
mod retention;
mod retries;
mod savepoints;
mod security;
mod settings;
mod state;
mod ui;
mod values;
mod verification;
