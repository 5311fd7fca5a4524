//! Savepoints: what one says, and whether a table may be gone on from there.
//!
//! A savepoint is a folder with a file [`FILE`] in it, written last. It holds the marker at which the pipeline stood,
//! so it says which table, which offsets and which state belong together. The rows stay in the table: a savepoint is a
//! place to go on from, no copy of the data.
//!
//! Going on from an older place while the table holds what came after it would write the same records twice. So a start
//! from a savepoint is decided about like any other start, by a pure function: [`decide`].

use serde::{Deserialize, Serialize};

use super::decisions::Start;
use super::marker::Marker;
use super::positions::Carried;
use crate::config::OnRollback;
use crate::error::{Error, Result};
use crate::offsets::Offsets;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// The newest format this program reads, and the one it writes.
pub const VERSION: u32 = 1;

/// The name of the file.
pub const FILE: &str = "savepoint.json";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Savepoint {
    /// The format, [`VERSION`].
    pub version: u32,
    /// The version of calve that wrote it.
    pub calve_version: String,
    /// When, in milliseconds since 1970; for people.
    pub created_at_ms: i64,
    /// `namespace.table`, for people: the marker has the table's UUID.
    pub table: String,
    /// The table's snapshot that holds all rows before this place, and none after it.
    pub snapshot_id: Option<i64>,
    /// Where the pipeline stood, as the table's property said it.
    pub marker: Marker,
    /// Where in the savepoint's folder a copy of the state is that belongs to the marker; none for a pipeline without
    /// state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Only as much as every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Savepoint {
    /// Reads one; `place` names where it stood, for the error.
    pub fn parse(json: &[u8], place: &str) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            Error::data(format!("the savepoint {place} can't be read"))
                .caused_by(error)
                .advice("nothing was started; it is damaged, or no savepoint: name another one")
        };
        let Versioned { version } = serde_json::from_slice(json).map_err(damaged)?;
        if version > VERSION {
            return Err(Error::data(format!(
                "the savepoint {place} has format {version}, this program reads up to {VERSION}"
            ))
            .advice("a newer calve has written it: run that version"));
        }
        serde_json::from_slice(json).map_err(damaged)
    }

    /// The place itself, for a table that knows nothing of the pipeline yet.
    fn carried(&self) -> Carried {
        Carried {
            generation: Generation::default(),
            epoch: Epoch::default(),
            parent: None,
            known: Offsets::new(),
            ..Carried::from(&self.marker)
        }
    }
}

/// The table that a pipeline is to go on in, as its start has observed it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// Its UUID.
    pub uuid: &'a str,
    /// The pipeline's name.
    pub pipeline: &'a str,
}

/// Decides what a start from `savepoint` carries forward.
///
/// | [`Start`] | table is the savepoint's | it stands | decision |
/// |---|---|---|---|
/// | fresh | no | without a marker | begin at the savepoint's offsets |
/// | fresh | yes | with the marker of another pipeline name | refuse |
/// | resume from M | no | anywhere | refuse: it has a place of its own |
/// | resume from M | yes | at the savepoint's offsets (its marker, or one that follows without moving) | resume |
/// | resume from M | yes | ahead of the savepoint | refuse: the records between would be there twice |
/// | resume from M | yes | behind it | refuse: the records between would be missing |
/// | recover (`on-rollback=rewind`) | yes | rolled back to the savepoint's offsets | go on from there |
/// | recover (`on-rollback=rewind`) | yes | rolled back to another place | refuse |
/// | recover (`on-rollback=continue`) | yes | | refuse: the rows between would be left out |
///
/// A [`Start::Refuse`] never comes here: the table must not be touched, savepoint or not.
pub fn decide(savepoint: &Savepoint, start: &Start, target: Target<'_>) -> Result<Carried> {
    let own = savepoint.marker.table_uuid == target.uuid;
    let pipeline = target.pipeline;
    let (place, advice) = match (start, own) {
        (Start::Fresh, false) => return Ok(savepoint.carried()),
        (Start::Resume(marker), true) if is_at(&marker.next, savepoint) => {
            return Ok(Carried::from(&**marker));
        }
        (Start::Recover(recovery), true)
            if recovery.policy == OnRollback::Rewind && is_at(&recovery.next, savepoint) =>
        {
            return Ok(Carried::from(&**recovery));
        }
        (Start::Fresh, true) => (
            format!(
                "it was written by pipeline {}, this one is called {pipeline}",
                savepoint.marker.pipeline
            ),
            "set pipeline.name to the first of the two, or name another table (table.name)".to_owned(),
        ),
        (Start::Resume(_) | Start::Recover(_), false) => (
            format!(
                "it is not the savepoint's table ({}), and pipeline {pipeline} has already written to it",
                savepoint.table
            ),
            "name the savepoint's table, or a new one (table.name); or run without --from to go on where this table stands"
                .to_owned(),
        ),
        (Start::Resume(marker), true) if is_behind(&marker.next, savepoint) => (
            format!("it stands at {marker}: the records from there to the savepoint would be missing"),
            "`calve run` without --from reads them".to_owned(),
        ),
        (Start::Resume(marker), true) => (
            format!("it stands at {marker}: the records from the savepoint to there would be there twice"),
            ahead(savepoint),
        ),
        (Start::Recover(recovery), true) => (
            format!(
                "it was rolled back from {}, but this start would not read on at the savepoint's offsets",
                recovery.recorded
            ),
            ahead(savepoint),
        ),
        (Start::Refuse(refusal), _) => (refusal.to_string(), "see the same start without --from".to_owned()),
    };
    Err(Error::diverged(format!(
        "table {} can't be gone on in from the savepoint of {}: {place}",
        target.name, savepoint.marker
    ))
    .advice(format!("nothing was written; {advice}")))
}

/// True if no record lies between these offsets and the savepoint, whoever has come there. A partition that has joined
/// since counts for nothing: its rows and its offset stand in the table together.
fn is_at(next: &Offsets, savepoint: &Savepoint) -> bool {
    let mut partitions = savepoint.marker.next.iter();
    partitions.all(|(topic, partition, here)| next.get(topic, partition) == Some(here))
}

/// True if some record before the savepoint is not in the table.
fn is_behind(next: &Offsets, savepoint: &Savepoint) -> bool {
    let mut partitions = savepoint.marker.next.iter();
    partitions
        .any(|(topic, partition, here)| next.get(topic, partition).is_none_or(|there| there < here))
}

fn ahead(savepoint: &Savepoint) -> String {
    let snapshot = match savepoint.snapshot_id {
        Some(snapshot) => format!("snapshot {snapshot}"),
        None => "the savepoint's snapshot".to_owned(),
    };
    format!(
        "either roll the table back to {snapshot} and start with `--set on-rollback=rewind`, or name a new table \
         (table.name), which is then filled from the savepoint's offsets on; or run without --from to go on where the \
         table stands"
    )
}
