//! `calve audit`.

use std::fmt::Write as _;

use indicatif::HumanCount;

use super::args::AuditArgs;
use super::table;
use crate::audit::{self, PartitionReport, Report, Sample, Verdict};
use crate::error::{Error, Result};

/// Findings shown for each check; `--json` has them all.
const FINDINGS_SHOWN: usize = 10;

pub(super) fn run(args: &AuditArgs) -> Result<()> {
    let (settings, runtime) = table::prepare(&args.settings)?;
    let report = runtime.block_on(async {
        let table = table::load(&settings).await?;
        let facts = audit::observe(&table, &settings.pipeline.name).await?;
        Ok::<_, Error>(audit::judge(&facts))
    })?;
    if args.json {
        table::print_json(&report)?;
    } else {
        table::print(&text(&report))?;
    }
    match report.failed() {
        0 => Ok(()),
        failed => Err(Error::diverged(format!(
            "{failed} of {} checks failed",
            report.checks.len()
        ))),
    }
}

/// For people: a verdict a line, what is wrong below it, then the partitions.
fn text(report: &Report) -> String {
    let mut text = format!(
        "Table {}, pipeline {}{}\n\n",
        report.table,
        report.pipeline,
        match &report.marker {
            Some(marker) => format!(
                ", epoch {} of generation {}",
                marker.epoch, marker.generation
            ),
            None => String::new(),
        }
    );
    let titles = report.checks.iter().map(|check| check.check.title().len());
    let width = titles.max().unwrap_or(0);
    for check in &report.checks {
        let title = check.check.title();
        let _ = writeln!(
            text,
            "  {:4}  {title:width$}  {}",
            check.verdict, check.evidence
        );
        if check.verdict != Verdict::Fail {
            continue;
        }
        let findings = report.findings.iter().filter(|f| f.check == check.check);
        let count = findings.clone().count();
        for finding in findings.take(FINDINGS_SHOWN) {
            let _ = writeln!(text, "        {finding}");
        }
        if count > FINDINGS_SHOWN {
            let more = count - FINDINGS_SHOWN;
            let _ = writeln!(text, "        and {more} more: --json shows all");
        }
        let _ = writeln!(text, "        → {}", check.check.advice());
    }
    text.push('\n');
    text.push_str(&partitions(&report.partitions));
    let listed = |name: &str, sample: fn(&PartitionReport) -> Option<&Sample>| {
        let some = report
            .partitions
            .iter()
            .filter_map(|p| Some((p, sample(p)?)));
        let some = some.filter(|(_, sample)| sample.count > 0);
        let lines = some.map(|(p, sample)| format!("  {}[{}]: {sample}\n", p.topic, p.partition));
        match lines.collect::<String>() {
            lines if lines.is_empty() => lines,
            lines => format!("\n{name}:\n{lines}"),
        }
    };
    text.push_str(&listed(
        "Offsets without a row (rejects, transaction markers, compaction; see the last check for losses)",
        |p| p.without_row.as_ref(),
    ));
    text.push_str(&listed(
        "Offsets without a row, committed by snapshots that have expired",
        |p| p.without_row_before_first.as_ref(),
    ));
    text.push_str(&listed("Missing by decision (on-gap, on-rollback)", |p| {
        p.gaps.as_ref()
    }));
    for (index, note) in report.notes.iter().enumerate() {
        let _ = writeln!(text, "{}note: {note}", if index == 0 { "\n" } else { "" });
    }
    text
}

fn partitions(reports: &[PartitionReport]) -> String {
    let number = |value: Option<i64>| match value {
        Some(value) => HumanCount(value as u64).to_string(),
        None => "-".to_owned(),
    };
    let unsigned = |value: Option<u64>| number(value.map(|value| value as i64));
    let rows = reports.iter().map(|report| {
        [
            match report.topic_life {
                0 => report.topic.clone(),
                life => format!("{} ({})", report.topic, life + 1),
            },
            report.partition.to_string(),
            number(report.first),
            number(report.next),
            unsigned(report.rows),
            unsigned(report.distinct),
            number(report.min),
            number(report.max),
            unsigned(report.without_row.as_ref().map(|sample| sample.count)),
        ]
    });
    let names = [
        "topic",
        "partition",
        "first",
        "next",
        "rows",
        "distinct",
        "min",
        "max",
        "no row",
    ];
    table::aligned(&names, rows.collect())
}
