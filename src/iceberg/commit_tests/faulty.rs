//! A catalog with the real one inside, and a list of what shall go wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{Catalog, Error, ErrorKind, Result, TableCommit, TableIdent};

use crate::iceberg::StagedFile;
use crate::iceberg::swaps::{Swapping, Swaps};
use crate::iceberg::testing::foreign_append;

/// What happens to one swap.
#[derive(Debug)]
pub enum Swap {
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out, and the answer is a conflict: a proxy has replayed the request.
    ConflictOfItsOwn,
    /// Success is reported, nothing is carried out.
    Lie,
    /// It is refused for good.
    BadRequest,
    /// The request does not arrive now, but when `deliver` is called.
    Late,
    /// Another program appends these files just before it.
    AfterForeignAppend(Vec<StagedFile>),
    /// It does not arrive at all.
    Dropped,
}

/// The catalog double.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Catalog>,
    swaps: Mutex<VecDeque<Swap>>,
    late: Mutex<Vec<TableCommit>>,
    failing_loads: Mutex<u32>,
    seen: Mutex<u32>,
    hang: Mutex<Hang>,
}

/// Whether loads are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Hang {
    #[default]
    No,
    AfterNextSwap,
    Now,
}

impl Faulty {
    pub fn new(
        inner: &Arc<dyn Catalog>,
        swaps: impl IntoIterator<Item = Swap>,
    ) -> Arc<Swapping<Self>> {
        Arc::new(Swapping(Self {
            inner: Arc::clone(inner),
            swaps: Mutex::new(swaps.into_iter().collect()),
            late: Mutex::default(),
            failing_loads: Mutex::default(),
            seen: Mutex::default(),
            hang: Mutex::default(),
        }))
    }

    pub fn script(&self, swaps: impl IntoIterator<Item = Swap>) {
        self.swaps.lock().unwrap().extend(swaps);
    }

    /// From now on nothing goes wrong.
    pub fn swaps_are_over(&self) {
        self.swaps.lock().unwrap().clear();
    }

    /// The catalog falls silent after one more swap.
    pub fn hang_after_next_swap(&self) {
        *self.hang.lock().unwrap() = Hang::AfterNextSwap;
    }

    /// It answers again.
    pub fn hang_no_more(&self) {
        *self.hang.lock().unwrap() = Hang::No;
    }

    /// How many swaps were asked for.
    pub fn seen(&self) -> u32 {
        *self.seen.lock().unwrap()
    }

    /// The next `count` loads fail.
    pub fn fail_loads(&self, count: u32) {
        *self.failing_loads.lock().unwrap() = count;
    }

    /// Delivers the requests that were late; says which were carried out.
    pub async fn deliver(&self) -> Vec<bool> {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        let mut carried_out = Vec::new();
        for commit in late {
            carried_out.push(self.inner.update_table(commit).await.is_ok());
        }
        carried_out
    }

    async fn carry_out(&self, swap: Option<Swap>, commit: TableCommit) -> Result<Table> {
        match swap {
            None => self.inner.update_table(commit).await,
            Some(Swap::AnswerLost) => {
                self.inner.update_table(commit).await?;
                Err(reset())
            }
            Some(Swap::ConflictOfItsOwn) => {
                self.inner.update_table(commit).await?;
                Err(Error::new(ErrorKind::CatalogCommitConflicts, "409").with_retryable(true))
            }
            Some(Swap::Lie) => self.inner.load_table(commit.identifier()).await,
            Some(Swap::BadRequest) => Err(Error::new(ErrorKind::Unexpected, "unexpected status")
                .with_context("status", "400 Bad Request")),
            Some(Swap::Late) => {
                self.late.lock().unwrap().push(commit);
                Err(reset())
            }
            Some(Swap::AfterForeignAppend(files)) => {
                foreign_append(self.inner.as_ref(), commit.identifier(), &files).await;
                self.inner.update_table(commit).await
            }
            Some(Swap::Dropped) => Err(reset()),
        }
    }
}

fn reset() -> Error {
    Error::new(ErrorKind::Unexpected, "connection reset by peer")
}

#[async_trait]
impl Swaps for Faulty {
    async fn load(&self, table: &TableIdent) -> Result<Table> {
        if *self.hang.lock().unwrap() == Hang::Now {
            std::future::pending::<()>().await;
        }
        {
            let mut failing = self.failing_loads.lock().unwrap();
            if *failing > 0 {
                *failing -= 1;
                return Err(reset());
            }
        }
        self.inner.load_table(table).await
    }

    async fn swap(&self, commit: TableCommit) -> Result<Table> {
        *self.seen.lock().unwrap() += 1;
        let swap = self.swaps.lock().unwrap().pop_front();
        let answer = self.carry_out(swap, commit).await;
        let mut hang = self.hang.lock().unwrap();
        if *hang == Hang::AfterNextSwap {
            *hang = Hang::Now;
        }
        answer
    }

    fn beyond(&self) -> Result<&dyn Catalog> {
        Ok(self.inner.as_ref())
    }
}
