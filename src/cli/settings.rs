//! `calve config`.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

use super::args::ConfigArgs;
use crate::config;
use crate::error::{Error, Result};
use crate::runtime::table;

pub(super) fn run(args: &ConfigArgs) -> Result<()> {
    if let Some(name) = &args.explain {
        return print(format_args!("{}\n", config::explain(name)?.trim_end()));
    }
    let settings = config::load(&args.settings.layers(Vec::new())?)?;
    table::declared(&settings)?;
    let effective = settings.effective();
    let width = effective.iter().map(|e| e.key.len()).max().unwrap_or(0);
    for setting in &effective {
        let value = setting.value.as_deref().unwrap_or("-");
        print(format_args!(
            "{:width$}  {value}  ({})\n",
            setting.key, setting.layer
        ))?;
    }
    Ok(())
}

/// Prints; a reader that has seen enough (`calve config | head -1`) is no error.
fn print(text: Arguments<'_>) -> Result<()> {
    match stdout().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::external("the settings can't be printed").caused_by(error))
        }
        _ => Ok(()),
    }
}
