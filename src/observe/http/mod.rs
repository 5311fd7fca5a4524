//! The REST API of a running pipeline: looking at it, and telling it what to do.
//!
//! ```text
//!   connection ─▶ listener ─▶ access ─────▶ routes ─┬─▶ jobs, checkpoints, …   what there is (`flink`: its paths and shapes)
//!                 bounded     who may do            ├─▶ operations             what was asked for, and what became of it
//!                 in number   what, from            └─▶ metrics
//!                 and time    where
//! ```
//!
//! The paths and the shapes of the answers are those of Flink's REST API, so that its clients and people's scripts work;
//! each path exists with and without `/v1`. What Flink has no word for is under `/calve`.
//!
//! What must never happen here: that the pipeline waits for a client. Handlers read figures and short locks and ask at the
//! desk ([`crate::control`]), nothing more; connections are few and time out; a port that is taken is a warning. Answers
//! carry no secrets (settings are shown as `calve config` shows them), and errors no paths or traces of ours.

pub(super) mod access;
mod answer;
mod change;
mod flink;
pub(super) mod listener;
mod operations;
mod own;
mod routes;
mod ui;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;

use crate::config::Settings;
use crate::observe::graph::Graph;
use crate::observe::prometheus::{self, Watched};
use crate::process::Process;
use access::Access;
use flink::busy::Busy;
use listener::Bounded;
use operations::Operations;
use ui::Live;

/// A request's body is at most this long; the longest that is meant holds a path.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What the handlers share.
struct Api {
    process: Arc<Process>,
    settings: Settings,
    /// 32 hex digits, the same for every run of the pipeline.
    job_id: String,
    operations: Operations,
    access: Arc<Access>,
    live: Live,
    busy: Busy,
}

/// The server of one process, until the runtime ends.
pub struct Server {
    address: SocketAddr,
    api: Arc<Api>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until everything that was asked for has ended and been told, but not for ever. Returns what of a stop has
    /// failed though the pipeline has ended in order.
    pub async fn settle(&self) -> Option<String> {
        self.api.take_leave().await;
        let patience = self.api.settings.checkpoint.timeout;
        self.api.operations.settle(patience).await
    }
}

/// Starts to serve. A port that can't be had is a warning: the pipeline is worth more than its API.
pub async fn serve(
    settings: &Settings,
    process: &Arc<Process>,
    watched: &Arc<Watched>,
    dataflow: &'static str,
    graph: &Graph,
) -> Option<Server> {
    let rest = &settings.rest;
    let ports = rest.port.clone()?;
    let (listener, address) = match listener::bind(rest.bind_address, &ports).await {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(
                "no REST API: port {} on {} can't be opened ({error}). The pipeline runs without it; `calve \
                 savepoint`, `stop`, `cancel` and `checkpoint` can't reach it. Set rest.port to a free port, a range \
                 such as 8081-8090, or off",
                listener::words(&ports),
                rest.bind_address
            );
            return None;
        }
    };
    let api = Arc::new(Api {
        process: Arc::clone(process),
        settings: settings.clone(),
        job_id: job_id(&settings.pipeline.name),
        operations: Operations::default(),
        access: Arc::new(Access::new(address.ip(), rest.token.clone())),
        live: Live::new(dataflow, graph.clone(), process.metrics()),
        busy: Busy::default(),
    });
    let app = router(&api, watched);
    tokio::spawn(Arc::clone(&api).keep_live());
    tokio::spawn(async move {
        if let Err(error) = axum::serve(Bounded::new(listener), app).await {
            tracing::warn!(%error, "the REST API has ended");
        }
    });
    tracing::info!("REST API at http://{address} (for browsers, too)");
    Some(Server { address, api })
}

fn router(api: &Arc<Api>, watched: &Arc<Watched>) -> Router {
    let routes = routes::all().merge(prometheus::routes(watched));
    Router::new()
        .merge(routes.clone())
        .nest("/v1", routes)
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api.access),
            access::check,
        ))
        .with_state(Arc::clone(api))
}

/// The id under which a pipeline is known to Flink's clients.
pub fn job_id(pipeline: &str) -> String {
    hash(pipeline)
}

/// Flink's ids are 32 hex digits: FNV-1a, 128 bits.
fn hash(text: &str) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}
