//! The settings: from seven layers to one checked [`Settings`].
//!
//! ```text
//!   default.toml  --flink-conf  --config   .env   .env.local   environment   flags   layers: who says what, where
//!        └─────────────┴───────────┴─────────┴─────────┴────────────┴──────────┘
//!                                   │ names as written
//!                                   ▼
//!                     names: key, variable → keys (the table)  ·  flink: Flink's names, and what they mean here
//!                                   │ the last layer wins; an empty value means the default
//!                                   ▼
//!                     values: text → typed  ·  librdkafka: the judge of kafka.*
//!                                   │
//!                                   ▼
//!                       Settings ── effective: value, layer, words
//! ```
//!
//! A setting is declared once, in the table of `keys`; its default and its documentation stand in
//! `default.toml`, which is compiled in. `calve config`, the errors and the environment names all
//! follow from those two, and tests prove that table, file and [`Settings`] agree.
//!
//! Invariants:
//!
//! * A name that means nothing is an error in every layer, also where a stronger layer sets the
//!   same thing; it names the place and the nearest name. Only in the environment and in `.env`
//!   files, which are shared with other programs, are unknown names ignored, but for `CALVE_*`; in a file
//!   of Flink's they are remarks. What stands under `own.` is judged when a dataflow is run: see `own`. That file is the weakest: what is written for calve outranks it.
//! * A value is checked where it wins. So a flag can always overrule what a shared file says.
//! * All faults are reported at once.
//! * Within one layer the last entry wins, `CALVE_X` wins over the older names, and Flink's current name over
//!   those that it replaced; a TOML file that says the same thing twice is an error.
//! * What is secret shows up in no error, no `Debug` and no [`Effective`]: see `secret`.
//!
//! This room reads files and the environment and decides; it must never connect to anything, and it
//! must never change what it reads (no `set_var`).

mod blank;
mod effective;
mod explain;
mod flink;
mod keys;
mod layers;
mod librdkafka;
mod merge;
mod names;
mod own;
mod secret;
mod settings;
mod values;
mod words;

#[cfg(test)]
mod tests;

use crate::{Error, Result};

pub use effective::Effective;
pub use explain::{Explanation, Statement, explain};
pub use flink::Unused;
pub use layers::{Layers, Place};
pub use own::Own;
pub use secret::{Properties, Secret, Uri};
pub use settings::{
    Batch, Catalog, CatalogKind, Checkpoint, CheckpointMode, CheckpointRetention, Dedup, Input,
    Kafka, Log, LogFormat, Marker, Memory, Metrics, OffsetReset, OnGap, OnOrphans, OnReject,
    OnRollback, OnTopicRecreated, Pipeline, Rest, Restart, RestartStrategy, RollUp, S3,
    SchemaRegistry, Settings, Snapshots, State, StateBackend, Stats, Table,
};

use merge::{Faults, Winners, by_key};

/// The commented defaults, as they are compiled in.
pub const DEFAULTS: &str = include_str!("default.toml");

/// Reads all layers and checks them.
pub fn load(layers: &Layers) -> Result<Settings> {
    let (settings, faults) = read(layers);
    faults.into_result().map(|()| settings)
}

/// True if a key, ours or Flink's, is known: as a setting, or as one that is refused with its reason.
#[cfg(test)]
pub(crate) fn is_key(name: &str) -> bool {
    !matches!(names::meaning(name), Err(names::NameError::Unknown(_)))
}

/// True if the names of some of our settings begin with this part.
#[cfg(test)]
pub(crate) fn begins_a_key(part: &str) -> bool {
    let first = |name: &str| name.split('.').next() == Some(part);
    let families = keys::FAMILIES.iter().map(|family| family.prefix);
    let keys = keys::KEYS.iter().map(|key| key.name);
    keys.chain(families).any(first)
}

/// True if an environment variable is one of ours.
#[cfg(test)]
pub(crate) fn is_variable(name: &str) -> bool {
    matches!(names::by_variable(name), Some(Ok(_)))
}

/// What the layers say, as far as it is right, and what is wrong.
fn read(layers: &Layers) -> (Settings, Faults) {
    let mut faults = Faults::default();
    let mut winners = Winners::default();
    let defaults = layers::toml(DEFAULTS, |_| Place::Default);
    winners.add(defaults, by_key, &mut faults);
    if let Some(path) = &layers.flink {
        winners.add_flink(flink::file::read(path), &mut faults);
    }
    if let Some(path) = &layers.file {
        winners.add(layers::file(path), by_key, &mut faults);
    }
    if let Some(directory) = &layers.directory {
        for entries in layers::dotenv_files(directory) {
            winners.add(entries, names::by_variable, &mut faults);
        }
    }
    let environment = layers::environment(&layers.environment);
    winners.add(Ok(environment), names::by_variable, &mut faults);
    winners.add(Ok(layers::flags(&layers.flags)), by_key, &mut faults);

    let settings = winners.settle(&mut faults);
    // With a value missing, what is left may contradict itself for that reason alone.
    if faults.is_empty() {
        contradictions(&settings, &mut faults);
    }
    (settings, faults)
}

/// Settings that are right one by one and wrong together.
fn contradictions(settings: &Settings, faults: &mut Faults) {
    let at = |key: &str| match settings.layer(key) {
        Some(place) => format!("{key} ({place})"),
        None => key.to_owned(),
    };
    let kind = settings.catalog.kind;
    if let Some(uri) = &settings.catalog.uri
        && values::catalog_kind(uri.reveal()) != Some(kind)
    {
        let (is, other) = match kind {
            CatalogKind::Sql => ("sql", "rest"),
            CatalogKind::Rest => ("rest", "sql"),
        };
        let (uri, kind) = (at("catalog.uri"), at("catalog.type"));
        let error = format!("{uri} is the address of a {other} catalog, but {kind} is {is}");
        let advice = format!(
            "set catalog.type (ICEBERG_CATALOG_TYPE) to {other}, or the address of a {is} catalog"
        );
        faults.push(Error::config(error).advice(advice));
    }
    if let Some(warehouse) = &settings.warehouse
        && kind == CatalogKind::Sql
        && let Err(expected) = values::location(warehouse)
    {
        faults.push(Error::config(format!(
            "{} can't be {warehouse:?} with a sql catalog: expected {expected}",
            at("warehouse")
        )));
    }
    let (access, secret) = ("s3.access-key", "s3.secret-key");
    let lonely = match (&settings.s3.access_key, &settings.s3.secret_key) {
        (Some(_), None) => Some((access, secret)),
        (None, Some(_)) => Some((secret, access)),
        _ => None,
    };
    if let Some((set, missing)) = lonely {
        let error = format!("{} is set, but {missing} is not", at(set));
        let advice = "set both, or neither to use the usual chain of AWS credentials";
        faults.push(Error::config(error).advice(advice));
    }
    if settings.table.errors.is_some() && settings.table.errors == settings.table.name {
        let (errors, name) = (at("table.errors"), at("table.name"));
        faults.push(Error::config(format!(
            "{errors} is the same table as {name}"
        )));
    }
    let restart = &settings.restart;
    if restart.strategy == RestartStrategy::ExponentialDelay
        && restart.initial_backoff > restart.max_backoff
    {
        let (initial, max) = (
            at("restart-strategy.exponential-delay.initial-backoff"),
            at("restart-strategy.exponential-delay.max-backoff"),
        );
        let error = format!(
            "{initial} is {:?}, longer than the longest delay: {max} is {:?}",
            restart.initial_backoff, restart.max_backoff
        );
        faults.push(Error::config(error).advice("raise the second or lower the first"));
    }
}
