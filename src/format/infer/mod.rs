//! Proposes declared columns from sample payloads.
//!
//! | seen in the samples | proposed |
//! |---|---|
//! | `true`, `false` | `boolean` |
//! | whole numbers | `long`, never `int`: the next one may be larger; above 2^63 `decimal(20, 0)` |
//! | other numbers, perhaps mixed with whole ones, `"NaN"`, `"Infinity"` | `double` |
//! | strings, all dates with time and zone | `timestamptz` |
//! | strings, all dates with time, without zone | `timestamp` |
//! | strings, all `YYYY-MM-DD` | `date` |
//! | other strings | `string`; if all look like UUIDs a note says so |
//! | objects | `struct` of all fields seen |
//! | arrays | `list` of all elements seen; `list<string>` and a note if all were empty |
//! | only `null` | `string` and a note |
//! | values of several types | the type seen most often and a note: the others would be rejected |
//!
//! UUIDs stay strings because many readers can't show Iceberg's `uuid`, and because the next id may
//! be none; the note tells how to have it otherwise. What can't be declared (an object that is always
//! empty, a name without characters, two names that differ only in case) is left out, with a note.
//!
//! A sample that no note is about decodes with the proposed columns, unless one of its keys stands
//! twice; what comes after the samples is anyone's guess.

mod propose;
mod shape;
#[cfg(test)]
mod tests;

use serde::de::DeserializeSeed;

use self::propose::Proposer;
use self::shape::Shape;
use crate::error::{Error, Result};

/// How cautious a proposal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Propose `not null` for what was there, and not null, in every sample.
    pub not_null: bool,
}

/// A proposed declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// What [`columns::parse`](super::columns::parse) reads.
    pub columns: String,
    /// What a person should know before using it, a sentence each.
    pub notes: Vec<String>,
}

/// Looks at JSON payloads and proposes a declaration of columns for them.
pub fn infer<'a>(
    payloads: impl IntoIterator<Item = &'a [u8]>,
    options: Options,
) -> Result<Proposal> {
    let mut root = Shape::default();
    let mut objects = 0_usize;
    let mut others = Vec::new();
    for payload in payloads {
        match sample(payload) {
            Ok(shape) => {
                root.merge(shape);
                objects += 1;
            }
            Err(reason) => others.push(reason),
        }
    }
    if objects == 0 {
        return Err(match others.first() {
            None => Error::data("there are no messages to look at"),
            Some(reason) => Error::data(format!(
                "none of {} messages is a JSON object; the first: {reason}",
                others.len()
            )),
        }
        .advice("declare the columns by hand, or let infer look at other messages"));
    }
    let mut proposer = Proposer::new(options);
    if let Some(reason) = others.first() {
        proposer.note(format!(
            "{} of {} messages would be rejected; the first: {reason}",
            others.len(),
            others.len() + objects
        ));
    }
    let columns = proposer.columns(&root);
    if columns.is_empty() {
        return Err(Error::data(format!(
            "none of the fields of {objects} sampled objects can be declared: {}",
            proposer.notes.join("; ")
        )));
    }
    Ok(Proposal {
        columns,
        notes: proposer.notes,
    })
}

/// The shape of one payload, which must be an object.
fn sample(payload: &[u8]) -> Result<Shape, String> {
    let mut shape = Shape::default();
    let mut json = serde_json::Deserializer::from_slice(payload);
    (&mut shape)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| format!("not valid JSON: {error}"))?;
    if shape.objects == 0 {
        return Err("not a JSON object".to_owned());
    }
    Ok(shape)
}
