//! What is looked at: the last states of the pipeline, its log, and which part of them is in view.

use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::theme::Theme;
use crate::cli::state::{LogLine, State};

/// Shares of time are taken over so many milliseconds at most.
const SHARES_OVER_MS: i64 = 5_000;
/// More states than lie within that time.
const STATES_MAX: usize = 8;
/// As many lines as the pipeline itself keeps.
const LINES_MAX: usize = 500;
/// How far a page is.
const PAGE: isize = 10;

/// What the asking has brought.
pub(super) enum Seen {
    /// A state, and the log lines that are new.
    State(Box<State>, Vec<LogLine>),
    /// No answer, for this reason.
    Lost(String),
}

/// A part of the pipeline that fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    Partitions,
    Operators,
    Checkpoints,
    Log,
}

impl View {
    pub(super) const ALL: [View; 5] = [
        View::Overview,
        View::Partitions,
        View::Operators,
        View::Checkpoints,
        View::Log,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Partitions => "Partitions",
            Self::Operators => "Operators",
            Self::Checkpoints => "Checkpoints",
            Self::Log => "Log",
        }
    }
}

/// Everything that a picture is made of.
pub(super) struct App {
    pub(super) url: String,
    pub(super) theme: Theme,
    /// Oldest first.
    states: VecDeque<State>,
    /// Oldest first.
    pub(super) log: VecDeque<LogLine>,
    /// Why there is no answer.
    lost: Option<String>,
    pub(super) view: View,
    /// Rows that are passed over; in the log from its end.
    scroll: usize,
    pub(super) paused: bool,
    /// What has come while the picture is held.
    held: VecDeque<Seen>,
}

impl App {
    pub(super) fn new(url: &str, theme: Theme) -> Self {
        Self {
            url: url.to_owned(),
            theme,
            states: VecDeque::new(),
            log: VecDeque::new(),
            lost: None,
            view: View::Overview,
            scroll: 0,
            paused: false,
            held: VecDeque::new(),
        }
    }

    /// The newest state.
    pub(super) fn state(&self) -> Option<&State> {
        self.states.back()
    }

    /// The number of the newest log line.
    pub(super) fn newest_line(&self) -> u64 {
        self.log.back().map_or(0, |line| line.number)
    }

    /// True while there is no answer.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Why there is none.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// For each operator which part of the last seconds it has run, on each worker; none before the second state.
    pub(super) fn busy(&self) -> Option<Vec<Vec<f64>>> {
        let now = self.states.back()?;
        let mut earlier = self.states.iter();
        let before = earlier.find(|state| now.at_ms - state.at_ms <= SHARES_OVER_MS)?;
        now.busy_since(before)
    }

    /// Takes what the asking has brought, at once or when the picture moves again.
    pub(super) fn take(&mut self, seen: Seen) {
        if self.paused {
            if self.held.len() == LINES_MAX {
                self.held.pop_front();
            }
            return self.held.push_back(seen);
        }
        let (state, lines) = match seen {
            Seen::Lost(reason) => return self.lost = Some(reason),
            Seen::State(state, lines) => (*state, lines),
        };
        self.lost = None;
        if self
            .states
            .back()
            .is_some_and(|last| last.started_ms != state.started_ms)
        {
            // Another process: nothing of the one before can be compared with it.
            self.states.clear();
            self.log.clear();
        }
        if self.states.len() == STATES_MAX {
            self.states.pop_front();
        }
        self.states.push_back(state);
        self.log.extend(lines);
        let many = self.log.len().saturating_sub(LINES_MAX);
        self.log.drain(..many);
    }

    /// Does what a key says. False if it says to end.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('c' | 'd') if control => return false,
            KeyCode::Char('p' | ' ') => self.hold(!self.paused),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.turn(1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.turn(-1),
            KeyCode::Char(digit @ '1'..='5') => {
                let index = digit as usize - '1' as usize;
                self.show(View::ALL[index]);
            }
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::PageDown => self.move_by(PAGE),
            KeyCode::PageUp => self.move_by(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX / 2),
            _ => {}
        }
        true
    }

    fn hold(&mut self, paused: bool) {
        self.paused = paused;
        if !paused {
            for seen in std::mem::take(&mut self.held) {
                self.take(seen);
            }
        }
    }

    fn turn(&mut self, by: isize) {
        let views = View::ALL;
        let at = views
            .iter()
            .position(|view| *view == self.view)
            .unwrap_or(0);
        let to = (at as isize + by).rem_euclid(views.len() as isize);
        self.show(views[to as usize]);
    }

    fn show(&mut self, view: View) {
        self.view = view;
        self.scroll = 0;
    }

    /// Down by so many rows. The log is read from its end.
    fn move_by(&mut self, rows: isize) {
        let rows = match self.view {
            View::Log => -rows,
            _ => rows,
        };
        self.scroll = self.scroll.saturating_add_signed(rows);
    }

    /// How many rows are passed over, of so many of which `shown` fit on the screen: never beyond the last one.
    pub(super) fn scrolled(&mut self, rows: usize, shown: usize) -> usize {
        self.scroll = self.scroll.min(rows.saturating_sub(shown));
        self.scroll
    }
}
