//! The web UI: a page of a few files, compiled in, and the JSON that it lives on.
//!
//! | path | what |
//! |---|---|
//! | `/`, `/ui/FILE` | the page: no file of others, no code in the markup, so that a strict policy holds |
//! | `/calve/state` | everything that changes, with the figures of the last minutes |
//! | `/calve/events` | the same once a second, as server-sent events |
//! | `/calve/settings` | the effective settings, secrets masked |
//! | `/calve/logs?after=N` | the last log lines |
//!
//! One second of the pipeline is put into words once, whoever looks, and not at all if nobody does ([`Live`]). Each
//! reader takes the newest words when it is ready for them: one that is slow misses some, and nothing queues up.

mod live;
mod state;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::answer::Refused;
use crate::config::Place;
use crate::observe::recent;

pub(super) use live::Live;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page may load what it is made of and talk to where it came from, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page, by name.
const FILES: [(&str, &str, &str); 10] = [
    ("index.html", HTML, include_str!("assets/index.html")),
    ("app.css", CSS, include_str!("assets/app.css")),
    ("icon.svg", SVG, include_str!("assets/icon.svg")),
    ("app.js", SCRIPT, include_str!("assets/app.js")),
    ("lib.js", SCRIPT, include_str!("assets/lib.js")),
    ("chart.js", SCRIPT, include_str!("assets/chart.js")),
    ("overview.js", SCRIPT, include_str!("assets/overview.js")),
    ("graph.js", SCRIPT, include_str!("assets/graph.js")),
    (
        "checkpoints.js",
        SCRIPT,
        include_str!("assets/checkpoints.js"),
    ),
    ("others.js", SCRIPT, include_str!("assets/others.js")),
];

/// The paths of the UI.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/", get(|| async { file("index.html") }))
        .route(
            "/ui/{file}",
            get(|Path(name): Path<String>| async move { file(&name) }),
        )
        .route("/calve/state", get(state))
        .route("/calve/events", get(events))
        .route("/calve/settings", get(settings))
        .route("/calve/logs", get(logs))
}

fn file(name: &str) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(file, ..)| *file == name) else {
        return Refused::missing("the page has no such file").into_response();
    };
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, *text).into_response()
}

async fn state(State(api): State<Arc<Api>>) -> Json<Value> {
    let mut state = state::now(&api);
    state["series"] = json!(api.live.series());
    Json(state)
}

async fn events(State(api): State<Arc<Api>>) -> Response {
    Sse::new(api.live.events()).into_response()
}

async fn settings(State(api): State<Arc<Api>>) -> Json<Value> {
    let effective = api.settings.effective().into_iter().map(|setting| {
        json!({
            "key": setting.key,
            "value": setting.value,
            "layer": setting.layer.to_string(),
            "default": setting.layer == Place::Default,
            "doc": setting.doc,
        })
    });
    Json(json!({ "settings": effective.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn logs(Query(After { after }): Query<After>) -> Json<Value> {
    Json(json!({ "kept": recent::LINES_MAX, "lines": recent::after(after) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_made_of_the_files_that_are_compiled_in_and_no_others() {
        for (name, _, text) in FILES {
            let markup = name.ends_with(".html");
            for quoted in text.split('"') {
                let named = quoted.strip_prefix("/ui/").or(quoted.strip_prefix("./"));
                if let Some(named) = named.filter(|named| named.contains('.')) {
                    assert!(
                        FILES.iter().any(|(file, ..)| *file == named),
                        "{name}: {named}"
                    );
                }
                assert!(
                    !quoted.starts_with("http")
                        || name == "icon.svg"
                        || quoted.starts_with("http://www.w3.org/"),
                    "{name}: {quoted}"
                );
            }
            assert!(
                !markup || !text.contains(" style=") && !text.contains(" onclick="),
                "{name}"
            );
        }
    }

    #[test]
    fn the_page_is_small() {
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 150_000, "{bytes} bytes, uncompressed");
    }
}
