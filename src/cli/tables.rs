//! `calve tables`.

use std::fmt::Write as _;

use indicatif::{HumanBytes, HumanCount};

use super::args::LookArgs;
use super::table::{self, Paint, Shade};
use crate::control::now_ms;
use crate::error::Result;
use crate::inspect::{self, TableSummary};
use crate::runtime::table as configured;

pub(super) fn run(look: &LookArgs) -> Result<()> {
    let (settings, runtime) = table::prepare(&look.settings)?;
    settings.require_catalog()?;
    let namespace = configured::namespace(&settings)?;
    let tables = runtime.block_on(async {
        let catalog = configured::existing_catalog(&settings).await?;
        inspect::tables(&*catalog, &namespace, now_ms()).await
    })?;
    match look.json {
        true => table::print_json(&tables),
        false => table::print(&text(&tables, &namespace.to_string(), Paint::for_stdout())),
    }
}

fn text(tables: &[TableSummary], namespace: &str, paint: Paint) -> String {
    if tables.is_empty() {
        return format!("Namespace {namespace} has no tables.\n");
    }
    let number = |value: Option<u64>| match value {
        Some(value) => HumanCount(value).to_string(),
        None => "-".to_owned(),
    };
    let size = |value: Option<u64>| match value {
        Some(value) => HumanBytes(value).to_string(),
        None => "-".to_owned(),
    };
    let rows = tables.iter().map(|summary| {
        let growth = summary.growth.as_ref();
        [
            summary.table.clone(),
            number(Some(summary.snapshots)),
            number(summary.files),
            number(summary.rows),
            size(summary.bytes),
            summary.changed_at_ms.map_or("-".to_owned(), table::moment),
            number(growth.map(|growth| growth.files_per_day)),
            size(growth.map(|growth| growth.file_bytes)),
        ]
    });
    let names = [
        "table",
        "snapshots",
        "files",
        "rows",
        "size",
        "changed",
        "files/day",
        "average",
    ];
    let mut text = table::aligned(&names, rows.collect());
    for summary in tables {
        for writer in &summary.pipelines {
            let _ = writeln!(
                text,
                "\n{}: pipeline {} writes to it, epoch {} of generation {}, last at {}",
                summary.table,
                writer.pipeline,
                writer.epoch,
                writer.generation,
                table::moment(writer.committed_at_ms)
            );
        }
        if let Some(growth) = summary.growth.as_ref().filter(|g| g.is_of_small_files()) {
            let warning = format!(
                "{} files a day of {}, where writers aim at {}",
                HumanCount(growth.files_per_day),
                HumanBytes(growth.file_bytes),
                HumanBytes(growth.target_file_bytes)
            );
            let _ = writeln!(
                text,
                "\n{}: {}\n  → compact it daily (rewrite_data_files of another engine), or raise checkpoint.interval",
                summary.table,
                paint.apply(Shade::Doubtful, &warning)
            );
        }
        if let Some(error) = &summary.error {
            let _ = writeln!(
                text,
                "\n{}: {}",
                summary.table,
                paint.apply(Shade::Bad, error)
            );
        }
    }
    text
}
