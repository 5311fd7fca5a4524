//! The layers as they are written: which names got which text, and where it stands.
//!
//! Nothing is looked up or judged here but the syntax of the two kinds of files.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Error, Result};

use super::names;

/// The files in the working directory, the later one wins.
const DOTENV: [&str; 2] = [".env", ".env.local"];

/// Where settings are looked for, from the weakest layer to the strongest.
///
/// `Layers::default()` looks nowhere: what is loaded from it is `default.toml`.
#[derive(Clone, Default)]
pub struct Layers {
    /// A configuration file of Flink's, `--flink-conf FILE`.
    pub flink: Option<PathBuf>,
    /// A TOML file, `--config FILE`.
    pub file: Option<PathBuf>,
    /// The directory whose `.env` and `.env.local` are read, if they exist.
    pub directory: Option<PathBuf>,
    /// The process environment; variables that are none of calve's are ignored.
    pub environment: Vec<(String, String)>,
    /// Keys and values from `--set` and from flags with a name of their own; the last one wins.
    pub flags: Vec<(String, String)>,
}

impl Layers {
    /// The layers of this process: its environment, its working directory and what its command
    /// line says.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let environment = std::env::vars_os()
            // What is not UTF-8 keeps a replacement character, and is refused if calve reads it.
            .map(|(name, value)| {
                let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
                (text(name), text(value))
            })
            .collect();
        Self {
            flink: None,
            file,
            directory: Some(PathBuf::from(".")),
            environment,
            flags,
        }
    }

    /// Splits what stands behind `--set`: `key=value`.
    pub fn parse_flag(text: &str) -> Result<(String, String)> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.to_owned()))
            }
            // No more of it is quoted than can be a key: the rest may be a password.
            _ => {
                let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let key = text.split(|c| !legal(c)).next().unwrap_or_default();
                Err(Error::config(format!(
                    "--set needs key=value, got no `=` after `{key}`"
                )))
            }
        }
    }
}

/// Names of what is set, no values: they can be secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("Layers")
            .field("flink", &self.flink)
            .field("file", &self.file)
            .field("directory", &self.directory)
            .field("environment", &names(&self.environment))
            .field("flags", &names(&self.flags))
            .finish()
    }
}

/// Where a setting stands. Its `Display` is what errors and `calve config` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `default.toml`.
    Default,
    /// In the file that `--flink-conf` names.
    Flink {
        /// As it was given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// In the file that `--config` names.
    File {
        /// As it was given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// In `.env` or `.env.local`.
    Dotenv {
        /// Which of them.
        file: &'static str,
        /// Counted from 1.
        line: usize,
        /// The variable.
        variable: String,
    },
    /// In the process environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// On the command line.
    Flag {
        /// The key.
        key: String,
    },
}

/// In its words.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::Flink { path, line } => {
                write!(f, "Flink's file {}, line {line}", path.display())
            }
            Place::File { path, line } => write!(f, "file {}, line {line}", path.display()),
            Place::Dotenv { file, line, .. } => write!(f, "{file}, line {line}"),
            Place::Environment { variable } => write!(f, "environment variable {variable}"),
            Place::Flag { key } if key == "parallelism" => f.write_str("-w or --set parallelism"),
            Place::Flag { key } => write!(f, "--set {key}"),
        }
    }
}

/// A name and a text at a place.
pub(super) struct Entry {
    /// The name as it is written there.
    pub name: String,
    pub value: String,
    pub place: Place,
}

/// All entries of a TOML text, tables flattened to dotted names, in the order of lines.
pub(super) fn toml(text: &str, place: impl Fn(usize) -> Place) -> Result<Vec<Entry>> {
    let table = DeTable::parse(text).map_err(|error| {
        // Only the message: the error's Display quotes the line, which may hold a secret.
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        Error::config(format!("{}: not TOML: {}", place(line), error.message()))
    })?;
    let mut found = Vec::new();
    flatten(table.get_ref(), "", &mut found);
    found.sort_by_key(|(at, ..)| *at);
    let entry = |(at, name, value): (usize, String, Option<String>)| {
        let place = place(line_of(text, at));
        match value {
            Some(value) => Ok(Entry { name, value, place }),
            None => Err(Error::config(format!(
                "{place}: `{name}` can't be a list of lists or tables: expected text, a number, \
                 true, false or a list of those"
            ))),
        }
    };
    found.into_iter().map(entry).collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn flatten(table: &DeTable<'_>, prefix: &str, found: &mut Vec<(usize, String, Option<String>)>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => flatten(table, &format!("{name}."), found),
            value => found.push((key.span().start, name, scalar_or_list(value))),
        }
    }
}

