//! Capabilities and messages → frontiers, and who holds the least epoch back.
//!
//! Timely counts *points*: a capability at an operator's output, or a message on its way to an operator's input, each at an
//! epoch. The frontier of an edge is the least epoch from which a path leads to it. All points of the least epoch keep it
//! open; but a point that lies downstream of another one of the same epoch only waits for that one:
//!
//! ```text
//!   coordinator ──▶ source ──▶ decode ──▶ stage ──▶ commit
//!      43             42                    42                the least epoch is 42
//!                     ▲                      └ waits: more of 42 may come
//!                     └ holds epoch 42 back
//! ```
//!
//! Pure: no clock, no lock.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::time::{Epoch, Epochs};

/// A port of an operator; of an input or an output, as the context says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The operator's number.
    pub node: usize,
    /// The port's number.
    pub port: usize,
}

/// Who holds an epoch back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The operator's number.
    pub node: usize,
    /// True if it is not the operator itself, but messages that it has not read yet.
    pub messages: bool,
    /// On which workers, of all processes; empty if that can't be told (messages between workers).
    pub workers: Vec<usize>,
}

/// A place in the dataflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// An operator's output: what stands there are capabilities.
    Output(Port),
    /// An operator's input: what stands there are messages.
    Input(Port),
}

impl Place {
    fn node(self) -> usize {
        match self {
            Self::Output(port) | Self::Input(port) => port.node,
        }
    }
}

/// The points of a dataflow over all workers of all processes, as far as this worker has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    /// How many there are: timely's own count.
    standing: BTreeMap<(Epoch, Place), i64>,
    /// What each worker has said: added, less taken away. For the points of scopes within operators nobody says it.
    said: BTreeMap<(Epoch, Place), Vec<i64>>,
    /// What leads through the operators: from (node, input) to outputs, each adding epochs. An operator that is not
    /// listed leads from every input to every output.
    through: BTreeMap<usize, BTreeSet<(usize, usize, Epochs)>>,
}

impl Points {
    /// Notes that an operator is described by [`Points::leads`]: what is not said of it is not so.
    pub(super) fn described(&mut self, node: usize) {
        self.through.entry(node).or_default();
    }

    /// Notes that `input` of an operator leads to `output`.
    pub(super) fn leads(&mut self, node: usize, input: usize, output: usize, adds: Epochs) {
        let ways = self.through.entry(node).or_default();
        ways.insert((input, output, adds));
    }

    /// There are so many more points, or fewer.
    pub(super) fn count(&mut self, place: Place, epoch: Epoch, difference: i64) {
        let least = self.least();
        let count = self.standing.entry((epoch, place)).or_default();
        *count += difference;
        if *count == 0 {
            self.standing.remove(&(epoch, place));
        }
        // What is over can't come back.
        if let Some(now) = self
            .least()
            .filter(|&now| least.is_none_or(|least| least < now))
        {
            self.said.retain(|&(epoch, _), _| epoch >= now);
        }
    }

    /// One of `peers` workers has said that it has added to a point, or taken away from it.
    pub(super) fn say(
        &mut self,
        (worker, peers): (usize, usize),
        place: Place,
        epoch: Epoch,
        difference: i64,
    ) {
        let said = self.said.entry((epoch, place));
        // Each begins with a capability for everything at each output, without a word.
        let begin = matches!(place, Place::Output(_)) && epoch == Epoch::default();
        let said = said.or_insert_with(|| vec![i64::from(begin); peers]);
        if let Some(said) = said.get_mut(worker) {
            *said += difference;
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.said.len()
    }

    fn least(&self) -> Option<Epoch> {
        self.standing().next().map(|(_, epoch)| epoch)
    }

    /// The points there are, by epoch. News of a message's end may overtake that of its beginning: such a point is none.
    fn standing(&self) -> impl Iterator<Item = (Place, Epoch)> {
        let standing = self.standing.iter().filter(|(_, count)| **count > 0);
        standing.map(|(&(epoch, place), _)| (place, epoch))
    }

    /// The workers at which a point is.
    fn workers(&self, place: Place, epoch: Epoch) -> impl Iterator<Item = usize> {
        let said = self
            .said
            .get(&(epoch, place))
            .map_or(&[][..], Vec::as_slice);
        (0..said.len()).filter(|&worker| said[worker] > 0)
    }
}

/// Adds to `view` what follows from the points.
pub(super) fn fill_in(view: &mut View, points: &Points) {
    let paths = Paths {
        view: &*view,
        points,
    };
    let frontiers = paths.frontiers(points.standing());
    let open = points.least();
    let holders = open.map(|epoch| paths.holders(epoch)).unwrap_or_default();
    for edge in &mut view.edges {
        edge.frontier = frontiers.get(&Place::Input(edge.to)).copied();
    }
    view.open = open;
    view.holders = holders;
}

/// The ways through the dataflow.
struct Paths<'a> {
    view: &'a View,
    points: &'a Points,
}

