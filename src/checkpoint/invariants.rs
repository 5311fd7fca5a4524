//! What must be true of every table, whatever happened to it: written once, for the
//! [model](super::model) and for the simulation of the committer.
//!
//! | invariant | checked by |
//! |---|---|
//! | no offset in two live snapshots | [`holds_exactly`] |
//! | none missing below the cut, but where a policy has left it out | [`holds_exactly`], [`left_out`] |
//! | none in the table of those that were left out | [`holds_exactly`], [`left_out`] |
//! | none beyond the cut: it would be read again | [`holds_exactly`] |
//! | marker.start = parent.end, or a claim says what it leaves out between the two | [`follows`] |
//! | one generation commits at a time | [`follows`] |

use std::ops::Range;

use crate::time::{Epoch, Generation};

/// What one marker says about one partition, and where it stands in the chain.
#[derive(Clone, Debug)]
pub(crate) struct Link<Id> {
    pub(crate) id: Id,
    pub(crate) parent: Option<Id>,
    pub(crate) generation: Generation,
    pub(crate) epoch: Epoch,
    /// The first offset that it covers, and the one after the last.
    pub(crate) range: Range<i64>,
    /// What it says to have left out before.
    pub(crate) gap: Option<Range<i64>>,
}

/// What lies between where a marker's parent ends and where it starts: nothing, but where a policy has left
/// records out.
pub(crate) fn left_out<Id>(parent_end: i64, child: &Link<Id>) -> Range<i64> {
    parent_end..child.range.start.max(parent_end)
}

/// Checks a marker against the one before it in the lineage.
pub(crate) fn follows<Id>(parent: Option<&Link<Id>>, child: &Link<Id>) -> Result<(), String>
where
    Id: PartialEq + std::fmt::Debug,
{
    let wrong = |what: &str| Err(format!("{what}: {child:?} after {parent:?}"));
    let Some(parent) = parent else {
        return match child.parent {
            None => Ok(()),
            Some(_) => wrong("the marker's parent is not in the lineage"),
        };
    };
    if child.parent.as_ref() != Some(&parent.id) {
        return wrong("the marker's parent is not the one before it in the lineage");
    }
    // Of a table that was rolled back the claim takes up the epoch that is gone.
    let is_claim = child.epoch >= parent.epoch && child.range.is_empty();
    let gap = left_out(parent.range.end, child);
    if child.range.start < parent.range.end {
        return wrong("the marker starts before its parent ends");
    }
    let may_leave_out = is_claim && child.generation > parent.generation;
    let is_written_down = may_leave_out && child.gap.as_ref() == Some(&gap);
    if !gap.is_empty() && !is_written_down {
        return wrong("the marker does not start where its parent ends, and does not say why");
    }
    let in_order = match child.generation.cmp(&parent.generation) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => child.epoch > parent.epoch,
        std::cmp::Ordering::Greater => is_claim,
    };
    if !in_order {
        return wrong("two generations commit at a time, or one out of order");
    }
    Ok(())
}

/// Checks that the live files of a partition hold each offset from its beginning up to the cut once,
/// and no other.
pub(crate) fn holds_exactly(
    live: impl IntoIterator<Item = Range<i64>>,
    expected: Range<i64>,
) -> Result<(), String> {
    let mut live: Vec<_> = live.into_iter().filter(|range| !range.is_empty()).collect();
    live.sort_unstable_by_key(|range| (range.start, range.end));
    let wrong = |what: String| Err(format!("{what}: expected {expected:?}, live {live:?}"));
    let mut next = expected.start;
    for range in &live {
        if range.start < next {
            return wrong(format!("offset {} is in the table twice", range.start));
        }
        if range.start > next {
            return wrong(format!("offset {next} is missing below the cut"));
        }
        next = range.end;
    }
    if next < expected.end {
        return wrong(format!("offset {next} is missing below the cut"));
    }
    if next > expected.end {
        return wrong(format!("offset {} is beyond the cut", expected.end));
    }
    Ok(())
}
