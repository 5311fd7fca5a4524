//! Colours that can be read on dark and on light terminals.
//!
//! Nothing is told by a colour alone: words say it, too. Text keeps the terminal's own colour; the few that are used are
//! those of the terminal's palette that differ from black and from white alike. `NO_COLOR` takes them all away.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::table::Shade;

/// How things are set off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    coloured: bool,
}

impl Theme {
    pub(super) fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    pub(super) fn of(self, shade: Shade) -> Style {
        match shade {
            Shade::Good => self.colour(Color::Green),
            // Yellow can't be read on white.
            Shade::Doubtful => self.colour(Color::Magenta).add_modifier(Modifier::BOLD),
            Shade::Bad => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Shade::Faint => Style::new().add_modifier(Modifier::DIM),
            Shade::Strong => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// What is drawn, not written: bars.
    pub(super) fn bars(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// What is chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn colour(self, colour: Color) -> Style {
        match self.coloured {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }
}
