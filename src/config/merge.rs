//! Which layer wins for each setting, and everything that is wrong on the way.

use std::collections::BTreeMap;

use crate::{Error, Result};

use super::keys::Unit;
use super::layers::{Entry, Place};
use super::names::{self, NameError, Target};
use super::settings::Settings;

/// What a name means: a setting, and the unit that the name promises.
pub(super) type Meaning = Result<(Target, Option<Unit>), NameError>;

/// The meaning of a name in a file or a flag, where every name has to have one.
pub(super) fn by_key(name: &str) -> Option<Meaning> {
    Some(names::by_key(name).map(|target| (target, None)))
}

/// The value that a layer gives to a setting.
#[derive(Clone)]
struct Winner {
    target: Target,
    value: String,
    unit: Option<Unit>,
    place: Place,
}

impl Winner {
    /// Stores the value. Returns it as it may be shown, or what is wrong with it.
    fn apply(&self, settings: &mut Settings) -> Result<String, String> {
        let stored = self.value_with_unit().and_then(|value| {
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
    fn value_with_unit(&self) -> Result<String, String> {
        let value = &self.value;
        if value.contains('\u{FFFD}') {
            return Err("text in UTF-8".into());
        }
        match self.unit {
            None => Ok(value.clone()),
            Some(unit) => match value.trim().parse::<u64>() {
                Ok(number) => Ok(format!("{number}{}", unit.suffix)),
                Err(_) => Err(format!("a whole number of {}", unit.name)),
            },
        }
    }
}

/// For each setting the strongest layer that speaks of it.
#[derive(Default)]
pub(super) struct Winners {
    chosen: BTreeMap<String, Winner>,
    defaults: BTreeMap<String, Winner>,
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
        entries.sort_by_key(|entry| entry.name.starts_with(names::PREFIX));
        let mut layer: BTreeMap<String, Winner> = BTreeMap::new();
        for Entry { name, value, place } in entries {
            match meaning(&name) {
                None => (),
                Some(Err(error)) => {
                    faults.push(error.at(&format!("{place}: "), &name));
                }
                Some(Ok((target, unit))) => {
                    let name = target.name();
                    let winner = Winner {
                        target,
                        value,
                        unit,
                        place,
                    };
                    if let Some(other) = layer.insert(name.clone(), winner)
                        && let Place::File { line, .. } = other.place
                    {
                        let place = &layer[&name].place;
                        let text = format!("{place}: `{name}` is set in line {line} too");
                        faults.push(Error::config(text));
                    }
                }
            }
        }
        for (name, winner) in layer {
            if !winner.value.trim().is_empty() {
                self.chosen.insert(name, winner);
            } else if let Some(default) = self.defaults.get(&name) {
                self.chosen.insert(name, default.clone());
            } else {
                self.chosen.remove(&name);
            }
        }
    }
}

impl Winners {
    /// Adds the weakest layer, to which empty values lead back.
    pub(super) fn add_defaults(&mut self, entries: Result<Vec<Entry>>, faults: &mut Faults) {
        self.add(entries, by_key, faults);
        self.defaults = self.chosen.clone();
    }

    /// Stores what won. Faulty values are left out.
    pub(super) fn settle(&self, faults: &mut Faults) -> Settings {
        let mut settings = Settings::blank();
        for (name, winner) in &self.chosen {
            match winner.apply(&mut settings) {
                Ok(shown) => {
                    let source = (winner.place.clone(), shown);
                    settings.sources.0.insert(name.clone(), source);
                }
                Err(text) => faults.push(Error::config(text)),
            }
        }
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
