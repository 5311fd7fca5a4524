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
        let path = format!("{DATA}{partition}/{start}/{end}/{}{DATA_END}", self.files);
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

/// Checks that the files that the table's manifests name hold every offset below the cut once.
///
/// To parse manifests takes longer than all the rest of a schedule, so their bytes are searched for
/// paths; if `parsed`, they are parsed as well, and must say the same.
pub(in super::super) async fn check_rows(
    table: &Table,
    cut: [i64; PARTITIONS],
    parsed: bool,
) -> Result<(), String> {
    let found = named(table).await;
    if parsed {
        let mut files = testing::files(table).await;
        files.sort();
        let rows = |path: &String| place(path).1.count() as u64;
        let mut told: Vec<_> = found
            .iter()
            .map(|path| (path.clone(), rows(path)))
            .collect();
        told.sort();
        if files != told {
            return Err(format!("the manifests name {told:?} and say {files:?}"));
        }
    }
    let mut held: [Vec<Range<i64>>; PARTITIONS] = Default::default();
    for path in &found {
        let (partition, offsets) = place(path);
        held[partition].push(offsets);
    }
    std::iter::zip(held, cut).try_for_each(|(held, cut)| invariants::holds_exactly(held, cut))
}

const DATA: &str = "memory:/table/data/";
const DATA_END: &str = ".parquet";

/// The data files that the bytes of the current snapshot's manifests name.
async fn named(table: &Table) -> Vec<String> {
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Vec::new();
    };
    let mut files = Vec::new();
    let list = bytes(table, snapshot.manifest_list()).await;
    for manifest in paths(&list, "memory:/table/metadata/", ".avro") {
        files.extend(paths(&bytes(table, &manifest).await, DATA, DATA_END));
    }
    files
}

async fn bytes(table: &Table, path: &str) -> Vec<u8> {
    let input = table.file_io().new_input(path).unwrap();
    input.read().await.unwrap().to_vec()
}

/// All that looks like a path between `from` and `to`.
fn paths(bytes: &[u8], from: &str, to: &str) -> Vec<String> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let parts = text.split(from).skip(1);
    parts
        .filter_map(|part| Some(format!("{from}{}{to}", part.split_once(to)?.0)))
        .collect()
}

/// The partition and the offsets that a file holds, as its path says.
fn place(path: &str) -> (usize, Range<i64>) {
    let number = |part: &str| part.parse::<i64>().unwrap();
    let parts: Vec<i64> = path
        .trim_start_matches(DATA)
        .trim_end_matches(DATA_END)
        .split('/')
        .map(number)
        .collect();
    (parts[0] as usize, parts[1]..parts[2])
}
