//! `calve explain TOPIC/PARTITION/OFFSET`.

use std::fmt::Write as _;

use chrono::DateTime;

use super::args::ExplainArgs;
use super::table;
use crate::audit::{self, Answer, Record, Standing};
use crate::error::{Error, Result};

pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    let record: Record = args.record.parse()?;
    let (settings, runtime) = table::prepare(&args.settings)?;
    let answer = runtime.block_on(async {
        let table = table::load(&settings).await?;
        audit::explain(&table, &settings.pipeline.name, record).await
    })?;
    if args.json {
        table::print_json(&answer)?;
    } else {
        table::print(&text(&answer))?;
    }
    match answer.ok {
        true => Ok(()),
        false => Err(Error::diverged(format!(
            "{} is not in the table as it should be",
            answer.record
        ))
        .advice("calve audit tells how far it goes")),
    }
}

/// For people: the answer, and below it where everything is.
fn text(answer: &Answer) -> String {
    let mut text = format!("{}: {}\n", answer.record, answer.says);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:9}  {value}");
    };
    for holder in &answer.held_by {
        line("file", &holder.file);
        let writer = match (holder.epoch, holder.generation) {
            (Some(epoch), Some(generation)) => format!("epoch {epoch} of generation {generation}"),
            _ => "another program: a rewrite of rows, or an append".to_owned(),
        };
        let at = holder
            .committed_at_ms
            .and_then(DateTime::from_timestamp_millis);
        let at = match at {
            Some(at) => at.format("%F %T%.3f UTC").to_string(),
            None => "expired".to_owned(),
        };
        line("snapshot", &format!("{}, {writer}, {at}", holder.snapshot));
    }
    if let Standing::Covered {
        marker,
        snapshot,
        from,
        to,
        ..
    } = &answer.standing
    {
        let (epoch, generation) = (marker.epoch, marker.generation);
        let commit = format!("epoch {epoch} of generation {generation}, snapshot {snapshot}");
        line(
            "committed",
            &format!("with offsets {from}–{} by {commit}", to - 1),
        );
    }
    if let Some(file) = &answer.was_in {
        line("was in", file);
    }
    if let Some(snapshot) = answer.removed_by {
        line("removed", &format!("by snapshot {snapshot}"));
    }
    text
}
