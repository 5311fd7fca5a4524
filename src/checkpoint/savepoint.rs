//! Savepoints: what one says, and whether a table may be gone on from there.
//!
//! A savepoint is a folder with a file [`FILE`] in it, written last. It holds the marker at which the pipeline stood,
//! so it says which table, which offsets and which state belong together, and beside it lies a copy of that state. The
//! rows stay in the table: a savepoint is a place to go on from, no copy of the data.
//!
//! Going on from an older place while the table holds what came after it would write the same records twice. So a start
//! from a savepoint is decided about like any other start, by a pure function: [`decide`].

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::decisions::Start;
use super::marker::{EMPTY_STATE, Marker};
use super::positions::Carried;
use crate::config::OnRollback;
use crate::error::{Error, Result};
use crate::offsets::Offsets;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// The newest format this program reads, and the one it writes.
///
/// | format | |
/// |---|---|
/// | 1 | offsets only |
/// | 2 | may have state beside it; the file has a checksum |
///
/// Whatever a later program adds needs a later format, because the checksum is that of the fields known here.
pub const VERSION: u32 = 2;

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

/// Only as much as every version of the format has; the checksum from 2 on.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
    checksum: Option<String>,
}

/// What stands in the file.
#[derive(Serialize)]
struct Sealed<'a> {
    #[serde(flatten)]
    savepoint: &'a Savepoint,
    checksum: String,
}

impl Savepoint {
    /// Reads one; `place` names where it stood, for the error.
    pub fn parse(json: &[u8], place: &str) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            Error::data(format!("the savepoint {place} can't be read"))
                .caused_by(error)
                .advice("nothing was started; it is damaged, or no savepoint: name another one")
        };
        let Versioned { version, checksum } = serde_json::from_slice(json).map_err(damaged)?;
        if version > VERSION {
            return Err(Error::data(format!(
                "the savepoint {place} has format {version}, this program reads up to {VERSION}"
            ))
            .advice("a newer calve has written it: run that version"));
        }
        let savepoint: Self = serde_json::from_slice(json).map_err(damaged)?;
        let expected = savepoint.checksum()?;
        let is_sealed = version > 1 || checksum.is_some();
        if is_sealed && checksum.as_ref() != Some(&expected) {
            let found = checksum.as_deref().unwrap_or("none");
            return Err(Error::data(format!(
                "the savepoint {place} is damaged: its checksum is {found}, its content has {expected}"
            ))
            .advice("nothing was started; restore the file from a copy of the savepoint, or name another one"));
        }
        Ok(savepoint)
    }

    /// The text of the file.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let sealed = Sealed {
            savepoint: self,
            checksum: self.checksum()?,
        };
        serde_json::to_vec_pretty(&sealed).map_err(unwritable)
    }

    /// Of the text without white space.
    fn checksum(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(unwritable)?;
        Ok(format!("xxh64:{:016x}", XxHash64::oneshot(0, &json)))
    }

    /// Decides where the state is that belongs to what is carried forward from this savepoint: in its folder, at the path
    /// returned; or where the table's marker says (`None`).
    ///
    /// | the savepoint's state | the dataflow keeps state | carried forward are | |
    /// |---|---|---|---|
    /// | none | no | | none |
    /// | the empty one | | | what the marker says: the empty one |
    /// | S | yes | the savepoint's offsets | its copy of S |
    /// | S | yes | those, and partitions that have joined since | the marker's: it knows their records, S does not |
    /// | none | yes | | refuse: the state would not know what came before |
    /// | S | no | | refuse: the state would be lost |
    /// | S, but there is no copy | yes | | refuse: damaged |
    pub fn state_copy(
        &self,
        carried: &Carried,
        dataflow: &str,
        keeps_state: bool,
    ) -> Result<Option<&str>> {
        let advice = "nothing was read and nothing was touched; run the dataflow that the savepoint was made of";
        let copy = match (self.marker.state_snapshot.as_deref(), keeps_state) {
            (None, false) | (Some(EMPTY_STATE), _) => return Ok(None),
            (None, true) => {
                return Err(Error::config(format!(
                    "dataflow {dataflow} keeps state, and the savepoint is that of a dataflow without state"
                ))
                .advice(advice));
            }
            (Some(_), false) => {
                return Err(Error::config(format!(
                    "dataflow {dataflow} keeps no state, and the savepoint has some"
                ))
                .advice(advice));
            }
            (Some(_), true) => self.state.as_deref(),
        };
        let copy = copy.ok_or_else(|| {
            Error::data("the savepoint names a state and has no copy of it")
                .advice("nothing was started; it is damaged: name another one")
        })?;
        Ok((carried.next == self.marker.next).then_some(copy))
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

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("a savepoint can't be written as JSON").caused_by(error)
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
