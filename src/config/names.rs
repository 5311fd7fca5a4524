//! Names in any spelling a layer allows → the setting that is meant, or the nearest one.

use crate::Error;

use super::keys::{Alias, FAMILIES, Family, KEYS, Key, Refusal, Unit};
use super::librdkafka;
use super::secret::Secrecy;
use super::settings::Settings;
use super::values::Parsed;

/// The environment names of all keys begin with this.
pub(super) const PREFIX: &str = "CALVE_";

/// The setting that a name means.
#[derive(Clone)]
pub(super) enum Target {
    /// A key of the table.
    Key(&'static Key),
    /// A member of a family, by the rest of its name.
    Member(&'static Family, String),
}

impl Target {
    /// The setting's own name.
    pub(super) fn name(&self) -> String {
        match self {
            Target::Key(key) => key.name.to_owned(),
            Target::Member(family, rest) => format!("{}{rest}", family.prefix),
        }
    }

    /// The name of its variable, if it has one: the older one of two.
    pub(super) fn variable(&self) -> Option<String> {
        match self {
            Target::Key(key) => Some(match &key.alias {
                Some(alias) => alias.variable.to_owned(),
                None => variable(key.name),
            }),
            Target::Member(family, _) => family.underscore.map(|_| variable(&self.name())),
        }
    }

    pub(super) fn secrecy(&self) -> Secrecy {
        match self {
            Target::Key(key) => key.secrecy,
            Target::Member(family, rest) => (family.secrecy)(rest),
        }
    }

    pub(super) fn set(&self, settings: &mut Settings, value: &str) -> Parsed<()> {
        match self {
            Target::Key(key) => (key.set)(settings, value),
            Target::Member(family, rest) => (family.set)(settings, rest, value),
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
    let named = |key: &&Key| key.name == name || key.flink == Some(name);
    if let Some(key) = KEYS.iter().find(named) {
        return Ok(Target::Key(key));
    }
    let unknown = || NameError::Unknown(nearest(name, &keys()));
    for family in FAMILIES {
        if let Some(rest) = name.strip_prefix(family.prefix).filter(|r| !r.is_empty()) {
            return member(family, rest, unknown);
        }
    }
    Err(unknown())
}

/// The setting that a variable means, and the unit its value is in.
///
/// `None` if the variable is none of ours: the environment is shared with everybody.
pub(super) fn by_variable(name: &str) -> Option<Result<(Target, Option<Unit>), NameError>> {
    for key in KEYS {
        match &key.alias {
            Some(Alias { variable, unit }) if *variable == name => {
                return Some(Ok((Target::Key(key), *unit)));
            }
            _ => (),
        }
    }
    if !name.starts_with(PREFIX) {
        return None;
    }
    if let Some(key) = KEYS.iter().find(|key| variable(key.name) == name) {
        return Some(Ok((Target::Key(key), None)));
    }
    let unknown = || NameError::Unknown(nearest(name, &variables()));
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
        return Some(member(family, &rest, unknown).map(|target| (target, None)));
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

/// The environment name of a key: `batch.size` is `CALVE_BATCH_SIZE`.
pub(super) fn variable(key: &str) -> String {
    let name = key.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("{PREFIX}{name}")
}

/// A name to suggest, and another spelling under which it may be looked for.
type Candidate = (String, Option<&'static str>);

fn keys() -> Vec<Candidate> {
    let mut names = Vec::new();
    for key in KEYS {
        names.push((key.name.to_owned(), None));
        let variable = key.alias.as_ref().map(|alias| alias.variable);
        for other in [variable, key.flink].into_iter().flatten() {
            names.push((key.name.to_owned(), Some(other)));
        }
    }
    for property in librdkafka::COMMON {
        names.push((format!("kafka.{property}"), None));
    }
    names.extend(FAMILIES.iter().map(|f| (f.example.to_owned(), None)));
    names
}

fn variables() -> Vec<Candidate> {
    let mut names = Vec::new();
    for key in KEYS {
        if let Some(alias) = &key.alias {
            names.push((alias.variable.to_owned(), None));
        }
        names.push((variable(key.name), None));
    }
    for property in librdkafka::COMMON {
        names.push((variable(&format!("kafka.{property}")), None));
    }
    names
}

/// The candidate nearest to `wanted`, if any is near.
///
/// Compared without case and separators (`batchsize`, `s3.secret_key`), and also with the last
/// parts of longer names alone (`brokers`).
fn nearest(wanted: &str, candidates: &[Candidate]) -> Option<String> {
    const NEAR: f64 = 0.7;
    let plain = letters(wanted);
    let score = |(name, other): &Candidate| {
        let spelling = other.unwrap_or(name);
        let whole = strsim::normalized_damerau_levenshtein(&plain, &letters(spelling));
        let tails = spelling
            .match_indices(['.', '_'])
            .map(|(at, _)| letters(&spelling[at..]))
            .map(|tail| 0.95 * strsim::normalized_damerau_levenshtein(&plain, &tail));
        tails.fold(whole, f64::max)
    };
    candidates
        .iter()
        .map(|candidate| (score(candidate), &candidate.0))
        .filter(|(score, _)| *score >= NEAR)
        // The first of equals, since the table lists the more common keys first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name.clone())
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}
