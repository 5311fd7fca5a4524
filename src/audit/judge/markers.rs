//! What the markers say of each other.

use super::{ALL_EXPIRED, Outcome, count, property};
use crate::audit::chain::{Coverage, Place};
use crate::audit::facts::Facts;
use crate::audit::offset_set::OffsetSet;
use crate::audit::report::{Finding, Subject};
use crate::checkpoint::decisions::{Start, decide_start};
use crate::config::OnRollback;
use crate::iceberg::Link;
use crate::offsets::TopicPartition;
use indicatif::HumanCount;

pub(super) fn places(facts: &Facts) -> Outcome {
    match decide_start(&facts.observed, OnRollback::Halt) {
        Start::Resume(marker) => {
            let (epoch, generation) = (marker.epoch, marker.generation);
            Ok((
                Vec::new(),
                format!("epoch {epoch} of generation {generation}"),
            ))
        }
        Start::Refuse(refusal) => {
            let mut finding = Finding::new(Subject::Places, refusal.to_string());
            if let Some(marker) = property(facts) {
                finding = finding.of(marker);
            }
            Ok((vec![finding], "a new process would not start".to_owned()))
        }
        // The reading room refuses the first; who halts does not recover.
        Start::Fresh | Start::Recover(_) => Err("there is no marker".to_owned()),
    }
}

/// | marker | and the one before it | |
/// |---|---|---|
/// | a claim | generation + 1 or more, same epoch or a later one | follows |
/// | a commit | same generation, a later epoch | follows |
/// | | anything else | out of order |
/// | parent is the one before | | follows |
/// | parent is another one, or none | | does not follow |
pub(super) fn order(facts: &Facts) -> Outcome {
    let mut findings = Vec::new();
    for pair in facts.chain.windows(2) {
        let (before, after) = (&pair[0].marker, &pair[1].marker);
        if after.rank() <= before.rank() || after.epoch < before.epoch {
            let what = format!("{after} comes after {before}");
            findings.push(Finding::new(Subject::Order, what).of(after));
        }
        if after.parent.as_ref() != Some(&before.id) {
            let parent = match &after.parent {
                Some(parent) => format!("names {parent} as its parent"),
                None => "names no parent".to_owned(),
            };
            let what = format!("{after} {parent}, the marker before it is {before}");
            findings.push(Finding::new(Subject::Order, what).of(after));
        }
    }
    let generations = |link: Option<&Link>| link.map(|l| l.marker.generation.0);
    let evidence = match (
        generations(facts.chain.first()),
        generations(facts.chain.last()),
    ) {
        (Some(first), Some(last)) => {
            let markers = count(facts.chain.len() as u64, "marker");
            match first == last {
                true => format!("{markers}, generation {first}"),
                false => format!("{markers}, generations {first} to {last}"),
            }
        }
        _ => return Err(ALL_EXPIRED.to_owned()),
    };
    Ok((findings, evidence))
}

