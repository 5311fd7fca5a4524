//! How a pipeline goes on in a table that was rolled back.
//!
//! A rollback takes rows away, and with them their snapshots out of the lineage, but not the marker in
//! the table property. What the rolled-back commits had read stands in the summaries of their snapshots
//! as ranges, so the position at the marker that the table stands at now can be found in two ways:
//!
//! ```text
//!   lineage:   ◀── m3 ◀── N                     N: the newest marker in the lineage
//!                          ╲
//!   detached:               ◀── m5 ◀── R        R: the recorded marker, which knows every offset
//!
//!   backwards: R's offsets, each range of R and m5 undone      (their snapshots must be retained)
//!   forwards:  the ends of all ranges from the first marker to N   (all of those must be)
//! ```

use std::collections::{BTreeMap, HashMap};

use super::decisions::{Refusal, Start};
use super::marker::{EMPTY_STATE, Marker, MarkerId, Ranges};
use crate::config::OnRollback;
use crate::offsets::{NextOffset, Offsets};
use crate::time::Epoch;

#[cfg(test)]
mod tests;

/// How to go on in a rolled-back table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The marker whose rows are gone: generation and epoch go on from it, so that every process that
    /// wrote before the rollback is fenced.
    pub recorded: Marker,
    /// The marker that the table stands at: the next one follows it.
    pub newest: Option<Marker>,
    /// Where reading goes on.
    pub next: Offsets,
    /// The topics that these offsets belong to.
    pub topic_ids: BTreeMap<String, String>,
    /// The policy that led here.
    pub policy: OnRollback,
    /// What stays out of the table from now on, as far as it can be known.
    pub left_out: Ranges,
    /// True if something stays out, and where it begins can't be known.
    pub left_out_unknown: bool,
    /// The state that belongs to these offsets, see [`Marker::state_snapshot`].
    pub state_snapshot: Option<String>,
}

/// Applies the policy.
///
/// | `on-rollback` | position at the newest marker | start |
/// |---|---|---|
/// | halt | | refuse: rolled back |
/// | rewind | known | recover from there |
/// | rewind | not known | refuse: forgotten |
/// | continue | known | recover from the recorded marker; left out is what lies between |
/// | continue | not known, but behind the recorded marker for certain | recover from the recorded marker |
/// | continue | not known | refuse: forgotten |
///
/// The newest marker need not lie behind the recorded one: whoever undoes a rollback that the pipeline has
/// already recovered from moves `main` sideways. So `continue` goes on from the further one in each partition.
///
/// **State** must be what all records before these offsets have made of it. `rewind` goes back to the newest
/// marker's: the records are read again, and their keys are new again. `continue` keeps the recorded marker's,
/// in which the left-out records count as seen, as they count as read: a copy of a left-out record that comes
/// later is left out, too. Where the newest marker is further in some partition, neither of the two states
/// knows all records: a pipeline with state is refused.
pub(super) fn recover(
    retained: &[Marker],
    recorded: Box<Marker>,
    newest: Option<Box<Marker>>,
    policy: OnRollback,
) -> Start {
    let position = match policy {
        OnRollback::Halt => {
            return Start::Refuse(Refusal::RolledBack {
                undone: is_undone(retained, &recorded, newest.as_deref()),
                recorded,
                newest,
            });
        }
        OnRollback::Rewind | OnRollback::Continue => {
            Position::at_newest(retained, &recorded, newest.as_deref())
        }
    };
    let recovery = match (policy, position) {
        (OnRollback::Continue, Some(position))
            if recorded.state_snapshot.is_some()
                && position.or_further(&recorded) != recorded.next =>
        {
            return Start::Refuse(Refusal::Diverged {
                what: "it was rolled back and forth, and no state belongs to both histories",
                recorded: Some(recorded),
                newest,
            });
        }
        (OnRollback::Continue, None) if !is_behind(newest.as_deref(), &recorded) => {
            return Start::Refuse(Refusal::Forgotten { recorded, newest });
        }
        (OnRollback::Continue, position) => Recovery {
            policy,
            next: match &position {
                Some(position) => position.or_further(&recorded),
                None => recorded.next.clone(),
            },
            topic_ids: recorded.topic_ids.clone(),
            left_out_unknown: position.is_none(),
            left_out: position.map_or_else(Ranges::default, |from| from.until(&recorded)),
            state_snapshot: recorded.state_snapshot.clone(),
            newest: newest.map(|marker| *marker),
            recorded: *recorded,
        },
        (_, Some(position)) => Recovery {
            policy,
            next: position.next,
            topic_ids: position.topic_ids,
            left_out: Ranges::default(),
            left_out_unknown: false,
            state_snapshot: state_at(newest.as_deref(), &recorded),
            newest: newest.map(|marker| *marker),
            recorded: *recorded,
        },
        (_, None) => return Start::Refuse(Refusal::Forgotten { recorded, newest }),
    };
    Start::Recover(Box::new(recovery))
}

/// The state at the newest marker. Before the first commit of a pipeline with state it was empty, whatever had
/// claimed the pipeline then.
fn state_at(newest: Option<&Marker>, recorded: &Marker) -> Option<String> {
    match newest {
        Some(marker) if marker.epoch > Epoch::default() || marker.state_snapshot.is_some() => {
            marker.state_snapshot.clone()
        }
        _ => {
            let keeps_state = recorded.state_snapshot.is_some();
            keeps_state.then(|| EMPTY_STATE.to_owned())
        }
    }
}

