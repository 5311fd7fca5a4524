//! `calve migrate flink`: the offsets of a Flink job become the first marker of a pipeline.

mod offsets_file;

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use super::args::{FlinkArgs, MigrateArgs, MigrateFrom, Missing};
use super::settings::tell_unused;
use super::table::{aligned, moment, print, print_json};
use crate::checkpoint::migration::Planned;
use crate::config::{self, OffsetReset};
use crate::error::{Error, Result};
use crate::iceberg::FlinkCommit;
use crate::observe::logging;
use crate::runtime::{Left, Takeover, table};

pub(super) fn run(args: &MigrateArgs) -> Result<()> {
    match &args.from {
        MigrateFrom::Flink(args) => flink(args),
    }
}

/// What is found and done.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report<'a> {
    table: String,
    pipeline: &'a str,
    partitions: Vec<Planned>,
    /// The last commit of each Flink job, the newest first.
    flink: Vec<FlinkCommit>,
    dry_run: bool,
    /// The first marker, if it was written.
    marker: Option<String>,
}

fn flink(args: &FlinkArgs) -> Result<()> {
    let settings = config::load(&args.settings.layers(Vec::new())?)?;
    logging::init(&settings.log.level, settings.log.format)?;
    tell_unused(&settings);
    let left = match (&args.offsets, &args.from_group) {
        (Some(path), _) => Left::Offsets(offsets_file::read(path)?),
        (None, Some(group)) => Left::Group(group.clone()),
        (None, None) => return Err(Error::config("--offsets or --from-group is needed")),
    };
    let missing = args.missing.map(|missing| match missing {
        Missing::Earliest => OffsetReset::Earliest,
        Missing::Latest => OffsetReset::Latest,
    });
    let takeover = Takeover::look(&settings, &left, missing)?;
    let mut report = Report {
        table: table::ident(&settings)?.to_string(),
        pipeline: &settings.pipeline.name,
        partitions: takeover.plan().to_vec(),
        flink: takeover.flink().to_vec(),
        dry_run: args.dry_run,
        marker: None,
    };
    if !args.json {
        print(&text(&report, &left, args.flink_checkpoint))?;
    }
    let checked = match args.flink_checkpoint {
        Some(checkpoint) => same_checkpoint(checkpoint, &report.flink),
        None => Ok(()),
    };
    let claimed = match (checked, args.dry_run) {
        (Ok(()), false) => takeover
            .claim()
            .map(|marker| report.marker = Some(marker.to_string())),
        (checked, _) => checked,
    };
    match (&report.marker, args.json) {
        (_, true) => print_json(&report)?,
        (Some(marker), false) => print(&format!(
            "\nTaken over: the table's marker is {marker}. `calve run` resumes there.\n"
        ))?,
        (None, false) => {}
    }
    claimed
}

/// Offsets of one checkpoint beside files of another are a loss or a duplication.
fn same_checkpoint(offsets: i64, flink: &[FlinkCommit]) -> Result<()> {
    let Some(commit) = flink.first() else {
        return Err(Error::diverged(
            "no snapshot of the table says which Flink checkpoint it belongs to",
        )
        .advice(
            "nothing was written; they may have expired, or another program wrote the table: compare by hand, and leave \
             --flink-checkpoint out",
        ));
    };
    let files = commit.checkpoint;
    let what = match offsets.cmp(&files) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "the records between the two would be missing",
        std::cmp::Ordering::Less => "the records between the two would be there twice",
    };
    Err(Error::diverged(format!(
        "the offsets are those of Flink's checkpoint {offsets}, the table holds checkpoint {files} of job {}: {what}",
        commit.job_id
    ))
    .advice(format!(
        "nothing was written; take the offsets of checkpoint {files}, or let Flink commit once more and stop it with a \
         savepoint"
    )))
}

/// For people: what the table knows of Flink, then every partition, then what nobody but they can compare.
fn text(report: &Report<'_>, left: &Left, checked: Option<i64>) -> String {
    let mut text = format!(
        "Table {}, pipeline {}: no marker yet\n\n",
        report.table, report.pipeline
    );
    for commit in &report.flink {
        let _ = writeln!(text, "  {}", commit_line(commit));
    }
    if report.flink.is_empty() {
        text.push_str("  No snapshot of the table says that Flink made it.\n");
    }
    text.push('\n');
    let rows = report.partitions.iter().map(|planned| {
        let behind = planned.ends - planned.next.0;
        [
            planned.topic.clone(),
            planned.partition.to_string(),
            planned.begins.to_string(),
            planned.ends.to_string(),
            format!("{}{}", planned.next, if planned.given { "" } else { " *" }),
            HumanCount(u64::try_from(behind).unwrap_or_default()).to_string(),
        ]
    });
    let names = [
        "topic",
        "partition",
        "begins",
        "ends",
        "next to read",
        "to be read",
    ];
    text.push_str(&aligned(&names, rows.collect()));
    if report.partitions.iter().any(|planned| !planned.given) {
        text.push_str("  * not given: --missing\n");
    }
    if checked.is_none() {
        text.push('\n');
        text.push_str(&trap(left, report.flink.first()));
    }
    text
}

fn commit_line(commit: &FlinkCommit) -> String {
    let at = moment(commit.committed_at_ms);
    let operator = match &commit.operator_id {
        Some(operator) => format!(", operator {operator}"),
        None => String::new(),
    };
    format!(
        "Flink's job {}{operator} committed up to its checkpoint {} (snapshot {}, {at})",
        commit.job_id, commit.checkpoint, commit.snapshot_id
    )
}

/// The trap of every takeover from Flink, in words.
fn trap(left: &Left, commit: Option<&FlinkCommit>) -> String {
    let of = match left {
        Left::Offsets(_) => {
            "These offsets have to be those of the checkpoint whose files are in the table."
        }
        Left::Group(_) => {
            "A group's offsets are those of Flink's last completed checkpoint. Its files are committed to the table by \
             themselves at that moment: either of the two may have failed."
        }
    };
    let compare = match commit {
        Some(commit) => format!(
            "Compare: the table holds checkpoint {}. Are the offsets those of an older one, records will be there twice; \
             of a newer one, records will be missing. --flink-checkpoint N checks it.",
            commit.checkpoint
        ),
        None => {
            "Compare the newest rows of the table with these offsets before you go on.".to_owned()
        }
    };
    format!(
        "{of}\n{compare}\nStop the Flink job (with a savepoint) before: it would go on writing.\n"
    )
}