/// | one range ends at | the next begins at | offsets between | |
/// |---|---|---|---|
/// | 9 | 9 | | joins |
/// | 9 | 12 | missing by decision | joins |
/// | 9 | 12 | not so | gap |
/// | 9 | 7 | | overlap |
///
/// The property's next offset is the beginning of a last, empty range.
pub(super) fn ranges(facts: &Facts, coverage: &Coverage) -> Outcome {
    let check = Subject::Ranges;
    let mut findings = Vec::new();
    let (mut offsets, mut still) = (0, 0);
    for (place, covered) in &coverage.partitions {
        let name = |index: usize| facts.chain[index].marker.to_string();
        let mut end: Option<(String, i64)> = None;
        let steps = covered
            .ranges
            .iter()
            .map(|(index, range)| (Some(*index), range.clone()));
        let last = covered.next.map(|next| (None, next..next));
        for (index, range) in steps.chain(last) {
            let here = index.map_or_else(|| "the table property".to_owned(), name);
            offsets += (range.end - range.start).max(0) as u64;
            if let Some((before, end)) = &end {
                let hole = OffsetSet::from(*end..range.start).without(&covered.gaps);
                let start = range.start;
                let sides = format!("{before} ends at {end}, {here} begins at {start}");
                let finding = if !hole.is_empty() {
                    let how = match (index, range.is_empty()) {
                        // A claim that stands somewhere else than its parent ended.
                        (Some(_), true) => "skipped by a start (on-gap=earliest or latest?)",
                        _ => "covered by no marker",
                    };
                    let what = format!("{how}: {sides}");
                    Some(Finding::new(check, what).at(place, &hole))
                } else if start < *end {
                    let what = format!("covered twice: {sides}");
                    Some(Finding::new(check, what).at(place, start..*end))
                } else {
                    None
                };
                findings.extend(finding.map(|finding| match index {
                    Some(index) => finding.of(&facts.chain[index].marker),
                    None => finding,
                }));
            }
            end = Some((here, range.end));
        }
        if covered.ranges.is_empty() && coverage.complete {
            let what = "known to the table property, covered by no marker";
            findings.push(Finding::new(check, what).at(place, 0..covered.next.unwrap_or(0)));
        }
        let is_current = coverage.current(place.at.clone()) == *place;
        if covered.next.is_none() && property(facts).is_some() && is_current {
            let what = "covered by markers, unknown to the table property";
            let all = OffsetSet::of(covered.ranges.iter().map(|(_, range)| range.clone()));
            findings.push(Finding::new(check, what).at(place, &all));
        }
        still += u64::from(covered.ranges.is_empty());
    }
    if facts.chain.is_empty() {
        return Err(ALL_EXPIRED.to_owned());
    }
    let mut evidence = format!(
        "{}, {}",
        count(coverage.partitions.len() as u64, "partition"),
        count(offsets, "offset")
    );
    if !coverage.complete {
        evidence.push_str(&format!(" since {}", facts.chain[0].marker));
        if still > 0 {
            let partitions = count(still, "partition");
            evidence.push_str(&format!("; {partitions} not moved since"));
        }
    }
    Ok((findings, evidence))
}

pub(super) fn counts(facts: &Facts, coverage: &Coverage) -> Outcome {
    let mut findings = Vec::new();
    let (mut rows, mut offsets) = (0, 0);
    for (index, link) in facts.chain.iter().enumerate() {
        let marker = &link.marker;
        let room: u64 = wanted(index, link, coverage)
            .iter()
            .map(|(.., set)| set.len())
            .sum();
        rows += marker.rows;
        offsets += room;
        if marker.rows > room {
            let (rows, room) = (count(marker.rows, "row"), count(room, "offset"));
            let what = format!("{marker} committed {rows} for {room}");
            findings.push(Finding::new(Subject::Counts, what).of(marker));
        }
    }
    if facts.chain.is_empty() {
        return Err(ALL_EXPIRED.to_owned());
    }
    if facts.changelog {
        return Err("the table is a changelog: a row is a change, not a record".to_owned());
    }
    let mut evidence = format!("{} for {}", count(rows, "row"), count(offsets, "offset"));
    if let Some(holes) = offsets.checked_sub(rows).filter(|holes| *holes > 0) {
        evidence.push_str(&format!("; {} gave none", HumanCount(holes)));
    }
    Ok((findings, evidence))
}

/// The offsets of a marker's ranges that may have rows, by partition.
pub(super) fn wanted(index: usize, link: &Link, coverage: &Coverage) -> Vec<(Place, OffsetSet)> {
    let moved = link.marker.moved.iter();
    let sets = moved.map(|(topic, partition, start, end)| {
        let place = coverage.place(TopicPartition::new(topic, partition), index);
        let mut set = OffsetSet::from(start.0..end.0);
        if let Some(covered) = coverage
            .partitions
            .get(&place)
            .filter(|c| !c.gaps.is_empty())
        {
            set = set.without(&covered.gaps);
        }
        (place, set)
    });
    sets.collect()
}
