//! `calve savepoint`, `stop`, `cancel`, `checkpoint`: telling a running pipeline, through its REST API; and how `calve
//! status` and `calve top` find it and ask it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::args::{RemoteArgs, SavepointArgs, SettingsArgs, StopArgs};
use super::table::{prepare, print, print_json};
use crate::config::{Secret, Settings};
use crate::error::{Error, Result};
use crate::observe::http::job_id;

/// How long one request may take. The API itself answers within this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// From one look at the outcome to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub(super) fn savepoint(args: &SavepointArgs) -> Result<()> {
    let body = json!({ "target-directory": args.path.as_deref().map(location).transpose()? });
    ask(&args.remote, "savepoints", "savepoints", body, |outcome| {
        format!("savepoint written: {}\n", place(outcome))
    })
}

pub(super) fn stop(args: &StopArgs) -> Result<()> {
    if !args.savepoint {
        return ask(&args.remote, "drain", "drain", json!({}), |outcome| {
            let epoch = &outcome["checkpointId"];
            format!("stopped: checkpoint {epoch} is in the table, and is the last one\n")
        });
    }
    let body = json!({ "targetDirectory": args.path.as_deref().map(location).transpose()? });
    ask(&args.remote, "stop", "savepoints", body, |outcome| {
        let place = place(outcome);
        format!("stopped with a savepoint: {place}\ngo on from it: calve run --from {place}\n")
    })
}

pub(super) fn checkpoint(args: &RemoteArgs) -> Result<()> {
    ask(args, "checkpoints", "checkpoints", json!({}), |outcome| {
        format!("checkpoint {} is in the table\n", outcome["checkpointId"])
    })
}

pub(super) fn cancel(args: &RemoteArgs) -> Result<()> {
    with_pipeline(&args.settings, args.url.as_deref(), async |pipeline| {
        pipeline
            .call(Method::PATCH, &pipeline.path("?mode=cancel"), None)
            .await?;
        match args.json {
            true => print_json(&json!({ "cancelled": pipeline.name })),
            false => print(&format!(
                "cancelled {}: the next start goes on from the last checkpoint\n",
                pipeline.name
            )),
        }
    })
}

fn place(outcome: &Value) -> &str {
    outcome["location"].as_str().unwrap_or("?")
}

/// A location as it is meant on this machine: a relative path begins in the current folder.
pub(super) fn location(path: &str) -> Result<String> {
    if path.contains("://") {
        return Ok(path.to_owned());
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::config(format!("{path:?} is no path")).caused_by(error))?;
    absolute
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::config(format!("{} is no text in UTF-8", absolute.display())))
}

/// Asks for something and waits for its outcome.
fn ask(
    args: &RemoteArgs,
    at: &str,
    status_at: &str,
    body: Value,
    say: impl Fn(&Value) -> String,
) -> Result<()> {
    with_pipeline(&args.settings, args.url.as_deref(), async |pipeline| {
        let accepted = pipeline
            .call(Method::POST, &pipeline.path(&format!("/{at}")), Some(&body))
            .await?;
        let id = accepted["request-id"].as_str().unwrap_or_default();
        let status_at = pipeline.path(&format!("/{status_at}/{id}"));
        let begin = Instant::now();
        let outcome = loop {
            let status = pipeline.call(Method::GET, &status_at, None).await?;
            if status["status"]["id"] == "COMPLETED" {
                break status["operation"].clone();
            }
            if begin.elapsed() > Duration::from_secs(args.timeout) {
                return Err(Error::external(format!(
                    "pipeline {} has not answered within {} s (--timeout)",
                    pipeline.name, args.timeout
                ))
                .advice(
                    "it may still do what was asked for: look at its log; a commit waits as long as the catalog does not \
                     answer",
                ));
            }
            sleep(LOOK_INTERVAL).await;
        };
        let failure = [&outcome["failure-cause"], &outcome["failureCause"]];
        if let Some(reason) = failure
            .iter()
            .find_map(|cause| cause["stack-trace"].as_str())
        {
            return Err(Error::external(format!(
                "pipeline {} could not do it: {reason}",
                pipeline.name
            )));
        }
        match args.json {
            true => print_json(&outcome),
            false => print(&say(&outcome)),
        }
    })
}

