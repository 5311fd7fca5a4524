//! The two forms of Flink's file: YAML (`config.yaml`, nested or flat), and lines of `key: value`
//! (`flink-conf.yaml`, up to Flink 1.x).
//!
//! As in Flink the name of the file decides. What Flink refuses in YAML is refused here (a key twice, a key
//! without a value); what it passes over in the old form is passed over, with a remark.

use std::borrow::Cow;
use std::path::Path;

use saphyr_parser::{Event, Parser, StrInput};

use super::Unused;
use crate::config::layers::{Entry, Place};
use crate::error::{Error, Result};

/// The file's name up to Flink 1.x, with which the old form comes.
const OLD_NAME: &str = "flink-conf.yaml";

/// How deep keys may be nested; Flink's are up to six parts long.
const DEPTH_MAX: usize = 32;

/// The entries of a Flink file in the order of lines, and remarks on lines that are none.
pub(in crate::config) fn read(path: &Path) -> Result<(Vec<Entry>, Vec<Unused>)> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("Flink's file {} can't be read", path.display()))
            .caused_by(error)
            .advice("check the path behind --flink-conf: a config.yaml, or a flink-conf.yaml of Flink 1.x")
    })?;
    let place = |line| Place::Flink {
        path: path.to_owned(),
        line,
    };
    match path.file_name().is_some_and(|name| name == OLD_NAME) {
        true => Ok(lines(&text, place)),
        false => yaml(&text, place).map(|entries| (entries, Vec::new())),
    }
}

/// The old form: `key: value` a line, `#` begins a comment, the last one wins.
fn lines(text: &str, place: impl Fn(usize) -> Place) -> (Vec<Entry>, Vec<Unused>) {
    let (mut entries, mut remarks) = (Vec::<Entry>::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let place = place(index + 1);
        let line = line.split('#').next().unwrap_or_default().trim();
        let pair = line
            .split_once(": ")
            .map(|(key, value)| (key.trim(), value.trim()));
        match pair {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                entries.retain(|entry| entry.name != key);
                entries.push(Entry {
                    name: key.to_owned(),
                    value: value.to_owned(),
                    place,
                });
            }
            _ if line.is_empty() => (),
            _ => {
                // No more of it is quoted than can be a key: the rest may be a password.
                let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let key = line.split(|c| !legal(c)).next().unwrap_or_default();
                let because =
                    "not `key: value` with a blank after the colon; Flink passes over it too";
                remarks.push(Unused {
                    known: false,
                    ..Unused::known(key, place, because)
                });
            }
        }
    }
    (entries, remarks)
}

/// YAML: nested keys are joined with dots.
fn yaml(text: &str, place: impl Fn(usize) -> Place) -> Result<Vec<Entry>> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        place,
        entries: Vec::new(),
    };
    reader.file()?;
    Ok(reader.entries)
}

struct Reader<'text, F> {
    events: Parser<'text, StrInput<'text>>,
    place: F,
    entries: Vec<Entry>,
}

impl<'text, F: Fn(usize) -> Place> Reader<'text, F> {
    /// The next event and its line.
    fn next(&mut self) -> Result<(Event<'text>, usize)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            // Only what is wrong, not the line: it may hold a secret.
            Some(Err(error)) => Err(self.fault(error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn fault(&self, line: usize, what: &str) -> Error {
        Error::config(format!(
            "{}: not YAML as Flink reads it: {what}",
            (self.place)(line)
        ))
    }

    fn file(&mut self) -> Result<()> {
        let mut read = false;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => (),
                Event::MappingStart(..) if !read => self.mapping("", 0)?,
                Event::Scalar(text, ..) if !read && is_null(&text) => (),
                _ if read => return Err(self.fault(line, "there is a second document")),
                _ => return Err(self.fault(line, "the file has to hold keys and values")),
            }
            read |= !self.entries.is_empty();
        }
    }

    fn mapping(&mut self, prefix: &str, depth: usize) -> Result<()> {
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(()),
                (Event::Scalar(key, ..), line) => (key, line),
                (_, line) => return Err(self.fault(line, "a key has to be text")),
            };
            let name = format!("{prefix}{key}");
            match self.next()? {
                (Event::Scalar(text, style, ..), _) => {
                    if style == saphyr_parser::ScalarStyle::Plain && is_null(&text) {
                        return Err(self.fault(line, &format!("`{name}` has no value")));
                    }
                    self.add(name, text.into_owned(), line)?;
                }
                (Event::MappingStart(..), _) if depth < DEPTH_MAX => {
                    self.mapping(&format!("{name}."), depth + 1)?;
                }
                (Event::SequenceStart(..), _) if depth < DEPTH_MAX => {
                    let items = self.sequence(depth + 1)?;
                    self.add(name, items.join(", "), line)?;
                }
                (Event::Alias(_), line) => {
                    return Err(self.fault(
                        line,
                        &format!("`{name}` is a reference (`*…`): write the value"),
                    ));
                }
                (_, line) => return Err(self.fault(line, "keys are nested too deep")),
            }
        }
    }

    /// The items of a list; what is nested in it has no meaning here, and is passed over.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Cow<'text, str>>> {
        let (mut items, mut nested) = (Vec::new(), 0_usize);
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) if nested == 0 => return Ok(items),
                (Event::SequenceEnd | Event::MappingEnd, _) => nested -= 1,
                (Event::Scalar(text, ..), _) if nested == 0 => items.push(text),
                (Event::Scalar(..) | Event::Alias(_), _) => (),
                (_, line) if nested + depth >= DEPTH_MAX => {
                    return Err(self.fault(line, "lists are nested too deep"));
                }
                (Event::StreamEnd, line) => return Err(self.fault(line, "a list has no end")),
                _ => nested += 1,
            }
        }
    }

    fn add(&mut self, name: String, value: String, line: usize) -> Result<()> {
        let place = (self.place)(line);
        if let Some(other) = self.entries.iter().find(|entry| entry.name == name)
            && let Place::Flink { line, .. } = other.place
        {
            let text = format!("{place}: `{name}` is set in line {line} too");
            return Err(Error::config(text));
        }
        self.entries.push(Entry { name, value, place });
        Ok(())
    }
}

/// What YAML takes for no value.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
