//! Every decision about a table and its markers, as pure functions over observed facts.
//!
//! The I/O code loads a table, reduces it to [`Observed`], asks here and obeys; it holds no second
//! copy of a rule. There is one rule underneath, `standing`: which marker does this table stand
//! at, if its two marker places agree? The three questions are asked of its answer:
//!
//! | question | asked | function |
//! |---|---|---|
//! | where does a new process begin? | once, at the start | [`decide_start`] |
//! | may this process take the pipeline over? | on each attempt at the claim | [`decide_claim`] |
//! | may this epoch be appended? | on each attempt at a commit, and after it | [`decide_commit`] |

use std::fmt;

use super::marker::{Marker, MarkerId};
use super::rollback::{self, Recovery};
use crate::config::OnRollback;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// Where the snapshot of the property's marker is, relative to the current lineage: the snapshot
/// that `main` names, its parent, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is in the lineage, and no newer marker of the pipeline is.
    Newest,
    /// It is in the lineage, below a newer marker of the pipeline.
    Buried,
    /// It is retained, but the lineage does not lead to it.
    Detached,
    /// It is not retained, and the lineage reaches down to before it was made: it was cut out.
    Bypassed,
    /// It is not retained, and neither is anything as old as it: snapshots were expired.
    Expired,
}

/// The marker in the table property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What the property says.
    pub marker: Marker,
    /// Where the snapshot is that was committed with it.
    pub snapshot: Whereabouts,
}

/// What one load of a table says about one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The table's UUID.
    pub table_uuid: String,
    /// The marker in the table property, if there is one.
    pub property: Option<Recorded>,
    /// The newest marker in the lineage of `main`; snapshots of others are skipped.
    pub lineage: Option<Marker>,
    /// True if that lineage is retained down to its first snapshot: then, if no marker is in it, none ever was.
    /// Only a table whose recorded marker is off the lineage needs it; of others it may be true anyway.
    pub whole: bool,
    /// The markers of all retained snapshots, in any order. Only a table whose recorded marker is off
    /// the lineage needs them; of others they may be left out.
    pub retained: Vec<Marker>,
}

/// Why a table must not be touched. A person decides what happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name leads to another table than the marker was made for.
    Replaced {
        /// The UUID of the marker's table.
        expected: String,
        /// The UUID of the table that is there.
        found: String,
    },
    /// The rows of the recorded marker are no longer in the table.
    RolledBack {
        /// The marker whose rows are gone.
        recorded: Box<Marker>,
        /// The marker the table stands at instead.
        newest: Option<Box<Marker>>,
        /// It is a rollback that was taken back, after the pipeline had gone on from it.
        undone: bool,
    },
    /// The table was rolled back, and where the rolled-back records begin can't be known any more.
    Forgotten {
        /// The marker whose rows are gone.
        recorded: Box<Marker>,
        /// The marker the table stands at instead.
        newest: Option<Box<Marker>>,
    },
    /// The table was set back as a whole, its properties too: it agrees with itself, but not with
    /// what this process has committed.
    Restored {
        /// The marker the table stands at.
        found: Box<Marker>,
    },
    /// The two marker places contradict each other, or this process, in another way.
    Diverged {
        /// What is wrong, in words.
        what: &'static str,
        /// The marker in the table property.
        recorded: Option<Box<Marker>>,
        /// The newest marker in the lineage.
        newest: Option<Box<Marker>>,
    },
}

impl Refusal {
    fn rolled_back(observed: &Observed, recorded: &Marker) -> Self {
        Self::RolledBack {
            recorded: Box::new(recorded.clone()),
            newest: observed.lineage.clone().map(Box::new),
            undone: rollback::is_undone(&observed.retained, recorded, observed.lineage.as_ref()),
        }
    }

    /// True if a fresh start under this policy goes on where this refusal has stopped a process.
    ///
    /// | refusal | halt | rewind | continue |
    /// |---|---|---|---|
    /// | rolled back | no | yes | yes |
    /// | restored | no | yes: it resumes from the restored marker | no: it would do the same |
    /// | any other | no | no | no |
    pub fn ends_with_a_start(&self, policy: OnRollback) -> bool {
        match self {
            Self::RolledBack { .. } => policy != OnRollback::Halt,
            Self::Restored { .. } => policy == OnRollback::Rewind,
            Self::Replaced { .. } | Self::Forgotten { .. } | Self::Diverged { .. } => false,
        }
    }

