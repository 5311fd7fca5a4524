//! Does the catalog's compare-and-swap compare? All of exactly-once rests on it, so it is asked, on a scratch table.
//!
//! ```text
//!   create ─▶ commit 1 ─▶ one on the empty table ─▶ commit 2 ─▶ one on the table after commit 1 ─▶ drop, purge
//!                │             ╳ refused?              │             ╳ refused?
//!            read back      read back              read back      read back: commit 2 is still the newest, and
//!                                                                            nothing else has landed
//! ```
//!
//! Two stale commits, because where nothing is compared they meet different obstacles: one that builds on a snapshot
//! carries a sequence number that is taken, which most catalogs refuse by itself; one that builds on the empty table
//! replaces what came first, and nothing but the comparison keeps it out.
//!
//! The commits are empty, and to the scratch table only. It is dropped whatever happens, and its files are deleted: the
//! ones of refused commits too, which no metadata names. What a killed process left behind, the next one finds by its
//! name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iceberg::spec::{FormatVersion, NestedField, PrimitiveType, Schema, TableProperties, Type};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, ErrorKind, NamespaceIdent, TableCreation, TableIdent};
use tokio::time::timeout;
use uuid::Uuid;

use super::failure::{describe, external, http_status};
use super::stale::StaleCatalog;
use super::swaps::Swapping;
use crate::error::{Error, Result};

/// How the names of scratch tables begin.
const PREFIX: &str = "calve_verify_";
/// The entry in a snapshot's summary that tells the probe's commits apart.
const LABEL: &str = "calve.verify";
/// What stands there of those that must not land.
const STALE: &str = "stale";
/// So much is told of what a catalog says; some send their stack.
const LETTERS_TOLD: usize = 300;
/// How long the commits of a probe may take in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the scratch table's removal may take.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(30);
/// A scratch table that is older than this is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(600);

/// What a catalog says to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Accepted,
    /// Refused: somebody else was faster.
    Conflict,
    /// Refused, or lost, for another reason.
    Other(String),
}

impl Answer {
    fn of(answer: &iceberg::Result<Table>) -> Self {
        match answer {
            Ok(_) => Self::Accepted,
            Err(error)
                if error.kind() == ErrorKind::CatalogCommitConflicts
                    || http_status(error) == Some(409) =>
            {
                Self::Conflict
            }
            Err(error) => Self::Other(described(error)),
        }
    }
}

/// A commit that was built on an older table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleCommit {
    /// What the catalog said.
    pub answer: Answer,
    /// Whether the table shows it all the same.
    pub landed: bool,
}

/// What a probe has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The scratch table's name.
    pub table: String,
    /// How long a commit took, with reading it back.
    pub commit: Option<Duration>,
    /// What became of commits that must not land.
    pub stale: Vec<StaleCommit>,
    /// Why it ended before its end.
    pub failure: Option<String>,
    /// What could not be cleaned up, and why.
    pub left: Option<String>,
    /// Scratch tables of processes that were killed.
    pub abandoned: Vec<String>,
}

/// Probes the catalog with a scratch table in this namespace. An error means that the table could not be made.
pub async fn probe(catalog: &Arc<dyn Catalog>, namespace: &NamespaceIdent) -> Result<Probe> {
    let name = name(chrono::Utc::now().timestamp(), Uuid::new_v4());
    let ident = TableIdent::new(namespace.clone(), name);
    let mut probe = Probe {
        table: ident.to_string(),
        abandoned: abandoned(&**catalog, namespace).await,
        ..Probe::default()
    };
    let created = match timeout(PATIENCE, create(&**catalog, &ident)).await {
        Ok(created) => created
            .map_err(|error| external(format!("scratch table {ident} can't be made"), &error)),
        Err(_elapsed) => Err(Error::external(format!(
            "scratch table {ident} can't be made: no answer in {} s",
            PATIENCE.as_secs()
        ))),
    };
    match created {
        Ok(table) => {
            let commits = timeout(PATIENCE, commits(catalog, &table, &mut probe)).await;
            probe.failure = match commits {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_elapsed) => Some(format!("no answer in {} s", PATIENCE.as_secs())),
            };
            probe.left = clean_up(&**catalog, &table).await;
            Ok(probe)
        }
        Err(error) => {
            // The answer may have been lost, and the table be there.
            if let Ok(Ok(table)) = timeout(CLEANUP_PATIENCE, catalog.load_table(&ident)).await {
                clean_up(&**catalog, &table).await;
            }
            Err(error)
        }
    }
}

/// Named by the second it was made in: a table that is left behind tells how old it is.
fn name(seconds: i64, unique: Uuid) -> String {
    format!("{PREFIX}{seconds}_{}", &unique.simple().to_string()[..12])
}

/// When the scratch table of this name was made.
fn made_at(name: &str) -> Option<i64> {
    let (seconds, _) = name.strip_prefix(PREFIX)?.split_once('_')?;
    seconds.parse().ok()
}

