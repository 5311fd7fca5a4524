//! `/metrics` in the text format that Prometheus scrapes, `/healthz` and `/readyz`: on a port of their own, and among the
//! paths of the REST API. Both ports have the same door ([`super::http`]): bounded in connections and in time, closed to pages of
//! other sites.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

use super::figures;
use super::http::access::{self, Access};
use super::http::listener::{self, Bounded};
use crate::config::Settings;
use crate::control::Phase;
use crate::process::Process;

/// The format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is shown of a process to whoever watches it.
#[derive(Debug)]
pub struct Watched {
    process: Arc<Process>,
    registry: Registry,
}

impl Watched {
    /// Everything that can be scraped of a process that runs this dataflow. `leads` is true for the process with coordinator
    /// and commit.
    pub fn new(
        process: &Arc<Process>,
        settings: &Settings,
        dataflow: &'static str,
        leads: bool,
    ) -> Self {
        Self {
            process: Arc::clone(process),
            registry: figures::registry(process, settings, dataflow, leads),
        }
    }

    /// All figures now.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut open = String::new();
        encode_registry(&mut open, &self.registry)?;
        plain(&open)
    }

    /// `GET /metrics`
    fn metrics(&self) -> Response {
        match self.text() {
            Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    /// `GET /healthz`: the process does what it can. A supervisor need not act before it has ended by itself.
    fn health(&self) -> Response {
        match self.process.control().phase().0 {
            Phase::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed\n").into_response(),
            _ => "ok\n".into_response(),
        }
    }

    /// `GET /readyz`: records are read and committed now.
    fn readiness(&self) -> Response {
        let word = match self.process.control().phase().0 {
            Phase::Running => return "ready\n".into_response(),
            Phase::Starting => "starting\n",
            Phase::Restarting => "waiting for its restart\n",
            Phase::Finished | Phase::Cancelled => "ended\n",
            Phase::Failed => "failed\n",
        };
        (StatusCode::SERVICE_UNAVAILABLE, word).into_response()
    }
}

/// What answers at one of them.
type Answer = fn(&Watched) -> Response;

/// The three paths.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(watched: &Arc<Watched>) -> Router<S> {
    let paths: [(&str, Answer); 3] = [
        ("/metrics", Watched::metrics),
        ("/healthz", Watched::health),
        ("/readyz", Watched::readiness),
    ];
    let mut routes = Router::new();
    for (path, answer) in paths {
        let watched = Arc::clone(watched);
        routes = routes.route(path, get(move || async move { answer(&watched) }));
    }
    routes
}

/// Serves them on `metrics.prometheus-port` until the runtime ends. Returns the address.
///
/// A port that can't be had is a warning: the pipeline is worth more than its figures, which the REST API serves as well.
pub async fn serve(watched: &Arc<Watched>, settings: &Settings) -> Option<SocketAddr> {
    let settings = &settings.metrics;
    let ports = settings.prometheus_port.clone()?;
    let (listener, address) = match listener::bind(settings.bind_address, &ports).await {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(
                "no metrics on a port of their own: port {} on {} can't be opened ({error}). The pipeline runs without; \
                 the port of the REST API has /metrics, too. Set metrics.prometheus-port (PROMETHEUS_PORT) to a free \
                 port, a range such as 9249-9260, or off",
                listener::words(&ports),
                settings.bind_address
            );
            return None;
        }
    };
    let access = Arc::new(Access::new(address.ip(), None));
    let app = routes(watched).layer(middleware::from_fn_with_state(access, access::check));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(Bounded::new(listener), app).await {
            tracing::warn!(%error, "the metrics endpoint has ended");
        }
    });
    tracing::info!("metrics at http://{address}/metrics");
    Some(address)
}

/// OpenMetrics, which the client library writes, in the older text format: every scraper reads it, and so do `promtool check
/// metrics` and people. Counters bear their suffix in the lines about them, too, and there are no units and no end.
fn plain(open: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(open.len());
    let mut help = "";
    for line in open.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            help = about.split_once(' ').map_or("", |(_, words)| words);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|about| about.rsplit_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let help = help.trim_end_matches('.');
            writeln!(text, "# HELP {name}{suffix} {help}")?;
            writeln!(text, "# TYPE {name}{suffix} {kind}")?;
        } else if !line.starts_with('#') {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_counter_bears_its_samples_name() {
        let open = "\
# HELP calve_read_bytes Keys and payloads.
# TYPE calve_read_bytes counter
# UNIT calve_read_bytes bytes
calve_read_bytes_total{pipeline=\"a b # c\"} 7
# HELP calve_lag_records Behind
# TYPE calve_lag_records gauge
calve_lag_records 1
# EOF
";
        let text = "\
# HELP calve_read_bytes_total Keys and payloads
# TYPE calve_read_bytes_total counter
calve_read_bytes_total{pipeline=\"a b # c\"} 7
# HELP calve_lag_records Behind
# TYPE calve_lag_records gauge
calve_lag_records 1
";
        assert_eq!(plain(open).unwrap(), text);
    }
}
