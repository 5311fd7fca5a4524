//! The table with all it ever was, what others do to it, and the check of every change.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{
    FormatVersion, Operation, Snapshot, SnapshotReference, SnapshotRetention, Summary,
    TableMetadata, TableMetadataBuilder, TableMetadataRef,
};
use iceberg::{Result, TableCreation, TableUpdate};

use super::{PARTITIONS, TOPIC, World};
use crate::checkpoint::decisions::{Start, decide_start};
use crate::checkpoint::invariants::{self, Link};
use crate::checkpoint::marker::{Marker, MarkerId};
use crate::config::OnRollback;
use crate::iceberg::testing::{PIPELINE, schema};
use crate::iceberg::{lineage, names};
use crate::time::Generation;

/// A snapshot that was once the table's, whether or not the table still knows of it.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) id: i64,
    pub(super) parent: Option<i64>,
    pub(super) marker: Option<Vec<Link<MarkerId>>>,
}

/// An empty table.
pub(super) fn new_table() -> TableMetadataRef {
    let creation = TableCreation::builder()
        .name("events".to_owned())
        .location("memory:/table".to_owned())
        .schema(schema())
        .format_version(FormatVersion::V2)
        .build();
    let built = TableMetadataBuilder::from_table_creation(creation)
        .unwrap()
        .assign_uuid(uuid::Uuid::new_v4())
        .build();
    Arc::new(built.unwrap().metadata)
}

impl World {
    pub(super) fn table(&self) -> &TableMetadata {
        self.versions.last().unwrap()
    }

    pub(super) fn change(&mut self, updates: Vec<TableUpdate>) -> Result<()> {
        let mut builder = self.table().clone().into_builder(None);
        for update in updates {
            builder = update.apply(builder)?;
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
    pub(super) fn landed(&mut self, process: usize) {
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
        let links = links(&property, &summary);
        let snapshot = self.table().current_snapshot().unwrap();
        let (id, parent) = (snapshot.snapshot_id(), snapshot.parent_snapshot_id());
        let before = self
            .lineage_from(parent)
            .find_map(|past| past.marker.as_ref());
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

    /// True if the snapshot of the property's marker really is in the lineage.
    fn stands(&self) -> bool {
        let recorded = self.recorded();
        let newest = self.newest().map(|links| links[0].id.clone());
        recorded == newest
    }

    /// A start must resume if the recorded marker's rows are in the table, and must refuse if not.
    fn check_reading(&mut self) {
        let observed = lineage::observe(self.table(), PIPELINE);
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

    // What others do to the table.

    /// Another program appends, without a marker.
    pub(in super::super) fn append_foreign(&mut self) {
        let Some(current) = self.table().current_snapshot().cloned() else {
            return;
        };
        let id = 1 + self.chance.below(1 << 40) as i64;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(Some(current.snapshot_id()))
            .with_sequence_number(self.table().last_sequence_number() + 1)
            .with_timestamp_ms(current.timestamp_ms())
            // The same files: what counts is that it is another snapshot.
            .with_manifest_list(current.manifest_list())
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
            parent: Some(current.snapshot_id()),
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
        let [head, older @ ..] = &retained[..] else {
            return;
        };
        if older.is_empty() || self.rolled_back.is_some() {
            return;
        }
        let target = self.chance.one_of(older);
        let back = older.iter().position(|id| *id == target).unwrap() + 1;
        self.note(|| format!("an operator rolls the table back by {back} snapshots"));
        self.by_hand(vec![main_is(target)]);
        if !self.stands() {
            self.rolled_back = Some((*head, target));
            self.tampered = true;
            self.saw("the table was rolled back");
        }
        self.check_reading();
    }

    /// The operator takes the rollback back, if nothing has happened since.
    pub(in super::super) fn undo_roll_back(&mut self) {
        let Some((head, target)) = self.rolled_back else {
            return;
        };
        let current = self.table().current_snapshot_id();
        if current == Some(target) && self.table().snapshot_by_id(head).is_some() {
            self.note(|| "the operator takes the rollback back".to_owned());
            self.by_hand(vec![main_is(head)]);
            self.rolled_back = None;
            self.saw("a rollback was taken back");
            self.check_reading();
        }
    }

    pub(in super::super) fn is_rolled_back(&self) -> bool {
        self.rolled_back.is_some()
    }

    /// `expire_snapshots`: old ones, whether or not they are in the lineage.
    ///
    /// After a rollback the newest marker in the lineage is kept: without it nothing in the table
    /// tells a rollback from an expiry.
    pub(in super::super) fn expire(&mut self) {
        let count = 1 + self.chance.below(3) as usize;
        let with_detached = self.chance.percent(50);
        let retained: Vec<&Past> = self
            .lineage()
            .take_while(|past| self.table().snapshot_by_id(past.id).is_some())
            .collect();
        let marked = retained.iter().position(|past| past.marker.is_some());
        let keep = match (self.rolled_back, marked) {
            (None, _) => count,
            (Some(_), None) => return,
            (Some(_), Some(marked)) => count.max(marked + 1),
        };
        let snapshots = self
            .table()
            .snapshots()
            .map(|snapshot| snapshot.snapshot_id());
        let snapshot_ids: Vec<i64> = snapshots
            .filter(|id| match retained.iter().position(|past| past.id == *id) {
                Some(age) => age >= keep,
                None => with_detached,
            })
            .collect();
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
        self.versions.push(new_table());
        self.history.clear();
        self.rolled_back = None;
        self.tampered = true;
        self.saw("the table was recreated");
    }

    fn by_hand(&mut self, updates: Vec<TableUpdate>) {
        if let Err(error) = self.change(updates) {
            self.violated(format!("the simulation itself is wrong: {error}"));
        }
    }
}

fn main_is(snapshot_id: i64) -> TableUpdate {
    TableUpdate::SetSnapshotRef {
        ref_name: "main".to_owned(),
        reference: SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None)),
    }
}

/// What a marker's two places say together about each partition.
fn links(property: &Marker, summary: &Marker) -> Vec<Link<MarkerId>> {
    (0..PARTITIONS as i32)
        .map(|partition| {
            let end = property.next.get(TOPIC, partition).unwrap_or_default().0;
            let moved = summary.moved.iter().find(|moved| moved.1 == partition);
            Link {
                id: property.id.clone(),
                parent: summary.parent.clone(),
                generation: summary.generation,
                epoch: summary.epoch,
                range: moved.map_or(end..end, |(_, _, from, to)| from.0..to.0),
            }
        })
        .collect()
}
