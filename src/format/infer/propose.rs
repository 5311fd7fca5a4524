//! From what was seen to a declaration.

use std::collections::HashSet;

use super::super::Provenance;
use super::super::builder::NESTING_MAX;
use super::super::columns::Name;
use super::Options;
use super::shape::Shape;

/// From this many different keys on an object is probably a map.
const KEYS_SUSPICIOUS: usize = 50;

/// Writes a declaration and collects the notes.
pub(super) struct Proposer {
    options: Options,
    pub(super) notes: Vec<String>,
}

impl Proposer {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            notes: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The columns for the objects seen; empty if none can be declared.
    pub(super) fn columns(&mut self, root: &Shape) -> String {
        self.fields(root, "", " ", 0).join(", ")
    }

    fn fields(&mut self, of: &Shape, path: &str, separator: &str, depth: usize) -> Vec<String> {
        let mut declared = Vec::new();
        let mut names = HashSet::new();
        for (name, shape) in &of.fields {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            if name.is_empty() {
                self.note(format!("{path:?} is left out: a column must have a name"));
                continue;
            }
            if depth == 0
                && Provenance::ALL
                    .iter()
                    .any(|column| name.eq_ignore_ascii_case(column.name()))
            {
                self.note(format!(
                    "{path:?} is left out: a provenance column has its name"
                ));
                continue;
            }
            if !names.insert(name.to_lowercase()) {
                self.note(format!(
                    "{path:?} is left out: another field's name differs from it only in upper and lower case"
                ));
                continue;
            }
            let Some(value) = self.value(shape, &path, depth, of.objects) else {
                continue;
            };
            declared.push(format!("{}{separator}{value}", Name(name)));
        }
        declared
    }

    /// A type, with `not null` if that is asked for and true of all `parents`.
    fn value(&mut self, shape: &Shape, path: &str, depth: usize, parents: usize) -> Option<String> {
        let mut value = self.type_of(shape, path, depth)?;
        if self.options.not_null && shape.total() == parents && shape.nulls == 0 && parents > 0 {
            value.push_str(" not null");
        }
        Some(value)
    }

    /// The type for what was seen; `None` if there is none.
    fn type_of(&mut self, shape: &Shape, path: &str, depth: usize) -> Option<String> {
        if depth >= NESTING_MAX {
            self.note(format!("{path:?} is left out: it is nested too deeply"));
            return None;
        }
        // `NaN` is a number that JSON can only write as a string.
        let numbers = shape.longs + shape.huge + shape.doubles;
        let strings = shape.strings;
        let spelled_numbers = numbers > 0 && strings.all == strings.not_finite;
        let (numbers, texts) = match spelled_numbers {
            true => (numbers + strings.all, 0),
            false => (numbers, strings.all),
        };
        let kinds = [
            (numbers, "number"),
            (texts, "string"),
            (shape.booleans, "boolean"),
            (shape.objects, "object"),
            (shape.arrays, "array"),
        ];
        let seen: Vec<_> = kinds.into_iter().filter(|(count, _)| *count > 0).collect();
        // Of equally many the first: `max_by_key` would take the last.
        let Some((_, kind)) = seen.iter().rev().max_by_key(|(count, _)| *count) else {
            self.note(format!(
                "{path:?} was null in all samples: declared as string, which may be wrong"
            ));
            return Some("string".to_owned());
        };
        let declared = match *kind {
            "number" if shape.doubles > 0 || spelled_numbers && strings.all > 0 => {
                "double".to_owned()
            }
            "number" if shape.huge > 0 => {
                self.note(format!(
                    "{path:?} has whole numbers that a long can't hold: declared as decimal(20, 0)"
                ));
                "decimal(20, 0)".to_owned()
            }
            "number" => "long".to_owned(),
            "boolean" => "boolean".to_owned(),
            "string" => self.text_type(shape, path),
            "array" => self.list(shape, path, depth)?,
            _ => self.object(shape, path, depth)?,
        };
        if seen.len() > 1 {
            let counts: Vec<_> = seen
                .iter()
                .map(|(count, kind)| format!("{count} × {kind}"))
                .collect();
            self.note(format!(
                "{path:?} has values of several types ({}): declared as {declared}, the others would be rejected",
                counts.join(", ")
            ));
        }
        Some(declared)
    }

    fn text_type(&mut self, shape: &Shape, path: &str) -> String {
        let strings = shape.strings;
        match strings.all {
            all if all == strings.timestamptz => "timestamptz",
            all if all == strings.timestamp => "timestamp",
            all if all == strings.date => "date",
            all => {
                if all == strings.uuid {
                    self.note(format!("{path:?} looks like a UUID in all samples: declare it as uuid if it always is"));
                }
                "string"
            }
        }
        .to_owned()
    }

    fn list(&mut self, shape: &Shape, path: &str, depth: usize) -> Option<String> {
        let path = format!("{path}[]");
        match &shape.element {
            Some(element) if element.total() > 0 => {
                let value = self.value(element, &path, depth + 1, element.total())?;
                Some(format!("list<{value}>"))
            }
            _ => {
                self.note(format!(
                    "{path:?} was empty in all samples: declared as string, which may be wrong"
                ));
                Some("list<string>".to_owned())
            }
        }
    }

    fn object(&mut self, shape: &Shape, path: &str, depth: usize) -> Option<String> {
        let fields = self.fields(shape, path, ": ", depth + 1);
        if fields.is_empty() {
            self.note(format!(
                "{path:?} is left out: it is an object without fields to declare"
            ));
            return None;
        }
        if fields.len() >= KEYS_SUSPICIOUS {
            self.note(format!(
                "{path:?} has {} different keys: if the keys are data, declare it as a map<string, …>",
                fields.len()
            ));
        }
        Some(format!("struct<{}>", fields.join(", ")))
    }
}

impl Shape {
    /// How many values were seen, nulls included.
    fn total(&self) -> usize {
        self.nulls
            + self.booleans
            + self.longs
            + self.huge
            + self.doubles
            + self.strings.all
            + self.objects
            + self.arrays
    }
}
