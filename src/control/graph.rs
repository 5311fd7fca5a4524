//! The dataflow as a picture: its operators and how they are joined, without the plumbing between them.

use std::collections::{BTreeMap, BTreeSet};

/// Operators of timely's own that only pass things on: what they join is joined.
const PLUMBING: [&str; 5] = ["Broadcast", "Concatenate", "Exchange", "FlatMap", "Map"];
/// Where a circle is closed. Pictures have none: who follows them would not come back.
const FEEDBACK: &str = "Feedback";
/// Operators that every worker has and that work on one.
const ALONE: [&str; 2] = ["Coordinator", "Commit"];

/// A dataflow. Operators are counted from 0, in the order in which they were built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The operators.
    pub operators: Vec<Operator>,
    /// From which to which something flows; no circle.
    pub edges: BTreeSet<(usize, usize)>,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// How many workers work at it.
    pub parallelism: usize,
}

impl Graph {
    /// Draws what timely has: operators by their number, and channels between those, on so many workers.
    pub fn draw(
        operators: &BTreeMap<usize, String>,
        channels: &BTreeSet<(usize, usize)>,
        workers: usize,
    ) -> Self {
        let is_plumbing = |number: &usize| {
            let name = operators.get(number);
            name.is_none_or(|name| PLUMBING.iter().any(|plumbing| name.starts_with(plumbing)))
        };
        let is_end = |number: &usize| operators.get(number).is_some_and(|name| name == FEEDBACK);
        let shown: BTreeMap<usize, usize> = operators
            .keys()
            .filter(|number| !is_plumbing(number) && !is_end(number))
            .enumerate()
            .map(|(index, number)| (*number, index))
            .collect();
        let mut edges = BTreeSet::new();
        for (number, index) in &shown {
            let mut seen = BTreeSet::new();
            let mut ahead = vec![*number];
            while let Some(from) = ahead.pop() {
                for &(_, to) in channels.range((from, 0)..=(from, usize::MAX)) {
                    match shown.get(&to) {
                        Some(to) => drop(edges.insert((*index, *to))),
                        None if is_end(&to) || !seen.insert(to) => {}
                        None => ahead.push(to),
                    }
                }
            }
        }
        let operators = shown.keys().map(|number| {
            let name = operators[number].clone();
            let alone = ALONE.contains(&name.as_str());
            Operator {
                parallelism: if alone { 1 } else { workers },
                name,
            }
        });
        Self {
            operators: operators.collect(),
            edges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plumbing_is_left_out_and_what_it_joins_is_joined() {
        let names = [
            "Feedback",
            "Broadcast",
            "Coordinator",
            "Kafka source",
            "Concatenate",
            "Commit",
        ];
        let operators = (1..).zip(names.map(str::to_owned)).collect();
        // feedback → broadcast → coordinator → source → concatenate → commit → feedback, and broadcast → source.
        let channels = BTreeSet::from([(1, 2), (2, 3), (2, 4), (3, 4), (4, 5), (5, 6), (6, 1)]);
        let graph = Graph::draw(&operators, &channels, 6);
        let shown: Vec<_> = graph
            .operators
            .iter()
            .map(|operator| (operator.name.as_str(), operator.parallelism))
            .collect();
        assert_eq!(
            shown,
            [("Coordinator", 1), ("Kafka source", 6), ("Commit", 1)]
        );
        assert_eq!(graph.edges, BTreeSet::from([(0, 1), (1, 2)]));
    }
}
