//! One second after the other: the figures of the last minutes, and the newest state for all who watch.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::response::sse::Event;
use futures::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::Api;
use super::state;
use crate::control::now_ms;
use crate::metrics::Metrics;
use crate::observe::graph::Graph;

/// How often the figures are read.
const EVERY: Duration = Duration::from_secs(1);
/// So many readings are kept: five minutes.
const POINTS_MAX: usize = 300;
/// How long the last state may take to leave for the watchers before the process ends.
const FAREWELL: Duration = Duration::from_millis(200);

/// Milliseconds since 1970; records read and committed a second; lag in records.
pub(super) type Point = (i64, f64, f64, u64);

/// What the page lives on.
pub(in crate::observe::http) struct Live {
    pub(in crate::observe::http) graph: Graph,
    pub(super) dataflow: &'static str,
    pub(super) started_ms: i64,
    readings: Mutex<Readings>,
    newest: watch::Sender<Arc<str>>,
}

struct Readings {
    points: VecDeque<Point>,
    bytes_per_s: f64,
    last: Counted,
}

/// The counters at one moment.
struct Counted {
    at: Instant,
    read: u64,
    committed: u64,
    bytes: u64,
}

impl Counted {
    fn now(metrics: &Metrics) -> Self {
        Self {
            at: Instant::now(),
            read: metrics.records_read.get(),
            committed: metrics.records_committed.get(),
            bytes: metrics.bytes_read.get(),
        }
    }
}

impl Live {
    pub(in crate::observe::http) fn new(
        dataflow: &'static str,
        graph: Graph,
        metrics: &Metrics,
    ) -> Self {
        Self {
            graph,
            dataflow,
            started_ms: now_ms(),
            readings: Mutex::new(Readings {
                points: VecDeque::with_capacity(POINTS_MAX),
                bytes_per_s: 0.0,
                last: Counted::now(metrics),
            }),
            newest: watch::Sender::new(Arc::from("")),
        }
    }

    /// The figures of the last minutes, oldest first.
    pub(super) fn series(&self) -> Vec<Point> {
        self.readings(|readings| readings.points.iter().copied().collect())
    }

    /// The last reading, and the bytes read a second.
    pub(super) fn last(&self) -> (Option<Point>, f64) {
        self.readings(|readings| (readings.points.back().copied(), readings.bytes_per_s))
    }

    /// The state once a second, for one who watches. Whoever is slow gets the newest one next: no state waits for anybody.
    pub(super) fn events(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        unfold(self.newest.subscribe(), |mut newest| async move {
            newest.changed().await.ok()?;
            let state = Arc::clone(&newest.borrow_and_update());
            Some((Ok(Event::default().data(&*state)), newest))
        })
    }

    /// Reads the counters.
    fn read(&self, metrics: &Metrics) {
        let now = Counted::now(metrics);
        let lag = metrics.lag_total();
        self.readings(|readings| {
            let last = &readings.last;
            let seconds = now.at.duration_since(last.at).as_secs_f64();
            let per_second = |now: u64, last: u64| (now - last) as f64 / seconds.max(0.001);
            let point = (
                now_ms(),
                per_second(now.read, last.read).round(),
                per_second(now.committed, last.committed).round(),
                lag,
            );
            readings.bytes_per_s = per_second(now.bytes, last.bytes).round();
            if readings.points.len() == POINTS_MAX {
                readings.points.pop_front();
            }
            readings.points.push_back(point);
            readings.last = now;
        });
    }

    fn readings<T>(&self, look: impl FnOnce(&mut Readings) -> T) -> T {
        // Every statement under this lock leaves the readings valid.
        look(&mut self.readings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Api {
    /// Keeps the live state up to date, until the runtime ends.
    pub(in crate::observe::http) async fn keep_live(self: Arc<Self>) {
        let mut tick = interval(EVERY);
        // After a standstill the next reading says how it is, not how it would have been.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tick.tick().await;
            self.live.read(self.process.metrics());
            self.tell_watchers();
        }
    }

    /// The last words, if anybody watches: the page says that the pipeline has ended, not that the connection is lost.
    pub(in crate::observe::http) async fn take_leave(&self) {
        if self.tell_watchers() {
            sleep(FAREWELL).await;
        }
    }

    /// False if nobody watches: then nothing is put into words.
    fn tell_watchers(&self) -> bool {
        let watched = self.live.newest.receiver_count() > 0;
        if watched {
            let mut state = state::now(self);
            state["point"] = serde_json::json!(self.live.last().0);
            self.live.newest.send_replace(Arc::from(state.to_string()));
        }
        watched
    }
}
