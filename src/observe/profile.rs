//! `calve run --profile FILE`: where the time of a run went, operator by operator and worker by worker.
//!
//! The figures are those of the live [graph](super::graph), written once, at the end. Busy is how long timely let an
//! operator run, by the clock: on a machine with fewer cores than workers it includes waiting for a core. What
//! librdkafka's threads do is in no operator.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::graph::{Graph, View};
use crate::error::{Error, Result};

/// The file of a profile. Made before the run, so that nobody waits for a profile which can't be written.
#[derive(Debug)]
pub struct ProfileFile {
    path: Box<Path>,
    file: File,
}

impl ProfileFile {
    /// Makes the file, in place of one that is there.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| unwritten(path, error))?;
        Ok(Self {
            path: path.into(),
            file,
        })
    }

    /// Writes what the graph has counted since the dataflow's start, `took` ago.
    pub fn write(&mut self, dataflow: &str, took: Duration, graph: &Graph) -> Result<()> {
        let view = graph.view();
        let profile = Profile::of(dataflow, took, &view);
        let text = serde_json::to_string_pretty(&profile)
            .map_err(|error| Error::internal("the profile has no JSON").caused_by(error))?;
        writeln!(self.file, "{text}").map_err(|error| unwritten(&self.path, error))
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> Error {
    Error::external(format!("the profile {} can't be written", path.display()))
        .caused_by(error)
        .advice("name another file with --profile")
}

#[derive(Debug, Serialize)]
struct Profile<'v> {
    dataflow: &'v str,
    took_s: f64,
    /// The workers of this process; the lists of the operators are in this order.
    workers: &'v [usize],
    /// The busiest first.
    operators: Vec<OperatorProfile<'v>>,
    channels: Vec<Channel<'v>>,
}

#[derive(Debug, Serialize)]
struct OperatorProfile<'v> {
    node: usize,
    name: &'v str,
    /// Of the time that all operators were busy.
    share: f64,
    busy_s: Vec<f64>,
    runs: u64,
}

#[derive(Debug, Serialize)]
struct Channel<'v> {
    from: usize,
    to: usize,
    item: &'v str,
    batches: u64,
    items: u64,
    exchanged: bool,
}

impl<'v> Profile<'v> {
    fn of(dataflow: &'v str, took: Duration, view: &'v View) -> Self {
        let busy = |operator: &super::graph::Operator| operator.busy.iter().sum::<Duration>();
        let all: Duration = view.operators.iter().map(busy).sum();
        let mut order: Vec<_> = view.operators.iter().collect();
        order.sort_by_key(|operator| (std::cmp::Reverse(busy(operator)), operator.node));
        let operators = order.into_iter().map(|operator| OperatorProfile {
            node: operator.node,
            name: &operator.name,
            share: rounded(busy(operator).as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE)),
            busy_s: operator.busy.iter().map(seconds).collect(),
            runs: operator.runs,
        });
        let channels = view.edges.iter().map(|edge| Channel {
            from: edge.from.node,
            to: edge.to.node,
            item: &edge.item,
            batches: edge.batches,
            items: edge.items,
            exchanged: edge.exchanged,
        });
        Self {
            dataflow,
            took_s: seconds(&took),
            workers: &view.workers,
            operators: operators.collect(),
            channels: channels.collect(),
        }
    }
}

fn seconds(of: &Duration) -> f64 {
    rounded(of.as_secs_f64())
}

/// To four places: the clock's own error is larger.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::super::graph::Operator;
    use super::*;

    fn operator(node: usize, name: &str, busy_ms: [u64; 2]) -> Operator {
        Operator {
            node,
            name: name.to_owned(),
            busy: busy_ms.map(Duration::from_millis).to_vec(),
            runs: 3,
        }
    }

    #[test]
    fn the_busiest_operator_over_all_workers_stands_first() {
        let view = View {
            workers: vec![0, 1],
            operators: vec![
                operator(1, "Batch", [10, 30]),
                operator(2, "Decode", [400, 100]),
                operator(3, "Stage", [60, 400]),
            ],
            ..View::default()
        };
        let profile = Profile::of("ingest", Duration::from_secs(2), &view);
        let shares = profile.operators.iter().map(|o| (o.name, o.share));
        assert_eq!(
            shares.collect::<Vec<_>>(),
            [("Decode", 0.5), ("Stage", 0.46), ("Batch", 0.04)]
        );
        assert_eq!(profile.operators[1].busy_s, [0.06, 0.4]);
    }

    #[test]
    fn a_run_that_never_began_has_a_profile_without_operators() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        let mut file = ProfileFile::create(&path).unwrap();
        file.write("ingest", Duration::ZERO, &Graph::default())
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let profile: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(profile["operators"], serde_json::json!([]));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_said_before_the_run() {
        let error = ProfileFile::create(Path::new("/no/such/folder/profile.json")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/profile.json"));
    }
}
