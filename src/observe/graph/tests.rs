use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use timely::Config;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Input;
use timely::dataflow::operators::generic::Operator as _;

use super::frontier::{Place, Points, fill_in};
use super::*;

const WORKERS: usize = 3;
/// The epoch that one worker keeps.
const KEPT: Epoch = Epoch(5);

/// Runs `Input → Keep → Wait` on three workers for ten epochs of ten items each. Worker 1 keeps epoch 5 in `Keep`; what
/// has come of an epoch to `Wait` stays there until the epoch is over. The view is taken when nothing moves any more, and
/// once again when worker 1 has let go and all is over.
fn kept_and_over() -> (View, View) {
    let graph = Graph::default();
    let released = Arc::new(AtomicBool::new(false));
    let stood = Arc::new(Mutex::new(None));
    let barrier = Arc::new(Barrier::new(WORKERS));
    let workers = {
        let (graph, released, stood) = (graph.clone(), Arc::clone(&released), Arc::clone(&stood));
        timely::execute(Config::process(WORKERS), move |worker| {
            graph.watch(worker);
            let mut input = InputHandle::<Epoch, _>::new();
            let keeps = worker.index() == 1;
            let release = Arc::clone(&released);
            let activator = worker.dataflow(|scope| {
                let numbers = scope.input_from(&mut input);
                let mut activator = None;
                numbers
                    .unary(Exchange::new(|number| *number), "Keep", |_, info| {
                        activator = Some(scope.activator_for(info.address));
                        let mut kept = None;
                        move |input, output| {
                            input.for_each(|capability, data| {
                                let retained = capability.retain_least(output.output_index());
                                if keeps && retained.as_ref().is_some_and(|c| *c.time() == KEPT) {
                                    kept = retained;
                                }
                                output.session(&capability).give_container(data);
                            });
                            if release.load(Ordering::Acquire) {
                                kept = None;
                            }
                        }
                    })
                    .unary_frontier::<CapacityContainerBuilder<Vec<u64>>, _, _, _>(
                        Pipeline,
                        "Wait",
                        |_, _| {
                            let mut waiting = Vec::new();
                            move |(input, frontier), output| {
                                input.for_each(|capability, data| {
                                    waiting.extend(capability.retain_least(output.output_index()));
                                    data.clear();
                                });
                                waiting.retain(|capability| frontier.less_equal(capability.time()));
                            }
                        },
                    );
                activator
            });
            for epoch in 1..=10 {
                for number in 0..10 {
                    input.send(number);
                }
                input.advance_to(Epoch(epoch));
            }
            input.close();
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(300) {
                worker.step_or_park(Some(Duration::from_millis(10)));
            }
            barrier.wait();
            if worker.index() == 0 {
                *lock(&stood) = Some(graph.view());
                released.store(true, Ordering::Release);
            }
            barrier.wait();
            activator.iter().for_each(|keeper| keeper.activate());
            while worker.has_dataflows() {
                worker.step_or_park(Some(Duration::from_millis(10)));
            }
        })
    };
    drop(workers.expect("workers run"));
    let stood = lock(&stood).take().expect("worker 0 has looked");
    (stood, graph.view())
}

fn node(view: &View, name: &str) -> usize {
    let operator = view.operators.iter().find(|o| o.name == name);
    operator.unwrap_or_else(|| panic!("no {name}")).node
}

fn into<'a>(view: &'a View, name: &str) -> &'a Edge {
    let node = node(view, name);
    let edge = view.edges.iter().find(|edge| edge.to.node == node);
    edge.unwrap_or_else(|| panic!("nothing leads to {name}"))
}

#[test]
fn the_worker_that_keeps_a_capability_holds_its_epoch_back_and_those_who_wait_do_not() {
    let (stood, over) = kept_and_over();
    assert_eq!(stood.open, Some(KEPT));
    let keeper = Holder {
        node: node(&stood, "Keep"),
        messages: false,
        workers: vec![1],
    };
    assert_eq!(stood.holders, [keeper]);
    assert_eq!(over.open, None);
    assert_eq!(over.holders, []);
}

#[test]
fn an_edge_tells_what_was_sent_over_it_and_what_may_still_come() {
    let (stood, over) = kept_and_over();
    let names: Vec<_> = stood.operators.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["Input", "Keep", "Wait"]);
    assert_eq!(stood.workers, [0, 1, 2]);
    let kept = into(&stood, "Keep");
    assert_eq!((kept.items, kept.item.as_str()), (300, "u64"));
    assert!(kept.exchanged && kept.batches > 0);
    assert_eq!(kept.frontier, None, "the input is closed");
    let waiting = into(&stood, "Wait");
    assert_eq!((waiting.items, waiting.exchanged), (300, false));
    assert_eq!(waiting.frontier, Some(KEPT));
    assert_eq!(into(&over, "Wait").frontier, None);
}

#[test]
fn every_operator_is_timed_on_every_worker() {
    let (_, over) = kept_and_over();
    for operator in &over.operators {
        assert_eq!(operator.busy.len(), WORKERS);
        assert!(operator.runs > 0, "{operator:?}");
    }
    let keep = &over.operators[1];
    assert!(keep.busy.iter().all(|busy| !busy.is_zero()), "{keep:?}");
}