/// A list is written with commas in the other layers, so that is what it becomes.
fn scalar_or_list(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(items) => {
            let items = items.iter().map(Spanned::get_ref).map(scalar);
            Some(items.collect::<Option<Vec<_>>>()?.join(", "))
        }
        value => scalar(value),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            Some(parsed.map_or_else(|_| number.to_string(), |n| n.to_string()))
        }
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The entries of the `--config` file.
pub(super) fn file(path: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("file {} can't be read", path.display()))
            .caused_by(error)
            .advice("check the path behind --config")
    })?;
    toml(&text, |line| Place::File {
        path: path.to_owned(),
        line,
    })
}

/// The entries of `.env` and of `.env.local`, one list each.
pub(super) fn dotenv_files(directory: &Path) -> [Result<Vec<Entry>>; 2] {
    DOTENV.map(|file| {
        let path = directory.join(file);
        match std::fs::read(&path) {
            Ok(bytes) => dotenv(file, &bytes),
            // Python's virtual environments can be directories with this name.
            Err(_) if !path.exists() || path.is_dir() => Ok(Vec::new()),
            Err(error) => {
                Err(Error::config(format!("{} can't be read", path.display())).caused_by(error))
            }
        }
    })
}

/// The entries that concern calve. The file belongs to other programs too, and so do its faults:
/// a line that can't be read is an error only if it sets a variable that calve reads.
fn dotenv(file: &'static str, bytes: &[u8]) -> Result<Vec<Entry>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let fed = Rc::new(Cell::new(0));
    let feeder = LineFeeder {
        rest: text.as_bytes(),
        lines: fed.clone(),
    };
    let mut variables = dotenvy::from_read_iter(feeder);
    let mut entries = Vec::new();
    loop {
        let before = fed.get();
        let Some(variable) = variables.next() else {
            return Ok(entries);
        };
        // What was read for this item: comments and blank lines, then its own lines.
        let mut read = text.lines().enumerate().take(fed.get()).skip(before);
        match variable {
            Ok((name, value)) => {
                let line = read.find(|(_, line)| assigned(line) == Some(&*name));
                let line = line.map_or(before, |(index, _)| index) + 1;
                let variable = name.clone();
                let place = Place::Dotenv {
                    file,
                    line,
                    variable,
                };
                entries.push(Entry { name, value, place });
            }
            Err(_) => {
                let ours = |line: &str| assigned(line).is_some_and(is_ours);
                if let Some((index, _)) = read.find(|(_, line)| ours(line)) {
                    // Without dotenvy's own words: they quote the line, which may hold a secret.
                    return Err(Error::config(format!(
                        "{file}, line {}: not NAME=value, or a quote is left open",
                        index + 1
                    ))
                    .advice("put values with spaces, `#` or `$` in single quotes"));
                }
            }
        }
    }
}

/// The variable that a line of a `.env` file sets, or seems to set.
fn assigned(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    line.split(|c| !name(c)).next().filter(|n| !n.is_empty())
}

fn is_ours(variable: &str) -> bool {
    names::by_variable(variable).is_some()
}

/// Hands out one line at a time and counts, so that it is known how far its reader has come.
struct LineFeeder<'a> {
    rest: &'a [u8],
    lines: Rc<Cell<usize>>,
}

impl Read for LineFeeder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let line = end.map_or(self.rest.len(), |end| end + 1);
        let length = line.min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
        if length == line && length > 0 {
            self.lines.set(self.lines.get() + 1);
        }
        Ok(length)
    }
}

/// The entries of the process environment that concern calve.
pub(super) fn environment(variables: &[(String, String)]) -> Vec<Entry> {
    let ours = variables.iter().filter(|(name, _)| is_ours(name));
    let entry = |(name, value): &(String, String)| Entry {
        name: name.clone(),
        value: value.clone(),
        place: Place::Environment {
            variable: name.clone(),
        },
    };
    ours.map(entry).collect()
}

/// The entries of the command line.
pub(super) fn flags(flags: &[(String, String)]) -> Vec<Entry> {
    let entry = |(key, value): &(String, String)| Entry {
        name: key.clone(),
        value: value.clone(),
        place: Place::Flag { key: key.clone() },
    };
    flags.iter().map(entry).collect()
}
