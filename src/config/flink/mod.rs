//! Flink's configuration, read as it is: what becomes of each of its keys.
//!
//! ```text
//!   config.yaml, flink-conf.yaml ──▶ file: keys and values, line by line
//!                                      │
//!                                      ▼
//!                      table: one rule for each key a Flink installation is likely to have
//!                                      │
//!           ┌───────────────────┬──────┴───────────┬───────────────────────┐
//!           ▼                   ▼                  ▼                       ▼
//!      a setting of ours   only some values   no meaning here         no rule: unknown
//!                          (others refused)   (said, with the reason)  (said: not used)
//! ```
//!
//! A Flink file belongs to Flink: what is unknown in it is a remark ([`Unused`]), no error. In calve's own
//! files and flags Flink's names are aliases, and a name without a meaning is an error as ever.
//!
//! The invariant: nothing that a Flink file asks for is done in a weaker way without a word. Either a setting
//! does it, or the value is refused, or the remark says why there is nothing to do.

pub(super) mod file;
mod table;

use std::cmp::Reverse;

use serde::Serialize;

use super::layers::Place;
use super::names;
use super::values::Parsed;
pub(super) use table::RULES;

/// What becomes of some of Flink's keys.
#[derive(Debug)]
pub(super) struct Rule {
    /// The keys, the one that Flink calls current first. A `*` at an end stands for the rest of a name.
    pub keys: &'static [&'static str],
    /// What becomes of them.
    pub fate: Fate,
}

/// What becomes of a key.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is a setting of ours.
    Alias(Alias),
    /// It asks for what is done here anyway, with one of these values; or for what is not done.
    Only {
        /// The values, in any case.
        values: &'static [&'static str],
        /// What is so, and what another value is refused for.
        because: &'static str,
    },
    /// Nothing here needs it.
    Unused {
        /// Why.
        because: &'static str,
    },
}

/// A setting of ours under Flink's name.
#[derive(Debug)]
pub(super) struct Alias {
    /// Our key.
    pub of: &'static str,
    /// What it means here that it does not mean in Flink, if anything.
    pub differs: Option<&'static str>,
    /// What a value says of the setting; `None` if nothing.
    pub read: fn(&str) -> Option<&str>,
}

impl Rule {
    const fn alias(of: &'static str, keys: &'static [&'static str]) -> Self {
        Self {
            keys,
            fate: Fate::Alias(Alias {
                of,
                differs: None,
                read: as_it_is,
            }),
        }
    }

    const fn only(
        values: &'static [&'static str],
        because: &'static str,
        keys: &'static [&'static str],
    ) -> Self {
        Self {
            keys,
            fate: Fate::Only { values, because },
        }
    }

    const fn unused(because: &'static str, keys: &'static [&'static str]) -> Self {
        Self {
            keys,
            fate: Fate::Unused { because },
        }
    }

    const fn differs(mut self, text: &'static str) -> Self {
        if let Fate::Alias(alias) = &mut self.fate {
            alias.differs = Some(text);
        }
        self
    }

    /// Whether a value is one that asks for what is done here.
    pub(super) fn accepts(&self, value: &str) -> Parsed<()> {
        let Fate::Only { values, because } = &self.fate else {
            return Ok(());
        };
        let is_accepted = values.iter().any(|v| v.eq_ignore_ascii_case(value.trim()));
        match is_accepted {
            true => Ok(()),
            false if values.is_empty() => Err(format!("it not to be set: {because}")),
            false => Err(format!("{}: {because}", values.join(" or "))),
        }
    }

    const fn read(mut self, read: fn(&str) -> Option<&str>) -> Self {
        if let Fate::Alias(alias) = &mut self.fate {
            alias.read = read;
        }
        self
    }
}

fn as_it_is(value: &str) -> Option<&str> {
    Some(value)
}

/// The rule of a key that has one of its own.
pub(super) fn exact(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.keys.contains(&name))
}

/// The rule of any key: its own, or else that of the longest beginning.
pub(super) fn rule(name: &str) -> Option<&'static Rule> {
    exact(name).or_else(|| {
        let beginnings = RULES.iter().flat_map(|rule| {
            let beginnings = rule.keys.iter().filter_map(|key| key.strip_suffix('*'));
            beginnings.map(move |beginning| (rule, beginning))
        });
        beginnings
            .filter(|(_, beginning)| name.starts_with(beginning))
            .max_by_key(|(_, beginning)| beginning.len())
            .map(|(rule, _)| rule)
    })
}

/// How much a name weighs against others for the same setting in the same file: as in Flink the current one
/// wins over those that it replaced, and a later rule over an earlier one.
pub(super) fn weight(name: &str) -> (usize, Reverse<usize>) {
    let place = RULES.iter().enumerate().find_map(|(index, rule)| {
        let position = rule.keys.iter().position(|key| *key == name)?;
        Some((index, Reverse(position)))
    });
    place.unwrap_or_default()
}

/// Flink's names for a setting of ours, the current one first, each with its rule.
pub(super) fn names_of(key: &str) -> impl Iterator<Item = (&'static str, &'static Alias)> {
    RULES.iter().flat_map(move |rule| match &rule.fate {
        Fate::Alias(alias) if alias.of == key => {
            rule.keys.iter().map(|name| (*name, alias)).collect()
        }
        _ => Vec::new(),
    })
}

/// A key of a Flink file that nothing here uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// The key. Its value is not kept: it may be a secret.
    pub key: String,
    /// Where it stands.
    pub place: Place,
    /// Why there is nothing to do.
    pub because: String,
    /// False if calve has never heard of it.
    pub known: bool,
}

impl Unused {
    /// A key without a meaning here.
    pub(super) fn known(key: &str, place: Place, because: &str) -> Self {
        Self {
            key: key.to_owned(),
            place,
            because: because.to_owned(),
            known: true,
        }
    }

    /// A key without a rule.
    pub(super) fn unknown(key: &str, place: Place) -> Self {
        let because = match (names::by_key(key), nearest(key)) {
            (Ok(_), _) => "a setting of calve, not of Flink: use --config or --set".to_owned(),
            (Err(_), Some(nearest)) => format!("not known; did you mean `{nearest}`?"),
            (Err(_), None) => "not known".to_owned(),
        };
        Self {
            key: key.to_owned(),
            place,
            because,
            known: false,
        }
    }
}

/// The key nearest to one without a rule, among those that mean something here.
fn nearest(key: &str) -> Option<String> {
    let meant = RULES
        .iter()
        .filter(|rule| !matches!(rule.fate, Fate::Unused { .. }));
    let candidates = meant.flat_map(|rule| rule.keys).map(|key| (*key, *key));
    names::nearest(key, candidates)
}

/// The rules as a table in Markdown, for `docs/moving-from-flink.md`.
#[cfg(test)]
pub(super) fn markdown() -> String {
    let mut text = String::from("| Flink's key | here | |\n|---|---|---|\n");
    for rule in RULES {
        let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
        let keys = keys.join(", ");
        let (here, words) = match &rule.fate {
            Fate::Alias(alias) => (format!("`{}`", alias.of), alias.differs.unwrap_or_default()),
            Fate::Only { values, because } => {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                let here = match values.is_empty() {
                    true => "refused".to_owned(),
                    false => format!("only {}", values.join(", ")),
                };
                (here, *because)
            }
            Fate::Unused { because } => ("not needed".to_owned(), *because),
        };
        text.push_str(&format!("| {keys} | {here} | {words} |\n"));
    }
    text
}
