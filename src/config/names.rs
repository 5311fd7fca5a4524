//! Names in any spelling a layer allows → the setting that is meant, or the nearest one.

use crate::Error;

use super::flink::{self, Fate, Rule};
use super::keys::{FAMILIES, Family, KEYS, Key, Refusal, Unit};
use super::librdkafka;
use super::secret::Secrecy;
use super::settings::Settings;
use super::values::Parsed;
use super::words::{Words, words};

/// The environment names of all keys begin with this.
pub(super) const PREFIX: &str = "CALVE_";

/// The setting that a name means.
#[derive(Clone)]
pub(super) enum Target {
    /// A key of the table.
    Key(&'static Key),
    /// A member of a family, by the rest of its name.
    Member(&'static Family, String),
    /// A key of Flink's that is no setting here, but may ask only for what is so anyway.
    Flink(&'static Rule, String),
}

/// How the text of a layer becomes the text of a setting.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// As it stands.
    Plain,
    /// A bare number in the unit that the name promises.
    In(Unit),
    /// As Flink means it.
    Flink(&'static flink::Alias),
}

impl Target {
    /// The setting's own name.
    pub(super) fn name(&self) -> String {
        match self {
            Target::Key(key) => key.name.to_owned(),
            Target::Member(family, rest) => format!("{}{rest}", family.prefix),
            Target::Flink(_, name) => name.clone(),
        }
    }

    /// The name of its variable, if it has one: the older one of two.
    pub(super) fn variable(&self) -> Option<String> {
        match self {
            Target::Key(key) => Some(match key.aliases().next() {
                Some(alias) => alias.variable.to_owned(),
                None => variable(key.name),
            }),
            Target::Member(family, _) => family.underscore.map(|_| variable(&self.name())),
            Target::Flink(..) => None,
        }
    }

    /// All names of its variables, the one that wins first, each with the unit that it promises.
    pub(super) fn variables(&self) -> Vec<(String, Option<Unit>)> {
        match self {
            Target::Key(key) => {
                let aliases = key.aliases().map(|a| (a.variable.to_owned(), a.unit));
                [(variable(key.name), None)]
                    .into_iter()
                    .chain(aliases)
                    .collect()
            }
            Target::Member(..) => self
                .variable()
                .map(|name| (name, None))
                .into_iter()
                .collect(),
            Target::Flink(..) => Vec::new(),
        }
    }

    /// What `default.toml` says about it.
    pub(super) fn words(&self) -> Option<&'static Words> {
        let documented = match self {
            Target::Key(key) => key.name,
            Target::Member(family, _) => family.example,
            Target::Flink(..) => return None,
        };
        words().get(documented)
    }

    pub(super) fn secrecy(&self) -> Secrecy {
        match self {
            Target::Key(key) => key.secrecy,
            Target::Member(family, rest) => (family.secrecy)(rest),
            Target::Flink(..) => Secrecy::Open,
        }
    }

    pub(super) fn set(&self, settings: &mut Settings, value: &str) -> Parsed<()> {
        match self {
            Target::Key(key) => (key.set)(settings, value),
            Target::Member(family, rest) => (family.set)(settings, rest, value),
            Target::Flink(rule, _) => rule.accepts(value),
        }
    }
}

/// Why a name means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NameError {
    /// No such setting; perhaps this one was meant.
    Unknown(Option<String>),
    /// It can't be set here, for this reason.
    Refused(String),
}

impl NameError {
    /// The error to report for `name`, which stands at `place`.
    pub(super) fn at(self, place: &str, name: &str) -> Error {
        const LIST: &str = "`calve config` lists every setting";
        match self {
            NameError::Unknown(Some(nearest)) => {
                Error::config(format!("{place}unknown setting `{name}`"))
                    .advice(format!("did you mean `{nearest}`? {LIST}"))
            }
            NameError::Unknown(None) => {
                Error::config(format!("{place}unknown setting `{name}`")).advice(LIST)
            }
            NameError::Refused(reason) => {
                Error::config(format!("{place}`{name}` can't be set: {reason}"))
            }
        }
    }
}

/// The setting that a key means: in a file or a flag.
pub(super) fn by_key(name: &str) -> Result<Target, NameError> {
    meaning(name).map(|(target, _)| target)
}

/// The setting that a key means, and how its value is to be read.
pub(super) fn meaning(name: &str) -> Result<(Target, Reading), NameError> {
    if let Some(key) = key(name) {
        return Ok((Target::Key(key), Reading::Plain));
    }
    if let Some(rule) = flink::exact(name) {
        return by_rule(rule, name);
    }
    let unknown = || NameError::Unknown(nearest(name, keys()));
    for family in FAMILIES {
        if let Some(rest) = name.strip_prefix(family.prefix).filter(|r| !r.is_empty()) {
            return member(family, rest, unknown).map(|target| (target, Reading::Plain));
        }
    }
    Err(unknown())
}

/// The setting that a key of Flink's means.
pub(super) fn by_rule(rule: &'static Rule, name: &str) -> Result<(Target, Reading), NameError> {
    match &rule.fate {
        Fate::Alias(alias) => match key(alias.of) {
            Some(key) => Ok((Target::Key(key), Reading::Flink(alias))),
            None => Err(NameError::Unknown(None)),
        },
        Fate::Only { .. } => Ok((Target::Flink(rule, name.to_owned()), Reading::Plain)),
        Fate::Unused { because } => Err(NameError::Refused(format!(
            "of Flink's settings this one has no meaning here: {because}"
        ))),
    }
}

fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The setting that a variable means, and how its value is to be read.
///
/// `None` if the variable is none of ours: the environment is shared with everybody.
pub(super) fn by_variable(name: &str) -> Option<Result<(Target, Reading), NameError>> {
    for key in KEYS {
        if let Some(alias) = key.aliases().find(|alias| alias.variable == name) {
            let reading = alias.unit.map_or(Reading::Plain, Reading::In);
            return Some(Ok((Target::Key(key), reading)));
        }
    }
    if !name.starts_with(PREFIX) {
        return None;
    }
    if let Some(key) = KEYS.iter().find(|key| variable(key.name) == name) {
        return Some(Ok((Target::Key(key), Reading::Plain)));
    }
    let unknown = || NameError::Unknown(nearest(name, variables()));
    for family in FAMILIES {
        let rest = name.strip_prefix(&variable(family.prefix));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            continue;
        };
        let Some(underscore) = family.underscore else {
            let reason = format!(
                "names under {} have no environment name; use a file or --set",
                family.prefix
            );
            return Some(Err(NameError::Refused(reason)));
        };
        let rest = rest
            .to_ascii_lowercase()
            .replace('_', &underscore.to_string());
        return Some(member(family, &rest, unknown).map(|target| (target, Reading::Plain)));
    }
    Some(Err(unknown()))
}

