//! The simulated catalog as one process sees it: each request waits until the schedule lets it through.

use std::sync::Arc;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::table::Table;
use iceberg::{Result, TableCommit, TableIdent};

use super::store::Store;
use super::world::{Asked, Sim, Swap, reset};
use crate::iceberg::swaps::{Swapping, Swaps};

#[derive(Debug)]
pub(super) struct SimulatedCatalog {
    sim: Sim,
    process: usize,
    files: FileIO,
}

impl SimulatedCatalog {
    pub(super) fn of(sim: &Sim, process: usize) -> Arc<Swapping<Self>> {
        let files = Store::of(&sim.lock().memory, sim, process);
        Arc::new(Swapping(Self {
            sim: sim.clone(),
            process,
            files,
        }))
    }

    async fn ask(&self, asked: Asked) -> Result<Table> {
        let answer = self.sim.lock().ask(self.process, asked);
        let loaded = answer.await.unwrap_or_else(|_| Err(reset()))?;
        loaded.table(self.files.clone())
    }
}

#[async_trait]
impl Swaps for SimulatedCatalog {
    async fn load(&self, _: &TableIdent) -> Result<Table> {
        self.ask(Asked::Load).await
    }

    async fn swap(&self, mut commit: TableCommit) -> Result<Table> {
        let swap = Swap {
            process: self.process,
            requirements: commit.take_requirements(),
            updates: commit.take_updates(),
        };
        self.ask(Asked::Swap(swap)).await
    }
}
