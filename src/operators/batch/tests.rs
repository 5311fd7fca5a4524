use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::sleep;

use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::vec::{Input, Map};

use super::*;
use crate::budget::{Budget, Uncommitted};
use crate::metrics::Metrics;

const PATIENT: Batching = Batching {
    rows_max: 10,
    bytes_max: 1_000_000,
    timeout: Duration::from_secs(3600),
};

/// A chunk of so many messages of 10 bytes each.
fn chunk(budget: &Budget, count: usize) -> Chunk {
    let messages = messages(count);
    let charge = budget.charge(messages.memory_len() as u64);
    Chunk { messages, charge }
}

fn messages(count: usize) -> Messages {
    let mut messages = Messages::new(Arc::new([Arc::from("topic")]));
    for offset in 0..count {
        messages.push(0, 0, offset as i64, None, None, Some(&[b'x'; 10]));
    }
    messages
}

/// Sends chunks, given by their number of messages, through `batch`; `settle` returns what came out
/// since it was last called, as (epoch, rows).
fn batches(
    limits: Batching,
    steps: impl FnOnce(&mut InputHandleVec<Epoch, usize>, &mut dyn FnMut() -> Vec<(u64, usize)>)
    + Send
    + Sync
    + 'static,
) {
    timely::execute_directly(move |worker| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let metrics = Metrics::default();
        let uncommitted = Arc::new(Uncommitted::new(1 << 30, &metrics));
        let budget = Budget::new(1 << 20, uncommitted, &metrics);
        let mut input = worker.dataflow::<Epoch, _, _>(|scope| {
            let (input, sizes) = scope.new_input();
            let seen = Rc::clone(&seen);
            sizes
                .map(move |messages| chunk(&budget, messages))
                .batch(limits)
                .inspect_core(move |event| {
                    if let Ok((stamp, batches)) = event {
                        let epoch = stamp.iter().next().map_or(0, |epoch| epoch.0);
                        for batch in batches.iter() {
                            let rows = batch.messages.iter().map(Messages::len).sum();
                            seen.borrow_mut().push((epoch, rows));
                        }
                    }
                });
            input
        });
        let mut settle = || {
            for _ in 0..10 {
                worker.step();
            }
            seen.take()
        };
        steps(&mut input, &mut settle);
        input.close();
        settle();
    });
}

#[test]
fn a_batch_ends_at_its_number_of_rows() {
    batches(PATIENT, |input, settle| {
        input.send(6);
        input.flush();
        assert_eq!(settle(), []);
        input.send(6);
        input.flush();
        assert_eq!(settle(), [(0, 12)]);
    });
}

#[test]
fn a_batch_ends_at_its_number_of_bytes() {
    let limits = Batching {
        rows_max: 1_000_000,
        bytes_max: messages(100).memory_len() as u64,
        ..PATIENT
    };
    batches(limits, |input, settle| {
        input.send(99);
        input.flush();
        assert_eq!(settle(), []);
        input.send(1);
        input.flush();
        assert_eq!(settle(), [(0, 100)]);
    });
}

#[test]
fn the_end_of_an_epoch_ends_a_batch_that_is_not_full() {
    batches(PATIENT, |input, settle| {
        input.send(3);
        input.advance_to(Epoch(1));
        input.send(4);
        input.flush();
        assert_eq!(settle(), [(0, 3)]);
        input.advance_to(Epoch(2));
        assert_eq!(settle(), [(1, 4)]);
    });
}

#[test]
fn a_batch_that_waited_long_enough_goes_on_within_its_epoch() {
    let limits = Batching {
        timeout: Duration::from_millis(20),
        ..PATIENT
    };
    batches(limits, |input, settle| {
        input.send(3);
        input.flush();
        assert_eq!(settle(), []);
        sleep(Duration::from_millis(40));
        assert_eq!(settle(), [(0, 3)]);
    });
}