    fn diverged(observed: &Observed, what: &'static str) -> Self {
        Self::Diverged {
            what,
            recorded: observed
                .property
                .as_ref()
                .map(|recorded| Box::new(recorded.marker.clone())),
            newest: observed.lineage.clone().map(Box::new),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |marker: &Option<Box<Marker>>| match marker {
            Some(marker) => marker.to_string(),
            None => "no marker".to_owned(),
        };
        match self {
            Self::Replaced { expected, found } => write!(
                f,
                "the table was replaced: the marker was made for table {expected}, this one is {found}"
            ),
            Self::RolledBack {
                recorded,
                newest,
                undone: false,
            } => write!(
                f,
                "the table was rolled back: it recorded {recorded}, its history leads to {}",
                or_none(newest)
            ),
            Self::RolledBack {
                recorded,
                newest,
                undone: true,
            } => write!(
                f,
                "a rollback of the table was taken back after the pipeline had gone on from it: it recorded \
                 {recorded}, its history leads to {}, which is on the branch that was left",
                or_none(newest)
            ),
            Self::Forgotten { recorded, newest } => write!(
                f,
                "the table was rolled back: it recorded {recorded}, its history leads to {}, and of \
                 the snapshots that tell where the records between the two begin not all are retained",
                or_none(newest)
            ),
            Self::Restored { found } => write!(
                f,
                "the table was set back with its properties: it stands at {found}, which is older \
                 than what this process has committed"
            ),
            Self::Diverged {
                what,
                recorded,
                newest,
            } => write!(
                f,
                "the table has diverged: {what}; table property: {}; table history: {}",
                or_none(recorded),
                or_none(newest)
            ),
        }
    }
}

/// The marker a table stands at, if its two marker places agree.
///
/// | property | its snapshot | newest in the lineage | answer |
/// |---|---|---|---|
/// | – | | – | no marker yet |
/// | – | | M | diverged: the property was removed |
/// | M | newest | M | M |
/// | M | buried | N | diverged: the property was set back |
/// | M | detached | any | rolled back |
/// | M | bypassed | any | rolled back, and the snapshot expired since |
/// | M | expired | – | M: only the property has survived |
/// | M | expired | N | diverged: the property was set back |
fn standing(observed: &Observed) -> Result<Option<&Marker>, Refusal> {
    let Some(Recorded { marker, snapshot }) = &observed.property else {
        return match observed.lineage {
            None => Ok(None),
            Some(_) => Err(Refusal::diverged(
                observed,
                "the marker property was removed",
            )),
        };
    };
    match (snapshot, &observed.lineage) {
        (Whereabouts::Newest, _) | (Whereabouts::Expired, None) => Ok(Some(marker)),
        (Whereabouts::Detached | Whereabouts::Bypassed, _) => {
            Err(Refusal::rolled_back(observed, marker))
        }
        (Whereabouts::Buried, _) | (Whereabouts::Expired, Some(_)) => Err(Refusal::diverged(
            observed,
            "the marker property was set back to an older value",
        )),
    }
}

/// Where a new process begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The pipeline has never committed to this table.
    Fresh,
    /// It goes on from this marker.
    Resume(Box<Marker>),
    /// The table was rolled back, and the policy says how to go on.
    Recover(Box<Recovery>),
    /// It must not begin.
    Refuse(Refusal),
}

/// Decides where a new process begins.
///
/// | the table stands (`standing`) at | made for this table's UUID | `on-rollback` | start |
/// |---|---|---|---|
/// | no marker | | | fresh |
/// | M | yes | | resume from M |
/// | any recorded | no | | refuse: replaced (properties were copied from another table) |
/// | (rolled back) | yes | halt | refuse: rolled back |
/// | (rolled back, to snapshots whose marker may have expired) | yes | rewind, continue | refuse: forgotten |
/// | (rolled back) | yes | rewind | recover, or refuse: forgotten; see [`rollback`] |
/// | (rolled back) | yes | continue | recover, or refuse: forgotten |
/// | (diverged) | yes | | refuse: diverged |
pub fn decide_start(observed: &Observed, on_rollback: OnRollback) -> Start {
    if let Some(Recorded { marker, .. }) = &observed.property
        && marker.table_uuid != observed.table_uuid
    {
        return Start::Refuse(Refusal::Replaced {
            expected: marker.table_uuid.clone(),
            found: observed.table_uuid.clone(),
        });
    }
    match standing(observed) {
        Ok(None) => Start::Fresh,
        Ok(Some(marker)) => Start::Resume(Box::new(marker.clone())),
        Err(Refusal::RolledBack {
            recorded, newest, ..
        }) if on_rollback != OnRollback::Halt && newest.is_none() && !observed.whole => {
            Start::Refuse(Refusal::Forgotten { recorded, newest })
        }
        Err(Refusal::RolledBack {
            recorded, newest, ..
        }) => rollback::recover(&observed.retained, recorded, newest, on_rollback),
        Err(refusal) => Start::Refuse(refusal),
    }
}

