//! What files and rows say of the markers.

use indicatif::HumanCount;

use super::markers::wanted;
use super::{ALL_EXPIRED, NO_PROVENANCE, Outcome, count};
use crate::audit::chain::{Coverage, Place};
use crate::audit::facts::{Facts, Rows};
use crate::audit::offset_set::Tally;
use crate::audit::report::{Finding, Subject};

pub(super) fn files(facts: &Facts) -> Outcome {
    let mut findings = Vec::new();
    let (mut files, mut commits) = (0, 0);
    for (link, written) in facts.chain.iter().zip(&facts.written) {
        let marker = &link.marker;
        files += written.files;
        commits += u64::from(written.files > 0);
        if (u64::from(marker.files), marker.rows) != (written.files, written.rows)
            || marker.files_digest != written.digest
        {
            let what = format!(
                "{marker} stands for {} with {} (digest {}), its snapshot added {} with {} (digest {})",
                count(marker.files.into(), "file"),
                count(marker.rows, "row"),
                marker.files_digest,
                count(written.files, "file"),
                count(written.rows, "row"),
                written.digest,
            );
            findings.push(Finding::new(Subject::Files, what).of(marker));
        }
    }
    let rows = facts.rows.iter().flat_map(|rows| &rows.missing);
    findings.extend(
        rows.map(|path| {
            Finding::new(Subject::Files, "a data file of the table is gone").file(path)
        }),
    );
    if facts.chain.is_empty() && findings.is_empty() {
        return Err(ALL_EXPIRED.to_owned());
    }
    let (files, commits) = (count(files, "file"), count(commits, "commit"));
    Ok((findings, format!("{files} in {commits}")))
}

fn rows_of(facts: &Facts) -> Result<&Rows, String> {
    facts.rows.as_ref().ok_or_else(|| NO_PROVENANCE.to_owned())
}

pub(super) fn placement(facts: &Facts) -> Outcome {
    let rows = rows_of(facts)?;
    let findings = rows.strays.iter().map(|stray| {
        let what = match stray.offsets.count {
            0 => format!("rows with negative offsets, added by {}", stray.added_by),
            _ => format!(
                "outside of the ranges, in a file added by {}",
                stray.added_by
            ),
        };
        Finding::new(Subject::Placement, what)
            .at(&stray.at, stray.offsets.clone())
            .file(&stray.file)
    });
    let mut findings: Vec<_> = findings.collect();
    if rows.more_strays {
        findings.push(Finding::new(Subject::Placement, "and more of them"));
    }
    let all = rows.partitions.values().map(|tally| tally.rows).sum();
    unless_indistinct(rows, findings, count(all, "row"))
}

pub(super) fn duplicates(facts: &Facts) -> Outcome {
    let rows = rows_of(facts)?;
    let twice = rows
        .partitions
        .iter()
        .filter(|(_, tally)| !tally.repeated.is_empty());
    let findings = twice.map(|(at, tally)| {
        let extra = tally.rows - tally.negative - tally.present.len();
        let what = match extra {
            1 => "a row too many".to_owned(),
            _ => format!("{} rows too many", HumanCount(extra)),
        };
        Finding::new(Subject::Duplicates, what).at(at, &tally.repeated)
    });
    let findings = findings.collect();
    let distinct = rows
        .partitions
        .values()
        .map(|tally| tally.present.len())
        .sum();
    unless_indistinct(rows, findings, count(distinct, "distinct offset"))
}

/// Nothing was found: that says little if some rows could not be looked at.
fn unless_indistinct(rows: &Rows, findings: Vec<Finding>, evidence: String) -> Outcome {
    match rows.indistinct {
        rows if rows > 0 && findings.is_empty() => Err(format!(
            "{evidence}, but {} are of topics made anew, in files of other programs",
            count(rows, "row")
        )),
        _ => Ok((findings, evidence)),
    }
}

/// | rows in the ranges of a marker | |
/// |---|---|
/// | as many as it committed | nothing was lost |
/// | fewer | lost: offsets of these ranges that have no row, or some of them if the commit already left some out |
/// | more | rows that no commit wrote |
pub(super) fn completeness(facts: &Facts, coverage: &Coverage) -> Outcome {
    let Ok(rows) = rows_of(facts) else {
        return completeness_by_count(facts, coverage);
    };
    if facts.chain.is_empty() {
        return Err(ALL_EXPIRED.to_owned());
    }
    let none = Tally::default();
    let mut findings = Vec::new();
    let mut committed = 0;
    for (index, link) in facts.chain.iter().enumerate() {
        let marker = &link.marker;
        let wanted = wanted(index, link, coverage);
        let is_indistinct = |(place, _): &(Place, _)| coverage.was_remade(&place.at.topic);
        if rows.indistinct > 0 && wanted.iter().any(is_indistinct) {
            continue;
        }
        committed += marker.rows;
        let tally = |place| rows.partitions.get(place).unwrap_or(&none);
        let present = wanted
            .iter()
            .map(|(place, set)| set.common(&tally(place).present));
        let found: u64 = present.sum();
        if found == marker.rows {
            continue;
        }
        let numbers = format!(
            "{marker} committed {}, its ranges hold {} now",
            count(marker.rows, "row"),
            HumanCount(found)
        );
        if found > marker.rows {
            findings.push(Finding::new(Subject::Completeness, numbers).of(marker));
            continue;
        }
        let lost = marker.rows - found;
        let absent = wanted
            .iter()
            .map(|(place, set)| (place, set.without(&tally(place).present)));
        let absent: Vec<_> = absent.filter(|(_, absent)| !absent.is_empty()).collect();
        let candidates: u64 = absent.iter().map(|(_, absent)| absent.len()).sum();
        let what = match candidates == lost {
            true => format!("lost: {numbers}"),
            false => format!(
                "{} of {} offsets without a row are lost: {numbers}",
                HumanCount(lost),
                HumanCount(candidates)
            ),
        };
        findings.extend(absent.iter().map(|(place, absent)| {
            let finding = Finding::new(Subject::Completeness, what.clone());
            finding.at(place, absent).of(marker)
        }));
    }
    let mut evidence = count(committed, "row");
    if !coverage.complete {
        evidence.push_str(&format!(" since {}", facts.chain[0].marker));
    }
    unless_indistinct(rows, findings, evidence)
}

/// Without provenance columns rows are only a number; it tells something if nobody else wrote.
fn completeness_by_count(facts: &Facts, coverage: &Coverage) -> Outcome {
    let live = &facts.live;
    let why_not = if live.has_deletes {
        "it has delete files"
    } else if live.foreign_files > 0 {
        "other programs wrote files"
    } else if live.other_files > 0 {
        "other pipelines wrote files"
    } else if !coverage.complete {
        "snapshots have expired"
    } else {
        ""
    };
    if !why_not.is_empty() {
        return Err(format!("{NO_PROVENANCE}, and {why_not}"));
    }
    let committed: u64 = facts.chain.iter().map(|link| link.marker.rows).sum();
    let mut findings = Vec::new();
    if committed != live.rows {
        let what = format!(
            "{} were committed, the table has {}",
            count(committed, "row"),
            HumanCount(live.rows)
        );
        findings.push(Finding::new(Subject::Completeness, what));
    }
    Ok((
        findings,
        format!("{}, by count alone", count(committed, "row")),
    ))
}
