//! What is in force and where it came from: `calve config`, and what is missing.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Error, Result};

use super::flink::Unused;
use super::keys::KEYS;
use super::layers::Place;
use super::names::{self, Target};
use super::own;
use super::settings::{CatalogKind, Settings};
use super::words::words;

/// One setting as `calve config` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The key.
    pub key: String,
    /// The value as it was written, secrets masked; `None` if it is not set.
    pub value: Option<String>,
    /// Where the value came from; the defaults if it is not set.
    pub layer: Place,
    /// The environment variable that sets it, if one can.
    pub variable: Option<String>,
    /// What it is, on one line.
    pub doc: &'static str,
}

/// Where everything came from; values as they may be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Of each setting that has a value.
    pub in_force: BTreeMap<String, (Place, String)>,
    /// All that the layers say, the strongest last.
    pub said: BTreeMap<String, Vec<(Place, String)>>,
    /// What a file of Flink's holds beside.
    pub unused: Vec<Unused>,
}

impl Settings {
    /// Every setting in the order of `default.toml`, free names behind the keys of their section.
    pub fn effective(&self) -> Vec<Effective> {
        let mut all = Vec::new();
        for keys in KEYS.chunk_by(|a, b| section(a.name) == section(b.name)) {
            all.extend(keys.iter().map(|key| self.show(&Target::Key(key))));
            all.extend(self.members(section(keys[0].name)));
        }
        // The one section that has free names only.
        all.extend(self.members(section(own::PREFIX)));
        all
    }

    /// What is set under the free names of a section.
    fn members(&self, of: &str) -> impl Iterator<Item = Effective> {
        let here = self.sources.in_force.keys();
        let here = here.filter(move |name| section(name) == of);
        here.filter_map(|name| match names::by_key(name) {
            Ok(member @ Target::Member(..)) => Some(self.show(&member)),
            _ => None,
        })
    }

    fn show(&self, target: &Target) -> Effective {
        let key = target.name();
        let (layer, value) = match self.sources.in_force.get(&key) {
            Some((place, value)) => (place.clone(), Some(value.clone())),
            None => (Place::Default, None),
        };
        let doc = target.words().map_or("", |words| words.summary());
        Effective {
            variable: target.variable(),
            key,
            value,
            layer,
            doc,
        }
    }

    /// What a file of Flink's holds that nothing here uses, in the order of its lines.
    pub fn unused(&self) -> &[Unused] {
        &self.sources.unused
    }

    /// Where the value of `key` came from; `None` if it is not set.
    pub fn layer(&self, key: &str) -> Option<&Place> {
        self.sources.in_force.get(key).map(|(place, _)| place)
    }

    /// Adds to an error about the value of `key` where that value came from: for what is judged only
    /// where it is used.
    pub fn blame(&self, key: &str, error: Error) -> Error {
        match self.layer(key) {
            Some(place @ Place::Dotenv { variable, .. }) => {
                error.at(format_args!("{place}: {variable} ({key})"))
            }
            Some(place) => error.at(format_args!("{place}: {key}")),
            None => error.at(key),
        }
    }

    /// Fails unless Kafka can be read: `kafka.brokers` and `kafka.topic`.
    pub fn require_kafka(&self) -> Result<()> {
        self.require(&["kafka.brokers", "kafka.topic"])
    }

    /// Fails unless a catalog can be opened: `catalog.uri`, and with a SQL catalog `warehouse`.
    pub fn require_catalog(&self) -> Result<()> {
        let keys = self.table_keys();
        // All but the table itself, which stands last.
        self.require(&keys[..keys.len() - 1])
    }

    /// Fails unless a table can be opened: `catalog.uri`, `table.name`, and with a SQL catalog
    /// `warehouse` (a REST catalog may have one of its own).
    pub fn require_table(&self) -> Result<()> {
        self.require(self.table_keys())
    }

    /// Fails unless Kafka can be read and a table be opened; names everything that is missing.
    pub fn require_ingest(&self) -> Result<()> {
        let kafka = ["kafka.brokers", "kafka.topic"];
        self.require(&[&kafka[..], self.table_keys()].concat())
    }

    fn table_keys(&self) -> &'static [&'static str] {
        match self.catalog.kind {
            CatalogKind::Sql => &["catalog.uri", "warehouse", "table.name"],
            CatalogKind::Rest => &["catalog.uri", "table.name"],
        }
    }

    /// Fails unless all of `keys` are set, with one error for all that are missing.
    pub fn require(&self, keys: &[&str]) -> Result<()> {
        let is_missing = |key: &&&str| !self.sources.in_force.contains_key(**key);
        let missing: Vec<&str> = keys.iter().filter(is_missing).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut advice = String::from(
            "set them in the environment, in .env, with --set or in the --config file, for example:",
        );
        for key in &missing {
            let example = words().get(key).map_or("…", |words| words.value);
            let assignment = match names::by_key(key).ok().and_then(|t| t.variable()) {
                Some(variable) => format!("{variable}={}", example.trim_matches('"')),
                None => format!("--set {key}={}", example.trim_matches('"')),
            };
            advice.push_str(&format!("\n    {assignment}    ({key})"));
        }
        let count = match missing.len() {
            1 => "a setting is missing".to_owned(),
            count => format!("{count} settings are missing"),
        };
        Err(Error::config(format!("{count}: {}", missing.join(", "))).advice(advice))
    }
}

fn section(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}
