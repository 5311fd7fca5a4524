//! The end of another process of the run.
//!
//! Timely tells of a broken connection by panicking, in each of its threads and then in each worker.
//! That is no defect: one clear error is made of it (in [`super::launch`]), and nobody needs the traces.

use std::any::Any;

use crate::error::Error;

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
