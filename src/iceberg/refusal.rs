//! Decisions that stop a process, in words: what is wrong, what was not lost, what to type next.

use super::landing::Target;
use crate::checkpoint::decisions::{Decision, Refusal};
use crate::checkpoint::positions::Carried;
use crate::error::{Error, Result};
use crate::time::Generation;

/// Offsets mean nothing in another cluster.
pub(super) fn same_cluster(carried: Option<&Carried>, cluster_id: Option<&str>) -> Result<()> {
    let recorded = carried.and_then(|carried| carried.cluster_id.as_deref());
    match (recorded, cluster_id) {
        (Some(recorded), Some(found)) if recorded != found => Err(Error::diverged(format!(
            "the marker's offsets belong to Kafka cluster {recorded}, the brokers are cluster {found}"
        ))
        .advice(
            "check kafka.brokers; to read another cluster into this table, use another pipeline name",
        )),
        _ => Ok(()),
    }
}

/// What a table is refused with, and what to do about it.
pub(super) fn refused(target: &Target, refusal: &Refusal) -> Error {
    let error = Error::diverged(format!(
        "table {} must not be written to: {refusal}",
        target.ident
    ))
    .advice(match refusal {
        Refusal::Replaced { .. } => {
            "nothing was written; restore the old table, or start under another pipeline name"
        }
        Refusal::RolledBack { undone: true, .. } => {
            "nothing was written; set main back to the snapshot of the recorded marker, or go on with the rows \
             that the table has now: `calve run --set on-rollback=rewind` reads on where they end, `calve run \
             --set on-rollback=continue` leaves out what only the other branch has"
        }
        Refusal::RolledBack { undone: false, .. } => {
            "nothing was written; undo the rollback, or say what it was for: `calve run --set \
             on-rollback=rewind` reads the rolled-back records again, `calve run --set \
             on-rollback=continue` goes on where the recorded marker says and leaves the rolled-back \
             rows out"
        }
        Refusal::Forgotten { .. } => {
            "nothing was written; undo the rollback, or read everything again under another \
             pipeline.name and table.name. (`on-rollback=continue` leaves the rolled-back rows out, if \
             the recorded marker is known to follow the one that is left)"
        }
        Refusal::Restored { .. } => {
            "nothing was written; put the newer metadata back, or start again: `calve run` goes on \
             from the marker that the table has now, and reads what came after it again (with `--set \
             on-orphans=keep` as long as the newer metadata may come back)"
        }
        Refusal::Diverged { .. } => {
            "nothing was written; find out who changes calve's table properties, and restore them"
        }
    });
    if refusal.ends_with_a_start(target.on_rollback) {
        error.restartable()
    } else {
        error
    }
}

/// What a claim or a commit is refused with.
pub(super) fn stopped(target: &Target, generation: Generation, decision: Decision) -> Error {
    match decision {
        Decision::Fenced(newer) => Error::fenced(format!(
            "generation {newer} of pipeline {} has taken over table {}, this process is generation \
             {generation}",
            target.pipeline, target.ident
        ))
        .advice(
            "nothing is lost: the newer process goes on from the last marker; stop this one, or \
             give it another pipeline name",
        ),
        Decision::Refuse(refusal) => refused(target, &refusal),
        decision => Error::internal(format!("a commit ended in {decision:?}")),
    }
}
