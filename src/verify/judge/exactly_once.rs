//! Exactly-Once Guarantee: what the table itself proves. The judgement is the audit's.

use indicatif::HumanCount;

use super::{failed, without};
use crate::audit::{self, Subject};
use crate::verify::facts::{Facts, TableFacts, Work};
use crate::verify::report::Item;
use crate::verify::words::count;

/// Findings that are named.
const NAMED: usize = 10;

/// | item | warns | fails |
/// |---|---|---|
/// | each check of the audit | the table lacks what it needs | the audit fails it |
/// | rows per checkpoint | | (what could be wrong with them, the audit's checks say) |
/// | keys | | two rows have one key |
pub(super) fn items(facts: &Facts) -> Vec<Item> {
    let table = match &facts.table {
        Work::Done(table) => table,
        work => return vec![without("audit", work, "the table")],
    };
    let report = match &table.audit {
        Work::Done(report) => report,
        Work::Failed(trouble) => {
            return vec![failed("audit", trouble, "see what `calve audit` says")];
        }
        work @ Work::Omitted(_) => return vec![without("audit", work, "the table")],
    };
    let mut items: Vec<Item> = report
        .checks
        .iter()
        .map(|check| judged(report, check))
        .collect();
    items.extend(rows_per_marker(table));
    items.extend(keys(table));
    items
}

fn judged(report: &audit::Report, check: &audit::Check) -> Item {
    let (title, evidence) = (check.check.title(), check.evidence.clone());
    match check.verdict {
        audit::Verdict::Pass => Item::pass(title, evidence),
        audit::Verdict::Unchecked => Item::warn(title, evidence, unproved(check.check)),
        audit::Verdict::Fail => {
            let findings = report.findings.iter().filter(|f| f.check == check.check);
            let mut lines: Vec<String> = findings.map(ToString::to_string).collect();
            let more = lines.len().saturating_sub(NAMED);
            lines.truncate(NAMED);
            if more > 0 {
                lines.push(format!("and {more} more: `calve audit --json` shows all"));
            }
            Item::fail(title, evidence, check.check.advice()).details(lines)
        }
    }
}

/// What to do about a check that nothing can be said about.
fn unproved(subject: Subject) -> &'static str {
    match subject {
        Subject::Placement | Subject::Duplicates | Subject::Completeness => {
            "nothing to be done for the rows that are there; a table with _topic, _partition and _offset (table.provenance) \
             proves it"
        }
        Subject::Places | Subject::Order | Subject::Ranges | Subject::Files | Subject::Counts => {
            "keep snapshots for longer (snapshots.max-age): what expired ones said can't be checked any more"
        }
    }
}

fn rows_per_marker(table: &TableFacts) -> Option<Item> {
    let history = table.history.as_ref()?;
    let commits = history.checkpoints.iter().filter(|c| c.files > 0);
    let mut rows: Vec<u64> = commits.map(|c| c.records).collect();
    rows.sort_unstable();
    let (least, most) = (rows.first()?, rows.last()?);
    let median = rows[rows.len() / 2];
    Some(Item::pass(
        "rows per checkpoint",
        format!(
            "{} in {}: {} to {}, median {}",
            count(rows.iter().sum(), "row"),
            count(rows.len() as u64, "checkpoint"),
            HumanCount(*least),
            HumanCount(*most),
            HumanCount(median),
        ),
    ))
}

fn keys(table: &TableFacts) -> Option<Item> {
    const TITLE: &str = "no key is there twice";
    let keys = match &table.keys {
        Work::Done(keys) => keys,
        Work::Failed(trouble) => return Some(failed(TITLE, trouble, "check --key")),
        Work::Omitted(_) => return None,
    };
    let columns = keys.columns.join(", ");
    let nulls = match keys.null_rows {
        0 => String::new(),
        rows => format!("; {} with a null in it not compared", count(rows, "row")),
    };
    let evidence = format!("{columns} of {}{nulls}", count(keys.rows, "row"));
    if keys.duplicates == 0 {
        return Some(Item::pass(TITLE, evidence));
    }
    let mut lines: Vec<String> = keys
        .sample
        .iter()
        .map(|(key, rows)| format!("{key}: {}", count(*rows, "row")))
        .collect();
    let more = keys.duplicates - keys.sample.len() as u64;
    if more > 0 {
        lines.push(format!("and {} more", HumanCount(more)));
    }
    let evidence = format!(
        "{evidence}: {} twice or more, {} too many",
        count(keys.duplicates, "key"),
        count(keys.rows_too_many, "row")
    );
    let advice = "if `no record is there twice` passes, the producer has sent them twice (enable.idempotence), under \
                  two offsets: they are two records; the dataflow `dedup` keeps the first of each key";
    Some(Item::fail(TITLE, evidence, advice).details(lines))
}
