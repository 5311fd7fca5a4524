//! Other processes of the run: waiting for them at the start, and the end of one of them.
//!
//! Timely waits for its peers without limit and without a word of whom; so a thread beside it says so, and ends
//! the wait.
//!
//! Timely tells of a broken connection by panicking, in each of its threads and then in each worker.
//! That is no defect: one clear error is made of it (in [`super::launch`]), and nobody needs the traces.

use std::any::Any;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

#[cfg(test)]
mod tests;

/// How often it is said who is waited for.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// How long a process waits for the others: longer than machines take to be found for them.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits, in the background, until all processes are connected, which a message on the channel (or its end) says.
/// If that does not happen, this process ends.
pub(super) fn await_peers(own: usize, addresses: &[String]) -> Sender<()> {
    let others = others(own, addresses);
    watch(others, SAID_EVERY, PATIENCE, |error| {
        eprintln!("error: {error}");
        std::process::exit(i32::from(error.kind().exit_code()));
    })
}

/// `process 1 (host:port)`, and so on.
fn others(own: usize, addresses: &[String]) -> String {
    let others = addresses
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != own);
    let others: Vec<_> = others
        .map(|(index, address)| format!("process {index} ({address})"))
        .collect();
    others.join(", ")
}

fn watch(
    others: String,
    said_every: Duration,
    patience: Duration,
    give_up: impl FnOnce(Error) + Send + 'static,
) -> Sender<()> {
    let (connected, is_connected) = mpsc::channel();
    let began = Instant::now();
    thread::spawn(move || {
        while is_connected.recv_timeout(said_every) == Err(RecvTimeoutError::Timeout) {
            if began.elapsed() >= patience {
                return give_up(missing(&others, patience));
            }
            tracing::info!("waiting for the connections to {others}");
        }
    });
    connected
}

fn missing(others: &str, patience: Duration) -> Error {
    let waited = patience.as_secs();
    Error::external(format!("not all of {others} have connected within {waited} s")).advice(
        "start every process of the run, each with its own -p and the same -n, -w and host file (-h), and check \
         that they reach each other; nothing was read or written",
    )
}

/// What the panics say: of a thread that reads or writes a connection, and of a worker behind it.
const LOST_CONNECTION: [&str; 2] = ["timely communication error", "MergeQueue poisoned"];

/// Keeps the panics of lost connections from being printed.
pub(super) fn quiet_lost_connections() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match message(panic.payload()) {
        text if is_lost_connection(text) => tracing::debug!("{text}"),
        _ => print(panic),
    }));
}

/// True if a panic tells that another process is gone.
pub(super) fn is_lost_connection(message: &str) -> bool {
    LOST_CONNECTION.iter().any(|sign| message.contains(sign))
}

/// The text of a panic.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// The error that is made of it.
pub(super) fn lost() -> Error {
    Error::external("another process of this run has ended").advice(
        "see its log, and start all processes again, with the same -n and -w; nothing was lost, \
         the run goes on from the table's marker",
    )
}