/// What may be done with a table, now, by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The table is exactly where it must be: append, if it stays so until the swap.
    Append,
    /// This very commit is in the table: a success, nothing may be appended.
    AlreadyCommitted,
    /// An earlier attempt of this process, whose outcome was unknown, has landed: leave its files
    /// out and go on from its marker.
    Landed(MarkerId),
    /// Another start moved the table on since it was observed: observe again. Claims only.
    Outrun,
    /// A process of this higher generation has taken over: stop.
    Fenced(Generation),
    /// The table must not be touched: stop.
    Refuse(Refusal),
}

/// A new process that takes a pipeline over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The marker that the claim writes.
    pub id: MarkerId,
    /// The table it was observed on.
    pub table_uuid: String,
    /// What [`decide_start`] said, on which the claim is built.
    pub from: Start,
    /// The policy it was asked under.
    pub on_rollback: OnRollback,
}

/// Decides about a claim. Every start claims the next generation, so the same table as at the
/// start is required: of two that saw the same table, one swap wins and the other is outrun. That
/// holds for a rolled-back table too: it must be rolled back in the same way.
///
/// | table UUID | [`decide_start`] says | decision |
/// |---|---|---|
/// | differs | | refuse: replaced |
/// | same | refuse | refuse |
/// | same | resume from the claim's own marker | already committed |
/// | same | what it said at the start | append |
/// | same | something else | outrun |
pub fn decide_claim(observed: &Observed, claim: &Claim) -> Decision {
    if observed.table_uuid != claim.table_uuid {
        return replaced(&claim.table_uuid, observed);
    }
    match decide_start(observed, claim.on_rollback) {
        Start::Refuse(refusal) => Decision::Refuse(refusal),
        Start::Resume(marker) if marker.id == claim.id => Decision::AlreadyCommitted,
        start if start == claim.from => Decision::Append,
        _ => Decision::Outrun,
    }
}

/// A commit of a process that holds a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mine {
    /// The marker that the commit writes.
    pub id: MarkerId,
    /// The table the process works on.
    pub table_uuid: String,
    /// The generation it holds.
    pub generation: Generation,
    /// The last marker it has proved to be in the table.
    pub parent: MarkerId,
    /// The parent's place in the order of markers.
    pub parent_rank: (Generation, Epoch),
    /// Earlier attempts to follow the same parent whose outcome is unknown; at most one of them
    /// can have landed, since each was built on the parent's snapshot.
    pub unproved: Vec<MarkerId>,
}

/// Decides about a commit, before the swap (on exactly the metadata that the swap compares
/// with) and after it (to prove it).
///
/// | table UUID | property | the table stands (`standing`) at | decision |
/// |---|---|---|---|
/// | differs | | | refuse: replaced |
/// | same | of a higher generation | | fenced |
/// | same | | (its places disagree) | refuse: rolled back or diverged |
/// | same | | no marker | refuse: diverged, the claim's marker is gone |
/// | same | | my own marker | already committed |
/// | same | | my parent | append |
/// | same | | an unproved attempt of mine | landed |
/// | same | | a marker older than my parent | refuse: restored (old metadata came back) |
/// | same | | anything else | refuse: diverged |
pub fn decide_commit(observed: &Observed, mine: &Mine) -> Decision {
    if observed.table_uuid != mine.table_uuid {
        return replaced(&mine.table_uuid, observed);
    }
    if let Some(Recorded { marker, .. }) = &observed.property
        && marker.generation > mine.generation
    {
        return Decision::Fenced(marker.generation);
    }
    let marker = match standing(observed) {
        Err(refusal) => return Decision::Refuse(refusal),
        Ok(Some(marker)) => marker,
        Ok(None) => {
            return Decision::Refuse(Refusal::diverged(
                observed,
                "the marker of this process is gone",
            ));
        }
    };
    if marker.id == mine.id {
        Decision::AlreadyCommitted
    } else if marker.id == mine.parent {
        Decision::Append
    } else if mine.unproved.contains(&marker.id) {
        Decision::Landed(marker.id.clone())
    } else if marker.rank() < mine.parent_rank {
        Decision::Refuse(Refusal::Restored {
            found: Box::new(marker.clone()),
        })
    } else {
        Decision::Refuse(Refusal::diverged(
            observed,
            "its marker is neither this process's nor a newer generation's",
        ))
    }
}

fn replaced(expected: &str, observed: &Observed) -> Decision {
    Decision::Refuse(Refusal::Replaced {
        expected: expected.to_owned(),
        found: observed.table_uuid.clone(),
    })
}