/// Finds the pipeline, and does something with it.
pub(super) fn with_pipeline<T>(
    settings: &SettingsArgs,
    url: Option<&str>,
    act: impl AsyncFnOnce(&Pipeline) -> Result<T>,
) -> Result<T> {
    let (settings, runtime) = prepare(settings)?;
    runtime.block_on(async {
        let pipeline = Pipeline::find(&settings, url).await?;
        act(&pipeline).await
    })
}

/// A running pipeline.
pub(super) struct Pipeline {
    client: Client,
    token: Option<Secret>,
    /// The address of its REST API.
    pub(super) base: String,
    pub(super) name: String,
    job: String,
}

impl Pipeline {
    /// Finds the pipeline of these settings: at `url`, or behind one of the ports that it may have taken.
    pub(super) async fn find(settings: &Settings, url: Option<&str>) -> Result<Self> {
        // A proxy for the outer world knows no way to a pipeline.
        let client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("no HTTP client").caused_by(error))?;
        let name = settings.pipeline.name.clone();
        let mut pipeline = Self {
            client,
            token: settings.rest.token.clone(),
            base: String::new(),
            job: job_id(&name),
            name,
        };
        let candidates = match url {
            Some(url) => vec![url.trim_end_matches('/').to_owned()],
            None => addresses(settings)?,
        };
        let mut others = Vec::new();
        let mut failure = None;
        for base in &candidates {
            pipeline.base.clone_from(base);
            match pipeline
                .call(Method::GET, &format!("{base}/jobs"), None)
                .await
            {
                Ok(jobs) if jobs["jobs"][0]["id"] == pipeline.job.as_str() => return Ok(pipeline),
                Ok(_) => others.push(base.as_str()),
                Err(error) => failure = Some(error),
            }
        }
        let name = &pipeline.name;
        // Of a range of ports some may be other pipelines', and the one that is looked for may not run.
        if !others.is_empty() && failure.is_none() {
            return Err(Error::config(format!(
                "what answers at {} is not pipeline {name}",
                others.join(", ")
            ))
            .advice(
                "set pipeline.name to the name that the running pipeline has, or --url to the address that its log names",
            ));
        }
        let at = candidates.join(", ");
        let error = Error::external(match others.is_empty() {
            true => format!("no pipeline answers at {at}"),
            false => format!("pipeline {name} is at none of {at}; others are at {}", others.join(", ")),
        })
        .advice(format!(
            "is pipeline {name} running? Its log names the address of its REST API: give it with --url, or set rest.port \
             and rest.bind-address as they are there"
        ));
        Err(match failure {
            Some(failure) => error.caused_by(failure),
            None => error,
        })
    }

    /// The address of something of this pipeline.
    fn path(&self, rest: &str) -> String {
        format!("{}/jobs/{}{rest}", self.base, self.job)
    }

    /// What is at a path outside of Flink's, such as `/calve/state`.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, &format!("{}{path}", self.base), None)
            .await
    }

    async fn call(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Value> {
        let base = &self.base;
        let failed = |error: reqwest::Error| {
            // Without the address, which stands before it; the causes say what it is about.
            Error::external(format!("{base} does not answer")).caused_by(error.without_url())
        };
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let reason = answer["errors"][0]
            .as_str()
            .unwrap_or("no reason was given");
        let error = format!("{base} answered {status}: {reason}");
        Err(match status {
            StatusCode::UNAUTHORIZED => Error::config(error)
                .advice("set rest.token (CALVE_REST_TOKEN) as the pipeline has it"),
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Error::config(error),
            _ => Error::external(error),
        })
    }
}

/// Where the pipeline of these settings may listen.
fn addresses(settings: &Settings) -> Result<Vec<String>> {
    let rest = &settings.rest;
    let Some(ports) = rest.port.clone() else {
        return Err(Error::config("the REST API is switched off (rest.port is off)")
            .advice("a pipeline without it can only be ended by a signal; give --url if it has another setting"));
    };
    if *ports.start() == 0 {
        return Err(
            Error::config("rest.port is 0: the pipeline has taken any free port")
                .advice("its log names the address: give it with --url"),
        );
    }
    let host = match rest.bind_address {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    Ok(ports.map(|port| format!("http://{host}:{port}")).collect())
}
