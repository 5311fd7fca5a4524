//! `calve run`.

use std::fs;
use std::io::{IsTerminal, stderr};

use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::args::{RunArgs, WorkerArgs};
use super::find;
use super::remote::location;
use super::settings::tell_unused;
use crate::config;
use crate::error::{Error, Result};
use crate::observe::{ProfileFile, logging};
use crate::runtime::{self, Cluster, Dataflow, RunOptions, Summary};

pub(super) fn run(args: &RunArgs, dataflows: &[Dataflow]) -> Result<()> {
    let dataflow = find(dataflows, args.dataflow.as_deref())?;
    let threads = args
        .workers
        .threads
        .map(|n| ("parallelism".to_owned(), n.to_string()));
    let settings = config::load(&args.settings.layers(threads.into_iter().collect())?)?;
    settings.require_ingest()?;
    let own: Vec<&str> = dataflows.iter().flat_map(|d| d.own).copied().collect();
    settings.check_own(&own)?;
    let screen = logging::init(&settings.log.level, settings.log.format)?;
    tell_unused(&settings);
    let options = RunOptions {
        cluster: cluster(&args.workers)?,
        bounded: args.bounded,
        screen,
        from: args.from.as_deref().map(location).transpose()?,
        profile: (args.profile.as_deref().map(ProfileFile::create)).transpose()?,
        watch: Box::new(|_| {}),
    };
    let summary = runtime::run(dataflow, settings, options)?;
    tell(&summary);
    Ok(())
}

/// The last word: a sentence on a terminal, a log line elsewhere.
pub(super) fn tell(summary: &Summary) {
    let seconds = summary.took.as_secs_f64();
    let rate = (summary.records as f64 / seconds) as u64;
    if stderr().is_terminal() {
        eprintln!(
            "{} records committed in {} files ({}), {} checkpoints, {} ({} records/s){}",
            HumanCount(summary.records),
            summary.files,
            HumanBytes(summary.bytes),
            summary.commits,
            HumanDuration(summary.took),
            HumanCount(rate),
            match summary.rejected {
                0 => String::new(),
                rejected => format!(", {} skipped", HumanCount(rejected)),
            }
        );
    } else {
        tracing::info!(
            records = summary.records,
            files = summary.files,
            bytes = summary.bytes,
            checkpoints = summary.commits,
            skipped = summary.rejected,
            seconds,
            records_per_s = rate,
            "done"
        );
    }
}

/// Timely's rules for `-n`, `-p` and `-h`.
fn cluster(args: &WorkerArgs) -> Result<Cluster> {
    if args.process >= args.processes {
        return Err(Error::config(format!(
            "-p {} is not one of the {} processes of -n",
            args.process, args.processes
        ))
        .advice("processes are counted from 0"));
    }
    if args.processes == 1 {
        return Ok(Cluster::default());
    }
    let addresses: Vec<String> = match &args.hostfile {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| {
                Error::config(format!("the host file {} can't be read", path.display()))
                    .caused_by(error)
            })?
            .lines()
            .take(args.processes)
            .map(str::to_owned)
            .collect(),
        // Timely's default: processes on this machine, ports from 2101.
        None => (0..args.processes)
            .map(|index| format!("localhost:{}", 2101 + index))
            .collect(),
    };
    if addresses.len() < args.processes {
        return Err(Error::config(format!(
            "the host file has {} addresses, -n asks for {} processes",
            addresses.len(),
            args.processes
        )));
    }
    Ok(Cluster {
        process: args.process,
        addresses,
    })
}
