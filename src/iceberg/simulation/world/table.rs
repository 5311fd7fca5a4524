//! The table with all it ever was, what others do to it, and the check of every change.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{
    FormatVersion, Operation, Snapshot, SnapshotRef, SnapshotReference, SnapshotRetention, Summary,
    TableMetadata, TableMetadataBuilder, TableMetadataRef,
};
use iceberg::{Result, TableCreation, TableUpdate};

use super::{PARTITIONS, Swap, TOPIC, World};
use crate::checkpoint::decisions::{Observed, Refusal, Start, decide_start};
use crate::checkpoint::invariants::{self, Link};
use crate::checkpoint::marker::{Marker, MarkerId};
use crate::config::OnRollback;
use crate::iceberg::simulation::store::NOTHING;
use crate::iceberg::testing::{PIPELINE, schema};
use crate::iceberg::{lineage, names};
use crate::offsets::{NextOffset, Offsets};
use crate::time::Generation;

/// A snapshot that was once the table's, whether or not the table still knows of it.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) id: i64,
    pub(super) parent: Option<i64>,
    pub(super) marker: Option<Vec<Link<MarkerId>>>,
}

/// An empty table.
pub(super) fn new_table(merges: bool) -> TableMetadataRef {
    // Where nothing is merged no list is read before it is written.
    let (property, value) = match merges {
        true => ("commit.manifest.min-count-to-merge", "2"),
        false => ("commit.manifest-merge.enabled", "false"),
    };
    let creation = TableCreation::builder()
        .name("events".to_owned())
        .location("memory:/table".to_owned())
        .properties(HashMap::from([(property.to_owned(), value.to_owned())]))
        .schema(schema())
        .format_version(FormatVersion::V2)
        .build();
    let built = TableMetadataBuilder::from_table_creation(creation)
        .unwrap()
        .assign_uuid(uuid::Uuid::new_v4())
        .build();
    Arc::new(built.unwrap().metadata)
}

impl Past {
    fn is(&self, marker: &MarkerId) -> bool {
        self.marker
            .as_ref()
            .is_some_and(|links| links[0].id == *marker)
    }
}

impl World {
    pub(super) fn table(&self) -> &TableMetadata {
        self.versions.last().unwrap()
    }

    pub(super) fn change(&mut self, updates: Vec<TableUpdate>) -> Result<()> {
        let mut builder = self.table().clone().into_builder(None);
        for update in updates {
            builder = aged(update).apply(builder)?;
        }
        self.versions.push(Arc::new(builder.build()?.metadata));
        Ok(())
    }

    /// The lineage of `main` as it really is, whatever was expired.
    pub(super) fn lineage(&self) -> impl Iterator<Item = &Past> {
        self.lineage_from(self.table().current_snapshot_id())
    }

    fn lineage_from(&self, snapshot: Option<i64>) -> impl Iterator<Item = &Past> {
        let past = |id: i64| self.history.iter().rev().find(move |past| past.id == id);
        std::iter::successors(snapshot.and_then(past), move |snapshot| {
            past(snapshot.parent?)
        })
    }

    /// The newest marker in it, partition by partition.
    pub(super) fn newest(&self) -> Option<&Vec<Link<MarkerId>>> {
        self.lineage().find_map(|past| past.marker.as_ref())
    }

