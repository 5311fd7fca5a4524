//! The model's table: snapshots, each on its parent, and markers.

use crate::checkpoint::decisions::Observed;
use crate::checkpoint::history::{self, History};
use crate::checkpoint::invariants::Link;
use crate::checkpoint::marker::{Marker, MarkerId, Ranges};
use crate::error::Result;
use crate::offsets::{NextOffset, Offsets};
use crate::time::{Epoch, Generation};

/// Who made a marker, and which one of its own it is.
pub(super) type Id = (u8, u8);

/// A marker of one partition, and the files that its commit brings: one for each offset, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) id: Id,
    pub(super) parent: Option<Id>,
    pub(super) generation: u8,
    pub(super) epoch: u8,
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) base_sequence: u8,
    pub(super) files: u8,
    /// What a claim has left out by its policy, as it says itself.
    pub(super) gap: Option<(u8, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    pub(super) parent: Option<u8>,
    pub(super) mark: Option<Mark>,
    pub(super) retained: bool,
}

/// The table as it really is: a snapshot's number is its place, and an expired one stays known here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Table {
    pub(super) uuid: u8,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) main: Option<u8>,
    pub(super) property: Option<Mark>,
}

impl Mark {
    /// As much of it as decisions look at.
    pub(super) fn marker(&self, table_uuid: u8) -> Marker {
        Marker {
            id: marker_id(self.id),
            table_uuid: table_uuid.to_string(),
            generation: Generation(self.generation.into()),
            epoch: Epoch(self.epoch.into()),
            parent: self.parent.map(marker_id),
            moved: ranges(self.from, self.to),
            next: offsets(self.to),
            gaps: self
                .gap
                .map_or_else(Ranges::default, |(from, to)| ranges(from, to)),
            rows: self.files.count_ones().into(),
            files: self.files.count_ones(),
            base_sequence: self.base_sequence.into(),
            ..Marker::default()
        }
    }

    pub(super) fn link(&self) -> Link<Id> {
        Link {
            id: self.id,
            parent: self.parent,
            generation: Generation(self.generation.into()),
            epoch: Epoch(self.epoch.into()),
            range: self.from.into()..self.to.into(),
            gap: self.gap.map(|(from, to)| from.into()..to.into()),
        }
    }
}

/// The one partition there is.
pub(super) fn offsets(next: u8) -> Offsets {
    let mut offsets = Offsets::new();
    offsets.set("t", 0, NextOffset(next.into()));
    offsets
}

pub(super) fn ranges(from: u8, to: u8) -> Ranges {
    let mut ranges = Ranges::default();
    let (from, to) = (NextOffset(from.into()), NextOffset(to.into()));
    ranges.insert("t", 0, (from, to));
    ranges
}

pub(super) fn marker_id((maker, number): Id) -> MarkerId {
    MarkerId::from(format!("{maker}.{number}").as_str())
}

impl History for Table {
    fn current(&self) -> Option<i64> {
        self.main.map(i64::from)
    }

    fn retained(&self) -> impl Iterator<Item = i64> {
        (0..self.snapshots.len() as i64).filter(|snapshot| self.retains(*snapshot))
    }

    fn retains(&self, snapshot: i64) -> bool {
        self.snapshots[snapshot as usize].retained
    }

    fn parent(&self, snapshot: i64) -> Option<i64> {
        self.snapshots[snapshot as usize].parent.map(i64::from)
    }

    fn sequence(&self, snapshot: i64) -> i64 {
        snapshot + 1
    }

    fn marker(&self, snapshot: i64) -> Result<Option<Marker>> {
        let mark = self.snapshots[snapshot as usize].mark;
        Ok(mark.map(|mark| mark.marker(self.uuid)))
    }
}

impl Table {
    pub(super) fn observed(&self) -> Observed {
        let recorded = self.property.map(|mark| mark.marker(self.uuid));
        history::observe(self.uuid.to_string(), recorded, self).expect("markers can be read")
    }

    /// The lineage as it really is.
    pub(super) fn lineage(&self) -> impl Iterator<Item = (u8, &Snapshot)> {
        let at = |index: u8| (index, &self.snapshots[usize::from(index)]);
        std::iter::successors(self.main.map(at), move |(_, snapshot)| {
            snapshot.parent.map(at)
        })
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        self.lineage()
            .filter_map(|(_, snapshot)| snapshot.mark)
            .collect()
    }

    /// Where the rows of the table end.
    pub(super) fn end(&self) -> u8 {
        self.marks().first().map_or(0, |mark| mark.to)
    }

    /// True if the table tells where its newest marker stands: by the markers that were cut off, or by all of
    /// its own.
    pub(super) fn position_is_known(&self) -> bool {
        let newest = self.marks().first().map(|mark| mark.id);
        let is_known = |from: Option<Id>, to: Option<Id>| {
            let mut next = from;
            while next != to {
                let is_next = |snapshot: &&Snapshot| {
                    snapshot.retained && snapshot.mark.map(|mark| mark.id) == next
                };
                let Some(snapshot) = self.snapshots.iter().find(is_next) else {
                    return false;
                };
                next = snapshot.mark.and_then(|mark| mark.parent);
            }
            true
        };
        is_known(self.property.map(|mark| mark.id), newest)
            || newest.is_some() && is_known(newest, None)
    }

    pub(super) fn append(&mut self, mark: Option<Mark>) {
        self.snapshots.push(Snapshot {
            parent: self.main,
            mark,
            retained: true,
        });
        self.main = Some(self.snapshots.len() as u8 - 1);
        self.property = mark.or(self.property);
    }

    pub(super) fn stands(&self) -> bool {
        self.property.map(|mark| mark.id) == self.marks().first().map(|mark| mark.id)
    }
}
