//! Facts → report. Nothing here reads anything.

mod markers;
mod rows;

use std::ops::Range;

use indicatif::HumanCount;

use super::chain::{Coverage, Covered};
use super::facts::Facts;
use super::offset_set::{OffsetSet, Tally};
use super::report::{Check, Finding, PartitionReport, Report, Sample, Subject, Verdict};
use crate::checkpoint::marker::Marker;

const NO_PROVENANCE: &str = "the table has no provenance columns";
const ALL_EXPIRED: &str = "all snapshots with a marker have expired";

/// What a check came to: what is wrong, and what was looked at. An error says why nothing could be.
type Outcome = Result<(Vec<Finding>, String), String>;

/// Judges.
///
/// | check | fails if |
/// |---|---|
/// | places | a new process would refuse to start on this table |
/// | order | (generation, epoch) does not grow, or a parent is not the marker before |
/// | ranges | between two ranges of a partition, or the last and the property's next offset, offsets are left out that no marker says are missing by decision, or covered twice |
/// | files | a snapshot added other files, or other rows, than its marker says |
/// | counts | a marker has more rows than its ranges have offsets |
/// | placement | a row lies outside of the ranges that its file's origin may have |
/// | duplicates | an offset has two rows |
/// | completeness | the ranges of a marker hold more or fewer rows now than it committed |
pub fn judge(facts: &Facts) -> Report {
    let coverage = facts.coverage();
    let mut report = Report {
        table: facts.table.clone(),
        pipeline: facts.pipeline.clone(),
        marker: property(facts).map(Into::into),
        checks: Vec::new(),
        findings: Vec::new(),
        partitions: partitions(facts, &coverage),
        notes: notes(facts, &coverage),
    };
    for check in Subject::ALL {
        let outcome = match check {
            Subject::Places => markers::places(facts),
            Subject::Order => markers::order(facts),
            Subject::Ranges => markers::ranges(facts, &coverage),
            Subject::Files => rows::files(facts),
            Subject::Counts => markers::counts(facts, &coverage),
            Subject::Placement => rows::placement(facts),
            Subject::Duplicates => rows::duplicates(facts),
            Subject::Completeness => rows::completeness(facts, &coverage),
        };
        let (verdict, evidence) = match outcome {
            Err(why) => (Verdict::Unchecked, why),
            Ok((findings, evidence)) => {
                let verdict = match findings.is_empty() {
                    true => Verdict::Pass,
                    false => Verdict::Fail,
                };
                report.findings.extend(findings);
                (verdict, evidence)
            }
        };
        report.checks.push(Check {
            check,
            verdict,
            evidence,
        });
    }
    report
}

fn property(facts: &Facts) -> Option<&Marker> {
    let recorded = facts.observed.property.as_ref();
    recorded.map(|recorded| &recorded.marker)
}

fn partitions(facts: &Facts, coverage: &Coverage) -> Vec<PartitionReport> {
    let partitions = coverage.partitions.iter();
    let reports = partitions.map(|(place, covered)| {
        let mut report = PartitionReport {
            topic: place.at.topic.clone(),
            partition: place.at.partition,
            topic_life: place.life,
            first: covered.first(),
            next: covered.end(),
            gaps: (!covered.gaps.is_empty()).then(|| Sample::from(&covered.gaps)),
            ..PartitionReport::default()
        };
        if let Some(rows) = &facts.rows {
            let none = Tally::default();
            let tally = rows.partitions.get(place).unwrap_or(&none);
            report.rows = Some(tally.rows);
            report.distinct = Some(tally.present.len());
            report.min = tally.present.first();
            report.max = tally.present.last();
            let without = |range| without_row(range, covered, tally);
            if let (Some(first), Some(end)) = (covered.first(), covered.end()) {
                report.without_row = Some(Sample::from(&without(first..end)));
            }
            let expired = coverage.expired(place);
            let lowest = tally.present.first().unwrap_or(expired.end);
            let below = without(lowest.max(expired.start)..expired.end);
            if !below.is_empty() {
                report.without_row_before_first = Some(Sample::from(&below));
            }
        }
        report
    });
    reports.collect()
}

fn without_row(range: Range<i64>, covered: &Covered, tally: &Tally) -> OffsetSet {
    let all = OffsetSet::from(range);
    all.without(&covered.gaps).without(&tally.present)
}

fn notes(facts: &Facts, coverage: &Coverage) -> Vec<String> {
    let mut notes = Vec::new();
    if !coverage.complete {
        notes.push(match facts.chain.first() {
            Some(oldest) => format!(
                "snapshots before {} have expired: what they committed is checked for duplicates by \
                 its rows, but whether rows of it are missing can't be told",
                oldest.marker
            ),
            None => "all snapshots with a marker have expired: rows are checked for duplicates and \
                     against the property's next offsets, but whether some are missing can't be told"
                .to_owned(),
        });
    }
    if let Some(rows) = &facts.rows {
        for (rows, what) in [
            (
                rows.anonymous,
                "without provenance: other programs wrote them",
            ),
            (
                rows.indistinct,
                "in files of other programs, of topics that were made anew: which of them can't be told",
            ),
            (
                rows.unrelated,
                "of topics that this pipeline has never read",
            ),
            (
                rows.others,
                "of other pipelines: audit them under their pipeline.name",
            ),
        ] {
            if rows > 0 {
                notes.push(format!("{} {what}", count(rows, "row")));
            }
        }
    } else {
        notes.push(format!(
            "{NO_PROVENANCE} ({}): only what markers and manifests say can be checked",
            "_topic, _partition, _offset"
        ));
    }
    notes
}

/// `1 row`, `2,000 rows`
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}