    /// A swap of a process has been carried out: the new marker must follow the one before it.
    pub(super) fn landed(&mut self, swap: &Swap, stood: bool) {
        let process = swap.process;
        let (property, summary) = match self.marker_places() {
            (Some(property), Some(summary)) if property.id == summary.id => (property, summary),
            other => {
                return self.violated(format!("a swap left two different markers: {other:?}"));
            }
        };
        self.note(|| {
            let offsets = &property.next;
            format!("p{process} commits {property}: {offsets}")
        });
        let mut links = self.links(&property, &summary);
        let snapshot = self.table().current_snapshot().unwrap();
        let (id, parent) = (snapshot.snapshot_id(), snapshot.parent_snapshot_id());
        let before = self
            .lineage_from(parent)
            .find_map(|past| past.marker.as_ref());
        let ends: Vec<i64> = match before {
            Some(parents) => parents.iter().map(|parent| parent.range.end).collect(),
            None => self.log.iter().map(|log| log.start).collect(),
        };
        let policy = self.policies[&process];
        let left_out = std::iter::zip(ends, &links);
        let left_out: Vec<_> = left_out
            .map(|(end, link)| invariants::left_out(end, link))
            .collect();
        let leaves_out = left_out.iter().any(|gap| !gap.is_empty());
        if !stood && policy == OnRollback::Continue && !self.position_was_known(parent) {
            // It can't say what it leaves out.
            for (link, gap) in std::iter::zip(&mut links, left_out) {
                link.gap = Some(gap);
            }
        }
        let checked = match before {
            None => links
                .iter()
                .try_for_each(|link| invariants::follows(None, link)),
            Some(parents) => std::iter::zip(parents, &links)
                .try_for_each(|(parent, link)| invariants::follows(Some(parent), link)),
        };
        if let Err(what) = checked {
            self.violated(what);
        }
        if leaves_out && (stood || policy != OnRollback::Continue) {
            self.violated(format!("p{process} leaves records out under {policy:?}"));
        }
        match policy {
            _ if stood => {}
            OnRollback::Halt => self.violated(format!("p{process} did not halt")),
            OnRollback::Rewind => self.saw("a rollback was followed by a rewind"),
            OnRollback::Continue if leaves_out => self.saw("rolled-back rows were left out"),
            OnRollback::Continue => {
                self.saw("a rollback was gone on from without leaving anything out")
            }
        }
        let expires = |update: &TableUpdate| matches!(update, TableUpdate::RemoveSnapshots { .. });
        if swap.updates.iter().any(expires) {
            self.saw("a commit has expired snapshots");
        }
        self.history.push(Past {
            id,
            parent,
            marker: Some(links),
        });
        if property.generation > Generation(1) && summary.moved.is_empty() && summary.files == 0 {
            self.saw("a process took over");
        }
        self.landed.insert(property.id);
        self.check_reading();
    }

    /// What a marker's two places say together about each partition.
    fn links(&self, property: &Marker, summary: &Marker) -> Vec<Link<MarkerId>> {
        let link = |partition: usize| {
            let begin = NextOffset(self.log[partition].start);
            let number = partition as i32;
            let end = property.next.get(TOPIC, number).unwrap_or(begin).0;
            let moved = summary.moved.iter().find(|moved| moved.1 == number);
            Link {
                id: property.id.clone(),
                parent: summary.parent.clone(),
                generation: summary.generation,
                epoch: summary.epoch,
                range: moved.map_or(end..end, |(_, _, from, to)| from.0..to.0),
                // What lies before the log's beginning never was.
                gap: summary
                    .gaps
                    .get(TOPIC, number)
                    .map(|(from, to)| from.0.max(begin.0)..to.0),
            }
        };
        (0..PARTITIONS).map(link).collect()
    }

    /// The table property, and the summary of the current snapshot.
    fn marker_places(&self) -> (Option<Marker>, Option<Marker>) {
        let key = names::marker_key(PIPELINE);
        let parse = |json: &String| Marker::parse(json, "the simulated table").ok();
        let property = self.table().properties().get(&key).and_then(parse);
        let summary = self
            .table()
            .current_snapshot()
            .and_then(|s| s.summary().additional_properties.get(&key))
            .and_then(parse);
        (property, summary)
    }

    fn recorded(&self) -> Option<MarkerId> {
        self.marker_places().0.map(|marker| marker.id)
    }

    /// True if the table, as it was before its last change, still told where its newest marker stood: by the
    /// markers that were cut off, or by all of its own.
    fn position_was_known(&self, main: Option<i64>) -> bool {
        let before = &self.versions[self.versions.len() - 2];
        let key = names::marker_key(PIPELINE);
        let recorded = before.properties().get(&key);
        let recorded = recorded.and_then(|json| Marker::parse(json, "the simulated table").ok());
        let newest = self
            .lineage_from(main)
            .find_map(|past| past.marker.as_ref());
        let newest = newest.map(|links| links[0].id.clone());
        let is_known = |from: Option<MarkerId>, to: Option<&MarkerId>| {
            let mut next = from;
            while next.as_ref() != to {
                let past = next.and_then(|id| self.history.iter().find(|past| past.is(&id)));
                let Some(past) = past.filter(|past| before.snapshot_by_id(past.id).is_some())
                else {
                    return false;
                };
                next = past
                    .marker
                    .as_ref()
                    .and_then(|links| links[0].parent.clone());
            }
            true
        };
        is_known(recorded.map(|marker| marker.id), newest.as_ref())
            || newest.is_some() && is_known(newest.clone(), None)
    }

