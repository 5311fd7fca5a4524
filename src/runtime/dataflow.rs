//! A dataflow as the command line knows it: a name, what builds its graph, and what a start must know before that.

use iceberg::spec::Schema;

use super::Job;
use crate::config::Settings;
use crate::error::Result;

/// A dataflow under a name that the command line knows.
#[derive(Clone, Copy)]
pub struct Dataflow {
    /// The name: `calve run NAME`.
    pub name: &'static str,
    /// One line for the help.
    pub about: &'static str,
    /// Builds the graph; called once on every worker.
    pub build: fn(&Job<'_>) -> Result<()>,
    /// The names of its operators that keep state.
    pub states: &'static [&'static str],
    /// Which settings give that state its meaning.
    pub meaning: fn(&Settings) -> String,
    /// Its table, if the rows are its own and not the records.
    pub table: Option<fn(&Settings) -> Result<OwnTable>>,
    /// The settings of its own that it reads, by their names behind `own.`.
    pub own: &'static [&'static str],
}

/// A table whose rows a dataflow makes.
#[derive(Clone, Debug)]
pub struct OwnTable {
    /// Its columns. A table that is there may have more of them, which become null.
    pub columns: Schema,
    /// What the rows are made from, in a line: a table that says otherwise, in its property `calve.definition`, is
    /// refused.
    pub definition: String,
}

impl Dataflow {
    /// A dataflow that `build` builds.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        build: fn(&Job<'_>) -> Result<()>,
    ) -> Self {
        Self {
            name,
            about,
            build,
            states: &[],
            meaning: |_| String::new(),
            table: None,
            own: &[],
        }
    }

    /// The same with operators of these names that keep state, see [`Job::state`]. They are declared here,
    /// because a start holds them against what the table's marker names before it claims the pipeline.
    #[must_use]
    pub const fn keeping(mut self, states: &'static [&'static str]) -> Self {
        self.states = states;
        self
    }

    /// The same with a state that means something else under other settings: a text of those that must not change
    /// while there is one.
    #[must_use]
    pub const fn whose_state_means(mut self, meaning: fn(&Settings) -> String) -> Self {
        self.meaning = meaning;
        self
    }

    /// The same dataflow, for a table whose rows it makes itself.
    ///
    /// The table is created so, or must be so. There are no provenance columns, since a row is no record; the
    /// records' columns are those of [`input_columns`](super::input_columns).
    #[must_use]
    pub const fn with_table(mut self, table: fn(&Settings) -> Result<OwnTable>) -> Self {
        self.table = Some(table);
        self
    }

    /// The same dataflow, which reads settings of its own: `own.NAME` for each of these names, see
    /// [`Settings::own`]. What is set under `own.` and read by no dataflow of a program is refused, as any unknown
    /// setting is.
    #[must_use]
    pub const fn reading(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self
    }

    /// True if it is to be restored from a state snapshot.
    pub fn keeps_state(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whose state it is: snapshots carry it, and only the same dataflow goes on from them.
    pub(super) fn identity(&self, settings: &Settings) -> String {
        let words = [self.name, &(self.meaning)(settings)].join(" ");
        words.trim_end().to_owned()
    }
}