/// Where a pipeline stood at a marker that is no longer the recorded one.
struct Position {
    next: Offsets,
    topic_ids: BTreeMap<String, String>,
}

impl Position {
    fn at_newest(retained: &[Marker], recorded: &Marker, newest: Option<&Marker>) -> Option<Self> {
        let retained: HashMap<_, _> = retained.iter().map(|m| (&m.id, m)).collect();
        let newest_id = newest.map(|marker| &marker.id);
        if let Some(undone) = chain(&retained, &recorded.id, newest_id)
            && !undone.iter().any(|marker| marker.gaps_unknown)
        {
            let first = newest.or(undone.last().copied());
            return Some(Self {
                next: undo(&recorded.next, &undone),
                topic_ids: first.map(|m| m.topic_ids.clone()).unwrap_or_default(),
            });
        }
        let newest = newest?;
        let whole = chain(&retained, &newest.id, None)?;
        Some(Self {
            next: redo(&recorded.next, &whole, newest),
            topic_ids: newest.topic_ids.clone(),
        })
    }

    /// In each partition this position or the recorded one, whichever is further: what the table holds must
    /// not be read again.
    fn or_further(&self, recorded: &Marker) -> Offsets {
        let mut next = recorded.next.clone();
        for (topic, partition, here) in self.next.iter() {
            let there = recorded.next.get(topic, partition);
            if there.is_none_or(|there| there < here)
                && same_topic(&self.topic_ids, &recorded.topic_ids, topic)
            {
                next.set(topic, partition, here);
            }
        }
        next
    }

    /// What was read from here to `recorded`, of topics that are the same at both.
    fn until(&self, recorded: &Marker) -> Ranges {
        let mut ranges = Ranges::default();
        for (topic, partition, end) in recorded.next.iter() {
            if let Some(start) = self.next.get(topic, partition)
                && start < end
                && same_topic(&self.topic_ids, &recorded.topic_ids, topic)
            {
                ranges.insert(topic, partition, (start, end));
            }
        }
        ranges
    }
}

/// True if `recorded` was committed on top of `newest` for certain: the markers of one generation are one
/// chain, and on a table without a marker everything is.
fn is_behind(newest: Option<&Marker>, recorded: &Marker) -> bool {
    newest.is_none_or(|newest| newest.generation == recorded.generation)
}

/// True if `newest` is certainly none of the markers that `recorded` follows: the pipeline has gone on from a
/// rollback, and then somebody has taken the rollback back.
pub(super) fn is_undone(retained: &[Marker], recorded: &Marker, newest: Option<&Marker>) -> bool {
    let Some(newest) = newest else {
        return false;
    };
    let retained: HashMap<_, _> = retained.iter().map(|m| (&m.id, m)).collect();
    let mut parent = recorded.parent.as_ref();
    // Ranks grow from parent to child, so a circle of damaged metadata ends too.
    let mut rank = recorded.rank();
    loop {
        match parent {
            Some(id) if *id == newest.id => return false,
            Some(id) => match retained.get(id) {
                Some(marker) if marker.rank() < rank => {
                    (parent, rank) = (marker.parent.as_ref(), marker.rank());
                }
                _ => return false,
            },
            None => return true,
        }
        if rank < newest.rank() {
            return true;
        }
    }
}

/// The markers from `from` back to `to`, which is not among them, newest first; none if one between them
/// is not retained, or `to` is not behind `from`.
fn chain<'a>(
    retained: &HashMap<&MarkerId, &'a Marker>,
    from: &MarkerId,
    to: Option<&MarkerId>,
) -> Option<Vec<&'a Marker>> {
    let mut chain = Vec::new();
    let mut next = Some(from);
    while next != to {
        let marker = *retained.get(next?)?;
        // Only damaged metadata makes a chain of parents a circle.
        if chain.len() == retained.len() {
            return None;
        }
        chain.push(marker);
        next = marker.parent.as_ref();
    }
    Some(chain)
}

/// Each partition that `undone` had moved is back where it stood before. Where a commit had accepted a
/// gap it is back before the gap: whether it can be accepted again is asked again.
fn undo(recorded: &Offsets, undone: &[&Marker]) -> Offsets {
    let mut next = recorded.clone();
    for marker in undone {
        for ranges in [&marker.moved, &marker.gaps] {
            for (topic, partition, start, _) in ranges.iter() {
                next.set(topic, partition, start);
            }
        }
    }
    next
}

/// The ends that `whole`, a history from its first marker on, had reached. A partition that came later is
/// read from offset 0: if it did not begin there, a gap is what the start finds.
fn redo(recorded: &Offsets, whole: &[&Marker], newest: &Marker) -> Offsets {
    let mut next = Offsets::new();
    for (topic, partition, _) in recorded.iter() {
        next.set(topic, partition, NextOffset(0));
    }
    for marker in whole.iter().rev() {
        for (topic, partition, _, end) in marker.moved.iter() {
            if same_topic(&marker.topic_ids, &newest.topic_ids, topic) {
                next.set(topic, partition, end);
            }
        }
    }
    next
}

/// False only if both ids are known and differ.
fn same_topic(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>, topic: &str) -> bool {
    match (a.get(topic), b.get(topic)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}
