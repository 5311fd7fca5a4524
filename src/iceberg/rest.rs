//! A REST catalog whose access token is renewed when it has expired.
//!
//! The library exchanges client credentials for a token once and keeps it. Tokens live for an hour
//! or so, a pipeline for months: on a 401 this decorator asks for a new one and tries again. Only
//! questions are repeated here; a swap that met a 401 was not carried out, and goes back to the
//! transaction as retryable, which loads the table and decides again before it swaps.

use std::collections::HashMap;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, Namespace, NamespaceIdent, Result, TableCommit, TableCreation, TableIdent,
};
use iceberg_catalog_rest::RestCatalog;

use super::failure::http_status;

/// The decorator.
#[derive(Debug)]
pub(super) struct RenewingRestCatalog {
    inner: RestCatalog,
    /// True if there are client credentials to get a new token with.
    renewable: bool,
}

impl RenewingRestCatalog {
    pub(super) fn new(inner: RestCatalog, renewable: bool) -> Self {
        Self { inner, renewable }
    }

    /// True if the token had expired and there is a new one now.
    async fn renewed(&self, error: &Error) -> bool {
        // 419 is what Iceberg's specification has for an expired token.
        self.renewable
            && matches!(http_status(error), Some(401 | 419))
            && self.inner.regenerate_token().await.is_ok()
    }
}

/// Asks, and asks once more if a renewed token may change the answer.
macro_rules! ask {
    ($self:ident, $question:expr) => {
        match $question.await {
            Err(error) if $self.renewed(&error).await => $question.await,
            answer => answer,
        }
    };
}

#[async_trait]
impl Catalog for RenewingRestCatalog {
    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        ask!(self, self.inner.list_namespaces(parent))
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.inner.create_namespace(namespace, properties).await
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        ask!(self, self.inner.get_namespace(namespace))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        ask!(self, self.inner.namespace_exists(namespace))
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.inner.update_namespace(namespace, properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.inner.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        ask!(self, self.inner.list_tables(namespace))
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<Table> {
        self.inner.create_table(namespace, creation).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        ask!(self, self.inner.load_table(table))
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.purge_table(table).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        ask!(self, self.inner.table_exists(table))
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.inner.rename_table(from, to).await
    }

    async fn register_table(&self, table: &TableIdent, metadata: String) -> Result<Table> {
        self.inner.register_table(table, metadata).await
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        match self.inner.update_table(commit).await {
            Err(error) if self.renewed(&error).await => Err(error.with_retryable(true)),
            answer => answer,
        }
    }
}
