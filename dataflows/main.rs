//! The `calve` binary: a list of dataflows, each one file beside this one.

mod ingest;

use std::process::ExitCode;

// One record costs two or three small allocations in librdkafka and the writers; this allocator saves
// a tenth of the CPU time of the whole.
// #[global_allocator]
// static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    calve::cli::main(&[ingest::INGEST])
}
