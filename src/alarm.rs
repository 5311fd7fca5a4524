//! One timer per operator.
//!
//! `Activator::activate_after` starts a new timer on each call, so an operator that asks on every
//! activation would pile them up, thousands a second. An [`Alarm`] keeps the earliest only.

use std::time::{Duration, Instant};

use timely::scheduling::Activator;

/// Wakes an operator later.
#[derive(Debug)]
pub struct Alarm {
    activator: Activator,
    due: Option<Instant>,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new(activator: Activator) -> Self {
        Self {
            activator,
            due: None,
        }
    }

    /// Runs the operator again as soon as others had their turn.
    pub fn now(&self) {
        self.activator.activate();
    }

    /// Runs the operator again after `delay`, unless it will run earlier anyway.
    pub fn after(&mut self, delay: Duration) {
        let now = Instant::now();
        let due = now + delay;
        if !self.due.is_some_and(|set| now < set && set <= due) {
            self.due = Some(due);
            self.activator.activate_after(delay);
        }
    }
}
