//! What must be true of every table, whatever happened to it: written once, for the
//! [model](super::model) and for the simulation of the committer.
//!
//! | invariant | checked by |
//! |---|---|
//! | no offset in two live snapshots | [`holds_exactly`] |
//! | none missing below the cut | [`holds_exactly`] |
//! | none beyond the cut: it would be read again | [`holds_exactly`] |
//! | marker.start = parent.end | [`follows`] |
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
    if child.range.start != parent.range.end {
        return wrong("the marker does not start where its parent ends");
    }
    let is_claim = child.epoch == parent.epoch && child.range.is_empty();
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

/// Checks that the live files of a partition hold each offset below the cut once, and no other.
pub(crate) fn holds_exactly(
    live: impl IntoIterator<Item = Range<i64>>,
    cut: i64,
) -> Result<(), String> {
    let mut live: Vec<_> = live.into_iter().filter(|range| !range.is_empty()).collect();
    live.sort_unstable_by_key(|range| (range.start, range.end));
    let mut next = 0;
    for range in &live {
        if range.start < next {
            return Err(format!(
                "offset {} is in the table twice: {live:?}",
                range.start
            ));
        }
        if range.start > next {
            return Err(format!(
                "offset {next} is missing below the cut {cut}: {live:?}"
            ));
        }
        next = range.end;
    }
    match next.cmp(&cut) {
        std::cmp::Ordering::Less => Err(format!(
            "offset {next} is missing below the cut {cut}: {live:?}"
        )),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(format!(
            "the cut is {cut}, and offset {cut} is in the table: {live:?}"
        )),
    }
}