impl Paths<'_> {
    /// Where a point at `place` leads to next, and how many epochs that adds.
    fn next(&self, place: Place) -> Vec<(Place, Epochs)> {
        match place {
            Place::Output(from) => {
                let edges = self.view.edges.iter().filter(|edge| edge.from == from);
                edges
                    .map(|edge| (Place::Input(edge.to), Epochs::default()))
                    .collect()
            }
            Place::Input(Port { node, port: input }) => {
                let output = |port| Place::Output(Port { node, port });
                match self.points.through.get(&node) {
                    Some(ways) => ways
                        .iter()
                        .filter(|(from, ..)| *from == input)
                        .map(|&(_, to, adds)| (output(to), adds))
                        .collect(),
                    None => {
                        let edges = self.view.edges.iter();
                        edges
                            .filter(|edge| edge.from.node == node)
                            .map(|edge| (Place::Output(edge.from), Epochs::default()))
                            .collect()
                    }
                }
            }
        }
    }

    /// The least epoch that may still come to each place from these points.
    fn frontiers(&self, points: impl Iterator<Item = (Place, Epoch)>) -> BTreeMap<Place, Epoch> {
        let mut least = BTreeMap::new();
        let mut todo: Vec<_> = points.collect();
        // Going round a circle never lessens an epoch, so this comes to an end.
        while let Some((place, epoch)) = todo.pop() {
            if least.get(&place).is_some_and(|&known| known <= epoch) {
                continue;
            }
            least.insert(place, epoch);
            for (next, adds) in self.next(place) {
                todo.push((next, Epoch(epoch.0.saturating_add(adds.0))));
            }
        }
        least
    }

    /// Those points of `epoch` that wait for no other point of it.
    fn holders(&self, epoch: Epoch) -> Vec<Holder> {
        let all: Vec<Place> = {
            let all = self.points.standing().filter(|(_, at)| *at == epoch);
            all.map(|(place, _)| place).collect()
        };
        let downstream: Vec<BTreeMap<Place, Epoch>> = all
            .iter()
            .map(|&place| self.frontiers(std::iter::once((place, epoch))))
            .collect();
        // Two on one circle wait for each other, that is, for nobody else.
        let reaches = |from: usize, to: usize| downstream[from].get(&all[to]) == Some(&epoch);
        let waits =
            |me: usize| (0..all.len()).any(|other| reaches(other, me) && !reaches(me, other));
        let mut holders: BTreeMap<(usize, bool), BTreeSet<usize>> = BTreeMap::new();
        for (index, &place) in all.iter().enumerate() {
            if waits(index) {
                continue;
            }
            let messages = matches!(place, Place::Input(_));
            let known = !messages || !self.is_exchanged(place);
            let workers = self.points.workers(place, epoch).filter(|_| known);
            holders
                .entry((place.node(), messages))
                .or_default()
                .extend(workers);
        }
        let holders = holders.into_iter();
        holders
            .map(|((node, messages), workers)| Holder {
                node,
                messages,
                workers: workers.into_iter().collect(),
            })
            .collect()
    }

    /// True if messages to this input may come from another worker: then they are booked at their sender.
    fn is_exchanged(&self, input: Place) -> bool {
        let edges = &self.view.edges;
        edges
            .iter()
            .any(|edge| Place::Input(edge.to) == input && edge.exchanged)
    }
}