    /// True if the snapshot of the property's marker really is in the lineage.
    pub(super) fn stands(&self) -> bool {
        let recorded = self.recorded();
        let newest = self.newest().map(|links| links[0].id.clone());
        recorded == newest
    }

    /// A start must resume if the recorded marker's rows are in the table, and must refuse if not, or go on
    /// where its policy says.
    fn check_reading(&mut self) {
        let observed = lineage::observe(self.table(), PIPELINE);
        if let Ok(observed) = &observed {
            self.check_recovery(observed);
        }
        let resumes = match observed.map(|observed| decide_start(&observed, OnRollback::Halt)) {
            Ok(Start::Fresh) => self.recorded().is_none(),
            Ok(Start::Resume(marker)) => Some(marker.id) == self.recorded(),
            Ok(Start::Recover(_) | Start::Refuse(_)) | Err(_) => false,
        };
        if resumes != self.stands() {
            self.violated(format!(
                "a start would {}, but the recorded marker's rows are {} in the table",
                if resumes { "resume" } else { "refuse" },
                if resumes { "not" } else { "" }
            ));
        }
    }

    /// By a rewind the table goes on where its rows end; by the other policy there, or where the recorded marker
    /// ended, whichever is further.
    fn check_recovery(&mut self, observed: &Observed) {
        for policy in [OnRollback::Rewind, OnRollback::Continue] {
            let recovery = match decide_start(observed, policy) {
                Start::Recover(recovery) => recovery,
                Start::Refuse(Refusal::Forgotten { .. }) => {
                    self.saw("where rolled-back records begin was forgotten");
                    continue;
                }
                _ => continue,
            };
            for partition in 0..PARTITIONS {
                let begin = self.log[partition].start;
                let of = |offsets: &Offsets| {
                    let next = offsets.get(TOPIC, partition as i32);
                    next.map_or(begin, |next| next.0.max(begin))
                };
                let expected = match policy {
                    OnRollback::Continue => self.end(partition).max(of(&recovery.recorded.next)),
                    _ => self.end(partition),
                };
                let found = of(&recovery.next);
                if found != expected {
                    self.violated(format!(
                        "{policy:?} would go on from {found} in partition {partition}, not {expected}"
                    ));
                }
            }
        }
    }

    // What others do to the table.

    /// Another program appends, without a marker.
    pub(in super::super) fn append_foreign(&mut self) {
        let current = self.table().current_snapshot().cloned();
        let parent = current.as_ref().map(|current| current.snapshot_id());
        // The same files: what counts is that it is another snapshot.
        let files = current
            .as_ref()
            .map_or(NOTHING, |current| current.manifest_list());
        let id = 1 + self.chance.below(1 << 40) as i64;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(self.table().last_sequence_number() + 1)
            .with_timestamp_ms(chrono::Utc::now().timestamp_millis())
            .with_manifest_list(files)
            .with_schema_id(self.table().current_schema_id())
            .with_summary(Summary {
                operation: Operation::Append,
                additional_properties: HashMap::new(),
            })
            .build();
        self.note(|| "another program appends".to_owned());
        self.by_hand(vec![TableUpdate::AddSnapshot { snapshot }, main_is(id)]);
        self.history.push(Past {
            id,
            parent,
            marker: None,
        });
        self.check_reading();
    }

    /// `rollback_to_snapshot`: `main` names an older snapshot, properties stay.
    pub(in super::super) fn roll_back(&mut self) {
        let retained: Vec<i64> = self
            .lineage()
            .map(|past| past.id)
            .take_while(|id| self.table().snapshot_by_id(*id).is_some())
            .collect();
        let [head, ref older @ ..] = retained[..] else {
            return;
        };
        if older.is_empty() || !self.stands() {
            return;
        }
        let target = self.chance.one_of(older);
        let back = older.iter().position(|id| *id == target).unwrap() + 1;
        self.note(|| format!("an operator rolls the table back by {back} snapshots"));
        self.by_hand(vec![main_is(target)]);
        if !self.stands() {
            self.cut_off = Some(head);
            self.tampered = true;
            self.saw("the table was rolled back");
        }
        self.check_reading();
    }

