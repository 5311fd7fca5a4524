//! The least epoch in one sentence: what keeps it open.

use super::{Holder, View};
use crate::time::Epoch;

/// The operator that closes epochs.
const COORDINATOR: &str = "Coordinator";

impl View {
    /// Who holds the least epoch back, in a sentence; `collecting` is the epoch that records are read into.
    pub fn says(&self, collecting: Epoch) -> String {
        let Some(open) = self.open else {
            return "Nothing is under way: no dataflow runs.".to_owned();
        };
        // As long as the coordinator stands at an epoch it is meant to be open.
        let meant = self
            .holders
            .iter()
            .any(|h| self.name(h) == Some(COORDINATOR));
        if meant && open == collecting {
            return format!(
                "Epoch {open} is open: it collects records until the coordinator closes it. Nothing is held back."
            );
        }
        let who: Vec<String> = self.holders.iter().map(|h| self.who(h)).collect();
        let who = match who.is_empty() {
            true => "nobody that is known".to_owned(),
            false => listed(&who),
        };
        format!("Epoch {open} is held back by {who}.")
    }

    fn name(&self, holder: &Holder) -> Option<&str> {
        let operator = self.operators.iter().find(|o| o.node == holder.node)?;
        Some(&operator.name)
    }

    fn who(&self, holder: &Holder) -> String {
        let name = match self.name(holder) {
            Some(name) => name.to_owned(),
            None => format!("operator {}", holder.node),
        };
        let workers: Vec<String> = holder.workers.iter().map(usize::to_string).collect();
        let at = match workers.as_slice() {
            [] => name,
            [one] => format!("{name} on worker {one}"),
            _ => format!("{name} on workers {}", listed(&workers)),
        };
        match holder.messages {
            true => format!("messages that {at} has not read yet"),
            false => at,
        }
    }
}

/// `a`, `a and b`, `a, b and c`
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::graph::Operator;

    fn view(open: u64, holders: Vec<Holder>) -> View {
        let operator = |node, name: &str| Operator {
            node,
            name: name.to_owned(),
            busy: Vec::new(),
            runs: 0,
        };
        View {
            operators: vec![operator(1, COORDINATOR), operator(2, "Stage")],
            open: Some(Epoch(open)),
            holders,
            ..View::default()
        }
    }

    fn holder(node: usize, messages: bool, workers: &[usize]) -> Holder {
        Holder {
            node,
            messages,
            workers: workers.to_vec(),
        }
    }

    #[test]
    fn an_epoch_that_collects_records_is_not_held_back() {
        let says = view(7, vec![holder(1, false, &[0])]).says(Epoch(7));
        assert!(says.starts_with("Epoch 7 is open") && says.ends_with("Nothing is held back."));
        // The coordinator has gone on to the next one without letting this one go.
        let says = view(6, vec![holder(1, false, &[0])]).says(Epoch(7));
        assert_eq!(says, "Epoch 6 is held back by Coordinator on worker 0.");
        assert!(
            View::default()
                .says(Epoch(7))
                .starts_with("Nothing is under way")
        );
    }

    #[test]
    fn all_who_hold_an_epoch_back_are_named() {
        let all = vec![
            holder(2, false, &[0, 1, 3]),
            holder(2, true, &[]),
            holder(9, true, &[2]),
        ];
        assert_eq!(
            view(6, all).says(Epoch(7)),
            "Epoch 6 is held back by Stage on workers 0, 1 and 3, messages that Stage has not read yet and messages that \
             operator 9 on worker 2 has not read yet."
        );
        assert_eq!(
            view(6, Vec::new()).says(Epoch(7)),
            "Epoch 6 is held back by nobody that is known."
        );
    }
}
