//! What can be changed: checkpoint now, savepoint, stop, drain, cancel.
//!
//! | call | what it does | the answer comes |
//! |---|---|---|
//! | `POST /jobs/ID/checkpoints` | closes the open epoch now | when it is durable |
//! | `POST /jobs/ID/savepoints` | the same, and writes a savepoint of it | when the savepoint is written |
//! | `POST /jobs/ID/stop` | drains; the last checkpoint is a savepoint | when the savepoint is written |
//! | `POST /jobs/ID/drain` (not in Flink) | drains, as SIGTERM does | when the last checkpoint is durable |
//! | `PATCH /jobs/ID?mode=cancel` | ends at once, without a checkpoint | at once |
//!
//! All but the last answer with a `request-id` at once; what became of it is looked for below the same path. Of `stop`,
//! as in Flink, below `savepoints`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::Api;
use super::answer::Refused;
use super::operations::{Done, Kind};
use crate::control::{Answer, Ask, SavepointUnderWay, Savepoints};

/// How long a savepoint's directory may take to show that it can be written to.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a cancellation waits, so that its own answer can leave.
const CANCEL_DELAY: Duration = Duration::from_millis(100);

/// The bodies of all calls; what calve has no use for (formats, kinds of checkpoints) is accepted and ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    /// Flink calls it `target-directory` here and `targetDirectory` there.
    #[serde(rename = "target-directory", alias = "targetDirectory")]
    directory: Option<String>,
    #[serde(rename = "cancel-job")]
    cancel: bool,
    #[serde(rename = "triggerId")]
    id: Option<String>,
}

