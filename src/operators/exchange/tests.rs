use std::cell::Cell;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::generic::operator::source;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::*;
use crate::budget::{Budget, Uncommitted};
use crate::state::MaxParallelism;

const PEERS: usize = 3;
const ROWS: i64 = 100;

fn batch(range: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ]);
    let texts = range.clone().map(|n| (n % 2 == 0).then(|| n.to_string()));
    let texts: StringArray = texts.collect();
    let numbers = Int64Array::from_iter_values(range);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers), Arc::new(texts)]).unwrap()
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

fn owners() -> Owners {
    Owners {
        max_parallelism: MaxParallelism::default(),
        peers: PEERS,
    }
}

fn owner(number: i64) -> usize {
    let keys = keys().of(&batch(number..number + 1)).unwrap();
    owners().of(keys.get(0)).unwrap()
}

fn keys() -> KeyColumns {
    KeyColumns::new(&["number"], &batch(0..0).schema()).unwrap()
}

#[test]
fn a_batch_is_divided_by_the_owners_of_its_keys_and_keeps_its_order() {
    let parts = divide(&batch(0..100), &keys(), owners()).unwrap();
    let parts: Vec<_> = parts
        .iter()
        .map(|(to, rows)| (*to, numbers(rows)))
        .collect();
    let of = |worker: usize| (0..100).filter(|n| owner(*n) == worker).collect::<Vec<_>>();
    assert_eq!(parts, [(0, of(0)), (1, of(1)), (2, of(2))]);
    assert!(of(0).len() > 10 && of(1).len() > 10 && of(2).len() > 10);
    assert!(divide(&batch(0..0), &keys(), owners()).unwrap().is_empty());
    let one = divide(&batch(7..8), &keys(), owners()).unwrap();
    assert_eq!(one, [(owner(7), batch(7..8))]);
}

#[test]
fn a_part_travels_as_bytes_and_comes_back_as_it_was() {
    let rows = batch(5..9);
    let bytes = encode(&rows).unwrap();
    assert_eq!(decode(&bytes).unwrap(), rows);
    assert!(decode(&bytes[..bytes.len() / 2]).is_err());
    // As timely does it: first the length, then the bytes.
    use timely::dataflow::channels::ContainerBytes;
    let part = Part {
        receipt: Receipt {
            worker: 1,
            batch: 7,
        },
        to: 2,
        rows: Encodable::from(rows.clone()),
    };
    let parts = vec![part];
    let mut bytes = Vec::new();
    parts.into_bytes(&mut bytes);
    assert_eq!(bytes.len(), parts.length_in_bytes());
    let bytes = timely::bytes::arc::BytesMut::from(bytes).freeze();
    let back = Vec::<Part>::from_bytes(bytes);
    assert_eq!(back[0].rows.batch, rows);
    assert_eq!((back[0].receipt, back[0].to), (parts[0].receipt, 2));
}

/// Emits rows once, and keeps its epoch open until `ended`.
fn reader<'scope>(
    scope: Scope<'scope, Epoch>,
    rows: Vec<Rows>,
    ended: Rc<Cell<bool>>,
) -> Stream<'scope, Epoch, Vec<Rows>> {
    source::<_, CapacityContainerBuilder<_>, _, _>(scope, "Reader", |capability, info| {
        let again = scope.activator_for(info.address);
        let mut open = Some((capability, rows));
        move |output| {
            if let Some((capability, rows)) = &mut open {
                output.session(capability).give_iterator(rows.drain(..));
                again.activate();
            }
            if ended.get() {
                open = None;
            }
        }
    })
}

#[test]
fn rows_reach_their_owner_in_order_and_stay_charged_where_they_were_read_until_they_are_written() {
    let config = Config {
        communication: CommunicationConfig::Process(PEERS),
        worker: WorkerConfig::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let process = Arc::new(Process::new(runtime.handle().clone()));
    let seen: Arc<Mutex<Vec<(usize, i64)>>> = Arc::default();
    let (received, together) = (Arc::clone(&seen), Arc::new(Barrier::new(PEERS)));
    let workers = timely::execute(config, move |worker| {
        let (index, metrics) = (worker.index(), Metrics::default());
        let uncommitted = Arc::new(Uncommitted::new(1, &metrics));
        let budget = Budget::new(1, uncommitted, &metrics);
        let gauge = metrics.in_flight_bytes.clone();
        let ended = Rc::new(Cell::new(false));
        // The writer lets go of the rows only when the test says so.
        let holding: Rc<RefCell<Vec<Rows>>> = Rc::default();
        let first = index as i64 * ROWS;
        let rows = [(0, 50), (50, 100)].map(|(from, to)| Rows {
            batch: batch(first + from..first + to),
            charges: vec![budget.charge(10)],
        });
        worker.dataflow::<Epoch, _, _>(|scope| {
            let (received, writer) = (Arc::clone(&received), Rc::clone(&holding));
            let rows = reader(scope, rows.into(), Rc::clone(&ended));
            exchange(rows, keys(), owners(), Arc::clone(&process)).sink(
                Pipeline,
                "Writer",
                move |(input, _frontier)| {
                    input.for_each(|_, data| {
                        for rows in data.drain(..) {
                            let numbers = numbers(&rows.batch).into_iter();
                            let mut received = received.lock().unwrap();
                            received.extend(numbers.map(|number| (index, number)));
                            writer.borrow_mut().push(rows);
                        }
                    });
                },
            );
        });
        let begin = Instant::now();
        let mut step_until = |done: &dyn Fn() -> bool| {
            while !done() {
                assert!(
                    begin.elapsed() < Duration::from_secs(60),
                    "it takes too long"
                );
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
        };
        let all = PEERS * ROWS as usize;
        step_until(&|| received.lock().unwrap().len() == all);
        assert_eq!(gauge.get(), 20, "all is received, nothing is written");
        together.wait();
        holding.borrow_mut().clear();
        step_until(&|| gauge.get() == 0);
        assert!(budget.has_room());
        ended.set(true);
    });
    for worker in workers.unwrap().join() {
        worker.unwrap();
    }
    let mut last = HashMap::new();
    for &(worker, number) in seen.lock().unwrap().iter() {
        assert_eq!(owner(number), worker);
        let before = last.insert((worker, number / ROWS), number);
        assert!(before < Some(number), "{number} came after {before:?}");
    }
    let mut all: Vec<i64> = seen.lock().unwrap().iter().map(|(_, n)| *n).collect();
    all.sort_unstable();
    assert_eq!(all, (0..PEERS as i64 * ROWS).collect::<Vec<_>>());
}
