//! What a transaction of the library asks of a catalog: a table as it is loaded, and its swap.
//!
//! The library's trait has a dozen more methods. Who decorates a catalog for the sake of these two says here what
//! becomes of them, and once what becomes of all others.

use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::Deref;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

/// See the module.
#[async_trait]
pub(super) trait Swaps: Debug + Send + Sync {
    /// Loads a table.
    async fn load(&self, table: &TableIdent) -> Result<Table>;

    /// Makes a commit.
    async fn swap(&self, commit: TableCommit) -> Result<Table>;

    /// Deletes a table with its files, which not every catalog can.
    async fn purge(&self, table: &TableIdent) -> Result<()> {
        self.beyond()?.purge_table(table).await
    }

    /// Who is asked everything else. By default that is refused, and not tried again.
    fn beyond(&self) -> Result<&dyn Catalog> {
        let message = "a commit does not change anything but its table";
        Err(Error::new(ErrorKind::PreconditionFailed, message).with_retryable(false))
    }
}

/// A catalog of those two.
#[derive(Debug)]
pub(super) struct Swapping<S>(pub(super) S);

impl<S> Deref for Swapping<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

#[async_trait]
impl<S: Swaps> Catalog for Swapping<S> {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        self.load(table).await
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        self.swap(commit).await
    }

    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        self.beyond()?.list_namespaces(parent).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.beyond()?.create_namespace(namespace, properties).await
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.beyond()?.get_namespace(namespace).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.beyond()?.namespace_exists(namespace).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.beyond()?.update_namespace(namespace, properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.beyond()?.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.beyond()?.list_tables(namespace).await
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<Table> {
        self.beyond()?.create_table(namespace, creation).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.beyond()?.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.purge(table).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.beyond()?.table_exists(table).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.beyond()?.rename_table(from, to).await
    }

    async fn register_table(&self, table: &TableIdent, metadata: String) -> Result<Table> {
        self.beyond()?.register_table(table, metadata).await
    }
}
