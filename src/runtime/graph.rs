//! What a dataflow looks like, from timely's own account of how it was built.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use timely::logging::{TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

use crate::control::Graph;

/// The name under which timely looks for a listener.
const LOG: &str = "timely";

#[derive(Default)]
struct Seen {
    operators: BTreeMap<usize, String>,
    channels: BTreeSet<(usize, usize)>,
    built: bool,
}

/// Builds something, and draws what was built: the operators of one dataflow.
pub(super) fn drawn<T>(worker: &mut Worker, build: impl FnOnce(&mut Worker) -> T) -> (T, Graph) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let listener = Rc::clone(&seen);
    if let Some(mut log) = worker.log_register() {
        log.insert::<TimelyEventBuilder, _>(LOG, move |_, events| {
            let mut seen = listener.borrow_mut();
            // Operators go on to report what they do: that is not asked for here.
            if seen.built {
                return;
            }
            for (_, event) in events.iter_mut().flat_map(|events| events.drain(..)) {
                match event {
                    // The dataflow is at the first level, its operators are at the second.
                    TimelyEvent::Operates(operates) if operates.addr.len() == 2 => {
                        seen.operators.insert(operates.addr[1], operates.name);
                    }
                    TimelyEvent::Channels(channel) if channel.scope_addr.len() == 1 => {
                        let (from, to) = (channel.source.0, channel.target.0);
                        seen.channels.insert((from, to));
                    }
                    _ => {}
                }
            }
        });
    }
    let built = build(worker);
    if let Some(mut log) = worker.log_register() {
        log.flush();
        log.remove(LOG);
    }
    let mut seen = seen.borrow_mut();
    seen.built = true;
    let graph = Graph::draw(&seen.operators, &seen.channels, worker.peers());
    (built, graph)
}