#[test]
fn a_cleared_graph_is_empty_until_the_next_dataflow() {
    let graph = Graph::default();
    let watched = graph.clone();
    timely::execute_directly(move |worker| watched.watch(worker));
    assert_eq!(graph.view().workers, [0]);
    graph.clear();
    assert_eq!(graph.view(), View::default());
}

/// A view of `edges`, each from the first output of an operator to the first input of another.
fn drawn(edges: &[(usize, usize)]) -> View {
    let port = |node| Port { node, port: 0 };
    let edge = |&(from, to): &(usize, usize)| Edge {
        from: port(from),
        to: port(to),
        item: String::new(),
        batches: 0,
        items: 0,
        exchanged: false,
        frontier: None,
    };
    View {
        edges: edges.iter().map(edge).collect(),
        ..View::default()
    }
}

fn output(node: usize) -> Place {
    Place::Output(Port { node, port: 0 })
}

fn input(node: usize) -> Place {
    Place::Input(Port { node, port: 0 })
}

fn frontiers(view: &View) -> Vec<Option<u64>> {
    let edges = view.edges.iter();
    edges.map(|e| e.frontier.map(|epoch| epoch.0)).collect()
}

#[test]
fn the_least_point_upstream_is_the_frontier() {
    let mut view = drawn(&[(1, 2), (2, 3), (3, 4)]);
    let mut points = Points::default();
    points.count(output(1), Epoch(9), 1);
    points.count(output(3), Epoch(7), 1);
    points.count(input(2), Epoch(8), 2);
    fill_in(&mut view, &points);
    assert_eq!(frontiers(&view), [Some(8), Some(8), Some(7)]);
    points.count(input(2), Epoch(8), -2);
    fill_in(&mut view, &points);
    assert_eq!(frontiers(&view), [Some(9), Some(9), Some(7)]);
}

#[test]
fn a_disconnected_input_leads_nowhere_and_a_way_may_add_epochs() {
    let mut view = drawn(&[(1, 2), (2, 3), (3, 1)]);
    let mut points = Points::default();
    points.count(output(1), Epoch(4), 1);
    points.described(3);
    points.leads(2, 0, 0, Epochs(2));
    fill_in(&mut view, &points);
    assert_eq!(frontiers(&view), [Some(4), Some(6), None]);
}

#[test]
fn unread_messages_hold_an_epoch_back_at_their_worker_unless_they_may_come_from_another() {
    let mut view = drawn(&[(1, 2), (2, 3)]);
    let mut points = Points::default();
    let at_3 = |workers: &[usize]| Holder {
        node: 3,
        messages: true,
        workers: workers.to_vec(),
    };
    points.count(input(3), Epoch(2), 1);
    points.say((4, 6), input(3), Epoch(2), 1);
    fill_in(&mut view, &points);
    assert_eq!(view.holders, [at_3(&[4])]);
    view.edges[1].exchanged = true;
    fill_in(&mut view, &points);
    assert_eq!(view.holders, [at_3(&[])]);
}

#[test]
fn news_of_an_end_that_overtakes_its_beginning_is_no_point() {
    let mut view = drawn(&[(1, 2)]);
    let mut points = Points::default();
    points.count(input(2), Epoch(2), -1);
    fill_in(&mut view, &points);
    assert_eq!((view.open, frontiers(&view)), (None, vec![None]));
}

#[test]
fn in_a_circle_all_who_stand_in_it_hold_the_epoch_back() {
    let mut view = drawn(&[(1, 2), (2, 1)]);
    let mut points = Points::default();
    points.count(output(1), Epoch(3), 1);
    points.count(output(2), Epoch(3), 1);
    fill_in(&mut view, &points);
    let nodes: Vec<_> = view.holders.iter().map(|holder| holder.node).collect();
    assert_eq!(nodes, [1, 2]);
}

#[test]
fn what_was_said_of_epochs_that_are_over_is_forgotten() {
    let mut points = Points::default();
    for epoch in 0..1000 {
        points.count(output(1), Epoch(epoch + 1), 1);
        points.say((0, 1), output(1), Epoch(epoch), -1);
        points.count(output(1), Epoch(epoch), -1);
    }
    assert!(points.remembered() <= 2, "{}", points.remembered());
}

#[test]
fn an_item_is_named_without_the_path_of_its_type() {
    for (container, item) in [
        ("alloc::vec::Vec<calve::kafka::source::Chunk>", "Chunk"),
        ("alloc::vec::Vec<u64>", "u64"),
        (
            "alloc::vec::Vec<(usize, calve::checkpoint::Report)>",
            "(usize, Report)",
        ),
        (
            "alloc::vec::Vec<core::option::Option<a::B<c::D>>>",
            "Option<B<D>>",
        ),
        ("calve::rows::Rows", "Rows"),
    ] {
        assert_eq!(super::ledger::item(container), item);
    }
}
