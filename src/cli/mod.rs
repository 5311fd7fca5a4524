//! The command line. `calve::cli::main(&[dataflows])` is all of a program: commands, settings, checkpoints, REST API,
//! metrics and UI are the same whatever the dataflows are. `docs/extending.md` shows one of somebody's own.

mod args;
mod audit;
mod checkpoints;
mod demo;
mod explain;
mod generate;
mod heap;
mod infer;
mod manual;
mod migrate;
mod remote;
mod run;
mod settings;
mod state;
mod status;
mod table;
mod tables;
mod top;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::FromArgMatches;

use crate::error::{Error, Result};
use crate::failpoint;
use crate::runtime::Dataflow;
use args::{Cli, Command};

/// Runs the command line of a binary that offers `dataflows`; the first is the default of `calve run`.
///
/// Returns the exit code: 0 after an orderly end, else that of the error's [`Kind`](crate::error::Kind).
pub fn main(dataflows: &[Dataflow]) -> ExitCode {
    heap::return_large_blocks();
    let _scenario = failpoint::setup();
    let cli = Cli::from_arg_matches(&args::command(dataflows).get_matches());
    let command = cli.unwrap_or_else(|error| error.exit()).command;
    match dispatch(command, dataflows) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.last_words());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// The name under which this program was called.
fn program() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let path = std::env::args_os().next().map(PathBuf::from);
        let name = path.as_deref().and_then(Path::file_name);
        name.map_or("calve".into(), |name| name.to_string_lossy().into_owned())
    })
}

/// What is wrong with the words behind `calve`, if anything.
#[cfg(test)]
pub(crate) fn parse(words: &[String]) -> Result<(), clap::Error> {
    let program = "calve".to_owned();
    let words = [&program].into_iter().chain(words);
    args::command(&[]).try_get_matches_from(words).map(drop)
}

fn dispatch(command: Command, dataflows: &[Dataflow]) -> Result<()> {
    match command {
        Command::Run(args) => run::run(&args, dataflows),
        Command::Demo(args) => demo::run(&args, dataflows),
        Command::Config(args) => settings::run(&args),
        Command::Infer(args) => infer::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Checkpoints(args) => checkpoints::run(&args.command),
        Command::Tables(args) => tables::run(&args),
        Command::Completions(args) => manual::completions(&args, dataflows),
        Command::Man => manual::page(dataflows),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Savepoint(args) => remote::savepoint(&args),
        Command::Stop(args) => remote::stop(&args),
        Command::Cancel(args) => remote::cancel(&args),
        Command::Checkpoint(args) => remote::checkpoint(&args),
    }
}

fn find(dataflows: &[Dataflow], name: Option<&str>) -> Result<Dataflow> {
    let found = match name {
        None => dataflows.first(),
        Some(name) => dataflows.iter().find(|dataflow| dataflow.name == name),
    };
    found.copied().ok_or_else(|| {
        let names: Vec<_> = dataflows.iter().map(|dataflow| dataflow.name).collect();
        Error::config(format!(
            "there is no dataflow {:?}",
            name.unwrap_or_default()
        ))
        .advice(format!("this binary has: {}", names.join(", ")))
    })
}
