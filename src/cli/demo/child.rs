//! A calve that the demo runs as a process of its own, so that it can really be killed.
//!
//! It is watched as anybody could watch it: by its log (one JSON object a line) and its metrics.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};

/// How long the child may take for anything; a second or two are usual.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);

/// A running `calve run`; killed when dropped.
pub(super) struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
    /// What it has said so far, for the error if it ends.
    said: Vec<String>,
    metrics_url: Option<String>,
    interrupted: Arc<AtomicBool>,
}

impl Child {
    /// Starts this very program with these settings and no others.
    pub(super) fn start(
        dataflow: &str,
        flags: &[(String, String)],
        directory: &Path,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::external("calve can't be started a second time").caused_by(error)
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut process = Command::new(program)
            .args(["run", dataflow])
            .args(
                flags
                    .iter()
                    .map(|(key, value)| format!("--set={key}={value}")),
            )
            // Neither the environment nor a .env file may change the play.
            .env_clear()
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (send, lines) = channel();
        if let Some(stderr) = process.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(|line| line.ok()) {
                    // An error means that nobody listens any more.
                    let _ = send.send(line);
                }
            });
        }
        Ok(Self {
            process,
            lines,
            said: Vec::new(),
            metrics_url: None,
            interrupted: Arc::clone(interrupted),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it logs this, and returns the whole log record.
    pub(super) fn logs(&mut self, message: &str) -> Result<Value> {
        let begin = Instant::now();
        loop {
            self.check_patience(begin, message)?;
            let line = match self.lines.recv_timeout(TICK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(self.has_ended()),
            };
            let record: Value = serde_json::from_str(&line).unwrap_or_default();
            self.said.push(line);
            let text = record["message"].as_str().unwrap_or_default();
            if let Some(url) = text.strip_prefix("metrics at ") {
                self.metrics_url = Some(url.to_owned());
            }
            if text == message {
                return Ok(record);
            }
        }
    }

    /// Waits until this figure of its metrics has reached `least`, and returns it.
    pub(super) fn counts(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        name: &str,
        least: u64,
    ) -> Result<u64> {
        let begin = Instant::now();
        loop {
            self.check_patience(begin, name)?;
            match runtime.block_on(self.figure(name)) {
                Some(count) if count >= least => return Ok(count),
                _ if matches!(self.process.try_wait(), Ok(None)) => thread::sleep(TICK),
                _ => return Err(self.has_ended()),
            }
        }
    }

    /// One figure of its metrics now; `None` if they can't be had.
    pub(super) async fn figure(&self, name: &str) -> Option<u64> {
        let answer = reqwest::get(self.metrics_url.as_ref()?).await.ok()?;
        let text = answer.text().await.ok()?;
        let mut lines = text.lines();
        lines.find_map(|line| value(line, name)?.parse().ok())
    }

    /// kill -9.
    pub(super) fn kill(mut self) -> Result<ExitStatus> {
        self.process
            .kill()
            .and_then(|()| self.process.wait())
            .map_err(|error| Error::external("calve can't be killed").caused_by(error))
    }

    fn check_patience(&self, begin: Instant, what: &str) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::external("the demo was interrupted"));
        }
        if begin.elapsed() < PATIENCE {
            return Ok(());
        }
        Err(Error::external(format!(
            "waited {} s in vain for {what:?} of calve (pid {}); it had said:\n{}",
            PATIENCE.as_secs(),
            self.pid(),
            self.said.join("\n")
        )))
    }

    fn has_ended(&mut self) -> Error {
        // Its last words may still be on their way; they end with the pipe.
        self.said.extend(self.lines.iter());
        let status = match self.process.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Error::external(format!(
            "calve (pid {}) ended by itself ({status}); it had said:\n{}",
            self.pid(),
            self.said.join("\n")
        ))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It fails if it has ended, and then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a line of metrics says of this name, whatever its labels are.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?;
    let labelled = || rest.strip_prefix('{')?.rsplit_once("} ");
    rest.strip_prefix(' ')
        .or_else(|| labelled().map(|(_, value)| value))
}
