//! Offsets of one partition, as compressed bitmaps.
//!
//! A hundred million offsets in a row take 12 MB, whatever the order they come in, and a set with a
//! hole after each offset takes no more: what an interval list could not promise.

use std::ops::Range;

use roaring::RoaringTreemap;

/// A set of offsets. Offsets are never negative: what is, is ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetSet(RoaringTreemap);

impl OffsetSet {
    /// The union of some ranges.
    pub fn of(ranges: impl IntoIterator<Item = Range<i64>>) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert(range);
        }
        set
    }

    /// Adds a range.
    pub fn insert(&mut self, range: Range<i64>) {
        self.0.insert_range(unsigned(&range));
    }

    /// How many offsets there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest one.
    pub fn first(&self) -> Option<i64> {
        self.0.min().map(|offset| offset as i64)
    }

    /// The highest one.
    pub fn last(&self) -> Option<i64> {
        self.0.max().map(|offset| offset as i64)
    }

    /// True if `offset` is one of them.
    pub fn contains(&self, offset: i64) -> bool {
        u64::try_from(offset).is_ok_and(|offset| self.0.contains(offset))
    }

    /// How many of them are in `other`, too.
    pub fn common(&self, other: &Self) -> u64 {
        self.0.intersection_len(&other.0)
    }

    /// Those that are not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Adds those of `other`.
    pub fn unite(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// About the memory it takes.
    #[cfg(test)]
    pub(super) fn serialized_bytes(&self) -> u64 {
        self.0.serialized_size() as u64
    }

    /// Runs of consecutive offsets, ascending.
    pub fn runs(&self) -> impl Iterator<Item = Range<i64>> {
        let mut offsets = self.0.iter().map(|offset| offset as i64).peekable();
        std::iter::from_fn(move || {
            let start = offsets.next()?;
            let mut end = start + 1;
            while offsets.next_if_eq(&end).is_some() {
                end += 1;
            }
            Some(start..end)
        })
    }
}

impl From<Range<i64>> for OffsetSet {
    fn from(range: Range<i64>) -> Self {
        Self::of(std::iter::once(range))
    }
}

fn unsigned(range: &Range<i64>) -> Range<u64> {
    range.start.max(0) as u64..range.end.max(0) as u64
}

/// The rows of one partition: which offsets, and which of them more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// All rows.
    pub rows: u64,
    /// Rows whose offset is negative, as no record's is.
    pub negative: u64,
    /// The offsets that have a row.
    pub present: OffsetSet,
    /// The offsets that have more than one.
    pub repeated: OffsetSet,
}

impl Tally {
    /// Adds one row for each offset of `run`.
    pub fn add(&mut self, run: Range<i64>) {
        self.rows += (run.end - run.start).max(0) as u64;
        if run.start < 0 {
            self.negative += (run.end.min(0) - run.start) as u64;
        }
        let run = run.start.max(0)..run.end;
        // Files are written in the order of offsets, so this is the rule.
        if self.present.last().is_none_or(|last| last < run.start) {
            self.present.insert(run);
            return;
        }
        for offset in unsigned(&run) {
            if !self.present.0.insert(offset) {
                self.repeated.0.insert(offset);
            }
        }
    }

    /// Adds the rows of another tally.
    pub fn absorb(&mut self, other: &Self) {
        self.rows += other.rows;
        self.negative += other.negative;
        if !self.present.0.is_disjoint(&other.present.0) {
            self.repeated.0 |= &self.present.0 & &other.present.0;
        }
        self.repeated.unite(&other.repeated);
        self.present.unite(&other.present);
    }
}
