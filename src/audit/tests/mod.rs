//! Facts made by hand: a faultless pipeline, and one thing wrong with it at a time.

mod answers;
mod judgement;
mod keys;
mod offset_sets;
mod placement;

use std::collections::BTreeMap;

use super::*;
use crate::checkpoint::decisions::{Observed, Recorded, Whereabouts};
use crate::checkpoint::marker::{Marker, Ranges};
use crate::iceberg::Link;
use crate::iceberg::names::files_digest;
use crate::offsets::{NextOffset, Offsets, TopicPartition};
use crate::time::{Epoch, Generation};

fn at(partition: i32) -> Place {
    Place::first(TopicPartition::new("t", partition))
}

fn offsets(next: &[(i32, i64)]) -> Offsets {
    let mut offsets = Offsets::new();
    for (partition, next) in next {
        offsets.set("t", *partition, NextOffset(*next));
    }
    offsets
}

/// `[start, end)` of some partitions.
fn ranges(ranges: &[(i32, i64, i64)]) -> Ranges {
    let mut all = Ranges::default();
    for (partition, start, end) in ranges {
        all.insert("t", *partition, (NextOffset(*start), NextOffset(*end)));
    }
    all
}

/// A marker whose parent is called by the number before.
fn marker(id: u32, generation: u64, epoch: u64, moved: &[(i32, i64, i64)], rows: u64) -> Marker {
    let path = format!("file-{id}");
    let paths: &[&str] = if rows > 0 { &[&path] } else { &[] };
    Marker {
        id: id.to_string().as_str().into(),
        pipeline: "p".into(),
        table_uuid: "table".into(),
        generation: Generation(generation),
        epoch: Epoch(epoch),
        parent: (id > 1).then(|| (id - 1).to_string().as_str().into()),
        moved: ranges(moved),
        rows,
        files: u32::from(rows > 0),
        files_digest: files_digest(paths.iter().copied()),
        ..Marker::default()
    }
}

/// Two generations: partition 0 from offset 5 to 30, partition 1 from 0 to 10, with a row for each
/// offset but for 7 and 8 of partition 0, which were rejects.
fn faultless() -> Facts {
    let chain = vec![
        marker(1, 1, 0, &[(0, 5, 5), (1, 0, 0)], 0),
        marker(2, 1, 1, &[(0, 5, 10), (1, 0, 10)], 13),
        marker(3, 1, 3, &[(0, 10, 20)], 10),
        marker(4, 2, 3, &[], 0),
        marker(5, 2, 4, &[(0, 20, 30)], 10),
    ];
    let property = Marker {
        next: offsets(&[(0, 30), (1, 10)]),
        moved: Ranges::default(),
        ..chain[4].clone()
    };
    let mut rows = Rows::default();
    add(&mut rows, 0, 5..7);
    add(&mut rows, 0, 9..30);
    add(&mut rows, 1, 0..10);
    Facts {
        table: "db.t".into(),
        pipeline: "p".into(),
        observed: Observed {
            table_uuid: "table".into(),
            property: Some(Recorded {
                marker: property,
                snapshot: Whereabouts::Newest,
            }),
            lineage: chain.last().cloned(),
            whole: true,
            retained: Vec::new(),
        },
        written: chain.iter().map(as_written).collect(),
        live: Live {
            files: 3,
            rows: 33,
            ..Live::default()
        },
        chain: chain.into_iter().enumerate().map(link).collect(),
        rows: Some(rows),
        changelog: false,
    }
}

fn link((index, marker): (usize, Marker)) -> Link {
    Link {
        snapshot_id: 100 + index as i64,
        marker,
    }
}

fn as_written(marker: &Marker) -> Written {
    Written {
        files: marker.files.into(),
        rows: marker.rows,
        digest: marker.files_digest.clone(),
    }
}

fn add(rows: &mut Rows, partition: i32, run: std::ops::Range<i64>) {
    rows.partitions.entry(at(partition)).or_default().add(run);
}

/// The rows of one partition, made anew.
fn set(facts: &mut Facts, partition: i32, runs: &[std::ops::Range<i64>]) {
    let rows = facts.rows.as_mut().unwrap();
    rows.partitions.remove(&at(partition));
    for run in runs {
        add(rows, partition, run.clone());
    }
}