fn member(
    family: &'static Family,
    rest: &str,
    unknown: impl Fn() -> NameError,
) -> Result<Target, NameError> {
    match (family.member)(rest) {
        Ok(rest) => Ok(Target::Member(family, rest)),
        Err(Refusal::Unknown) => Err(unknown()),
        Err(Refusal::Refused(reason)) => Err(NameError::Refused(reason)),
    }
}

/// How much a variable weighs against others for the same setting in the same layer.
pub(super) fn weight(name: &str) -> usize {
    let place = |key: &Key| key.aliases().position(|alias| alias.variable == name);
    match KEYS.iter().find_map(place) {
        Some(place) => usize::MAX - 1 - place,
        None if name.starts_with(PREFIX) => usize::MAX,
        None => 0,
    }
}

/// The environment name of a key: `batch.size` is `CALVE_BATCH_SIZE`.
pub(super) fn variable(key: &str) -> String {
    let name = key.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("{PREFIX}{name}")
}

/// Keys to suggest, each beside a spelling under which it may be looked for.
fn keys() -> Vec<(String, String)> {
    let mut names = Vec::new();
    for key in KEYS {
        let variables = key.aliases().map(|alias| alias.variable);
        let flink = flink::names_of(key.name).map(|(name, _)| name);
        let spellings = [key.name].into_iter().chain(variables).chain(flink);
        names.extend(spellings.map(|spelling| (key.name.to_owned(), spelling.to_owned())));
    }
    let properties = librdkafka::COMMON.iter();
    let properties = properties.map(|property| format!("kafka.{property}"));
    let examples = FAMILIES.iter().map(|family| family.example.to_owned());
    names.extend(properties.chain(examples).map(|name| (name.clone(), name)));
    names
}

fn variables() -> Vec<(String, String)> {
    let mut names = Vec::new();
    for key in KEYS {
        names.extend(key.aliases().map(|alias| alias.variable.to_owned()));
        names.push(variable(key.name));
    }
    for property in librdkafka::COMMON {
        names.push(variable(&format!("kafka.{property}")));
    }
    names.into_iter().map(|name| (name.clone(), name)).collect()
}

/// The name whose spelling is nearest to `wanted`, of `(name, spelling)`, if any is near.
///
/// Compared without case and separators (`batchsize`, `s3.secret_key`), and also with the last
/// parts of longer names alone (`brokers`).
pub(super) fn nearest<T: AsRef<str>>(
    wanted: &str,
    candidates: impl IntoIterator<Item = (T, T)>,
) -> Option<String> {
    const NEAR: f64 = 0.7;
    let plain = letters(wanted);
    let score = |spelling: &str| {
        let whole = strsim::normalized_damerau_levenshtein(&plain, &letters(spelling));
        let tails = spelling
            .match_indices(['.', '_'])
            .map(|(at, _)| letters(&spelling[at..]))
            .map(|tail| 0.95 * strsim::normalized_damerau_levenshtein(&plain, &tail));
        tails.fold(whole, f64::max)
    };
    candidates
        .into_iter()
        .map(|(name, spelling)| (score(spelling.as_ref()), name))
        .filter(|(score, _)| *score >= NEAR)
        // The first of equals, since the table lists the more common keys first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name.as_ref().to_owned())
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}
