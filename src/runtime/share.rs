//! Telling all workers what one of them found out, across processes too.

use std::cell::RefCell;
use std::rc::Rc;

use timely::ExchangeData;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Inspect, ToStream};
use timely::worker::Worker;

use crate::process::Process;

/// Returns on every worker what worker 0 passed; `None` if the process failed meanwhile.
///
/// It is a dataflow of its own: a broadcast of one record.
pub(super) fn from_worker_0<D: ExchangeData + Clone>(
    worker: &mut Worker,
    process: &Process,
    said: Option<D>,
) -> Option<D> {
    let heard = Rc::new(RefCell::new(None));
    let listener = Rc::clone(&heard);
    worker.dataflow_named::<u64, _, _>("Resume", |scope| {
        said.to_stream(scope)
            .container::<Vec<_>>()
            .broadcast()
            .inspect(move |record| *listener.borrow_mut() = Some(record.clone()));
    });
    while heard.borrow().is_none() && !process.has_failed() {
        worker.step_or_park(None);
    }
    heard.take()
}
