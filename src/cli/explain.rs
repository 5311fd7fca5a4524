//! `calve explain TOPIC/PARTITION/OFFSET`.

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

fn text(answer: &Answer) -> String {
    let mut lines = vec![[answer.record.to_string(), answer.says.clone()]];
    let mut line = |name: &str, value: String| lines.push([format!("  {name}"), value]);
    for holder in &answer.held_by {
        line("file", holder.file.clone());
        let added = match (holder.epoch, holder.generation) {
            (Some(epoch), Some(generation)) => {
                format!(", epoch {epoch} of generation {generation}")
            }
            _ => ", by another program: a rewrite of rows, or an append".to_owned(),
        };
        let at = match holder
            .committed_at_ms
            .and_then(DateTime::from_timestamp_millis)
        {
            Some(at) => at.format(", %F %T%.3f UTC").to_string(),
            None => ", expired".to_owned(),
        };
        line("snapshot", format!("{}{added}{at}", holder.snapshot));
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
        line(
            "committed",
            format!(
                "offsets {from}–{} by epoch {epoch} of generation {generation}, snapshot {snapshot}",
                to - 1
            ),
        );
    }
    if let Some(file) = &answer.was_in {
        line("was in", file.clone());
    }
    if let Some(snapshot) = answer.removed_by {
        line("removed", format!("by snapshot {snapshot}"));
    }
    let width = lines.iter().map(|[name, _]| name.len()).max().unwrap_or(0);
    let lines = lines
        .iter()
        .map(|[name, value]| format!("{name:width$}  {value}\n"));
    lines.collect()
}
