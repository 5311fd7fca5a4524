//! How busy operators are, as Flink's UI asks for it: `/jobs/ID/vertices/V/subtasks/metrics`.
//!
//! timely's log counts how long each operator has run; a rate needs two moments. Whoever asks leaves one: the rates are
//! those of the last seconds, however many ask and however often, and when nobody has asked for long there are none at first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use super::super::Api;
use super::super::answer::Refused;
use super::metrics::Wanted;
use super::vertices;
use crate::control;
use crate::observe::graph::View;

/// The only figure of subtasks: milliseconds a second.
const NAME: &str = "busyTimeMsPerSecond";
/// A rate is one over at least this long.
const SPAN: Duration = Duration::from_secs(2);
/// A moment older than this tells nothing of now.
const STALE: Duration = Duration::from_secs(30);

/// The moments that were left.
#[derive(Default)]
pub(in super::super) struct Busy(Mutex<Moments>);

#[derive(Default)]
struct Moments {
    before: Option<Moment>,
    last: Option<Moment>,
}

#[derive(Clone)]
struct Moment {
    at: Instant,
    /// By operator, in the view's order, and worker.
    busy: Vec<Vec<Duration>>,
}

impl Moments {
    /// Notes a moment, and returns the one to compare it with.
    fn note(&mut self, now: &Moment) -> Option<&Moment> {
        let age = |moment: &Moment| now.at.saturating_duration_since(moment.at);
        if self.last.as_ref().is_none_or(|last| age(last) >= SPAN) {
            self.before = self.last.replace(now.clone());
        }
        let fresh = |moment: &&Moment| age(moment) >= SPAN && age(moment) <= STALE;
        self.before.as_ref().filter(fresh)
    }
}

impl Moment {
    /// Milliseconds a second on each worker since `before`; none if the dataflow is another one.
    fn rates(&self, before: &Moment, operator: usize) -> Option<Vec<f64>> {
        let (now, then) = (self.busy.get(operator)?, before.busy.get(operator)?);
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let rates = now.iter().zip(then).map(|(now, then)| {
            let ran = now.checked_sub(*then)?.as_secs_f64();
            Some((1e3 * ran / seconds).min(1e3))
        });
        rates.collect()
    }
}

/// `GET /jobs/ID/vertices/V/subtasks/metrics`
pub(in super::super) async fn of_subtasks(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let job = vertices::found(&api, &id)?;
    let index = vertices::index(&job, &vertex)?;
    if wanted.is_for_names() {
        return Ok(Json(json!([{ "id": NAME }])));
    }
    let view = api.live.graph.view();
    let place = place(&job.graph, index, &view);
    let now = Moment {
        at: Instant::now(),
        busy: view.operators.into_iter().map(|o| o.busy).collect(),
    };
    // Every statement under this lock leaves the moments valid.
    let mut moments = api.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
    let rates = moments.note(&now).zip(place);
    let rates = rates.and_then(|(before, place)| now.rates(before, place));
    let figures = rates.filter(|rates| wanted.has(NAME) && !rates.is_empty());
    Ok(Json(json!(figures.as_deref().map(over_all).as_slice())))
}

/// Where the view has a vertex: the first of a name is the first of that name there, too.
fn place(graph: &control::Graph, index: usize, view: &View) -> Option<usize> {
    let name = &graph.operators.get(index)?.name;
    let before = graph.operators[..index].iter();
    let nth = before.filter(|operator| operator.name == *name).count();
    let mut same = (view.operators.iter().enumerate()).filter(|(_, o)| o.name == *name);
    Some(same.nth(nth)?.0)
}

/// A figure over all subtasks. The skew is the mean distance from the mean, in per cent of it.
fn over_all(figures: &[f64]) -> Value {
    let (sum, number) = (figures.iter().sum::<f64>(), figures.len() as f64);
    let mean = sum / number;
    let distance = figures
        .iter()
        .map(|figure| (figure - mean).abs())
        .sum::<f64>()
        / number;
    let skew = if mean > 0.0 {
        100.0 * distance / mean
    } else {
        0.0
    };
    json!({
        "id": NAME,
        "min": figures.iter().copied().fold(f64::INFINITY, f64::min),
        "max": figures.iter().copied().fold(0.0, f64::max),
        "avg": mean,
        "sum": sum,
        "skew": skew.min(100.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Operator as Vertex;
    use crate::observe::graph::Operator;

    fn moment(at: Instant, ms: &[&[u64]]) -> Moment {
        let workers = |of: &&[u64]| of.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Moment {
            at,
            busy: ms.iter().map(workers).collect(),
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_however_often_it_is_asked_for() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut moments = Moments::default();
        // Worker 0 of operator 1 runs half of the time, worker 1 never.
        let now = |ms| moment(at(ms), &[&[0, 0], &[ms / 2, 0]]);
        assert!(moments.note(&now(0)).is_none(), "one moment is no rate");
        assert!(moments.note(&now(1_000)).is_none());
        assert!(
            moments
                .note(&now(2_000))
                .is_some_and(|before| before.at == at(0))
        );
        for ms in [3_000, 3_002, 3_998] {
            let before = moments.note(&now(ms)).expect("a moment");
            assert_eq!(before.at, at(0));
            let rates = now(ms).rates(before, 1).expect("the same dataflow");
            let rates: Vec<f64> = rates.into_iter().map(f64::round).collect();
            assert_eq!(rates, [500.0, 0.0], "{ms}");
        }
        let before = moments.note(&now(4_000)).expect("a moment");
        assert_eq!(before.at, at(2_000));
        // After a long silence the old ones tell nothing, and a dataflow that was built anew has run less.
        assert!(moments.note(&now(90_000)).is_none());
        assert_eq!(now(1_000).rates(&moment(at(0), &[&[0], &[700]]), 1), None);
        assert_eq!(now(1_000).rates(&moment(at(0), &[]), 1), None);
    }

    #[test]
    fn operators_of_one_name_are_told_apart_by_their_order() {
        let vertex = |name: &str| Vertex {
            name: name.to_owned(),
            parallelism: 1,
        };
        let operator = |node, name: &str| Operator {
            node,
            name: name.to_owned(),
            busy: Vec::new(),
            runs: 0,
        };
        let graph = control::Graph {
            operators: ["Source", "Stage", "Stage"].map(vertex).into(),
            ..control::Graph::default()
        };
        let view = View {
            operators: vec![
                operator(1, "Feedback"),
                operator(2, "Source"),
                operator(3, "Stage"),
                operator(4, "Map"),
                operator(5, "Stage"),
            ],
            ..View::default()
        };
        let places = [0, 1, 2, 3].map(|index| place(&graph, index, &view));
        assert_eq!(places, [Some(1), Some(2), Some(4), None]);
    }

    #[test]
    fn over_all_subtasks_there_is_the_least_the_most_and_how_far_they_lie_apart() {
        let figures = over_all(&[900.0, 100.0]);
        assert_eq!(
            (&figures["min"], &figures["max"]),
            (&json!(100.0), &json!(900.0))
        );
        assert_eq!(
            (&figures["avg"], &figures["skew"]),
            (&json!(500.0), &json!(80.0))
        );
        assert_eq!(over_all(&[0.0])["skew"], 0.0);
    }
}
