//! The simulated catalog as one process sees it: each request waits until the schedule lets it through.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

use super::store::Store;
use super::world::{Asked, Sim, Swap, reset};

#[derive(Debug)]
pub(super) struct SimulatedCatalog {
    sim: Sim,
    process: usize,
    files: FileIO,
}

impl SimulatedCatalog {
    pub(super) fn of(sim: &Sim, process: usize) -> Arc<Self> {
        let files = Store::of(&sim.lock().memory, sim, process);
        Arc::new(Self {
            sim: sim.clone(),
            process,
            files,
        })
    }

    async fn ask(&self, asked: Asked) -> Result<Table> {
        let answer = self.sim.lock().ask(self.process, asked);
        let loaded = answer.await.unwrap_or_else(|_| Err(reset()))?;
        loaded.table(self.files.clone())
    }
}

#[async_trait]
impl Catalog for SimulatedCatalog {
    async fn load_table(&self, _: &TableIdent) -> Result<Table> {
        self.ask(Asked::Load).await
    }

    async fn update_table(&self, mut commit: TableCommit) -> Result<Table> {
        let swap = Swap {
            process: self.process,
            requirements: commit.take_requirements(),
            updates: commit.take_updates(),
        };
        self.ask(Asked::Swap(swap)).await
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        not_simulated()
    }

    async fn create_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<Namespace> {
        not_simulated()
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        not_simulated()
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        not_simulated()
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        not_simulated()
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        not_simulated()
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        not_simulated()
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<Table> {
        not_simulated()
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        not_simulated()
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        not_simulated()
    }

    async fn table_exists(&self, _: &TableIdent) -> Result<bool> {
        not_simulated()
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        not_simulated()
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        not_simulated()
    }
}

fn not_simulated<T>() -> Result<T> {
    Err(Error::new(
        ErrorKind::FeatureUnsupported,
        "a committer only loads and swaps",
    ))
}
