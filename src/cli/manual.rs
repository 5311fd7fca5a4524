//! `calve completions SHELL` and `calve man`: what can be typed, for shells and for readers.

use std::io::Write as _;

use clap_complete::generate;
use clap_mangen::Man;

use super::args::{self, CompletionsArgs};
use super::{program, table};
use crate::error::{Error, Result};
use crate::runtime::Dataflow;

pub(super) fn completions(args: &CompletionsArgs, dataflows: &[Dataflow]) -> Result<()> {
    let mut script = Vec::new();
    let mut command = args::command(dataflows);
    generate(args.shell, &mut command, program(), &mut script);
    table::print(&String::from_utf8_lossy(&script))
}

/// The main page, with each command's own part below it.
pub(super) fn page(dataflows: &[Dataflow]) -> Result<()> {
    let mut page = Vec::new();
    let mut command = args::command(dataflows).name(program());
    command.build();
    let write = |page: &mut Vec<u8>| {
        Man::new(command.clone()).render(page)?;
        for command in command.get_subcommands() {
            part(page, command)?;
            for command in command.get_subcommands() {
                part(page, command)?;
            }
        }
        std::io::Result::Ok(())
    };
    write(&mut page)
        .map_err(|error| Error::internal("the manual can't be written").caused_by(error))?;
    table::print(&String::from_utf8_lossy(&page))
}

/// One command as a section.
fn part(page: &mut Vec<u8>, command: &clap::Command) -> std::io::Result<()> {
    let title = command.get_display_name().unwrap_or(command.get_name());
    writeln!(page, ".SH \"{}\"", title.replace('-', " ").to_uppercase())?;
    let man = Man::new(command.clone());
    man.render_description_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_options_section(page)
}
