//! `calve status`: one look at a running pipeline.

mod health;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use serde_json::Value;

use super::args::StatusArgs;
use super::remote::with_pipeline;
use super::state::{self, State};
use super::table::{Paint, Shade, aligned, print, print_json, wrapped};
use crate::error::{Error, Kind, Result};
use crate::verify::words::{ago, count, span_ms};

pub(super) use health::{Finding, MAX_LAG, findings};

/// Partitions shown, the largest lag first; `--json` has more.
const PARTITIONS_SHOWN: usize = 10;
/// Values are wrapped, so that a line has at most 80 letters.
const WIDTH: usize = 80 - MARGIN;
const MARGIN: usize = 15;
/// Between a number and its unit no line ends.
const GLUE: char = '\u{a0}';

/// `calve status --json`.
#[derive(Serialize)]
struct Report<'a> {
    /// `healthy`, `unhealthy` or `not-running`.
    verdict: &'static str,
    /// Why it is not healthy.
    findings: &'a [Finding],
    /// Where its REST API is.
    url: Option<&'a str>,
    /// What it answers at `/calve/state`.
    state: Option<&'a Value>,
}

pub(super) fn run(args: &StatusArgs) -> Result<()> {
    let look = &args.look;
    let seen = with_pipeline(&look.settings, args.url.as_deref(), async |pipeline| {
        Ok((pipeline.base.clone(), pipeline.get("/calve/state").await?))
    });
    let (url, mut answer) = match seen {
        Ok(seen) => seen,
        Err(error) => {
            if look.json && error.kind() == Kind::External {
                print_json(&Report {
                    verdict: "not-running",
                    findings: &[Finding::new("not-running", error.says())],
                    url: None,
                    state: None,
                })?;
            }
            return Err(error);
        }
    };
    let state: State = state::parse(&answer)?;
    let findings = findings(&state, args.max_lag);
    let verdict = match findings.is_empty() {
        true => "healthy",
        false if state.phase.is_over() => "not-running",
        false => "unhealthy",
    };
    match look.json {
        true => {
            // Three hundred points of a chart say nothing of now.
            if let Some(fields) = answer.as_object_mut() {
                fields.remove("series");
            }
            print_json(&Report {
                verdict,
                findings: &findings,
                url: Some(&url),
                state: Some(&answer),
            })?;
        }
        false => print(&text(&state, &url, &findings, Paint::for_stdout()))?,
    }
    let what = findings
        .iter()
        .map(|finding| finding.is)
        .collect::<Vec<_>>();
    let what = format!("pipeline {}: {}", state.pipeline, what.join(", "));
    match verdict {
        "healthy" => Ok(()),
        "not-running" => Err(Error::external(what)),
        _ => Err(Error::unverified(what)),
    }
}

/// For people: the verdict and its reasons, then the figures.
fn text(state: &State, url: &str, findings: &[Finding], paint: Paint) -> String {
    let State {
        figures,
        checkpoints,
        lag,
        ..
    } = state;
    let number = |number: u64| HumanCount(number).to_string();
    let bytes = |number: u64| glued(HumanBytes(number));
    let verdict = match findings.is_empty() {
        true => paint.apply(Shade::Good, "healthy"),
        false => paint.apply(Shade::Bad, "not healthy"),
    };
    let mut text = format!("Pipeline {}: {verdict}\n", state.pipeline);
    for finding in findings {
        let _ = writeln!(text, "  → {}", wrapped(&finding.says, 76, "    "));
    }
    text.push('\n');
    let mut line = |name: &str, value: String| {
        let value = wrapped(&value, WIDTH, &" ".repeat(MARGIN)).replace(GLUE, " ");
        let _ = writeln!(text, "  {name:11}  {value}");
    };
    line(
        "state",
        format!(
            "{} for {}, {} with {}, calve {}",
            state.phase.word(),
            ago(state.at_ms, state.phase_since_ms),
            state.dataflow,
            count(state.parallelism as u64, "worker"),
            state.version
        ),
    );
    line("at", url.to_owned());
    line("checkpoint", last_checkpoint(state));
    let counts = &checkpoints.counts;
    line(
        "checkpoints",
        format!(
            "{} completed, {} failed, {} in progress; one every {}",
            number(counts.completed),
            number(counts.failed),
            counts.in_progress,
            span_ms(checkpoints.config.interval_ms)
        ),
    );
    line("epoch", state.graph.says.clone());
    line(
        "throughput",
        format!(
            "{} records/s read ({}/s), {} records/s committed",
            number(figures.records_per_s as u64),
            bytes(figures.bytes_per_s as u64),
            number(figures.committed_per_s as u64)
        ),
    );
    line(
        "committed",
        format!(
            "{} in {} ({}) by this process",
            count(figures.records_committed, "record"),
            count(figures.files_committed, "file"),
            bytes(figures.bytes_committed)
        ),
    );
    line(
        "lag",
        format!(
            "{} in {}",
            count(lag.total, "record"),
            count(lag.partitions as u64, "partition")
        ),
    );
    line(
        "delay",
        match state.delay_ms {
            Some(ms) => format!("{} from reading to the table, at most", ago(ms, 0)),
            None => "known after two checkpoints".to_owned(),
        },
    );
    line(
        "memory",
        format!(
            "{} of {} read and not yet written, {} of {} written and not committed",
            bytes(figures.in_flight_bytes),
            bytes(state.limits.in_flight_bytes),
            bytes(figures.uncommitted_bytes),
            bytes(state.limits.uncommitted_bytes)
        ),
    );
    line(
        "rejects",
        format!(
            "{} (on-reject={})",
            number(state.rejects.count),
            state.rejects.policy
        ),
    );
    line("restarts", restarts(state));
    text.push_str(&partitions(state));
    text
}

/// In one piece.
fn glued(text: impl ToString) -> String {
    text.to_string().replace(' ', &GLUE.to_string())
}

fn last_checkpoint(state: &State) -> String {
    match state.checkpoints.latest.durable() {
        Some(last) => format!(
            "epoch {}, {} ago: {} in {}, {}, took {}",
            last.epoch,
            glued(ago(state.at_ms, last.ended_ms())),
            glued(count(last.records, "record")),
            glued(count(last.files, "file")),
            glued(HumanBytes(last.bytes)),
            glued(span_ms(last.duration_ms.unwrap_or_default()))
        ),
        None => "none yet by this process".to_owned(),
    }
}

fn restarts(state: &State) -> String {
    match state.failures.last() {
        None => HumanCount(state.figures.restarts).to_string(),
        Some(failure) => format!(
            "{}; the last failure, {} ago: {}",
            HumanCount(state.figures.restarts),
            ago(state.at_ms, failure.at_ms),
            failure.reason
        ),
    }
}

/// The partitions that lag, the largest first.
fn partitions(state: &State) -> String {
    let mut behind: Vec<_> = state.lag.shown.iter().filter(|p| p.lag > 0).collect();
    if behind.is_empty() {
        return String::new();
    }
    behind.sort_by_key(|partition| std::cmp::Reverse(partition.lag));
    let more = behind.len().saturating_sub(PARTITIONS_SHOWN);
    let rows = behind.iter().take(PARTITIONS_SHOWN).map(|partition| {
        [
            partition.topic.clone(),
            partition.partition.to_string(),
            HumanCount(partition.lag).to_string(),
        ]
    });
    let mut text = "\n".to_owned() + &aligned(&["topic", "partition", "lag"], rows.collect());
    if more > 0 {
        let _ = writeln!(text, "  and {more} more: --json shows them");
    }
    text
}
