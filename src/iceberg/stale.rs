//! A catalog that shows a table as it was: what a process does that has slept through the commits of others.
//!
//! A transaction of the library loads the table before each attempt, so nothing built with it is ever stale. Behind
//! this decorator it is.

use std::sync::Arc;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{Catalog, Error, ErrorKind, Result, TableCommit, TableIdent};

use super::swaps::Swaps;

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
impl Swaps for StaleCatalog {
    async fn load(&self, table: &TableIdent) -> Result<Table> {
        match table == self.shown.identifier() {
            true => Ok(self.shown.clone()),
            false => forbidden(),
        }
    }

    async fn swap(&self, commit: TableCommit) -> Result<Table> {
        match commit.identifier() == self.shown.identifier() {
            true => self.inner.update_table(commit).await,
            false => forbidden(),
        }
    }
}