    /// The operator takes the rollback back, whatever has happened since.
    pub(in super::super) fn undo_roll_back(&mut self) {
        let (current, head) = (self.table().current_snapshot_id(), self.cut_off);
        let Some(head) = head.filter(|head| self.table().snapshot_by_id(*head).is_some()) else {
            return;
        };
        self.note(|| "the operator takes the rollback back".to_owned());
        let was_there = self
            .lineage_from(Some(head))
            .any(|past| Some(past.id) == current);
        self.by_hand(vec![main_is(head)]);
        self.saw(match was_there {
            true => "a rollback was taken back",
            false => "a rollback was taken back after the pipeline had gone on",
        });
        self.cut_off = current.filter(|_| !was_there);
        self.tampered = true;
        self.check_reading();
    }

    pub(in super::super) fn is_rolled_back(&self) -> bool {
        !self.stands()
    }

    /// True if an operator may take a rollback back.
    pub(in super::super) fn has_cut_off(&self) -> bool {
        self.cut_off.is_some()
    }

    /// `expire_snapshots`: old ones, whether or not they are in the lineage.
    ///
    /// After a rollback the lineage is kept as far as its newest marker, or as far as it goes if it has
    /// none: otherwise nothing in the table tells the rollback from an expiry.
    pub(in super::super) fn expire(&mut self) {
        let count = 1 + self.chance.below(3) as usize;
        // None of what was cut off, all of it, or the older part.
        let cut_off_before =
            self.chance
                .one_of(&[0, i64::MAX, self.table().last_sequence_number()]);
        let retained: Vec<&Past> = self
            .lineage()
            .take_while(|past| self.table().snapshot_by_id(past.id).is_some())
            .collect();
        let marked = retained.iter().position(|past| past.marker.is_some());
        let keep = match (self.stands(), marked) {
            (true, _) => count,
            (false, None) => match retained.last() {
                Some(oldest) if oldest.parent.is_none() => retained.len(),
                _ => return,
            },
            (false, Some(marked)) => count.max(marked + 1),
        };
        let expires = |snapshot: &&SnapshotRef| {
            let is_it = |past: &&Past| past.id == snapshot.snapshot_id();
            match retained.iter().position(is_it) {
                Some(age) => age >= keep,
                None => snapshot.sequence_number() < cut_off_before,
            }
        };
        let snapshots = self.table().snapshots().filter(expires);
        let snapshot_ids: Vec<i64> = snapshots.map(|s| s.snapshot_id()).collect();
        if snapshot_ids.is_empty() {
            return;
        }
        let lost = marked.is_some_and(|marked| marked >= keep);
        self.note(|| format!("{} snapshots expire", snapshot_ids.len()));
        self.by_hand(vec![TableUpdate::RemoveSnapshots { snapshot_ids }]);
        if lost {
            self.saw("the marker's snapshot has expired");
        }
        self.check_reading();
    }

    /// The table is dropped, and created again under the same name.
    pub(in super::super) fn recreate(&mut self) {
        self.note(|| "the table is dropped and created again".to_owned());
        self.versions.push(new_table(self.merges));
        self.history.clear();
        self.cut_off = None;
        self.tampered = true;
        self.saw("the table was recreated");
    }

    fn by_hand(&mut self, updates: Vec<TableUpdate>) {
        if let Err(error) = self.change(updates) {
            self.violated(format!("the simulation itself is wrong: {error}"));
        }
    }
}

/// A snapshot gets older than it is, by less than the library would mind: how old it is when a commit expires
/// snapshots must not depend on how fast the simulation runs.
fn aged(update: TableUpdate) -> TableUpdate {
    let TableUpdate::AddSnapshot { snapshot } = update else {
        return update;
    };
    let aged = Snapshot::builder()
        .with_snapshot_id(snapshot.snapshot_id())
        .with_parent_snapshot_id(snapshot.parent_snapshot_id())
        .with_sequence_number(snapshot.sequence_number())
        .with_timestamp_ms(snapshot.timestamp_ms() - 30_000)
        .with_manifest_list(snapshot.manifest_list())
        .with_schema_id(snapshot.schema_id().unwrap())
        .with_summary(snapshot.summary().clone());
    TableUpdate::AddSnapshot {
        snapshot: aged.build(),
    }
}

fn main_is(snapshot_id: i64) -> TableUpdate {
    TableUpdate::SetSnapshotRef {
        ref_name: "main".to_owned(),
        reference: SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None)),
    }
}
