//! The `calve` binary: a list of dataflows, each one file beside this one.

mod daily_stats;
mod dedup;
mod ingest;

use std::process::ExitCode;

fn main() -> ExitCode {
    calve::cli::main(&[ingest::INGEST, dedup::DEDUP, daily_stats::DAILY_STATS])
}