async fn abandoned(catalog: &dyn Catalog, namespace: &NamespaceIdent) -> Vec<String> {
    let tables = timeout(CLEANUP_PATIENCE, catalog.list_tables(namespace)).await;
    let oldest_alive = chrono::Utc::now().timestamp() - ABANDONED.as_secs() as i64;
    // A catalog that forbids the question has nothing to say about them.
    let tables = tables.into_iter().flatten().flatten();
    tables
        .filter(|table| made_at(table.name()).is_some_and(|at| at < oldest_alive))
        .map(|table| table.to_string())
        .collect()
}

async fn create(catalog: &dyn Catalog, ident: &TableIdent) -> iceberg::Result<Table> {
    let column = NestedField::optional(1, "probe", Type::Primitive(PrimitiveType::Long));
    let schema = Schema::builder().with_fields([Arc::new(column)]).build()?;
    // One attempt a commit: the answer to it is what the probe is about.
    let retries = TableProperties::PROPERTY_COMMIT_NUM_RETRIES.to_owned();
    let creation = TableCreation::builder()
        .name(ident.name().to_owned())
        .schema(schema)
        .properties(HashMap::from([(retries, "0".to_owned())]))
        .format_version(FormatVersion::V2)
        .build();
    catalog.create_table(ident.namespace(), creation).await
}

/// Makes the commits, and fills in what is seen; an error says why the rest was left out.
async fn commits(
    catalog: &Arc<dyn Catalog>,
    created: &Table,
    probe: &mut Probe,
) -> Result<(), String> {
    let mut base = created.clone();
    for label in ["first", "second"] {
        let began = Instant::now();
        let answer = append(&base, &**catalog, label).await;
        let newest = read_back(&**catalog, created).await?;
        if newest_label(&newest) != Some(label) {
            return Err(match answer {
                Err(error) => format!("a commit to it failed: {}", described(&error)),
                Ok(_) => "the catalog reported success for a commit that a reload does not show"
                    .to_owned(),
            });
        }
        probe.commit = Some(began.elapsed());
        probe
            .stale
            .push(stale_commit(catalog, base, &newest).await?);
        base = newest;
    }
    Ok(())
}

/// A commit on an older version of the table.
async fn stale_commit(
    catalog: &Arc<dyn Catalog>,
    shown: Table,
    newest: &Table,
) -> Result<StaleCommit, String> {
    let stale = Swapping(StaleCatalog {
        inner: Arc::clone(catalog),
        shown: shown.clone(),
    });
    let answer = Answer::of(&append(&shown, &stale, STALE).await);
    let found = read_back(&**catalog, newest).await?;
    let mut snapshots = found.metadata().snapshots();
    let is_there = snapshots.any(|snapshot| label_of(snapshot) == Some(STALE));
    let is_other =
        newest.metadata().current_snapshot_id() != found.metadata().current_snapshot_id();
    Ok(StaleCommit {
        answer,
        landed: is_there || is_other,
    })
}

/// An empty commit: a snapshot that adds nothing, as a claim makes one.
async fn append(table: &Table, catalog: &dyn Catalog, label: &str) -> iceberg::Result<Table> {
    let transaction = Transaction::new(table);
    let summary = HashMap::from([(LABEL.to_owned(), label.to_owned())]);
    let append = transaction
        .fast_append()
        .with_check_duplicate(false)
        .set_snapshot_properties(summary);
    append.apply(transaction)?.commit(catalog).await
}

async fn read_back(catalog: &dyn Catalog, table: &Table) -> Result<Table, String> {
    let loaded = catalog.load_table(table.identifier()).await;
    loaded.map_err(|error| format!("it can't be read back: {}", described(&error)))
}

/// The beginning of what an error says.
fn described(error: &iceberg::Error) -> String {
    let text = describe(error);
    match text.char_indices().nth(LETTERS_TOLD) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

fn newest_label(table: &Table) -> Option<&str> {
    label_of(table.metadata().current_snapshot()?)
}

fn label_of(snapshot: &iceberg::spec::Snapshot) -> Option<&str> {
    let summary = &snapshot.summary().additional_properties;
    summary.get(LABEL).map(String::as_str)
}

/// Drops the scratch table and deletes its files; says what is left, and why.
async fn clean_up(catalog: &dyn Catalog, table: &Table) -> Option<String> {
    let cleaning = async {
        let ident = table.identifier();
        if catalog.purge_table(ident).await.is_err()
            && let Err(error) = catalog.drop_table(ident).await
            && catalog.table_exists(ident).await.unwrap_or(true)
        {
            return Some(format!("table {ident}: {}", describe(&error)));
        }
        let location = table.metadata().location();
        // A location that does not bear the name may be shared with others.
        if !location.contains(ident.name()) {
            return Some(format!("the files of refused commits below {location}"));
        }
        let deleted = table.file_io().delete_prefix(location).await;
        deleted
            .err()
            .map(|error| format!("files below {location}: {}", describe(&error)))
    };
    let cleaned = timeout(CLEANUP_PATIENCE, cleaning).await;
    cleaned.unwrap_or_else(|_| Some(format!("table {}: no answer", table.identifier())))
}

#[cfg(test)]
mod tests;
