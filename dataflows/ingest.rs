//! The main job.
//!
//! ```text
//!   kafka_source ──▶ batch ──▶ decode ──▶ stage ──▶ commit
//!                                └─ rejects ──▶ on_reject (the commit waits for it)
//! ```

use calve::prelude::*;

/// Kafka topics into one Iceberg table.
pub const INGEST: Dataflow = Dataflow::new(
    "ingest",
    "Kafka topics into an Iceberg table, each record exactly once",
    build,
);

fn build(job: &Job<'_>) -> Result<()> {
    let messages = job.kafka_source()?;
    let (rows, rejects) = messages
        .batch(job.batching())
        .decode(job.decoder()?, job.process());
    let files = rows.stage(job.sink(), job.process(), job.budget());
    job.commits_wait_for(rejects.on_reject(job.settings().on_reject, job.process()));
    job.commit(files);
    Ok(())
}
