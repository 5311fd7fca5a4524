//! The last log lines, kept in memory for whoever looks at the UI: what the log shows, no more and no less.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::control::now_ms;

/// So many lines are kept.
pub(super) const LINES_MAX: usize = 500;
/// So much of a line is kept.
const LINE_BYTES_MAX: usize = 2_000;

/// The logger is one for the whole process, and so is this.
static LINES: Mutex<Lines> = Mutex::new(Lines {
    written: 0,
    last: VecDeque::new(),
});

struct Lines {
    /// Since the process began.
    written: u64,
    last: VecDeque<Line>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Line {
    /// The first one is 1.
    pub(super) number: u64,
    /// When, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// `ERROR` to `TRACE`.
    pub(super) level: &'static str,
    /// The message and the fields.
    pub(super) text: String,
}

/// How many lines there were.
pub(super) fn newest() -> u64 {
    lines().written
}

/// The lines after this one, as far as they are kept, oldest first.
pub(super) fn after(number: u64) -> Vec<Line> {
    let lines = lines();
    let later = lines.last.iter().filter(|line| line.number > number);
    later.cloned().collect()
}

/// Listens to the log.
pub(super) struct Recent;

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        keep(event.metadata().level().as_str(), text.joined());
    }
}

fn keep(level: &'static str, mut text: String) {
    if text.len() > LINE_BYTES_MAX {
        let end = (0..=LINE_BYTES_MAX)
            .rev()
            .find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    let mut lines = lines();
    lines.written += 1;
    if lines.last.len() == LINES_MAX {
        lines.last.pop_front();
    }
    let line = Line {
        number: lines.written,
        at_ms: now_ms(),
        level,
        text,
    };
    lines.last.push_back(line);
}

/// The message, and what is said beside it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn joined(self) -> String {
        match self.message.is_empty() {
            true => self.fields.trim_start().to_owned(),
            false => self.message + &self.fields,
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.record_debug(field, &value),
        }
    }
}

fn lines() -> MutexGuard<'static, Lines> {
    // Every statement under this lock leaves the lines valid.
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn the_last_lines_are_kept_with_their_fields_and_can_be_asked_for_from_any_one_on() {
        let subscriber = tracing_subscriber::registry().with(Recent);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(epoch = 7, table = "t", "checkpoint {} failed", 7);
            let first = newest();
            let line = after(first - 1).remove(0);
            assert_eq!((line.level, line.number), ("WARN", first));
            assert_eq!(line.text, r#"checkpoint 7 failed epoch=7 table="t""#);
            assert!(line.at_ms > 0);
            let many = 3 * LINES_MAX as u64;
            for _ in 0..many {
                tracing::info!("{}", "ä".repeat(LINE_BYTES_MAX));
            }
            assert_eq!(newest(), first + many);
            let kept = after(0);
            assert_eq!(kept.len(), LINES_MAX);
            assert_eq!(kept[LINES_MAX - 1].number, newest());
            assert!(kept[0].text.len() <= LINE_BYTES_MAX + '…'.len_utf8());
            assert_eq!(after(newest() - 2).len(), 2);
        });
    }
}
