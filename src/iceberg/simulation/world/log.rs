//! The log, what processes read of it, and what must have become of it.

use std::ops::Range;

use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Struct};
use iceberg::table::Table;

use super::{PARTITIONS, TOPIC, World};
use crate::checkpoint::invariants;
use crate::iceberg::simulation::store::Store;
use crate::iceberg::{Committed, Staged, StagedFile, testing};
use crate::offsets::{NextOffset, Offsets};
use crate::time::Epoch;

impl World {
    /// Where a first start begins; a second partition may be found only later.
    pub(in super::super) fn first_offsets(&mut self) -> Offsets {
        let mut first = Offsets::new();
        first.set(TOPIC, 0, NextOffset(0));
        if self.chance.percent(50) {
            first.set(TOPIC, 1, NextOffset(0));
        }
        first
    }

    /// The next epoch of a process that has read up to `read`: some records, or none.
    pub(in super::super) fn stage(
        &mut self,
        table: &Table,
        epoch: Epoch,
        read: &mut Offsets,
    ) -> Staged {
        let mut staged = Staged {
            epoch,
            ..Staged::default()
        };
        for (partition, end) in self.log.into_iter().enumerate() {
            let known = read.get(TOPIC, partition as i32);
            if known.is_none() {
                if self.chance.percent(50) {
                    continue;
                }
                staged.joined.set(TOPIC, partition as i32, NextOffset(0));
            }
            let from = known.unwrap_or_default().0;
            let to = (from + self.chance.below(4) as i64).min(end);
            read.set(TOPIC, partition as i32, NextOffset(to));
            if from < to {
                staged
                    .files
                    .push(self.file(table, epoch, partition, from..to));
            }
        }
        staged.next = read.clone();
        staged
    }

    fn file(
        &mut self,
        table: &Table,
        epoch: Epoch,
        partition: usize,
        offsets: Range<i64>,
    ) -> StagedFile {
        self.files += 1;
        let Range { start, end } = offsets;
        let path = format!(
            "memory:/table/data/{partition}/{start}/{end}/{}",
            self.files
        );
        let spec = table.metadata().default_partition_spec_id();
        let file = DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(path)
            .file_format(DataFileFormat::Parquet)
            .record_count((end - start) as u64)
            .file_size_in_bytes(100)
            .partition(Struct::empty())
            .partition_spec_id(spec)
            .build()
            .unwrap();
        StagedFile::encode(file, table, spec, epoch).unwrap()
    }

    /// True if a process that has read up to `read` has read everything.
    pub(in super::super) fn has_read_all(&self, read: &Offsets) -> bool {
        self.log
            .iter()
            .enumerate()
            .all(|(partition, end)| read.get(TOPIC, partition as i32) == Some(NextOffset(*end)))
    }

    /// What a process believes to be proved must have happened.
    pub(in super::super) fn proved(
        &mut self,
        process: usize,
        committed: &Committed,
        read: &Offsets,
    ) {
        self.note(|| format!("p{process} has proved {}", committed.marker));
        if !self.landed.contains(&committed.marker.id) {
            self.violated(format!("p{process} believes in {}", committed.marker));
        }
        if committed.marker.next != *read {
            self.violated(format!(
                "p{process} has committed {} and believes in {read}",
                committed.marker.next
            ));
        }
        if committed.already {
            self.saw("a commit landed although no answer said so");
        }
        if committed.late.is_some() {
            self.saw("an attempt of unknown outcome had landed");
        }
    }

    /// True if the table holds all there is.
    pub(in super::super) fn is_complete(&self) -> bool {
        self.newest().is_some_and(|links| {
            std::iter::zip(links, self.log).all(|(link, end)| link.range.end == end)
        })
    }

    /// The table as a reader finds it, and the offsets that it must hold.
    pub(in super::super) fn for_reader(&self) -> (Table, [i64; PARTITIONS]) {
        let table = self.load(0).table(Store::unfailing(&self.memory)).unwrap();
        let cut = std::array::from_fn(|partition| {
            self.newest().map_or(0, |links| links[partition].range.end)
        });
        (table, cut)
    }
}

/// Reads the table's files from its manifests, as any reader does, and checks that they hold every
/// offset below the cut once.
pub(in super::super) async fn check_rows(
    table: &Table,
    cut: [i64; PARTITIONS],
) -> Result<(), String> {
    let mut held: [Vec<Range<i64>>; PARTITIONS] = Default::default();
    for (path, rows) in testing::files(table).await {
        let mut parts = path.rsplit('/').skip(1).map(|part| part.parse().unwrap());
        let (end, start) = (parts.next().unwrap(), parts.next().unwrap());
        let partition: i64 = parts.next().unwrap();
        if end - start != rows as i64 {
            return Err(format!("{path} holds {rows} rows"));
        }
        held[partition as usize].push(start..end);
    }
    std::iter::zip(held, cut).try_for_each(|(held, cut)| invariants::holds_exactly(held, cut))
}
