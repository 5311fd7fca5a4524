//! A catalog that shows a table as it was: what a process does that has slept through the commits of others.
//!
//! A transaction of the library loads the table before each attempt, so nothing built with it is ever stale. Behind
//! this decorator it is.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

/// The decorator; it is good for commits to that table, and nothing else.
#[derive(Debug)]
pub(super) struct StaleCatalog {
    pub(super) inner: Arc<dyn Catalog>,
    /// The table, as it was.
    pub(super) shown: Table,
}

fn forbidden<T>() -> Result<T> {
    let message = "a stale catalog is for commits to one table";
    Err(Error::new(ErrorKind::PreconditionFailed, message))
}

#[async_trait]
impl Catalog for StaleCatalog {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        match table == self.shown.identifier() {
            true => Ok(self.shown.clone()),
            false => forbidden(),
        }
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        match commit.identifier() == self.shown.identifier() {
            true => self.inner.update_table(commit).await,
            false => forbidden(),
        }
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        forbidden()
    }

    async fn create_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<Namespace> {
        forbidden()
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        forbidden()
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        forbidden()
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        forbidden()
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        forbidden()
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        forbidden()
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<Table> {
        forbidden()
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        forbidden()
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        forbidden()
    }

    async fn table_exists(&self, _: &TableIdent) -> Result<bool> {
        forbidden()
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        forbidden()
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        forbidden()
    }
}