/// A savepoint whose place is made.
struct ToWrite {
    store: Arc<dyn Savepoints>,
    location: String,
    /// State that it may need stays until this goes.
    _under_way: SavepointUnderWay,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Termination {
    mode: Option<String>,
}

/// `POST /jobs/ID/savepoints`
pub(super) async fn savepoint(
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let wish = api.wish(&job, &body)?;
    api.take_savepoint(wish.cancel, wish).await
}

/// `POST /jobs/ID/stop`
pub(super) async fn stop(
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let wish = api.wish(&job, &body)?;
    api.take_savepoint(true, wish).await
}

/// `POST /jobs/ID/checkpoints`
pub(super) async fn checkpoint(
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let wish = api.wish(&job, &body)?;
    api.begin(wish.id, Kind::Checkpoint, None, |api| {
        api.process.control().ask(Ask::Checkpoint)
    })
}

/// `POST /jobs/ID/drain`
pub(super) async fn drain(
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let wish = api.wish(&job, &body)?;
    api.begin(wish.id, Kind::Drain, None, |api| {
        let answered = api.process.control().ask(Ask::LastCheckpoint);
        tracing::info!("draining, as asked for through the REST API");
        api.process.request_drain();
        answered
            .map_err(|reason| format!("{reason}: it ends without a checkpoint, nothing is open"))
    })
}

/// `PATCH /jobs/ID?mode=cancel`
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    Query(termination): Query<Termination>,
) -> Result<Response, Refused> {
    api.is_ours(&job)?;
    match termination.mode.as_deref() {
        None | Some("cancel") => {}
        Some(_) => return Err(Refused::bad("the only mode of termination is cancel")),
    }
    tracing::info!("cancelled through the REST API");
    tokio::spawn(async move {
        sleep(CANCEL_DELAY).await;
        if !api.process.has_workers() {
            // Still waiting for the other processes of the run: nothing was read, nothing is open.
            std::process::exit(0);
        }
        api.process.cancel();
    });
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

/// `GET /jobs/ID/savepoints/TRIGGER`
pub(super) async fn savepoint_status(
    State(api): State<Arc<Api>>,
    Path((job, trigger)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    api.status(&job, &trigger, Kind::Savepoint { stop: false })
}

/// `GET /jobs/ID/checkpoints/TRIGGER`
pub(super) async fn checkpoint_status(
    State(api): State<Arc<Api>>,
    Path((job, trigger)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    api.status(&job, &trigger, Kind::Checkpoint)
}

/// `GET /jobs/ID/drain/TRIGGER`
pub(super) async fn drain_status(
    State(api): State<Arc<Api>>,
    Path((job, trigger)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    api.status(&job, &trigger, Kind::Drain)
}

impl Api {
    /// Refuses what is not the id of the pipeline that this process runs.
    pub(super) fn is_ours(&self, job: &str) -> Result<(), Refused> {
        is_id(job, "jobid")?;
        match job.eq_ignore_ascii_case(&self.job_id) {
            true => Ok(()),
            false => Err(Refused::missing(format!("Job {job} not found"))),
        }
    }

    /// What the body of a request for this job says; it may be left out.
    fn wish(&self, job: &str, body: &[u8]) -> Result<Wish, Refused> {
        self.is_ours(job)?;
        if body.is_empty() {
            return Ok(Wish::default());
        }
        serde_json::from_slice(body).map_err(|error| {
            Refused::bad(format!(
                "the body is not the JSON that is expected: {error}"
            ))
        })
    }

    async fn take_savepoint(self: Arc<Self>, stop: bool, wish: Wish) -> Result<Response, Refused> {
        let kind = Kind::Savepoint { stop };
        let directory = match (&wish.directory, &self.settings.state.savepoints_dir) {
            (Some(named), _) => directory(named)?,
            (None, Some(configured)) => configured.clone(),
            (None, None) => {
                return Err(Refused::bad(
                    "a savepoint needs a directory: name one (target-directory, `calve savepoint --path DIR`), or set \
                     state.savepoints.dir",
                ));
            }
        };
        let under_way = self.process.control().savepoint_begins();
        let store = self.process.control().savepoints();
        let store = store.ok_or_else(|| Refused::conflict("the pipeline is still starting"))?;
        let prepared = timeout(PREPARE_TIMEOUT, store.prepare(&directory)).await;
        let location = prepared
            .map_err(|_| {
                Refused::bad(format!(
                    "{directory} did not answer within {PREPARE_TIMEOUT:?}"
                ))
            })?
            .map_err(|error| Refused::bad(error.to_string()))?;
        let write = Some(ToWrite {
            store,
            location,
            _under_way: under_way,
        });
        self.begin(wish.id, kind, write, |api| {
            let answered = api.process.control().ask(match stop {
                true => Ask::LastSavepoint,
                false => Ask::Savepoint,
            })?;
            if stop {
                tracing::info!("draining with a savepoint, as asked for through the REST API");
                api.process.request_drain();
            }
            Ok(answered)
        })
    }

    /// Asks, and answers with an id under which the outcome will be found. A savepoint is written when the answer has come.
    fn begin(
        self: Arc<Self>,
        id: Option<String>,
        kind: Kind,
        savepoint: Option<ToWrite>,
        ask: impl FnOnce(&Self) -> Result<tokio::sync::oneshot::Receiver<Answer>, String>,
    ) -> Result<Response, Refused> {
        let id = match id {
            Some(id) => {
                is_id(&id, "triggerId")?;
                id
            }
            None => uuid::Uuid::new_v4().simple().to_string(),
        };
        let accepted = (StatusCode::ACCEPTED, Json(json!({ "request-id": id }))).into_response();
        let new = self.operations.begin(&id, kind);
        if !new.map_err(|busy| Refused::new(StatusCode::TOO_MANY_REQUESTS, busy))? {
            // The same request once more, after an answer that was lost.
            return Ok(accepted);
        }
        let answered = match ask(&self) {
            Ok(answered) => answered,
            Err(reason) => {
                self.operations.end(&id, Err(reason.clone()));
                return Err(Refused::conflict(reason));
            }
        };
        tokio::spawn(async move {
            let outcome = match answered.await {
                Ok(answer) => self.write(answer, savepoint).await,
                Err(_) => Err("the pipeline has ended".to_owned()),
            };
            if let Err(reason) = &outcome {
                tracing::warn!("what was asked for through the REST API has failed: {reason}");
            }
            self.operations.end(&id, outcome);
        });
        Ok(accepted)
    }

    /// What follows from an answer: perhaps a savepoint is still to be written.
    async fn write(&self, answer: Answer, savepoint: Option<ToWrite>) -> Result<Done, String> {
        let durable = answer?;
        let epoch = durable.epoch;
        let Some(savepoint) = savepoint else {
            return Ok(Done {
                epoch,
                location: None,
            });
        };
        let location = savepoint.location.clone();
        let written = savepoint.store.complete(&location, &durable).await;
        written.map_err(|error| error.to_string())?;
        self.process.control().savepoint_written(epoch, &location);
        tracing::info!(epoch = epoch.0, location, "savepoint written");
        Ok(Done {
            epoch,
            location: Some(location),
        })
    }

    fn status(&self, job: &str, trigger: &str, kind: Kind) -> Result<Json<Value>, Refused> {
        self.is_ours(job)?;
        is_id(trigger, "triggerid")?;
        let Some(outcome) = self.operations.look(trigger, kind) else {
            return Err(Refused::missing(format!(
                "There is no operation with the id {trigger}"
            )));
        };
        let operation = match (&outcome, kind) {
            (None, _) => Value::Null,
            (Some(Ok(done)), Kind::Savepoint { .. }) => json!({ "location": done.location }),
            (Some(Ok(done)), Kind::Checkpoint | Kind::Drain) => {
                json!({ "checkpointId": done.epoch.0 })
            }
            (Some(Err(reason)), _) => {
                let cause = json!({
                    "class": "org.apache.flink.util.FlinkException",
                    "stack-trace": reason,
                    "serialized-throwable": "",
                });
                match kind {
                    Kind::Savepoint { .. } => json!({ "failure-cause": cause }),
                    Kind::Checkpoint | Kind::Drain => json!({ "failureCause": cause }),
                }
            }
        };
        let status = match outcome {
            None => "IN_PROGRESS",
            Some(_) => "COMPLETED",
        };
        Ok(Json(
            json!({ "status": { "id": status }, "operation": operation }),
        ))
    }
}

/// Flink's ids are 32 hex digits.
pub(super) fn is_id(text: &str, parameter: &str) -> Result<(), Refused> {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Refused::parameter(parameter, text))
}

/// A directory that somebody names: absolute, without steps back.
fn directory(named: &str) -> Result<String, Refused> {
    let path = named.strip_prefix("file://").unwrap_or(named);
    let absolute = path.starts_with('/') || ["s3://", "s3a://"].iter().any(|s| path.starts_with(s));
    let plain = !path.chars().any(char::is_control) && !path.split('/').any(|step| step == "..");
    match absolute && plain {
        true => Ok(named.to_owned()),
        false => Err(Refused::bad(
            "a savepoint's directory is an absolute path, file:///…, s3://bucket/… or s3a://bucket/…, without `..`",
        )),
    }
}
