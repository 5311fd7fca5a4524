//! What the commands share that only read a table: settings, a runtime, and output.

use std::io::{ErrorKind, Write, stdout};

use chrono::DateTime;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::args::SettingsArgs;
use crate::config::{self, Settings};
use crate::error::{Error, Result};
use crate::observe::terminal::is_coloured;
use crate::runtime::async_runtime;
pub(super) use crate::runtime::table::load;

/// The settings, and what the reading runs on.
pub(super) fn prepare(args: &SettingsArgs) -> Result<(Settings, Runtime)> {
    let settings = config::load(&args.layers(Vec::new())?)?;
    Ok((settings, async_runtime()?))
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

/// `2026-11-25 08:40:00 UTC`
pub(super) fn moment(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(at) => at.format("%F %T UTC").to_string(),
        None => "-".to_owned(),
    }
}

/// Words in lines of at most `width`, each after the first behind `indent`.
pub(super) fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let letters = word.chars().count();
        if length > 0 && length + 1 + letters > width {
            lines.push('\n');
            lines.push_str(indent);
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += letters;
    }
    lines
}

/// Colours, where they may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(bool);

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shade {
    Good,
    Doubtful,
    Bad,
    Faint,
    Strong,
}

impl Paint {
    pub(super) fn for_stdout() -> Self {
        Self(is_coloured(&stdout()))
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self(false)
    }

    pub(super) fn apply(self, shade: Shade, text: &str) -> String {
        let code = match shade {
            Shade::Good => "32",
            Shade::Doubtful => "33",
            Shade::Bad => "1;31",
            Shade::Faint => "2",
            Shade::Strong => "1",
        };
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_between_words_and_indented() {
        let text = "one two three four";
        assert_eq!(wrapped(text, 9, "  "), "one two\n  three\n  four");
        assert_eq!(wrapped(text, 100, "  "), text);
        assert_eq!(wrapped("overlong", 3, "  "), "overlong");
    }

    #[test]
    fn colours_are_for_terminals_only() {
        assert_eq!(Paint(false).apply(Shade::Bad, "FAIL"), "FAIL");
        assert_eq!(
            Paint(true).apply(Shade::Bad, "FAIL"),
            "\x1b[1;31mFAIL\x1b[0m"
        );
    }
}
