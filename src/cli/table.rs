//! What the commands share that only read a table: settings, a runtime, and output.

use std::io::{ErrorKind, Write, stdout};

use serde::Serialize;
use tokio::runtime::Runtime;

use super::args::SettingsArgs;
use crate::config::{self, Settings};
use crate::error::{Error, Result};
pub(super) use crate::runtime::table::load;

/// The settings, and what the reading runs on.
pub(super) fn prepare(args: &SettingsArgs) -> Result<(Settings, Runtime)> {
    let settings = config::load(&args.layers(Vec::new())?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("no async runtime").caused_by(error))?;
    Ok((settings, runtime))
}

/// Prints; a reader that has seen enough (`calve audit | head -1`) is no error.
pub(super) fn print(text: &str) -> Result<()> {
    match stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::external("the result can't be printed").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("the result is no JSON").caused_by(error))?;
    print(&format!("{json}\n"))
}

/// Rows under names, numbers to the right.
pub(super) fn aligned<const N: usize>(names: &[&str; N], rows: Vec<[String; N]>) -> String {
    let width = |column: usize| {
        let values = rows.iter().map(|row| row[column].chars().count());
        values.chain([names[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("  {cell:width$}"),
            _ => format!("  {cell:>width$}"),
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    let rows = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    line(*names) + &rows.collect::<String>()
}
