//! One worker's books: events of timely's log → counts.
//!
//! Everything is indexed by the small numbers that timely gives to operators and channels, so booking an event is an
//! addition in a vector.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use timely::logging::{
    ChannelsEvent, MessagesEvent, OperatesEvent, OperatesSummaryEvent, ScheduleEvent, StartStop,
    TimelyEvent, TimelyProgressEvent,
};
use timely::progress::operate::Connectivity;
use timely::progress::reachability::logging::TrackerEvent;

use super::frontier::{Place, Points, Port};
use super::{Edge, Operator, View};
use crate::time::{Epoch, Epochs};

/// Operators stand this deep in timely's addresses: dataflow, operator. What is deeper is a part of one.
const DEPTH: usize = 2;

/// What one worker has done in its dataflow.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    worker: usize,
    peers: usize,
    /// The dataflow's own number, once it is built.
    dataflow: Option<usize>,
    operators: BTreeMap<usize, Booked>,
    /// By the worker's own number of the operator.
    timed: Vec<Timed>,
    summaries: HashMap<usize, Connectivity<Epochs>>,
    channels: HashMap<usize, Channel>,
    points: Points,
}

/// An operator by its node.
#[derive(Debug)]
struct Booked {
    id: usize,
    name: String,
}

#[derive(Debug, Default)]
struct Timed {
    since: Duration,
    busy: Duration,
    runs: u64,
}

#[derive(Debug)]
struct Channel {
    from: Port,
    to: Port,
    item: String,
    batches: u64,
    items: u64,
    exchanged: bool,
}

impl Ledger {
    pub(super) fn new(worker: usize, peers: usize) -> Self {
        Self {
            worker,
            peers,
            ..Self::default()
        }
    }

    pub(super) fn event(&mut self, at: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Schedule(event) => self.scheduled(at, event),
            TimelyEvent::Messages(event) => self.message(&event),
            TimelyEvent::Operates(event) => self.operator(event),
            TimelyEvent::Channels(event) => self.channel(&event),
            _ => {}
        }
    }

    fn scheduled(&mut self, at: Duration, ScheduleEvent { id, start_stop }: ScheduleEvent) {
        if id >= self.timed.len() {
            self.timed.resize_with(id + 1, Timed::default);
        }
        let timed = &mut self.timed[id];
        match start_stop {
            StartStop::Start => timed.since = at,
            StartStop::Stop => {
                timed.busy += at.saturating_sub(timed.since);
                timed.runs += 1;
            }
        }
    }

    fn message(&mut self, event: &MessagesEvent) {
        if let Some(channel) = self.channels.get_mut(&event.channel) {
            channel.exchanged |= event.source != event.target;
            if event.is_send {
                channel.batches += 1;
                channel.items += u64::try_from(event.record_count).unwrap_or(0);
            }
        }
    }

    fn operator(&mut self, event: OperatesEvent) {
        match event.addr.len() {
            1 => self.dataflow = Some(event.id),
            DEPTH => {
                let OperatesEvent { id, addr, name } = event;
                self.operators.insert(addr[1], Booked { id, name });
            }
            _ => {}
        }
    }

    fn channel(&mut self, event: &ChannelsEvent) {
        // Scopes within operators have channels of their own.
        if event.scope_addr.len() != DEPTH - 1 {
            return;
        }
        let port = |(node, port)| Port { node, port };
        let channel = Channel {
            from: port(event.source),
            to: port(event.target),
            item: item(&event.typ),
            batches: 0,
            items: 0,
            exchanged: false,
        };
        self.channels.insert(event.id, channel);
    }

    /// Which of an operator's inputs lead to which of its outputs.
    pub(super) fn summary(&mut self, event: OperatesSummaryEvent<Epochs>) {
        self.summaries.insert(event.id, event.summary);
    }

    /// The points have changed.
    pub(super) fn tracked(&mut self, event: TrackerEvent<Epoch>) {
        let (dataflow, updates, place): (_, _, fn(Port) -> Place) = match event {
            TrackerEvent::SourceUpdate(event) => (event.tracker_id, event.updates, Place::Output),
            TrackerEvent::TargetUpdate(event) => (event.tracker_id, event.updates, Place::Input),
        };
        // Scopes within operators have points of their own.
        if self.dataflow == Some(dataflow) {
            for (node, port, epoch, difference) in updates {
                self.points
                    .count(place(Port { node, port }), epoch, difference);
            }
        }
    }

    /// A worker, this one or another, has told all others how it has changed the points.
    pub(super) fn progress(&mut self, event: TimelyProgressEvent<Epoch>) {
        // Each worker hears itself, too.
        if event.is_send || self.dataflow != Some(event.identifier) {
            return;
        }
        let speaker = (event.source, self.peers);
        for (node, port, epoch, difference) in event.internal {
            let place = Place::Output(Port { node, port });
            self.points.say(speaker, place, epoch, difference);
        }
        for (node, port, epoch, difference) in event.messages {
            let place = Place::Input(Port { node, port });
            self.points.say(speaker, place, epoch, difference);
        }
    }

    /// The points, with the ways through the operators.
    pub(super) fn points(&self) -> Points {
        let mut points = self.points.clone();
        for (&node, booked) in &self.operators {
            let Some(summary) = self.summaries.get(&booked.id) else {
                continue;
            };
            points.described(node);
            for (input, outputs) in summary.iter().enumerate() {
                for (output, adds) in outputs.iter_ports() {
                    for &adds in adds.elements() {
                        points.leads(node, input, output, adds);
                    }
                }
            }
        }
        points
    }

    /// What is booked, without what follows from the points.
    pub(super) fn view(&self) -> View {
        let timed = |id: usize| self.timed.get(id);
        let operators = self.operators.iter().map(|(&node, booked)| Operator {
            node,
            name: booked.name.clone(),
            busy: vec![timed(booked.id).map_or(Duration::ZERO, |timed| timed.busy)],
            runs: timed(booked.id).map_or(0, |timed| timed.runs),
        });
        let edges = self.channels.values().map(|channel| Edge {
            from: channel.from,
            to: channel.to,
            item: channel.item.clone(),
            batches: channel.batches,
            items: channel.items,
            exchanged: channel.exchanged,
            frontier: None,
        });
        let mut edges: Vec<Edge> = edges.collect();
        edges.sort_by_key(|edge| (edge.from, edge.to));
        View {
            workers: vec![self.worker],
            operators: operators.collect(),
            edges,
            ..View::default()
        }
    }
}

/// `alloc::vec::Vec<(usize, calve::checkpoint::Report)>` → `(usize, Report)`: what one item of a container is, for people.
pub(super) fn item(container: &str) -> String {
    let inner = container
        .strip_suffix('>')
        .and_then(|text| text.split_once('<'))
        .map_or(container, |(_, inner)| inner);
    let mut short = String::new();
    let mut rest = inner;
    while !rest.is_empty() {
        // A path is taken for its last name; what stands between paths stays.
        let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let path = rest.len() - rest.trim_start_matches(in_path).len();
        short.push_str(rest[..path].rsplit("::").next().unwrap_or_default());
        rest = &rest[path..];
        let between = rest.find(in_path).unwrap_or(rest.len());
        short.push_str(&rest[..between]);
        rest = &rest[between..];
    }
    short
}
