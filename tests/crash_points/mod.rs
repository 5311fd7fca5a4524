//! Every crash point of the commit, one test each, in the real program against Apache Kafka, an Iceberg REST
//! catalog and an S3 server. `docs/exactly-once.md` has the table: what is where at each point, what a restart
//! does, and the test.
//!
//! ```text
//!          write ▸ staged ▸ commit ▸ before-swap ▸ after-swap ▸ proved ▸ group-offsets
//!            │       │        │          │             │          │           │
//!   killed   ✗       ✗        ✗          ✗             ✗          ✗           ✗      dies there; others go on
//!   takeover         ▢        ▢          ▢             ▢          ▢                  sleeps there through a takeover
//!   drained  ◇       ◇        ◇          ◇             ◇          ◇           ◇      gets SIGTERM there
//!   foreign                              ▤                                           another engine changes the table
//!   storage  the object store is slow, busy, gone; the disk is full
//! ```
//!
//! A failpoint says in the log that it was reached, and each test asserts it. What was committed is always
//! counted by pyiceberg and DuckDB, and compared with what the broker acknowledged.

use std::time::Duration;

use crate::support::{Calve, Catalog, Load, Pipeline, Topic, Warehouse};

mod drained;
mod foreign;
mod killed;
mod state;
mod storage;
mod takeover;

/// How long a process may take to reach its point, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pipeline under continuous load, on the REST catalog and S3.
struct Scene {
    topic: Topic,
    pipeline: Pipeline,
    load: Load,
}

impl Scene {
    fn new(hint: &str) -> Scene {
        let topic = Topic::create(hint, 6);
        let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
        Self::of(topic, pipeline)
    }

    fn of(topic: Topic, pipeline: Pipeline) -> Scene {
        let load = Load::start(&topic, 2_000);
        Scene {
            topic,
            pipeline,
            load,
        }
    }

    /// A process with a checkpoint each 300 ms.
    fn run(&self, workers: usize) -> Calve {
        let run = self.pipeline.run().workers(workers);
        run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300")
    }

    /// The load ends, another process with other workers brings the rest: then every record is there once.
    #[track_caller]
    fn assert_exactly_once(self) {
        let produced = self.load.stop();
        let last = self.pipeline.run().workers(2).bounded();
        last.run().expect_code(0);
        self.pipeline.assert_exactly(&produced);
    }
}
