//! Iceberg Sink Configuration: what is written to, and whether its commits can be trusted.

use super::{failed, without};
use crate::iceberg::{Answer, Probe};
use crate::verify::facts::{Facts, TableFacts, Work};
use crate::verify::report::Item;
use crate::verify::words::{bytes, count, span};

/// Iceberg's own defaults of the retries of a commit.
const NUM_RETRIES: &str = "4";

/// | item | warns | fails |
/// |---|---|---|
/// | catalog | there is none yet, and the first start may make it | it can't be opened |
/// | table | there is none yet, and the first start may make it | it can't be loaded, written, or lacks declared columns |
/// | append-only | others take rows away | a commit of this pipeline did something else than append |
/// | distribution | the table asks for what is not done | |
/// | upsert | | `write.upsert.enabled` |
/// | retries | none, for conflicts with others | |
/// | file size | many files that are much smaller than the target | |
/// | swap | refused, but not as a conflict; not tried; something could not be cleaned up | a stale commit has landed, or was reported to have; a commit failed or was not shown |
pub(super) fn items(facts: &Facts) -> Vec<Item> {
    let mut items = vec![catalog(facts), table(facts)];
    if let Some(table) = facts.table.seen() {
        items.push(append_only(table));
        items.push(distribution(table));
        items.push(upsert(table));
        items.push(retries(table));
        items.push(file_size(facts, table));
    }
    items.push(swap(facts));
    items
}

fn catalog(facts: &Facts) -> Item {
    const TITLE: &str = "catalog";
    let address = &facts.catalog_address;
    match &facts.catalog {
        Work::Done(took) => Item::pass(
            TITLE,
            format!("{address} has answered within {}", span(*took)),
        ),
        Work::Failed(trouble) if trouble.is_missing && facts.settings.table.create => Item::warn(
            TITLE,
            trouble.says.clone(),
            "the first start makes it; verify again then",
        ),
        Work::Failed(trouble) => failed(TITLE, trouble, "check the catalog.* settings"),
        work @ Work::Omitted(_) => without(TITLE, work, "the catalog"),
    }
}

fn table(facts: &Facts) -> Item {
    const TITLE: &str = "table";
    let settings = &facts.settings.table;
    let table = match &facts.table {
        Work::Done(table) => table,
        Work::Failed(trouble)
            if trouble.is_missing && settings.create && settings.columns.is_some() =>
        {
            return Item::warn(
                TITLE,
                trouble.says.clone(),
                "the first start makes it; verify again then",
            );
        }
        Work::Failed(trouble) => {
            return failed(TITLE, trouble, "check table.name and table.database");
        }
        work @ Work::Omitted(_) => return without(TITLE, work, "the catalog"),
    };
    if let Some(trouble) = &table.unfit {
        return failed(TITLE, trouble, "`calve run` would refuse it");
    }
    let columns = match settings.columns {
        Some(_) => "has the declared columns",
        None => "its own schema rules",
    };
    let provenance = match table.has_provenance {
        true => "and those of provenance",
        false => "but not those of provenance",
    };
    let evidence = format!(
        "{}, format v{}, {columns} {provenance}, in {}",
        facts.table_name, table.format_version, table.location
    );
    match table.has_provenance {
        true => Item::pass(TITLE, evidence),
        false => Item::warn(
            TITLE,
            evidence,
            "nobody can prove from the rows that each record is there once: add _topic string, _partition int, \
             _offset long",
        ),
    }
}

fn append_only(table: &TableFacts) -> Item {
    const TITLE: &str = "append-only";
    let snapshots = &table.snapshots;
    let listed = |snapshots: &[(i64, String)]| -> Vec<String> {
        let lines = snapshots.iter();
        lines
            .map(|(id, what)| format!("snapshot {id}: {what}"))
            .collect()
    };
    if !snapshots.ours_otherwise.is_empty() {
        return Item::fail(
            TITLE,
            "a commit of this pipeline is no append",
            "keep the table as it is: somebody has rewritten the history; `calve audit` tells what is missing",
        )
        .details(listed(&snapshots.ours_otherwise));
    }
    let evidence = format!(
        "{} of this pipeline, all appends",
        count(snapshots.ours, "snapshot")
    );
    if !snapshots.removals.is_empty() {
        return Item::warn(
            TITLE,
            format!("{evidence}; others have taken rows away"),
            "if that was meant to be, well; `calve audit` tells which records are gone",
        )
        .details(listed(&snapshots.removals));
    }
    Item::pass(
        TITLE,
        match snapshots.rewrites {
            0 => evidence,
            rewrites => format!("{evidence}; {} by others", count(rewrites, "compaction")),
        },
    )
}

fn distribution(table: &TableFacts) -> Item {
    const TITLE: &str = "distribution";
    let mode = table.properties.get("write.distribution-mode");
    let mode = mode.map_or("none", String::as_str);
    match (mode, table.is_sorted) {
        ("none", false) => Item::pass(TITLE, "none: each worker writes files of its own"),
        ("none", true) => Item::warn(
            TITLE,
            "the table has a sort order, which is not applied",
            "rows are in the order of arrival: let a compaction sort them",
        ),
        (mode, _) => Item::warn(
            TITLE,
            format!(
                "write.distribution-mode={mode} is not applied: each worker writes files of its own"
            ),
            "set it to none, or let a compaction bring rows together",
        ),
    }
}

