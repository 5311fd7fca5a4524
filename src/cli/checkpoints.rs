//! `calve checkpoints`.

use std::fmt::Write as _;

use iceberg::table::Table;
use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::args::{CheckpointsCommand, LookArgs};
use super::table::{self, Paint, Shade};
use crate::error::Result;
use crate::inspect::{self, Checkpoint, Difference, History, Moved};

pub(super) fn run(command: &CheckpointsCommand) -> Result<()> {
    match command {
        CheckpointsCommand::List { last, all, look } => {
            let (_, mut history) = read(look)?;
            let known = history.checkpoints.len();
            let shown = if *all { known } else { *last };
            let older = known.saturating_sub(shown);
            history.checkpoints.drain(..older);
            show(look, &history, |history| list(history, older))
        }
        CheckpointsCommand::Show { checkpoint, look } => {
            let (_, history) = read(look)?;
            let found = history.find(checkpoint)?;
            show(look, found, |found| one(&history, found))
        }
        CheckpointsCommand::Diff { from, to, look } => {
            let (read, history) = read(look)?;
            let (from, to) = (history.find(from)?, history.find(to)?);
            let difference = history.difference(read.metadata(), from, to);
            show(look, &difference, |difference| diff(&history, difference))
        }
    }
}

fn read(look: &LookArgs) -> Result<(Table, History)> {
    let (settings, runtime) = table::prepare(&look.settings)?;
    let table = runtime.block_on(table::load(&settings))?;
    let name = table.identifier().to_string();
    let history = inspect::checkpoints(table.metadata(), &name, &settings.pipeline.name)?;
    Ok((table, history))
}

fn show<T: serde::Serialize>(
    look: &LookArgs,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    match look.json {
        true => table::print_json(value),
        false => table::print(&text(value)),
    }
}

fn title(history: &History) -> String {
    format!("Pipeline {}, table {}\n\n", history.pipeline, history.table)
}

fn list(history: &History, older: usize) -> String {
    let number = |number: u64| HumanCount(number).to_string();
    let rows = history.checkpoints.iter().rev().map(|checkpoint| {
        [
            checkpoint.epoch.to_string(),
            checkpoint.generation.to_string(),
            match checkpoint.claim {
                true => "claim".to_owned(),
                false => "commit".to_owned(),
            },
            table::moment(checkpoint.committed_at_ms),
            number(checkpoint.records),
            number(checkpoint.files),
            HumanBytes(checkpoint.bytes).to_string(),
            number(checkpoint.offsets),
            checkpoint.snapshot.to_string(),
            checkpoint.state_snapshot.clone().unwrap_or("-".to_owned()),
        ]
    });
    let names = [
        "epoch",
        "generation",
        "what",
        "committed",
        "records",
        "files",
        "size",
        "offsets",
        "snapshot",
        "state",
    ];
    let mut text = title(history) + &table::aligned(&names, rows.collect());
    if older > 0 {
        let _ = writeln!(
            text,
            "\n{} older: --all, or --last NUM",
            HumanCount(older as u64)
        );
    }
    if history.expired {
        text.push_str("\nThe snapshots of earlier ones have expired.\n");
    }
    text
}

fn one(history: &History, checkpoint: &Checkpoint) -> String {
    let mut text = title(history);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:12}  {value}");
    };
    line("epoch", &checkpoint.epoch.to_string());
    line(
        "generation",
        &match checkpoint.claim {
            true => format!("{}, which begins with it (claim)", checkpoint.generation),
            false => checkpoint.generation.to_string(),
        },
    );
    line("snapshot", &checkpoint.snapshot.to_string());
    line("committed", &table::moment(checkpoint.committed_at_ms));
    line("records", &HumanCount(checkpoint.records).to_string());
    line(
        "files",
        &format!("{}, {}", checkpoint.files, HumanBytes(checkpoint.bytes)),
    );
    line(
        "offsets",
        &match checkpoint.offsets.saturating_sub(checkpoint.records) {
            0 => HumanCount(checkpoint.offsets).to_string(),
            without => format!(
                "{}, {} of them without a row (rejects, transaction markers, compaction)",
                HumanCount(checkpoint.offsets),
                HumanCount(without)
            ),
        },
    );
    line("state", checkpoint.state_snapshot.as_deref().unwrap_or("-"));
    line("marker", &checkpoint.marker);
    line(
        "parent",
        checkpoint.parent.as_deref().unwrap_or("- (the first)"),
    );
    line("cluster", checkpoint.cluster_id.as_deref().unwrap_or("-"));
    for (topic, id) in &checkpoint.topic_ids {
        line("topic", &format!("{topic}, id {id}"));
    }
    if let Some(rows) = checkpoint.table_records {
        line("table then", &format!("{} rows", HumanCount(rows)));
    }
    line("made by", &format!("calve {}", checkpoint.calve_version));
    text.push_str(&moved("\n", &checkpoint.moved));
    text.push_str(&moved(
        "\nMissing by decision (on-gap, on-rollback):\n",
        &checkpoint.gaps,
    ));
    text
}

fn diff(history: &History, difference: &Difference) -> String {
    let Difference { from, to, .. } = difference;
    let paint = Paint::for_stdout();
    let mut text = title(history);
    let end = |checkpoint: &Checkpoint| {
        format!(
            "epoch {} of generation {}, snapshot {}, {}",
            checkpoint.epoch,
            checkpoint.generation,
            checkpoint.snapshot,
            table::moment(checkpoint.committed_at_ms)
        )
    };
    let ms = u64::try_from(to.committed_at_ms - from.committed_at_ms).unwrap_or(0);
    let time = HumanDuration(std::time::Duration::from_millis(ms));
    let _ = writeln!(text, "  from  {}\n  to    {}\n", end(from), end(to));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:12}  {value}");
    };
    line("time", time.to_string());
    line(
        "checkpoints",
        HumanCount(difference.checkpoints).to_string(),
    );
    if difference.claims > 0 {
        line("takeovers", HumanCount(difference.claims).to_string());
    }
    line("records", format!("+{}", HumanCount(difference.records)));
    line(
        "files",
        format!(
            "+{}, {}",
            HumanCount(difference.files),
            HumanBytes(difference.bytes)
        ),
    );
    if from.state_snapshot != to.state_snapshot {
        let name = |c: &Checkpoint| c.state_snapshot.clone().unwrap_or("-".to_owned());
        line("state", format!("{} → {}", name(from), name(to)));
    }
    for (snapshot, what) in &difference.others {
        let value = format!("{what} by another program, snapshot {snapshot}");
        line("besides", paint.apply(Shade::Doubtful, &value));
    }
    text.push_str(&moved("\n", &difference.moved));
    text.push_str(&moved(
        "\nMissing by decision (on-gap, on-rollback):\n",
        &difference.gaps,
    ));
    text
}

/// A table of ranges below a heading; nothing if there are none.
fn moved(heading: &str, ranges: &[Moved]) -> String {
    if ranges.is_empty() {
        return String::new();
    }
    let rows = ranges.iter().map(|range| {
        [
            range.topic.clone(),
            range.partition.to_string(),
            range.from.to_string(),
            range.to.to_string(),
            HumanCount((range.to - range.from).max(0) as u64).to_string(),
        ]
    });
    let names = ["topic", "partition", "from", "next", "offsets"];
    heading.to_owned() + &table::aligned(&names, rows.collect())
}
