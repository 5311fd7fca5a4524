//! The log, what processes read of it, and what must have become of it.

use std::ops::Range;
use std::time::Duration;

use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Struct};
use iceberg::table::Table;

use super::{PARTITIONS, TOPIC, World};
use crate::checkpoint::invariants::{self, Link};
use crate::checkpoint::marker::MarkerId;
use crate::checkpoint::positions::Carried;
use crate::config::OnRollback;
use crate::iceberg::simulation::store::Store;
use crate::iceberg::{Committed, Retention, Staged, StagedFile, testing};
use crate::offsets::{NextOffset, Offsets};
use crate::time::Epoch;

impl World {
    /// What the next process is told: what it does about a rollback, and how long snapshots are kept.
    pub(in super::super) fn settings(&mut self, process: usize) -> (OnRollback, Option<Retention>) {
        let policies = [OnRollback::Halt, OnRollback::Rewind, OnRollback::Continue];
        let policy = self.chance.one_of(&policies);
        let retention = self.chance.percent(30).then(|| Retention {
            max_age: Duration::ZERO,
            min_to_keep: 1 + self.chance.below(3) as usize,
        });
        self.note(|| format!("p{process} has on-rollback={policy:?} and keeps {retention:?}"));
        self.policies.insert(process, policy);
        (policy, retention)
    }

    /// Where a start begins to read; a second partition may be found only later.
    pub(in super::super) fn beginning(&mut self, carried: Option<&Carried>) -> Offsets {
        let mut next = Offsets::new();
        next.set(TOPIC, 0, NextOffset(self.log[0].start));
        if self.chance.percent(50) {
            next.set(TOPIC, 1, NextOffset(self.log[1].start));
        }
        if let Some(carried) = carried {
            for (topic, partition, offset) in carried.next.iter() {
                // What lies before the log's beginning never was.
                let begin = NextOffset(self.log[partition as usize].start);
                next.set(topic, partition, offset.max(begin));
            }
        }
        next
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
        for (partition, Range { start, end }) in self.log.clone().into_iter().enumerate() {
            let known = read.get(TOPIC, partition as i32);
            let start = NextOffset(start);
            if known.is_none() {
                if self.chance.percent(50) {
                    continue;
                }
                staged.joined.set(TOPIC, partition as i32, start);
            }
            let from = known.unwrap_or(start).0;
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
            .all(|(partition, log)| read.get(TOPIC, partition as i32) == Some(NextOffset(log.end)))
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
            std::iter::zip(links, &self.log).all(|(link, log)| link.range.end == log.end)
        })
    }

    /// The table as a reader finds it, and the offsets that it must hold.
    pub(in super::super) fn for_reader(&self) -> (Table, [Expected; PARTITIONS]) {
        let table = self.load(0).table(Store::unfailing(&self.memory)).unwrap();
        let expected = std::array::from_fn(|partition| Expected {
            below_the_cut: self.log[partition].start..self.end(partition),
            left_out: self.left_out(partition),
        });
        (table, expected)
    }

    /// Where the newest marker in the lineage ends.
    pub(super) fn end(&self, partition: usize) -> i64 {
        let newest = self.newest().map(|links| links[partition].range.end);
        newest.unwrap_or(self.log[partition].start)
    }

    /// What the policies of the lineage have left out.
    fn left_out(&self, partition: usize) -> Vec<Range<i64>> {
        let links = self.lineage().filter_map(|past| past.marker.as_ref());
        let links: Vec<&Link<MarkerId>> = links.map(|links| &links[partition]).collect();
        let ends = links.iter().skip(1).map(|parent| parent.range.end);
        let ends = ends.chain([self.log[partition].start]);
        std::iter::zip(&links, ends)
            .map(|(child, end)| invariants::left_out(end, child))
            .collect()
    }
}

/// What the table holds of a partition, if all is right.
pub(in super::super) struct Expected {
    below_the_cut: Range<i64>,
    /// What of it is not there by a policy's will.
    left_out: Vec<Range<i64>>,
}

/// Checks that the files that the table's manifests name hold every offset below the cut once.
///
/// To parse manifests takes longer than all the rest of a schedule, so their bytes are searched for
/// paths; if `parsed`, they are parsed as well, and must say the same.
pub(in super::super) async fn check_rows(
    table: &Table,
    expected: [Expected; PARTITIONS],
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
    std::iter::zip(held, expected).try_for_each(|(held, expected)| {
        let all = held.into_iter().chain(expected.left_out);
        invariants::holds_exactly(all, expected.below_the_cut)
    })
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
