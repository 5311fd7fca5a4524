//! What one process does in its life: the production committer, from the claim until all is read.

use std::sync::Arc;
use std::time::Duration;

use super::catalog::SimulatedCatalog;
use super::world::{Sim, ident};
use crate::checkpoint::positions::Carried;
use crate::error::Result;
use crate::iceberg::testing::PIPELINE;
use crate::iceberg::{CommitFailure, Committer, StagedFile};

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn ingest(sim: Sim, process: usize) -> Result<()> {
    let catalog = SimulatedCatalog::of(&sim, process);
    let (policy, retention) = sim.lock().settings(process);
    let observed = Committer::observe(Arc::clone(&catalog) as _, ident(), PIPELINE, policy).await?;
    let observed = observed.with_patience(PATIENCE).with_retention(retention);
    let begin = |carried: Option<&Carried>| Ok(sim.lock().beginning(carried).into());
    let (mut committer, marker) = Committer::claim(observed, None, begin).await?;
    let mut epoch = marker.epoch;
    let mut read = marker.next;
    let mut failed: Vec<StagedFile> = Vec::new();
    loop {
        epoch = epoch.next();
        let (staged, patience) = {
            let mut world = sim.lock();
            let mut staged = world.stage(committer.table(), epoch, &mut read);
            // Those that ride anyway may be handed in again.
            if world.chance.percent(50) {
                staged.files.extend(failed.iter().cloned());
            }
            let impatience = world.faults.patience;
            let patience = match world.chance.percent(impatience) {
                true => Duration::from_millis(world.chance.below(5_000)),
                false => Duration::MAX,
            };
            (staged, patience)
        };
        let files = staged.files.clone();
        let committed = tokio::time::timeout(patience, committer.commit(staged)).await;
        let mut world = sim.lock();
        match committed {
            Ok(Ok(committed)) => {
                failed.clear();
                world.proved(process, &committed, &read);
                if world.has_read_all(&read) {
                    return Ok(());
                }
            }
            Ok(Err(CommitFailure::Fatal(error))) => return Err(error),
            Ok(Err(CommitFailure::Unknown(_))) => {
                world.saw("the outcome of a commit was unknown");
                failed.extend(files);
            }
            Err(_elapsed) => {
                world.saw("a commit was given up half-way");
                failed.extend(files);
            }
        }
    }
}
