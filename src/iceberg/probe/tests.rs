use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use iceberg::{Error, Result, TableCommit};

use super::*;
use crate::iceberg::listing::list;
use crate::iceberg::swaps::Swaps;
use crate::iceberg::testing::World;

/// A catalog that swaps without comparing.
#[derive(Debug)]
struct Careless {
    inner: Arc<dyn Catalog>,
    /// It loses swaps as well, and says that they succeeded.
    forgetful: AtomicBool,
}

#[async_trait]
impl Swaps for Careless {
    async fn load(&self, table: &TableIdent) -> Result<Table> {
        self.inner.load_table(table).await
    }

    async fn swap(&self, mut commit: TableCommit) -> Result<Table> {
        commit.take_requirements();
        match self.forgetful.load(Ordering::Relaxed) {
            true => self.inner.load_table(commit.identifier()).await,
            false => self.inner.update_table(commit).await,
        }
    }

    async fn purge(&self, _: &TableIdent) -> Result<()> {
        Err(Error::new(ErrorKind::FeatureUnsupported, "no purging here"))
    }

    fn beyond(&self) -> Result<&dyn Catalog> {
        Ok(self.inner.as_ref())
    }
}

/// Neither a table nor a file of the probe is left.
async fn assert_clean(world: &World, probe: &Probe) {
    assert_eq!(probe.left, None);
    let tables = world.catalog.list_tables(world.ident.namespace()).await;
    assert_eq!(tables.unwrap(), std::slice::from_ref(&world.ident));
    let name = probe.table.rsplit('.').next().unwrap();
    let table = world.table().await;
    let (warehouse, _) = table.metadata().location().rsplit_once('/').unwrap();
    let found = list(table.file_io(), warehouse, |_| true);
    let files = found.await.unwrap().found;
    assert!(!files.is_empty(), "the other table's are there");
    assert!(
        files.iter().all(|file| !file.path.contains(name)),
        "{files:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_compares_refuses_what_is_stale_and_nothing_is_left() {
    let world = World::new().await;
    let probe = probe(&world.catalog, world.ident.namespace())
        .await
        .unwrap();
    assert_eq!(probe.failure, None);
    assert!(probe.commit.is_some());
    let refused = StaleCommit {
        answer: Answer::Conflict,
        landed: false,
    };
    assert_eq!(probe.stale, [refused.clone(), refused]);
    assert_clean(&world, &probe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_swaps_without_comparing_is_found_out_and_nothing_is_left() {
    let world = World::new().await;
    let careless: Arc<dyn Catalog> = Arc::new(Swapping(Careless {
        inner: Arc::clone(&world.catalog),
        forgetful: AtomicBool::new(false),
    }));
    let probe = probe(&careless, world.ident.namespace()).await.unwrap();
    assert!(probe.stale.iter().any(|stale| stale.landed), "{probe:?}");
    assert_clean(&world, &probe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_reports_success_for_nothing_is_found_out_and_nothing_is_left() {
    let world = World::new().await;
    let forgetful: Arc<dyn Catalog> = Arc::new(Swapping(Careless {
        inner: Arc::clone(&world.catalog),
        forgetful: AtomicBool::new(true),
    }));
    let probe = probe(&forgetful, world.ident.namespace()).await.unwrap();
    let failure = probe.failure.clone().expect("it has failed");
    assert!(failure.contains("a reload does not show"), "{failure}");
    assert_clean(&world, &probe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_table_that_a_killed_process_has_left_is_named_and_left_alone() {
    let world = World::new().await;
    let namespace = world.ident.namespace().clone();
    let now = chrono::Utc::now().timestamp();
    let table = |at| TableIdent::new(namespace.clone(), name(at, Uuid::new_v4()));
    // One is old, the other one may be somebody's who verifies at this moment.
    let (old, young) = (table(now - 3_600), table(now));
    for ident in [&old, &young] {
        create(&*world.catalog, ident).await.unwrap();
    }
    let probe = probe(&world.catalog, &namespace).await.unwrap();
    assert_eq!(probe.abandoned, [old.to_string()]);
    assert!(world.catalog.table_exists(&old).await.unwrap());
}

#[test]
fn a_scratch_table_tells_when_it_was_made() {
    let made = name(1_764_000_000, Uuid::nil());
    assert_eq!(made, "calve_verify_1764000000_000000000000");
    assert_eq!(made_at(&made), Some(1_764_000_000));
    assert_eq!(made_at("calve_verify_samples"), None);
    assert_eq!(made_at("samples"), None);
}
