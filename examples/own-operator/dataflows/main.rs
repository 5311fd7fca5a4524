//! A program of one's own: calve's command line, checkpoints, metrics, REST API and UI, for one's own dataflows.

mod sessions;

use std::process::ExitCode;

fn main() -> ExitCode {
    calve::cli::main(&[sessions::SESSIONS])
}