fn upsert(table: &TableFacts) -> Item {
    const TITLE: &str = "upsert";
    match table.properties.get("write.upsert.enabled") {
        Some(value) if value.eq_ignore_ascii_case("true") => Item::fail(
            TITLE,
            "write.upsert.enabled=true",
            "calve appends every record, and other writers would replace rows: set the table property to false",
        ),
        Some(value) => Item::pass(TITLE, format!("write.upsert.enabled={value}")),
        None => Item::pass(TITLE, "off: every record is a row"),
    }
}

fn retries(table: &TableFacts) -> Item {
    const TITLE: &str = "commit retries";
    let set = table.properties.get("commit.retry.num-retries");
    let total = table.properties.get("commit.retry.total-timeout-ms");
    let total = match total.and_then(|ms| ms.parse().ok()) {
        Some(ms) => format!(
            ", and no longer than {} (commit.retry.total-timeout-ms)",
            span(std::time::Duration::from_millis(ms))
        ),
        None => String::new(),
    };
    match set.map_or(NUM_RETRIES, String::as_str) {
        "0" => Item::warn(
            TITLE,
            "commit.retry.num-retries=0: one conflict with another writer fails a checkpoint",
            "remove the table property: checkpoint.timeout is the limit then",
        ),
        retries if set.is_some() => Item::pass(
            TITLE,
            format!(
                "{retries} for conflicts with other writers{total}; else until checkpoint.timeout"
            ),
        ),
        _ => Item::pass(TITLE, format!("until checkpoint.timeout{total}")),
    }
}

fn file_size(facts: &Facts, table: &TableFacts) -> Item {
    const TITLE: &str = "file size";
    let target = format!("target {}", bytes(facts.settings.target_file_size));
    let Some(growth) = &table.growth else {
        return Item::pass(TITLE, target);
    };
    let evidence = format!(
        "{target}; {} a day of {} on average",
        count(growth.files_per_day, "file"),
        bytes(growth.file_bytes)
    );
    match growth.is_of_small_files() {
        false => Item::pass(TITLE, evidence),
        true => Item::warn(
            TITLE,
            evidence,
            "compact the table daily with another engine (rewrite_data_files), or raise checkpoint.interval",
        ),
    }
}

/// | failure | landed | the catalog said | verdict |
/// |---|---|---|---|
/// | yes | | | fail |
/// | no | any | | fail: another process's commit would be overwritten |
/// | no | none | done, to any | fail: it reports success for nothing |
/// | no | none | conflict, to all | pass |
/// | no | none | something else | warn |
fn swap(facts: &Facts) -> Item {
    const TITLE: &str = "compare-and-swap";
    let probe = match &facts.probe {
        Work::Done(probe) => probe,
        Work::Failed(trouble) => {
            let why = format!("not tried: {}", trouble.says);
            let advice = "let this user make tables in the namespace while it verifies, or leave it out with \
                          --no-probe";
            return Item::warn(
                TITLE,
                why,
                trouble.remedy.clone().unwrap_or(advice.to_owned()),
            );
        }
        work @ Work::Omitted(_) => return without(TITLE, work, "the catalog"),
    };
    let item = judged(TITLE, probe);
    match (&probe.left, probe.abandoned.as_slice()) {
        (None, []) => item,
        (left, abandoned) => {
            let mut details = item.details.clone();
            details.extend(
                left.iter()
                    .map(|left| format!("could not be removed: {left}")),
            );
            let old = abandoned.iter();
            details.extend(
                old.map(|table| format!("left behind by a verify that was killed: {table}")),
            );
            let advice = "drop what is named, with its files";
            let item = match item.advice {
                Some(_) => item,
                None => Item::warn(TITLE, item.evidence, advice),
            };
            item.details(details)
        }
    }
}

fn judged(title: &'static str, probe: &Probe) -> Item {
    let scratch = &probe.table;
    if let Some(failure) = &probe.failure {
        return Item::fail(
            title,
            format!("on scratch table {scratch}: {failure}"),
            "no commit of the pipeline could be proved: check the catalog and the warehouse behind it",
        );
    }
    if probe.stale.iter().any(|stale| stale.landed) {
        return Item::fail(
            title,
            "a commit that was built on an older table has landed, and another one is gone",
            "do not run more than one writer, nor a restart, on this catalog: it swaps without comparing, so commits \
             overwrite each other; look for a proxy, a cache or a version that ignores requirements",
        );
    }
    if probe
        .stale
        .iter()
        .any(|stale| stale.answer == Answer::Accepted)
    {
        return Item::fail(
            title,
            "success was reported for a commit that was refused",
            "calve reads back every commit, but others that write to this catalog lose theirs: look for what turns \
             its errors into success",
        );
    }
    let took = probe.commit.map_or(String::new(), |took| {
        format!("; a commit and its read-back took {}", span(took))
    });
    let refused = count(probe.stale.len() as u64, "stale commit");
    let others: Vec<String> = probe
        .stale
        .iter()
        .filter_map(|stale| match &stale.answer {
            Answer::Other(answer) => Some(answer.clone()),
            Answer::Accepted | Answer::Conflict => None,
        })
        .collect();
    match others.is_empty() {
        true => Item::pass(title, format!("{refused} refused, on a scratch table{took}")),
        false => Item::warn(
            title,
            format!("{refused} refused, but not as a conflict{took}"),
            "calve reads the table back and goes on, after a pause for each such answer; let the catalog answer 409",
        )
        .details(others),
    }
}
