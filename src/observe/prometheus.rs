//! `/metrics` in the text format that Prometheus scrapes, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::error::{Error, Result};

/// The format.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the figures on 127.0.0.1 until the runtime ends. Port 0 takes a free one.
///
/// Returns the address. Fails before any work begins if the port is taken.
pub async fn serve(registry: Registry, port: u16) -> Result<SocketAddr> {
    let taken = |error: std::io::Error| {
        Error::config(format!(
            "the metrics port {port} on 127.0.0.1 can't be opened"
        ))
        .caused_by(error)
        .advice(
            "another program, or another calve, uses it: set metrics.prometheus-port \
             (PROMETHEUS_PORT) to a free port, or leave it unset for no endpoint",
        )
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let registry = Arc::new(registry);
    let app = Router::new().route(
        "/metrics",
        get(move || {
            let registry = Arc::clone(&registry);
            async move {
                let mut text = String::new();
                match encode(&mut text, &registry) {
                    Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                }
            }
        }),
    );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::warn!(%error, "the metrics endpoint ended");
        }
    });
    tracing::info!("metrics at http://{address}/metrics");
    Ok(address)
}
