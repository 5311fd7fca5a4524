//! Which layer wins for each setting, and everything that is wrong on the way.

use std::collections::BTreeMap;

use crate::{Error, Result};

use super::flink::{self, Fate, Unused};
use super::layers::{Entry, Place};
use super::names::{self, NameError, Reading, Target};
use super::settings::Settings;

/// What a name means: a setting, and how its value is read.
pub(super) type Meaning = Result<(Target, Reading), NameError>;

/// The meaning of a name in a file or a flag, where every name has to have one.
pub(super) fn by_key(name: &str) -> Option<Meaning> {
    Some(names::meaning(name))
}

/// The value that a layer gives to a setting.
struct Said {
    target: Target,
    value: String,
    reading: Reading,
    place: Place,
}

impl Said {
    /// True if it only takes back what weaker layers say.
    fn is_blank(&self) -> bool {
        self.value.trim().is_empty()
    }

    /// The value as it may be shown, right or wrong.
    fn show(&self) -> String {
        let value = self.text().unwrap_or_else(|_| self.value.clone());
        self.target.secrecy().show(value.trim())
    }

    /// Stores the value. Returns it as it may be shown, or what is wrong with it.
    fn apply(&self, settings: &mut Settings) -> Result<String, String> {
        let stored = self.text().and_then(|value| {
            self.target.set(settings, &value)?;
            Ok(self.target.secrecy().show(value.trim()))
        });
        stored.map_err(|expected| {
            let name = self.target.name();
            let subject = match &self.place {
                Place::Dotenv { variable, .. } => format!("{variable} ({name})"),
                _ => name,
            };
            let value = self.target.secrecy().show(&self.value);
            let value = match value.char_indices().nth(100) {
                Some((end, _)) => format!("{:?}…", &value[..end]),
                None => format!("{value:?}"),
            };
            format!(
                "{}: {subject} can't be {value}: expected {expected}",
                self.place
            )
        })
    }

    /// `BATCH_TIMEOUT_SECONDS=5` is `batch.timeout = 5s`.
    fn text(&self) -> Result<String, String> {
        let value = &self.value;
        if value.contains('\u{FFFD}') {
            return Err("text in UTF-8".into());
        }
        match self.reading {
            Reading::Plain => Ok(value.clone()),
            Reading::Flink(alias) => Ok((alias.read)(value).unwrap_or_default().to_owned()),
            Reading::In(unit) => match value.trim().parse::<u64>() {
                Ok(number) => Ok(format!("{number}{}", unit.suffix)),
                Err(_) => Err(format!("a whole number of {}", unit.name)),
            },
        }
    }
}

/// For each setting what the layers say of it, the strongest last.
#[derive(Default)]
pub(super) struct Winners {
    said: BTreeMap<String, Vec<Said>>,
    unused: Vec<Unused>,
}

impl Winners {
    /// Adds the next stronger layer.
    pub(super) fn add(
        &mut self,
        entries: Result<Vec<Entry>>,
        meaning: impl Fn(&str) -> Option<Meaning>,
        faults: &mut Faults,
    ) {
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return faults.push(error),
        };
        // Stable, so lines keep their order.
        entries.sort_by_key(|entry| names::weight(&entry.name));
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for Entry { name, value, place } in entries {
            let (target, reading) = match meaning(&name) {
                None => continue,
                Some(Err(error)) => {
                    faults.push(error.at(&format!("{place}: "), &name));
                    continue;
                }
                Some(Ok(meaning)) => meaning,
            };
            if let Reading::Flink(alias) = reading
                && (alias.read)(&value).is_none()
            {
                continue;
            }
            let name = target.name();
            if let Place::File { line, .. } = place
                && let Some(other) = lines.insert(name.clone(), line)
            {
                let text = format!("{place}: `{name}` is set in line {other} too");
                faults.push(Error::config(text));
            }
            self.said.entry(name).or_default().push(Said {
                target,
                value,
                reading,
                place,
            });
        }
    }

    /// Adds a file of Flink's: it holds much that is none of our business, which is put down as a remark.
    pub(super) fn add_flink(
        &mut self,
        file: Result<(Vec<Entry>, Vec<Unused>)>,
        faults: &mut Faults,
    ) {
        let (entries, mut unused) = match file {
            Ok(file) => file,
            Err(error) => return faults.push(error),
        };
        let mut ours = Vec::new();
        for entry in entries {
            match flink::rule(&entry.name).map(|rule| &rule.fate) {
                Some(Fate::Alias(_) | Fate::Only { .. }) => ours.push(entry),
                Some(Fate::Unused { because }) => {
                    unused.push(Unused::known(&entry.name, entry.place, because));
                }
                None => unused.push(Unused::unknown(&entry.name, entry.place)),
            }
        }
        ours.sort_by_key(|entry| flink::weight(&entry.name));
        let meaning = |name: &str| flink::rule(name).map(|rule| names::by_rule(rule, name));
        self.add(Ok(ours), meaning, faults);
        self.unused.extend(unused);
    }

    /// Stores what won. Faulty values are left out.
    pub(super) fn settle(self, faults: &mut Faults) -> Settings {
        let mut settings = Settings::blank();
        for (name, said) in self.said {
            let strongest = said.last().filter(|said| !said.is_blank());
            let default = said.first().filter(|said| said.place == Place::Default);
            if let Some(winner) = strongest.or(default) {
                match winner.apply(&mut settings) {
                    Ok(shown) => {
                        let source = (winner.place.clone(), shown);
                        settings.sources.in_force.insert(name.clone(), source);
                    }
                    Err(text) => faults.push(Error::config(text)),
                }
            }
            let said = said.iter().map(|said| (said.place.clone(), said.show()));
            settings.sources.said.insert(name, said.collect());
        }
        settings.sources.unused = self.unused;
        settings
    }
}

/// Everything that is wrong, to be said at once.
#[derive(Default)]
pub(super) struct Faults(Vec<Error>);

impl Faults {
    pub(super) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_result(mut self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            count => {
                let list: String = self.0.iter().map(|e| format!("\n* {e}")).collect();
                Err(Error::config(format!("{count} settings are wrong:{list}")))
            }
        }
    }
}
